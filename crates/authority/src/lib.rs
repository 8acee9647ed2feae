//! The visit authority: it admits people to a visit, and sees neither media nor recordings.
//!
//! A scheduler makes a visit with an opaque appointment id and gets one link secret for each participant. Whoever
//! opens a link redeems the secret, once, for a pass bound to the browser's key, and for a credential by which the
//! same browser can come back after a reload. A clinic's own server can issue the same passes: the claims are
//! [`sealed_visit_protocol::pass::PassClaims`].
//!
//! | module | what |
//! |---|---|
//! | [`book`] | visits, participants, link secrets, credentials: the rules, without IO |
//! | [`http`] | the API over it |
//!
//! Invariants: a link secret works once; a pass is for one participant, role and key; secrets are kept as hashes.

pub mod book;
pub mod http;
mod persist;

pub use book::{Admission, Book, BookError, NewParticipant, NewVisit, VisitInfo};
pub use http::{Config, router};
