//! What a step does: messages that are heard, lost or told twice, connections and pages that break, time that passes, and
//! what machines answer to all that.

use super::check::Broken;
use super::scene::{Letter, Scene, Sent, Tag};
use super::step::{Step, What};
use crate::visit::tests::sim::as_kept;
use crate::visit::{Input, Output};
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage, WelcomeFor};
use sealed_visit_protocol::{B64, ParticipantId};
use sealed_visit_relay::visit::{Delivery, To};
use std::sync::Arc;

impl Scene {
    /// Takes one step. False: it cannot happen here, and nothing did.
    pub fn apply(&mut self, step: Step) -> Result<bool, Broken> {
        let page = usize::from(step.page);
        if !self.enabled(step.what, page) {
            return Ok(false);
        }
        match step.what {
            What::Hear => self.hear(page)?,
            What::Relay => self.relay_hears(page)?,
            What::Time => self.time(page)?,
            What::Cut => self.cut(page)?,
            What::Connect => self.connect(page)?,
            What::Crash => self.crash(page)?,
            What::LoseKey => self.lose_key(page)?,
            What::SecondPage => self.open_second_page(page),
            What::TakeOver => self.take_over(page)?,
            What::Restore => self.restore(page)?,
            What::Drop => drop(self.pages[page].inbox.pop_front()),
            What::Lose => drop(self.pages[page].outbox.pop_front()),
            What::Twice => {
                let first = self.pages[page].inbox[0].clone();
                self.pages[page].inbox.push_front(first);
                self.hear(page)?;
            }
            What::Replay => {
                let first = self.pages[page].inbox[0].clone();
                self.pages[page].inbox.push_back(first);
                self.hear(page)?;
            }
            What::Swap => self.pages[page].inbox.swap(0, 1),
            What::Overtake => self.pages[page].outbox.swap(0, 1),
            What::Garbage => self.garbage(page)?,
            What::Fork => self.fork(page),
            What::EvilNew | What::EvilUsed | What::EvilReplace => {
                self.replace_group(step.what, page)?;
            }
            What::EvilDeny => self.deny(page),
            What::EvilLead => self.lead(),
            What::EvilRecorder | What::EvilEverybody | What::EvilContext | What::EvilDoor => {
                self.evil_strikes(step.what);
            }
            _ => self.person(step.what, page)?,
        }
        Ok(true)
    }

    pub(super) fn hear(&mut self, page: usize) -> Result<(), Broken> {
        let Some(letter) = self.pages[page].inbox.pop_front() else {
            return Ok(());
        };
        let message = letter.message.clone();
        // What comes out of order is not heard, and comes again.
        if let (Tag::Beat(run, count), RelayMessage::App { seq, .. }) = (letter.tag, &message) {
            let last = self.pages[page].machine.link.last_seq;
            if last.is_none_or(|last| *seq <= last + 1) {
                self.ghost.heard_beat(page, (run, count), self.now_ms);
            }
        }
        self.feed(page, Input::Relay { message })
    }

    pub(super) fn relay_hears(&mut self, page: usize) -> Result<(), Broken> {
        let Some(sent) = self.pages[page].outbox.pop_front() else {
            return Ok(());
        };
        let admitted = self.pages[page].admitted.clone();
        let who = admitted.participant;
        let relay = Arc::make_mut(&mut self.relay);
        let outcome = match sent.message.clone() {
            ClientMessage::Hello { after_seq, .. } => {
                self.pages[page].present = true;
                relay.connect(who, after_seq)
            }
            message => relay.handle(&admitted, message),
        };
        if let ClientMessage::KeyPackage { key_package } = &sent.message {
            self.ghost.waiting.insert(who, key_package.clone());
        }
        if let ClientMessage::Leave {} = &sent.message {
            self.ghost.waiting.remove(&who);
        }
        match outcome {
            Ok(deliveries) => self.deliver(deliveries, sent.tag),
            Err(denied) => self.pages[page].inbox.push_back(Arc::new(Letter {
                message: RelayMessage::Error {
                    code: denied.code,
                    detail: denied.detail.into(),
                },
                tag: Tag::None,
            })),
        }
        Ok(())
    }

    pub fn deliver(&mut self, deliveries: Vec<Delivery>, tag: Tag) {
        let messages = deliveries.into_iter().flat_map(|Delivery { to, parcel }| {
            let messages = self.relay.messages_of(parcel);
            messages.into_iter().map(move |message| (to, message))
        });
        for (to, message) in messages.collect::<Vec<_>>() {
            let tag = self.ghost.relay_says(&message, tag);
            if let Some(evil) = &mut self.evil {
                let who = evil.admitted.participant;
                if is_for(to, who) {
                    evil.hear(&message);
                }
            }
            let letter = Arc::new(Letter { message, tag });
            for page in self.pages.iter_mut().filter(|page| page.present) {
                if is_for(to, page.admitted.participant) {
                    page.inbox.push_back(letter.clone());
                }
            }
        }
    }

    /// Everybody whose clock is read is at least at this time from now on.
    pub(super) fn time(&mut self, page: usize) -> Result<(), Broken> {
        if let Some(at_ms) = self.pages[page].timer_ms.take() {
            self.now_ms = self.now_ms.max(at_ms);
        }
        self.feed(page, Input::Tick)
    }

    pub(super) fn connect(&mut self, page: usize) -> Result<(), Broken> {
        self.pages[page].connected = true;
        let message = RelayMessage::Challenge {
            v: 1,
            nonce: B64(vec![7; 32]),
        };
        self.feed(page, Input::Relay { message })
    }

    pub(super) fn lose_connection(&mut self, page: usize) {
        let this = &mut self.pages[page];
        (this.connected, this.present) = (false, false);
        this.inbox.clear();
        this.outbox.clear();
        let who = this.admitted.participant;
        self.ghost.waiting.remove(&who);
        let deliveries = Arc::make_mut(&mut self.relay).disconnect(who);
        self.deliver(deliveries, Tag::None);
    }

    pub(super) fn cut(&mut self, page: usize) -> Result<(), Broken> {
        self.lose_connection(page);
        self.feed(page, Input::RelayClosed)
    }

    pub(super) fn garbage(&mut self, page: usize) -> Result<(), Broken> {
        let admitted = self.pages[page].admitted.clone();
        let message = ClientMessage::Commit {
            group_id: self.ghost.groups.last().cloned().unwrap_or_default(),
            epoch: self.ghost.relay_epoch,
            commit: B64(b"no commit at all".to_vec()),
            welcomes: Vec::new(),
            removed: Vec::new(),
        };
        if let Ok(deliveries) = Arc::make_mut(&mut self.relay).handle(&admitted, message) {
            self.deliver(deliveries, Tag::None);
        }
        Ok(())
    }

    /// The commit is ordered for its author and for whom it adds, and for nobody else.
    pub(super) fn fork(&mut self, page: usize) {
        let Some(sent) = self.pages[page].outbox.pop_front() else {
            return;
        };
        let ClientMessage::Commit {
            group_id,
            epoch,
            commit,
            welcomes,
            ..
        } = sent.message.clone()
        else {
            return;
        };
        self.ghost.forked = true;
        let from = self.pages[page].admitted.participant;
        let mut letters = vec![(
            from,
            RelayMessage::Commit {
                seq: self.ghost.last_seq + 1,
                group_id: group_id.clone(),
                epoch,
                from,
                commit,
            },
        )];
        for WelcomeFor { to, welcome } in welcomes {
            letters.push((
                to,
                RelayMessage::Welcome {
                    group_id: group_id.clone(),
                    epoch: epoch + 1,
                    from,
                    welcome,
                },
            ));
        }
        for (to, message) in letters {
            let to_page = self
                .pages
                .iter_mut()
                .find(|page| page.admitted.participant == to && page.connected);
            if let Some(to_page) = to_page {
                let tag = Tag::None;
                to_page.inbox.push_back(Arc::new(Letter { message, tag }));
            }
        }
    }

    pub(super) fn evil_strikes(&mut self, what: What) {
        let adds = self.evil_adds(what);
        let Some(evil) = self.evil.as_mut() else {
            return;
        };
        let Some(member) = evil.member.take() else {
            return;
        };
        let packages: Vec<&[u8]> = adds.iter().map(|(_, package)| package.as_slice()).collect();
        let (commit, welcome) =
            member.add(&self.world.policy, &packages, what == What::EvilContext);
        let message = ClientMessage::Commit {
            group_id: B64(member.group_id().to_vec()),
            epoch: member.epoch(),
            commit: B64(commit),
            welcomes: adds
                .iter()
                .zip(std::iter::repeat(welcome.unwrap_or_default()))
                .map(|((to, _), welcome)| WelcomeFor {
                    to: *to,
                    welcome: B64(welcome),
                })
                .collect(),
            removed: Vec::new(),
        };
        let admitted = evil.admitted.clone();
        if let Ok(deliveries) = Arc::make_mut(&mut self.relay).handle(&admitted, message) {
            self.deliver(deliveries, Tag::None);
        }
    }

    pub(super) fn feed(&mut self, page: usize, input: Input) -> Result<(), Broken> {
        let now_ms = self.now_ms;
        let this = &mut self.pages[page];
        let outputs = Arc::make_mut(&mut this.machine).handle(input, now_ms);
        let (mut events, mut signed) = (Vec::new(), Vec::new());
        let mut reconnect = false;
        for output in outputs {
            match output {
                Output::Send { message } => {
                    let tag = this.tag(&message);
                    if this.connected {
                        let message = *message;
                        this.outbox.push_back(Arc::new(Sent { message, tag }));
                    }
                }
                Output::Event { event } => events.push(event),
                Output::InstallEpoch {
                    epoch, base_key, ..
                } => {
                    this.keys.insert(epoch, *base_key.0);
                }
                Output::UseEpoch { epoch } => this.sending_with = Some(epoch),
                Output::ClearKeys => {
                    this.keys.clear();
                    this.sending_with = None;
                }
                Output::Gate { open } => this.gate_open = open,
                Output::Reconnect => reconnect = true,
                Output::Remember { memory } => this.record.remember(as_kept(&memory)),
                Output::Signed { statement, .. }
                | Output::Withdrawal {
                    statement,
                    mine: true,
                } => signed.push(statement),
                Output::Failed { id, .. } => {
                    // The newest command is answered last.
                    self.ghost.failed = Some(id);
                }
                Output::Timer { at_ms } => this.timer_ms = Some(at_ms),
                _ => {}
            }
        }
        self.check_numbers(page, &signed)?;
        self.check(page, &events)?;
        if reconnect {
            self.cut(page)?;
        }
        Ok(())
    }

    /// Delivers until nothing is under way.
    pub fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..3_000 {
            let busy = (0..self.pages.len())
                .find(|page| self.enabled(What::Relay, *page) || self.enabled(What::Hear, *page));
            let Some(page) = busy else { return Ok(()) };
            self.relay_hears(page)?;
            if self.enabled(What::Hear, page) {
                self.hear(page)?;
            }
        }
        Err(self.broken("rest", "the visit does not settle"))
    }

    /// Lets time pass with everything delivered; the host lets in who waits.
    pub fn run_until(&mut self, until_ms: u64, admit: bool) -> Result<(), Broken> {
        loop {
            self.settle()?;
            for page in 0..if admit { self.pages.len() } else { 0 } {
                if self.enabled(What::Connect, page) {
                    self.connect(page)?;
                    self.settle()?;
                }
            }
            for page in 0..if admit { self.pages.len() } else { 0 } {
                let is_closed = self
                    .shown(page)
                    .is_some_and(|state| state.locked && self.to_admit(state).is_some());
                for what in [What::Lock, What::PauseAdmit, What::Admit] {
                    if self.enabled(what, page) && (what != What::Lock || is_closed) {
                        let page = page as u8;
                        self.apply(Step { what, page })?;
                        self.settle()?;
                    }
                }
            }
            let next = (0..self.pages.len())
                .filter(|page| self.enabled(What::Time, *page))
                .min_by_key(|page| self.pages[*page].timer_ms)
                .filter(|page| self.pages[*page].timer_ms.is_some_and(|at| at <= until_ms));
            let Some(page) = next else { break };
            self.time(page)?;
        }
        self.now_ms = self.now_ms.max(until_ms);
        Ok(())
    }
}

fn is_for(to: To, who: ParticipantId) -> bool {
    match to {
        To::One(one) => one == who,
        To::Others(but) => but != who,
        To::All => true,
    }
}
