//! Media frames: encrypted before they leave a page, decrypted where they arrive, by published standards only.
//!
//! | module | what | standard |
//! |---|---|---|
//! | [`engine`] | every frame passes here, out or in: keys per epoch, tracks, the gate | |
//! | [`sframe`] | one frame under one key | RFC 9605 |
//! | [`codec`] | which bytes of a frame stay readable | RFC 7741, RFC 9628 |
//!
//! Sans-IO: time and bytes come in as arguments, outcomes go out as values. Keys come from the visit's group, which this
//! crate does not know.

#![warn(missing_docs)]

pub mod codec;
pub mod engine;
pub mod sframe;
