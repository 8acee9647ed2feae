//! Whoever holds a pass and was never let in: what it can do to those inside, and to those who wait beside it.

use super::sim::Sim;
use crate::group::Group;
use crate::group::testing::extensions_of;
use crate::sabotage::{Rule, breaking};
use crate::visit::outside::{DirectMessage, Notice};
use crate::visit::{Command, EndReason, ErrorCode, Input, Phase, ProblemCode, Stage, VisitEvent};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::wire::{ClientMessage, EndedBy, GroupInfo, RelayMessage};
use sealed_visit_protocol::{B64, Role};

const PAIR: [Role; 2] = [Role::Clinician, Role::Patient];
const STRANGER: usize = 2;

impl Sim {
    /// A lying relay tells one page that the stranger has made a new group.
    fn tell_of_a_strangers_group(&mut self, page: usize) {
        let seq = self.pages[page].visit.link.last_seq.unwrap() + 1;
        let group = GroupInfo {
            group_id: B64(vec![66; 16]),
            epoch: 0,
            generation: 1,
        };
        let by = self.id(STRANGER);
        let message = RelayMessage::GroupCreated { seq, group, by };
        self.feed(page, Input::Relay { message });
    }

    /// Somebody says something about the door to whoever waits on this page.
    fn tell_waiting(&mut self, from: usize, to: usize, change: impl FnOnce(&mut Notice)) {
        let Stage::Waiting { key_package, .. } = &self.pages[to].visit.stage else {
            panic!("page {to} does not wait");
        };
        let mut notice = Notice {
            v: 1,
            to: self.id(to),
            key_package: sha256(key_package),
            denied: true,
            locked: true,
            pass: self.pages[from].admitted.pass.jws().clone(),
        };
        change(&mut notice);
        let notice = self.world.key(from as u64).sign(&notice);
        let data = serde_json::to_vec(&DirectMessage::Notice { notice }).unwrap();
        self.say_direct(from, to, data);
    }

    fn say_direct(&mut self, from: usize, to: usize, data: Vec<u8>) {
        let to = self.id(to);
        let data = B64(data);
        self.relay_hears(from, ClientMessage::Direct { to, data });
        self.settle();
    }
}

#[test]
fn nobody_leaves_for_a_strangers_group_while_a_clinician_they_know_is_there() {
    let follows = |rule: Option<Rule>| {
        let mut sim = Sim::live(&PAIR);
        sim.open(Role::Clinician);
        sim.settle();
        let group_id = sim.group_id(1);
        match rule {
            Some(rule) => breaking(rule, || sim.tell_of_a_strangers_group(1)),
            None => sim.tell_of_a_strangers_group(1),
        }
        let is_here = sim.state(1).phase == Phase::Live && sim.group_id(1) == group_id;
        !is_here
    };
    assert!(!follows(None));
    assert!(follows(Some(Rule::StrangersGroups)), "nothing is attacked");
}

#[test]
fn the_host_takes_the_visit_back_from_a_strangers_group() {
    let mut sim = Sim::live(&PAIR);
    sim.open(Role::Clinician);
    sim.settle();
    let stranger = sim.id(STRANGER);
    sim.tell_of_a_strangers_group(0);
    let replaces = match &sim.pages[0].visit.stage {
        Stage::Creating { replaces, .. } => replaces.clone(),
        _ => None,
    };
    assert_eq!(replaces, Some(B64(vec![66; 16])));
    sim.pass_ms(20_000);
    for page in 0..2 {
        let state = sim.state(page);
        assert_eq!(state.phase, Phase::Live, "page {page}");
        assert!(
            state
                .roster
                .iter()
                .all(|entry| entry.participant != stranger)
        );
    }
    sim.assert_agreed();
}

/// A relay that lost everything, and a clinician nobody admitted who is back first.
#[test]
fn nobody_goes_into_a_strangers_group_while_the_host_waits_too() {
    let led = |rule: Option<Rule>| {
        let mut sim = Sim::live(&PAIR);
        sim.open(Role::Clinician);
        sim.open(Role::Guest);
        sim.settle();
        let identity = sim.world.identity(STRANGER as u64, Role::Clinician);
        let group_id = B64(vec![66; 16]);
        let own = Group::create(identity, sim.world.policy.clone(), &group_id.0, sim.now_ms);
        let context = extensions_of(&own.unwrap());
        sim.relay_forgets();
        sim.connect_key(STRANGER);
        assert_eq!(sim.open_group(&group_id, None), None);
        for page in [0, 1, 3] {
            sim.connect(page);
        }
        sim.settle();
        let mut evil = sim.evil_group(&group_id, context);
        let mut lead = || {
            sim.lead_in(&mut evil, &[1]);
            sim.settle();
        };
        match rule {
            Some(rule) => breaking(rule, lead),
            None => lead(),
        }
        sim.state(1).phase == Phase::Live
    };
    assert!(!led(None));
    assert!(led(Some(Rule::StrangersGroups)), "nothing is attacked");
}

/// The one who opened the visit is away, after a hand-over; an honest page waits.
#[test]
fn a_clinician_who_waits_does_not_replace_the_group_of_the_one_who_is_host() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient, Role::Clinician]);
    let participant = sim.id(2);
    sim.must(0, Command::HandOver { participant });
    sim.disconnect(0);
    sim.pass_ms(1_500);
    let group_id = sim.group_id(1);
    let newcomer = sim.open(Role::Clinician);
    for _ in 0..60 {
        sim.pass_ms(500);
        for page in [1, 2] {
            assert_eq!(sim.state(page).phase, Phase::Live);
            assert_eq!(sim.group_id(page), group_id);
        }
    }
    assert_eq!(sim.state(newcomer).phase, Phase::Waiting);
    let participant = sim.id(newcomer);
    sim.must(2, Command::Admit { participant });
    sim.pass_ms(1_500);
    assert_eq!(sim.state(newcomer).phase, Phase::Live);
}

#[test]
fn whoever_waits_is_turned_away_by_a_clinicians_signature_only() {
    let mut sim = Sim::live(&PAIR);
    sim.open(Role::Clinician);
    let guest = sim.open(Role::Guest);
    sim.settle();
    let unsigned = br#"{"d":"denied"}"#;
    sim.say_direct(STRANGER, guest, unsigned.to_vec());
    // By a patient; in the host's name; for somebody else; for another key package.
    sim.tell_waiting(1, guest, |_| {});
    let hosts = sim.pages[0].admitted.pass.jws().clone();
    sim.tell_waiting(1, guest, |notice| notice.pass = hosts.clone());
    sim.tell_waiting(STRANGER, guest, |notice| notice.pass = hosts);
    let patient = sim.id(1);
    sim.tell_waiting(0, guest, |notice| notice.to = patient);
    sim.tell_waiting(0, guest, |notice| notice.key_package = sha256(b"another"));
    let state = sim.state(guest);
    assert_eq!(state.phase, Phase::Waiting);
    assert!(!state.locked);
    let mut problems = state.problems.iter();
    assert!(problems.any(|problem| problem.code == ProblemCode::MessageRefused));
    let believes = breaking(Rule::SignedDenials, || {
        sim.tell_waiting(1, guest, |_| {});
        sim.state(guest).end_reason
    });
    assert_eq!(believes, Some(EndReason::Denied), "nothing is attacked");
}

#[test]
fn a_denial_costs_nobody_their_identity_and_can_be_asked_again() {
    let mut sim = Sim::live(&PAIR);
    let guest = sim.open(Role::Guest);
    sim.settle();
    let participant = sim.id(guest);
    sim.must(0, Command::Deny { participant });
    let state = sim.state(guest);
    assert_eq!(state.end_reason, Some(EndReason::Denied));
    assert!(!state.end_is_final && !sim.pages[guest].has_forgotten);
    sim.pages[0].events.clear();
    sim.reload(guest);
    sim.pass_ms(1_500);
    assert_eq!(sim.state(guest).phase, Phase::Waiting);
    let role = Role::Guest;
    let asked = VisitEvent::AdmissionRequested { participant, role };
    assert!(sim.pages[0].events.contains(&asked));
    sim.must(0, Command::Admit { participant });
    sim.pass_ms(1_500);
    assert_eq!(sim.state(guest).phase, Phase::Live);
}

#[test]
fn nobody_but_a_member_ends_or_denies() {
    let mut sim = Sim::live(&PAIR);
    sim.open(Role::Clinician);
    let guest = sim.open(Role::Guest);
    sim.settle();
    let participant = sim.id(guest);
    for command in [Command::End, Command::Deny { participant }] {
        let id = sim.command(STRANGER, command);
        sim.settle();
        assert_eq!(sim.pages[STRANGER].failed[&id], ErrorCode::NotLive);
    }
    // And a page without rules is refused by the relay.
    sim.relay_hears(STRANGER, ClientMessage::End {});
    sim.relay_hears(1, ClientMessage::End {});
    sim.settle();
    assert!(sim.relay.over().is_none());
    assert_eq!(sim.state(0).phase, Phase::Live);
}

#[test]
fn an_end_that_the_relay_alone_speaks_of_costs_nobody_their_identity() {
    let mut sim = Sim::live(&PAIR);
    let reason = EndedBy::Host;
    let message = RelayMessage::Ended { reason };
    sim.feed(1, Input::Relay { message });
    let state = sim.state(1);
    assert_eq!(state.end_reason, Some(EndReason::EndedByHost));
    assert!(!state.end_is_final && !sim.pages[1].has_forgotten);

    // The host's own word, inside the encryption, is final.
    let mut sim = Sim::live(&PAIR);
    sim.must(0, Command::End);
    for page in 0..2 {
        assert!(sim.state(page).end_is_final && sim.pages[page].has_forgotten);
    }
    // So is the own clock's.
    let mut sim = Sim::live(&PAIR);
    sim.now_ms += 3 * 3_600_000;
    let reason = EndedBy::Time;
    let message = RelayMessage::Ended { reason };
    sim.feed(1, Input::Relay { message });
    assert!(sim.pages[1].has_forgotten);
}
