//! Commits that this member makes: staged, and merged once the relay has ordered them.

use super::client::{mls_error, no_time};
use super::context::{CHANGE_PROPOSAL, MEETING_PROPOSAL, VisitContext};
use super::error::GroupError;
use super::gate::{self, Proposed};
use super::joiner::{key_package_id, verified_key_package};
use super::meeting::MeetingChange;
use super::member::{Group, gate_or};
use super::rules::{traced, verified_pass};
use mls_rs::MlsMessage;
use mls_rs::error::MlsError;
use mls_rs::group::proposal::{CustomProposal, Proposal, ProposalType};
use mls_rs::group::{CommitEffect, NewEpoch};
use sealed_visit_protocol::consent::Change;
use sealed_visit_protocol::{Hash32, ParticipantId, Pass};
use std::fmt;
use zeroize::Zeroizing;

/// What a commit should do. Empty: new keys for the committer.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Key packages of participants to admit. One of a participant already present is a rejoin: the old leaf goes, the
    /// new one comes, in the same commit.
    pub add: Vec<Vec<u8>>,
    /// Participants to remove; never the committer.
    pub remove: Vec<ParticipantId>,
    /// Signed consent documents, applied in this order.
    pub consent: Vec<Change>,
    /// Lock and host.
    pub meeting: Vec<MeetingChange>,
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
    /// [`super::KeyPackageInfo::id`] of the key packages that it used up.
    pub used: Vec<Hash32>,
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

impl Group {
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
            meeting: changes.meeting.clone(),
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
                commit = commit.custom_proposal(proposal(CHANGE_PROPOSAL, change)?);
            }
            for change in &proposed.meeting {
                commit = commit.custom_proposal(proposal(MEETING_PROPOSAL, change)?);
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

    /// What the proposals of a commit did to this roster.
    pub(super) fn summarise(
        &self,
        from: ParticipantId,
        new_epoch: &NewEpoch,
        self_removed: bool,
    ) -> Result<CommitSummary, GroupError> {
        let mut summary = CommitSummary {
            epoch: new_epoch.epoch(),
            from,
            added: Vec::new(),
            removed: Vec::new(),
            rejoined: Vec::new(),
            used: Vec::new(),
            consent_changed: false,
            self_removed,
        };
        for info in new_epoch.applied_proposals() {
            match &info.proposal {
                Proposal::Add(add) => {
                    let pass = verified_pass(&self.policy, add.signing_identity())?;
                    summary.added.push(pass.participant());
                    summary.used.push(key_package_id(add.key_package())?);
                }
                Proposal::Remove(remove) => summary.removed.extend(
                    self.roster
                        .iter()
                        .find(|member| u32::from(member.leaf) == remove.to_remove())
                        .map(|member| member.participant),
                ),
                Proposal::Custom(custom) if custom.proposal_type() == CHANGE_PROPOSAL => {
                    summary.consent_changed = true;
                }
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

fn proposal(
    of_type: ProposalType,
    change: &impl serde::Serialize,
) -> Result<CustomProposal, MlsError> {
    let data = serde_json::to_vec(change).map_err(|_| MlsError::UnexpectedMessageType)?;
    Ok(CustomProposal::new(of_type, data))
}
