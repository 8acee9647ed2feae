//! Who waits, and who is let in.

use super::commits::Want;
use super::output::{CommandError, ErrorCode, VisitEvent};
use super::state::ProblemCode;
use super::{Role, Visit};
use crate::group::{KeyPackageInfo, inspect_key_package};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::wire::Waiting;
use sealed_visit_protocol::{Hash32, ParticipantId, PublicKey};

/// Somebody who waits, with the key that its verified pass names.
#[derive(Clone)]
pub(super) struct Waiter {
    pub(super) role: Role,
    pub(super) key: PublicKey,
    pub(super) key_package: Vec<u8>,
    pub(super) key_package_id: Hash32,
}

impl Visit {
    pub(super) fn on_waiting(&mut self, entry: Waiting) {
        let participant = entry.participant;
        if participant == self.me {
            return;
        }
        self.peers
            .get_or_insert(participant, super::Peer::default())
            .connected = true;
        let genuine = inspect_key_package(&self.policy, &entry.key_package.0)
            .ok()
            .filter(|info| info.participant == participant)
            .filter(|info| info.pass.check_time(self.now_ms).is_ok());
        let Some(KeyPackageInfo { pass, id, .. }) = genuine else {
            self.problem(ProblemCode::GhostRefused, Some(participant));
            return;
        };
        // It asked again while the answer was under way.
        let has_served = self.used_key_packages.contains(&id);
        #[cfg(test)]
        let has_served = has_served && !breaks(Rule::ServesOnce);
        if has_served {
            return;
        }
        let role = pass.role();
        let waiter = Waiter {
            role,
            key: *pass.key(),
            key_package: entry.key_package.0,
            key_package_id: id,
        };
        let news = self.waiting.insert(participant, waiter).is_none();
        self.ask_again_outside(participant);
        self.tell_lock(participant);
        if news && self.is_host() && role != Role::Recorder && !self.may_return(participant) {
            self.event(VisitEvent::AdmissionRequested { participant, role });
        }
    }

    /// Whether somebody who waits comes back to a place it had, with the key it had.
    pub(super) fn may_return(&self, participant: ParticipantId) -> bool {
        let Some(waiter) = self.waiting.get(&participant) else {
            return false;
        };
        let in_roster = self
            .member()
            .and_then(|member| member.group.member(participant));
        let known = in_roster
            .map(|entry| entry.pass.key())
            .or_else(|| self.regroup.get(&participant))
            .or_else(|| self.admitted.get(&participant));
        known == Some(&waiter.key) && !self.denied.contains(&participant)
    }

    /// Lets back in who may come back, and takes out who said goodbye.
    pub(super) fn admit_returning(&mut self) {
        if self.acting() != Some(self.me) {
            return;
        }
        let returning: Vec<ParticipantId> = self
            .waiting
            .iter()
            .filter(|(participant, waiter)| match self.member() {
                Some(member) if waiter.role == Role::Recorder => {
                    // Only a recorder whose leaf is still there: it crashed, and was not paused.
                    member.has(**participant)
                }
                _ => true,
            })
            .map(|(participant, _)| *participant)
            .filter(|participant| self.may_return(*participant))
            .collect();
        let returning: Vec<ParticipantId> = returning
            .into_iter()
            .filter(|id| !self.is_locked_out(*id) && self.fits_recorder(*id))
            .collect();
        let Some(member) = self.member_mut() else {
            return;
        };
        for participant in returning {
            if !member.wants_add(participant) {
                member.wants.push(Want {
                    add: vec![participant],
                    ..Want::default()
                });
            }
        }
        let leaving: Vec<ParticipantId> = member.leaving.iter().copied().collect();
        for participant in leaving {
            if !member.has(participant) {
                member.leaving.remove(&participant);
            } else if !member.wants_removal(participant) {
                member.wants.push(Want {
                    remove: vec![participant],
                    ..Want::default()
                });
            }
        }
    }

    /// While a recorder is in the group, only who is in the roster, or has granted, can come in.
    pub(super) fn fits_recorder(&self, participant: ParticipantId) -> bool {
        self.member().is_none_or(|member| {
            let returns = || {
                let entry = member.group.member(participant);
                let waiter = self.waiting.get(&participant);
                entry.is_some_and(|entry| {
                    waiter.is_none_or(|waiter| waiter.key == *entry.pass.key())
                })
            };
            member.recorder().is_none() || returns() || self.agrees(participant)
        })
    }

    pub(super) fn admit(
        &mut self,
        id: u32,
        participant: ParticipantId,
    ) -> Result<(), CommandError> {
        self.require_host()?;
        self.waiting_person(participant)?;
        let fits = self.fits_recorder(participant);
        let member = self.require_member()?;
        if !fits {
            return Err(CommandError::new(
                ErrorCode::RecordingInProgress,
                "a recorder is in the visit: ask for consent first, or pause",
            ));
        }
        member.wants.push(Want {
            add: vec![participant],
            command: Some(id),
            ..Want::default()
        });
        self.let_in(participant);
        Ok(())
    }

    /// Somebody who waits and is no recorder: that one is added by `start_recorder` only.
    pub(super) fn waiting_person(
        &self,
        participant: ParticipantId,
    ) -> Result<&Waiter, CommandError> {
        let entry = self.waiting.get(&participant).ok_or_else(|| {
            CommandError::new(
                ErrorCode::UnknownParticipant,
                "nobody of that id waits to be let in",
            )
        })?;
        if entry.role == Role::Recorder {
            return Err(CommandError::new(
                ErrorCode::NotAgreed,
                "a recorder is added by start_recorder only",
            ));
        }
        if self.is_locked_out(participant) {
            return Err(CommandError::new(
                ErrorCode::Locked,
                "the visit is locked: unlock it first",
            ));
        }
        Ok(entry)
    }

    /// The host's decision: this person, with this key, may come in, and come back.
    pub(super) fn let_in(&mut self, participant: ParticipantId) {
        if let Some(waiter) = self.waiting.get(&participant) {
            self.admitted.insert(participant, waiter.key);
        }
        self.denied.remove(&participant);
    }
}
