//! Consent rounds, the recorder's coming and going, withdrawal.
//!
//! Invariant: from the moment a withdrawal is known here until an epoch without the recorder is installed,
//! [`Visit::withdrawal_is_pending`] holds, and the sending gate is closed.

use super::app_message::AppMessage;
use super::command::Answered;
use super::input::{ConsentRequest, GivenAnswer, OpenPart, TextBody};
use super::membership::{Membership, Want};
use super::output::{CommandError, ErrorCode, RecorderLeft, VisitEvent};
use super::round::Round;
use super::state::ProblemCode;
use super::{Role, Stage, Visit};
use crate::group::{CommitSummary, Policy};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{
    Change, ConsentText, Layer, Place, PlaceClaims, Request, RequestClaims, RequestError,
    Statement, StatementClaims, StatementKind, WithdrawalWish,
};
use sealed_visit_protocol::recording::OpenClaims;
use sealed_visit_protocol::sorted::{SortedMap, SortedSet};
use sealed_visit_protocol::{B64, Jws, ParticipantId, RoundId, VERSION};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A recorder without a heartbeat for this long is shown as present, not as recording.
pub(super) const HEARTBEAT_FRESH_MS: u64 = 3_000;

/// Everybody is told this long before recording goes on after a pause.
const RESUME_AFTER_MS: u64 = 3_000;

/// When the author of a withdrawal does not remove the recorder, the next live member does after this long, and so on.
const REMOVE_FOR_ANOTHER_AFTER_MS: u64 = 400;

/// What is remembered about recording besides the group's own state.
#[derive(Clone, Default)]
pub(super) struct RecordingMemory {
    words: Option<(RoundId, Words)>,
    /// Places that the host confirmed in the open round.
    places: SortedMap<ParticipantId, Place>,
    /// Statements of the open round that the group's context may not hold yet.
    pub(super) heard: SortedMap<(ParticipantId, RoundId, u64), Heard>,
    recorder: Option<ParticipantId>,
    round: Option<RoundId>,
    pub(super) since_ms: u64,
    heartbeat: Option<(u64, u64)>,
    /// Who said that the recorder stops, and why.
    pub(super) stop: Option<(ParticipantId, RecorderLeft)>,
    /// How the recorder left, and by whom.
    pub(super) left: Option<(RecorderLeft, ParticipantId)>,
    pub(super) resume_agreed: bool,
    pub(super) resume: Option<(u64, Option<u32>)>,
    /// The recorder itself was told to stop.
    pub(super) told: bool,
}

/// What goes with a request and stays inside the encryption.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Words {
    pub(super) texts: Vec<TextBody>,
    pub(super) note: String,
    /// Number to call back in an emergency.
    pub(super) emergency: String,
}

#[derive(Clone)]
pub(super) struct Heard {
    pub(super) statement: Statement,
    at_ms: u64,
}

impl RecordingMemory {
    /// What the group is like that this member is in now, by making or joining it.
    pub(super) fn entered_group(
        &mut self,
        recorder: Option<ParticipantId>,
        round: Option<RoundId>,
        now_ms: u64,
    ) {
        self.told = false;
        self.stop = None;
        self.recorder = recorder;
        self.keep_round(round);
        if recorder.is_some() {
            self.since_ms = now_ms;
            self.left = None;
        }
    }

    /// What was heard is kept: whoever comes back into the same round has withdrawn from it still.
    pub(super) fn group_left(&mut self) {
        let recorder = self.recorder;
        #[cfg(test)]
        if breaks(Rule::WithdrawalIsKept) {
            self.heard.clear();
        }
        *self = Self {
            words: self.words.take(),
            heard: std::mem::take(&mut self.heard),
            left: self.left,
            ..Self::default()
        };
        if let Some(recorder) = recorder {
            self.left = Some((RecorderLeft::Removed, recorder));
        }
    }

    /// Takes what an earlier page of the same participant withdrew.
    pub(super) fn remember_withdrawals(
        &mut self,
        withdrawals: &[Jws<StatementClaims>],
        policy: &Policy,
        me: ParticipantId,
        now_ms: u64,
    ) {
        for jws in withdrawals {
            let verified = jws.unverified_claims().ok().and_then(|claims| {
                let group_id = &claims.group_id.0;
                Statement::verify(jws, policy.clinic(), policy.visit(), group_id).ok()
            });
            let Some(statement) = verified.filter(|statement| statement.participant() == me) else {
                continue;
            };
            let claims = statement.claims();
            if claims.kind == StatementKind::Withdrawal {
                let key = (me, claims.round, claims.seq);
                let at_ms = now_ms;
                self.heard.insert(key, Heard { statement, at_ms });
            }
        }
    }

    fn keep_round(&mut self, round: Option<RoundId>) {
        self.round = round;
        self.places
            .retain(|_, place| Some(place.claims().round) == round);
        // A withdrawal is for good, also where a relay leads back into a group that has not heard of it.
        self.heard.retain(|_, heard| {
            let claims = heard.statement.claims();
            claims.kind == StatementKind::Withdrawal || Some(claims.round) == round
        });
    }

    pub(super) fn why_removed(&self) -> RecorderLeft {
        self.stop.map_or(RecorderLeft::Removed, |(_, why)| why)
    }

    pub(super) fn heartbeat_is_fresh(&self, now_ms: u64) -> bool {
        self.heartbeat
            .is_some_and(|(_, at_ms)| now_ms < at_ms + HEARTBEAT_FRESH_MS)
    }

    pub(super) fn agreed_to_resume(&mut self, from: ParticipantId) {
        if self.left.is_some_and(|(_, by)| by == from) {
            self.resume_agreed = true;
        }
    }

    /// The words of a text, if any with exactly this hash were told.
    pub(super) fn text_of(&self, round: RoundId, text: &ConsentText) -> Option<&str> {
        let bodies = &self.words_of(round)?.texts;
        let told = bodies.iter().find(|body| body.reference() == *text);
        told.map(|body| body.text.as_str())
    }

    /// All words of a round, if they were told.
    pub(super) fn words_of(&self, round: RoundId) -> Option<&Words> {
        let known = self.words.as_ref().filter(|(of, _)| *of == round);
        known.map(|(_, words)| words)
    }

    pub(super) fn learn(&mut self, round: RoundId, words: Words) {
        self.words = Some((round, words));
    }

    /// Whether the host confirmed exactly this place of somebody.
    pub(super) fn is_confirmed(&self, participant: ParticipantId, place: &str) -> bool {
        let confirmed = self.places.get(&participant);
        confirmed.is_some_and(|confirmed| confirmed.claims().place == place)
    }

    /// What somebody last said in this round, in the group's context or not yet.
    pub(super) fn heard_from(
        &self,
        participant: ParticipantId,
        round: RoundId,
    ) -> Option<&StatementClaims> {
        self.heard
            .iter()
            .filter(|((author, ..), _)| *author == participant)
            .map(|(_, heard)| heard.statement.claims())
            .rfind(|claims| claims.round == round)
    }
}

// What others say.
impl Visit {
    pub(super) fn on_request(
        &mut self,
        from: ParticipantId,
        request: Jws<RequestClaims>,
        words: Words,
    ) {
        let Some(member) = self.member() else { return };
        match Request::verify(
            &request,
            self.policy.clinic(),
            self.policy.visit(),
            member.group.group_id(),
        ) {
            Ok(request) if request.host().participant() == from => {
                self.recording.learn(request.claims().round, words);
            }
            Err(RequestError::Recipient(_)) => self.problem(ProblemCode::KeySwapped, Some(from)),
            Ok(_) | Err(_) => self.problem(ProblemCode::MessageRefused, Some(from)),
        }
    }

    pub(super) fn learn_words(&mut self, round: RoundId, words: Words) {
        if self.recording.words_of(round).is_none() {
            self.recording.learn(round, words);
        }
    }

    /// Whoever let somebody in tells what goes with the open round.
    pub(super) fn say_words(&mut self) {
        let Some(round) = self.open_round().map(|round| round.id()) else {
            return;
        };
        if let Some(words) = self.recording.words_of(round).cloned() {
            let places = self.recording.places.values();
            self.say(AppMessage::Texts {
                round,
                words,
                places: places.map(|place| place.jws().clone()).collect(),
            });
        }
    }

    pub(super) fn on_place(&mut self, jws: Jws<PlaceClaims>) {
        let Some(member) = self.member() else { return };
        let (clinic, visit) = (self.policy.clinic(), self.policy.visit());
        let open = self.open_round().map(|round| round.id());
        match Place::verify(&jws, clinic, visit, member.group.group_id()) {
            Ok(place) if Some(place.claims().round) == open => {
                let participant = place.claims().participant;
                let known = self.recording.places.insert(participant, place.clone());
                if known.as_ref() != Some(&place) {
                    self.out.push(super::Output::Place {
                        round: place.claims().round,
                        participant,
                        place: jws,
                    });
                }
            }
            // Of a round that is over.
            Ok(_) => {}
            Err(_) => self.problem(ProblemCode::MessageRefused, None),
        }
    }

    /// The host's word, signed, that somebody is where it said.
    pub(super) fn confirm_place(&mut self, participant: ParticipantId) -> Result<(), CommandError> {
        self.require_host()?;
        let round = self.require_round()?;
        let place = self
            .last_statement_of(participant)
            .map(|claims| claims.place.clone())
            .filter(|place| !place.is_empty())
            .ok_or_else(|| {
                CommandError::new(
                    ErrorCode::UnknownParticipant,
                    "nobody of that id stated a place",
                )
            })?;
        let request = round.request.claims();
        let place = self.identity.key().sign(&PlaceClaims {
            v: VERSION,
            visit: request.visit,
            group_id: request.group_id.clone(),
            round: request.round,
            participant,
            place,
            at_ms: self.now_ms,
            pass: self.identity.pass().jws().clone(),
        });
        self.say(AppMessage::Place {
            place: place.clone(),
        });
        self.on_place(place);
        Ok(())
    }

    pub(super) fn on_statement(&mut self, jws: Jws<StatementClaims>) {
        let Some(member) = self.member() else { return };
        let verified = Statement::verify(
            &jws,
            self.policy.clinic(),
            self.policy.visit(),
            member.group.group_id(),
        );
        match verified {
            Ok(statement) => self.hear(statement),
            Err(_) => self.problem(ProblemCode::MessageRefused, None),
        }
    }

    pub(super) fn hear(&mut self, statement: Statement) {
        let author = statement.participant();
        let (kind, seq) = (statement.claims().kind, statement.claims().seq);
        let round = statement.claims().round;
        let of_open_round = self.open_round().is_some_and(|open| open.id() == round);
        let jws = statement.jws().clone();
        let heard = Heard {
            statement,
            at_ms: self.now_ms,
        };
        let known = self.recording.heard.contains_key(&(author, round, seq));
        self.recording
            .heard
            .get_or_insert((author, round, seq), heard);
        if kind == StatementKind::Withdrawal && of_open_round {
            if !known {
                self.out.push(super::Output::Withdrawal {
                    statement: jws,
                    mine: author == self.me,
                });
            }
            self.event(VisitEvent::Withdrawn {
                participant: author,
            });
            self.tell_recorder_to_stop(author, RecorderLeft::Withdrawn);
        } else if of_open_round {
            self.event(VisitEvent::ConsentAnswered);
        }
    }

    pub(super) fn on_recorder_stop(&mut self, from: ParticipantId, why: RecorderLeft) {
        self.tell_recorder_to_stop(from, why);
    }

    pub(super) fn tell_recorder_to_stop(&mut self, from: ParticipantId, why: RecorderLeft) {
        // A withdrawal outweighs whatever else was said.
        if !matches!(self.recording.stop, Some((_, RecorderLeft::Withdrawn))) {
            self.recording.stop = Some((from, why));
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

    /// Whoever comes in is asked what the others were asked.
    pub(super) fn tell_of_open_round(&mut self) {
        let open = self.open_round().map(|round| round.id());
        if let Some(round) = open
            && self.answer_of(self.me).is_none()
        {
            self.event(VisitEvent::ConsentRequested { round });
        }
    }

    /// What a new epoch means for recording.
    pub(super) fn recording_epoch(&mut self, commit: &CommitSummary) {
        let Some(member) = self.member() else { return };
        let recorder = member.recorder();
        let round = self.open_round().map(|round| round.id());
        let before = std::mem::replace(&mut self.recording.recorder, recorder);
        let old_round = self.recording.round;
        self.recording.keep_round(round);
        self.forget_questions(round);
        if let (Some(round), true) = (round, round != old_round) {
            self.recording.left = None;
            self.event(VisitEvent::ConsentRequested { round });
        } else if commit.consent_changed {
            self.event(VisitEvent::ConsentAnswered);
        }
        if recorder.is_some_and(|recorder| commit.rejoined.contains(&recorder)) {
            // A replacement counts its heartbeats from the start.
            self.recording.heartbeat = None;
            self.recording.since_ms = self.now_ms;
        }
        match (before, recorder) {
            (None, Some(_)) => {
                self.recording.since_ms = self.now_ms;
                self.recording.heartbeat = None;
                self.recording.stop = None;
                self.recording.left = None;
                self.recording.resume = None;
                self.recording.resume_agreed = false;
                self.event(VisitEvent::RecorderJoined);
            }
            (Some(_), None) => {
                let said = self.recording.stop.take();
                let withdrawn = old_round.is_some() && round.is_none();
                let (by, why) = match said {
                    // The host ends a round by withdrawing its own grant, and says that it stops.
                    Some((by, RecorderLeft::Stopped)) if by == commit.from => {
                        (by, RecorderLeft::Stopped)
                    }
                    _ if withdrawn => (
                        said.map_or(commit.from, |(by, _)| by),
                        RecorderLeft::Withdrawn,
                    ),
                    Some((by, why)) => (by, why),
                    None => (commit.from, RecorderLeft::Removed),
                };
                self.recording.left = Some((why, by));
                self.recording.heartbeat = None;
                self.event(VisitEvent::RecorderLeft { why });
            }
            _ => {}
        }
    }
}

// What follows by itself.
impl Visit {
    /// The open round.
    pub(super) fn open_round(&self) -> Option<&Arc<Round>> {
        self.member()?.round.as_ref()
    }

    /// Somebody's highest statement of the open round, in the group's context or heard since.
    pub(super) fn last_statement_of(&self, participant: ParticipantId) -> Option<&StatementClaims> {
        let round = self.open_round()?;
        let heard = self.recording.heard_from(participant, round.id());
        let held = round.statement_of(participant).map(Statement::claims);
        heard
            .into_iter()
            .chain(held)
            .max_by_key(|claims| claims.seq)
    }

    /// Somebody's current answer to the open round.
    pub(super) fn answer_of(&self, participant: ParticipantId) -> Option<StatementKind> {
        self.last_statement_of(participant)
            .map(|claims| claims.kind)
    }

    /// Whether somebody agreed in a way that counts: to words in the own language, or with an interpreter who signed.
    pub(super) fn agrees(&self, participant: ParticipantId) -> bool {
        self.last_statement_of(participant).is_some_and(|claims| {
            claims.kind == StatementKind::Grant
                && (claims.spoken.is_empty() || self.is_interpreted(participant))
        })
    }

    fn is_interpreted(&self, participant: ParticipantId) -> bool {
        self.authors().iter().any(|author| {
            self.last_statement_of(*author).is_some_and(|claims| {
                claims.kind == StatementKind::Grant && claims.interpreted_for.contains(&participant)
            })
        })
    }

    /// Everybody who said something in the open round, in the roster or not.
    fn authors(&self) -> SortedSet<ParticipantId> {
        let Some(round) = self.open_round() else {
            return SortedSet::new();
        };
        let heard = self.recording.heard.keys();
        let heard = heard.filter(|(_, of, _)| *of == round.id());
        heard
            .map(|(author, ..)| author)
            .chain(round.authors())
            .copied()
            .collect()
    }

    /// Who agreed to words in another language, with no interpreter's word yet.
    pub(super) fn interpreter_needed(&self) -> Vec<ParticipantId> {
        let authors = self.authors();
        let needs = |author: &&ParticipantId| {
            let statement = self.last_statement_of(**author);
            statement.is_some_and(|claims| {
                claims.kind == StatementKind::Grant && !claims.spoken.is_empty()
            }) && !self.is_interpreted(**author)
        };
        authors.iter().filter(needs).copied().collect()
    }

    fn open_withdrawal(&self) -> Option<&Heard> {
        let round = self.open_round()?.id();
        self.recording.heard.values().find(|heard| {
            let claims = heard.statement.claims();
            claims.round == round && claims.kind == StatementKind::Withdrawal
        })
    }

    /// Who came back into a round that it withdrew from says so again.
    pub(super) fn say_own_withdrawal(&mut self) {
        let own = self
            .open_withdrawal()
            .map(|heard| &heard.statement)
            .filter(|statement| statement.participant() == self.me)
            .map(|statement| statement.jws().clone());
        if let Some(statement) = own {
            self.say(AppMessage::Statement { statement });
        }
    }

    /// A withdrawal is known, and the recorder can still derive the keys of this epoch.
    pub(super) fn withdrawal_is_pending(&self) -> bool {
        #[cfg(test)]
        if breaks(Rule::WithdrawnIsSilent) {
            return false;
        }
        self.member()
            .is_some_and(|member| member.recorder().is_some())
            && self.open_withdrawal().is_some()
    }

    /// The committer puts what was heard into the group.
    pub(super) fn settle_statements(&mut self) {
        if self.acting() != Some(self.me) {
            return;
        }
        let recorder_present = self.member().and_then(Membership::recorder).is_some();
        let Some(round) = self.open_round() else {
            return;
        };
        let is_news = |claims: &StatementClaims, author| {
            let held = round.statement_of(author);
            claims.round == round.id() && held.is_none_or(|held| held.claims().seq < claims.seq)
        };
        let changes: Vec<Change> = self
            .recording
            .heard
            .values()
            .map(|heard| &heard.statement)
            .filter(|statement| is_news(statement.claims(), statement.participant()))
            .filter(|statement| {
                !recorder_present || statement.claims().kind == StatementKind::Grant
            })
            .map(|statement| Change::Statement(statement.jws().clone()))
            .collect();
        let policy = self.policy.clone();
        let Some(member) = self.member_mut() else {
            return;
        };
        for change in changes {
            if member.wants_change(&change) {
                continue;
            }
            let applies = member
                .group
                .consent()
                .apply(
                    &change,
                    policy.clinic(),
                    policy.visit(),
                    member.group.group_id(),
                )
                .is_ok();
            if applies {
                member.wants.push(Want {
                    consent: vec![change],
                    ..Want::default()
                });
            }
        }
    }

    /// Removes the recorder when somebody has withdrawn: the author at once, others when the author does not.
    pub(super) fn settle_withdrawal(&mut self) {
        if self.removal_at_ms().is_none_or(|at_ms| self.now_ms < at_ms) {
            return;
        }
        let Some(withdrawal) = self
            .open_withdrawal()
            .map(|heard| heard.statement.jws().clone())
        else {
            return;
        };
        let change = Change::Statement(withdrawal);
        let Some(member) = self.member_mut() else {
            return;
        };
        let Some(recorder) = member.recorder() else {
            return;
        };
        if !member.wants_change(&change) {
            let want = Want {
                remove: vec![recorder],
                consent: vec![change],
                ..Want::default()
            };
            member.wants.insert(0, want);
        }
    }

    /// When this member removes the recorder because of a withdrawal.
    fn removal_at_ms(&self) -> Option<u64> {
        let heard = self.open_withdrawal()?;
        let member = self.member()?;
        member.recorder()?;
        let author = heard.statement.participant();
        if author == self.me {
            return Some(heard.at_ms);
        }
        let rank = member
            .group
            .roster()
            .iter()
            .filter(|entry| {
                let id = entry.participant;
                id != author
                    && !matches!(entry.role, Role::Recorder | Role::Server)
                    && (id == self.me || self.peers.get(&id).is_some_and(|peer| peer.connected))
            })
            .position(|entry| entry.participant == self.me)? as u64;
        Some(heard.at_ms + (rank + 1) * REMOVE_FOR_ANOTHER_AFTER_MS)
    }

    pub(super) fn settle_resume(&mut self) {
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

    pub(super) fn recording_deadlines(&self) -> Vec<Option<u64>> {
        let recorder = self.member().and_then(Membership::recorder);
        let fresh_until = self
            .recording
            .heartbeat
            .map(|(_, at_ms)| at_ms + HEARTBEAT_FRESH_MS);
        let silent_at = recorder.map(|_| self.recording.since_ms + HEARTBEAT_FRESH_MS);
        let resume = self.recording.resume.map(|(at_ms, _)| at_ms);
        vec![fresh_until, silent_at, resume, self.removal_at_ms()]
    }

    pub(super) fn settle_silence(&mut self) {
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
}

// Commands.
impl Visit {
    pub(super) fn request_consent(
        &mut self,
        id: u32,
        asked: ConsentRequest,
    ) -> Result<(), CommandError> {
        self.require_host()?;
        let group_id = B64(self.require_member()?.group.group_id().to_vec());
        if self.member().and_then(Membership::recorder).is_some() {
            return Err(CommandError::new(
                ErrorCode::RecordingInProgress,
                "stop the recording before asking again",
            ));
        }
        let mut recipients = asked.recipients;
        recipients.sort();
        let claims = RequestClaims {
            v: VERSION,
            round: RoundId::from_bytes(self.entropy.bytes16()),
            visit: self.policy.visit(),
            group_id: group_id.clone(),
            recorder: asked.recorder,
            purpose: asked.purpose,
            recipients,
            texts: asked.texts.iter().map(TextBody::reference).collect(),
            terms: asked.terms,
            again_after: asked.again_after,
            checklist: asked.checklist,
            at_ms: self.now_ms,
            pass: self.identity.pass().jws().clone(),
        };
        let round = claims.round;
        let request = self.identity.key().sign(&claims);
        Request::verify(
            &request,
            self.policy.clinic(),
            self.policy.visit(),
            &group_id.0,
        )
        .map_err(|error| CommandError::new(ErrorCode::BadRequest, error.to_string()))?;
        let words = Words {
            texts: asked.texts,
            note: asked.note,
            emergency: asked.emergency,
        };
        self.recording.learn(round, words.clone());
        self.say(AppMessage::Request {
            request: request.clone(),
            words,
        });
        let member = self.require_member()?;
        member.wants.push(Want {
            consent: vec![Change::Request(request)],
            command: Some(id),
            ..Want::default()
        });
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        id: u32,
        mut given: GivenAnswer,
    ) -> Result<Answered, CommandError> {
        let kind = given.kind;
        if matches!(self.stage, Stage::Waiting { .. }) && kind != StatementKind::Withdrawal {
            if let (StatementKind::Grant, Some(asking)) = (kind, &self.asking) {
                self.require_words(&asking.request, &given.language)?;
            }
            self.answer_outside(kind, |request, claims| shown(request, claims, given))?;
            return Ok(Answered::Now(None));
        }
        let recorder_present = self.require_member()?.recorder().is_some();
        // Whoever says no while a recorder is in the group takes the grant back.
        if kind == StatementKind::Withdrawal || (kind == StatementKind::Refusal && recorder_present)
        {
            self.withdraw(id, None)?;
            return Ok(Answered::Later);
        }
        let round = self.require_round()?;
        let request = &round.request;
        if kind == StatementKind::Grant {
            self.require_words(request, &given.language)?;
        }
        // What an interpreter signed stands in its newest answer.
        let before = self.last_statement_of(self.me);
        let mut interpreted: SortedSet<ParticipantId> =
            given.interpreted_for.iter().copied().collect();
        interpreted.extend(
            before
                .iter()
                .flat_map(|claims| claims.interpreted_for.clone()),
        );
        given.interpreted_for = interpreted.iter().copied().collect();
        let statement = self.make_statement(request, kind, |claims| {
            shown(request, claims, given);
        })?;
        self.say(AppMessage::Statement {
            statement: statement.jws().clone(),
        });
        self.hand_out(request, &statement)?;
        self.hear(statement);
        Ok(Answered::Now(None))
    }

    /// Whoever swaps the words, or holds them back, gets no agreement to them.
    fn require_words(&self, request: &Request, language: &str) -> Result<(), CommandError> {
        let claims = request.claims();
        let unread = [Layer::Information, Layer::Recording]
            .iter()
            .filter_map(|layer| claims.text(*layer, language))
            .any(|text| self.recording.text_of(claims.round, text).is_none());
        if unread {
            return Err(CommandError::new(
                ErrorCode::BadAnswer,
                "the words that the request names have not arrived",
            ));
        }
        Ok(())
    }

    /// The person gets what it signed, and the means to take it back later.
    pub(super) fn hand_out(
        &mut self,
        request: &Request,
        statement: &Statement,
    ) -> Result<(), CommandError> {
        let mut withdrawals = Vec::new();
        if statement.claims().kind == StatementKind::Grant {
            let seq = statement.claims().seq + 1;
            for wish in [WithdrawalWish::Delete, WithdrawalWish::Keep] {
                let kind = StatementKind::Withdrawal;
                let later = self.make_statement_with(request, kind, seq, |claims| {
                    claims.wish = Some(wish);
                })?;
                withdrawals.push(later.jws().clone());
            }
        }
        self.out.push(super::Output::Signed {
            statement: statement.jws().clone(),
            withdrawals,
        });
        Ok(())
    }

    /// Stops sending at once: the gate follows from the statement being known here.
    pub(super) fn withdraw(
        &mut self,
        id: u32,
        wish: Option<WithdrawalWish>,
    ) -> Result<(), CommandError> {
        self.require_member()?;
        let round = self.require_round()?;
        let statement =
            self.make_statement(&round.request, StatementKind::Withdrawal, |claims| {
                claims.wish = wish
            })?;
        let jws = statement.jws().clone();
        self.hear(statement);
        self.say(AppMessage::Statement {
            statement: jws.clone(),
        });
        let member = self.require_member()?;
        let remove = member.recorder().into_iter().collect();
        let want = Want {
            remove,
            consent: vec![Change::Statement(jws)],
            command: Some(id),
            ..Want::default()
        };
        member.wants.insert(0, want);
        Ok(())
    }

    /// Makes and checks a statement of the own participant.
    fn make_statement(
        &self,
        request: &Request,
        kind: StatementKind,
        fill: impl FnOnce(&mut StatementClaims),
    ) -> Result<Statement, CommandError> {
        let seq = self.statement_seq_of(self.me);
        self.make_statement_with(request, kind, seq, fill)
    }

    pub(super) fn make_statement_with(
        &self,
        request: &Request,
        kind: StatementKind,
        seq: u64,
        fill: impl FnOnce(&mut StatementClaims),
    ) -> Result<Statement, CommandError> {
        let bad = |error: sealed_visit_protocol::consent::StatementError| {
            CommandError::new(ErrorCode::BadAnswer, error.to_string())
        };
        let claims = request.claims();
        let mut statement = StatementClaims {
            v: VERSION,
            visit: claims.visit,
            group_id: claims.group_id.clone(),
            round: claims.round,
            request: request.hash(),
            seq,
            kind,
            answers: Vec::new(),
            texts: Vec::new(),
            language: String::new(),
            spoken: String::new(),
            interpreted_for: Vec::new(),
            place: String::new(),
            wish: None,
            at_ms: self.now_ms,
            pass: self.identity.pass().jws().clone(),
        };
        fill(&mut statement);
        let jws = self.identity.key().sign(&statement);
        let statement =
            Statement::verify(&jws, self.policy.clinic(), claims.visit, &claims.group_id.0)
                .map_err(bad)?;
        statement.answers(request).map_err(bad)?;
        Ok(statement)
    }

    /// The sequence number of somebody's next statement in the open round.
    pub(super) fn statement_seq_of(&self, participant: ParticipantId) -> u64 {
        self.last_statement_of(participant)
            .map_or(0, |claims| claims.seq + 1)
    }

    pub(super) fn start_recorder(&mut self, id: u32) -> Result<(), CommandError> {
        self.require_host()?;
        let recorder = self.require_round()?.request.claims().recorder;
        self.require_agreement()?;
        if !self.waiting.contains_key(&recorder) {
            return Err(CommandError::new(
                ErrorCode::RecorderNotReady,
                "the recorder has not asked to join yet",
            ));
        }
        match self.recording.left {
            Some((RecorderLeft::Paused, by)) => {
                if by != self.me && !self.recording.resume_agreed {
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
                self.recording.resume = Some((self.now_ms + RESUME_AFTER_MS, Some(id)));
                Ok(())
            }
            _ => self.want_recorder(Some(id)),
        }
    }

    fn want_recorder(&mut self, command: Option<u32>) -> Result<(), CommandError> {
        let recorder = self.require_round()?.request.claims().recorder;
        self.require_agreement()?;
        let member = self.require_member()?;
        member.wants.push(Want {
            add: vec![recorder],
            command,
            ..Want::default()
        });
        Ok(())
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
        // An announced resumption is called off by whoever goes off the record.
        if let Some((_, Some(resuming))) = self.recording.resume.take() {
            let error =
                CommandError::new(ErrorCode::PauserMustAgree, "somebody went off the record");
            self.failed(resuming, error);
        }
        let Some(recorder) = self.require_member()?.recorder() else {
            return Ok(Answered::Now(None));
        };
        let consent = match (why, self.open_round()) {
            // For good: the round dies with it, so that nothing goes on without asking again.
            (RecorderLeft::Stopped, Some(round)) => {
                let ended =
                    self.make_statement(&round.request, StatementKind::Withdrawal, |_| {})?;
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

    /// The recorder's open statement: what the group knows, signed before the first byte.
    pub(super) fn sign_open(&mut self, open: OpenPart) -> Result<String, CommandError> {
        self.require_recorder()?;
        let member = self.require_member()?;
        let (epoch, group_id) = (member.group.epoch(), B64(member.group.group_id().to_vec()));
        let roster = member.group.roster().to_vec();
        let grants = member.group.consent().statements().clone();
        let round = self.require_round()?;
        let request = &round.request;
        let interpreted = |participant: &ParticipantId| {
            round
                .statement_of(*participant)
                .is_some_and(|statement| !statement.claims().interpreted_for.is_empty())
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
            .map_err(|error| CommandError::new(ErrorCode::Refused, error.to_string()))?;
        Ok(statement.as_str().to_owned())
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

    fn require_recorder(&self) -> Result<(), CommandError> {
        if self.role == Role::Recorder {
            Ok(())
        } else {
            Err(CommandError::new(
                ErrorCode::NotTheRecorder,
                "only the recorder can do this",
            ))
        }
    }

    pub(super) fn require_round(&self) -> Result<Arc<Round>, CommandError> {
        self.open_round().cloned().ok_or_else(|| {
            CommandError::new(ErrorCode::NoRound, "nobody has been asked for consent")
        })
    }

    fn require_agreement(&self) -> Result<(), CommandError> {
        let missing = self.member().is_none_or(|member| {
            member
                .group
                .roster()
                .iter()
                .any(|entry| entry.role != Role::Recorder && !self.agrees(entry.participant))
        });
        if missing {
            Err(CommandError::new(
                ErrorCode::NotAgreed,
                "not everyone has agreed",
            ))
        } else {
            Ok(())
        }
    }
}

/// What a person was shown, and decided.
fn shown(request: &Request, claims: &mut StatementClaims, given: GivenAnswer) {
    claims.texts = [Layer::Information, Layer::Recording]
        .iter()
        .filter_map(|layer| request.claims().text(*layer, &given.language))
        .map(|text| text.hash)
        .collect();
    claims.answers = given.answers;
    claims.language = given.language;
    claims.spoken = given.spoken;
    claims.interpreted_for = given.interpreted_for;
    claims.place = given.place;
}
