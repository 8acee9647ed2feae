//! End-to-end encrypted video visits with a declared, consented, sealed recorder: the core.
//!
//! Everything here is sans-IO: no clock, socket or disk. Times and bytes come in as arguments,
//! outcomes and events go out as values, so the same source runs natively in tests and as
//! WebAssembly in a page's worker.
//!
//! | module | standard | cargo feature |
//! |---|---|---|
//! | `frames` (on `sframe` and `codec`) | media frames, RFC 9605 | `frames` |
//! | `group` | the visit's group and its consent gate, RFC 9420 | `visit` |
//! | `recording` | recorder, verifier and opener of recordings (on `seal`) | `recording` |
//! | `seal` | sealing and opening, RFC 9180 and C2SP chunked encryption | `recording` |
//! | `visit` | the state machine over group, relay and people | `visit` |
//! | `wasm` | JavaScript bindings of whatever is enabled | `wasm` |

#[cfg(feature = "frames")]
pub mod codec;
#[cfg(feature = "frames")]
pub mod frames;
#[cfg(feature = "visit")]
pub mod group;
#[cfg(feature = "recording")]
pub mod recording;
#[cfg(all(test, feature = "visit"))]
mod sabotage;
#[cfg(feature = "recording")]
pub mod seal;
#[cfg(feature = "frames")]
pub mod sframe;
#[cfg(feature = "visit")]
pub mod visit;
#[cfg(feature = "wasm")]
pub mod wasm;
