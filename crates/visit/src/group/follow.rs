//! Messages of other members: followed, or refused without a trace.

use super::client::no_time;
use super::commit::CommitSummary;
use super::error::{GateError, GroupError, Refused};
use super::member::Group;
use super::rules::{Trace, traced};
use mls_rs::error::MlsError;
use mls_rs::group::{CommitEffect, CommitMessageDescription, ContentType, ReceivedMessage};
use mls_rs::{MlsMessage, MlsMessageDescription, WireFormat};
use sealed_visit_protocol::ParticipantId;

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

impl Group {
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
