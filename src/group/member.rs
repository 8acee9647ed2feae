//! One member's view of the group.

use super::client::{Config, client, mls_error, no_time, timestamp};
use super::context::{CHANGE_PROPOSAL, VisitContext};
use super::error::{GateError, GroupError, Refused};
use super::gate::{self, Before, Proposed};
use super::joiner::verified_key_package;
use super::rules::{Trace, traced, verified_roster};
use super::{Identity, Policy, RosterMember};
use mls_rs::MlsMessage;
use mls_rs::error::MlsError;
use mls_rs::group::proposal::{CustomProposal, Proposal};
use mls_rs::group::{
    CommitEffect, CommitMessageDescription, ContentType, NewEpoch, ReceivedMessage,
};
use mls_rs::{MlsMessageDescription, WireFormat};
use sealed_visit_protocol::consent::{Change, ConsentState};
use sealed_visit_protocol::{ParticipantId, Pass};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

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
    /// Who committed.
    pub from: ParticipantId,
    /// New in the roster; rejoined ones are not repeated here.
    pub added: Vec<ParticipantId>,
    /// No longer in the roster.
    pub removed: Vec<ParticipantId>,
    /// In the roster before and after, with a new leaf.
    pub rejoined: Vec<ParticipantId>,
    /// The commit held consent documents.
    pub consent_changed: bool,
    /// The commit removed this member's leaf: the group ends here, in the epoch before.
    pub self_removed: bool,
}

/// A commit that was built and not yet ordered. Dropping it costs nothing; its keys are out of reach until merged.
#[derive(Clone)]
pub struct Staged {
    /// For the members, through the relay.
    pub commit: Vec<u8>,
    /// For everybody added, and only after the relay has accepted the commit.
    pub welcome: Option<Vec<u8>>,
    summary: CommitSummary,
    after: Box<Group>,
    /// The epoch authenticator of the state that the commit leaves.
    leaves: Zeroizing<Vec<u8>>,
}

impl Staged {
    /// What merging will do.
    pub fn summary(&self) -> &CommitSummary {
        &self.summary
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Staged({:?})", self.summary)
    }
}

/// What an incoming message was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processed {
    /// A commit, followed.
    Commit(CommitSummary),
    /// An application message of a current member.
    Application {
        /// Who sent it, authenticated.
        from: ParticipantId,
        /// The sender's leaf.
        leaf: u8,
        /// What was sent.
        data: Vec<u8>,
    },
}

/// One member's view of the group.
#[derive(Clone)]
pub struct Group {
    pub(super) mls: mls_rs::Group<Config>,
    policy: Policy,
    me: Pass,
    // Read from `mls` after every change, verified.
    roster: Vec<RosterMember>,
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
        let pass = identity.pass().clone();
        gate::may_commit(pass.role())?;
        pass.check_time(now_ms)?;
        let context = VisitContext::new(policy.visit(), pass.participant(), pass.role());
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

    /// Builds a commit and judges it as every receiver will; `now_ms` is for the expiry of the passes it adds.
    /// The group stays in its epoch; `&mut` because each commit built uses up an encryption key.
    pub fn stage(&mut self, changes: &Changes, now_ms: u64) -> Result<Staged, GroupError> {
        let adds = changes
            .add
            .iter()
            .map(|key_package| self.admissible(key_package, now_ms))
            .collect::<Result<Vec<_>, _>>()?;
        let proposed = Proposed {
            committer: self.own_member()?.clone(),
            removes: self.leaves_to_remove(&changes.remove, &adds)?,
            adds,
            changes: changes.consent.clone(),
        };
        let derived = gate::judge(&self.before(), &proposed)?;
        self.build(&changes.add, &proposed, &derived)
    }

    /// Moves to the staged commit's epoch. Call it when, and only when, the relay has ordered that commit.
    pub fn merge(&mut self, staged: Staged) -> Result<CommitSummary, GroupError> {
        if *self.epoch_authenticator()? != *staged.leaves {
            return Err(GroupError::StaleCommit {
                staged: staged.summary.epoch.saturating_sub(1),
                current: self.epoch(),
            });
        }
        *self = *staged.after;
        Ok(staged.summary)
    }

    /// Follows a message of another member, or refuses it and stays as it was.
    ///
    /// Takes no time on purpose: honest members must not fork by their clocks.
    pub fn process(&mut self, message: &[u8]) -> Result<Processed, Refused> {
        let parsed = MlsMessage::from_bytes(message).map_err(|_| Refused {
            code: "malformed",
            offender: None,
            is_commit: false,
            detail: format!("a message of {} bytes cannot be read", message.len()),
        })?;
        let is_commit = is_commit(&parsed);
        let (outcome, trace) = traced(|| self.follow(parsed));
        let (next, processed) = outcome.map_err(|failure| failure.refused(trace, is_commit))?;
        *self = next;
        Ok(processed)
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

    fn before(&self) -> Before<'_> {
        Before {
            policy: &self.policy,
            group_id: self.mls.group_id(),
            roster: &self.roster,
            context: &self.context,
        }
    }

    fn own_member(&self) -> Result<&RosterMember, GroupError> {
        self.member(self.me.participant())
            .ok_or_else(|| GroupError::NotAMember(self.me.participant()))
    }

    /// The pass of a key package that this member, as committer, may let in now.
    fn admissible(&self, key_package: &[u8], now_ms: u64) -> Result<Pass, GroupError> {
        let (info, _) = verified_key_package(&self.policy, key_package)?;
        info.pass.check_time(now_ms)?;
        if info.participant == self.me.participant() {
            return Err(GroupError::OwnRemoval);
        }
        Ok(info.pass)
    }

    /// The leaves of those to remove, and the old ones of those who rejoin.
    fn leaves_to_remove(
        &self,
        remove: &[ParticipantId],
        adds: &[Pass],
    ) -> Result<Vec<u8>, GroupError> {
        let mut leaves = Vec::new();
        for &participant in remove {
            let member = self
                .member(participant)
                .ok_or(GroupError::NotAMember(participant))?;
            leaves.push(member.leaf);
        }
        let rejoining = adds
            .iter()
            .filter_map(|pass| self.member(pass.participant()));
        leaves.extend(rejoining.map(|member| member.leaf));
        leaves.sort_unstable();
        leaves.dedup();
        if leaves.contains(&self.own_leaf()) {
            return Err(GroupError::OwnRemoval);
        }
        Ok(leaves)
    }

    fn build(
        &mut self,
        key_packages: &[Vec<u8>],
        proposed: &Proposed,
        derived: &VisitContext,
    ) -> Result<Staged, GroupError> {
        let leaves = self.epoch_authenticator()?;
        let new_context = (*derived != self.context)
            .then(|| derived.to_extensions())
            .transpose()?;
        let (built, trace) = traced(|| {
            let mut commit = self.mls.commit_builder().commit_time(no_time());
            for key_package in key_packages {
                commit = commit.add_member(MlsMessage::from_bytes(key_package)?)?;
            }
            for &leaf in &proposed.removes {
                commit = commit.remove_member(leaf.into())?;
            }
            for change in &proposed.changes {
                commit = commit.custom_proposal(proposal(change)?);
            }
            if let Some(extensions) = new_context {
                commit = commit.set_group_context_ext(extensions)?;
            }
            commit.build_detached()
        });
        let (output, secrets) = gate_or(built, trace)?;

        let mut after = self.mls.clone();
        let (applied, trace) = traced(|| after.apply_detached_commit(secrets));
        let CommitEffect::NewEpoch(new_epoch) = gate_or(applied, trace)?.effect else {
            return Err(GroupError::Mls("the commit leads to no new epoch".into()));
        };
        let welcome = output.welcome_messages.first();
        Ok(Staged {
            commit: output.commit_message.to_bytes().map_err(mls_error)?,
            welcome: welcome
                .map(|welcome| welcome.to_bytes())
                .transpose()
                .map_err(mls_error)?,
            summary: self.summarise(self.me.participant(), &new_epoch, false)?,
            after: Box::new(Self::from_parts(
                after,
                self.policy.clone(),
                self.me.clone(),
            )?),
            leaves,
        })
    }

    /// The group after a message, and what the message was. Works on a clone: a failed message is not atomic in
    /// `mls-rs` (it uses up the sender's key, or worse), a dropped clone leaves nothing behind.
    fn follow(&self, message: MlsMessage) -> Result<(Self, Processed), Failure> {
        if message.wire_format() != WireFormat::PrivateMessage {
            return Err(Failure::Rule(
                "not_private",
                "only private messages are followed",
            ));
        }
        if message.group_id() != Some(self.group_id()) {
            return Err(Failure::Rule(
                "other_group",
                "the message is for another group",
            ));
        }
        if message.epoch() != Some(self.epoch()) {
            return Err(Failure::Rule(
                "other_epoch",
                "the message is of another epoch",
            ));
        }
        let mut next = self.clone();
        match next
            .mls
            .process_incoming_message_with_time(message, no_time())?
        {
            ReceivedMessage::ApplicationMessage(message) => {
                no_clear_data(&message.authenticated_data)?;
                let sender = self
                    .roster
                    .iter()
                    .find(|member| u32::from(member.leaf) == message.sender_index)
                    .ok_or(Failure::Rule("mls", "the sender is not a member"))?;
                let processed = Processed::Application {
                    from: sender.participant,
                    leaf: sender.leaf,
                    data: message.data().to_vec(),
                };
                Ok((next, processed))
            }
            ReceivedMessage::Commit(commit) => self.followed(next, &commit),
            _ => Err(Failure::Rule(
                "not_private",
                "neither commit nor application message",
            )),
        }
    }

    fn followed(
        &self,
        mut next: Self,
        commit: &CommitMessageDescription,
    ) -> Result<(Self, Processed), Failure> {
        no_clear_data(&commit.authenticated_data)?;
        let from = self
            .roster
            .iter()
            .find(|member| u32::from(member.leaf) == commit.committer)
            .ok_or(Failure::Rule("mls", "the committer is not a member"))?
            .participant;
        let summary = match &commit.effect {
            CommitEffect::NewEpoch(new_epoch) => {
                next = Self::from_parts(next.mls, next.policy, next.me)?;
                self.summarise(from, new_epoch, false)?
            }
            CommitEffect::Removed { new_epoch, .. } => self.summarise(from, new_epoch, true)?,
            CommitEffect::ReInit(_) => {
                return Err(Failure::Rule("not_allowed", "a re-initialisation"));
            }
        };
        Ok((next, Processed::Commit(summary)))
    }

    fn summarise(
        &self,
        from: ParticipantId,
        new_epoch: &NewEpoch,
        self_removed: bool,
    ) -> Result<CommitSummary, GateError> {
        let mut summary = CommitSummary {
            epoch: new_epoch.epoch(),
            from,
            added: Vec::new(),
            removed: Vec::new(),
            rejoined: Vec::new(),
            consent_changed: false,
            self_removed,
        };
        for info in new_epoch.applied_proposals() {
            match &info.proposal {
                Proposal::Add(add) => {
                    let pass = super::rules::verified_pass(&self.policy, add.signing_identity())?;
                    summary.added.push(pass.participant());
                }
                Proposal::Remove(remove) => summary.removed.extend(
                    self.roster
                        .iter()
                        .find(|member| u32::from(member.leaf) == remove.to_remove())
                        .map(|member| member.participant),
                ),
                Proposal::Custom(_) => summary.consent_changed = true,
                _ => {}
            }
        }
        summary.rejoined = summary.added.clone();
        summary
            .rejoined
            .retain(|participant| summary.removed.contains(participant));
        let rejoined = &summary.rejoined;
        summary.added.retain(|added| !rejoined.contains(added));
        summary
            .removed
            .retain(|removed| !rejoined.contains(removed));
        Ok(summary)
    }
}

fn proposal(change: &Change) -> Result<CustomProposal, MlsError> {
    let data = serde_json::to_vec(change).map_err(|_| MlsError::UnexpectedMessageType)?;
    Ok(CustomProposal::new(CHANGE_PROPOSAL, data))
}

fn is_commit(message: &MlsMessage) -> bool {
    matches!(
        message.description(),
        MlsMessageDescription::PrivateProtocolMessage {
            content_type: ContentType::Commit,
            ..
        } | MlsMessageDescription::PublicProtocolMessage {
            content_type: ContentType::Commit,
            ..
        }
    )
}

/// MLS sends authenticated data in the clear: nobody here has any (law 8).
fn no_clear_data(authenticated_data: &[u8]) -> Result<(), Failure> {
    authenticated_data
        .is_empty()
        .then_some(())
        .ok_or(Failure::Rule("not_allowed", "data outside the encryption"))
}

/// What the library did, or why the gate stopped it.
fn gate_or<T>(result: Result<T, MlsError>, trace: Trace) -> Result<T, GroupError> {
    result.map_err(|error| match trace.error {
        Some(gate) => gate.into(),
        None => mls_error(error),
    })
}

/// Why a message was not followed.
enum Failure {
    Rule(&'static str, &'static str),
    Gate(GateError),
    Mls(MlsError),
    Group(GroupError),
}

impl Failure {
    fn refused(self, trace: Trace, is_commit: bool) -> Refused {
        let (code, detail) = match (trace.error, self) {
            (Some(gate), _) | (None, Failure::Gate(gate)) => (gate.code(), gate.to_string()),
            (None, Failure::Rule(code, detail)) => (code, detail.to_owned()),
            (None, Failure::Group(error)) => (error.code(), error.to_string()),
            (None, Failure::Mls(error)) => (mls_code(&error), format!("{error:?}")),
        };
        Refused {
            code,
            offender: trace.committer,
            is_commit,
            detail,
        }
    }
}

fn mls_code(error: &MlsError) -> &'static str {
    match error {
        MlsError::CantProcessMessageFromSelf => "own_message",
        MlsError::KeyMissing(_) => "replayed",
        MlsError::InvalidSignature => "bad_signature",
        MlsError::InvalidSuccessor => "successor",
        _ => "mls",
    }
}

impl From<MlsError> for Failure {
    fn from(error: MlsError) -> Self {
        Failure::Mls(error)
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        Failure::Gate(error)
    }
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Self {
        Failure::Group(error)
    }
}
