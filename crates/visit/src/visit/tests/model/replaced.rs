//! Groups that are replaced by a relay and a clinician without rules: under any id, old or new, with whatever the relay
//! remembered lost.

use super::check::Broken;
use super::scene::{EVIL, EvilPage, Letter, Scene, Tag};
use super::step::{Reuse, What};
use crate::group::tests::evil::{Evil, LeftOut};
use crate::visit::app_message::AppMessage;
use crate::visit::outside::{DirectMessage, Notice};
use crate::visit::tests::consent::asked_of;
use crate::visit::{Command, Input, Stage};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage, WelcomeFor};
use sealed_visit_protocol::{B64, Hash32, Role};
use std::sync::Arc;

/// So often the group is replaced in one schedule.
const MOST: u32 = 2;

impl From<Reuse> for LeftOut {
    fn from(reuse: Reuse) -> Self {
        Self {
            dead_rounds: reuse.without_dead_rounds,
            numbers: reuse.without_numbers,
            roles: reuse.without_roles,
        }
    }
}

impl Scene {
    /// The host asks for consent a second time, which ends the first round.
    pub fn ask_anew(&mut self) {
        let recorder = self.pages[self.recorder()].admitted.participant;
        let asked = asked_of(&self.world, recorder);
        let command = Command::RequestConsent(Box::new(asked));
        let outcome = self.feed(0, Input::Command { id: 0, command });
        outcome.expect("the host asks anew");
        let until_ms = self.now_ms + 1_500;
        self.run_until(until_ms, false).expect("a calm scene");
    }

    pub fn can_replace(&self) -> bool {
        let is_set = self.setting.stranger || self.setting.begin == super::scene::Begin::Refused;
        let mut evil = self.evil.iter();
        is_set && evil.any(|evil| evil.replaced < MOST)
    }

    /// The ids of all groups that there were, in the order in which they came up.
    pub fn used_ids(&self) -> Vec<&B64> {
        let mut ids = Vec::new();
        for id in &self.ghost.groups {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// There is such a group; and what is left out of its context is there.
    pub fn can_reuse(&self, reuse: Reuse) -> bool {
        let ids = self.used_ids();
        let evil = self.evil.as_ref().filter(|_| reuse.group < ids.len());
        evil.is_some_and(|evil| {
            let old = evil.old.iter().find(|old| old.id == ids[reuse.group].0);
            let holds = old.map_or(LeftOut::default(), |old| old.holds);
            (holds.dead_rounds || !reuse.without_dead_rounds)
                && (holds.numbers || !reuse.without_numbers)
                && (holds.roles || !reuse.without_roles)
        })
    }

    /// The group's id, once more: with the context that was seen there, or, of whoever was never in it, with a new one.
    fn used_again(&self, evil: &EvilPage, reuse: Reuse) -> Option<Evil> {
        let identity = self.world.identity(EVIL, Role::Clinician);
        let id = &self.used_ids().get(reuse.group)?.0;
        let old = evil.old.iter().find(|old| old.id == *id);
        Some(match old {
            Some(old) => Evil::revived(&self.world, &identity, id, &old.context, reuse.into()),
            None => Evil::stranger(&self.world.policy, &identity, id),
        })
    }

    pub fn replace_group(&mut self, what: What, page: usize) -> Result<(), Broken> {
        let Some(evil) = self.evil.clone() else {
            return Ok(());
        };
        let identity = self.world.identity(EVIL, Role::Clinician);
        let group = match what {
            What::EvilUsed => self.used_again(&evil, Reuse::of(page)),
            _ => {
                let group_id = [b"evil group ".as_slice(), &[evil.replaced as u8]].concat();
                Some(Evil::stranger(&self.world.policy, &identity, &group_id))
            }
        };
        let Some(group) = group else { return Ok(()) };
        let replaces = if what == What::EvilReplace {
            self.ghost.groups.last().cloned()
        } else {
            self.relay_forgets()?;
            None
        };
        let admitted = evil.admitted.clone();
        let message = ClientMessage::CreateGroup {
            group_id: B64(group.group_id().to_vec()),
            replaces,
        };
        let relay = Arc::make_mut(&mut self.relay);
        let mut deliveries = relay.connect(admitted.participant, None).unwrap();
        let outcome = relay.handle(&admitted, message);
        let is_refused = outcome.is_err();
        deliveries.extend(outcome.unwrap_or_default());
        self.deliver(deliveries, Tag::None);
        if let Some(evil) = self.evil.as_mut().filter(|_| is_refused) {
            evil.replaced += 1;
            return Ok(());
        }
        if let Some(evil) = &mut self.evil {
            evil.member = Some(Arc::new(group));
            evil.left_out = match what {
                What::EvilUsed => Reuse::of(page).into(),
                _ => LeftOut::default(),
            };
            evil.replaced += 1;
        }
        Ok(())
    }

    /// The relay as it is after it lost everything.
    fn relay_forgets(&mut self) -> Result<(), Broken> {
        let connected: Vec<usize> = (0..self.pages.len())
            .filter(|page| self.pages[*page].connected)
            .collect();
        for page in &connected {
            self.lose_connection(*page);
        }
        self.relay = Arc::default();
        self.ghost.relay_forgot();
        for page in connected {
            self.feed(page, Input::RelayClosed)?;
        }
        Ok(())
    }

    /// Somebody waits whom nobody's word but the host's may turn away.
    pub fn can_deny(&self, page: usize) -> bool {
        let this = &self.pages[page];
        let waits = matches!(this.machine.stage, Stage::Waiting { .. });
        let evil = self.evil.as_ref().filter(|_| self.setting.stranger);
        waits && this.present && evil.is_some_and(|evil| evil.denials < MOST)
    }

    /// The relay says that it comes from the host; the host's key has not signed it.
    pub fn deny(&mut self, page: usize) {
        let this = &self.pages[page];
        let Stage::Waiting { key_package, .. } = &this.machine.stage else {
            return;
        };
        let host = &self.pages[0].admitted;
        let notice = self.world.key(EVIL).sign(&Notice {
            v: 1,
            to: this.admitted.participant,
            key_package: sha256(key_package),
            denied: true,
            locked: false,
            pass: host.pass.jws().clone(),
        });
        let data = serde_json::to_vec(&DirectMessage::Notice { notice }).unwrap();
        let message = RelayMessage::Direct {
            from: host.participant,
            data: B64(data),
        };
        let letter = Arc::new(Letter {
            message,
            tag: Tag::None,
        });
        self.pages[page].inbox.push_back(letter);
        if let Some(evil) = &mut self.evil {
            evil.denials += 1;
        }
    }

    pub fn can_lead(&self) -> bool {
        self.evil.as_ref().is_some_and(|evil| evil.replaced > 0)
            && self.evil_can_commit()
            && !self.evil_adds(What::EvilLead).is_empty()
    }

    /// Adds whoever waits, and proves the epoch to them, as an honest inviter would.
    pub fn lead(&mut self) {
        let adds = self.evil_adds(What::EvilLead);
        let Some(evil) = self.evil.as_mut() else {
            return;
        };
        let Some(member) = evil.member.take() else {
            return;
        };
        let mut member = (*member).clone();
        let packages: Vec<&[u8]> = adds.iter().map(|(_, package)| package.as_slice()).collect();
        let (commit, welcome) = member.add_pending(&self.world.policy, &packages);
        let (group_id, epoch) = (B64(member.group_id().to_vec()), member.epoch());
        let welcome = B64(welcome.unwrap_or_default());
        let ordered = ClientMessage::Commit {
            group_id: group_id.clone(),
            epoch,
            commit: B64(commit),
            welcomes: adds
                .iter()
                .map(|(to, _)| WelcomeFor {
                    to: *to,
                    welcome: welcome.clone(),
                })
                .collect(),
            removed: Vec::new(),
        };
        member.follow_own();
        let hello = AppMessage::Hello {
            name: self.world.name(EVIL).0,
            salt: B64(self.world.name(EVIL).1.to_vec()),
            proof: Hash32(member.proof()),
        };
        let epoch = member.epoch();
        self.ghost.proved(group_id.0.clone(), epoch, member.proof());
        let said = ClientMessage::App {
            data: B64(member.say(&hello.to_bytes())),
            group_id,
            epoch,
        };
        let admitted = evil.admitted.clone();
        for message in [ordered, said] {
            let outcome = Arc::make_mut(&mut self.relay).handle(&admitted, message);
            if let Ok(deliveries) = outcome {
                self.deliver(deliveries, Tag::Hello);
            }
        }
        if let Some(evil) = &mut self.evil {
            evil.member = Some(Arc::new(member));
        }
    }
}
