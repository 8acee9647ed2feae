//! No words in the person's language: no recording, unless an interpreter signs too.

use super::consent::{asked_among, given_grant, grant, refusal};
use super::sim::Sim;
use crate::visit::{Command, ErrorCode, GivenAnswer, Indicator, Phase};
use sealed_visit_protocol::recording::OpenStatement;
use sealed_visit_protocol::wire::ClientMessage;
use sealed_visit_protocol::{ParticipantId, Role};

const PATIENT: usize = 1;
const INTERPRETER: usize = 2;
const RECORDER: usize = 3;

/// Host, patient, interpreter; asked in English.
fn asked() -> Sim {
    asked_among(&[Role::Clinician, Role::Patient, Role::Interpreter]).0
}

fn grant_in(spoken: &str) -> Command {
    Command::Answer(GivenAnswer {
        spoken: spoken.into(),
        ..given_grant()
    })
}

fn interpreted(participants: &[ParticipantId]) -> Command {
    Command::Answer(GivenAnswer {
        interpreted_for: participants.to_vec(),
        ..given_grant()
    })
}

fn needed(sim: &Sim, page: usize) -> Vec<ParticipantId> {
    sim.state(page).consent.unwrap().interpreter_needed
}

fn has_recorder(sim: &Sim, page: usize) -> bool {
    matches!(
        sim.state(page).indicator,
        Indicator::Recording { .. } | Indicator::RecorderPresent { .. }
    )
}

#[test]
fn a_grant_in_another_language_counts_once_an_interpreter_has_signed() {
    let mut sim = asked();
    let patient = sim.id(PATIENT);
    sim.must(0, grant());
    sim.must(PATIENT, grant_in("am"));
    sim.must(INTERPRETER, grant());
    assert_eq!(needed(&sim, 0), [patient]);
    assert_eq!(needed(&sim, INTERPRETER), [patient]);
    assert_eq!(needed(&sim, PATIENT), []);
    assert!(!sim.state(0).consent.unwrap().all_agreed);
    let start = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&start], ErrorCode::NotAgreed);

    // An interpreter who agreed for itself signs what it put into the other language.
    sim.must(INTERPRETER, interpreted(&[patient]));
    assert_eq!(needed(&sim, INTERPRETER), []);
    assert!(sim.state(0).consent.unwrap().all_agreed);
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    assert!((0..3).all(|page| has_recorder(&sim, page)));
    sim.assert_agreed();
}

#[test]
fn nobody_but_an_interpreter_can_sign_it() {
    let mut sim = asked();
    let patient = sim.id(PATIENT);
    sim.must(PATIENT, grant_in("am"));
    let by_host = sim.command(0, interpreted(&[patient]));
    sim.settle();
    assert_eq!(sim.pages[0].failed[&by_host], ErrorCode::BadAnswer);
    assert!(!sim.state(0).consent.unwrap().all_agreed);
}

#[test]
fn the_interpreter_may_leave_and_what_it_signed_stands() {
    let mut sim = asked();
    let patient = sim.id(PATIENT);
    sim.must(0, grant());
    sim.must(PATIENT, grant_in("am"));
    sim.must(INTERPRETER, interpreted(&[patient]));
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    sim.command(INTERPRETER, Command::Leave);
    sim.pass_ms(2_000);
    assert_eq!(sim.state(0).roster.len(), 3);
    assert!(has_recorder(&sim, 0));
    assert_eq!(sim.state(0).phase, Phase::Live);

    // A recorder that starts anew shows the vault everything it stands on.
    let open = sim.open_part();
    let id = sim.must(RECORDER, Command::SignOpen { open });
    let jws = sealed_visit_protocol::Jws::from_text(sim.pages[RECORDER].results[&id].clone());
    let clinic = sim.world.policy.clinic();
    let statement = OpenStatement::verify(&jws, clinic).unwrap();
    assert_eq!(statement.claims().grants.len(), 3);
    let mut claims = statement.claims().clone();
    claims.grants.retain(|grant| {
        let author = grant.unverified_claims().unwrap().pass;
        author.unverified_claims().unwrap().role != Role::Interpreter
    });
    let without = sim.world.key(RECORDER as u64).sign(&claims);
    let error = OpenStatement::verify(&without, clinic).unwrap_err();
    assert!(
        error.to_string().contains("no interpreter signed"),
        "{error}"
    );
}

#[test]
fn a_late_joiner_who_needs_an_interpreter_comes_in_when_one_has_signed() {
    let (mut sim, late) = asked_outside();
    let participant = sim.id(late);
    sim.pass_ms(1_500);
    assert_eq!(sim.state(late).phase, Phase::Waiting);
    assert_eq!(needed(&sim, 0), [participant]);
    sim.must(INTERPRETER, interpreted(&[participant]));
    sim.pass_ms(2_000);
    assert_eq!(sim.state(late).phase, Phase::Live);
    assert!(has_recorder(&sim, late));
    sim.assert_agreed();
}

/// Somebody waits outside, asked while the others are recorded, and needs an interpreter.
fn asked_outside() -> (Sim, usize) {
    let mut sim = asked();
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    let late = sim.open(Role::Guest);
    sim.settle();
    let participant = sim.id(late);
    sim.must(0, Command::AskWaiting { participant });
    sim.must(late, grant_in("am"));
    (sim, late)
}

#[test]
fn who_waits_for_an_interpreter_may_think_again() {
    for second_thought in [refusal(), Command::Withdraw { wish: None }] {
        let (mut sim, late) = asked_outside();
        sim.must(late, second_thought);
        let participant = sim.id(late);
        sim.must(INTERPRETER, interpreted(&[participant]));
        sim.pass_ms(3_000);
        assert_eq!(sim.state(late).phase, Phase::Waiting);
        assert!(has_recorder(&sim, 0));
    }
}

#[test]
fn who_thought_again_and_was_let_in_meanwhile_withdraws() {
    let (mut sim, late) = asked_outside();
    sim.hold = Some(|message| matches!(message, ClientMessage::Direct { .. }));
    sim.command(late, refusal());
    sim.held.clear();
    sim.hold = None;
    let participant = sim.id(late);
    sim.must(INTERPRETER, interpreted(&[participant]));
    sim.pass_ms(3_000);
    assert_eq!(sim.state(late).phase, Phase::Live);
    assert!((0..3).all(|page| !has_recorder(&sim, page)));
}

#[test]
fn an_interpreter_who_refused_and_left_is_not_among_the_grants() {
    let mut sim = asked();
    let patient = sim.id(PATIENT);
    sim.must(0, grant());
    sim.must(PATIENT, grant());
    sim.must(INTERPRETER, interpreted(&[patient]));
    sim.must(INTERPRETER, refusal());
    sim.command(INTERPRETER, Command::Leave);
    sim.pass_ms(2_000);
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    let open = sim.open_part();
    let id = sim.must(RECORDER, Command::SignOpen { open });
    let jws = sealed_visit_protocol::Jws::from_text(sim.pages[RECORDER].results[&id].clone());
    let statement = OpenStatement::verify(&jws, sim.world.policy.clinic()).unwrap();
    assert_eq!(statement.granted_by().len(), 2);
}

#[test]
fn a_statement_that_would_fill_a_commit_is_refused() {
    let mut sim = asked();
    let too_long = sim.command(PATIENT, grant_in(&"x".repeat(20_000)));
    sim.settle();
    assert_eq!(sim.pages[PATIENT].failed[&too_long], ErrorCode::BadAnswer);
}

#[test]
fn nobody_interprets_for_themselves() {
    let mut sim = asked();
    let interpreter = sim.id(INTERPRETER);
    let own = sim.command(INTERPRETER, interpreted(&[interpreter]));
    sim.settle();
    assert_eq!(sim.pages[INTERPRETER].failed[&own], ErrorCode::BadAnswer);
}
