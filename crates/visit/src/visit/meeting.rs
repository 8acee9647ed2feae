//! Who is host, and the lock. Both stand in the group's context, so that all members agree on them.

use super::commits::Want;
use super::membership::Membership;
use super::output::{CommandError, ErrorCode};
use super::{Role, Visit};
use crate::group::{MeetingChange, RosterMember};
use sealed_visit_protocol::ParticipantId;

impl Visit {
    /// Who of the roster is here and could act. Somebody who waits has no leaf to act with.
    fn candidates<'a>(
        &'a self,
        member: &'a Membership,
    ) -> impl Iterator<Item = &'a RosterMember> + 'a {
        member.group.roster().iter().filter(|entry| {
            let id = entry.participant;
            let is_here = self.peers.get(&id).is_some_and(|peer| peer.connected)
                && !self.waiting.contains_key(&id);
            (id == self.me || is_here) && !matches!(entry.role, Role::Recorder | Role::Server)
        })
    }

    /// The clinician to whom hosting was handed, as long as that one is here; else the first one who is.
    fn host(&self) -> Option<ParticipantId> {
        let member = self.member()?;
        let chosen = member.group.meeting().host;
        let clinicians = || {
            self.candidates(member)
                .filter(|entry| entry.role == Role::Clinician)
        };
        clinicians()
            .find(|entry| Some(entry.participant) == chosen)
            .or_else(|| clinicians().next())
            .map(|entry| entry.participant)
    }

    /// Who commits: the host, or the lowest live leaf while there is none.
    pub(super) fn acting(&self) -> Option<ParticipantId> {
        let member = self.member()?;
        let first = || self.candidates(member).next();
        self.host()
            .or_else(|| first().map(|entry| entry.participant))
    }

    /// Whether this member runs the meeting. A clinician who is in no group may start one.
    pub(super) fn is_host(&self) -> bool {
        self.is_clinician() && (self.member().is_none() || self.host() == Some(self.me))
    }

    pub(super) fn is_clinician(&self) -> bool {
        self.role == Role::Clinician
    }

    pub(super) fn require_host(&self) -> Result<(), CommandError> {
        if self.is_host() {
            Ok(())
        } else {
            Err(CommandError::new(
                ErrorCode::NotTheHost,
                "only the host can do this",
            ))
        }
    }

    pub(super) fn is_locked(&self) -> bool {
        match self.member() {
            Some(member) => member.group.meeting().locked,
            None => self.outside().is_some_and(|outside| outside.locked_out),
        }
    }

    /// Whether the lock keeps this participant out.
    pub(super) fn is_locked_out(&self, participant: ParticipantId) -> bool {
        self.is_locked()
            && self
                .member()
                .is_some_and(|member| !member.group.knows(participant))
    }

    pub(super) fn lock(&mut self, id: u32, locked: bool) -> Result<(), CommandError> {
        self.require_host()?;
        self.change_meeting(id, MeetingChange::Lock { locked })
    }

    pub(super) fn hand_over(
        &mut self,
        id: u32,
        participant: ParticipantId,
    ) -> Result<(), CommandError> {
        // A host who does not act any more cannot hand over: another clinician takes it.
        if participant != self.me || !self.is_clinician() {
            self.require_host()?;
        }
        let roster = self.require_member()?.group.roster();
        let is_clinician = roster
            .iter()
            .any(|entry| entry.participant == participant && entry.role == Role::Clinician);
        if !is_clinician {
            return Err(CommandError::new(
                ErrorCode::UnknownParticipant,
                "no clinician of that id is in the visit",
            ));
        }
        self.change_meeting(id, MeetingChange::Host { participant })
    }

    fn change_meeting(&mut self, id: u32, change: MeetingChange) -> Result<(), CommandError> {
        self.require_member()?.wants.push(Want {
            meeting: vec![change],
            command: Some(id),
            ..Want::default()
        });
        Ok(())
    }

    /// Tells somebody who waits whether the visit is locked: a courtesy, for who is not in the group that knows.
    pub(super) fn tell_lock(&mut self, participant: ParticipantId) {
        let is_person = self
            .waiting
            .get(&participant)
            .is_some_and(|waiter| waiter.role != Role::Recorder);
        if is_person && self.is_host() && self.member().is_some() {
            let key_package = self.waiting.get(&participant);
            let key_package = key_package.map(|waiter| waiter.key_package.clone());
            self.send_notice(participant, &key_package.unwrap_or_default(), false);
        }
    }

    pub(super) fn tell_lock_to_all(&mut self) {
        let waiting: Vec<ParticipantId> = self.waiting.keys().copied().collect();
        for participant in waiting {
            self.tell_lock(participant);
        }
    }
}
