//! Who is host, the lock, and commands that can never be carried out.

use super::consent::{asked_among, asked_among_with, given_grant, grant, is_recording};
use super::sim::Sim;
use crate::group::Legacy;
use crate::visit::app_message::AppMessage;
use crate::visit::{
    Command, EndReason, ErrorCode, GivenAnswer, Input, Phase, ProblemCode, RecorderLeft, VisitEvent,
};
use sealed_visit_protocol::wire::ClientMessage;
use sealed_visit_protocol::{B64, ParticipantId, Role};

const PEOPLE: [Role; 3] = [Role::Clinician, Role::Patient, Role::Clinician];

fn hosts(sim: &Sim) -> Vec<bool> {
    (0..sim.pages.len())
        .map(|page| sim.state(page).me.host)
        .collect()
}

fn hand_over(sim: &mut Sim, from: usize, to: usize) {
    let participant = sim.id(to);
    sim.must(from, Command::HandOver { participant });
}

#[test]
fn one_clinician_is_host_and_hands_it_to_another() {
    let mut sim = Sim::live(&PEOPLE);
    assert_eq!(hosts(&sim), [true, false, false]);
    let participant = sim.id(1);
    let not_yet = sim.command(2, Command::Remove { participant });
    let to_patient = sim.command(0, Command::HandOver { participant });
    sim.settle();
    assert_eq!(sim.pages[2].failed[&not_yet], ErrorCode::NotTheHost);
    assert_eq!(
        sim.pages[0].failed[&to_patient],
        ErrorCode::UnknownParticipant
    );

    hand_over(&mut sim, 0, 2);
    assert_eq!(hosts(&sim), [false, false, true]);
    for page in 0..3 {
        assert_eq!(sim.state(page).host, Some(sim.id(2)));
    }
    let too_late = sim.command(0, Command::Lock { locked: true });
    assert_eq!(sim.pages[0].failed[&too_late], ErrorCode::NotTheHost);
    sim.must(2, Command::Lock { locked: true });
    sim.assert_agreed();
}

#[test]
fn while_the_host_is_away_another_clinician_is() {
    let mut sim = Sim::live(&PEOPLE);
    hand_over(&mut sim, 0, 2);
    sim.disconnect(2);
    sim.settle();
    assert!(sim.state(0).me.host);
    sim.connect(2);
    sim.pass_ms(1_500);
    assert_eq!(hosts(&sim), [false, false, true]);
    // A newcomer hears it from the group, not from anybody's word.
    sim.reload(0);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(0).phase, Phase::Live);
    assert_eq!(sim.state(0).host, Some(sim.id(2)));
}

#[test]
fn the_new_host_goes_on_with_the_recording_and_asks_who_waits() {
    let (mut sim, _) = asked_among(&PEOPLE);
    for page in 0..3 {
        sim.must(page, grant());
    }
    hand_over(&mut sim, 0, 2);
    sim.must(2, Command::StartRecorder);
    sim.pass_ms(1_500);
    super::consent::beat(&mut sim);
    assert!((0..3).all(|page| is_recording(&sim, page)));

    let late = sim.open(Role::Guest);
    sim.settle();
    let participant = sim.id(late);
    sim.must(2, Command::AskWaiting { participant });
    let asked = sim.state(late).consent.unwrap();
    assert_eq!(asked.host_name, Some(sim.world.name(2).0));
    sim.must(late, grant());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(late).phase, Phase::Live);
    sim.must(2, Command::StopRecording);
    sim.assert_agreed_without_recorder();
}

#[test]
fn a_locked_visit_takes_nobody_new_and_says_so() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient]);
    sim.must(0, Command::Lock { locked: true });
    assert!((0..2).all(|page| sim.state(page).locked));
    let guest = sim.open(Role::Guest);
    sim.settle();
    assert!(sim.state(guest).locked);
    let participant = sim.id(guest);
    let admit = sim.command(0, Command::Admit { participant });
    assert_eq!(sim.pages[0].failed[&admit], ErrorCode::Locked);

    // Who was in may be loaded anew.
    sim.reload(1);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(1).phase, Phase::Live);
    assert!(sim.state(1).locked);

    sim.must(0, Command::Lock { locked: false });
    assert!(!sim.state(guest).locked);
    sim.must(0, Command::Admit { participant });
    sim.pass_ms(1_500);
    assert_eq!(sim.state(guest).phase, Phase::Live);
    sim.assert_agreed();
}

#[test]
fn a_locked_visit_stays_locked_in_the_group_that_follows_a_refused_commit() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient, Role::Guest]);
    sim.must(0, Command::Lock { locked: true });
    sim.garbage_commit(2);
    sim.pass_ms(8_000);
    for page in 0..3 {
        let state = sim.state(page);
        assert_eq!((state.phase, state.locked), (Phase::Live, true), "{page}");
    }
    sim.assert_agreed();
}

#[test]
fn a_command_whose_commit_is_lost_is_answered() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient, Role::Guest]);
    sim.hold = Some(|message| matches!(message, ClientMessage::Commit { .. }));
    let participant = sim.id(1);
    let remove = sim.command(0, Command::Remove { participant });
    sim.hold = None;
    sim.held.clear();
    sim.garbage_commit(2);
    sim.pass_ms(100);
    assert_eq!(sim.pages[0].failed[&remove], ErrorCode::Interrupted);

    let lock = sim.command(0, Command::Lock { locked: true });
    sim.command(0, Command::Leave);
    assert_eq!(sim.pages[0].failed[&lock], ErrorCode::Interrupted);
    assert_eq!(sim.state(0).end_reason, Some(EndReason::Left));
}

#[test]
fn of_two_clicks_on_the_lock_the_last_one_counts() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient]);
    sim.must(0, Command::Lock { locked: true });
    sim.disconnect(0);
    let unlock = sim.command(0, Command::Lock { locked: false });
    let lock = sim.command(0, Command::Lock { locked: true });
    sim.connect(0);
    sim.pass_ms(3_000);
    assert!(sim.state(0).locked && sim.state(1).locked);
    assert!(
        [unlock, lock]
            .iter()
            .all(|id| sim.pages[0].done.contains(id))
    );
}

#[test]
fn a_command_given_while_an_epoch_is_refused_is_answered() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient, Role::Guest]);
    sim.garbage_commit(2);
    sim.pass_ms(500);
    let lock = sim.command(0, Command::Lock { locked: true });
    sim.pass_ms(10_000);
    assert_eq!(sim.pages[0].failed[&lock], ErrorCode::Interrupted);
}

#[test]
fn starting_twice_is_answered_twice() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient]);
    sim.must(0, grant());
    sim.must(1, grant());
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    sim.must(0, Command::Pause);
    sim.pass_ms(500);
    let first = sim.command(0, Command::StartRecorder);
    let second = sim.command(0, Command::StartRecorder);
    sim.pass_ms(5_000);
    assert_eq!(sim.pages[0].failed[&first], ErrorCode::Interrupted);
    assert!(sim.pages[0].done.contains(&second));
}

#[test]
fn a_clinician_who_waits_outside_does_not_take_the_visit_over() {
    for locked in [false, true] {
        let mut sim = Sim::live(&[Role::Clinician, Role::Patient]);
        sim.must(0, Command::Lock { locked });
        let other = sim.open(Role::Clinician);
        sim.settle();
        let group = sim.group_id(0);
        for _ in 0..30 {
            sim.pass_ms(2_000);
            assert_eq!(
                (sim.group_id(0), sim.state(0).locked),
                (group.clone(), locked)
            );
        }
        sim.must(0, Command::Lock { locked: false });
        let participant = sim.id(other);
        sim.must(0, Command::Admit { participant });
        sim.pass_ms(1_500);
        assert_eq!(sim.state(other).phase, Phase::Live);
    }
}

#[test]
fn a_patient_who_makes_a_group_of_its_own_does_not_get_around_the_lock() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient]);
    sim.must(0, Command::Lock { locked: true });
    let stranger = sim.open(Role::Guest);
    sim.settle();
    let group = sim.group_id(0);
    sim.pages[1].visit.memory.legacy = Legacy::default();
    sim.pages[1].visit.create_group(Some(group));
    sim.feed(1, Input::Tick);
    sim.settle();
    for page in [0, stranger] {
        let id = sim.id(page);
        sim.pages[1].visit.let_in(id);
    }
    sim.feed(1, Input::Tick);
    sim.pass_ms(20_000);
    let state = sim.state(0);
    assert!(state.locked, "{state:?}");
    let guest = sim.id(stranger);
    assert!(state.roster.iter().all(|entry| entry.participant != guest));
}

#[test]
fn another_clinician_takes_hosting_from_one_who_does_not_act() {
    let mut sim = Sim::live(&PEOPLE);
    let participant = sim.id(2);
    let by_patient = sim.command(1, Command::HandOver { participant });
    assert_eq!(sim.pages[1].failed[&by_patient], ErrorCode::NotTheHost);
    sim.must(2, Command::HandOver { participant });
    assert_eq!(hosts(&sim), [false, false, true]);
}

#[test]
fn an_old_confirmation_does_not_replace_a_newer() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient]);
    sim.must(1, grant());
    let participant = sim.id(1);
    sim.must(0, Command::ConfirmPlace { participant });
    let old = sim.pages[1].places[0].clone();
    let elsewhere = GivenAnswer {
        place: "US-NY".into(),
        ..given_grant()
    };
    sim.must(1, Command::Answer(elsewhere));
    sim.pass_ms(10);
    sim.must(0, Command::ConfirmPlace { participant });
    sim.says(1, &AppMessage::Place { place: old });
    let answers = sim.state(0).consent.unwrap().by_participant;
    let mut of_patient = answers
        .into_iter()
        .filter(|answer| answer.participant == participant);
    let answer = of_patient.next().unwrap();
    assert_eq!(
        (answer.place, answer.place_confirmed),
        ("US-NY".into(), true)
    );
}

#[test]
fn a_clinician_who_was_asked_outside_learns_the_emergency_number_inside() {
    let (mut sim, _) = asked_among_with(&[Role::Clinician, Role::Patient], |request| {
        request.emergency = "+1 555 0100".into();
    });
    sim.must(0, grant());
    sim.must(1, grant());
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    let late = sim.open(Role::Clinician);
    sim.settle();
    let participant = sim.id(late);
    sim.must(0, Command::AskWaiting { participant });
    assert_eq!(sim.state(late).consent.unwrap().emergency, "");
    sim.must(late, grant());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(late).consent.unwrap().emergency, "+1 555 0100");
}

#[test]
fn garbage_makes_everybody_change_groups_three_times_and_no_more() {
    let mut sim = Sim::live(&[Role::Clinician, Role::Patient, Role::Guest]);
    let mut groups = Vec::new();
    for _ in 0..5 {
        groups.push(sim.group_id(0));
        sim.garbage(2);
        sim.pass_ms(8_000);
        assert_eq!(sim.state(0).phase, Phase::Live);
        assert_eq!(sim.state(1).phase, Phase::Live);
    }
    groups.dedup();
    assert_eq!(groups.len(), 4);
    let problem = sim
        .state(1)
        .problems
        .into_iter()
        .find(|problem| problem.code == ProblemCode::MessageRefused);
    assert_eq!(problem.unwrap().participant, Some(sim.id(2)));
}

#[test]
fn whoever_commits_garbage_again_and_again_is_left_behind_and_no_clinician_is() {
    for (who, left_behind) in [(2, true), (0, false)] {
        let mut sim = Sim::live(&[Role::Clinician, Role::Patient, Role::Guest]);
        for _ in 0..4 {
            sim.garbage_commit(who);
            sim.pass_ms(12_000);
        }
        let others = sim.state(1).roster.len();
        assert_eq!(others, if left_behind { 2 } else { 3 }, "{who}");
    }
}

#[test]
fn the_host_confirms_the_place_that_somebody_stated() {
    let (mut sim, recorder) =
        asked_among_with(&[Role::Clinician, Role::Patient, Role::Guest], |request| {
            request.emergency = "+1 555 0100".into();
        });
    assert_eq!(sim.state(0).consent.unwrap().emergency, "+1 555 0100");
    assert_eq!(sim.state(2).consent.unwrap().emergency, "");
    for page in 0..3 {
        sim.must(page, grant());
    }
    let patient = sim.id(1);
    let place_of = |sim: &Sim, participant: ParticipantId| {
        let answers = sim.state(0).consent.unwrap().by_participant;
        let mut answers = answers.into_iter();
        let answer = answers.find(|answer| answer.participant == participant);
        answer
            .map(|answer| (answer.place, answer.place_confirmed))
            .unwrap()
    };
    assert_eq!(place_of(&sim, patient), ("US-CA".into(), false));
    let participant = patient;
    let guest = sim.command(2, Command::ConfirmPlace { participant });
    assert_eq!(sim.pages[2].failed[&guest], ErrorCode::NotTheHost);
    sim.must(0, Command::ConfirmPlace { participant });
    assert_eq!(place_of(&sim, patient), ("US-CA".into(), true));

    // The recorder comes later and is told.
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    assert_eq!(sim.pages[recorder].places.len(), 1);
    let claims = sim.pages[recorder].places[0].unverified_claims().unwrap();
    assert_eq!(
        (claims.participant, claims.place),
        (patient, "US-CA".into())
    );
}

#[test]
fn a_place_that_was_confirmed_just_before_the_stop_reaches_the_recorder_first() {
    let (mut sim, recorder) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    let participant = sim.id(1);
    // What the host says now loses the race against a commit, and is said again in the next epoch.
    sim.hold = Some(|_| true);
    sim.command(0, Command::ConfirmPlace { participant });
    sim.command(0, Command::StopRecording);
    sim.hold = None;
    let elsewhere = GivenAnswer {
        place: "US-NY".into(),
        ..given_grant()
    };
    let answered = sim.command(2, Command::Answer(elsewhere));
    for (page, message) in std::mem::take(&mut sim.held) {
        sim.relay_hears(page, message);
    }
    sim.pass_ms(2_000);
    assert!(sim.pages[2].done.contains(&answered));
    let recorder = &sim.pages[recorder];
    assert_eq!(recorder.places.len(), 1);
    assert!(recorder.events.iter().any(|event| matches!(
        event,
        VisitEvent::RecorderLeft {
            why: RecorderLeft::Stopped
        }
    )));
}

#[test]
fn nobody_else_confirms_a_place() {
    let (mut sim, _) = asked_among(&[Role::Clinician, Role::Patient, Role::Guest]);
    sim.must(1, grant());
    let participant = sim.id(1);
    sim.must(0, Command::ConfirmPlace { participant });
    let mut claims = sim.pages[0].places[0].unverified_claims().unwrap();
    claims.pass = sim.world.pass(2, Role::Guest);
    let place = sim.world.key(2).sign(&claims);
    sim.says(2, &AppMessage::Place { place });
    assert_eq!(sim.pages[1].places.len(), 1);
    let problems = sim.state(1).problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.code == ProblemCode::MessageRefused)
    );
}

impl Sim {
    /// Bytes that are no message, as if a member had said them in this epoch.
    fn garbage(&mut self, from: usize) {
        let message = ClientMessage::App {
            group_id: self.group_id(0),
            epoch: self.state(0).epoch.unwrap(),
            data: B64(vec![9; 80]),
        };
        self.relay_hears(from, message);
        self.settle();
    }

    /// Bytes that take the epoch at the relay, and that nobody can follow.
    fn garbage_commit(&mut self, from: usize) {
        let message = ClientMessage::Commit {
            group_id: self.group_id(1),
            epoch: self.state(1).epoch.unwrap(),
            commit: B64(vec![9; 80]),
            welcomes: Vec::new(),
            removed: Vec::new(),
        };
        self.relay_hears(from, message);
        self.settle();
    }
}
