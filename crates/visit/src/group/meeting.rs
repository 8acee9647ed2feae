//! How the meeting is run, as the group's context holds it: who is host, and whether newcomers are kept out; and what
//! of a group's context outlives the group.

use super::RosterMember;
use super::context::VisitContext;
use super::error::GateError;
use sealed_visit_protocol::sorted::{SortedMap, SortedSet};
use sealed_visit_protocol::{ParticipantId, Pass, Role, RoundId, tagged_enum};
use serde::{Deserialize, Serialize};

/// So many dead rounds, and numbers of people who are not there, are learned from contexts.
const MAX_TOLD: usize = 1_024;

/// What the group agrees on about running the meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meeting {
    /// The clinician who was made host; none before a handover.
    pub host: Option<ParticipantId>,
    /// Nobody is let in who never was in the group.
    pub locked: bool,
}

tagged_enum! {
    /// A change that a clinician commits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    pub enum MeetingChange("MeetingChange", tag = "kind") {
        /// Keeps newcomers out, or lets them in again.
        Lock {
            /// True to keep out who never was in the group.
            locked: bool,
        },
        /// Hands hosting to this clinician.
        Host {
            /// The clinician, who must be in the resulting roster.
            participant: ParticipantId,
        },
    }
}

impl Meeting {
    /// The state after these changes by `committer`, in a commit that leads to `resulting`.
    pub(super) fn after(
        mut self,
        changes: &[MeetingChange],
        committer: &RosterMember,
        resulting: &[Pass],
    ) -> Result<Self, GateError> {
        if !changes.is_empty() && committer.role != Role::Clinician {
            return Err(GateError::NotAClinician);
        }
        for change in changes {
            if let MeetingChange::Host { participant } = *change {
                let is_here = resulting.iter().any(|pass| {
                    pass.participant() == participant && pass.role() == Role::Clinician
                });
                if !is_here {
                    return Err(GateError::NotAClinician);
                }
            }
            self = self.with(*change);
        }
        Ok(self)
    }

    /// The state after this change.
    pub fn with(mut self, change: MeetingChange) -> Self {
        match change {
            MeetingChange::Lock { locked } => self.locked = locked,
            MeetingChange::Host { participant } => self.host = Some(participant),
        }
        self
    }
}

/// What a group takes over from those before it: the part of a member's memory that every group's context holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Legacy {
    pub(super) roles: SortedMap<ParticipantId, Role>,
    pub(super) meeting: Meeting,
    pub(super) dead_rounds: SortedSet<RoundId>,
    /// Each participant's highest sequence number.
    pub(super) said: SortedMap<ParticipantId, u64>,
}

impl Legacy {
    /// Whether nobody is let in who never was in the group.
    pub fn is_locked(&self) -> bool {
        self.meeting.locked
    }

    /// Whether this participant ever was in the group.
    pub fn knows(&self, participant: ParticipantId) -> bool {
        self.roles.contains_key(&participant)
    }

    /// The role that this participant had in the group.
    pub fn role_of(&self, participant: ParticipantId) -> Option<Role> {
        self.roles.get(&participant).copied()
    }

    /// Everybody who ever was in the group as a clinician.
    pub fn clinicians(&self) -> impl Iterator<Item = &ParticipantId> {
        let clinicians = |(_, role): &(_, &Role)| **role == Role::Clinician;
        self.roles.iter().filter(clinicians).map(|(id, _)| id)
    }

    /// Whether this round is over for good.
    pub fn is_dead(&self, round: RoundId) -> bool {
        self.dead_rounds.contains(&round)
    }

    /// Notes that this round is over for good.
    pub fn bury(&mut self, round: RoundId) {
        self.dead_rounds.insert(round);
    }

    /// The highest sequence number that this participant has used.
    pub fn last_seq_of(&self, participant: ParticipantId) -> Option<u64> {
        self.said.get(&participant).copied()
    }

    /// This participant has used this sequence number.
    pub fn hear(&mut self, participant: ParticipantId, seq: u64) {
        let last = self.said.get_or_insert(participant, seq);
        *last = seq.max(*last);
    }

    /// How the meeting is run.
    pub fn meeting(&self) -> Meeting {
        self.meeting
    }

    /// Learns from a group's context, and takes from it how the meeting is run.
    ///
    /// Whoever makes a group writes its first context: what that says of people who are not there is its maker's word. It
    /// fixes nobody's role, and as much of the rest is taken as there is room for.
    pub fn absorb(&mut self, other: &Self, is_there: impl Fn(ParticipantId) -> bool) {
        self.meeting = other.meeting;
        for (participant, role) in other.roles.iter() {
            if is_there(*participant) {
                self.roles.get_or_insert(*participant, *role);
            }
        }
        for round in other.dead_rounds.iter() {
            if self.dead_rounds.len() < MAX_TOLD {
                self.bury(*round);
            }
        }
        for (participant, seq) in other.said.iter() {
            let is_known = self.said.contains_key(participant) || is_there(*participant);
            if is_known || self.said.len() < MAX_TOLD {
                self.hear(*participant, *seq);
            }
        }
    }

    /// Adds everything that another memory of the same participant knows, whatever the order; and how the meeting is
    /// run, if that one learned it later.
    pub fn merge(&mut self, other: &Self, is_newer: bool) {
        if is_newer {
            self.meeting = other.meeting;
        }
        for (participant, role) in other.roles.iter() {
            let known = self.roles.get_or_insert(*participant, *role);
            // They never differ where nobody lied; where somebody did, both orders give the same.
            *known = (*known).max(*role);
        }
        self.dead_rounds.extend(other.dead_rounds.iter().copied());
        for (participant, seq) in other.said.iter() {
            self.hear(*participant, *seq);
        }
    }

    #[cfg(test)]
    pub(crate) fn with_role(mut self, participant: ParticipantId, role: Role) -> Self {
        self.roles.insert(participant, role);
        self
    }

    #[cfg(test)]
    pub(crate) fn with_meeting(self, meeting: Meeting) -> Self {
        Self { meeting, ..self }
    }

    #[cfg(test)]
    pub(crate) fn dead_rounds(&self) -> impl Iterator<Item = &RoundId> {
        self.dead_rounds.iter()
    }

    pub(super) fn of(context: &VisitContext) -> Self {
        Self {
            roles: context.roles.clone(),
            meeting: context.meeting,
            dead_rounds: context.consent.dead_rounds().clone(),
            said: context.consent.said().clone(),
        }
    }
}
