//! The gate: may this roster exist under this consent state?

use super::round::Round;
use super::state::ConsentState;
use crate::clinic::ClinicDocument;
use crate::id::{ParticipantId, VisitId};
use crate::jws::PublicKey;
use crate::pass::Role;
use std::collections::BTreeSet;

/// One member of a roster, from its verified pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RosterEntry {
    /// Who.
    pub participant: ParticipantId,
    /// As what. A recorder is not asked, and needs everybody else's grant.
    pub role: Role,
    /// The pass key: only statements by this key count for the member.
    pub key: PublicKey,
}

/// Why a roster may not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Verdict {
    /// This participant has two leaves.
    #[error("participant {0} is in the roster twice")]
    Twice(ParticipantId),
    /// So many recorders: one is allowed.
    #[error("{0} recorders in one roster")]
    SeveralRecorders(usize),
    /// A recorder is there and no round is open, or somebody withdrew from it.
    #[error("a recorder without an open consent round")]
    NoRound,
    /// The open round is about another recorder.
    #[error("the open round is for recorder {asked}, not for {got}")]
    OtherRecorder {
        /// The recorder that people were asked about.
        asked: ParticipantId,
        /// The recorder in the roster.
        got: ParticipantId,
    },
    /// This participant has no grant that counts: none at all, one by another pass key or role, or one that does not
    /// fit.
    #[error("participant {0} has not granted the recording")]
    NotGranted(ParticipantId),
    /// This participant agreed to words in a language not their own, and no interpreter signed for them.
    #[error("participant {0} agreed to words in another language, and no interpreter signed")]
    NotInterpreted(ParticipantId),
    /// A signed document in the state is refused; holds why, in words.
    #[error("the consent state does not verify: {0}")]
    Unverifiable(String),
}

/// Judges the *resulting* roster under the *resulting* state of a commit.
///
/// All-party, everywhere: every member but the recorder must have [`Standing::Granted`](super::Standing::Granted) in the
/// open round.
pub fn verdict(
    roster: &[RosterEntry],
    state: &ConsentState,
    clinic: &ClinicDocument,
    visit: VisitId,
    group_id: &[u8],
) -> Result<(), Verdict> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = roster.iter().find(|entry| !seen.insert(entry.participant)) {
        return Err(Verdict::Twice(twice.participant));
    }
    let recorders: Vec<_> = roster
        .iter()
        .filter(|entry| entry.role == Role::Recorder)
        .collect();
    let recorder = match recorders.as_slice() {
        [] => return Ok(()),
        [one] => one.participant,
        many => return Err(Verdict::SeveralRecorders(many.len())),
    };
    let round = Round::open_in(state, clinic, visit, group_id)
        .map_err(|error| Verdict::Unverifiable(error.to_string()))?
        .ok_or(Verdict::NoRound)?;
    let asked = round.request().claims().recorder;
    if asked != recorder {
        return Err(Verdict::OtherRecorder {
            asked,
            got: recorder,
        });
    }
    round.answers().judge(roster)
}
