//! What can go wrong with a group, and what a member refuses.

use super::MAX_MEMBERS;
use sealed_visit_protocol::consent::{StateError, Verdict};
use sealed_visit_protocol::pass::PassError;
use sealed_visit_protocol::{ParticipantId, Role};

/// Why one's own action on a group failed. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The gate refused what was asked for; every honest member would have, too.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A pass does not verify, or is expired where that counts.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The identity's key is not the one its pass names.
    #[error("the pass is not bound to this key")]
    OtherKey,
    /// Not a key package of this protocol version and suite with one valid pass.
    #[error("the key package cannot be used: {0}")]
    KeyPackage(&'static str),
    /// A welcome that is not for this joiner, or cannot be read.
    #[error("the welcome cannot be used: {0}")]
    Welcome(&'static str),
    /// A welcome for another key package than the joiner's.
    #[error("the welcome is for another key package")]
    OtherKeyPackage,
    /// A participant who is not in the roster.
    #[error("participant {0} is not in the group")]
    NotAMember(ParticipantId),
    /// MLS lets nobody commit its own removal: another member has to.
    #[error("a member cannot commit its own removal")]
    OwnRemoval,
    /// The staged commit was made in another epoch: it lost a race. Build it again.
    #[error(
        "the staged commit leaves epoch {staged}, the group is in another state of epoch {current}"
    )]
    StaleCommit {
        /// The epoch that the staged commit leaves.
        staged: u64,
        /// The group's epoch now.
        current: u64,
    },
    /// Sealed bytes that do not open with this key package's key.
    #[error("the sealed message does not open")]
    Open,
    /// The MLS library refused; its own words.
    #[error("MLS: {0}")]
    Mls(String),
}

/// A rule of the group that a commit, or a state offered by a welcome, breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The resulting roster may not exist under the resulting consent state.
    #[error(transparent)]
    Verdict(#[from] Verdict),
    /// A change of the consent state that does not follow from the state before.
    #[error(transparent)]
    Consent(#[from] StateError),
    /// A member or joiner without a valid pass for this visit, bound to its key.
    #[error("a member has no valid pass: {0}")]
    Pass(PassError),
    /// A credential that holds no pass at all.
    #[error("a member shows no pass")]
    NoPass,
    /// External commits, re-initialization, external senders, unknown proposals.
    #[error("{0} is not allowed in this group")]
    NotAllowed(&'static str),
    /// A recorder or a server tried to commit.
    #[error("a {0:?} does not commit")]
    CommitterRole(Role),
    /// While a clinician is in the roster, nobody else admits; a recorder is added by a clinician only.
    #[error("only the host may add participant {0}")]
    NotTheHost(ParticipantId),
    /// Lock and host are a clinician's to change, and the host is a clinician.
    #[error("only a clinician locks the visit, and only to a clinician is hosting handed")]
    NotAClinician,
    /// The visit is locked, and this participant never was in it.
    #[error("the visit is locked: participant {0} cannot be added")]
    Locked(ParticipantId),
    /// A participant's role is fixed for the whole visit.
    #[error("participant {participant} is a {was:?} and cannot become a {now:?}")]
    RoleChange {
        /// Whose role.
        participant: ParticipantId,
        /// The role on record.
        was: Role,
        /// The role that the new pass states.
        now: Role,
    },
    /// More members than frame keys can name.
    #[error("{0} members are more than {MAX_MEMBERS}")]
    TooMany(usize),
    /// A consent request by somebody who is not a clinician of the resulting roster.
    #[error("the consent request does not come from a clinician in the group")]
    RequestByStranger,
    /// A custom proposal that is no consent change.
    #[error("a proposal cannot be read")]
    UnreadableProposal,
    /// The context's extensions are not exactly what follows from the commit's proposals.
    #[error("the group's context was changed in a way that does not follow from the proposals")]
    ContextNotDerived,
    /// A context that lacks, or adds to, what a visit's group has.
    #[error("the group's context is not that of this visit: {0}")]
    Context(&'static str),
}

impl GateError {
    /// A stable code for logs, refusals and the page API.
    pub fn code(&self) -> &'static str {
        match self {
            GateError::Verdict(verdict) => match verdict {
                Verdict::Twice(_) => "participant_twice",
                Verdict::SeveralRecorders(_) => "several_recorders",
                Verdict::NoRound => "recorder_without_round",
                Verdict::OtherRecorder { .. } => "other_recorder",
                Verdict::NotGranted(_) => "recorder_without_grant",
                Verdict::NotInterpreted(_) => "recorder_without_interpreter",
                _ => "consent_unverifiable",
            },
            GateError::Consent(StateError::Request(_)) => "request_refused",
            GateError::Consent(StateError::Statement(_)) => "statement_refused",
            GateError::Consent(StateError::DeadRound(_)) => "dead_round",
            GateError::Consent(StateError::OldStatement { .. }) => "old_statement",
            GateError::Consent(StateError::GrantAfterRefusal) => "grant_after_refusal",
            GateError::Consent(_) => "consent_refused",
            GateError::Pass(PassError::Expired { .. }) => "pass_expired",
            GateError::Pass(_) => "pass_refused",
            GateError::NoPass => "no_pass",
            GateError::NotAllowed(_) => "not_allowed",
            GateError::CommitterRole(_) => "committer_role",
            GateError::NotTheHost(_) => "not_the_host",
            GateError::NotAClinician => "not_a_clinician",
            GateError::Locked(_) => "locked",
            GateError::RoleChange { .. } => "role_change",
            GateError::TooMany(_) => "too_many_members",
            GateError::RequestByStranger => "request_by_stranger",
            GateError::UnreadableProposal => "unreadable_proposal",
            GateError::ContextNotDerived => "context_not_derived",
            GateError::Context(_) => "context",
        }
    }
}

impl GroupError {
    /// A stable code for logs and the page API.
    pub fn code(&self) -> &'static str {
        match self {
            GroupError::Gate(gate) => gate.code(),
            GroupError::Pass(PassError::Expired { .. }) => "pass_expired",
            GroupError::Pass(_) => "pass_refused",
            GroupError::OtherKey => "other_key",
            GroupError::KeyPackage(_) => "key_package",
            GroupError::Welcome(_) => "welcome",
            GroupError::OtherKeyPackage => "other_key_package",
            GroupError::NotAMember(_) => "not_a_member",
            GroupError::OwnRemoval => "own_removal",
            GroupError::StaleCommit { .. } => "stale_commit",
            GroupError::Open => "open_failed",
            GroupError::Mls(_) => "mls",
        }
    }
}

/// A message that a member did not follow. The group is exactly as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refused {
    /// A [`GateError::code`], or `malformed`, `other_group`, `other_epoch`, `not_private`, `own_message`, `replayed`,
    /// `bad_signature`, `successor` or `mls`.
    pub code: &'static str,
    /// Who committed, when that could be authenticated.
    pub offender: Option<ParticipantId>,
    /// Whether the message says that it is a commit. A refused commit must be answered, an application message
    /// dropped.
    pub is_commit: bool,
    /// For logs: opaque ids and numbers only.
    pub detail: String,
}
