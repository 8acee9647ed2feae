//! One visit as the relay keeps it: an ordered log, one group, one commit for each epoch, a waiting room.
//!
//! Sans-IO: [`Visit`] takes a participant's message and returns the messages to send, with their receivers. It knows nothing of the
//! contents: commits, welcomes and application messages are bytes.
//!
//! Order. Entries with a `seq` go to everybody who is connected, *their sender included*: that is how a sender
//! learns that its commit was ordered, and whether its application message came before or after a commit. A
//! welcome has no `seq`; it follows the commit that made it.
//!
//! Membership. The relay cannot read who is in the group. It counts as members those who made the current group or
//! was sent a welcome into it, and lets only them commit, speak in the group, and use media. So nobody in the
//! waiting room can take an epoch. Whom a commit removes it takes from the committer's word, which it cannot check: a
//! committer that keeps quiet leaves a removed member with ciphertext that it cannot decrypt, one that names too many
//! cuts those off until somebody admits them again, as its commit could. Neither gives anybody a key.
//!
//! Vouching. To end the visit for everybody takes more than being a member by one's own word. The clinician who opens the
//! visit's first group is vouched for, and so is whom a vouched clinician's commit welcomes. While no vouched clinician is
//! connected or in the group, other vouched members let people in as well, as the rules of the group allow. A group made by
//! somebody else (a substitute, while nobody who could let them in was there) counts for nothing until a vouched participant
//! has joined it and speaks in it; not even a vouched patient's word makes it the visit's while a vouched clinician is
//! connected. If nobody vouched is connected, whoever joined such a group and speaks in it is enough. Until then its maker
//! neither ends the visit nor keeps a vouched clinician from replacing the group, and whom it removes loses nothing.

use crate::admission::Admitted;
use crate::limits;
use crate::log::Log;
use sealed_visit_protocol::wire::{
    ClientMessage, EndedBy, GroupInfo, RefusalClaims, RelayErrorCode, RelayMessage, Waiting,
    WelcomeFor,
};
use sealed_visit_protocol::{B64, Jws, ParticipantId, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The receivers of a message. Only connected participants get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    One(ParticipantId),
    Others(ParticipantId),
    All,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub to: To,
    pub parcel: Parcel,
}

/// What a delivery brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parcel {
    Message(RelayMessage),
    /// An entry that was just appended to the visit's log, and its number.
    Entry(u64, RelayMessage),
    /// Entries of the visit's log by their numbers.
    Entries(RangeInclusive<u64>),
}

impl Delivery {
    fn message(to: To, message: RelayMessage) -> Self {
        let parcel = Parcel::Message(message);
        Self { to, parcel }
    }
}

/// Why a message was refused. The detail names no person and quotes nothing that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Denied {
    pub code: RelayErrorCode,
    pub detail: &'static str,
}

/// A commit as it came.
struct Ordered {
    group_id: B64,
    epoch: u64,
    commit: B64,
    welcomes: Vec<WelcomeFor>,
    removed: Vec<ParticipantId>,
}

/// What became of a message.
pub type Outcome = Result<Vec<Delivery>, Denied>;

#[derive(Debug, Default, Clone)]
pub struct Visit {
    group: Option<Group>,
    log: OwnLog,
    present: BTreeSet<ParticipantId>,
    waiting: BTreeMap<ParticipantId, Waiting>,
    /// Welcomes whose addressee was away, with their group.
    undelivered: BTreeMap<ParticipantId, (B64, RelayMessage)>,
    /// Participants who were members of any group of this visit: a new group must not cut anyone's media. Bounded, as `vouched`.
    admitted_to_media: BTreeSet<ParticipantId>,
    /// Participants the visit itself admitted: see the module docs.
    vouched: BTreeSet<ParticipantId>,
    /// Everybody who ever spoke with a clinician's pass.
    clinicians: BTreeSet<ParticipantId>,
    /// Every group the visit has had: requests and grants name their group, so an id that is used again would make old ones
    /// new.
    used_group_ids: BTreeMap<B64, ParticipantId>,
    over: Option<EndedBy>,
}

/// The log that readers share with the visit. A copy of the visit has a log of its own.
#[derive(Debug, Default)]
struct OwnLog(Arc<Log>);

impl Clone for OwnLog {
    fn clone(&self) -> Self {
        Self(Arc::new(Log::clone(&self.0)))
    }
}

#[derive(Debug, Clone)]
struct Group {
    info: GroupInfo,
    members: BTreeSet<ParticipantId>,
    made_by: ParticipantId,
    /// Made or joined by somebody who was vouched for: its welcomes are the visit's.
    is_the_visits: bool,
}

impl Visit {
    /// A participant's connection was accepted. The first delivery is its `Ready`.
    pub fn connect(&mut self, who: ParticipantId, after_seq: Option<u64>) -> Outcome {
        if self.over.is_some() {
            return Err(denied(RelayErrorCode::VisitOver, "the visit is over"));
        }
        if !self.present.contains(&who) && self.present.len() >= limits::MAX_PARTICIPANTS {
            return Err(denied(RelayErrorCode::TooMuch, "the visit is full"));
        }
        let is_new = self.present.insert(who);
        // A waiting participant asks again: a key package belongs to one connection's state.
        self.waiting.remove(&who);
        let mut deliveries = vec![Delivery::message(
            To::One(who),
            RelayMessage::Ready {
                participant: who,
                group: self.group.as_ref().map(|group| group.info.clone()),
                present: self.present.iter().copied().collect(),
                waiting: self.waiting.values().cloned().collect(),
                seq: self.log.0.last_seq(),
            },
        )];
        let welcome = self.undelivered.remove(&who);
        if let Some(after_seq) = after_seq {
            deliveries.push(self.catch_up(who, after_seq));
            deliveries.extend(
                self.still_current(welcome)
                    .map(|message| Delivery::message(To::One(who), message)),
            );
        }
        if is_new {
            deliveries.push(Delivery::message(To::Others(who), presence(who, true)));
        }
        Ok(deliveries)
    }

    /// A participant's only connection ended.
    pub fn disconnect(&mut self, who: ParticipantId) -> Vec<Delivery> {
        self.waiting.remove(&who);
        if !self.present.remove(&who) {
            return Vec::new();
        }
        vec![Delivery::message(To::All, presence(who, false))]
    }

    /// Everything but hello, ping and media.
    pub fn handle(&mut self, from: &Admitted, message: ClientMessage) -> Outcome {
        if self.over.is_some() {
            return Err(denied(RelayErrorCode::VisitOver, "the visit is over"));
        }
        let who = from.participant;
        if from.role == Role::Clinician {
            // An admitted participant has asked before.
            self.clinicians.insert(who);
        }
        match message {
            ClientMessage::KeyPackage { key_package } => self.ask_to_be_let_in(from, key_package),
            ClientMessage::CreateGroup { group_id, replaces } => {
                self.create_group(from, group_id, replaces)
            }
            ClientMessage::Commit {
                group_id,
                epoch,
                commit,
                welcomes,
                removed,
            } => self.commit(
                who,
                Ordered {
                    group_id,
                    epoch,
                    commit,
                    welcomes,
                    removed,
                },
            ),
            ClientMessage::App {
                group_id,
                epoch,
                data,
            } => self.app(who, group_id, epoch, data),
            ClientMessage::Direct { to, data } => self.direct(who, to, data),
            ClientMessage::Refusal { refusal } => self.refusal(from, refusal),
            ClientMessage::Leave {} => Ok(self.disconnect(who)),
            ClientMessage::End {} => self.end(from),
            _ => Err(denied(RelayErrorCode::Malformed, "an unexpected message")),
        }
    }

    /// Whether this participant may send and receive media.
    pub fn may_use_media(&self, who: ParticipantId) -> bool {
        self.over.is_none() && self.admitted_to_media.contains(&who)
    }

    /// Where the entries are that deliveries name.
    pub fn log(&self) -> Arc<Log> {
        self.log.0.clone()
    }

    /// The messages of a parcel, for tests that play a visit without a wire.
    pub fn messages_of(&self, parcel: Parcel) -> Vec<RelayMessage> {
        match parcel {
            Parcel::Message(message) | Parcel::Entry(_, message) => vec![message],
            Parcel::Entries(entries) => {
                let texts = entries.filter_map(|seq| self.log.0.get(seq));
                texts
                    .filter_map(|text| serde_json::from_str(&text).ok())
                    .collect()
            }
        }
    }

    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// What ended it, if it is over.
    pub fn over(&self) -> Option<EndedBy> {
        self.over
    }

    /// Whether anyone ever created a group. Until then nobody met, and there is nothing to end.
    pub fn has_begun(&self) -> bool {
        self.group.is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Ends the visit and forgets what it held.
    pub fn close(&mut self, reason: EndedBy) -> Vec<Delivery> {
        let present = std::mem::take(&mut self.present);
        *self = Self {
            over: Some(reason),
            ..Self::default()
        };
        present
            .into_iter()
            .map(|who| Delivery::message(To::One(who), RelayMessage::Ended { reason }))
            .collect()
    }

    fn ask_to_be_let_in(&mut self, from: &Admitted, key_package: B64) -> Outcome {
        check_size(&key_package, limits::MAX_KEY_PACKAGE_BYTES)?;
        let waiting = Waiting {
            participant: from.participant,
            role: from.role,
            pass: from.pass.jws().clone(),
            key_package,
        };
        self.undelivered.remove(&from.participant);
        self.waiting.insert(from.participant, waiting.clone());
        Ok(vec![Delivery::message(
            To::Others(from.participant),
            RelayMessage::Waiting { waiting },
        )])
    }

    fn create_group(&mut self, from: &Admitted, group_id: B64, replaces: Option<B64>) -> Outcome {
        check_size(&group_id, limits::MAX_GROUP_ID_BYTES)?;
        let generation = match (&self.group, replaces) {
            (None, None) if from.role == Role::Clinician => 0,
            (None, None) => return Err(not_allowed("only a clinician opens the visit's group")),
            (Some(current), Some(replaced)) if current.info.group_id == replaced => {
                if from.role != Role::Clinician && !current.members.contains(&from.participant) {
                    return Err(not_allowed("not a member of the group to be replaced"));
                }
                let is_known = current.members.contains(&from.participant)
                    || !current.is_the_visits && self.vouched.contains(&from.participant);
                if !is_known && self.a_clinician_is_inside() {
                    return Err(not_allowed("the host is there: wait to be let in"));
                }
                current.info.generation + 1
            }
            _ => return Err(not_allowed("another group is current")),
        };
        if self.used_group_ids.contains_key(&group_id) {
            return Err(not_allowed("a new group needs a new id"));
        }
        // Nobody uses up what the others need to leave that person's group.
        let makers = self.used_group_ids.values();
        let of_this_one = makers.filter(|by| **by == from.participant).count();
        if self.used_group_ids.len() >= limits::MAX_GROUPS
            || of_this_one >= limits::MAX_GROUPS_OF_ONE
        {
            return Err(not_allowed("the visit has had too many groups"));
        }
        self.used_group_ids
            .insert(group_id.clone(), from.participant);
        let group = GroupInfo {
            group_id,
            epoch: 0,
            generation,
        };
        let by = from.participant;
        if self.group.is_none() {
            self.vouched.insert(by);
        }
        self.group = Some(Group {
            info: group.clone(),
            members: BTreeSet::from([by]),
            made_by: by,
            is_the_visits: self.vouched.contains(&by),
        });
        self.undelivered.clear();
        self.let_use_media(by);
        Ok(self.append(|seq| RelayMessage::GroupCreated { seq, group, by }))
    }

    /// Somebody who can let others in is connected, and does not wait outside itself.
    fn a_clinician_is_inside(&self) -> bool {
        let members = self.group.iter().flat_map(|group| &group.members);
        members
            .chain(&self.vouched)
            .filter(|id| self.present.contains(id) && !self.waiting.contains_key(id))
            .any(|id| self.clinicians.contains(id))
    }

    fn is_vouched_clinician(&self, who: &ParticipantId) -> bool {
        self.vouched.contains(who) && self.clinicians.contains(who)
    }

    /// A member speaks in the current group; see *Vouching* above.
    fn heard_in_group(&mut self, from: ParticipantId) {
        let any_vouched = self.present.iter().any(|it| self.vouched.contains(it));
        let is_enough = if self.vouched.contains(&from) {
            let is_clinicians_turn = self.present.iter().any(|it| self.is_vouched_clinician(it));
            self.clinicians.contains(&from) || !is_clinicians_turn
        } else {
            !any_vouched
        };
        if let Some(group) = &mut self.group
            && !group.is_the_visits
            && group.made_by != from
            && is_enough
        {
            group.is_the_visits = true;
            self.vouched.extend(&group.members);
        }
    }

    /// Whether the visit admits the participants that this member's commit welcomes.
    fn vouches(&self, from: ParticipantId) -> bool {
        let Some(group) = self.group.as_ref().filter(|group| group.is_the_visits) else {
            return false;
        };
        let mut there = self.present.iter().chain(&group.members);
        self.is_vouched_clinician(&from)
            || self.vouched.contains(&from) && !there.any(|it| self.is_vouched_clinician(it))
    }

    fn let_use_media(&mut self, who: ParticipantId) {
        self.admitted_to_media.insert(who);
        self.forget_strangers();
    }

    /// Names that a member only claimed to have welcomed, in one group after the other, do not add up.
    fn forget_strangers(&mut self) {
        let Self {
            present,
            clinicians,
            group,
            ..
        } = self;
        let is_member = |it: &ParticipantId| {
            let mut members = group.iter().flat_map(|group| &group.members);
            members.any(|member| member == it)
        };
        for known in [&mut self.admitted_to_media, &mut self.vouched] {
            if known.len() > limits::MAX_ADMITTED {
                known.retain(|it| present.contains(it) || clinicians.contains(it) || is_member(it));
            }
        }
    }

    /// The heart: the first commit for an epoch is ordered, every other is rejected.
    fn commit(
        &mut self,
        from: ParticipantId,
        Ordered {
            group_id,
            epoch,
            commit,
            welcomes,
            removed,
        }: Ordered,
    ) -> Outcome {
        if welcomes.len().max(removed.len()) > limits::MAX_PARTICIPANTS {
            return Err(denied(
                RelayErrorCode::TooMuch,
                "too many welcomes or removals",
            ));
        }
        let present = &self.present;
        let waiting = &self.waiting;
        let group = member_group(&mut self.group, &group_id, from)?;
        if group.info.epoch != epoch {
            return Ok(vec![Delivery::message(
                To::One(from),
                RelayMessage::CommitRejected {
                    group_id,
                    epoch,
                    current_epoch: group.info.epoch,
                },
            )]);
        }
        let is_known = |who| waiting.contains_key(who) || present.contains(who);
        if !welcomes.iter().all(|welcome| is_known(&welcome.to)) {
            // The waiting participant may be gone by now. The commit stands; nobody reads the Welcome.
            tracing::debug!("a welcome for someone who is away");
        }
        let is_new = |to: &&ParticipantId| !group.members.contains(to);
        let joining: BTreeSet<_> = welcomes.iter().map(|it| &it.to).filter(is_new).collect();
        let leaving: BTreeSet<_> = removed
            .iter()
            .filter(|it| group.members.contains(it))
            .collect();
        if group.members.len() + joining.len() > limits::MAX_PARTICIPANTS + leaving.len() {
            return Err(denied(RelayErrorCode::TooMuch, "the group is full"));
        }
        group.info.epoch += 1;
        let joined_epoch = group.info.epoch;
        // Before the welcomes: who leaves with one leaf and comes back with another stays.
        let removed: Vec<_> = removed.into_iter().filter(|gone| *gone != from).collect();
        removed.iter().for_each(|gone| {
            group.members.remove(gone);
        });
        group
            .members
            .extend(welcomes.iter().map(|welcome| welcome.to));
        self.heard_in_group(from);
        let is_vouched = self.vouched.contains(&from);
        let is_vouched_clinician = self.is_vouched_clinician(&from);
        for gone in &removed {
            if is_vouched || !self.vouched.contains(gone) {
                self.admitted_to_media.remove(gone);
                self.undelivered.remove(gone);
            }
            if is_vouched_clinician {
                self.vouched.remove(gone);
            }
        }
        if self.vouches(from) {
            self.vouched.extend(welcomes.iter().map(|it| it.to));
        }
        let mut deliveries = self.append(|seq| RelayMessage::Commit {
            seq,
            group_id: group_id.clone(),
            epoch,
            from,
            commit,
        });
        for WelcomeFor { to, welcome } in welcomes {
            self.waiting.remove(&to);
            self.let_use_media(to);
            let message = RelayMessage::Welcome {
                group_id: group_id.clone(),
                epoch: joined_epoch,
                from,
                welcome,
            };
            if self.present.contains(&to) {
                deliveries.push(Delivery::message(To::One(to), message));
            } else {
                self.keep_welcome(to, group_id.clone(), message);
            }
        }
        Ok(deliveries)
    }

    fn keep_welcome(&mut self, to: ParticipantId, group_id: B64, message: RelayMessage) {
        self.undelivered.remove(&to);
        let size_of = |message: &RelayMessage| match message {
            RelayMessage::Welcome { welcome, .. } => welcome.0.len(),
            _ => 0,
        };
        let kept: usize = self.undelivered.values().map(|(_, it)| size_of(it)).sum();
        if kept + size_of(&message) <= limits::MAX_UNDELIVERED_BYTES
            && self.undelivered.len() < limits::MAX_PARTICIPANTS
        {
            self.undelivered.insert(to, (group_id, message));
        }
    }

    /// A message of an older epoch is ordered too: its sender sees from the order that it came late.
    fn app(&mut self, from: ParticipantId, group_id: B64, epoch: u64, data: B64) -> Outcome {
        check_size(&data, limits::MAX_APP_BYTES)?;
        let group = member_group(&mut self.group, &group_id, from)?;
        if epoch > group.info.epoch {
            return Err(not_allowed("a message of an epoch that is not yet"));
        }
        self.heard_in_group(from);
        Ok(self.append(|seq| RelayMessage::App {
            seq,
            group_id,
            epoch,
            from,
            data,
        }))
    }

    fn direct(&self, from: ParticipantId, to: ParticipantId, data: B64) -> Outcome {
        check_size(&data, limits::MAX_DIRECT_BYTES)?;
        // Nothing is said about somebody who is away: presence already did.
        Ok(vec![Delivery::message(
            To::One(to),
            RelayMessage::Direct { from, data },
        )])
    }

    fn refusal(&mut self, from: &Admitted, refusal: Jws<RefusalClaims>) -> Outcome {
        let claims = refusal
            .verify(from.pass.key())
            .map_err(|_| denied(RelayErrorCode::Malformed, "a refusal by another key"))?;
        if claims.visit != from.visit || claims.pass != *from.pass.jws() {
            return Err(denied(
                RelayErrorCode::Malformed,
                "a refusal of another visit or participant",
            ));
        }
        member_group(&mut self.group, &claims.group_id, from.participant)?;
        Ok(self.append(|seq| RelayMessage::Refusal { seq, refusal }))
    }

    fn end(&mut self, from: &Admitted) -> Outcome {
        if from.role != Role::Clinician || !self.vouched.contains(&from.participant) {
            return Err(not_allowed(
                "only a clinician in the visit can end it for everyone",
            ));
        }
        Ok(self.close(EndedBy::Host))
    }

    fn append(&mut self, entry: impl FnOnce(u64) -> RelayMessage) -> Vec<Delivery> {
        let (seq, message) = self.log.0.append(entry);
        vec![Delivery {
            to: To::All,
            parcel: Parcel::Entry(seq, message),
        }]
    }

    fn catch_up(&self, who: ParticipantId, after_seq: u64) -> Delivery {
        let to = To::One(who);
        match self.log.0.after(after_seq) {
            Some(entries) => Delivery {
                to,
                parcel: Parcel::Entries(entries),
            },
            // Fail closed: a member that misses a commit would be stuck without knowing why.
            None => Delivery::message(
                to,
                RelayMessage::Error {
                    code: RelayErrorCode::TooMuch,
                    detail: "the log no longer reaches back that far: rejoin".into(),
                },
            ),
        }
    }

    fn still_current(&self, welcome: Option<(B64, RelayMessage)>) -> Option<RelayMessage> {
        let (group_id, message) = welcome?;
        let current = self.group.as_ref()?;
        (current.info.group_id == group_id).then_some(message)
    }
}

fn member_group<'a>(
    group: &'a mut Option<Group>,
    group_id: &B64,
    who: ParticipantId,
) -> Result<&'a mut Group, Denied> {
    let group = group
        .as_mut()
        .filter(|group| group.info.group_id == *group_id)
        .ok_or(not_allowed("that group is not current"))?;
    if group.members.contains(&who) {
        Ok(group)
    } else {
        Err(not_allowed("not a member of the group"))
    }
}

fn check_size(bytes: &B64, max_bytes: usize) -> Result<(), Denied> {
    if bytes.0.len() <= max_bytes {
        Ok(())
    } else {
        Err(denied(
            RelayErrorCode::TooMuch,
            "a message that is too large",
        ))
    }
}

fn presence(participant: ParticipantId, present: bool) -> RelayMessage {
    RelayMessage::Presence {
        participant,
        present,
    }
}

const fn not_allowed(detail: &'static str) -> Denied {
    denied(RelayErrorCode::NotAllowed, detail)
}

const fn denied(code: RelayErrorCode, detail: &'static str) -> Denied {
    Denied { code, detail }
}

#[cfg(test)]
pub(crate) mod tests;
