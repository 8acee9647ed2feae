//! Rules broken on purpose, one at a time, so that tests can see that the breach is caught.
//!
//! This module is compiled into the crate's own tests only, without a feature that could turn it on elsewhere: a use
//! that does not stand behind `#[cfg(test)]` does not build.

use std::cell::Cell;

/// A rule that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A recorder is added with every grant only.
    Grants,
    /// Whoever joins judges the group by itself.
    JoinerJudges,
    /// A commit that breaks a rule is not followed.
    RefusedIsNotFollowed,
    /// A refused epoch is left.
    RefusedIsLeft,
    /// A newcomer uses no key before somebody else proved the epoch.
    NewcomerWaitsForProof,
    /// A commit is followed once the relay has ordered it.
    OrderedFirst,
    /// A recorder in the roster is shown, whatever it says.
    RosterIsShown,
    /// An older heartbeat does not replace a newer.
    NewestHeartbeat,
    /// Who withdrew does not send while the recorder is there.
    WithdrawnIsSilent,
    /// A withdrawal is remembered where one's place is lost.
    WithdrawalIsKept,
    /// Where an epoch removes somebody, senders switch at once.
    SwitchAtOnce,
    /// What was not heard back is said again.
    SaidAgain,
    /// A key package lets in once.
    ServesOnce,
    /// While the visit is locked, nobody new is added.
    LockHolds,
    /// A withdrawal or refusal while rejoining is remembered. Broken: it is forgotten.
    DeclinedAway,
    /// A round that is over for this member stays over. Broken: it forgets dead rounds, and what it said later.
    DeadRounds,
    /// A group that was left for another is not entered again. Broken: it accepts a used group id.
    UsedGroupIds,
    /// A grant counts for the key only that the member is here with. Broken: one that a lost key signed counts.
    GrantsOfLostKeys,
    /// What a member signs has a higher number than everything it signed before. Broken: it forgets its numbers.
    NumbersGrow,
    /// Whoever paused sends nothing to a recorder that came back unasked. Broken: it does.
    PausedIsSilent,
    /// Whoever waits with another key than the member in its place is shown to the host. Broken: it is not.
    NewKeysAreShown,
    /// Nobody leaves for a group of a clinician it does not know while one it knows is here. Broken: it follows a
    /// stranger's group.
    StrangersGroups,
    /// Whoever waits believes a denial by a clinician of the visit only. Broken: it believes an unsigned denial.
    SignedDenials,
}

thread_local! {
    static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Whether this thread breaks the rule now.
pub fn breaks(rule: Rule) -> bool {
    BROKEN.get() == Some(rule)
}

/// Breaks the rule while `f` runs.
pub fn breaking<T>(rule: Rule, f: impl FnOnce() -> T) -> T {
    BROKEN.set(Some(rule));
    let result = f();
    BROKEN.set(None);
    result
}
