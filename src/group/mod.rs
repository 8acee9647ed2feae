//! The visit's MLS group (RFC 9420) with the consent gate, on `mls-rs`.
//!
//! Suite MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519. A member's credential is its visit pass, its leaf key the
//! pass's key. The group's context carries the consent state and everybody's role; both change only as every
//! member derives from a commit's own proposals.
//!
//! Sans-IO: bytes in, bytes out. Time matters in two places, where somebody's pass is judged before it gets in:
//! [`Group::create`] and [`Group::stage`]. Everything that receivers do is a pure function of group and message, so
//! that honest members never fork by their clocks. Nothing of `mls-rs` shows outside.
//!
//! Invariant: no value of type [`Group`] ever has a recorder in its roster without a current grant of every other
//! member, and a refused message leaves the group as it was.

mod error;

pub use error::{GateError, GroupError, Refused};

use sealed_visit_protocol::consent::{Change, ConsentState};
use sealed_visit_protocol::pass::PassClaims;
use sealed_visit_protocol::{ClinicDocument, Jws, ParticipantId, Pass, Role, SigningKey, VisitId};
use std::sync::Arc;
use zeroize::Zeroizing;

/// More members could not be told apart by the six leaf bits of a frame's KID, with two to spare.
pub const MAX_MEMBERS: usize = 62;

/// What the gate judges with: the clinic's document and the visit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy(Arc<PolicyInner>);

#[derive(Debug)]
struct PolicyInner {
    clinic: ClinicDocument,
    visit: VisitId,
}

impl Policy {
    /// The document must have been verified under the pinned root key, and at the present time.
    pub fn new(clinic: ClinicDocument, visit: VisitId) -> Self {
        Self(Arc::new(PolicyInner { clinic, visit }))
    }

    /// The clinic's document.
    pub fn clinic(&self) -> &ClinicDocument {
        &self.0.clinic
    }

    /// The visit that every pass must be for.
    pub fn visit(&self) -> VisitId {
        self.0.visit
    }
}

/// Who somebody is in the visit: a verified pass and the key that it is bound to.
#[derive(Debug, Clone)]
pub struct Identity {
    pass: Pass,
    key: SigningKey,
}

impl Identity {
    /// Verifies the pass under the policy and that it is bound to `key`. Expiry is checked by whoever admits.
    pub fn new(
        pass: &Jws<PassClaims>,
        key: SigningKey,
        policy: &Policy,
    ) -> Result<Self, GroupError> {
        let pass = Pass::verify_for(pass, policy.clinic(), policy.visit())?;
        if *pass.key() != key.public() {
            return Err(GroupError::OtherKey);
        }
        Ok(Self { pass, key })
    }

    /// The verified pass.
    pub fn pass(&self) -> &Pass {
        &self.pass
    }

    /// The pass key: it signs the MLS leaf, and its holder's documents.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }
}

/// A member, as its verified pass describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterMember {
    /// Index in the tree, below [`MAX_MEMBERS`]; names the member's frames.
    pub leaf: u8,
    pub participant: ParticipantId,
    pub role: Role,
    pub pass: Pass,
}

/// Somebody who waits with a key package. Holds its private keys until joined.
#[derive(Clone)]
pub struct Joiner {}

impl Joiner {
    /// Makes a key package for the waiting room.
    pub fn new(identity: Identity, policy: Policy) -> Result<(Self, Vec<u8>), GroupError> {
        let _ = (identity, policy);
        todo!()
    }

    /// Door 4: verifies roster, passes, roles and grants before any key can be derived. A joiner must not use the
    /// keys before another member than the inviter has proved the same epoch: a welcome may come from a fork.
    pub fn join(self, welcome: &[u8]) -> Result<Group, GroupError> {
        let _ = welcome;
        todo!()
    }

    /// Opens what [`seal_to_key_package`] sealed to this joiner.
    pub fn open_sealed(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, GroupError> {
        let _ = sealed;
        todo!()
    }

    /// The joiner's own identity.
    pub fn identity(&self) -> &Identity {
        todo!()
    }
}

/// Who is behind a key package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageInfo {
    pub participant: ParticipantId,
    pub role: Role,
    pub pass: Pass,
}

/// Verifies a key package and the pass in it; not the pass's expiry.
pub fn inspect_key_package(
    policy: &Policy,
    key_package: &[u8],
) -> Result<KeyPackageInfo, GroupError> {
    let _ = (policy, key_package);
    todo!()
}

/// Seals a message to somebody who waits (HPKE base mode, RFC 9180, under a label of its own).
pub fn seal_to_key_package(
    policy: &Policy,
    key_package: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, GroupError> {
    let _ = (policy, key_package, plaintext);
    todo!()
}

/// What a commit should do. Empty: new keys for the committer.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Key packages of whom to let in. One of a participant already present is a rejoin: the old leaf goes, the
    /// new one comes, in the same commit.
    pub add: Vec<Vec<u8>>,
    /// Whom to remove; never oneself.
    pub remove: Vec<ParticipantId>,
    /// Signed consent documents, applied in this order.
    pub consent: Vec<Change>,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    /// The epoch that the commit leads to.
    pub epoch: u64,
    pub from: ParticipantId,
    /// New in the roster; rejoined ones are not repeated here.
    pub added: Vec<ParticipantId>,
    /// No longer in the roster.
    pub removed: Vec<ParticipantId>,
    /// In the roster before and after, with a new leaf.
    pub rejoined: Vec<ParticipantId>,
    pub consent_changed: bool,
    /// The commit removed this member: the group ends for it in the epoch before.
    pub self_removed: bool,
}

/// A commit that was built and not yet ordered. Dropping it costs nothing; its keys are out of reach until merged.
#[derive(Clone)]
pub struct Staged {
    /// For the members, through the relay.
    pub commit: Vec<u8>,
    /// For everybody added, only after the relay has accepted the commit.
    pub welcome: Option<Vec<u8>>,
}

impl Staged {
    /// What merging will do.
    pub fn summary(&self) -> &CommitSummary {
        todo!()
    }
}

/// What an incoming message was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processed {
    Commit(CommitSummary),
    Application {
        from: ParticipantId,
        leaf: u8,
        data: Vec<u8>,
    },
}

/// One member's view of the group.
#[derive(Clone)]
pub struct Group {}

impl Group {
    /// Starts a group with its creator as the only member. Refused for an expired pass, recorders and servers.
    pub fn create(
        identity: Identity,
        policy: Policy,
        group_id: &[u8],
        now_ms: u64,
    ) -> Result<Self, GroupError> {
        let _ = (identity, policy, group_id, now_ms);
        todo!()
    }

    /// Builds a commit and judges it as every receiver will; `now_ms` is for the expiry of the passes it adds.
    /// The group stays in its epoch; `&mut` because each built commit uses up an encryption key.
    pub fn stage(&mut self, changes: &Changes, now_ms: u64) -> Result<Staged, GroupError> {
        let _ = (changes, now_ms);
        todo!()
    }

    /// Moves to the staged commit's epoch. Call it when, and only when, the relay has ordered that commit.
    pub fn merge(&mut self, staged: Staged) -> Result<CommitSummary, GroupError> {
        let _ = staged;
        todo!()
    }

    /// Follows a message of another member, or refuses it and stays as it was. Takes no time on purpose.
    pub fn process(&mut self, message: &[u8]) -> Result<Processed, Refused> {
        let _ = message;
        todo!()
    }

    /// Encrypts an application message to the members of this epoch.
    pub fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>, GroupError> {
        let _ = data;
        todo!()
    }

    pub fn group_id(&self) -> &[u8] {
        todo!()
    }

    pub fn epoch(&self) -> u64 {
        todo!()
    }

    pub fn own_leaf(&self) -> u8 {
        todo!()
    }

    /// This member's own pass.
    pub fn me(&self) -> &Pass {
        todo!()
    }

    /// Everybody in the group, by leaf.
    pub fn roster(&self) -> &[RosterMember] {
        todo!()
    }

    /// The member that is this participant.
    pub fn member(&self, participant: ParticipantId) -> Option<&RosterMember> {
        self.roster()
            .iter()
            .find(|member| member.participant == participant)
    }

    /// The consent state that the group's context carries.
    pub fn consent(&self) -> &ConsentState {
        todo!()
    }

    /// What the gate judges with.
    pub fn policy(&self) -> &Policy {
        todo!()
    }

    /// The epoch's SFrame base key, RFC 9605 section 5.2: MLS-Exporter("SFrame 1.0 Base Key", "", 16).
    pub fn frame_base_key(&self) -> Result<Zeroizing<[u8; 16]>, GroupError> {
        todo!()
    }

    /// RFC 9420 section 8.7: equal for all members of the same epoch of the same history.
    pub fn epoch_authenticator(&self) -> Result<Zeroizing<Vec<u8>>, GroupError> {
        todo!()
    }

    /// A hash of group, epoch and epoch authenticator, to compare with other members inside the encryption.
    pub fn epoch_proof(&self) -> Result<[u8; 32], GroupError> {
        todo!()
    }

    /// 30 digits in groups of five, for comparing by voice. Equal exactly if the epoch authenticators are.
    pub fn safety_code(&self) -> Result<String, GroupError> {
        todo!()
    }
}
