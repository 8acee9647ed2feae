//! What people do: the commands behind their clicks, and what the model remembers of the clicks.

use super::check::Broken;
use super::scene::Scene;
use super::step::What;
use crate::visit::tests::consent::{asked_of, grant, refusal};
use crate::visit::{Command, Input};
use sealed_visit_protocol::ParticipantId;

impl Scene {
    pub(super) fn person(&mut self, what: What, page: usize) -> Result<(), Broken> {
        let recorder = self.pages[self.recorder()].admitted.participant;
        let round = self
            .shown(page)
            .and_then(|state| state.consent.as_ref())
            .map(|consent| consent.round);
        let command = match what {
            What::Ask => Command::RequestConsent(Box::new(asked_of(&self.world, recorder))),
            What::Grant => grant(),
            What::Refuse => refusal(),
            What::Withdraw => Command::Withdraw { wish: None },
            What::Start => Command::StartRecorder,
            What::Pause => Command::Pause,
            What::Agree => Command::AgreeResume,
            What::Stop => Command::StopRecording,
            What::Leave => Command::Leave,
            What::Admit => {
                let Some(participant) = self.shown(page).and_then(|state| self.to_admit(state))
                else {
                    return Ok(());
                };
                Command::Admit { participant }
            }
            What::AskWaiting | What::PauseAdmit => {
                let Some(participant) = self.shown(page).and_then(|state| self.to_admit(state))
                else {
                    return Ok(());
                };
                match what {
                    What::AskWaiting => Command::AskWaiting { participant },
                    _ => Command::PauseAndAdmit { participant },
                }
            }
            What::Deny | What::Remove | What::HandOver => {
                let state = self.shown(page);
                let whom = state.and_then(|state| match what {
                    What::Deny => self.to_admit(state),
                    What::Remove => self.to_remove(page, state),
                    _ => self.other_clinician(page, state),
                });
                let Some(participant) = whom else {
                    return Ok(());
                };
                if what == What::HandOver {
                    Command::HandOver { participant }
                } else {
                    self.ghost.sent_away(self.page_of(participant));
                    match what {
                        What::Deny => {
                            self.ghost.denied(self.page_of(participant));
                            Command::Deny { participant }
                        }
                        _ => Command::Remove { participant },
                    }
                }
            }
            What::Lock => Command::Lock {
                locked: self.shown(page).is_some_and(|state| !state.locked),
            },
            What::Beat => {
                self.pages[page].beats += 1;
                Command::Heartbeat {
                    part: 0,
                    segments: 0,
                    sealed_media_us: 0,
                }
            }
            _ => return Ok(()),
        };
        // Before the command, since a withdrawal counts from the click; undone if the machine refuses it.
        let before = self.ghost.decisions();
        let key = *self.pages[page].admitted.pass.key();
        self.ghost.decides(what, page, key, round);
        self.ghost.commands += 1;
        let id = self.ghost.commands;
        self.feed(page, Input::Command { id, command })?;
        if self.ghost.failed == Some(id) {
            self.ghost.undo(before);
        }
        Ok(())
    }

    pub(super) fn page_of(&self, participant: ParticipantId) -> Option<usize> {
        let mut pages = self.pages.iter();
        pages.position(|page| page.admitted.participant == participant)
    }
}
