//! One member's view of the group.

use super::client::{Config, client, mls_error, timestamp};
use super::context::VisitContext;
use super::error::{GateError, GroupError};
use super::gate::{self, Before};
use super::meeting::{Legacy, Meeting};
use super::rules::{Trace, traced, verified_roster};
use super::{Identity, Policy, RosterMember};
use mls_rs::error::MlsError;
use sealed_visit_protocol::consent::{Change, ConsentState};
use sealed_visit_protocol::{ParticipantId, Pass};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// One member's view of the group.
#[derive(Clone)]
pub struct Group {
    pub(super) mls: mls_rs::Group<Config>,
    pub(super) policy: Policy,
    pub(super) me: Pass,
    // Read from `mls` after every change, verified.
    pub(super) roster: Vec<RosterMember>,
    pub(super) context: VisitContext,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("me", &self.me.participant())
            .field("epoch", &self.epoch())
            .field("members", &self.roster.len())
            .finish_non_exhaustive()
    }
}

impl Group {
    /// Starts a group with its creator as the only member. Refused for an expired pass, recorders and servers.
    pub fn create(
        identity: Identity,
        policy: Policy,
        group_id: &[u8],
        now_ms: u64,
    ) -> Result<Self, GroupError> {
        Self::create_after(Legacy::default(), identity, policy, group_id, now_ms)
    }

    /// The same, in the place of a group that was left.
    pub fn create_after(
        before: Legacy,
        identity: Identity,
        policy: Policy,
        group_id: &[u8],
        now_ms: u64,
    ) -> Result<Self, GroupError> {
        let pass = identity.pass().clone();
        gate::may_commit(pass.role())?;
        pass.check_time(now_ms)?;
        let context = VisitContext::new(policy.visit(), pass.participant(), pass.role(), before);
        let extensions = context.to_extensions()?;
        let (created, trace) = traced(|| {
            client(&identity, &policy).create_group_with_id(
                group_id.to_vec(),
                extensions,
                Default::default(),
                Some(timestamp()),
            )
        });
        let mls = gate_or(created, trace)?;
        Self::from_parts(mls, policy, pass)
    }

    pub(super) fn from_parts(
        mls: mls_rs::Group<Config>,
        policy: Policy,
        me: Pass,
    ) -> Result<Self, GroupError> {
        Ok(Self {
            roster: verified_roster(&policy, &mls.roster())?,
            context: VisitContext::from_extensions(&mls.context().extensions)?,
            mls,
            policy,
            me,
        })
    }

    /// Encrypts an application message to the members of this epoch.
    pub fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>, GroupError> {
        self.mls
            .encrypt_application_message(data, Vec::new())
            .and_then(|message| message.to_bytes())
            .map_err(mls_error)
    }

    /// Whether a commit could carry this consent document now. For sorting out what is stale before staging.
    pub fn check_change(&self, change: &Change) -> Result<(), GateError> {
        gate::judge_change(&self.before(), change)
    }

    /// The group's id; chosen by its creator.
    pub fn group_id(&self) -> &[u8] {
        self.mls.group_id()
    }

    /// Counts from 0.
    pub fn epoch(&self) -> u64 {
        self.mls.current_epoch()
    }

    /// This member's leaf, below [`super::MAX_MEMBERS`].
    pub fn own_leaf(&self) -> u8 {
        // A group with a higher own leaf was refused on the way in.
        u8::try_from(self.mls.current_member_index()).unwrap_or(u8::MAX)
    }

    /// This member's own pass.
    pub fn me(&self) -> &Pass {
        &self.me
    }

    /// Everybody in the group, by leaf.
    pub fn roster(&self) -> &[RosterMember] {
        &self.roster
    }

    /// The member that is this participant.
    pub fn member(&self, participant: ParticipantId) -> Option<&RosterMember> {
        self.roster
            .iter()
            .find(|member| member.participant == participant)
    }

    /// The consent state that the group's context carries.
    pub fn consent(&self) -> &ConsentState {
        &self.context.consent
    }

    /// Who is host, and whether the visit is locked.
    pub fn meeting(&self) -> Meeting {
        self.context.meeting
    }

    /// Whether this participant is, or ever was, in the group.
    pub fn knows(&self, participant: ParticipantId) -> bool {
        self.context.roles.contains_key(&participant)
    }

    /// What a group in the place of this one starts from.
    pub fn legacy(&self) -> Legacy {
        Legacy::of(&self.context)
    }

    /// What the gate judges with.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The epoch's SFrame base key, RFC 9605 section 5.2: MLS-Exporter("SFrame 1.0 Base Key", "", 16).
    pub fn frame_base_key(&self) -> Result<Zeroizing<[u8; 16]>, GroupError> {
        let secret = self
            .mls
            .export_secret(b"SFrame 1.0 Base Key", b"", 16)
            .map_err(mls_error)?;
        let mut key = Zeroizing::new([0; 16]);
        if secret.len() != key.len() {
            return Err(GroupError::Mls("the exporter gave another length".into()));
        }
        key.copy_from_slice(&secret);
        Ok(key)
    }

    /// RFC 9420 section 8.7: equal for all members of the same epoch of the same history.
    pub fn epoch_authenticator(&self) -> Result<Zeroizing<Vec<u8>>, GroupError> {
        let secret = self.mls.epoch_authenticator().map_err(mls_error)?;
        Ok(Zeroizing::new(secret.to_vec()))
    }

    /// A hash of the epoch authenticator, to compare with other members inside the encryption.
    pub fn epoch_proof(&self) -> Result<[u8; 32], GroupError> {
        self.labelled_authenticator(b"sealed-visit epoch proof v1\0")
    }

    /// 30 digits in groups of five, for comparing by voice: equal if the epoch authenticators are. Each group is
    /// five bytes of a labelled SHA-256 of the authenticator, big-endian, modulo 100,000.
    pub fn safety_code(&self) -> Result<String, GroupError> {
        let hash = self.labelled_authenticator(b"sealed-visit safety code v1\0")?;
        let groups = hash.chunks_exact(5).map(|chunk| {
            let number = chunk
                .iter()
                .fold(0u64, |number, &byte| number << 8 | u64::from(byte));
            format!("{:05}", number % 100_000)
        });
        Ok(groups.collect::<Vec<_>>().join(" "))
    }

    fn labelled_authenticator(&self, label: &[u8]) -> Result<[u8; 32], GroupError> {
        let mut hasher = Sha256::new();
        hasher.update(label);
        hasher.update(&*self.epoch_authenticator()?);
        Ok(hasher.finalize().into())
    }

    pub(super) fn before(&self) -> Before<'_> {
        Before {
            policy: &self.policy,
            group_id: self.mls.group_id(),
            roster: &self.roster,
            context: &self.context,
        }
    }

    pub(super) fn own_member(&self) -> Result<&RosterMember, GroupError> {
        self.member(self.me.participant())
            .ok_or_else(|| GroupError::NotAMember(self.me.participant()))
    }
}

/// What the library did, or why the gate stopped it.
pub(super) fn gate_or<T>(result: Result<T, MlsError>, trace: Trace) -> Result<T, GroupError> {
    result.map_err(|error| match trace.error {
        Some(gate) => gate.into(),
        None => mls_error(error),
    })
}
