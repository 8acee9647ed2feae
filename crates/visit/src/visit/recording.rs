//! What is remembered about recording besides the group's own state, and what each new epoch means for it.

use super::Visit;
use super::input::TextBody;
use super::output::{RecorderLeft, VisitEvent};
use crate::group::{CommitSummary, Policy};
#[cfg(test)]
use crate::sabotage::{Rule, breaks};
use sealed_visit_protocol::consent::{
    ConsentText, Place, Round, Statement, StatementClaims, StatementKind, WithdrawalWish,
};
use sealed_visit_protocol::limits::HEARTBEAT_FRESH_MS;
use sealed_visit_protocol::sorted::{SortedMap, SortedSet};
use sealed_visit_protocol::{Jws, ParticipantId, RoundId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Of more statements than these, others' withdrawals from rounds that are over are not kept.
const MAX_HEARD: usize = 256;

/// What is remembered about recording besides the group's own state.
#[derive(Clone, Default)]
pub(super) struct RecordingMemory {
    words: Option<(RoundId, Words)>,
    /// Places that the host confirmed in the open round.
    pub(super) places: SortedMap<ParticipantId, Place>,
    /// Statements that the group's context may not hold: of the open round, this member's own refusals and withdrawals, and
    /// others' withdrawals. One of each kind for an author, a round and a pass key; in the order in which they came.
    heard: Vec<Heard>,
    recorder: Option<ParticipantId>,
    round: Option<RoundId>,
    /// The round that was open in the group that this member was live in last, where it left that group.
    pub(super) left_round: Option<Arc<Round>>,
    pub(super) since_ms: u64,
    pub(super) heartbeat: Option<(u64, u64)>,
    /// Who said that the recorder stops, and why.
    pub(super) stop: Option<(ParticipantId, RecorderLeft)>,
    /// How the recorder left, and by whom.
    pub(super) left: Option<(RecorderLeft, ParticipantId)>,
    /// Who paused, and has not agreed to go on.
    pub(super) held_by: SortedSet<ParticipantId>,
    /// The round in which this member paused, until the person agrees to go on.
    pub(super) off_the_record: Option<RoundId>,
    /// A recorder came in since.
    pub(super) came_back: bool,
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
    pub(super) at_ms: u64,
}

impl Heard {
    /// Of two statements of one author, kind and round the one that ranks higher is kept: of withdrawals, the one that
    /// wishes for more. Nobody fills a member's memory by saying one thing over and over.
    fn rank(&self) -> u64 {
        let claims = self.statement.claims();
        match (claims.kind, claims.wish) {
            (StatementKind::Grant | StatementKind::Refusal, _) => claims.seq,
            (StatementKind::Withdrawal, None) => 0,
            (StatementKind::Withdrawal, Some(WithdrawalWish::Keep)) => 1,
            (StatementKind::Withdrawal, Some(WithdrawalWish::Delete)) => 2,
        }
    }

    fn is_of_the_kind_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.statement, &other.statement);
        one.participant() == other.participant()
            && one.author().key() == other.author().key()
            && one.claims().round == other.claims().round
            && one.claims().kind == other.claims().kind
    }
}

impl RecordingMemory {
    /// What the group is like that this member is in now, by making or joining it.
    pub(super) fn entered_group(
        &mut self,
        me: ParticipantId,
        recorder: Option<ParticipantId>,
        round: Option<RoundId>,
        now_ms: u64,
    ) {
        self.told = false;
        self.stop = None;
        self.recorder = recorder;
        self.keep_round(me, round);
        self.came_back = recorder.is_some();
        if recorder.is_some() {
            self.since_ms = now_ms;
            self.left = None;
        }
    }

    /// What was heard is kept: whoever comes back into the same round has withdrawn from it still.
    pub(super) fn group_left(&mut self, left_round: Option<Arc<Round>>) {
        let recorder = self.recorder;
        #[cfg(test)]
        if breaks(Rule::WithdrawalIsKept) {
            self.heard.clear();
        }
        *self = Self {
            words: self.words.take(),
            heard: std::mem::take(&mut self.heard),
            left: self.left,
            held_by: std::mem::take(&mut self.held_by),
            off_the_record: self.off_the_record,
            left_round,
            ..Self::default()
        };
        if let Some(recorder) = recorder {
            self.left = Some((RecorderLeft::Removed, recorder));
        }
    }

    /// Takes what an earlier page of the same participant refused or withdrew.
    pub(super) fn remember_declined(
        &mut self,
        signed: &[Jws<StatementClaims>],
        policy: &Policy,
        me: ParticipantId,
        at_ms: u64,
    ) {
        for jws in signed {
            let verified = jws.unverified_claims().ok().and_then(|claims| {
                let group_id = &claims.group_id.0;
                Statement::verify(jws, policy.clinic(), policy.visit(), group_id).ok()
            });
            let Some(statement) = verified.filter(|statement| statement.participant() == me) else {
                continue;
            };
            if statement.claims().kind != StatementKind::Grant {
                self.hear(Heard { statement, at_ms });
            }
        }
    }

    /// Whether this is news.
    pub(super) fn hear(&mut self, mut heard: Heard) -> bool {
        let mut known = self.heard.iter_mut();
        match known.find(|known| known.is_of_the_kind_of(&heard)) {
            Some(known) if known.rank() >= heard.rank() => return false,
            Some(known) => {
                heard.at_ms = known.at_ms;
                *known = heard;
            }
            None => self.heard.push(heard),
        }
        true
    }

    /// Everything that was heard and is kept.
    pub(super) fn heard(&self) -> impl Iterator<Item = &Heard> {
        self.heard.iter()
    }

    /// Whether this participant refused in this round, or withdrew from it.
    pub(super) fn has_declined(&self, participant: ParticipantId, round: RoundId) -> bool {
        let mut said = self.heard_from(participant, round);
        said.any(|statement| statement.claims().kind != StatementKind::Grant)
    }

    fn keep_round(&mut self, me: ParticipantId, round: Option<RoundId>) {
        self.round = round;
        self.places
            .retain(|_, place| Some(place.claims().round) == round);
        // What was declined stays so, also where a relay leads back into a group that has not heard of it.
        self.heard.retain(|heard| {
            let claims = heard.statement.claims();
            let is_mine = heard.statement.participant() == me;
            Some(claims.round) == round
                || claims.kind == StatementKind::Withdrawal
                || (is_mine && claims.kind == StatementKind::Refusal)
        });
        // That the rounds are over is remembered without others' words: the oldest go.
        while self.heard.len() > MAX_HEARD {
            let is_old = |heard: &Heard| {
                let statement = &heard.statement;
                statement.participant() != me && Some(statement.claims().round) != round
            };
            let Some(oldest) = self.heard.iter().position(is_old) else {
                break;
            };
            self.heard.remove(oldest);
        }
    }

    pub(super) fn why_removed(&self) -> RecorderLeft {
        self.stop.map_or(RecorderLeft::Removed, |(_, why)| why)
    }

    pub(super) fn heartbeat_is_fresh(&self, now_ms: u64) -> bool {
        self.heartbeat
            .is_some_and(|(_, at_ms)| now_ms < at_ms + HEARTBEAT_FRESH_MS)
    }

    pub(super) fn agreed_to_resume(&mut self, from: ParticipantId) {
        self.held_by.remove(&from);
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

    /// What somebody said in this round, in the group's context or not yet.
    pub(super) fn heard_from(
        &self,
        participant: ParticipantId,
        round: RoundId,
    ) -> impl Iterator<Item = &Statement> {
        let said = self.heard.iter().map(|heard| &heard.statement);
        said.filter(move |said| said.participant() == participant && said.claims().round == round)
    }
}

impl Visit {
    /// What a new epoch means for recording.
    pub(super) fn recording_epoch(&mut self, commit: &CommitSummary) {
        let Some(member) = self.member() else { return };
        let recorder = member.recorder();
        let round = self.open_round().map(|round| round.id());
        let before = std::mem::replace(&mut self.recording.recorder, recorder);
        let old_round = self.recording.round;
        self.recording.keep_round(self.me, round);
        self.forget_questions(round);
        if let (Some(round), true) = (round, round != old_round) {
            self.recording.left = None;
            self.recording.held_by.clear();
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
                self.recording.held_by.clear();
                self.recording.came_back = true;
                if let Some((_, Some(resuming))) = self.recording.resume.take() {
                    self.done(resuming);
                }
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

    /// When the last heartbeat says no longer that the recorder records.
    pub(super) fn heartbeat_stale_at(&self) -> Option<u64> {
        let (_, at_ms) = self.recording.heartbeat?;
        Some(at_ms + HEARTBEAT_FRESH_MS)
    }
}
