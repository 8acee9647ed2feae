//! What every crate's tests need before they begin: one clinic with people, passes, requests and grants, from a seed.
//!
//! Real documents with real signatures; only the randomness is fixed. Built on the protocol alone, so that the tests of
//! every crate can use it, the servers' included.

mod clinic;
pub mod recording;
pub mod recording_vectors;
pub mod samples;

pub use clinic::{Clinic, GROUP_ID, Holder, NOW_MS, recipient, stranger_key};
