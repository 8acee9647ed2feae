//! When an epoch's base key is installed, used for sending, and retired.
//!
//! Where an epoch only adds, senders switch once everybody has confirmed it, or after a second; where it removes
//! somebody, at once. Old keys live two seconds longer than anybody may send with them.

use super::membership::Membership;
use super::output::{BaseKey, LeafOf, Output, Outputs};
use super::{Role, Visit};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};

/// Longest wait for confirmations before sending with a new key.
const SWITCH_AFTER_MS: u64 = 1_000;

/// How long an old key is kept for frames under way.
const RETIRE_AFTER_MS: u64 = 2_000;

/// Which epochs the frame engine knows.
#[derive(Clone, Default)]
pub(super) struct KeySchedule {
    /// The epoch that is sent with.
    sending: Option<u64>,
    /// The epoch to switch to, and when at the latest.
    pub(super) next: Option<(u64, u64)>,
}

impl KeySchedule {
    pub(super) fn sending(&self) -> Option<u64> {
        self.sending
    }

    pub(super) fn deadline_ms(&self) -> Option<u64> {
        self.next.map(|(_, at_ms)| at_ms)
    }

    pub(super) fn clear(&mut self, out: &mut Outputs) {
        *self = Self::default();
        out.push(Output::ClearKeys);
    }

    fn switch(&mut self, epoch: u64, retire_at_ms: u64, out: &mut Outputs) {
        self.next = None;
        if self.sending == Some(epoch) {
            return;
        }
        out.push(Output::UseEpoch { epoch });
        if let Some(old) = self.sending.replace(epoch) {
            out.push(Output::RetireEpoch {
                epoch: old,
                at_ms: retire_at_ms,
            });
        }
    }
}

impl Visit {
    /// Hands the current epoch's key to the frame engine: after a commit, with the leaves that it removed, or (none)
    /// once the own join is confirmed.
    pub(super) fn install_current_epoch(&mut self, removed: Option<&[u8]>) {
        let Some(member) = self.member() else { return };
        let (epoch, own_leaf) = (member.group.epoch(), member.group.own_leaf());
        let Ok(base_key) = member.group.frame_base_key() else {
            return self.lose_group();
        };
        let leaves: Vec<LeafOf> = member
            .group
            .roster()
            .iter()
            // A recorder sends nothing: no key is made for its leaf.
            .filter(|entry| entry.role != Role::Recorder)
            .map(|entry| LeafOf {
                leaf: entry.leaf,
                participant: entry.participant,
            })
            .collect();
        self.out.push(Output::InstallEpoch {
            epoch,
            base_key: BaseKey(base_key),
            own_leaf,
            leaves,
        });
        let now_ms = self.now_ms;
        for leaf in removed.unwrap_or_default() {
            self.out.push(Output::DropLeaf {
                epoch: epoch.saturating_sub(1),
                leaf: *leaf,
            });
        }
        #[cfg(test)]
        let removed = if breaks(Rule::SwitchAtOnce) {
            removed.map(|_| &[][..])
        } else {
            removed
        };
        if removed.is_none_or(|removed| !removed.is_empty()) || self.keys.sending.is_none() {
            self.keys
                .switch(epoch, now_ms + RETIRE_AFTER_MS, &mut self.out);
        } else {
            // A second change within the second: do not let the one before starve.
            if let Some((before, _)) = self.keys.next.take() {
                self.keys.switch(
                    before,
                    now_ms + SWITCH_AFTER_MS + RETIRE_AFTER_MS,
                    &mut self.out,
                );
            }
            self.keys.next = Some((epoch, now_ms + SWITCH_AFTER_MS));
        }
    }

    /// Switches when everybody has the new key, or time is up.
    pub(super) fn switch_keys(&mut self) {
        let Some((epoch, at_ms)) = self.keys.next else {
            return;
        };
        let everybody = self.member().is_some_and(|member| {
            member.group.epoch() == epoch && self.everybody_connected_confirmed(member)
        });
        if everybody || self.now_ms >= at_ms {
            let retire_at_ms = self.now_ms + SWITCH_AFTER_MS + RETIRE_AFTER_MS;
            self.keys.switch(epoch, retire_at_ms, &mut self.out);
        }
    }

    fn everybody_connected_confirmed(&self, member: &Membership) -> bool {
        member.group.roster().iter().all(|entry| {
            entry.participant == self.me || member.confirmed_by.contains(&entry.participant)
        })
    }
}
