//! Consent opens the recorder, and closes it.

use super::sim::Sim;
use crate::group::testing::World;
use crate::visit::{
    Command, ConsentRequest, ErrorCode, GivenAnswer, Indicator, Input, NotSending, OpenPart, Phase,
    ProblemCode, RecorderLeft, TextBody, VisitEvent,
};
use sealed_visit_protocol::consent::{Layer, Purpose, Statement, StatementKind, WithdrawalWish};
use sealed_visit_protocol::recording::{OpenStatement, OpenTrack};
use sealed_visit_protocol::track::{Header, HeaderClaims, TrackKind};
use sealed_visit_protocol::wire::ClientMessage;
use sealed_visit_protocol::{B64, Jws, ParticipantId, RecordingId, Role, SigningKey, TrackId};
use sealed_visit_testing::samples::{own_answer, terms};

const PEOPLE: [Role; 3] = [Role::Clinician, Role::Patient, Role::Guest];
pub const RECORDER: usize = 3;

pub fn asked(sim: &Sim) -> ConsentRequest {
    asked_of(&sim.world, sim.id(RECORDER))
}

pub fn asked_of(world: &World, recorder: ParticipantId) -> ConsentRequest {
    ConsentRequest {
        purpose: Purpose::MedicalRecord,
        recipients: world.recipients(),
        texts: [Layer::Information, Layer::Recording]
            .map(|layer| TextBody {
                layer,
                language: "en".into(),
                version: "1".into(),
                text: format!("May we? ({layer:?})"),
            })
            .to_vec(),
        terms: terms(),
        checklist: vec![],
        recorder,
        again_after: None,
        note: String::new(),
        emergency: String::new(),
    }
}

pub fn given_grant() -> GivenAnswer {
    GivenAnswer {
        kind: StatementKind::Grant,
        answers: vec![own_answer(true)],
        language: "en".into(),
        spoken: String::new(),
        interpreted_for: Vec::new(),
        place: "US-CA".into(),
    }
}

pub fn grant() -> Command {
    Command::Answer(given_grant())
}

pub fn refusal() -> Command {
    Command::Answer(GivenAnswer {
        kind: StatementKind::Refusal,
        answers: Vec::new(),
        place: String::new(),
        ..given_grant()
    })
}

impl Sim {
    /// A part with one track, as a recording module would open it.
    pub fn open_part(&self) -> OpenPart {
        let recording_key = SigningKey::from_seed(&[5; 32]).public();
        let (recording, track) = (
            RecordingId::from_bytes([1; 16]),
            TrackId::from_bytes([2; 16]),
        );
        let header = Header::new(HeaderClaims {
            v: 1,
            visit: self.world.visit,
            recording,
            part: 0,
            track,
            content: TrackKind::Mixed,
            media_type: "video/webm".into(),
            suite: HeaderClaims::SUITE.into(),
            recipients: self
                .world
                .recipients()
                .iter()
                .map(|recipient| recipient.fingerprint)
                .collect(),
            share_required: true,
            recording_key,
        })
        .unwrap();
        OpenPart {
            recording,
            part: 0,
            recording_key,
            tracks: vec![OpenTrack {
                track,
                header: B64(header.bytes().to_vec()),
            }],
            previous: None,
        }
    }
}

/// Three people live, a recorder waiting, consent asked.
pub fn waiting_recorder() -> Sim {
    asked_among(&PEOPLE).0
}

/// These people live, a recorder waiting, consent asked; and the recorder's page.
pub fn asked_among(people: &[Role]) -> (Sim, usize) {
    asked_among_with(people, |_| {})
}

/// The same, with a request of one's own.
pub fn asked_among_with(people: &[Role], change: impl FnOnce(&mut ConsentRequest)) -> (Sim, usize) {
    let mut sim = Sim::live(people);
    let recorder = sim.open(Role::Recorder);
    sim.settle();
    let mut request = asked_of(&sim.world, sim.id(recorder));
    change(&mut request);
    sim.must(0, Command::RequestConsent(Box::new(request)));
    (sim, recorder)
}

/// The same, granted by all and recording.
pub fn recording() -> Sim {
    let mut sim = waiting_recorder();
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
    beat(&mut sim);
    sim.pass_ms(1_500);
    sim
}

pub fn beat(sim: &mut Sim) {
    sim.must(
        RECORDER,
        Command::Heartbeat {
            part: 0,
            segments: 1,
            sealed_media_us: 1,
        },
    );
}

pub fn is_recording(sim: &Sim, page: usize) -> bool {
    matches!(sim.state(page).indicator, Indicator::Recording { .. })
}

#[test]
fn everybody_sees_the_words_that_the_request_names() {
    let sim = waiting_recorder();
    for page in 0..3 {
        let consent = sim.state(page).consent.unwrap();
        assert_eq!(consent.asked, 3);
        assert_eq!(
            consent.texts[0].text.as_deref(),
            Some("May we? (Information)")
        );
        assert_eq!(consent.my_answer, None);
    }
    assert_eq!(sim.state(0).indicator, Indicator::NotRecorded);
}

#[test]
fn a_recorder_joins_when_everybody_agreed_and_not_before() {
    let mut sim = waiting_recorder();
    for page in 0..3 {
        let early = sim.command(0, Command::StartRecorder);
        sim.settle();
        assert_eq!(
            sim.pages[0].failed[&early],
            ErrorCode::NotAgreed,
            "after {page} grants"
        );
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    sim.assert_agreed();
    assert_eq!(sim.state(RECORDER).phase, Phase::Live);
    for page in 0..3 {
        assert!(matches!(
            sim.state(page).indicator,
            Indicator::RecorderPresent { .. }
        ));
    }
    beat(&mut sim);
    (0..3).for_each(|page| assert!(is_recording(&sim, page)));
}

#[test]
fn a_silent_recorder_is_shown_as_present_and_never_as_absent() {
    let mut sim = recording();
    sim.pass_ms(5_000);
    for page in 0..3 {
        let state = sim.state(page);
        assert!(matches!(state.indicator, Indicator::RecorderPresent { .. }));
        assert!(
            state
                .problems
                .iter()
                .any(|problem| problem.code == ProblemCode::RecorderSilent)
        );
    }
    beat(&mut sim);
    assert!(is_recording(&sim, 1));
}

#[test]
fn one_refusal_keeps_the_recorder_out_and_names_nobody_to_guests() {
    let mut sim = waiting_recorder();
    sim.must(0, grant());
    sim.must(1, refusal());
    sim.must(2, grant());
    let start = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&start], ErrorCode::NotAgreed);
    let guest = sim.state(2).consent.unwrap();
    assert!(guest.someone_refused && guest.by_participant.is_empty());
    let host = sim.state(0).consent.unwrap();
    assert!(
        host.by_participant
            .iter()
            .any(|of| of.participant == sim.id(1) && of.answer == StatementKind::Refusal)
    );
    let changed = sim.command(1, grant());
    sim.settle();
    sim.pass_ms(2_000);
    assert!(sim.pages[1].done.contains(&changed) || sim.pages[1].failed.contains_key(&changed));
    let again = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert!(
        !sim.pages[0].done.contains(&again),
        "a refusal stands for its round"
    );
}

#[test]
fn asking_again_is_a_new_round() {
    let mut sim = waiting_recorder();
    sim.must(1, refusal());
    let round = sim.state(0).consent.unwrap().round;
    let request = ConsentRequest {
        again_after: Some(round),
        ..asked(&sim)
    };
    sim.must(0, Command::RequestConsent(Box::new(request)));
    let consent = sim.state(1).consent.unwrap();
    assert!(consent.round != round && consent.my_answer.is_none() && consent.asked_again);
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
}

#[test]
fn a_withdrawal_closes_the_gate_before_anything_else_happens() {
    let mut sim = recording();
    sim.hold = Some(|_| true);
    sim.command(1, Command::Withdraw { wish: None });
    assert!(!sim.pages[1].gate_open, "closed in the same call");
    assert_eq!(sim.state(1).sending.reason, Some(NotSending::Withdrawn));
    // The relay withholds everything: the member stays silent and says why.
    sim.pass_ms(10_000);
    assert!(!sim.pages[1].gate_open);
    assert!(
        sim.state(1)
            .problems
            .iter()
            .any(|problem| problem.code == ProblemCode::CommitWithheld)
    );
}

#[test]
fn after_a_withdrawal_everybody_goes_on_in_an_epoch_that_the_recorder_cannot_derive() {
    let mut sim = recording();
    let before = sim.pages[1].sending_with.unwrap();
    sim.must(1, Command::Withdraw { wish: None });
    sim.pass_ms(3_000);
    for page in 0..3 {
        let epoch = sim.pages[page].sending_with.unwrap();
        assert!(sim.pages[page].gate_open && epoch > before);
        assert!(!sim.pages[RECORDER].keys.contains_key(&epoch));
        assert_eq!(sim.state(page).roster.len(), 3);
        assert!(sim.state(page).consent.is_none(), "the round is dead");
    }
    assert_eq!(sim.state(1).indicator, Indicator::StoppedByYou);
    assert_eq!(sim.state(0).indicator, Indicator::Stopped);
    let told = VisitEvent::RecorderLeft {
        why: RecorderLeft::Withdrawn,
    };
    assert!(sim.pages[RECORDER].events.contains(&told));
    sim.assert_agreed_without_recorder();
}

#[test]
fn a_withdrawal_comes_out_signed_with_its_wish_for_the_vault_and_the_manifest() {
    let mut sim = recording();
    sim.must(
        1,
        Command::Withdraw {
            wish: Some(WithdrawalWish::Delete),
        },
    );
    sim.pass_ms(3_000);
    for (page, this) in sim.pages.iter().enumerate() {
        let [(jws, mine)] = this.withdrawals.as_slice() else {
            panic!("page {page} hands out {:?}", this.withdrawals);
        };
        assert_eq!(*mine, page == 1);
        let group_id = jws.unverified_claims().unwrap().group_id;
        let clinic = sim.world.policy.clinic();
        let statement = Statement::verify(jws, clinic, sim.world.visit, &group_id.0).unwrap();
        assert_eq!(statement.participant(), sim.id(1));
        assert_eq!(statement.claims().kind, StatementKind::Withdrawal);
        assert_eq!(statement.claims().wish, Some(WithdrawalWish::Delete));
    }
}

#[test]
fn everybody_gets_what_it_signed_and_the_means_to_take_it_back_later() {
    let mut sim = waiting_recorder();
    sim.must(1, grant());
    sim.must(2, refusal());
    let [(refused, none)] = sim.pages[2].signed.as_slice() else {
        panic!("{:?}", sim.pages[2].signed);
    };
    let kind = refused.unverified_claims().unwrap().kind;
    assert!(none.is_empty() && kind == StatementKind::Refusal);
    let [(granted, later)] = sim.pages[1].signed.as_slice() else {
        panic!("{:?}", sim.pages[1].signed);
    };
    let given = granted.unverified_claims().unwrap();
    assert_eq!(given.kind, StatementKind::Grant);
    let clinic = sim.world.policy.clinic();
    let wishes = later.iter().map(|jws| {
        let statement = Statement::verify(jws, clinic, sim.world.visit, &given.group_id.0).unwrap();
        let claims = statement.claims();
        assert_eq!(claims.kind, StatementKind::Withdrawal);
        assert_eq!((claims.round, claims.request), (given.round, given.request));
        assert!(claims.seq > given.seq && statement.participant() == sim.id(1));
        claims.wish
    });
    assert_eq!(
        wishes.collect::<Vec<_>>(),
        [Some(WithdrawalWish::Delete), Some(WithdrawalWish::Keep)]
    );
    // Signed ahead, and not said: the round is open, and nobody is told of a withdrawal.
    assert!(sim.pages.iter().all(|page| page.withdrawals.is_empty()));
    assert!(sim.state(0).consent.is_some());
}

#[test]
fn a_withdrawal_leaves_the_page_even_if_the_relay_takes_nothing() {
    let mut sim = recording();
    sim.hold = Some(|_| true);
    sim.command(1, Command::Withdraw { wish: None });
    assert_eq!(sim.pages[1].withdrawals.len(), 1, "in the same call");
    assert!(sim.pages[0].withdrawals.is_empty());
}

#[test]
fn the_end_of_a_recording_is_nobodys_withdrawal() {
    let mut sim = recording();
    sim.must(0, Command::StopRecording);
    sim.pass_ms(1_500);
    assert!(sim.pages.iter().all(|page| page.withdrawals.is_empty()));
}

#[test]
fn whoever_sees_a_withdrawal_removes_the_recorder_when_its_author_is_gone() {
    let mut sim = recording();
    sim.hold = Some(|message| matches!(message, ClientMessage::Commit { .. }));
    sim.command(1, Command::Withdraw { wish: None });
    sim.settle();
    assert!(
        !sim.pages[0].gate_open && !sim.pages[2].gate_open,
        "whoever sees it stops sending"
    );
    sim.disconnect(1);
    sim.held.clear();
    sim.hold = None;
    sim.pass_ms(3_000);
    assert_eq!(
        sim.state(0)
            .roster
            .iter()
            .filter(|member| member.role == Role::Recorder)
            .count(),
        0
    );
    assert!(sim.pages[0].gate_open && sim.pages[2].gate_open);
}

#[test]
fn a_pause_takes_the_recorder_out_and_resuming_is_announced() {
    let mut sim = recording();
    sim.must(0, Command::Pause);
    sim.pass_ms(1_000);
    assert!(matches!(
        sim.state(0).indicator,
        Indicator::Paused { by_me: true, .. }
    ));
    assert!(matches!(
        sim.state(1).indicator,
        Indicator::Paused { by_me: false, .. }
    ));
    assert!(
        sim.state(0)
            .roster
            .iter()
            .all(|member| member.role != Role::Recorder)
    );
    let resumed = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert!(
        sim.pages[1]
            .events
            .iter()
            .any(|event| matches!(event, VisitEvent::Resuming { in_ms: 3_000 }))
    );
    sim.pass_ms(2_900);
    assert!(!sim.pages[0].done.contains(&resumed));
    sim.pass_ms(500);
    assert!(
        sim.pages[0].done.contains(&resumed),
        "{:?}",
        sim.pages[0].failed
    );
    beat(&mut sim);
    assert!(is_recording(&sim, 2));
}

#[test]
fn what_a_removed_recorder_still_wanted_is_answered() {
    let mut sim = recording();
    sim.disconnect(RECORDER);
    sim.must(0, Command::Pause);
    let paused = sim.command(RECORDER, Command::Pause);
    sim.connect(RECORDER);
    sim.settle();
    let page = &sim.pages[RECORDER];
    assert_eq!(page.failed.get(&paused), Some(&ErrorCode::Interrupted));
}

#[test]
fn stopping_is_for_good_and_is_no_withdrawal() {
    let mut sim = recording();
    sim.must(0, Command::StopRecording);
    sim.pass_ms(1_500);
    for page in 0..3 {
        let state = sim.state(page);
        assert_eq!(state.indicator, Indicator::Stopped);
        assert!(state.consent.is_none() && state.sending.open);
    }
    let told = VisitEvent::RecorderLeft {
        why: RecorderLeft::Stopped,
    };
    assert!(sim.pages[RECORDER].events.contains(&told));
    let again = sim.command(0, Command::StartRecorder);
    assert_eq!(sim.pages[0].failed[&again], ErrorCode::NoRound);
    let request = asked(&sim);
    sim.must(0, Command::RequestConsent(Box::new(request)));
    for page in 0..3 {
        sim.must(page, grant());
    }
    sim.must(0, Command::StartRecorder);
    sim.pass_ms(1_500);
    assert!(matches!(
        sim.state(1).indicator,
        Indicator::RecorderPresent { .. }
    ));
}

#[test]
fn whoever_paused_must_agree_to_go_on() {
    let mut sim = recording();
    sim.must(1, Command::Pause);
    let early = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&early], ErrorCode::PauserMustAgree);
    sim.must(2, Command::AgreeResume);
    let by_another = sim.command(0, Command::StartRecorder);
    assert_eq!(sim.pages[0].failed[&by_another], ErrorCode::PauserMustAgree);
    sim.must(1, Command::AgreeResume);
    let resumed = sim.command(0, Command::StartRecorder);
    sim.pass_ms(4_000);
    assert!(sim.pages[0].done.contains(&resumed));
}

#[test]
fn a_reloaded_member_keeps_its_grant_while_recording() {
    let mut sim = recording();
    sim.reload(1);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(1).phase, Phase::Live);
    assert!(
        sim.state(1)
            .roster
            .iter()
            .any(|member| member.role == Role::Recorder)
    );
    assert_eq!(
        sim.state(1).consent.unwrap().my_answer,
        Some(StatementKind::Grant)
    );
    assert_eq!(
        sim.state(1).consent.unwrap().texts[0].text.as_deref(),
        Some("May we? (Information)")
    );
}

#[test]
fn a_crashed_recorder_is_replaced_under_the_same_grants() {
    let mut sim = recording();
    sim.reload(RECORDER);
    sim.pass_ms(3_000);
    assert_eq!(sim.state(RECORDER).phase, Phase::Live);
    beat(&mut sim);
    assert!(is_recording(&sim, 1));
}

#[test]
fn nobody_without_a_grant_gets_in_while_a_recorder_is_there() {
    let mut sim = recording();
    let late = sim.open(Role::Representative);
    sim.settle();
    let id = sim.command(
        0,
        Command::Admit {
            participant: sim.id(late),
        },
    );
    sim.settle();
    assert_eq!(sim.pages[0].failed[&id], ErrorCode::RecordingInProgress);
    sim.must(0, Command::Pause);
    sim.must(
        0,
        Command::Admit {
            participant: sim.id(late),
        },
    );
    assert_eq!(sim.state(late).phase, Phase::Live);
    let again = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&again], ErrorCode::NotAgreed);
}

#[test]
fn saying_no_while_recording_is_a_withdrawal() {
    let mut sim = recording();
    sim.must(2, refusal());
    sim.pass_ms(1_500);
    assert_eq!(sim.state(2).indicator, Indicator::StoppedByYou);
    assert!(
        sim.state(0)
            .roster
            .iter()
            .all(|member| member.role != Role::Recorder)
    );
}

#[test]
fn the_recorder_signs_an_open_statement_that_verifies() {
    let mut sim = recording();
    let open = sim.open_part();
    let id = sim.must(RECORDER, Command::SignOpen { open: open.clone() });
    let statement = Jws::from_text(sim.pages[RECORDER].results[&id].as_str());
    let verified = OpenStatement::verify(&statement, sim.world.policy.clinic()).unwrap();
    assert_eq!(verified.granted_by().len(), 3);
    let by_patient = sim.command(1, Command::SignOpen { open });
    assert_eq!(sim.pages[1].failed[&by_patient], ErrorCode::NotTheRecorder);
}

#[test]
fn who_came_back_while_recording_stops_sending_when_withdrawing() {
    let mut sim = recording();
    sim.reload(1);
    sim.pass_ms(3_000);
    assert!(sim.pages[1].gate_open);
    sim.hold = Some(|_| true);
    sim.command(1, Command::Withdraw { wish: None });
    assert!(!sim.pages[1].gate_open, "closed in the same call");
}

#[test]
fn a_withdrawal_outlives_the_loss_of_ones_place_in_the_group() {
    let mut sim = recording();
    sim.hold = Some(|message| {
        matches!(
            message,
            ClientMessage::App { .. } | ClientMessage::Commit { .. }
        )
    });
    sim.command(1, Command::Withdraw { wish: None });
    sim.held.clear();
    // The relay forgets where this member was: it asks for a new leaf.
    sim.hold = None;
    let lost = sealed_visit_protocol::wire::RelayMessage::Commit {
        seq: sim.pages[1].visit.link.last_seq.unwrap() + 1,
        group_id: sim.group_id(1),
        epoch: 1_000,
        from: sim.id(0),
        commit: B64(vec![0]),
    };
    sim.feed(1, Input::Relay { message: lost });
    for _ in 0..50 {
        sim.pass_ms(100);
        let recorder_hears = sim.pages[1]
            .sending_with
            .is_some_and(|epoch| sim.pages[RECORDER].keys.contains_key(&epoch));
        assert!(!(sim.pages[1].gate_open && recorder_hears));
    }
    assert!(sim.pages[1].gate_open, "and goes on without the recorder");
    assert_eq!(sim.state(1).roster.len(), 3);
}

#[test]
fn a_withdrawal_outlives_a_reload_before_it_left_the_page() {
    let mut sim = recording();
    sim.hold = Some(|_| true);
    sim.command(1, Command::Withdraw { wish: None });
    sim.held.clear();
    sim.hold = None;
    sim.reload(1);
    for _ in 0..50 {
        sim.pass_ms(100);
        let recorder_hears = sim.pages[1]
            .sending_with
            .is_some_and(|epoch| sim.pages[RECORDER].keys.contains_key(&epoch));
        assert!(!(sim.pages[1].gate_open && recorder_hears));
    }
    assert!(sim.pages[1].gate_open, "and goes on without the recorder");
    assert!(sim.state(0).consent.is_none(), "the round is dead");
    assert_eq!(sim.state(1).roster.len(), 3);
}
