//! Commands of the person or the embedder.

use super::app_message::AppMessage;
use super::commits::Want;
use super::input::Command;
use super::output::{CommandError, ErrorCode, RecorderLeft};
use super::state::EndReason;
use super::{Output, Visit};
use sealed_visit_protocol::wire::ClientMessage;
use sealed_visit_protocol::{B64, ParticipantId};

/// When a command is answered.
pub(super) enum Answered {
    Now(Option<String>),
    /// When its commit is ordered.
    Later,
    /// The same; or when the group is left before, because it is remembered and said again in the next.
    LaterAndKept,
}

fn now((): ()) -> Answered {
    Answered::Now(None)
}

fn later((): ()) -> Answered {
    Answered::Later
}

impl Visit {
    pub(super) fn on_command(&mut self, id: u32, command: Command) {
        let outcome = match command {
            Command::Admit { participant } => self.admit(id, participant).map(later),
            Command::AskWaiting { participant } => self.ask_waiting(participant).map(now),
            Command::PauseAndAdmit { participant } => {
                self.pause_and_admit(id, participant).map(later)
            }
            Command::Deny { participant } => self.deny(participant).map(now),
            Command::Remove { participant } => self.remove(id, participant).map(later),
            Command::Lock { locked } => self.lock(id, locked).map(later),
            Command::HandOver { participant } => self.hand_over(id, participant).map(later),
            Command::RequestConsent(asked) => self.request_consent(id, *asked).map(later),
            Command::Answer(given) => self.answer(id, given),
            Command::ConfirmPlace { participant } => self.confirm_place(participant).map(now),
            Command::Withdraw { wish } => self.withdraw(Some(id), wish),
            Command::StartRecorder => self.start_recorder(id).map(later),
            Command::Pause => self.take_recorder_out(id, RecorderLeft::Paused),
            Command::StopRecording => self.take_recorder_out(id, RecorderLeft::Stopped),
            Command::AgreeResume => self.agree_resume().map(now),
            Command::Send { data } => self.send_data(data.0).map(now),
            Command::MarkVerified => self.mark_verified().map(now),
            Command::Leave => {
                self.leave();
                Ok(Answered::Now(None))
            }
            Command::End => self.end_for_all().map(now),
            Command::Heartbeat {
                part,
                segments,
                sealed_media_us,
            } => self.heartbeat(part, segments, sealed_media_us).map(now),
            Command::SignOpen { open } => self
                .sign_open(open)
                .map(|statement| Answered::Now(Some(statement))),
        };
        match outcome {
            Ok(Answered::Now(result)) => self.out.push(Output::Done { id, result }),
            Ok(Answered::Later) => self.answer_later(id, false),
            Ok(Answered::LaterAndKept) => self.answer_later(id, true),
            Err(error) => self.out.push(Output::Failed { id, error }),
        }
    }

    /// Only a member's commands wait for a commit.
    fn answer_later(&mut self, id: u32, is_kept: bool) {
        if let Some(member) = self.member_mut() {
            member.unanswered.push((id, is_kept));
        }
    }

    fn waits_for_answer(&mut self, id: u32) -> bool {
        let Some(member) = self.member_mut() else {
            return false;
        };
        let before = member.unanswered.len();
        member.unanswered.retain(|(waits, _)| *waits != id);
        member.unanswered.len() < before
    }

    /// Answers a command whose commit was ordered.
    pub(super) fn done(&mut self, id: u32) {
        if self.waits_for_answer(id) {
            self.out.push(Output::Done { id, result: None });
        }
    }

    pub(super) fn failed(&mut self, id: u32, error: CommandError) {
        if self.waits_for_answer(id) {
            self.out.push(Output::Failed { id, error });
        }
    }

    /// Answers every command whose commit will never be ordered: the group is left, and what was wanted of it is gone,
    /// unless it is remembered.
    pub(super) fn interrupt_commands(&mut self) {
        let Some(member) = self.member_mut() else {
            return;
        };
        for (id, is_kept) in std::mem::take(&mut member.unanswered) {
            if is_kept {
                self.out.push(Output::Done { id, result: None });
                continue;
            }
            let error = CommandError::new(
                ErrorCode::Interrupted,
                "the group was left before this took effect: try again",
            );
            self.out.push(Output::Failed { id, error });
        }
    }

    fn deny(&mut self, participant: ParticipantId) -> Result<(), CommandError> {
        self.require_host()?;
        self.require_member()?;
        let Some(waiter) = self.waiting.remove(&participant) else {
            return Err(CommandError::new(
                ErrorCode::UnknownParticipant,
                "nobody of that id waits",
            ));
        };
        self.denied.insert(participant);
        self.admitted.remove(&participant);
        self.asked.remove(&participant);
        self.send_notice(participant, &waiter.key_package, true);
        Ok(())
    }

    fn remove(&mut self, id: u32, participant: ParticipantId) -> Result<(), CommandError> {
        self.require_host()?;
        let member = self.require_member()?;
        if !member.has(participant) {
            return Err(CommandError::new(
                ErrorCode::UnknownParticipant,
                "nobody of that id is in the visit",
            ));
        }
        member.wants.push(Want {
            remove: vec![participant],
            command: Some(id),
            ..Want::default()
        });
        self.admitted.remove(&participant);
        self.denied.insert(participant);
        Ok(())
    }

    fn agree_resume(&mut self) -> Result<(), CommandError> {
        self.require_member()?;
        self.say(AppMessage::AgreeResume);
        self.go_on_the_record();
        Ok(())
    }

    fn send_data(&mut self, data: Vec<u8>) -> Result<(), CommandError> {
        self.require_member()?;
        self.say(AppMessage::Data { data: B64(data) });
        Ok(())
    }

    fn mark_verified(&mut self) -> Result<(), CommandError> {
        let member = self.require_member()?;
        let keys = member
            .group
            .roster()
            .iter()
            .map(|entry| (entry.participant, *entry.pass.key()))
            .collect();
        self.verified = Some(keys);
        Ok(())
    }

    fn leave(&mut self) {
        if self.member().is_some() {
            self.say(AppMessage::Leaving);
            self.send_app_messages();
        }
        self.send(ClientMessage::Leave {});
        self.end_for_good(EndReason::Left);
    }

    fn end_for_all(&mut self) -> Result<(), CommandError> {
        self.require_host()?;
        self.require_member()?;
        // The members hear it from the host, whatever the relay says.
        self.say(AppMessage::Ending);
        self.send_app_messages();
        self.send(ClientMessage::End {});
        self.end_for_good(EndReason::EndedByHost);
        Ok(())
    }
}
