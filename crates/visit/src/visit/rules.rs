//! The rules: what follows from the state as it is, whatever led to it.
//!
//! After every input all rules run once, in the order of [`RULES`]. A rule may run any number of times, and does something only
//! where something is to do. Where that depends on the time, the rule says when it has work next; the timer is set for the
//! earliest of these times. Each is asked after all rules have run, because a later rule may change what an earlier one
//! waits for.

use super::Visit;
use super::output::Output;

pub(super) struct Rule {
    /// For tests: who asked for the timer.
    #[cfg(test)]
    pub(super) name: &'static str,
    run: fn(&mut Visit),
    /// When it has work next. A time that has come already does not count: the rule has just run.
    pub(super) next: fn(&Visit) -> Option<u64>,
}

/// The next work of rules that wait for no time.
const NONE: fn(&Visit) -> Option<u64> = |_| None;

macro_rules! rules {
    ($($name:ident, $next:expr;)*) => {
        &[$(Rule {
            #[cfg(test)]
            name: stringify!($name),
            run: Visit::$name,
            next: $next,
        },)*]
    };
}

pub(super) const RULES: &[Rule] = rules! {
    keep_asking, Visit::asks_next_at;
    keep_creating, Visit::asks_for_group_at;
    go_live_once_proved, Visit::judges_proofs_at;
    leave_refused_epoch, Visit::regroup_at_ms;
    resend_withheld_commit, Visit::commit_again_at_ms;
    admit_returning, NONE;
    commit_statements, NONE;
    take_back_outside_grant, NONE;
    take_back_dead_grant, NONE;
    remove_recorder, Visit::removal_at_ms;
    resume_recording, |visit| visit.recording.resume.map(|(at_ms, _)| at_ms);
    switch_keys, |visit| visit.keys.deadline_ms();
    resend_unheard, |visit| visit.link.say_again_at_ms();
    // What explains a commit is said before it, in the epoch that everybody can still read.
    send_app_messages, NONE;
    send_commits, NONE;
    hand_out_memory, NONE;
    work_gate, NONE;
    report_commit_problems, Visit::commit_withheld_at;
    report_silent_recorder, Visit::recorder_silent_at;
    show, Visit::heartbeat_stale_at;
};

impl Visit {
    pub(super) fn run_rules(&mut self) {
        for rule in RULES {
            (rule.run)(self);
        }
        self.set_timer();
    }

    fn work_gate(&mut self) {
        let open = self.not_sending().is_none();
        if open != self.gate_open {
            self.gate_open = open;
            if open {
                self.out.push(Output::Gate { open });
            } else {
                self.out.close_gate();
            }
        }
    }

    fn show(&mut self) {
        let state = self.view();
        if self.shown.as_ref() != Some(&state) {
            self.shown = Some(state.clone());
            self.out.push(Output::State {
                state: Box::new(state),
            });
        }
    }

    fn set_timer(&mut self) {
        let next = self.soonest(RULES.iter().map(|rule| (rule.next)(self)));
        if next != self.timer_ms {
            self.timer_ms = next;
            if let Some(at_ms) = next {
                self.out.push(Output::Timer { at_ms });
            }
        }
    }

    /// The first of these times that has not come yet.
    pub(super) fn soonest(&self, times: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
        let times = times.into_iter().flatten();
        times.filter(|at_ms| *at_ms > self.now_ms).min()
    }
}
