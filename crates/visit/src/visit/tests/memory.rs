//! What a member remembers beyond any one group: attacks that count on its being forgotten.

use super::consent::{asked_among, asked_of, grant, refusal};
use super::sim::Sim;
use crate::group::testing::extensions_of;
use crate::group::tests::evil::Evil;
use crate::sabotage::{Rule, breaking};
use crate::visit::app_message::AppMessage;
use crate::visit::{
    Command, ConfigError, ErrorCode, Indicator, Input, Output, Phase, ProblemCode, Stage,
    VisitEvent, VisitMemory,
};
use sealed_visit_protocol::consent::StatementKind;
use sealed_visit_protocol::wire::{ClientMessage, RelayErrorCode, RelayMessage, WelcomeFor};
use sealed_visit_protocol::{B64, Hash32, Role};
use sealed_visit_relay::visit::Visit as RelayVisit;

/// The last is a clinician whose key is used without rules.
const PEOPLE: [Role; 3] = [Role::Clinician, Role::Patient, Role::Clinician];
const PATIENT: usize = 1;
const EVIL: usize = 2;
const RECORDER: usize = 3;

/// Everybody grants the first round; the host opens a second; the patient refuses it. What the first group's context held
/// when everybody had granted, byte for byte, and the group's id.
fn refused_after_a_grant() -> (Sim, mls_rs::ExtensionList, B64) {
    let (mut sim, recorder) = asked_among(&PEOPLE);
    let request = asked_of(&sim.world, sim.id(recorder));
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.pass_ms(1_500);
    let group = &sim.pages[EVIL].visit.member().unwrap().group;
    assert_eq!(group.consent().statements().len(), 3);
    let (context, group_id) = (extensions_of(group), sim.group_id(EVIL));
    sim.must(0, Command::RequestConsent(Box::new(request)));
    sim.must(PATIENT, refusal());
    sim.pass_ms(1_500);
    sim.pages[PATIENT].events.clear();
    (sim, context, group_id)
}

impl Sim {
    /// The relay as it is after it lost everything.
    pub fn relay_forgets(&mut self) {
        for page in 0..self.pages.len() {
            self.disconnect(page);
        }
        self.relay = RelayVisit::default();
    }

    /// Its key alone is there: its page is not asked any more.
    pub fn connect_key(&mut self, page: usize) {
        (self.pages[page].connected, self.pages[page].is_key_only) = (true, true);
        let who = self.id(page);
        self.relay.connect(who, None).unwrap();
    }

    /// The dishonest clinician opens a group at the relay.
    pub fn open_group(&mut self, group_id: &B64, replaces: Option<B64>) -> Option<RelayErrorCode> {
        let message = ClientMessage::CreateGroup {
            group_id: group_id.clone(),
            replaces,
        };
        self.pages[EVIL].inbox.clear();
        self.relay_hears(EVIL, message);
        self.pages[EVIL]
            .inbox
            .drain(..)
            .find_map(|message| match message {
                RelayMessage::Error { code, .. } => Some(code),
                _ => None,
            })
    }

    /// Adds these, whatever they granted, and proves the epoch to them.
    pub fn lead_in(&mut self, evil: &mut Evil, pages: &[usize]) {
        let waiting: Vec<(usize, Vec<u8>)> = pages
            .iter()
            .map(|page| (*page, self.key_package(*page)))
            .collect();
        let packages: Vec<&[u8]> = waiting.iter().map(|(_, package)| &package[..]).collect();
        let (commit, welcome) = evil.add_pending(&self.world.policy, &packages);
        let welcome = B64(welcome.unwrap());
        let message = ClientMessage::Commit {
            group_id: B64(evil.group_id().to_vec()),
            epoch: evil.epoch(),
            commit: B64(commit),
            welcomes: waiting
                .iter()
                .map(|(page, _)| WelcomeFor {
                    to: self.id(*page),
                    welcome: welcome.clone(),
                })
                .collect(),
            removed: Vec::new(),
        };
        self.relay_hears(EVIL, message);
        evil.follow_own();
        let hello = AppMessage::Hello {
            name: "Person 2".into(),
            salt: B64(self.world.name(2).1.to_vec()),
            proof: Hash32(evil.proof()),
        };
        let data = B64(evil.say(&hello.to_bytes()));
        let (group_id, epoch) = (B64(evil.group_id().to_vec()), evil.epoch());
        let message = ClientMessage::App {
            group_id,
            epoch,
            data,
        };
        self.relay_hears(EVIL, message);
    }

    fn key_package(&self, page: usize) -> Vec<u8> {
        match &self.pages[page].visit.stage {
            Stage::Waiting { key_package, .. } => key_package.clone(),
            _ => panic!("page {page} does not wait"),
        }
    }

    pub fn evil_group(&self, group_id: &B64, context: mls_rs::ExtensionList) -> Evil {
        Evil::create_as(
            &self.world.identity(EVIL as u64, Role::Clinician),
            &group_id.0,
            context,
        )
    }
}

/// The attack as it was found: the group is replaced by another, and that one by a group with the first one's id, which
/// holds the old request and the old grants.
fn revive(sim: &mut Sim, context: &mls_rs::ExtensionList, group_id: &B64) {
    let other = B64(b"another group".to_vec());
    sim.pages[EVIL].is_key_only = true;
    assert_eq!(sim.open_group(&other, Some(group_id.clone())), None);
    sim.settle();
    // The relay of old compared with the current group's id only; this one has to lose what it knows.
    assert_eq!(
        sim.open_group(group_id, Some(other)),
        Some(RelayErrorCode::NotAllowed)
    );
    lead_into_the_first_group(sim, context, group_id);
}

/// The relay has lost everything, and a dishonest clinician is there first.
fn lead_into_the_first_group(sim: &mut Sim, context: &mls_rs::ExtensionList, group_id: &B64) {
    sim.relay_forgets();
    sim.connect_key(EVIL);
    assert_eq!(sim.open_group(group_id, None), None);
    sim.connect(PATIENT);
    sim.connect(RECORDER);
    sim.settle();
    let mut evil = sim.evil_group(group_id, context.clone());
    sim.lead_in(&mut evil, &[PATIENT, RECORDER]);
    sim.pass_ms(5_000);
}

fn is_recorded(sim: &Sim, page: usize) -> bool {
    is_recorded_by(sim, page, RECORDER)
}

fn is_recorded_by(sim: &Sim, page: usize, recorder: usize) -> bool {
    let state = sim.state(page);
    let recorder = sim.id(recorder);
    state.sending.open
        && state
            .roster
            .iter()
            .any(|entry| entry.participant == recorder)
}

fn has_a_problem(sim: &Sim, page: usize, code: ProblemCode) -> bool {
    let state = sim.state(page);
    state.problems.iter().any(|problem| problem.code == code)
}

#[test]
fn a_group_that_was_left_is_not_entered_again_and_an_old_grant_lets_no_recorder_in() {
    let (mut sim, context, group_id) = refused_after_a_grant();
    revive(&mut sim, &context, &group_id);
    let state = sim.state(PATIENT);
    assert!(state.phase != Phase::Live && state.roster.is_empty());
    assert!(!sim.pages[PATIENT].gate_open && sim.pages[PATIENT].keys.is_empty());
    assert!(has_a_problem(&sim, PATIENT, ProblemCode::WelcomeRefused));
}

#[test]
fn a_group_that_was_left_is_not_entered_again_after_a_reload() {
    let (mut sim, context, group_id) = refused_after_a_grant();
    sim.reload(PATIENT);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(PATIENT).phase, Phase::Live);
    revive(&mut sim, &context, &group_id);
    assert!(sim.state(PATIENT).phase != Phase::Live);
    sim.reload(PATIENT);
    sim.settle();
    let mut evil = sim.evil_group(&group_id, context.clone());
    sim.relay_forgets();
    sim.connect_key(EVIL);
    assert_eq!(sim.open_group(&group_id, None), None);
    sim.connect(PATIENT);
    sim.connect(RECORDER);
    sim.settle();
    sim.lead_in(&mut evil, &[PATIENT, RECORDER]);
    sim.pass_ms(5_000);
    assert!(sim.state(PATIENT).phase != Phase::Live);
}

/// Who forgets either alone is still kept safe by the other.
#[test]
fn the_attack_works_on_a_member_that_forgets() {
    for rule in [Rule::UsedGroupIds, Rule::DeadRounds] {
        let (mut sim, context, group_id) = refused_after_a_grant();
        breaking(rule, || revive(&mut sim, &context, &group_id));
        assert!(!is_recorded(&sim, PATIENT), "{rule:?}");
    }
    let (mut sim, context, group_id) = refused_after_a_grant();
    sim.pages[PATIENT].visit.memory = Default::default();
    let erase = |sim: &mut Sim| sim.pages[PATIENT].visit.memory = Default::default();
    sim.pages[EVIL].is_key_only = true;
    assert_eq!(sim.open_group(&B64(vec![1]), Some(group_id.clone())), None);
    sim.settle();
    erase(&mut sim);
    lead_into_the_first_group(&mut sim, &context, &group_id);
    assert!(is_recorded(&sim, PATIENT), "the test attacks nothing");
}

/// The same id without another group in between cannot be told from an honest group that has not heard the refusal.
#[test]
fn whoever_is_led_back_into_a_dead_round_sends_nothing_and_withdraws() {
    for reloads in [false, true] {
        let (mut sim, context, group_id) = refused_after_a_grant();
        if reloads {
            sim.reload(PATIENT);
            sim.pass_ms(3_000);
        }
        let mut ever_open = false;
        sim.relay_forgets();
        sim.connect_key(EVIL);
        assert_eq!(sim.open_group(&group_id, None), None);
        sim.connect(PATIENT);
        sim.connect(RECORDER);
        sim.settle();
        let mut evil = sim.evil_group(&group_id, context.clone());
        sim.lead_in(&mut evil, &[PATIENT, RECORDER]);
        for _ in 0..50 {
            sim.pass_ms(100);
            ever_open |= is_recorded(&sim, PATIENT);
        }
        assert!(!ever_open);
        let me = sim.id(PATIENT);
        let withdrawn = VisitEvent::Withdrawn { participant: me };
        assert!(sim.pages[PATIENT].events.contains(&withdrawn));
        assert!(sim.pages[PATIENT].withdrawals.iter().any(|(_, mine)| *mine));
        assert_eq!(sim.state(PATIENT).indicator, Indicator::StoppedByYou);
    }
}

/// A refusal that is under way when the recorder comes in takes the grant back all the same.
#[test]
fn a_refusal_that_meets_the_recorder_stops_it() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.hold = Some(|message| matches!(message, ClientMessage::App { .. }));
    sim.command(PATIENT, refusal());
    sim.hold = None;
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    assert!(!is_recorded(&sim, PATIENT));
    assert_eq!(sim.state(0).indicator, Indicator::Stopped);
    assert!(sim.state(0).consent.is_none());
}

#[test]
fn a_lost_pass_key_takes_its_grants_along() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    for page in 0..3 {
        sim.must(page, grant());
    }
    assert!(sim.state(0).consent.unwrap().all_agreed);
    let claims = sim.world.pass_claims(PATIENT as u64, Role::Patient);
    let other = sim
        .world
        .identity_with_new_key(PATIENT as u64, Role::Patient, 1);
    assert_ne!(claims.cnf.jwk, other.key().public());
    sim.lose_key(PATIENT, &other);
    sim.settle();
    let participant = sim.id(PATIENT);
    sim.must(0, Command::Admit { participant });
    sim.pass_ms(1_500);
    assert_eq!(sim.state(PATIENT).phase, Phase::Live);
    for page in 0..3 {
        assert!(!sim.state(page).consent.unwrap().all_agreed, "page {page}");
    }
    assert_eq!(sim.state(PATIENT).consent.unwrap().my_answer, None);
    let start = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&start], ErrorCode::NotAgreed);
    // And asked once more, it can agree: its numbers go on from the old key's.
    sim.must(PATIENT, grant());
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    assert!(is_recorded(&sim, PATIENT));
}

/// The member with the lost key still sits in the group: to the host, the person who waits is somebody else.
#[test]
fn whoever_comes_back_with_a_new_key_is_shown_to_the_host() {
    for is_recording in [false, true] {
        let (mut sim, recorder) = asked_among(&[Role::Clinician, Role::Patient]);
        for page in 0..2 {
            sim.must(page, grant());
        }
        if is_recording {
            sim.must(0, Command::StartRecorder);
        }
        let other = sim
            .world
            .identity_with_new_key(PATIENT as u64, Role::Patient, 1);
        sim.lose_key(PATIENT, &other);
        sim.settle();
        let participant = sim.id(PATIENT);
        let waiting = sim.state(0).waiting;
        assert!(waiting.iter().any(|entry| entry.participant == participant));
        if is_recording {
            sim.must(0, Command::PauseAndAdmit { participant });
        } else {
            sim.must(0, Command::Admit { participant });
        }
        sim.pass_ms(1_500);
        assert_eq!(sim.state(PATIENT).phase, Phase::Live);
        assert!(!is_recorded_by(&sim, PATIENT, recorder));
        let waiting = sim.state(0).waiting;
        assert!(waiting.iter().all(|entry| entry.role == Role::Recorder));
    }
}

/// Whoever makes a group writes its first context.
#[test]
fn what_a_groups_maker_says_of_people_who_are_not_there_fixes_nobodys_role() {
    let mut sim = Sim::new(1);
    for role in PEOPLE {
        sim.open(role);
    }
    sim.connect_key(EVIL);
    let group_id = B64(b"a group of its own".to_vec());
    sim.relay_forgets();
    sim.connect_key(EVIL);
    assert_eq!(sim.open_group(&group_id, None), None);
    sim.connect(PATIENT);
    sim.settle();
    // The host, who is not there, and many whom nobody knows.
    let mut others = vec![(sim.id(0), Role::Guest, 7)];
    let strangers = (100..1_500).map(|n| (sim.world.participant(n), Role::Guest, 1));
    others.extend(strangers);
    let identity = sim.world.identity(EVIL as u64, Role::Clinician);
    let mut evil = Evil::stranger_saying(&sim.world.policy, &identity, &group_id.0, &others);
    sim.lead_in(&mut evil, &[PATIENT]);
    sim.pass_ms(5_000);
    assert_eq!(sim.state(PATIENT).phase, Phase::Live);
    let legacy = &sim.pages[PATIENT].visit.memory.legacy;
    assert_eq!(legacy.role_of(sim.id(0)), None);
    assert_eq!(legacy.role_of(sim.id(EVIL)), Some(Role::Clinician));
    assert_eq!(legacy.role_of(sim.id(PATIENT)), Some(Role::Patient));
    let known = (100..1_500).filter(|n| legacy.knows(sim.world.participant(*n)));
    assert_eq!(known.count(), 0);
    let counted = (100..1_500).filter(|n| {
        let participant = sim.world.participant(*n);
        legacy.last_seq_of(participant).is_some()
    });
    assert!(counted.count() < 1_100, "and fills no memory");
    // The host comes, and is let in as the clinician that it is.
    sim.connect(0);
    sim.settle();
    sim.lead_in(&mut evil, &[0]);
    sim.pass_ms(5_000);
    let legacy = &sim.pages[PATIENT].visit.memory.legacy;
    assert_ne!(legacy.role_of(sim.id(0)), Some(Role::Guest));
}

/// A number that leaves none for what comes next harms nobody but its author.
#[test]
fn whoever_uses_up_its_numbers_keeps_nobody_else_out() {
    const GUEST: usize = 2;
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    let author = sim.world.identity(GUEST as u64, Role::Guest);
    let request = sim.pages[0].visit.open_round().unwrap().request().clone();
    let kind = StatementKind::Refusal;
    let statement = sim.world.statement(&author, request.jws(), kind, 1 << 32);
    sim.says(GUEST, &AppMessage::Statement { statement });
    sim.pass_ms(1_500);
    let guest = sim.id(GUEST);
    let said = |sim: &Sim| sim.pages[0].visit.memory.legacy.last_seq_of(guest);
    assert_eq!(said(&sim), Some(1 << 32));
    sim.reload(PATIENT);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(PATIENT).phase, Phase::Live);
    // Nor out of the groups that follow; there its author finds numbers again.
    let garbage = ClientMessage::Commit {
        group_id: sim.group_id(0),
        epoch: sim.state(0).epoch.unwrap(),
        commit: B64(b"no commit at all".to_vec()),
        welcomes: Vec::new(),
        removed: Vec::new(),
    };
    let before = sim.group_id(0);
    sim.relay_hears(0, garbage);
    sim.pass_ms(15_000);
    assert_ne!(sim.group_id(0), before);
    for page in 0..3 {
        assert_eq!(sim.state(page).phase, Phase::Live, "page {page}");
    }
}

/// Two pages of one participant, each with a memory of its own: a third knows what both knew.
#[test]
fn memories_of_two_pages_are_one() {
    let (mut sim, context, group_id) = refused_after_a_grant();
    let of_the_refusal = sim.pages[PATIENT].memory.clone().unwrap();
    let older = VisitMemory::default();
    for memories in [
        vec![older.clone(), of_the_refusal.clone()],
        vec![of_the_refusal.clone(), older.clone()],
    ] {
        let merged = VisitMemory::merged(memories);
        sim.pages[PATIENT].memory = Some(merged);
        sim.reload(PATIENT);
        sim.pass_ms(3_000);
        let state = sim.state(PATIENT);
        assert_eq!(
            state.consent.unwrap().my_answer,
            Some(StatementKind::Refusal)
        );
    }
    lead_into_the_first_group(&mut sim, &context, &group_id);
    assert!(!is_recorded(&sim, PATIENT));
}

#[test]
fn an_older_clinic_document_is_refused_after_a_newer_one() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient]);
    let mut memory = sim.pages[PATIENT].memory.clone().unwrap();
    assert_eq!(memory.clinic_number, 1);
    memory.clinic_number = 2;
    sim.pages[PATIENT].memory = Some(memory);
    let error = sim.try_machine(PATIENT as u64, Role::Patient).err();
    assert!(matches!(
        error,
        Some(ConfigError::OlderClinicDocument { seen: 2, got: 1 })
    ));
}

/// Before the statement: whoever is killed between the two has said nothing.
#[test]
fn the_memory_is_handed_out_before_anything_that_follows_from_it() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    sim.pass_ms(1_500);
    let now_ms = sim.now_ms;
    for command in [grant(), Command::Withdraw { wish: None }] {
        let outputs = sim.pages[PATIENT]
            .visit
            .handle(Input::Command { id: 99, command }, now_ms)
            .in_order();
        let at = |matches: fn(&Output) -> bool| outputs.iter().position(matches);
        let remember = at(|output| matches!(output, Output::Remember { .. })).unwrap();
        let send = at(|output| matches!(output, Output::Send { .. })).unwrap();
        assert!(remember < send);
    }
}
