//! What a state is, to the explorer: phases, rosters, epochs, statements, queues. Never a key, a time, or an id that is
//! drawn anew: participants are their pages, rounds and groups count back from the newest, epochs from the relay's.

use super::scene::{Letter, Page, Scene, Sent};
use crate::visit::commits::Want;
use crate::visit::membership::Membership;
use crate::visit::recording::Heard;
use crate::visit::{Stage, Visit};
use sealed_visit_protocol::consent::Change;
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage};
use sealed_visit_protocol::{B64, ParticipantId, RoundId};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;

impl Scene {
    pub fn projection(&self) -> u64 {
        let mut into = DefaultHasher::new();
        for page in &self.pages {
            self.page(page, &mut into);
        }
        let evil = self.evil.as_ref().map(|evil| {
            let member = evil.member.as_ref();
            let at = member.map(|member| self.epoch_in(member.group_id(), member.epoch()));
            let old = evil.old.iter();
            let old: Vec<_> = old
                .map(|old| (self.epoch_in(&old.id, 0).0, old.answered))
                .collect();
            (at, evil.replaced, evil.denials, old, evil.left_out)
        });
        evil.hash(&mut into);
        for waiting in self.ghost.waiting.keys() {
            self.who(*waiting).hash(&mut into);
        }
        (self.ghost.groups.is_empty(), self.ghost.forked).hash(&mut into);
        // Who said no: a machine that has not heard it is not in the same state as before.
        let (_, declined, _) = self.ghost.decisions();
        declined.hash(&mut into);
        into.finish()
    }

    fn who(&self, participant: ParticipantId) -> usize {
        self.pages
            .iter()
            .position(|page| page.admitted.participant == participant)
            .unwrap_or(usize::MAX)
    }

    /// Back from the newest; a round that never made it into a group is like any other such.
    fn round(&self, round: RoundId) -> usize {
        let rounds = self.ghost.rounds.iter().rev();
        rounds
            .clone()
            .position(|known| *known == round)
            .unwrap_or(9)
    }

    /// Groups back from the newest; epochs as they are to the relay's in its group, and among members elsewhere.
    fn epoch_in(&self, group_id: &[u8], epoch: u64) -> (usize, i64) {
        let mut groups = self.ghost.groups.iter().rev();
        let group = groups.position(|known| known.0 == group_id).unwrap_or(9);
        let to = if group == 0 {
            self.ghost.relay_epoch
        } else {
            0
        };
        (group, epoch as i64 - to as i64)
    }

    fn page(&self, page: &Page, into: &mut DefaultHasher) {
        (page.connected, page.present, page.gate_open).hash(into);
        let elsewhere = page.elsewhere.is_some();
        (
            page.held.len(),
            page.second.is_some(),
            page.is_older,
            elsewhere,
        )
            .hash(into);
        // Whose timer is next, not when.
        let timers = self.pages.iter().filter_map(|page| page.timer_ms);
        page.timer_ms
            .map(|at_ms| {
                let earlier = timers.filter(|other| *other < at_ms).count();
                (earlier, at_ms <= self.now_ms)
            })
            .hash(into);
        for letter in &page.inbox {
            self.letter(letter, into);
        }
        0xFFu8.hash(into);
        for sent in &page.outbox {
            self.sent(sent, into);
        }
        self.project(&page.machine, into);
    }

    fn project(&self, visit: &Visit, into: &mut DefaultHasher) {
        discriminant(&visit.stage).hash(into);
        if let Stage::Member(member) = &visit.stage {
            self.membership(member, into);
        }
        let base = visit.member().map(|member| member.group.epoch());
        let relative = |epoch: u64| epoch as i64 - base.unwrap_or(0) as i64;
        visit.keys.sending().map(relative).hash(into);
        visit.keys.next.map(|(epoch, _)| relative(epoch)).hash(into);
        if let Some(state) = &visit.shown {
            discriminant(&state.indicator).hash(into);
            (state.locked, state.host.map(|host| self.who(host))).hash(into);
        }
        for (id, peer) in visit.peers.iter() {
            (self.who(*id), peer.connected, peer.name.is_some()).hash(into);
        }
        let ids = visit
            .waiting
            .keys()
            .map(|id| (0, id))
            .chain(visit.regroup.keys().map(|id| (1, id)))
            .chain(visit.admitted.keys().map(|id| (2, id)))
            .chain(visit.denied.iter().map(|id| (3, id)));
        for (set, id) in ids {
            (set, self.who(*id)).hash(into);
        }
        for (id, asked) in visit.asked.iter() {
            (self.who(*id), asked.answer).hash(into);
        }
        visit
            .asking()
            .map(|asking| asking.answer.as_ref().map(|answer| answer.claims().kind))
            .hash(into);
        let outside = visit.outside();
        outside
            .map(|outside| (outside.locked_out, outside.has_withdrawn))
            .hash(into);
        let (former, dead) = visit.memory.gone();
        let mut former: Vec<_> = former.map(|id| self.epoch_in(&id.0, 0).0).collect();
        let mut dead: Vec<_> = dead.map(|round| self.round(*round)).collect();
        former.sort_unstable();
        dead.sort_unstable();
        (former, dead).hash(into);
        let granted = visit.memory.granted().map(|round| self.round(round));
        granted.hash(into);
        let memory = &visit.recording;
        let said = |heard: &Heard| {
            let claims = heard.statement.claims();
            let author = self.who(heard.statement.participant());
            (author, claims.kind, self.round(claims.round))
        };
        let mut heard: Vec<_> = memory.heard().map(said).collect();
        heard.sort_unstable();
        heard.hash(into);
        let fresh = memory.heartbeat_is_fresh(visit.now_ms);
        let stop = memory
            .stop
            .map(|(by, why)| (self.who(by), discriminant(&why)));
        let left = memory
            .left
            .map(|(why, by)| (self.who(by), discriminant(&why)));
        let held: Vec<_> = memory.held_by.iter().map(|id| self.who(*id)).collect();
        let paused = memory.off_the_record.map(|round| self.round(round));
        (fresh, stop, left, memory.told).hash(into);
        (held, paused, memory.came_back).hash(into);
        memory.resume.is_some().hash(into);
        let link = &visit.link;
        let behind = link
            .last_seq
            .map(|seq| self.ghost.last_seq as i64 - seq as i64);
        (link.ready, link.caught_up(), behind).hash(into);
        for outgoing in &link.outbox {
            (discriminant(&outgoing.message), outgoing.sent.is_some()).hash(into);
        }
    }

    fn membership(&self, member: &Membership, into: &mut DefaultHasher) {
        let group = &member.group;
        self.epoch_in(group.group_id(), group.epoch()).hash(into);
        for entry in group.roster() {
            self.who(entry.participant).hash(into);
        }
        member
            .round
            .as_ref()
            .map(|round| self.round(round.id()))
            .hash(into);
        if let Some(round) = &member.round {
            for entry in group.roster() {
                let said = round.statement_of(entry.participant);
                said.map(|said| said.claims().kind).hash(into);
            }
        }
        member.confirmed.hash(into);
        member.invited_by.map(|by| self.who(by)).hash(into);
        for by in member.confirmed_by.iter() {
            self.who(*by).hash(into);
        }
        for want in &member.wants {
            self.want(want, into);
        }
        if let Some(pending) = &member.pending {
            1u8.hash(into);
            for want in &pending.wants {
                self.want(want, into);
            }
        }
        member.behind_until.is_some().hash(into);
        if let Some(refused) = &member.refused {
            (refused.offender.map(|id| self.who(id)), refused.acted).hash(into);
        }
        for id in member.leaving.iter() {
            self.who(*id).hash(into);
        }
    }

    fn want(&self, want: &Want, into: &mut DefaultHasher) {
        for id in want.add.iter().chain(&want.remove) {
            self.who(*id).hash(into);
        }
        want.command.is_some().hash(into);
        for change in &want.meeting {
            discriminant(change).hash(into);
        }
        for change in &want.consent {
            match change {
                Change::Request(_) => 9u8.hash(into),
                Change::Statement(jws) => {
                    let claims = jws.unverified_claims().ok();
                    claims.map(|claims| claims.kind).hash(into);
                }
            }
        }
    }

    fn letter(&self, letter: &Letter, into: &mut DefaultHasher) {
        discriminant(&letter.message).hash(into);
        self.tag(letter.tag, into);
        match &letter.message {
            RelayMessage::Commit {
                group_id,
                epoch,
                from,
                ..
            }
            | RelayMessage::App {
                group_id,
                epoch,
                from,
                ..
            }
            | RelayMessage::Welcome {
                group_id,
                epoch,
                from,
                ..
            } => {
                self.at(group_id, *epoch, into);
                self.who(*from).hash(into);
            }
            RelayMessage::CommitRejected {
                group_id, epoch, ..
            } => self.at(group_id, *epoch, into),
            RelayMessage::GroupCreated { by, .. } => self.who(*by).hash(into),
            RelayMessage::Presence {
                participant,
                present,
            } => (self.who(*participant), present).hash(into),
            RelayMessage::Waiting { waiting } => self.who(waiting.participant).hash(into),
            RelayMessage::Ready { present, .. } => present.len().hash(into),
            RelayMessage::Direct { from, .. } => self.who(*from).hash(into),
            _ => {}
        }
    }

    fn sent(&self, sent: &Sent, into: &mut DefaultHasher) {
        discriminant(&sent.message).hash(into);
        self.tag(sent.tag, into);
        match &sent.message {
            ClientMessage::Commit {
                group_id,
                epoch,
                welcomes,
                ..
            } => {
                self.at(group_id, *epoch, into);
                for welcome in welcomes {
                    self.who(welcome.to).hash(into);
                }
            }
            ClientMessage::App {
                group_id, epoch, ..
            } => self.at(group_id, *epoch, into),
            ClientMessage::CreateGroup { replaces, .. } => replaces.is_some().hash(into),
            _ => {}
        }
    }

    fn at(&self, group_id: &B64, epoch: u64, into: &mut DefaultHasher) {
        self.epoch_in(&group_id.0, epoch).hash(into);
    }

    /// Heartbeats differ by their order, which their place in the queue says.
    fn tag(&self, tag: super::scene::Tag, into: &mut DefaultHasher) {
        discriminant(&tag).hash(into);
    }
}
