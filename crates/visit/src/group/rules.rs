//! How the gate is fitted into `mls-rs`: doors 1 to 3 of the four. Door 4 is in [`super::joiner`].
//!
//! 1. [`Rules::filter_proposals`]: every commit, sent or received, is judged before it is applied.
//! 2. [`Passes::valid_successor`]: a committer's new leaf shows exactly the credential and key that it had.
//! 3. [`Rules::filter_proposals`]: no external commit, no re-initialization, no proposal type but those allowed, and
//!    no context but the one derived here.

use super::context::{CHANGE_PROPOSAL, MEETING_PROPOSAL, PASS_CREDENTIAL, VisitContext};
use super::error::GateError;
use super::gate::{self, Before, Proposed};
use super::{Policy, RosterMember};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use mls_rs::crypto::SignaturePublicKey;
use mls_rs::error::IntoAnyError;
use mls_rs::group::proposal::ProposalType;
use mls_rs::group::{GroupContext, Roster};
use mls_rs::identity::{Credential, CredentialType, CustomCredential, SigningIdentity};
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle,
};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider, MlsRules};
use mls_rs_core::group::Member;
use mls_rs_core::identity::MemberValidationContext;
use sealed_visit_protocol::pass::PassError;
use sealed_visit_protocol::{Jws, ParticipantId, Pass, PublicKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;

/// What the gate thought of the message that this thread processes. Without its `std` feature `mls-rs` drops the
/// errors of its callbacks, and with it it reads the clock.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Whose commit it is; its signature was verified before the gate was asked.
    pub committer: Option<ParticipantId>,
    pub error: Option<GateError>,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
}

/// Runs `f`, and returns what the gate said meanwhile.
pub(super) fn traced<T>(f: impl FnOnce() -> T) -> (T, Trace) {
    TRACE.take();
    let result = f();
    (result, TRACE.take())
}

fn note<T>(result: Result<T, GateError>) -> Result<T, GateError> {
    if let Err(error) = &result {
        TRACE.with_borrow_mut(|trace| trace.error = Some(error.clone()));
    }
    result
}

impl IntoAnyError for GateError {}

/// The gate as `mls-rs`' proposal rules.
#[derive(Debug, Clone)]
pub(super) struct Rules(pub Policy);

impl MlsRules for Rules {
    type Error = GateError;

    fn filter_proposals(
        &self,
        _direction: CommitDirection,
        source: CommitSource,
        current_roster: &Roster,
        current_context: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, GateError> {
        let judged = self.check(&source, current_roster, current_context, &proposals);
        #[cfg(test)]
        if breaks(Rule::RefusedIsNotFollowed) && matches!(_direction, CommitDirection::Receive) {
            return Ok(proposals);
        }
        note(judged)?;
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _new_roster: &Roster,
        _new_context: &GroupContext,
        _proposals: &ProposalBundle,
    ) -> Result<CommitOptions, GateError> {
        Ok(CommitOptions::new()
            .with_path_required(true)
            .with_ratchet_tree_extension(true)
            .with_allow_external_commit(false))
    }

    fn encryption_options(
        &self,
        _current_roster: &Roster,
        _current_context: &GroupContext,
    ) -> Result<EncryptionOptions, GateError> {
        Ok(EncryptionOptions::new(true, Default::default()))
    }
}

impl Rules {
    fn check(
        &self,
        source: &CommitSource,
        roster: &Roster,
        group: &GroupContext,
        proposals: &ProposalBundle,
    ) -> Result<(), GateError> {
        let CommitSource::ExistingMember(committer) = source else {
            return Err(GateError::NotAllowed("an external commit"));
        };
        let committer = roster_member(&self.0, committer)?;
        TRACE.with_borrow_mut(|trace| trace.committer = Some(committer.participant));
        only_allowed_types(proposals)?;

        let members = verified_roster(&self.0, roster)?;
        let context = VisitContext::from_extensions(&group.extensions)?;
        let before = Before {
            policy: &self.0,
            group_id: &group.group_id,
            roster: &members,
            context: &context,
        };
        let derived = gate::judge(&before, &self.read(committer, proposals)?)?;
        is_derived(&context, &derived, proposals)
    }

    fn read(
        &self,
        committer: RosterMember,
        proposals: &ProposalBundle,
    ) -> Result<Proposed, GateError> {
        let adds = proposals.add_proposals().iter();
        let removes = proposals.remove_proposals().iter();
        let customs_of = |of_type: ProposalType| {
            let all = proposals.custom_proposals().iter();
            let proposals = all.map(|info| &info.proposal);
            proposals.filter(move |custom| custom.proposal_type() == of_type)
        };
        Ok(Proposed {
            committer,
            adds: adds
                .map(|add| verified_pass(&self.0, add.proposal.signing_identity()))
                .collect::<Result<_, _>>()?,
            removes: removes
                .map(|remove| leaf_index(remove.proposal.to_remove()))
                .collect::<Result<_, _>>()?,
            changes: customs_of(CHANGE_PROPOSAL)
                .map(|custom| canonical(custom.data()))
                .collect::<Result<_, _>>()?,
            meeting: customs_of(MEETING_PROPOSAL)
                .map(|custom| canonical(custom.data()))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Adds, removals, consent changes and the context derived from them; nothing else, now or in a later `mls-rs`.
pub(super) fn only_allowed_types(proposals: &ProposalBundle) -> Result<(), GateError> {
    if !proposals.reinit_proposals().is_empty() {
        return Err(GateError::NotAllowed("a re-initialisation"));
    }
    if !proposals.external_init_proposals().is_empty() {
        return Err(GateError::NotAllowed("an external commit"));
    }
    let allowed = proposals.add_proposals().len()
        + proposals.remove_proposals().len()
        + proposals.group_context_ext_proposals().len()
        + proposals.custom_proposals().len();
    let only_ours = proposals
        .custom_proposals()
        .iter()
        .map(|custom| custom.proposal.proposal_type())
        .all(|of_type| [CHANGE_PROPOSAL, MEETING_PROPOSAL].contains(&of_type));
    if allowed != proposals.length() || !only_ours {
        return Err(GateError::NotAllowed("a proposal of another type"));
    }
    Ok(())
}

/// A change as [`super::commit`] writes it: one change, one encoding.
fn canonical<T: DeserializeOwned + Serialize>(data: &[u8]) -> Result<T, GateError> {
    let change: T =
        sealed_visit_protocol::json::from_slice(data).map_err(|_| GateError::UnreadableProposal)?;
    let canonical = serde_json::to_vec(&change).is_ok_and(|bytes| bytes == data);
    canonical
        .then_some(change)
        .ok_or(GateError::UnreadableProposal)
}

/// Exactly one new context if it changes, none if it does not.
fn is_derived(
    before: &VisitContext,
    derived: &VisitContext,
    proposals: &ProposalBundle,
) -> Result<(), GateError> {
    let said: Vec<_> = proposals
        .group_context_ext_proposals()
        .iter()
        .map(|info| &info.proposal)
        .collect();
    let follows = match said.as_slice() {
        [] => before == derived,
        [one] => before != derived && **one == derived.to_extensions()?,
        _ => false,
    };
    follows.then_some(()).ok_or(GateError::ContextNotDerived)
}

/// Visit passes as MLS credentials.
#[derive(Debug, Clone)]
pub(super) struct Passes(pub Policy);

impl IdentityProvider for Passes {
    type Error = GateError;

    /// Takes no notice of the time: see [`Pass::check_time`] for where expiry is checked.
    fn validate_member(
        &self,
        signing_identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        _context: MemberValidationContext<'_>,
    ) -> Result<(), GateError> {
        note(verified_pass(&self.0, signing_identity)).map(|_| ())
    }

    fn validate_external_sender(
        &self,
        _signing_identity: &SigningIdentity,
        _timestamp: Option<MlsTime>,
        _extensions: Option<&ExtensionList>,
    ) -> Result<(), GateError> {
        note(Err(GateError::NotAllowed("an external sender")))
    }

    fn identity(
        &self,
        signing_identity: &SigningIdentity,
        _extensions: &ExtensionList,
    ) -> Result<Vec<u8>, GateError> {
        let pass = note(verified_pass(&self.0, signing_identity))?;
        Ok(pass.participant().as_bytes().to_vec())
    }

    fn valid_successor(
        &self,
        predecessor: &SigningIdentity,
        successor: &SigningIdentity,
        _extensions: &ExtensionList,
    ) -> Result<bool, GateError> {
        Ok(predecessor == successor)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![PASS_CREDENTIAL]
    }
}

/// The credential of a pass. The pass key signs JWS documents, whose signed bytes are base64url text, and MLS
/// content, whose signed bytes begin with the length of an MLS label: no byte string is both.
pub(super) fn signing_identity(pass: &Pass) -> SigningIdentity {
    let credential =
        CustomCredential::new(PASS_CREDENTIAL, pass.jws().as_str().as_bytes().to_vec());
    SigningIdentity::new(
        Credential::Custom(credential),
        SignaturePublicKey::from(pass.key().as_bytes().to_vec()),
    )
}

/// The pass that a credential shows: for this visit, by an authority of the clinic, bound to the signature key.
pub(super) fn verified_pass(
    policy: &Policy,
    identity: &SigningIdentity,
) -> Result<Pass, GateError> {
    let custom = identity
        .credential
        .as_custom()
        .filter(|custom| custom.credential_type() == PASS_CREDENTIAL)
        .ok_or(GateError::NoPass)?;
    let text = std::str::from_utf8(custom.data()).map_err(|_| GateError::NoPass)?;
    let pass = policy
        .verify(&Jws::from_text(text))
        .map_err(GateError::Pass)?;
    if PublicKey::as_bytes(pass.key()) != identity.signature_key.as_ref() {
        return Err(GateError::Pass(PassError::OtherKey));
    }
    Ok(pass)
}

/// Everybody in the tree, by leaf.
pub(super) fn verified_roster(
    policy: &Policy,
    roster: &Roster,
) -> Result<Vec<RosterMember>, GateError> {
    roster
        .members_iter()
        .map(|member| roster_member(policy, &member))
        .collect()
}

fn roster_member(policy: &Policy, member: &Member) -> Result<RosterMember, GateError> {
    let pass = verified_pass(policy, &member.signing_identity)?;
    Ok(RosterMember {
        leaf: leaf_index(member.index)?,
        participant: pass.participant(),
        role: pass.role(),
        pass,
    })
}

/// A leaf that frame keys can name.
pub(super) fn leaf_index(index: u32) -> Result<u8, GateError> {
    u8::try_from(index)
        .ok()
        .filter(|leaf| usize::from(*leaf) < super::MAX_MEMBERS)
        .ok_or(GateError::TooMany(index as usize + 1))
}
