//! The open consent round as the group's context holds it, verified once for each epoch.

use crate::group::Group;
use sealed_visit_protocol::consent::{Request, Statement};
use sealed_visit_protocol::sorted::SortedMap;
use sealed_visit_protocol::{ParticipantId, RoundId};

/// A request and who answered it, everything verified under the group's policy.
pub(super) struct Round {
    pub(super) request: Request,
    statements: SortedMap<ParticipantId, Statement>,
}

impl Round {
    /// The group's open round; none, too, when it does not verify, which no group of an honest member's holds.
    pub(super) fn open_in(group: &Group) -> Option<Self> {
        let (clinic, visit) = (group.policy().clinic(), group.policy().visit());
        let state = group.consent();
        let request = state
            .request(clinic, visit, group.group_id())
            .ok()
            .flatten()?;
        let statement_of = |participant: &ParticipantId| {
            state
                .statement_of(*participant, clinic, visit, group.group_id())
                .ok()
                .flatten()
                .map(|statement| (*participant, statement))
        };
        Some(Self {
            statements: state.statements().keys().filter_map(statement_of).collect(),
            request,
        })
    }

    pub(super) fn id(&self) -> RoundId {
        self.request.claims().round
    }

    /// Everybody whose statement the group holds.
    pub(super) fn authors(&self) -> impl Iterator<Item = &ParticipantId> {
        self.statements.keys()
    }

    /// Somebody's highest statement of this round.
    pub(super) fn statement_of(&self, participant: ParticipantId) -> Option<&Statement> {
        self.statements.get(&participant)
    }
}
