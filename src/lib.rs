//! What JavaScript sees of Sealed Visit: convert, call, convert. Nothing is decided here.
//!
//! Built twice, once for each WebAssembly module, by feature: `visit` for everybody who joins (group, state machine, media
//! frames), `recording` for who records, recovers or plays.

#[cfg(feature = "visit")]
mod frames;
#[cfg(feature = "visit")]
mod member;
#[cfg(feature = "recording")]
mod recording;
#[cfg(feature = "test-hooks")]
mod test_hooks;
#[cfg(feature = "visit")]
mod visit;

mod convert;
mod error;
mod panic;

// A member whose leaf no frame key can name could not be heard.
#[cfg(feature = "visit")]
const _: () =
    assert!(sealed_visit_protocol::limits::MAX_LEAVES == sealed_visit_frames::sframe::MAX_LEAVES);
