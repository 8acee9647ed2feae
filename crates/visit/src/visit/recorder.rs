//! The recorder: added, taken out, heard from; and what it signs itself.

use super::app_message::AppMessage;
use super::command::Answered;
use super::commits::Want;
use super::input::OpenPart;
use super::membership::Membership;
use super::output::{CommandError, ErrorCode, RecorderLeft, VisitEvent};
use super::state::ProblemCode;
use super::{Role, Visit};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{Change, Statement, StatementKind};
use sealed_visit_protocol::limits::HEARTBEAT_FRESH_MS;
use sealed_visit_protocol::recording::OpenClaims;
use sealed_visit_protocol::{B64, ParticipantId, VERSION};

/// Everybody is told this long before recording goes on after a pause.
const RESUME_AFTER_MS: u64 = 3_000;

impl Visit {
    pub(super) fn start_recorder(&mut self, id: u32) -> Result<(), CommandError> {
        self.require_host()?;
        let recorder = self.require_round()?.request().claims().recorder;
        self.require_agreement()?;
        if !self.waiting.contains_key(&recorder) {
            return Err(CommandError::new(
                ErrorCode::RecorderNotReady,
                "the recorder has not asked to join yet",
            ));
        }
        self.go_on_the_record();
        match self.recording.left {
            Some((RecorderLeft::Paused, _)) => {
                if self.is_held() {
                    return Err(CommandError::new(
                        ErrorCode::PauserMustAgree,
                        "whoever paused has to agree first",
                    ));
                }
                self.say(AppMessage::Resuming {
                    in_ms: RESUME_AFTER_MS,
                });
                self.event(VisitEvent::Resuming {
                    in_ms: RESUME_AFTER_MS,
                });
                let resume = (self.now_ms + RESUME_AFTER_MS, Some(id));
                if let Some((_, Some(before))) = self.recording.resume.replace(resume) {
                    let error = CommandError::new(ErrorCode::Interrupted, "asked for anew");
                    self.failed(before, error);
                }
                Ok(())
            }
            _ => self.want_recorder(Some(id)),
        }
    }

    pub(super) fn want_recorder(&mut self, command: Option<u32>) -> Result<(), CommandError> {
        let recorder = self.require_round()?.request().claims().recorder;
        self.require_agreement()?;
        let member = self.require_member()?;
        member.wants.push(Want {
            add: vec![recorder],
            command,
            ..Want::default()
        });
        Ok(())
    }

    pub(super) fn resume_recording(&mut self) {
        let Some((at_ms, id)) = self.recording.resume else {
            return;
        };
        if self.now_ms < at_ms {
            return;
        }
        self.recording.resume = None;
        if let Err(error) = self.want_recorder(id)
            && let Some(id) = id
        {
            self.failed(id, error);
        }
    }

    pub(super) fn take_recorder_out(
        &mut self,
        id: u32,
        why: RecorderLeft,
    ) -> Result<Answered, CommandError> {
        if why == RecorderLeft::Stopped {
            self.require_host()?;
        }
        let me = self.me;
        self.call_resumption_off();
        let Some(recorder) = self.require_member()?.recorder() else {
            // Whoever goes on keeping it paused says so: a resumption may have been announced.
            if why == RecorderLeft::Paused && self.is_paused() {
                self.go_off_the_record();
                self.say(AppMessage::RecorderStop { why });
            }
            return Ok(Answered::Now(None));
        };
        if why == RecorderLeft::Paused {
            self.go_off_the_record();
        }
        let consent = match (why, self.open_round().cloned()) {
            // For good: the round dies with it, so that nothing goes on without asking again.
            (RecorderLeft::Stopped, Some(round)) => {
                let ended =
                    self.make_statement(round.request(), StatementKind::Withdrawal, |_| {})?;
                // It ends the round when it is ordered. Until then the recorder is shown, and it is nobody's withdrawal.
                self.memory.legacy.hear(me, ended.claims().seq);
                vec![Change::Statement(ended.jws().clone())]
            }
            _ => Vec::new(),
        };
        self.say(AppMessage::RecorderStop { why });
        self.tell_recorder_to_stop(me, why);
        let member = self.require_member()?;
        member.wants.push(Want {
            remove: vec![recorder],
            command: Some(id),
            consent,
            ..Want::default()
        });
        Ok(Answered::Later)
    }

    pub(super) fn on_recorder_stop(&mut self, from: ParticipantId, why: RecorderLeft) {
        let was_removed = self.recording.left == Some((RecorderLeft::Removed, from));
        if why == RecorderLeft::Paused && was_removed && !self.has_recorder() {
            // It was said before the removal, and is heard after.
            self.recording.left = Some((why, from));
        }
        if why == RecorderLeft::Paused && self.is_paused() {
            self.call_resumption_off();
            self.recording.held_by.insert(from);
        }
        self.tell_recorder_to_stop(from, why);
    }

    /// Somebody who is here paused, and has not agreed to go on.
    fn is_held(&self) -> bool {
        let mut held_by = self.recording.held_by.iter();
        self.member()
            .is_some_and(|member| held_by.any(|id| member.has(*id)))
    }

    fn has_recorder(&self) -> bool {
        self.member().and_then(Membership::recorder).is_some()
    }

    /// Somebody paused, and no recorder is here.
    fn is_paused(&self) -> bool {
        !self.has_recorder() && matches!(self.recording.left, Some((RecorderLeft::Paused, _)))
    }

    /// An announced resumption is called off by whoever goes off the record.
    fn call_resumption_off(&mut self) {
        if let Some((_, Some(resuming))) = self.recording.resume.take() {
            let error =
                CommandError::new(ErrorCode::PauserMustAgree, "somebody went off the record");
            self.failed(resuming, error);
        }
    }

    /// This member pauses: until the person agrees, nothing goes to a recorder that comes back.
    pub(super) fn go_off_the_record(&mut self) {
        if self.role == Role::Recorder {
            return;
        }
        let round = self.open_round().map(|round| round.id());
        if self.recording.off_the_record != round {
            self.recording.came_back = false;
        }
        self.recording.off_the_record = round;
        self.recording.held_by.insert(self.me);
    }

    /// The person agrees to be recorded again.
    pub(super) fn go_on_the_record(&mut self) {
        self.recording.off_the_record = None;
        self.recording.held_by.remove(&self.me);
    }

    /// A recorder came back into the round in which this member paused, and the person has not agreed to that.
    pub(super) fn is_recorded_off_the_record(&self) -> bool {
        #[cfg(test)]
        if breaks(Rule::PausedIsSilent) {
            return false;
        }
        let paused = self.recording.off_the_record;
        paused.is_some()
            && paused == self.open_round().map(|round| round.id())
            && self.recording.came_back
            && self.has_recorder()
    }

    /// Takes such a recorder out again.
    pub(super) fn stay_off_the_record(&mut self) {
        if !self.is_live() || !self.is_recorded_off_the_record() {
            return;
        }
        let (me, why) = (self.me, RecorderLeft::Paused);
        let Some(member) = self.member_mut() else {
            return;
        };
        let Some(recorder) = member.recorder().filter(|id| !member.wants_removal(*id)) else {
            return;
        };
        let want = Want {
            remove: vec![recorder],
            ..Want::default()
        };
        member.wants.insert(0, want);
        self.say(AppMessage::RecorderStop { why });
        self.tell_recorder_to_stop(me, why);
    }

    pub(super) fn tell_recorder_to_stop(&mut self, from: ParticipantId, why: RecorderLeft) {
        // A withdrawal outweighs whatever else was said.
        if !matches!(self.recording.stop, Some((_, RecorderLeft::Withdrawn))) {
            self.recording.stop = Some((from, why));
        }
        if why == RecorderLeft::Paused && self.has_recorder() {
            self.recording.held_by.insert(from);
        }
        if self.role == Role::Recorder && !std::mem::replace(&mut self.recording.told, true) {
            self.event(VisitEvent::RecorderLeft { why });
        }
    }

    pub(super) fn on_heartbeat(&mut self, from: ParticipantId, count: u64) {
        let newer = self
            .recording
            .heartbeat
            .is_none_or(|(last, _)| count > last);
        #[cfg(test)]
        let newer = newer || breaks(Rule::NewestHeartbeat);
        if newer && self.member().and_then(Membership::recorder) == Some(from) {
            self.recording.heartbeat = Some((count, self.now_ms));
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        part: u32,
        segments: u64,
        sealed_media_us: u64,
    ) -> Result<(), CommandError> {
        self.require_recorder()?;
        let epoch = self.require_member()?.group.epoch();
        let count = self.link.next_heartbeat();
        self.say(AppMessage::Heartbeat {
            epoch,
            count,
            part,
            segments,
            sealed_media_us,
        });
        self.recording.heartbeat = Some((count, self.now_ms));
        Ok(())
    }

    /// When a recorder that nothing was heard of is silent for too long.
    pub(super) fn recorder_silent_at(&self) -> Option<u64> {
        let since_ms = self.recording.since_ms + HEARTBEAT_FRESH_MS;
        let recorder = self.member().and_then(Membership::recorder);
        recorder.and(self.soonest(&[Some(since_ms), self.heartbeat_stale_at()]))
    }

    pub(super) fn report_silent_recorder(&mut self) {
        let recorder = self.member().and_then(Membership::recorder);
        let silent = recorder.is_some()
            && self.now_ms >= self.recording.since_ms + HEARTBEAT_FRESH_MS
            && !self.recording.heartbeat_is_fresh(self.now_ms);
        if silent {
            self.problem(ProblemCode::RecorderSilent, recorder);
        } else {
            self.clear_problem(ProblemCode::RecorderSilent);
        }
    }

    /// The recorder's open statement: what the group knows, signed before the first byte.
    pub(super) fn sign_open(&mut self, open: OpenPart) -> Result<String, CommandError> {
        self.require_recorder()?;
        let member = self.require_member()?;
        let (epoch, group_id) = (member.group.epoch(), B64(member.group.group_id().to_vec()));
        let roster = member.group.roster().to_vec();
        let grants = member.group.consent().statements().clone();
        let round = self.require_round()?;
        let request = round.request();
        let interpreted = |participant: &ParticipantId| {
            round
                .statement_of(*participant)
                .map(Statement::claims)
                .filter(|claims| claims.kind == StatementKind::Grant)
                .is_some_and(|claims| !claims.interpreted_for.is_empty())
        };
        let in_roster = |participant: &ParticipantId| {
            roster.iter().any(|entry| entry.participant == *participant)
        };
        let claims = OpenClaims {
            v: VERSION,
            visit: self.policy.visit(),
            recording: open.recording,
            part: open.part,
            group_id,
            epoch,
            recording_key: open.recording_key,
            tracks: open.tracks,
            recipients: request.claims().recipients.clone(),
            request: request.jws().clone(),
            grants: grants
                .iter()
                .filter(|(id, _)| in_roster(id) || interpreted(id))
                .map(|(_, jws)| jws.clone())
                .collect(),
            roster: roster
                .iter()
                .map(|entry| entry.pass.jws().clone())
                .collect(),
            clinic: self.policy.clinic().hash(),
            previous: open.previous,
            at_ms: self.now_ms,
            pass: self.identity.pass().jws().clone(),
        };
        let statement = self.identity.key().sign(&claims);
        sealed_visit_protocol::recording::OpenStatement::verify(&statement, self.policy.clinic())
            .map_err(|error| CommandError::new(ErrorCode::Refused, &error.to_string()))?;
        Ok(statement.as_str().to_owned())
    }

    pub(super) fn require_recorder(&self) -> Result<(), CommandError> {
        if self.role == Role::Recorder {
            Ok(())
        } else {
            Err(CommandError::new(
                ErrorCode::NotTheRecorder,
                "only the recorder can do this",
            ))
        }
    }
}
