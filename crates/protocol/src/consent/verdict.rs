//! The gate: may this roster exist under this consent state?

use super::state::ConsentState;
use super::statement::{Statement, StatementKind};
use crate::clinic::ClinicDocument;
use crate::id::{ParticipantId, VisitId};
use crate::jws::PublicKey;
use crate::pass::Role;
use std::collections::BTreeSet;

/// One member of a roster, from its verified pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RosterEntry {
    pub participant: ParticipantId,
    pub role: Role,
    /// The pass key: only statements by this key count for the member.
    pub key: PublicKey,
}

/// Why a roster may not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Verdict {
    #[error("participant {0} is in the roster twice")]
    Twice(ParticipantId),
    #[error("{0} recorders in one roster")]
    SeveralRecorders(usize),
    #[error("a recorder without an open consent round")]
    NoRound,
    #[error("the open round is for recorder {asked}, not for {got}")]
    OtherRecorder {
        asked: ParticipantId,
        got: ParticipantId,
    },
    #[error("participant {0} has not granted the recording")]
    NotGranted(ParticipantId),
    #[error("participant {0} agreed to words in another language, and no interpreter signed")]
    NotInterpreted(ParticipantId),
    #[error("the consent state does not verify: {0}")]
    Unverifiable(String),
}

/// Judges the *resulting* roster under the *resulting* state of a commit.
///
/// All-party, everywhere: every member but the recorder needs a current grant for exactly the open request, signed by the
/// pass key that the member is here with: whoever lost its key also lost the memory of what it said later. Whoever
/// agreed to words in another language than the own needs an interpreter's grant besides, which says so; it counts
/// also when the interpreter has left.
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
    let unverifiable = |error: super::StateError| Verdict::Unverifiable(error.to_string());
    let request = state
        .request(clinic, visit, group_id)
        .map_err(unverifiable)?
        .ok_or(Verdict::NoRound)?;
    if request.claims().recorder != recorder {
        return Err(Verdict::OtherRecorder {
            asked: request.claims().recorder,
            got: recorder,
        });
    }
    let is_interpreted = |participant: ParticipantId| {
        for author in state.statements().keys() {
            let statement = state
                .statement_of(*author, clinic, visit, group_id)
                .map_err(unverifiable)?;
            let signed = |statement: &Statement| {
                statement.interprets_for(participant) && statement.answers(&request).is_ok()
            };
            if statement.as_ref().is_some_and(signed) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    for entry in roster.iter().filter(|entry| entry.role != Role::Recorder) {
        let statement = state
            .statement_of(entry.participant, clinic, visit, group_id)
            .map_err(unverifiable)?
            .ok_or(Verdict::NotGranted(entry.participant))?;
        let granted = statement.claims().kind == StatementKind::Grant
            && statement.author().role() == entry.role
            && *statement.author().key() == entry.key
            && statement.answers(&request).is_ok();
        if !granted {
            return Err(Verdict::NotGranted(entry.participant));
        }
        if statement.needs_interpreter() && !is_interpreted(entry.participant)? {
            return Err(Verdict::NotInterpreted(entry.participant));
        }
    }
    Ok(())
}
