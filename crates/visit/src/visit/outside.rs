//! Asking somebody who still waits, while a recording is under way: the request goes out sealed to the waiting
//! person's key package, the answer comes back sealed to a key package that the host made for it, and who agreed is
//! added together with the grant, in one commit. Nobody is in an epoch with a recorder before the grant is.
//!
//! The relay carries both as `direct` messages, which it neither orders nor keeps: what was lost is said again when
//! the waiting person shows its key package the next time.

use super::commits::Want;
use super::consent::no_round;
use super::output::{CommandError, ErrorCode, RecorderLeft, VisitEvent};
use super::recording::Words;
use super::state::ProblemCode;
use super::{AppMessage, Role, Stage, Visit};
use crate::group::{Joiner, inspect_key_package, seal_to_key_package};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{
    Change, MAX_TOLD_SEQ, Request, RequestClaims, RequestError, Statement, StatementClaims,
    StatementKind,
};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::jws::Claims;
use sealed_visit_protocol::pass::{PassClaims, name_commitment};
use sealed_visit_protocol::wire::ClientMessage;
use sealed_visit_protocol::{
    B64, Hash32, Jws, ParticipantId, Pass, RoundId, VERSION, json, tagged_enum,
};
use serde::{Deserialize, Serialize};

tagged_enum! {
    /// What participants tell each other without a group, past the relay.
    #[derive(Serialize)]
    #[serde(tag = "d", rename_all = "snake_case")]
    pub(super) enum DirectMessage("DirectMessage", tag = "d") {
        /// The host's signed word to somebody who waits.
        Notice { notice: Jws<Notice> },
        /// Sealed to the receiver's key package: a [`Question`].
        Question { sealed: B64 },
        /// Sealed to the question's key package: a statement.
        Reply { sealed: B64 },
    }
}

/// What the host tells somebody who waits. A clinician of the visit signed it; that this one was admitted cannot be known
/// outside the group, so nothing follows that asking again does not undo.
#[derive(Serialize, Deserialize)]
pub(super) struct Notice {
    pub(super) v: u32,
    pub(super) to: ParticipantId,
    /// Hash of the key package that it answers: it says nothing about a later one.
    pub(super) key_package: Hash32,
    /// Turned away.
    pub(super) denied: bool,
    /// The visit takes nobody new.
    pub(super) locked: bool,
    pub(super) pass: Jws<PassClaims>,
}

impl Claims for Notice {
    const TYP: &'static str = "sv-notice+jwt";
}

/// What the host asks somebody who waits; signed, so that the words are the host's, too.
#[derive(Serialize, Deserialize)]
struct Question {
    v: u32,
    /// Who is asked.
    to: ParticipantId,
    request: Jws<RequestClaims>,
    words: Words,
    /// Whoever asks: the host, who may not be the one who opened the round.
    pass: Jws<PassClaims>,
    host_name: String,
    host_salt: B64,
    /// Sequence number that the answer takes: there may be earlier statements of this person in the round.
    seq: u64,
    /// Key package of the host, made for the answer.
    reply_to: B64,
}

impl Claims for Question {
    const TYP: &'static str = "sv-question+jwt";
}

/// The host's side: somebody who was asked outside.
#[derive(Clone)]
pub(super) struct Asked {
    round: RoundId,
    /// The key package that the question was sealed to, and the sealed question.
    key_package: Vec<u8>,
    sealed: B64,
    /// Opens the answer.
    reply: Box<Joiner>,
    pub(super) answer: Option<StatementKind>,
}

/// The waiting person's side.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) request: Request,
    /// Who asked.
    host: ParticipantId,
    pub(super) host_name: String,
    seq: u64,
    reply_to: Vec<u8>,
    pub(super) answer: Option<Statement>,
}

// The host.
impl Visit {
    /// Asks somebody who waits; lets them in when they agree.
    pub(super) fn ask_waiting(&mut self, participant: ParticipantId) -> Result<(), CommandError> {
        self.require_host()?;
        self.require_member()?;
        let key_package = self.waiting_person(participant)?.key_package.clone();
        let open = self.require_round()?;
        let round = open.id();
        let before = self.answer_of(participant);
        let asked = self.asked.get(&participant).and_then(|asked| asked.answer);
        if [before, asked].contains(&Some(StatementKind::Refusal)) {
            return Err(CommandError::new(
                ErrorCode::NotAgreed,
                "a refusal stands for its round",
            ));
        }
        let Some(words) = self.recording.words_of(round) else {
            return Err(CommandError::new(
                ErrorCode::NoRound,
                "the words of the request are not known here any more: ask everybody anew",
            ));
        };
        let refused = |error: crate::group::GroupError| {
            CommandError::new(ErrorCode::Refused, &error.to_string())
        };
        let (reply, reply_to) =
            Joiner::new(self.identity.clone(), self.policy.clone()).map_err(refused)?;
        let question = self.identity.key().sign(&Question {
            v: VERSION,
            to: participant,
            request: open.request().jws().clone(),
            words: Words {
                emergency: String::new(),
                ..words.clone()
            },
            pass: self.identity.pass().jws().clone(),
            host_name: self.name.clone(),
            host_salt: B64(self.salt.to_vec()),
            seq: self.statement_seq_of(participant),
            reply_to: B64(reply_to),
        });
        let sealed = seal_to_key_package(&self.policy, &key_package, question.as_str().as_bytes());
        let asked = Asked {
            round,
            key_package,
            sealed: B64(sealed.map_err(refused)?),
            reply: Box::new(reply),
            answer: None,
        };
        self.asked.insert(participant, asked);
        self.denied.remove(&participant);
        self.send_question(participant);
        Ok(())
    }

    fn send_question(&mut self, to: ParticipantId) {
        let Some(sealed) = self.asked.get(&to).map(|asked| asked.sealed.clone()) else {
            return;
        };
        self.send_direct(to, &DirectMessage::Question { sealed });
    }

    /// Somebody shows a key package, for the first time or again.
    pub(super) fn ask_again_outside(&mut self, participant: ParticipantId) {
        let (Some(entry), Some(asked)) =
            (self.waiting.get(&participant), self.asked.get(&participant))
        else {
            return;
        };
        let same = asked.key_package == entry.key_package;
        match asked.answer {
            None if same => self.send_question(participant),
            // A page that was loaded anew knows nothing of the question.
            None => {
                if self.ask_waiting(participant).is_err() {
                    self.asked.remove(&participant);
                }
            }
            Some(StatementKind::Grant) if !same => {
                self.asked.remove(&participant);
            }
            Some(_) => {}
        }
    }

    fn on_reply(&mut self, from: ParticipantId, sealed: &[u8]) {
        let Some(asked) = self.asked.get(&from) else {
            return;
        };
        let round = asked.round;
        let statement = asked.reply.open_sealed(sealed).ok().and_then(|opened| {
            let jws = Jws::from_text(String::from_utf8(opened.to_vec()).ok()?);
            let member = self.member()?;
            let (clinic, visit) = (self.policy.clinic(), self.policy.visit());
            Statement::verify(&jws, clinic, visit, member.group.group_id()).ok()
        });
        let open = self.open_round().filter(|open| open.id() == round).cloned();
        let (Some(statement), Some(open)) = (statement, open) else {
            return self.problem(ProblemCode::MessageRefused, Some(from));
        };
        // Whoever is let in is whoever agreed: the same pass key.
        let genuine = statement.participant() == from
            && self.waiting.get(&from).map(|waiter| &waiter.key) == Some(statement.author().key())
            && statement.answers(open.request()).is_ok();
        if !genuine {
            return self.problem(ProblemCode::MessageRefused, Some(from));
        }
        let kind = statement.claims().kind;
        if let Some(asked) = self.asked.get_mut(&from)
            && asked.answer.replace(kind) == Some(kind)
        {
            return;
        }
        self.event(VisitEvent::ConsentAnswered);
        if kind != StatementKind::Grant {
            // It may have agreed before, and thought again. Else nothing is told to the others: once inside, it is asked anew.
            self.admitted.remove(&from);
            if let Some(member) = self.member_mut() {
                member.wants.retain(|want| !want.add.contains(&from));
            }
            if self.answer_of(from).is_some() {
                self.hear(statement);
            }
            return;
        }
        self.let_in(from);
        if statement.needs_interpreter() && !self.agrees(from) {
            // It waits for an interpreter's word, and comes in when that is given.
            return self.hear(statement);
        }
        let Some(member) = self.member_mut() else {
            return;
        };
        member.wants.push(Want {
            add: vec![from],
            consent: vec![Change::Statement(statement.jws().clone())],
            ..Want::default()
        });
    }

    /// One click for an emergency: the recorder leaves and the waiting person comes in, by one commit.
    pub(super) fn pause_and_admit(
        &mut self,
        id: u32,
        participant: ParticipantId,
    ) -> Result<(), CommandError> {
        self.require_host()?;
        self.waiting_person(participant)?;
        let me = self.me;
        let recorder = self.require_member()?.recorder();
        if recorder.is_some() {
            self.say(AppMessage::RecorderStop {
                why: RecorderLeft::Paused,
            });
            self.tell_recorder_to_stop(me, RecorderLeft::Paused);
            self.go_off_the_record();
        }
        let member = self.require_member()?;
        member.wants.push(Want {
            add: vec![participant],
            remove: recorder.into_iter().collect(),
            command: Some(id),
            ..Want::default()
        });
        self.let_in(participant);
        Ok(())
    }

    /// A round that is over asks nobody any more.
    pub(super) fn forget_questions(&mut self, open: Option<RoundId>) {
        self.asked.retain(|_, asked| Some(asked.round) == open);
    }
}

// Whoever waits.
impl Visit {
    fn on_question(&mut self, from: ParticipantId, sealed: &[u8]) {
        let Stage::Waiting { joiner, .. } = &self.stage else {
            return;
        };
        let Some(question) = joiner
            .open_sealed(sealed)
            .ok()
            .and_then(|opened| String::from_utf8(opened.to_vec()).ok())
            .map(Jws::<Question>::from_text)
        else {
            return self.problem(ProblemCode::MessageRefused, Some(from));
        };
        match self.verify_question(from, &question) {
            Ok((question, request)) => self.learn_question(from, question, request),
            Err(code) => self.problem(code, Some(from)),
        }
    }

    /// The question, its request and the key package for the answer are all by the same host.
    fn verify_question(
        &self,
        from: ParticipantId,
        question: &Jws<Question>,
    ) -> Result<(Question, Request), ProblemCode> {
        let refused = ProblemCode::MessageRefused;
        let unverified = question.unverified_claims().map_err(|_| refused)?;
        let claims = unverified
            .request
            .unverified_claims()
            .map_err(|_| refused)?;
        let (clinic, visit) = (self.policy.clinic(), self.policy.visit());
        // Which group it is cannot be known out here; the statement names it, and no other takes it.
        let request = Request::verify(&unverified.request, clinic, visit, &claims.group_id.0)
            .map_err(|error| match error {
                RequestError::Recipient(_) => ProblemCode::KeySwapped,
                _ => refused,
            })?;
        let host = Pass::verify_for(&unverified.pass, clinic, visit).map_err(|_| refused)?;
        let question = question.verify(host.key()).map_err(|_| refused)?;
        let reply = inspect_key_package(&self.policy, &question.reply_to.0).map_err(|_| refused)?;
        let named = <[u8; 16]>::try_from(question.host_salt.as_slice()).is_ok_and(|salt| {
            name_commitment(&salt, &question.host_name) == host.name_commitment()
        });
        let genuine = host.participant() == from
            && question.to == self.me
            && question.seq <= MAX_TOLD_SEQ
            && reply.participant == from
            && reply.role == Role::Clinician
            && reply.pass.key() == host.key()
            && named;
        genuine.then_some((question, request)).ok_or(refused)
    }

    fn learn_question(&mut self, host: ParticipantId, question: Question, request: Request) {
        let round = request.claims().round;
        let Some(outside) = self.outside_mut() else {
            return;
        };
        let known = outside.asking.as_mut();
        if let Some(asking) = known.filter(|asking| asking.request == request) {
            asking.host = host;
            asking.reply_to = question.reply_to.0;
            asking.seq = asking.seq.max(question.seq);
            // The host did not hear the answer.
            return self.reply();
        }
        outside.asking = Some(Asking {
            request,
            host,
            host_name: question.host_name,
            seq: question.seq,
            reply_to: question.reply_to.0,
            answer: None,
        });
        self.recording.learn(round, question.words);
        self.event(VisitEvent::ConsentRequested { round });
    }

    /// Answers the host from outside.
    pub(super) fn answer_outside(
        &mut self,
        kind: StatementKind,
        fill: impl FnOnce(&Request, &mut StatementClaims),
    ) -> Result<(), CommandError> {
        let Some(asking) = self.asking() else {
            return Err(no_round());
        };
        let before = asking.answer.as_ref().map(Statement::claims);
        let seq = match before.map(|claims| (claims.kind, claims.seq)) {
            None => asking.seq.max(self.statement_seq_of(self.me)),
            // Whoever agreed and still waits can think again.
            Some((StatementKind::Grant, _)) if kind == StatementKind::Refusal => {
                self.statement_seq_of(self.me)
            }
            Some(_) => {
                return Err(CommandError::new(
                    ErrorCode::BadAnswer,
                    "the request was answered already",
                ));
            }
        };
        let request = asking.request.clone();
        let statement =
            self.make_statement_with(&request, kind, seq, |claims| fill(&request, claims))?;
        self.remember_own(&statement);
        self.hand_out(&request, &statement)?;
        if let Some(outside) = self.outside_mut()
            && let Some(asking) = &mut outside.asking
        {
            asking.answer = Some(statement);
        }
        self.reply();
        Ok(())
    }

    /// Takes back what this member agreed to while it waits.
    pub(super) fn refuse_outside(&mut self) -> Result<(), CommandError> {
        self.answer_outside(StatementKind::Refusal, |_, _| {})
    }

    /// Who thought again while the answer was under way, and was let in meanwhile, withdraws.
    pub(super) fn take_back_outside_grant(&mut self) {
        let Some(member) = self.member_mut().filter(|member| member.confirmed) else {
            return;
        };
        if let Some(outside) = member.outside.take() {
            let answer = outside.asking.and_then(|asking| asking.answer);
            let refused =
                answer.is_some_and(|answer| answer.claims().kind == StatementKind::Refusal);
            if refused && self.agrees(self.me) {
                // Without a command: nobody waits for an answer.
                let _ = self.withdraw(None, None);
            }
        }
    }

    fn reply(&mut self) {
        let Some(asking) = self.asking() else { return };
        let Some(statement) = &asking.answer else {
            return;
        };
        let to = asking.host;
        let text = statement.jws().as_str().as_bytes();
        match seal_to_key_package(&self.policy, &asking.reply_to, text) {
            Ok(sealed) => self.send_direct(
                to,
                &DirectMessage::Reply {
                    sealed: B64(sealed),
                },
            ),
            Err(_) => self.problem(ProblemCode::MessageRefused, Some(to)),
        }
    }
}

impl Visit {
    pub(super) fn on_direct(&mut self, from: ParticipantId, data: &[u8]) {
        match json::from_slice(data) {
            Ok(DirectMessage::Notice { notice }) => self.on_notice(from, &notice),
            Ok(DirectMessage::Question { sealed }) => self.on_question(from, &sealed.0),
            Ok(DirectMessage::Reply { sealed }) => self.on_reply(from, &sealed.0),
            Err(_) => {}
        }
    }

    fn on_notice(&mut self, from: ParticipantId, notice: &Jws<Notice>) {
        let Stage::Waiting { key_package, .. } = &self.stage else {
            return;
        };
        let for_this = sha256(key_package);
        let (clinic, visit) = (self.policy.clinic(), self.policy.visit());
        let unverified = notice.unverified_claims().ok();
        let signed = unverified.and_then(|claims| {
            let host = Pass::verify_for(&claims.pass, clinic, visit).ok()?;
            let by_a_clinician = host.role() == Role::Clinician && host.participant() == from;
            #[cfg(test)]
            if breaks(Rule::SignedDenials) {
                return Some(claims);
            }
            let claims = notice.verify(host.key()).ok()?;
            (by_a_clinician && claims.to == self.me).then_some(claims)
        });
        let Some(claims) = signed else {
            return self.problem(ProblemCode::MessageRefused, Some(from));
        };
        // What answers an earlier key package came late.
        if claims.key_package != for_this {
            return;
        }
        if let Some(outside) = self.outside_mut() {
            outside.locked_out = claims.locked;
        }
        if claims.denied {
            self.end(super::EndReason::Denied);
        }
    }

    /// Tells somebody who waits how it stands with the door.
    pub(super) fn send_notice(&mut self, to: ParticipantId, key_package: &[u8], denied: bool) {
        let notice = self.identity.key().sign(&Notice {
            v: VERSION,
            to,
            key_package: sha256(key_package),
            denied,
            locked: self.is_locked_out(to),
            pass: self.identity.pass().jws().clone(),
        });
        self.send_direct(to, &DirectMessage::Notice { notice });
    }

    pub(super) fn send_direct(&mut self, to: ParticipantId, message: &DirectMessage) {
        let data = serde_json::to_vec(message).unwrap_or_default();
        self.send(ClientMessage::Direct {
            to,
            data: B64(data),
        });
    }
}
