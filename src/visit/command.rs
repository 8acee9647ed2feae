//! Commands of the person or the embedder.

use super::app_message::AppMessage;
use super::input::Command;
use super::membership::Want;
use super::output::{CommandError, ErrorCode, RecorderLeft};
use super::outside::DirectMessage;
use super::state::EndReason;
use super::{Output, Visit};
use sealed_visit_protocol::wire::ClientMessage;
use sealed_visit_protocol::{B64, ParticipantId};

impl Visit {
    pub(super) fn on_command(&mut self, id: u32, command: Command) {
        // `Ok(true)`: done now. `Ok(false)`: answered when the commit is ordered.
        let outcome = match command {
            Command::Admit { participant } => self.admit(id, participant).map(|()| false),
            Command::AskWaiting { participant } => self.ask_waiting(participant).map(|()| true),
            Command::PauseAndAdmit { participant } => {
                self.pause_and_admit(id, participant).map(|()| false)
            }
            Command::Deny { participant } => self.deny(participant).map(|()| true),
            Command::Remove { participant } => self.remove(id, participant).map(|()| false),
            Command::RequestConsent(asked) => self.request_consent(id, *asked).map(|()| false),
            Command::Answer {
                kind,
                answers,
                language,
                place,
            } => self
                .answer(id, kind, answers, language, place)
                .map(|()| false),
            Command::Withdraw { wish } => self.withdraw(id, wish).map(|()| false),
            Command::StartRecorder => self.start_recorder(id).map(|()| false),
            Command::Pause => self
                .take_recorder_out(id, RecorderLeft::Paused)
                .map(|()| false),
            Command::StopRecording => self
                .take_recorder_out(id, RecorderLeft::Stopped)
                .map(|()| false),
            Command::AgreeResume => self.agree_resume().map(|()| true),
            Command::Send { data } => self.send_data(data).map(|()| true),
            Command::MarkVerified => self.mark_verified().map(|()| true),
            Command::Leave => {
                self.leave();
                Ok(true)
            }
            Command::End => self.end_for_all().map(|()| true),
            Command::Heartbeat {
                part,
                segments,
                sealed_media_us,
            } => self
                .heartbeat(part, segments, sealed_media_us)
                .map(|()| true),
            Command::SignOpen { open } => {
                let outcome = self.sign_open(open);
                return self.out.push(match outcome {
                    Ok(statement) => Output::Done {
                        id,
                        result: Some(statement),
                    },
                    Err(error) => Output::Failed { id, error },
                });
            }
        };
        match outcome {
            Ok(true) => self.out.push(Output::Done { id, result: None }),
            Ok(false) => {}
            Err(error) => self.out.push(Output::Failed { id, error }),
        }
    }

    fn deny(&mut self, participant: ParticipantId) -> Result<(), CommandError> {
        self.require_host()?;
        if self.waiting.remove(&participant).is_none() {
            return Err(CommandError::new(
                ErrorCode::UnknownParticipant,
                "nobody of that id waits",
            ));
        }
        self.denied.insert(participant);
        self.admitted.remove(&participant);
        self.asked.remove(&participant);
        self.send_direct(participant, &DirectMessage::Denied);
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
        let me = self.me;
        self.recording.agreed_to_resume(me);
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
            self.flush_app_messages();
        }
        self.send(ClientMessage::Leave {});
        self.end(EndReason::Left);
    }

    fn end_for_all(&mut self) -> Result<(), CommandError> {
        self.require_host()?;
        self.send(ClientMessage::End {});
        self.end(EndReason::EndedByHost);
        Ok(())
    }
}
