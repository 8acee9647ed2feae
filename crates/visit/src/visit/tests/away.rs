//! Saying no while rejoining: the click counts at once, outlives whatever happens next, and is heard once there is
//! somebody to hear it.

use super::consent::{RECORDER, asked_among, asked_of, grant, refusal, waiting_recorder};
use super::sim::Sim;
use crate::visit::{
    Command, ErrorCode, Indicator, Input, NotSending, Phase, RecorderLeft, Stage, VisitEvent,
};
use sealed_visit_protocol::consent::{Statement, StatementKind, WithdrawalWish};
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage, Waiting};
use sealed_visit_protocol::{B64, Role};

const PATIENT: usize = 1;

/// Three people who agreed, and a recorder with them.
fn recorded() -> Sim {
    let mut sim = waiting_recorder();
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    assert!(sim.recorder_hears(PATIENT));
    sim
}

fn withdraw() -> Command {
    Command::Withdraw {
        wish: Some(WithdrawalWish::Delete),
    }
}

impl Sim {
    /// This page loses its place in the group, and its question for a new one does not get through.
    pub fn lose_place(&mut self, page: usize) {
        self.hold = Some(|message| matches!(message, ClientMessage::KeyPackage { .. }));
        let lost = RelayMessage::Commit {
            seq: self.pages[page].visit.link.last_seq.unwrap() + 1,
            group_id: self.group_id(page),
            epoch: 1_000,
            from: self.id(0),
            commit: B64(vec![0]),
        };
        self.feed(page, Input::Relay { message: lost });
        assert_ne!(self.state(page).phase, Phase::Live);
    }

    /// It gets through from now on. What it sends reaches the recorder at no time.
    pub fn rejoin(&mut self, page: usize) {
        self.hold = None;
        self.held.clear();
        for _ in 0..150 {
            self.pass_ms(100);
            assert!(!self.recorder_hears(page));
        }
        assert_eq!(self.state(page).phase, Phase::Live);
        assert!(self.pages[page].gate_open);
    }

    /// Whether what this page sends reaches the recorder.
    pub fn recorder_hears(&self, page: usize) -> bool {
        let this = &self.pages[page];
        let key = this.sending_with.and_then(|epoch| this.keys.get(&epoch));
        let heard = &self.pages[RECORDER].keys;
        this.gate_open && key.is_some_and(|key| heard.values().any(|known| known == key))
    }

    /// This page's withdrawal is signed, with the wish to delete, and handed out for the vault.
    fn assert_signed(&self, page: usize) {
        let [(jws, mine)] = self.pages[page].withdrawals.as_slice() else {
            panic!("{:?}", self.pages[page].withdrawals);
        };
        let group_id = jws.unverified_claims().unwrap().group_id;
        let clinic = self.world.policy.clinic();
        let statement = Statement::verify(jws, clinic, self.world.visit, &group_id.0).unwrap();
        assert!(*mine && statement.participant() == self.id(page));
        assert_eq!(statement.claims().kind, StatementKind::Withdrawal);
        assert_eq!(statement.claims().wish, Some(WithdrawalWish::Delete));
    }

    /// Shows this page, which waits, to a clinician, as a relay would.
    fn show_waiting(&self, page: usize) -> Input {
        let Stage::Waiting { key_package, .. } = &self.pages[page].visit.stage else {
            panic!("page {page} does not wait");
        };
        let waiting = Waiting {
            participant: self.id(page),
            role: self.pages[page].admitted.role,
            pass: self.pages[page].admitted.pass.jws().clone(),
            key_package: B64(key_package.clone()),
        };
        let message = RelayMessage::Waiting { waiting };
        Input::Relay { message }
    }

    /// A clinician who is in no group with this page asks it about a round of its own.
    fn is_asked_by_a_stranger(&mut self, page: usize) {
        // Another visit of the same name, in which only the stranger is.
        let mut elsewhere = Sim::new(1);
        elsewhere.runs = 100;
        elsewhere.open(Role::Clinician);
        let recorder = elsewhere.world.participant(9);
        elsewhere.settle();
        let request = asked_of(&elsewhere.world, recorder);
        elsewhere.must(0, Command::RequestConsent(Box::new(request)));
        elsewhere.feed(0, self.show_waiting(page));
        elsewhere.hold = Some(|message| matches!(message, ClientMessage::Direct { .. }));
        let participant = self.id(page);
        elsewhere.command(0, Command::AskWaiting { participant });
        for (_, message) in std::mem::take(&mut elsewhere.held) {
            let ClientMessage::Direct { data, .. } = message else {
                panic!("{message:?}");
            };
            let from = elsewhere.id(0);
            let message = RelayMessage::Direct { from, data };
            self.feed(page, Input::Relay { message });
        }
        assert!(self.pages[page].visit.asking().is_some());
    }

    /// The host asks this page outside about the round that it has agreed to inside, and keeps it out.
    fn is_asked_again_by_the_host(&mut self, page: usize) {
        self.hold = Some(|message| {
            matches!(
                message,
                ClientMessage::KeyPackage { .. } | ClientMessage::Commit { .. }
            )
        });
        let shown = self.show_waiting(page);
        self.feed(0, shown);
        let participant = self.id(page);
        self.must(0, Command::AskWaiting { participant });
        assert!(self.pages[page].visit.asking().is_some());
    }

    fn assert_over(&self) {
        for page in 0..3 {
            let state = self.state(page);
            assert!(state.consent.is_none(), "the round is dead");
            let mut roster = state.roster.iter();
            assert!(roster.all(|entry| entry.role != Role::Recorder));
        }
        assert_eq!(self.state(PATIENT).indicator, Indicator::StoppedByYou);
    }
}

#[test]
fn a_withdrawal_while_rejoining_is_signed_at_once_and_heard_once_live() {
    let mut sim = recorded();
    sim.lose_place(PATIENT);
    let id = sim.command(PATIENT, withdraw());
    assert!(sim.pages[PATIENT].done.contains(&id));
    assert!(!sim.pages[PATIENT].gate_open);
    let state = sim.state(PATIENT);
    assert_eq!(state.indicator, Indicator::StoppedByYou);
    assert_eq!(state.sending.reason, Some(NotSending::Withdrawn));
    sim.assert_signed(PATIENT);
    // A second click changes nothing.
    let again = sim.command(PATIENT, withdraw());
    assert!(sim.pages[PATIENT].done.contains(&again));
    sim.rejoin(PATIENT);
    sim.assert_signed(PATIENT);
    sim.assert_over();
    assert_eq!(sim.state(PATIENT).sending.reason, None);
    for page in [0, 2] {
        let participant = sim.id(PATIENT);
        let told = VisitEvent::Withdrawn { participant };
        assert!(sim.pages[page].events.contains(&told), "page {page}");
        assert_eq!(sim.pages[page].withdrawals.len(), 1);
    }
    let why = RecorderLeft::Withdrawn;
    let told = VisitEvent::RecorderLeft { why };
    assert!(sim.pages[RECORDER].events.contains(&told));
}

#[test]
fn a_withdrawal_while_rejoining_outlives_a_reload() {
    let mut sim = recorded();
    sim.lose_place(PATIENT);
    sim.command(PATIENT, withdraw());
    sim.reload(PATIENT);
    assert_eq!(sim.state(PATIENT).indicator, Indicator::StoppedByYou);
    sim.rejoin(PATIENT);
    sim.assert_over();
}

#[test]
fn whoever_withdraws_from_a_page_that_was_just_loaded_has_withdrawn() {
    let mut sim = recorded();
    sim.hold = Some(|message| matches!(message, ClientMessage::KeyPackage { .. }));
    sim.reload(PATIENT);
    let id = sim.command(PATIENT, withdraw());
    assert!(sim.pages[PATIENT].done.contains(&id));
    sim.assert_signed(PATIENT);
    sim.rejoin(PATIENT);
    sim.assert_over();
}

#[test]
fn a_withdrawal_while_rejoining_outlives_the_group() {
    for reloads in [false, true] {
        let mut sim = recorded();
        let group_id = sim.group_id(0);
        sim.lose_place(PATIENT);
        sim.command(PATIENT, withdraw());
        // What is no commit takes the epoch: everybody leaves for a new group.
        let garbage = ClientMessage::Commit {
            group_id: group_id.clone(),
            epoch: sim.state(0).epoch.unwrap(),
            commit: B64(b"no commit at all".to_vec()),
            welcomes: Vec::new(),
            removed: Vec::new(),
        };
        sim.relay_hears(0, garbage);
        sim.pass_ms(4_000);
        if reloads {
            sim.reload(PATIENT);
        }
        sim.rejoin(PATIENT);
        assert_ne!(sim.group_id(PATIENT), group_id);
        sim.assert_signed(PATIENT);
        sim.assert_over();
    }
}

#[test]
fn a_withdrawal_before_the_welcome_is_proved_counts() {
    let mut sim = recorded();
    sim.lose_place(PATIENT);
    // Everybody else is silent: the welcome stays unproved.
    sim.hold = Some(|message| matches!(message, ClientMessage::App { .. }));
    let held = std::mem::take(&mut sim.held);
    for (page, message) in held {
        sim.relay_hears(page, message);
    }
    sim.settle();
    let member = sim.pages[PATIENT].visit.member();
    assert!(member.is_some_and(|member| !member.confirmed));
    let id = sim.command(PATIENT, withdraw());
    assert!(sim.pages[PATIENT].done.contains(&id));
    sim.assert_signed(PATIENT);
    let said = std::mem::take(&mut sim.held);
    sim.hold = None;
    for (page, message) in said {
        sim.relay_hears(page, message);
    }
    sim.rejoin(PATIENT);
    sim.assert_over();
}

#[test]
fn a_withdrawal_that_loses_its_group_on_the_way_is_not_called_a_failure() {
    let mut sim = recorded();
    sim.hold = Some(|_| true);
    let id = sim.command(PATIENT, withdraw());
    assert!(!sim.pages[PATIENT].done.contains(&id));
    sim.lose_place(PATIENT);
    assert!(sim.pages[PATIENT].done.contains(&id));
    sim.rejoin(PATIENT);
    sim.assert_over();
}

#[test]
fn a_refusal_while_rejoining_is_heard_once_live() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    sim.must(0, grant());
    sim.lose_place(PATIENT);
    let id = sim.command(PATIENT, refusal());
    assert!(sim.pages[PATIENT].done.contains(&id));
    // Nobody is recorded, and nothing stands: there is nothing to hand to the vault.
    assert!(sim.pages[PATIENT].withdrawals.is_empty());
    sim.reload(PATIENT);
    sim.rejoin(PATIENT);
    let mine = sim.state(PATIENT).consent.unwrap().my_answer;
    assert_eq!(mine, Some(StatementKind::Refusal));
    assert!(sim.state(0).consent.unwrap().someone_refused);
}

#[test]
fn a_grant_while_rejoining_is_not_remembered() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    sim.must(0, grant());
    sim.must(2, grant());
    sim.lose_place(PATIENT);
    let id = sim.command(PATIENT, grant());
    assert!(sim.pages[PATIENT].failed.contains_key(&id));
    sim.rejoin(PATIENT);
    assert_eq!(sim.state(PATIENT).consent.unwrap().my_answer, None);
    let start = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&start], ErrorCode::NotAgreed);
}

#[test]
fn whoever_was_asked_nothing_has_nothing_to_withdraw_from() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient]);
    sim.lose_place(PATIENT);
    for command in [withdraw(), refusal()] {
        let id = sim.command(PATIENT, command);
        assert_eq!(sim.pages[PATIENT].failed[&id], ErrorCode::NoRound);
    }
}

/// A clinician who is in no group with the patient hopes that the click goes there.
#[test]
fn whoever_asks_outside_does_not_swallow_a_withdrawal() {
    let mut sim = recorded();
    sim.lose_place(PATIENT);
    sim.is_asked_by_a_stranger(PATIENT);
    sim.command(PATIENT, withdraw());
    sim.assert_signed(PATIENT);
    sim.rejoin(PATIENT);
    sim.assert_over();
}

/// Nor does it make a member forget what it agreed to inside, whatever the person answers outside.
#[test]
fn whatever_was_answered_outside_the_grant_inside_can_be_taken_back() {
    for answer in [refusal(), grant()] {
        for reloads in [false, true] {
            let mut sim = recorded();
            let round = sim.pages[PATIENT].visit.open_round().unwrap().id();
            sim.lose_place(PATIENT);
            sim.is_asked_by_a_stranger(PATIENT);
            sim.must(PATIENT, answer.clone());
            if reloads {
                sim.reload(PATIENT);
            }
            let id = sim.command(PATIENT, withdraw());
            let page = &sim.pages[PATIENT];
            assert!(page.done.contains(&id), "{:?}", page.failed);
            sim.assert_signed(PATIENT);
            let (signed, _) = &page.withdrawals[0];
            assert_eq!(signed.unverified_claims().unwrap().round, round);
            sim.rejoin(PATIENT);
            sim.assert_over();
        }
    }
}

/// A host who keeps somebody out and asks outside about the round that is recorded gets no answer in the vault's place.
#[test]
fn whoever_is_asked_outside_about_the_round_it_is_in_says_no_to_everybody() {
    let mut sim = recorded();
    sim.lose_place(PATIENT);
    sim.is_asked_again_by_the_host(PATIENT);
    sim.must(PATIENT, grant());
    let id = sim.command(PATIENT, withdraw());
    assert!(sim.pages[PATIENT].done.contains(&id));
    sim.assert_signed(PATIENT);
    let again = sim.command(PATIENT, withdraw());
    assert!(sim.pages[PATIENT].done.contains(&again));
    sim.assert_signed(PATIENT);
    sim.rejoin(PATIENT);
    sim.assert_over();

    // A refusal there is a withdrawal as well.
    let mut sim = recorded();
    sim.lose_place(PATIENT);
    sim.is_asked_again_by_the_host(PATIENT);
    let id = sim.command(PATIENT, refusal());
    assert!(sim.pages[PATIENT].done.contains(&id));
    let withdrawals = sim.pages[PATIENT].withdrawals.iter();
    assert_eq!(withdrawals.filter(|(_, mine)| *mine).count(), 1);
    sim.rejoin(PATIENT);
    sim.assert_over();
}
