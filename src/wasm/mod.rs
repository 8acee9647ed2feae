//! JavaScript bindings: convert, call, convert. Nothing is decided here.

mod error;
#[cfg(feature = "frames")]
mod frames;
mod panic;
#[cfg(feature = "recording")]
mod recording;
#[cfg(any(feature = "frames", feature = "recording"))]
mod values;
#[cfg(feature = "visit")]
mod visit;
