//! Consent: the host's request, everybody's statements, and the verdict whether a recorder may be in a roster.
//!
//! - [`ConsentState`] is what the MLS group carries in its GroupContext. It changes only by [`Change`]s, which
//!   every member applies by the same pure function.
//! - [`Answers`] says how each participant stands to the open request ([`Standing`]). Gate, screen, vault and clinic tool
//!   all build on it.
//! - [`verdict`] is the gate: a pure function of the resulting roster and the resulting state. No clock, no
//!   setting, no fetch.
//! - [`Place`] is the host's word that somebody is where it said: evidence, which no rule asks for.

mod place;
mod request;
mod round;
mod state;
mod statement;
mod verdict;

pub use place::{Place, PlaceClaims, PlaceError};
pub use request::{
    CHECKLIST, ConsentText, Layer, Purpose, Request, RequestClaims, RequestError, Terms, Tick,
    WithdrawalPolicy,
};
pub use round::{Answers, Gap, Round, Standing};
pub use state::{Change, ConsentState, StateError};
pub use statement::{
    Answer, MAX_TOLD_SEQ, OnBehalfOf, Statement, StatementClaims, StatementError, StatementKind,
    WithdrawalWish,
};
pub use verdict::{RosterEntry, Verdict, verdict};
