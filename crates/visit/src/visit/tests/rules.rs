//! The timer: which rule asks for it.

use super::sim::Sim;
use crate::visit::Command;
use crate::visit::rules::RULES;
use sealed_visit_protocol::Role;
use sealed_visit_protocol::wire::ClientMessage;

/// The rule that has work next on this page, and how long it is until then.
fn next(sim: &Sim, page: usize) -> (&'static str, u64) {
    let visit = &sim.pages[page].visit;
    let times = visit.next_times();
    let rules = RULES.iter().zip(times.as_ref());
    let times = rules.filter_map(|(name, at_ms)| Some((visit.soonest(&[*at_ms])?, *name)));
    let (at_ms, name) = times.min().expect("a timer");
    assert_eq!(visit.timer_ms, Some(at_ms));
    (name, at_ms - visit.now_ms)
}

#[test]
fn the_timer_is_set_for_the_rule_that_has_work_next() {
    let mut sim = Sim::new(1);
    for role in [Role::Clinician, Role::Patient] {
        sim.open(role);
    }
    sim.settle();
    assert_eq!(next(&sim, 1), ("keep_asking", 5_000));
    sim.hold = Some(|message| matches!(message, ClientMessage::Commit { .. }));
    let participant = sim.id(1);
    sim.command(0, Command::Admit { participant });
    assert_eq!(next(&sim, 0), ("report_commit_problems", 2_000));
    sim.pass_ms(2_000);
    assert_eq!(next(&sim, 0), ("resend_withheld_commit", 3_000));
    sim.hold = None;
    sim.pass_ms(15_000);
    // Nothing is left to do: no rule asks for a timer.
    for page in &sim.pages {
        assert!(page.gate_open);
        assert_eq!(page.visit.timer_ms, None);
    }
}
