//! The relay of a visit: MLS delivery, signalling, and an embedded SFU. It sees ciphertext, order, opaque ids and
//! passes; it holds no key that opens anything.
//!
//! | module | what |
//! |---|---|
//! | [`admission`] | passes, the clinic document, proof of key |
//! | [`visit`] | one commit for each epoch, the waiting room (sans-IO) |
//! | [`log`] | the ordered log that all readers share |
//! | [`hub`] | all visits and their connected clients |
//! | [`connection`] | one WebSocket |
//! | [`queue`] | what waits to be written to a connection |
//! | [`budget`] | how much each pass and each address may send |
//! | [`media`] | the SFU: peer connections, forwarding, bandwidth |
//! | [`server`] | HTTP routes, start and graceful stop |
//! | [`limits`] | what anybody may take up |
//! | [`stats`] | counters without names |
//!
//! Visits are independent of each other, so a deployment shards by visit.

pub mod admission;
pub mod budget;
pub mod connection;
pub mod hub;
pub mod limits;
pub mod log;
pub mod media;
pub mod queue;
pub mod server;
pub mod stats;
pub mod visit;

pub use server::{Config, Relay, StartError};
