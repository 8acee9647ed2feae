//! A late joiner is asked in the waiting room, and comes in with a grant or after the recorder has left.

use super::consent::{RECORDER, asked, beat, grant, is_recording, recording, refusal};
use super::sim::Sim;
use crate::visit::{
    Command, ConsentRequest, ErrorCode, Indicator, NotSending, Phase, ProblemCode, VisitEvent,
};
use sealed_visit_protocol::consent::{StatementKind, WithdrawalWish};
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage};
use sealed_visit_protocol::{ParticipantId, Role};

const LATE: usize = 4;

/// Three people record, and a fourth waits.
fn late() -> Sim {
    let mut sim = recording();
    sim.open(Role::Representative);
    sim.settle();
    sim
}

fn ask(sim: &mut Sim) {
    let participant = sim.id(LATE);
    sim.must(0, Command::AskWaiting { participant });
}

fn recorder_is_in(sim: &Sim) -> bool {
    let roster = sim.state(0).roster;
    roster.iter().any(|member| member.role == Role::Recorder)
}

fn answer_seen(sim: &Sim) -> (bool, Option<StatementKind>) {
    let state = sim.state(0);
    let late = sim.id(LATE);
    let entry = state
        .waiting
        .iter()
        .find(|entry| entry.participant == late)
        .unwrap();
    (entry.asked, entry.answer)
}

fn has_problem(sim: &Sim, page: usize, code: ProblemCode) -> bool {
    let problems = sim.state(page).problems;
    problems.iter().any(|problem| problem.code == code)
}

fn is_direct(message: &ClientMessage) -> bool {
    matches!(message, ClientMessage::Direct { .. })
}

#[test]
fn whoever_agrees_outside_comes_in_and_the_recording_goes_on_with_every_grant() {
    let mut sim = late();
    assert_eq!(answer_seen(&sim), (false, None));
    ask(&mut sim);
    assert_eq!(answer_seen(&sim), (true, None));
    let outside = sim.state(LATE);
    assert_eq!(outside.phase, Phase::Waiting);
    let consent = outside.consent.unwrap();
    assert_eq!(consent.host_name, Some(sim.world.name(0).0));
    assert_eq!(
        consent.texts[0].text.as_deref(),
        Some("May we? (Information)")
    );
    assert!(sim.pages[LATE].keys.is_empty() && outside.roster.is_empty());

    let epoch = sim.state(0).epoch.unwrap();
    sim.must(LATE, grant());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(LATE).phase, Phase::Live);
    assert!(recorder_is_in(&sim));
    beat(&mut sim);
    for page in [0, 1, 2, LATE] {
        assert!(is_recording(&sim, page));
    }
    assert_eq!(
        sim.state(0).epoch,
        Some(epoch + 1),
        "grant and admission are one commit"
    );
    let consent = sim.state(LATE).consent.unwrap();
    assert_eq!(consent.my_answer, Some(StatementKind::Grant));
    assert_eq!((consent.asked, consent.all_agreed), (4, true));
    sim.assert_agreed();
}

#[test]
fn whoever_refuses_outside_stays_outside_and_only_the_host_knows() {
    let mut sim = late();
    ask(&mut sim);
    sim.must(LATE, refusal());
    sim.pass_ms(3_000);
    assert_eq!(sim.state(LATE).phase, Phase::Waiting);
    assert!(sim.state(LATE).consent.unwrap().someone_refused);
    assert_eq!(answer_seen(&sim), (true, Some(StatementKind::Refusal)));
    assert!(recorder_is_in(&sim));
    for page in 0..3 {
        assert!(!sim.state(page).consent.unwrap().someone_refused);
    }
    let participant = sim.id(LATE);
    let again = sim.command(0, Command::AskWaiting { participant });
    let admit = sim.command(0, Command::Admit { participant });
    sim.settle();
    assert_eq!(sim.pages[0].failed[&again], ErrorCode::NotAgreed);
    assert_eq!(sim.pages[0].failed[&admit], ErrorCode::RecordingInProgress);

    // One click of the host's: the recorder leaves, and the person comes in unrecorded.
    sim.must(0, Command::PauseAndAdmit { participant });
    sim.pass_ms(1_500);
    assert_eq!(sim.state(LATE).phase, Phase::Live);
    assert!(!recorder_is_in(&sim));
    let early = sim.command(0, Command::StartRecorder);
    assert_eq!(sim.pages[0].failed[&early], ErrorCode::NotAgreed);
    // Inside it is asked anew.
    assert_eq!(sim.state(LATE).consent.unwrap().my_answer, None);
}

#[test]
fn in_an_emergency_one_commit_takes_the_recorder_out_and_the_person_in() {
    let mut sim = late();
    let epoch = sim.state(0).epoch.unwrap();
    let participant = sim.id(LATE);
    sim.must(0, Command::PauseAndAdmit { participant });
    sim.pass_ms(1_500);
    assert_eq!(sim.state(0).epoch, Some(epoch + 1));
    assert!(!recorder_is_in(&sim));
    for page in 0..3 {
        let indicator = sim.state(page).indicator;
        assert!(matches!(indicator, Indicator::Paused { .. }), "{page}");
    }
    // The newcomer is asked inside, under the same round; then the recording goes on.
    let news = VisitEvent::ConsentRequested {
        round: sim.state(0).consent.unwrap().round,
    };
    assert!(sim.pages[LATE].events.contains(&news));
    sim.must(LATE, grant());
    sim.must(0, Command::AgreeResume);
    let resumed = sim.command(0, Command::StartRecorder);
    sim.pass_ms(4_000);
    assert!(
        sim.pages[0].done.contains(&resumed),
        "{:?}",
        sim.pages[0].failed
    );
}

#[test]
fn a_question_or_an_answer_that_is_lost_is_said_again() {
    let mut sim = late();
    sim.hold = Some(is_direct);
    ask(&mut sim);
    assert_eq!(sim.held.len(), 1, "only the host spoke");
    sim.held.clear();
    sim.hold = None;
    sim.pass_ms(6_000);
    assert!(sim.state(LATE).consent.is_some(), "asked again");
    sim.hold = Some(is_direct);
    sim.command(LATE, grant());
    sim.held.clear();
    sim.hold = None;
    sim.pass_ms(6_000);
    assert_eq!(sim.state(LATE).phase, Phase::Live);
    assert!(recorder_is_in(&sim));
}

#[test]
fn a_page_that_is_loaded_anew_in_the_waiting_room_is_asked_again() {
    let mut sim = late();
    ask(&mut sim);
    sim.reload(LATE);
    sim.pass_ms(1_000);
    assert!(sim.state(LATE).consent.is_some());
    sim.must(LATE, grant());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(LATE).phase, Phase::Live);
}

#[test]
fn a_host_that_was_loaded_anew_can_still_ask() {
    let mut sim = late();
    ask(&mut sim);
    sim.reload(0);
    sim.pass_ms(6_000);
    assert_eq!(sim.state(0).phase, Phase::Live);
    assert_eq!(answer_seen(&sim), (false, None));
    ask(&mut sim);
    sim.must(LATE, grant());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(LATE).phase, Phase::Live);
    assert!(recorder_is_in(&sim));
}

#[test]
fn only_the_host_asks_and_only_who_waits_is_asked() {
    let mut sim = late();
    for (page, participant, code) in [
        (1, sim.id(LATE), ErrorCode::NotTheHost),
        (0, sim.id(1), ErrorCode::UnknownParticipant),
        (
            0,
            ParticipantId::from_bytes([9; 16]),
            ErrorCode::UnknownParticipant,
        ),
    ] {
        for command in [
            Command::AskWaiting { participant },
            Command::PauseAndAdmit { participant },
        ] {
            let id = sim.command(page, command);
            assert_eq!(sim.pages[page].failed[&id], code);
        }
    }
    let early = sim.command(LATE, grant());
    assert_eq!(sim.pages[LATE].failed[&early], ErrorCode::NoRound);
}

#[test]
fn a_question_that_the_relay_bends_is_refused_and_nothing_is_shown() {
    let mut sim = late();
    sim.hold = Some(is_direct);
    ask(&mut sim);
    let (_, ClientMessage::Direct { data, .. }) = sim.held.remove(0) else {
        panic!("no question");
    };
    sim.hold = None;
    // In another's name; a character changed inside.
    let mut bent = data.0.clone();
    let middle = bent.len() / 2;
    bent[middle] = if bent[middle] == b'A' { b'B' } else { b'A' };
    for (from, data) in [(sim.id(1), data.0.clone()), (sim.id(0), bent)] {
        sim.pages[LATE].inbox.push_back(RelayMessage::Direct {
            from,
            data: sealed_visit_protocol::B64(data),
        });
        sim.settle();
        assert!(sim.state(LATE).consent.is_none());
        assert!(sim.state(LATE).problems.iter().any(|problem| {
            (problem.code, problem.participant) == (ProblemCode::MessageRefused, Some(from))
        }));
    }
    // To somebody it was not sealed to.
    let other = sim.open(Role::Guest);
    sim.settle();
    let from = sim.id(0);
    sim.pages[other]
        .inbox
        .push_back(RelayMessage::Direct { from, data });
    sim.settle();
    assert!(sim.state(other).consent.is_none());
}

#[test]
fn an_answer_in_anothers_name_lets_nobody_in() {
    let mut sim = late();
    let other = sim.open(Role::Guest);
    sim.settle();
    ask(&mut sim);
    let participant = sim.id(other);
    sim.must(0, Command::AskWaiting { participant });
    // The relay gives one's answer as the other's.
    sim.hold = Some(is_direct);
    sim.command(LATE, grant());
    let (_, ClientMessage::Direct { data, .. }) = sim.held.remove(0) else {
        panic!("no answer");
    };
    sim.hold = None;
    sim.pages[0].inbox.push_back(RelayMessage::Direct {
        from: participant,
        data,
    });
    sim.pass_ms(1_000);
    assert!(has_problem(&sim, 0, ProblemCode::MessageRefused));
    assert_eq!(sim.state(other).phase, Phase::Waiting);
}

#[test]
fn an_answer_to_a_round_that_is_over_lets_nobody_into_a_recording() {
    let mut sim = late();
    ask(&mut sim);
    sim.must(
        1,
        Command::Withdraw {
            wish: Some(WithdrawalWish::Keep),
        },
    );
    sim.pass_ms(3_000);
    let request: ConsentRequest = asked(&sim);
    sim.must(0, Command::RequestConsent(Box::new(request)));
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    assert!(recorder_is_in(&sim));
    sim.must(LATE, grant());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(LATE).phase, Phase::Waiting);
    assert_eq!(answer_seen(&sim), (false, None));
    ask(&mut sim);
    assert_eq!(sim.state(LATE).consent.unwrap().my_answer, None);
    sim.must(LATE, grant());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(LATE).phase, Phase::Live);
}

#[test]
fn a_withdrawal_while_somebody_is_asked_takes_the_recorder_out_all_the_same() {
    let mut sim = late();
    ask(&mut sim);
    // Grant and withdrawal meet: both commits are built in one epoch.
    sim.hold = Some(|message| matches!(message, ClientMessage::Commit { .. }));
    sim.command(LATE, grant());
    sim.settle();
    sim.command(1, Command::Withdraw { wish: None });
    sim.settle();
    assert!(!sim.pages[1].gate_open);
    sim.hold = None;
    for (page, message) in std::mem::take(&mut sim.held) {
        sim.relay_hears(page, message);
    }
    sim.pass_ms(3_000);
    assert!(!recorder_is_in(&sim));
    for page in [0, 1, 2, LATE] {
        let epoch = sim.pages[page].sending_with.unwrap();
        assert!(sim.pages[page].gate_open);
        assert!(!sim.pages[RECORDER].keys.contains_key(&epoch));
    }
}

#[test]
fn whoever_came_in_while_recording_stops_on_a_withdrawal_like_everybody() {
    for who in [LATE, 1] {
        let mut sim = late();
        ask(&mut sim);
        sim.must(LATE, grant());
        sim.pass_ms(1_500);
        sim.hold = Some(|message| matches!(message, ClientMessage::Commit { .. }));
        sim.command(who, Command::Withdraw { wish: None });
        sim.settle();
        assert!(!sim.pages[LATE].gate_open, "withdrawal by {who}");
        let reason = sim.state(LATE).sending.reason;
        assert_eq!(reason, Some(NotSending::Withdrawn));
    }
}

#[test]
fn a_person_who_left_comes_back_under_its_grant_while_recording() {
    let mut sim = recording();
    sim.must(2, Command::Leave);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(0).roster.len(), 3);
    sim.reload(2);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(2).phase, Phase::Live);
    assert!(recorder_is_in(&sim));
}

/// Numbers run over the whole visit: whoever makes somebody use a very high one takes the later ones away, withdrawals
/// included.
#[test]
fn a_question_that_would_use_up_somebodys_numbers_is_refused() {
    let mut sim = late();
    let id = sim.id(LATE);
    sim.pages[0].visit.memory.legacy.hear(id, u64::MAX - 1);
    ask(&mut sim);
    assert!(sim.state(LATE).consent.is_none());
    assert!(has_problem(&sim, LATE, ProblemCode::MessageRefused));
}
