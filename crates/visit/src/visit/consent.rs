//! The host's request, everybody's statements, and the words that go with them.

use super::app_message::AppMessage;
use super::command::Answered;
use super::commits::Want;
use super::input::{ConsentRequest, GivenAnswer, TextBody};
use super::membership::Membership;
use super::output::{CommandError, ErrorCode, RecorderLeft, VisitEvent};
use super::recording::{Heard, Words};
use super::signing::shown;
use super::state::ProblemCode;
use super::{Role, Stage, Visit};
use crate::group::Group;
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{
    Answers, Change, Gap, Place, PlaceClaims, Request, RequestClaims, RequestError, RosterEntry,
    Round, Standing, Statement, StatementClaims, StatementKind,
};
use sealed_visit_protocol::sorted::SortedSet;
use sealed_visit_protocol::{B64, Jws, ParticipantId, RoundId, VERSION};
use std::sync::Arc;

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

    /// Takes of the open round's words what is not known yet. The request names its texts, so anybody may tell those; the rest
    /// is the host's to say. Whoever was asked outside was not told the emergency number.
    pub(super) fn learn_words(&mut self, from: ParticipantId, round: RoundId, told: Words) {
        let open = self.open_round().filter(|open| open.id() == round);
        let Some(open) = open.cloned() else { return };
        let mut known = self.recording.words_of(round).cloned().unwrap_or_default();
        for text in told.texts {
            if open.request().claims().texts.contains(&text.reference())
                && !known.texts.contains(&text)
            {
                known.texts.push(text);
            }
        }
        let teller = self.member().and_then(|member| member.group.member(from));
        if teller.is_some_and(|teller| teller.role == Role::Clinician) {
            if known.note.is_empty() {
                known.note = told.note;
            }
            if known.emergency.is_empty() {
                known.emergency = told.emergency;
            }
        }
        self.recording.learn(round, known);
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

    pub(super) fn on_statement(&mut self, jws: Jws<StatementClaims>) {
        let Some(member) = self.member() else { return };
        let verified = Statement::verify(
            &jws,
            self.policy.clinic(),
            self.policy.visit(),
            member.group.group_id(),
        );
        let Ok(statement) = verified else {
            return self.problem(ProblemCode::MessageRefused, None);
        };
        // Anybody can sign a statement of a round that nobody opened.
        let round = statement.claims().round;
        let open = member.round.as_ref().filter(|open| open.id() == round);
        match open {
            Some(open) if statement.answers(open.request()).is_ok() => self.hear(statement),
            // It was said before the round was over, and heard after.
            None if member.group.consent().is_dead(round) => {}
            _ => self.problem(ProblemCode::MessageRefused, None),
        }
    }

    /// Takes a statement that answers the open round's request.
    pub(super) fn hear(&mut self, statement: Statement) {
        let author = statement.participant();
        let (kind, seq) = (statement.claims().kind, statement.claims().seq);
        let round = statement.claims().round;
        let of_open_round = self.open_round().is_some_and(|open| open.id() == round);
        let jws = statement.jws().clone();
        if author == self.me {
            self.remember_own(&statement);
            if kind == StatementKind::Grant {
                self.remember_agreed(&statement);
            }
        }
        let heard = Heard {
            statement,
            at_ms: self.now_ms,
        };
        self.memory.legacy.hear(author, seq);
        if kind == StatementKind::Withdrawal {
            self.memory.legacy.bury(round);
        }
        let is_news = self.recording.hear(heard);
        if kind == StatementKind::Withdrawal && of_open_round {
            if is_news {
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

    /// Whoever comes in is asked what the others were asked.
    pub(super) fn tell_of_open_round(&mut self) {
        let open = self.open_round().map(|round| round.id());
        if let Some(round) = open
            && self.answer_of(self.me).is_none()
        {
            self.event(VisitEvent::ConsentRequested { round });
        }
    }

    /// The open round.
    pub(super) fn open_round(&self) -> Option<&Arc<Round>> {
        self.member()?.round.as_ref()
    }

    /// Everybody's answers to the open round: what the group's context holds, and what was heard since. Who commits puts the
    /// same statements into the group by the same rules, so this says beforehand what the gate will say.
    pub(super) fn answers<'a>(&'a self, round: &'a Round) -> Answers<'a> {
        let mut answers = round.answers();
        for heard in self.recording.heard() {
            // What does not count beside the others is kept for what it may mean elsewhere.
            let _ = answers.hear(&heard.statement);
        }
        answers
    }

    /// How somebody in the group, or waiting, stands to the open request.
    pub(super) fn standing_of(&self, participant: ParticipantId) -> Standing {
        let round = self.open_round();
        match (round, self.entry_of(participant)) {
            (Some(round), Some(entry)) => self.answers(round).standing_of(&entry),
            _ => Standing::Waiting,
        }
    }

    /// Somebody in the group, or waiting, as the gate sees them.
    fn entry_of(&self, participant: ParticipantId) -> Option<RosterEntry> {
        let member = self
            .member()
            .and_then(|member| member.group.member(participant));
        let waiter = || {
            self.waiting.get(&participant).map(|waiter| RosterEntry {
                participant,
                role: waiter.role,
                key: waiter.key,
            })
        };
        member.map(RosterEntry::from).or_else(waiter)
    }

    /// Somebody's answer to the open round that need not be given again.
    pub(super) fn last_statement_of(&self, participant: ParticipantId) -> Option<&StatementClaims> {
        self.standing_of(participant).answer()?;
        let answers = self.answers(self.open_round()?);
        answers.statement_of(participant).map(Statement::claims)
    }

    pub(super) fn answer_of(&self, participant: ParticipantId) -> Option<StatementKind> {
        self.standing_of(participant).answer()
    }

    pub(super) fn agrees(&self, participant: ParticipantId) -> bool {
        self.standing_of(participant) == Standing::Granted
    }

    /// Who agreed to words in another language, with no interpreter's word yet.
    pub(super) fn interpreter_needed(&self) -> Vec<ParticipantId> {
        let here = self.member().map(|member| member.group.roster());
        here.into_iter()
            .flatten()
            .map(|entry| entry.participant)
            .chain(self.waiting.keys().copied())
            .collect::<SortedSet<_>>()
            .iter()
            .copied()
            .filter(|id| self.standing_of(*id) == Standing::Incomplete(Gap::Interpreter))
            .collect()
    }

    /// The committer puts what was heard into the group.
    pub(super) fn commit_statements(&mut self) {
        if self.acting() != Some(self.me) {
            return;
        }
        let recorder_present = self.member().and_then(Membership::recorder).is_some();
        let Some(round) = self.open_round() else {
            return;
        };
        let known = round.answers();
        let changes: Vec<Change> = self
            .recording
            .heard()
            .map(|heard| &heard.statement)
            .filter(|statement| known.would_hear(statement))
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
        .map_err(|error| CommandError::new(ErrorCode::BadRequest, &error.to_string()))?;
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
        let asked = match self.stage {
            Stage::Waiting { .. } => self.asking().map(|asking| asking.request.claims().round),
            _ => None,
        };
        // What a group has is taken back for everybody, and not with the one who asks outside alone.
        let concerns_group = asked.is_none_or(|asked| self.memory.stands_in_group() == Some(asked));
        if kind == StatementKind::Refusal && !self.is_live() && concerns_group {
            let _ = self.refuse_outside();
            return self.decline_away(kind, None);
        }
        if matches!(self.stage, Stage::Waiting { .. }) && kind != StatementKind::Withdrawal {
            if let (StatementKind::Grant, Some(asking)) = (kind, self.asking()) {
                self.require_words(&asking.request, &given.language)?;
            }
            self.answer_outside(kind, |request, claims| shown(request, claims, given))?;
            return Ok(Answered::Now(None));
        }
        if kind == StatementKind::Withdrawal {
            return self.withdraw(Some(id), None);
        }
        // Whoever says no while a recorder is in the group takes the grant back.
        if self.require_member()?.recorder().is_some() && kind == StatementKind::Refusal {
            return self.withdraw(Some(id), None);
        }
        let round = self.require_round()?;
        let request = round.request();
        if kind == StatementKind::Grant {
            self.require_words(request, &given.language)?;
            if self.recording.has_declined(self.me, round.id()) {
                return Err(CommandError::new(
                    ErrorCode::NotAgreed,
                    "a refusal stands for its round",
                ));
            }
        }
        // What an interpreter signed stands in its newest answer.
        let before = self.last_statement_of(self.me);
        let mut interpreted: SortedSet<ParticipantId> =
            given.interpreted_for.iter().copied().collect();
        if kind == StatementKind::Grant {
            interpreted.extend(
                before
                    .iter()
                    .flat_map(|claims| claims.interpreted_for.clone()),
            );
        }
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

    pub(super) fn require_round(&self) -> Result<Arc<Round>, CommandError> {
        self.open_round().cloned().ok_or_else(no_round)
    }

    /// Whether the gate lets the recorder in, once everything that was heard is in the group.
    pub(super) fn everyone_agrees(&self) -> bool {
        let (Some(member), Some(round)) = (self.member(), self.open_round()) else {
            return false;
        };
        let roster: Vec<RosterEntry> = member.group.roster().iter().map(Into::into).collect();
        #[cfg(test)]
        if breaks(Rule::GrantsOfLostKeys) {
            let answers = self.answers(round);
            return roster.iter().all(|entry| {
                let said = answers.statement_of(entry.participant);
                entry.role == Role::Recorder
                    || said.is_some_and(|said| said.claims().kind == StatementKind::Grant)
            });
        }
        self.answers(round).judge(&roster).is_ok()
    }

    pub(super) fn require_agreement(&self) -> Result<(), CommandError> {
        let missing = !self.everyone_agrees();
        if missing {
            Err(CommandError::new(
                ErrorCode::NotAgreed,
                "not everyone has agreed",
            ))
        } else {
            Ok(())
        }
    }

    pub(super) fn on_place(&mut self, jws: Jws<PlaceClaims>) {
        let Some(member) = self.member() else { return };
        let (clinic, visit) = (self.policy.clinic(), self.policy.visit());
        let open = self.open_round().map(|round| round.id());
        match Place::verify(&jws, clinic, visit, member.group.group_id()) {
            Ok(place) if Some(place.claims().round) == open => {
                let participant = place.claims().participant;
                let known = self.recording.places.get(&participant);
                let is_newer =
                    known.is_none_or(|known| known.claims().at_ms < place.claims().at_ms);
                if is_newer {
                    self.recording.places.insert(participant, place.clone());
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
        let request = round.request().claims();
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
}

/// The group's open round; none, too, when it does not verify, which no group of an honest member's holds.
pub(super) fn round_of(group: &Group) -> Option<Arc<Round>> {
    let (clinic, visit) = (group.policy().clinic(), group.policy().visit());
    let round = Round::open_in(group.consent(), clinic, visit, group.group_id());
    round.ok().flatten().map(Arc::new)
}

pub(super) fn no_round() -> CommandError {
    CommandError::new(ErrorCode::NoRound, "nobody has been asked for consent")
}
