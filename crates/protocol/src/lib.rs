//! What everybody in a visit may see, and how it is checked.
//!
//! Shared by the core, the relay, the authority, the vault and the clinic tool. It holds no AEAD, HPKE, SFrame
//! or MLS: only signed documents, the framing of a sealed track, and the pure functions that verify them.
//!
//! | module | what |
//! |---|---|
//! | [`id`] | opaque identifiers |
//! | [`json`] | reading JSON, in little code |
//! | [`jws`] | compact JWS (RFC 7515) with EdDSA (RFC 8037), one `typ` per document |
//! | [`clinic`] | the clinic document: the only thing signed by the pinned root key |
//! | [`limits`] | numbers on which several parts agree |
//! | [`pass`] | visit passes, roles, name commitments |
//! | [`consent`] | requests, statements, and the gate's verdict |
//! | [`recording`] | open statement, header, envelope, checkpoint, manifest, closing record, receipt |
//! | [`sorted`] | small maps and sets |
//! | [`track`] | the framing of a track file, and its verification without opening it |
//! | [`wire`] | messages between a participant and the relay |
//!
//! Invariant: nothing here reads a clock, a socket or a disk, and no verification depends on one. Whoever must
//! judge an expiry passes the time in.

#![warn(missing_docs)]

pub mod bytes;
pub mod clinic;
pub mod consent;
pub mod hash;
pub mod id;
pub mod json;
pub mod jws;
pub mod limits;
pub mod pass;
pub mod recording;
pub mod sorted;
pub mod track;
#[cfg(feature = "typescript")]
mod typescript;
pub mod wire;

pub use bytes::{B64, Hash32};
pub use clinic::{ClinicDocument, Recipient, RootKey};
pub use id::{ParticipantId, ProofId, RecordingId, RoundId, TrackId, VisitId};
pub use jws::{Jws, JwsError, PublicKey, SigningKey};
pub use pass::{Pass, Role};

/// The major version of every format and message in this crate. An unknown major is refused.
pub const VERSION: u32 = 1;
