//! How the meeting is run, as the group's context holds it: who is host, and whether newcomers are kept out.

use super::RosterMember;
use super::error::GateError;
use sealed_visit_protocol::sorted::SortedMap;
use sealed_visit_protocol::{ParticipantId, Pass, Role, tagged_enum};
use serde::{Deserialize, Serialize};

/// What the group agrees on about running the meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meeting {
    /// The clinician to whom hosting was handed; none as long as nobody did.
    pub host: Option<ParticipantId>,
    /// Nobody is let in who never was in the group.
    pub locked: bool,
}

tagged_enum! {
    /// A change that a clinician commits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    pub enum MeetingChange("MeetingChange", tag = "kind") {
        Lock { locked: bool },
        /// Hands hosting to this clinician.
        Host { participant: ParticipantId },
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

    /// The state after this change, whoever makes it.
    pub fn with(mut self, change: MeetingChange) -> Self {
        match change {
            MeetingChange::Lock { locked } => self.locked = locked,
            MeetingChange::Host { participant } => self.host = Some(participant),
        }
        self
    }
}

/// What a group takes over from the one that it replaces.
#[derive(Debug, Clone, Default)]
pub struct Legacy {
    pub(super) roles: SortedMap<ParticipantId, Role>,
    pub(super) meeting: Meeting,
}

impl Legacy {
    pub fn is_locked(&self) -> bool {
        self.meeting.locked
    }

    /// Whether this participant ever was in the group.
    pub fn knows(&self, participant: ParticipantId) -> bool {
        self.roles.contains_key(&participant)
    }
}
