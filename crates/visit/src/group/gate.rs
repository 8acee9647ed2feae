//! The gate: may this commit be followed? A pure function of the group before it and its proposals.
//!
//! No clock, setting or fetch, so that all honest members come to the same verdict. What it decides:
//!
//! | rule | why |
//! |---|---|
//! | the resulting roster passes [`verdict`] under the resulting consent state | law 2: no recorder without grants |
//! | consent changes only by signed documents, applied in order | the state cannot be rewritten |
//! | a request comes from a clinician of the resulting roster, by its current key | only the host asks |
//! | statements come from anybody with a pass of the visit, member or not | a late joiner grants while it waits; who left can still withdraw |
//! | recorders and servers do not commit | they need nothing that a participant cannot do |
//! | while a clinician is in the roster, only a clinician admits; a recorder is added by a clinician only | nobody meets before the host |
//! | a rejoin with the same pass key may be committed by anybody; with a new key by a clinician, or by anybody if no *other* clinician is there | a reload needs no new decision; the host must be able to come back |
//! | anybody may remove anybody but itself | the recorder must be removable by all, and whether the host is away is not in the roster; a removal is seen by everybody, with its author |
//! | while the visit is locked, before a commit and after it, nobody is added who never was in it, a recorder excepted | the host closed the door |
//! | a clinician locks, unlocks and hands hosting to a clinician | the same |
//! | a participant's role is fixed for the visit | a patient cannot come back as a recorder |
//! | a participant has one leaf; at most 62 members | frame keys name leaves with six bits |

use super::context::VisitContext;
use super::error::GateError;
use super::meeting::MeetingChange;
use super::{MAX_MEMBERS, Policy, RosterMember};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
#[cfg(test)]
use sealed_visit_protocol::consent::Round;
use sealed_visit_protocol::consent::{Change, ConsentState, MAX_TOLD_SEQ, RosterEntry, verdict};
use sealed_visit_protocol::{ParticipantId, Pass, Role};

/// More consent changes than every member's grant, refusal and withdrawal, and a request, fit no honest commit.
const MAX_CHANGES: usize = 3 * MAX_MEMBERS + 1;

/// The group before a commit.
pub(super) struct Before<'a> {
    pub policy: &'a Policy,
    pub group_id: &'a [u8],
    pub roster: &'a [RosterMember],
    pub context: &'a VisitContext,
}

/// A commit's own proposals, their passes verified.
pub(super) struct Proposed {
    pub committer: RosterMember,
    /// Of the key packages to add; verified for this visit and bound to the key packages' signature keys.
    pub adds: Vec<Pass>,
    /// Leaves to remove.
    pub removes: Vec<u8>,
    pub changes: Vec<Change>,
    pub meeting: Vec<MeetingChange>,
}

/// Whether the commit may be followed, and the context that results.
pub(super) fn judge(before: &Before<'_>, proposed: &Proposed) -> Result<VisitContext, GateError> {
    may_commit(proposed.committer.role)?;
    for pass in &proposed.adds {
        keeps_role(before.context, pass)?;
        may_add(before, proposed, pass)?;
    }
    let resulting = resulting_roster(before, proposed);
    if resulting.len() > MAX_MEMBERS {
        return Err(GateError::TooMany(resulting.len()));
    }
    let mut context = before.context.clone();
    context.meeting =
        before
            .context
            .meeting
            .after(&proposed.meeting, &proposed.committer, &resulting)?;
    if before.context.meeting.locked && context.meeting.locked {
        keeps_lock(before.context, &proposed.adds)?;
    }
    for pass in &proposed.adds {
        context.roles.insert(pass.participant(), pass.role());
    }
    context.consent = resulting_consent(before, &proposed.changes, &resulting)?;
    verdict_over(before.policy, before.group_id, &resulting, &context.consent)?;
    Ok(context)
}

/// Whether a whole state, offered by a welcome, may be joined.
pub(super) fn judge_state(
    policy: &Policy,
    group_id: &[u8],
    roster: &[RosterMember],
    context: &VisitContext,
    me: ParticipantId,
) -> Result<(), GateError> {
    #[cfg(test)]
    if breaks(Rule::Grants) || breaks(Rule::JoinerJudges) {
        return Ok(());
    }
    if context.visit != policy.visit() {
        return Err(GateError::Context("it is for another visit"));
    }
    if roster.len() > MAX_MEMBERS {
        return Err(GateError::TooMany(roster.len()));
    }
    // What others have used up is theirs.
    let own = context.consent.said().get(&me);
    if own.is_some_and(|seq| *seq > MAX_TOLD_SEQ) {
        return Err(GateError::Context("the joiner's number is out of range"));
    }
    for member in roster {
        if !context.roles.contains_key(&member.participant) {
            return Err(GateError::Context("a member's role is not recorded"));
        }
        keeps_role(context, &member.pass)?;
    }
    // With no recorder in the roster the verdict does not look at the open round: a joiner does.
    let (clinic, visit) = (policy.clinic(), policy.visit());
    if let Some(request) = context.consent.request(clinic, visit, group_id)? {
        for &participant in context.consent.statements().keys() {
            let statement = context
                .consent
                .statement_of(participant, clinic, visit, group_id)?
                .ok_or(GateError::Context(
                    "a statement is filed under another participant",
                ))?;
            statement
                .answers(&request)
                .map_err(|error| GateError::Consent(error.into()))?;
        }
    } else if !context.consent.statements().is_empty() {
        return Err(GateError::Context("it has statements without a round"));
    }
    let members: Vec<_> = roster.iter().map(RosterEntry::from).collect();
    #[cfg(test)]
    let members = by_lost_keys(members, &context.consent, policy, group_id);
    verdict(&members, &context.consent, clinic, visit, group_id)?;
    Ok(())
}

/// Broken on purpose: as if everybody were here with the key that signed for them.
#[cfg(test)]
fn by_lost_keys(
    mut roster: Vec<RosterEntry>,
    consent: &ConsentState,
    policy: &Policy,
    group_id: &[u8],
) -> Vec<RosterEntry> {
    if !breaks(Rule::GrantsOfLostKeys) {
        return roster;
    }
    let open = Round::open_in(consent, policy.clinic(), policy.visit(), group_id);
    if let Ok(Some(round)) = open {
        for entry in &mut roster {
            let said = round.statement_of(entry.participant);
            entry.key = said.map_or(entry.key, |said| *said.author().key());
        }
    }
    roster
}

/// Whether a consent document would be accepted now, by itself.
pub(super) fn judge_change(before: &Before<'_>, change: &Change) -> Result<(), GateError> {
    let resulting: Vec<_> = before
        .roster
        .iter()
        .map(|member| member.pass.clone())
        .collect();
    resulting_consent(before, std::slice::from_ref(change), &resulting).map(|_| ())
}

pub(super) fn may_commit(role: Role) -> Result<(), GateError> {
    match role {
        Role::Recorder | Role::Server => Err(GateError::CommitterRole(role)),
        Role::Clinician
        | Role::Patient
        | Role::Guest
        | Role::Representative
        | Role::Interpreter => Ok(()),
    }
}

fn keeps_role(context: &VisitContext, pass: &Pass) -> Result<(), GateError> {
    match context.roles.get(&pass.participant()) {
        Some(&was) if was != pass.role() => Err(GateError::RoleChange {
            participant: pass.participant(),
            was,
            now: pass.role(),
        }),
        _ => Ok(()),
    }
}

fn keeps_lock(context: &VisitContext, adds: &[Pass]) -> Result<(), GateError> {
    #[cfg(test)]
    if breaks(Rule::LockHolds) {
        return Ok(());
    }
    let newcomer = adds.iter().find(|pass| {
        pass.role() != Role::Recorder && !context.roles.contains_key(&pass.participant())
    });
    newcomer.map_or(Ok(()), |pass| Err(GateError::Locked(pass.participant())))
}

fn may_add(before: &Before<'_>, proposed: &Proposed, pass: &Pass) -> Result<(), GateError> {
    if proposed.committer.role == Role::Clinician {
        return Ok(());
    }
    let participant = pass.participant();
    let rejoins_with_same_key = before.roster.iter().any(|member| {
        member.participant == participant
            && member.pass.key() == pass.key()
            && proposed.removes.contains(&member.leaf)
    });
    let other_clinician = before
        .roster
        .iter()
        .any(|member| member.role == Role::Clinician && member.participant != participant);
    let allowed = pass.role() != Role::Recorder && (rejoins_with_same_key || !other_clinician);
    allowed
        .then_some(())
        .ok_or(GateError::NotTheHost(participant))
}

/// The passes of everybody in the roster after the commit.
fn resulting_roster(before: &Before<'_>, proposed: &Proposed) -> Vec<Pass> {
    before
        .roster
        .iter()
        .filter(|member| !proposed.removes.contains(&member.leaf))
        .map(|member| &member.pass)
        .chain(&proposed.adds)
        .cloned()
        .collect()
}

fn resulting_consent(
    before: &Before<'_>,
    changes: &[Change],
    resulting: &[Pass],
) -> Result<ConsentState, GateError> {
    if changes.len() > MAX_CHANGES {
        return Err(GateError::NotAllowed(
            "so many consent changes in one commit",
        ));
    }
    let (clinic, visit) = (before.policy.clinic(), before.policy.visit());
    let mut state = before.context.consent.clone();
    for change in changes {
        state = state.apply(change, clinic, visit, before.group_id)?;
        if let Change::Request(_) = change {
            let request = state.request(clinic, visit, before.group_id)?;
            let from_host_here = request.is_some_and(|request| {
                resulting.iter().any(|pass| {
                    pass.role() == Role::Clinician
                        && pass.participant() == request.host().participant()
                        && pass.key() == request.host().key()
                })
            });
            if !from_host_here {
                return Err(GateError::RequestByStranger);
            }
        }
    }
    Ok(state)
}

fn verdict_over(
    policy: &Policy,
    group_id: &[u8],
    resulting: &[Pass],
    consent: &ConsentState,
) -> Result<(), GateError> {
    #[cfg(test)]
    if breaks(Rule::Grants) {
        return Ok(());
    }
    let entries: Vec<_> = resulting
        .iter()
        .map(|pass| RosterEntry {
            participant: pass.participant(),
            role: pass.role(),
            key: *pass.key(),
        })
        .collect();
    #[cfg(test)]
    let entries = by_lost_keys(entries, consent, policy, group_id);
    Ok(verdict(
        &entries,
        consent,
        policy.clinic(),
        policy.visit(),
        group_id,
    )?)
}
