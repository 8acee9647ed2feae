//! The visit authority: it admits people to a visit, and sees neither media nor recordings.
//!
//! A scheduler makes a visit with an opaque appointment id and gets one link secret for each participant. Whoever
//! opens a link redeems the secret for a pass bound to the browser's key. The browser sends a credential that it made:
//! the link is its own from then on, and the credential brings it back after a lost answer or a reload. A clinic's own
//! server can issue the same passes: the claims are [`sealed_visit_protocol::pass::PassClaims`].
//!
//! | module | what |
//! |---|---|
//! | [`http`] | the API, and how much of it one address gets |
//! | [`book`] | all visits: what a call reads, decides and writes |
//! | `visit` | one visit and its rules, without IO |
//! | `store` | the rows, in SQLite |
//! | `secrets` | hashes under a key |
//! | `passcode` | what counts as the same passcode |
//! | `import` | takes over the JSON file of earlier versions |
//! | [`limit`] | rate limits |
//! | [`files`] | files for their owner only |
//!
//! Invariants: a link secret works for one browser; a pass is for one participant, role and key; secrets are kept as
//! hashes under a key; an answer is given after what it says is durable.

pub mod book;
pub mod files;
pub mod http;
mod import;
pub mod limit;
mod passcode;
mod secrets;
mod store;
mod visit;

pub use book::{Admission, Book, BookError, NewParticipant, NewVisit, VisitInfo};
pub use http::{Config, FORGET_AFTER, router};
