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

mod client;
mod commit;
mod context;
mod crypto;
mod error;
mod follow;
mod gate;
mod joiner;
mod meeting;
mod member;
mod rules;
mod stores;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
pub(crate) mod tests;

pub use commit::{Changes, CommitSummary, Staged};
pub use error::{GateError, GroupError, Refused};
pub use follow::Processed;
pub use joiner::{Joiner, KeyPackageInfo, inspect_key_package, seal_to_key_package};
pub use meeting::{Legacy, Meeting, MeetingChange};
pub use member::Group;

use sealed_visit_protocol::consent::RosterEntry;
use sealed_visit_protocol::pass::{PassClaims, PassError};
use sealed_visit_protocol::{ClinicDocument, Jws, ParticipantId, Pass, Role, SigningKey, VisitId};
use std::sync::{Arc, Mutex, PoisonError};

pub use sealed_visit_protocol::limits::MAX_MEMBERS;

/// More verified passes than this are not remembered.
const MAX_REMEMBERED: usize = 4 * MAX_MEMBERS;

/// What the gate judges with: the clinic's document and the visit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy(Arc<PolicyInner>);

#[derive(Debug)]
struct PolicyInner {
    clinic: ClinicDocument,
    visit: VisitId,
    /// Passes that were verified: `mls-rs` asks for everybody's identity again and again, for each pair of members.
    remembered: Mutex<Vec<Pass>>,
}

impl Policy {
    /// The document must have been verified under the pinned root key, and at the present time.
    pub fn new(clinic: ClinicDocument, visit: VisitId) -> Self {
        Self(Arc::new(PolicyInner {
            clinic,
            visit,
            remembered: Mutex::default(),
        }))
    }

    /// The clinic's document.
    pub fn clinic(&self) -> &ClinicDocument {
        &self.0.clinic
    }

    /// [`Pass::verify_for`] this clinic and visit, which depends on nothing else: the same text is verified once.
    fn verify(&self, jws: &Jws<PassClaims>) -> Result<Pass, PassError> {
        let mut remembered = self
            .0
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pass) = remembered.iter().find(|pass| pass.jws() == jws) {
            return Ok(pass.clone());
        }
        let pass = Pass::verify_for(jws, self.clinic(), self.visit())?;
        if remembered.len() < MAX_REMEMBERED {
            remembered.push(pass.clone());
        }
        Ok(pass)
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
    /// Opaque id, from the pass.
    pub participant: ParticipantId,
    /// Role, from the pass.
    pub role: Role,
    /// The verified pass.
    pub pass: Pass,
}

impl From<&RosterMember> for RosterEntry {
    fn from(member: &RosterMember) -> Self {
        Self {
            participant: member.participant,
            role: member.role,
            key: *member.pass.key(),
        }
    }
}
