//! Pausing: whoever went off the record is recorded again only after agreeing to it, whatever the host's page does.

use super::consent::{RECORDER, beat, is_recording, recording};
use super::sim::Sim;
use crate::sabotage::{Rule, breaking};
use crate::visit::app_message::AppMessage;
use crate::visit::{Command, ErrorCode, Indicator, NotSending, Phase, RecorderLeft, VisitEvent};
use sealed_visit_protocol::Role;

const PATIENT: usize = 1;
const GUEST: usize = 2;

impl Sim {
    fn has_a_recorder(&self, page: usize) -> bool {
        let state = self.state(page);
        let mut roster = state.roster.iter();
        roster.any(|entry| entry.role == Role::Recorder)
    }

    /// The host resumes, which everybody is told before.
    fn resumes(&mut self) {
        let resumed = self.command(0, Command::StartRecorder);
        self.pass_ms(5_000);
        assert!(
            self.pages[0].done.contains(&resumed),
            "{:?}",
            self.pages[0].failed
        );
    }

    /// The host's page follows no rule for resuming.
    fn resumes_unasked(&mut self) {
        self.pages[0].visit.recording.held_by = Default::default();
        self.command(0, Command::StartRecorder);
    }

    /// Nothing of this page reaches the recorder, which is out again in the end.
    fn assert_stays_off(&mut self, page: usize) {
        self.pages[page].events.clear();
        for _ in 0..80 {
            self.pass_ms(100);
            assert!(!self.recorder_hears(page));
        }
        let why = RecorderLeft::Paused;
        let was_in = VisitEvent::RecorderLeft { why };
        assert!(
            self.pages[page].events.contains(&was_in),
            "nothing is attacked"
        );
        assert!(!self.has_a_recorder(page));
        let state = self.state(page);
        assert!(state.phase == Phase::Live && state.sending.open);
        assert!(matches!(
            state.indicator,
            Indicator::Paused { by_me: true, .. }
        ));
        // The host's page knows it now.
        let again = self.command(0, Command::StartRecorder);
        self.settle();
        assert_eq!(self.pages[0].failed[&again], ErrorCode::PauserMustAgree);
    }
}

fn paused_by(page: usize) -> Sim {
    let mut sim = recording();
    sim.must(page, Command::Pause);
    sim.pass_ms(1_500);
    assert!(!sim.has_a_recorder(page));
    sim
}

#[test]
fn a_host_who_resumes_unasked_gets_nothing_of_whoever_paused() {
    let is_heard = breaking(Rule::PausedIsSilent, || {
        let mut sim = paused_by(PATIENT);
        sim.resumes_unasked();
        sim.pass_ms(5_000);
        sim.recorder_hears(PATIENT)
    });
    assert!(is_heard, "nothing is attacked");
    let mut sim = paused_by(PATIENT);
    sim.resumes_unasked();
    sim.assert_stays_off(PATIENT);
    // The others have not paused: they are where they were.
    assert!(sim.state(GUEST).sending.open);
    sim.must(PATIENT, Command::AgreeResume);
    sim.resumes();
    beat(&mut sim);
    assert!(is_recording(&sim, PATIENT) && sim.recorder_hears(PATIENT));
}

#[test]
fn whoever_paused_and_lost_its_place_comes_back_off_the_record() {
    let mut sim = paused_by(PATIENT);
    sim.lose_place(PATIENT);
    sim.resumes_unasked();
    sim.pass_ms(4_000);
    sim.hold = None;
    sim.held.clear();
    sim.assert_stays_off(PATIENT);
}

#[test]
fn whoever_is_back_in_a_recording_that_it_paused_is_told_why_it_does_not_send() {
    let mut sim = paused_by(PATIENT);
    sim.hold = Some(|message| {
        use sealed_visit_protocol::wire::ClientMessage;
        matches!(message, ClientMessage::Commit { removed, .. } if !removed.is_empty())
    });
    sim.resumes_unasked();
    sim.pass_ms(5_000);
    let state = sim.state(PATIENT);
    assert!(sim.has_a_recorder(PATIENT));
    assert_eq!(state.sending.reason, Some(NotSending::Withdrawn));
    assert!(matches!(
        state.indicator,
        Indicator::RecorderPresent { .. } | Indicator::Recording { .. }
    ));
}

#[test]
fn keeping_it_paused_calls_an_announced_resumption_off() {
    for page in [PATIENT, GUEST] {
        let mut sim = paused_by(PATIENT);
        sim.must(PATIENT, Command::AgreeResume);
        let resumed = sim.command(0, Command::StartRecorder);
        sim.pass_ms(1_000);
        sim.must(page, Command::Pause);
        sim.pass_ms(5_000);
        assert_eq!(sim.pages[0].failed[&resumed], ErrorCode::PauserMustAgree);
        for other in 0..3 {
            assert!(!sim.has_a_recorder(other));
        }
        let unasked = sim.command(0, Command::StartRecorder);
        sim.settle();
        assert_eq!(sim.pages[0].failed[&unasked], ErrorCode::PauserMustAgree);
        sim.must(page, Command::AgreeResume);
        sim.resumes();
        assert!(sim.has_a_recorder(page) && sim.recorder_hears(page));
    }
}

/// Somebody else says that it was the one who paused, and agrees.
#[test]
fn nobody_agrees_to_resume_in_anothers_place() {
    let mut sim = recording();
    let why = RecorderLeft::Paused;
    sim.command(PATIENT, Command::Pause);
    sim.says(GUEST, &AppMessage::RecorderStop { why });
    sim.pass_ms(1_500);
    sim.says(GUEST, &AppMessage::RecorderStop { why });
    sim.must(GUEST, Command::AgreeResume);
    let early = sim.command(0, Command::StartRecorder);
    sim.settle();
    assert_eq!(sim.pages[0].failed[&early], ErrorCode::PauserMustAgree);
    assert!(matches!(
        sim.state(PATIENT).indicator,
        Indicator::Paused { by_me: true, .. }
    ));
    assert_eq!(sim.pages[RECORDER].withdrawals.len(), 0);
}
