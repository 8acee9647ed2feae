//! The rules: what follows from the state as it is, whatever led to it.
//!
//! After every input all rules run once, in the order of the table below. A rule may run any number of times, and does
//! something only where something is to do. Where that depends on the time, the rule says when it has work next; the timer
//! is set for the earliest of these times. Each is asked after all rules have run, because a later rule may change what an
//! earlier one waits for.

use super::Visit;
use super::output::Output;

/// The next work of rules that wait for no time.
const NONE: fn(&Visit) -> Option<u64> = |_| None;

/// Each rule with when it has work next. A time that has come already does not count: the rule has just run.
macro_rules! rules {
    ($($name:ident, $next:expr;)*) => {
        /// For tests: who asked for the timer.
        #[cfg(test)]
        pub(super) const RULES: &[&str] = &[$(stringify!($name)),*];

        impl Visit {
            fn run_each(&mut self) {
                $(self.$name();)*
            }

            /// Of each rule, in their order.
            pub(super) fn next_times(&self) -> impl AsRef<[Option<u64>]> + use<> {
                [$($next(self)),*]
            }
        }
    };
}

rules! {
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
    stay_off_the_record, NONE;
    resume_recording, Visit::resumes_at;
    switch_keys, Visit::switches_keys_at;
    resend_unheard, Visit::says_again_at;
    // What explains a commit is said before it, in the epoch that everybody can still read.
    send_app_messages, NONE;
    send_commits, NONE;
    hand_out_memory, NONE;
    work_gate, NONE;
    report_commit_problems, Visit::commit_withheld_at;
    report_silent_recorder, Visit::recorder_silent_at;
    show, Visit::heartbeat_stale_at;
}

impl Visit {
    pub(super) fn run_rules(&mut self) {
        self.run_each();
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

    fn resumes_at(&self) -> Option<u64> {
        self.recording.resume.map(|(at_ms, _)| at_ms)
    }

    fn switches_keys_at(&self) -> Option<u64> {
        self.keys.deadline_ms()
    }

    fn says_again_at(&self) -> Option<u64> {
        self.link.say_again_at_ms()
    }

    fn set_timer(&mut self) {
        let next = self.soonest(self.next_times().as_ref());
        if next != self.timer_ms {
            self.timer_ms = next;
            if let Some(at_ms) = next {
                self.out.push(Output::Timer { at_ms });
            }
        }
    }

    /// The first of these times that has not come yet.
    pub(super) fn soonest(&self, times: &[Option<u64>]) -> Option<u64> {
        let times = times.iter().flatten().copied();
        times.filter(|at_ms| *at_ms > self.now_ms).min()
    }
}
