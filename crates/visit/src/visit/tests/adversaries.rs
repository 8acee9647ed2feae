//! Each adversary against whole visits: honest members refuse, stay safe, and their person is told.
//!
//! What single groups refuse is tested in `group/tests`; every schedule of these attacks, in `model`.

use super::consent::{asked_among, asked_of, grant};
use super::model::scene_at;
use super::sim::Sim;
use crate::group::Joiner;
use crate::visit::app_message::AppMessage;
use crate::visit::recording::Words;
use crate::visit::{
    Command, ErrorCode, Indicator, Input, Output, Phase, Problem, ProblemCode, TextBody,
};
use sealed_visit_protocol::clinic::{Recipient, WrapSuite};
use sealed_visit_protocol::consent::{Layer, RequestClaims, StatementKind};
use sealed_visit_protocol::pass::PassClaims;
use sealed_visit_protocol::wire::{ClientMessage, RelayMessage, Waiting};
use sealed_visit_protocol::{B64, ParticipantId, Role, RoundId};

const THREE: [Role; 3] = [Role::Clinician, Role::Patient, Role::Guest];

fn told(problems: &[Problem], code: ProblemCode) -> Option<Option<ParticipantId>> {
    let mut problems = problems.iter();
    problems
        .find(|problem| problem.code == code)
        .map(|problem| problem.participant)
}

fn sim_told(sim: &Sim, page: usize, code: ProblemCode) -> Option<Option<ParticipantId>> {
    told(&sim.state(page).problems, code)
}

fn of_texts(texts: Vec<TextBody>) -> Words {
    Words {
        texts,
        ..Words::default()
    }
}

impl Sim {
    /// A member says inside the encryption what its machine would not.
    pub fn says(&mut self, page: usize, message: &AppMessage) {
        let group = &mut self.pages[page].visit.member_mut().unwrap().group;
        let data = B64(group.encrypt(&message.to_bytes()).unwrap());
        let (group_id, epoch) = (B64(group.group_id().to_vec()), group.epoch());
        self.relay_hears(
            page,
            ClientMessage::App {
                group_id,
                epoch,
                data,
            },
        );
        self.settle();
    }

    fn request_claims(&self) -> (RequestClaims, Vec<TextBody>) {
        let asked = asked_of(&self.world, self.world.participant(9));
        let claims = RequestClaims {
            v: 1,
            round: RoundId::from_bytes([7; 16]),
            visit: self.world.visit,
            group_id: self.group_id(0),
            recorder: asked.recorder,
            purpose: asked.purpose,
            recipients: asked.recipients,
            texts: asked.texts.iter().map(TextBody::reference).collect(),
            terms: asked.terms,
            again_after: None,
            checklist: Vec::new(),
            at_ms: self.now_ms,
            pass: self.world.pass(0, Role::Clinician),
        };
        (claims, asked.texts)
    }
}

#[test]
fn a_clinician_who_commits_an_ungranted_recorder_is_told_of_and_left_behind() {
    let (mut scene, _) = scene_at("evil-live evil-recorder:0");
    let offender = scene.evil.as_ref().unwrap().admitted.participant;
    scene.settle().unwrap();
    for page in 0..2 {
        let state = scene.shown(page).unwrap();
        assert_eq!(
            told(&state.problems, ProblemCode::CommitRefused),
            Some(Some(offender))
        );
        assert!(!state.sending.open);
        assert_eq!(state.indicator, Indicator::NotRecorded);
    }
    let recorder = scene.shown(2).unwrap();
    assert!(told(&recorder.problems, ProblemCode::WelcomeRefused).is_some());
    scene.run_until(scene.now_ms + 10_000, true).unwrap();
    for page in 0..2 {
        let state = scene.shown(page).unwrap();
        assert!(state.phase == Phase::Live && state.sending.open);
        assert_eq!(state.roster.len(), 2, "without the offender");
    }
}

#[test]
fn a_newcomer_is_told_that_it_was_about_to_be_led_into_a_recording_without_consent() {
    let (mut scene, _) = scene_at("evil-meeting evil-everybody:0");
    scene.settle().unwrap();
    let newcomer = scene.shown(1).unwrap();
    assert!(told(&newcomer.problems, ProblemCode::WelcomeRefused).is_some());
    assert!(newcomer.phase != Phase::Live && newcomer.roster.is_empty());
}

#[test]
fn bytes_that_are_no_commit_and_take_the_epoch_are_told_and_left() {
    let (mut scene, _) = scene_at("liar-recording garbage:0");
    scene.settle().unwrap();
    for page in 0..3 {
        let state = scene.shown(page).unwrap();
        assert!(told(&state.problems, ProblemCode::CommitRefused).is_some());
        assert!(!state.sending.open);
    }
    scene.run_until(scene.now_ms + 10_000, true).unwrap();
    for page in 0..3 {
        let state = scene.shown(page).unwrap();
        assert!(state.phase == Phase::Live && state.sending.open);
        assert_eq!(state.roster.len(), 3, "nobody can be named: nobody is left");
        assert_eq!(state.indicator, Indicator::Stopped, "recording has ended");
    }
}

#[test]
fn a_ghost_is_told_of_and_not_shown_as_waiting() {
    let mut sim = Sim::live(&THREE[..2]);
    let world = &sim.world;
    let claims = PassClaims {
        exp: sim.now_ms / 1000 - 1,
        ..world.pass_claims(5, Role::Guest)
    };
    let expired =
        crate::group::Identity::new(&world.authority.sign(&claims), world.key(5), &world.policy);
    let (_, of_expired) = Joiner::new(expired.unwrap(), world.policy.clone()).unwrap();
    let (_, of_another) = world.joiner(&world.identity(6, Role::Guest));
    for key_package in [of_expired, of_another, b"no key package".to_vec()] {
        let ghost = sim.world.participant(5);
        let waiting = Waiting {
            participant: ghost,
            role: Role::Guest,
            pass: sim.world.pass(5, Role::Guest),
            key_package: B64(key_package),
        };
        let message = RelayMessage::Waiting { waiting };
        sim.feed(0, Input::Relay { message });
        assert_eq!(
            sim_told(&sim, 0, ProblemCode::GhostRefused),
            Some(Some(ghost))
        );
        assert!(sim.state(0).waiting.is_empty());
        let participant = ghost;
        let id = sim.command(0, Command::Admit { participant });
        assert_eq!(sim.pages[0].failed[&id], ErrorCode::UnknownParticipant);
        sim.pages[0].visit.problems.clear();
    }
}

#[test]
fn a_request_for_a_key_that_the_clinic_does_not_list_is_told_and_opens_nothing() {
    let mut sim = Sim::live(&THREE);
    let (mut claims, texts) = sim.request_claims();
    claims.recipients[0].fingerprint = Recipient::fingerprint_of(WrapSuite::X25519, &[66; 32]);
    claims.recipients.sort();
    let request = sim.world.key(0).sign(&claims);
    let words = of_texts(texts);
    sim.says(0, &AppMessage::Request { request, words });
    for page in 1..3 {
        assert_eq!(
            sim_told(&sim, page, ProblemCode::KeySwapped),
            Some(Some(sim.id(0)))
        );
        assert!(sim.state(page).consent.is_none());
    }
}

#[test]
fn nobody_asks_in_the_hosts_name() {
    let mut sim = Sim::live(&THREE);
    let (claims, texts) = sim.request_claims();
    let request = sim.world.key(0).sign(&claims);
    let words = of_texts(texts);
    sim.says(2, &AppMessage::Request { request, words });
    assert_eq!(
        sim_told(&sim, 1, ProblemCode::MessageRefused),
        Some(Some(sim.id(2)))
    );
}

#[test]
fn words_that_are_not_those_of_the_request_are_not_shown_and_cannot_be_agreed_to() {
    let mut sim = Sim::live(&THREE);
    sim.open(Role::Recorder);
    sim.settle();
    let request = asked_of(&sim.world, sim.id(3));
    sim.hold = Some(|message| matches!(message, ClientMessage::App { .. }));
    sim.must(0, Command::RequestConsent(Box::new(request)));
    sim.held.clear();
    sim.hold = None;
    let round = sim.state(1).consent.unwrap().round;
    let other = |layer| TextBody {
        layer,
        language: "en".into(),
        version: "1".into(),
        text: "Nothing will be recorded.".into(),
    };
    let texts = vec![other(Layer::Information), other(Layer::Recording)];
    let said = AppMessage::Texts {
        round,
        words: of_texts(texts),
        places: Vec::new(),
    };
    sim.says(0, &said);
    let shown = sim.state(1).consent.unwrap();
    assert!(shown.texts.iter().all(|text| text.text.is_none()));
    let id = sim.command(1, grant());
    assert_eq!(sim.pages[1].failed[&id], ErrorCode::BadAnswer);
    assert_eq!(sim.state(1).consent.unwrap().my_answer, None);
}

/// A member who is no clinician tells the others what "the host" wrote, and whom to call; first, or of a made-up round.
#[test]
fn nobody_but_a_clinician_puts_words_in_the_hosts_mouth_or_takes_them_away() {
    let mut sim = Sim::live(&THREE);
    sim.open(Role::Recorder);
    sim.settle();
    let mut request = asked_of(&sim.world, sim.id(3));
    request.note = "For your record.".into();
    request.emergency = "555-0100".into();
    let texts = request.texts.clone();
    sim.hold = Some(|message| matches!(message, ClientMessage::App { .. }));
    sim.must(0, Command::RequestConsent(Box::new(request.clone())));
    sim.held.clear();
    sim.hold = None;
    let round = sim.state(1).consent.unwrap().round;
    let made_up = TextBody {
        text: "Nothing will be recorded.".into(),
        ..texts[0].clone()
    };
    let told = |round, texts: Vec<TextBody>, note: &str, emergency: &str| AppMessage::Texts {
        round,
        words: Words {
            texts,
            note: note.into(),
            emergency: emergency.into(),
        },
        places: Vec::new(),
    };
    sim.says(
        2,
        &told(round, vec![made_up.clone()], "Not recorded.", "666"),
    );
    assert_eq!(sim.state(1).consent.unwrap().note, "");
    // What the request's hashes name is what it is, whoever says it.
    sim.says(2, &told(round, texts.clone(), "Not recorded.", "666"));
    let shown = sim.state(1).consent.unwrap();
    assert!(shown.texts.iter().all(|text| text.text.is_some()) && shown.note.is_empty());
    sim.says(0, &told(round, texts, &request.note, &request.emergency));
    assert_eq!(sim.state(1).consent.unwrap().note, request.note);
    sim.says(
        2,
        &told(RoundId::from_bytes([9; 16]), vec![made_up], "", ""),
    );
    let shown = sim.state(1).consent.unwrap();
    assert!(shown.texts.iter().all(|text| text.text.is_some()));
    assert_eq!(shown.note, request.note);
    let words = |page: usize| sim.pages[page].visit.recording.words_of(round).cloned();
    assert_eq!(words(1).unwrap().emergency, request.emergency);
    assert_eq!(words(0).unwrap().emergency, request.emergency);
    sim.must(1, grant());
}

#[test]
fn a_message_that_is_not_genuine_is_told_and_its_epoch_left() {
    let mut sim = Sim::live(&THREE);
    let group_id = sim.group_id(0);
    let epoch = sim.state(0).epoch.unwrap();
    sim.relay_hears(
        2,
        ClientMessage::App {
            group_id: group_id.clone(),
            epoch,
            data: B64(vec![1; 200]),
        },
    );
    sim.settle();
    assert!(sim_told(&sim, 0, ProblemCode::MessageRefused).is_some());
    assert!(!sim.pages[0].gate_open);
    sim.pass_ms(10_000);
    assert!(sim.group_id(0) != group_id);
    sim.assert_agreed();
    assert_eq!(sim.state(0).roster.len(), 3);
}

#[test]
fn what_the_relay_leaves_out_is_told_and_asked_for_again() {
    let mut sim = Sim::live(&THREE);
    for data in [b"one".to_vec(), b"two".to_vec()] {
        sim.command(0, Command::Send { data: data.into() });
    }
    assert_eq!(sim.pages[1].inbox.len(), 2);
    sim.pages[1].inbox.pop_front();
    sim.settle();
    assert!(sim_told(&sim, 1, ProblemCode::MessagesMissing).is_some());
    assert_eq!(sim.pages[1].messages, [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(sim.pages[2].messages, [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn what_the_relay_says_twice_or_in_another_order_is_heard_once_and_in_order() {
    let mut sim = Sim::live(&THREE);
    for data in [b"one".to_vec(), b"two".to_vec()] {
        sim.command(0, Command::Send { data: data.into() });
    }
    let first = sim.pages[1].inbox[0].clone();
    sim.pages[1].inbox.push_back(first);
    sim.pages[2].inbox.swap(0, 1);
    sim.settle();
    for page in 1..3 {
        assert_eq!(sim.pages[page].messages, [b"one".to_vec(), b"two".to_vec()]);
    }
    sim.assert_agreed();
}

#[test]
fn a_relay_that_orders_a_commit_for_its_author_alone_is_found_out() {
    let (mut scene, _) = scene_at("forks withdraw:0 relay:0 fork:0");
    scene.settle().unwrap();
    let author = scene.shown(0).unwrap();
    assert!(author.sending.open && author.indicator == Indicator::StoppedByYou);
    scene.run_until(scene.now_ms + 30_000, true).unwrap();
    let told = (0..3).any(|page| {
        let problems = &scene.shown(page).unwrap().problems;
        problems.iter().any(|problem| {
            matches!(
                problem.code,
                ProblemCode::MessageRefused
                    | ProblemCode::CommitRefused
                    | ProblemCode::MessagesMissing
            )
        })
    });
    assert!(told);
    scene.heal().unwrap();
}

/// Anybody can sign withdrawals from rounds that nobody opened.
#[test]
fn made_up_rounds_change_nothing_and_fill_nothing() {
    let (mut sim, recorder) = asked_among(&THREE);
    let known = |sim: &Sim| {
        let visit = &sim.pages[1].visit;
        (visit.memory.clone(), visit.recording.heard().count())
    };
    sim.must(0, grant());
    sim.must(1, grant());
    let before = known(&sim);
    let group_id = sim.group_id(1);
    let author = sim.world.identity(2, Role::Guest);
    let host = sim.world.identity(0, Role::Clinician);
    for n in 0..50 {
        let mut claims = sim.world.request_claims(&host, sim.id(recorder), n);
        claims.group_id = group_id.clone();
        // The host never asked: the author may as well have signed this request itself.
        let request = host.key().sign(&claims);
        for kind in [StatementKind::Withdrawal, StatementKind::Refusal] {
            let statement = sim.world.statement(&author, &request, kind, n);
            sim.says(2, &AppMessage::Statement { statement });
        }
    }
    // Of the open round, and an answer to another request.
    let open = sim.pages[1].visit.open_round().unwrap().request().clone();
    let mut claims = open.claims().clone();
    claims.terms.retention_days += 1;
    let other = host.key().sign(&claims);
    let kind = StatementKind::Withdrawal;
    let statement = sim.world.statement(&author, &other, kind, 9);
    sim.says(2, &AppMessage::Statement { statement });
    assert_eq!(known(&sim), before);
    let refused = sim_told(&sim, 1, ProblemCode::MessageRefused);
    assert!(refused.is_some());
    assert!(sim.pages[1].withdrawals.is_empty());
    sim.must(2, grant());
    sim.must(0, Command::StartRecorder);
}

/// Nor does one who says the same in ever new words.
#[test]
fn nobody_fills_a_memory_by_answering_over_and_over() {
    let (mut sim, _) = asked_among(&THREE);
    let author = sim.world.identity(2, Role::Guest);
    let request = sim.pages[1].visit.open_round().unwrap().request().clone();
    for seq in 0..50 {
        let kind = StatementKind::Grant;
        let mut claims = sim
            .world
            .statement_claims(&author, request.jws(), kind, seq);
        claims.texts = request
            .claims()
            .texts
            .iter()
            .map(|text| text.hash)
            .collect();
        let statement = author.key().sign(&claims);
        sim.says(2, &AppMessage::Statement { statement });
    }
    let kinds = [StatementKind::Refusal, StatementKind::Withdrawal];
    for (kind, seq) in kinds.into_iter().zip([50, 70]) {
        for seq in seq..seq + 20 {
            let statement = sim.world.statement(&author, request.jws(), kind, seq);
            sim.pages[1].visit.on_statement(statement);
        }
    }
    assert_eq!(sim.pages[1].visit.recording.heard().count(), 3);
    let outputs = sim.pages[1].visit.out.clone().into_iter();
    let told = outputs.filter(|output| matches!(output, Output::Withdrawal { .. }));
    assert_eq!(told.count(), 1);
}

/// One number for a grant and a refusal, in either order.
#[test]
fn of_two_answers_with_one_number_the_one_that_is_no_grant_counts() {
    let kinds = [StatementKind::Grant, StatementKind::Refusal];
    for order in [kinds, [kinds[1], kinds[0]]] {
        let (mut sim, _) = asked_among(&THREE);
        sim.must(0, grant());
        sim.must(1, grant());
        let author = sim.world.identity(2, Role::Guest);
        let request = sim.pages[0].visit.open_round().unwrap().request().clone();
        for kind in order {
            let statement = sim.world.statement(&author, request.jws(), kind, 5);
            sim.says(2, &AppMessage::Statement { statement });
            sim.pass_ms(1_500);
        }
        for page in 0..2 {
            let said = sim.pages[page].visit.answer_of(sim.id(2));
            assert_eq!(said, Some(StatementKind::Refusal), "page {page}");
            let round = sim.pages[page].visit.open_round().unwrap();
            let held = round.statement_of(sim.id(2)).unwrap();
            assert_eq!(held.claims().kind, StatementKind::Refusal);
        }
        let start = sim.command(0, Command::StartRecorder);
        sim.settle();
        assert_eq!(sim.pages[0].failed[&start], ErrorCode::NotAgreed);
    }
}

/// Everybody has agreed; then somebody who found the guest's lost pass key agrees in the guest's place, later.
#[test]
fn no_screen_says_that_everyone_agreed_while_the_gate_holds_a_grant_of_a_lost_key() {
    let (mut sim, _) = asked_among(&THREE);
    for page in 0..3 {
        sim.must(page, grant());
    }
    assert!(sim.state(0).consent.unwrap().all_agreed);
    let thief = sim.world.identity_with_new_key(2, Role::Guest, 1);
    let request = sim.pages[0].visit.open_round().unwrap().request().clone();
    let statement = sim
        .world
        .statement(&thief, request.jws(), StatementKind::Grant, 1_000);
    sim.says(2, &AppMessage::Statement { statement });
    sim.pass_ms(1_500);
    for page in 0..3 {
        assert!(!sim.state(page).consent.unwrap().all_agreed, "page {page}");
    }
    let start = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&start], ErrorCode::NotAgreed);
    // Asked again, because what counts is what the guest says with the key it is here with.
    assert_eq!(sim.state(2).consent.unwrap().my_answer, None);
    sim.must(2, grant());
    assert!(sim.state(0).consent.unwrap().all_agreed);
}
