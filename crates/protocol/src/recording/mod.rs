//! The signed documents around a recording, and their verification without opening it.
//!
//! A recording has parts (one per recorder run), a part has tracks ([`crate::track`]). The recorder's pass key
//! signs the [`open statement`](OpenClaims) once; it names a *recording key* that lives in memory for one part and
//! signs envelopes, checkpoints and the manifest. The vault signs receipts and closing records.

mod audit;
mod decline;
mod deletion;
mod envelope;
mod manifest;
mod open;
mod proof;
mod wipe;

pub use audit::{AuditError, AuditHeadClaims, Chain, StoredEntry};
pub use decline::DeclineClaims;
pub use deletion::{DeletionClaims, DeletionError};
pub use envelope::{EnvelopeClaims, EnvelopeError, WrappedKey};
pub use manifest::{
    ClosingClaims, EndReason, Gap, ManifestClaims, ManifestError, ReceiptClaims, TrackReceipt,
    TrackSummary,
};
pub use open::{
    OpenClaims, OpenError, OpenStatement, OpenTrack, PreviousPart, ShareGrant, VaultAnswer,
};
pub use proof::{PROOF_WINDOW_MS, ProofError, VaultProofClaims};
pub use wipe::{WipeClaims, WipeReason};
