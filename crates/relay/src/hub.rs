//! All visits and the clients connected to them.
//!
//! A visit's lock is held while a message is handled *and* queued for its readers, so everybody sees one order.

use crate::admission::Admitted;
use crate::limits;
use crate::log::to_text;
use crate::media::{MediaCommand, MediaHandle, MediaReply};
use crate::queue::{CloseReason, Outbox};
use crate::stats::Stats;
use crate::visit::{Delivery, Denied, Parcel, To, Visit};
use sealed_visit_protocol::wire::{ClientMessage, EndedBy, RelayErrorCode, RelayMessage};
use sealed_visit_protocol::{ParticipantId, VisitId};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the relay remembers what nobody uses.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// A visit without a live connection: it ends, or is forgotten if nobody ever opened its group.
    pub empty: Duration,
    /// That a visit has ended: its id, and nothing else.
    pub ended: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            empty: Duration::from_secs(30 * 60),
            ended: Duration::from_secs(24 * 3600),
        }
    }
}

/// The registry. Cloning shares it.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Mutex<Registry>,
    media: MediaHandle,
    retention: Retention,
    stats: Arc<Stats>,
}

/// Visits that go on, and what is remembered of those that ended. One lock: a visit that ends is never between the two.
#[derive(Default)]
struct Registry {
    visits: HashMap<VisitId, Arc<Mutex<Slot>>>,
    ended: HashMap<VisitId, EndedBy>,
    /// In the order in which they ended.
    ended_at: VecDeque<(Instant, VisitId)>,
}

impl Registry {
    fn end(&mut self, id: VisitId, reason: EndedBy) {
        self.visits.remove(&id);
        if self.ended.insert(id, reason).is_none() {
            self.ended_at.push_back((Instant::now(), id));
        }
        if self.ended_at.len() > limits::MAX_TOMBSTONES {
            self.forget_oldest();
        }
    }

    fn forget_older_than(&mut self, age: Duration, now: Instant) {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= age;
        while self.ended_at.front().is_some_and(|(at, _)| is_old(at)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.ended_at.pop_front() {
            self.ended.remove(&id);
        }
    }
}

struct Slot {
    visit: Visit,
    outboxes: HashMap<ParticipantId, Outbox>,
    /// What waits to be written to all of the visit's connections.
    queued_bytes: Arc<AtomicUsize>,
    /// Since when nobody is connected, or the visit is over.
    idle_since: Instant,
    /// The latest expiry of the passes shown, seconds since the Unix epoch.
    expires_s: u64,
    /// Set when the slot was taken out of the map, so that a late arrival looks it up again.
    is_dropped: bool,
}

impl Hub {
    pub fn new(media: MediaHandle, retention: Retention, stats: Arc<Stats>) -> Self {
        let inner = Inner {
            registry: Mutex::default(),
            media,
            retention,
            stats,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Takes a participant's connection in; an earlier one of the same participant is closed.
    pub fn connect(
        &self,
        who: &Admitted,
        after_seq: Option<u64>,
        outbox: Outbox,
    ) -> Result<(), Denied> {
        loop {
            let slot = match self.slot(who.visit)? {
                Found::Slot(slot) => slot,
                Found::Ended(reason) => {
                    // A participant who was away when it ended learns why.
                    outbox.send(&RelayMessage::Ended { reason });
                    return Err(Denied {
                        code: RelayErrorCode::VisitOver,
                        detail: "the visit is over",
                    });
                }
            };
            let mut slot = lock(&slot);
            if slot.is_dropped {
                continue;
            }
            let deliveries = slot.visit.connect(who.participant, after_seq)?;
            slot.expires_s = slot.expires_s.max(who.pass.expires_s());
            outbox.follow(slot.visit.log(), slot.queued_bytes.clone());
            if let Some(earlier) = slot.outboxes.insert(who.participant, outbox) {
                let last_word = RelayMessage::Error {
                    code: RelayErrorCode::ReplacedByAnother,
                    detail: "this participant connected again".into(),
                };
                earlier.replace_with(&last_word, CloseReason::Replaced);
            }
            slot.deliver(deliveries);
            // Still under the visit's lock: nothing may come between a connection and its media's fate.
            self.inner.media.send(if after_seq.is_some() {
                MediaCommand::Resume(who.visit, who.participant)
            } else {
                MediaCommand::Drop(who.visit, who.participant)
            });
            return Ok(());
        }
    }

    /// A connection ended; a later one of the same participant is left alone.
    pub fn disconnect(&self, who: &Admitted, outbox: &Outbox) {
        let Some(slot) = self.existing(who.visit) else {
            return;
        };
        let mut slot = lock(&slot);
        if !slot.is_current(who.participant, outbox) {
            return;
        }
        slot.outboxes.remove(&who.participant);
        let deliveries = slot.visit.disconnect(who.participant);
        slot.deliver(deliveries);
        slot.idle_since = Instant::now();
        self.inner
            .media
            .send(MediaCommand::Suspend(who.visit, who.participant));
    }

    /// Handles everything after the hello. An `Err` is for the sender; the connection goes on.
    pub fn handle(
        &self,
        from: &Admitted,
        outbox: &Outbox,
        message: ClientMessage,
    ) -> Result<(), Denied> {
        let Some(slot) = self.existing(from.visit) else {
            return Err(Denied {
                code: RelayErrorCode::VisitOver,
                detail: "the visit is over",
            });
        };
        let mut slot = lock(&slot);
        if !slot.is_current(from.participant, outbox) {
            return Err(Denied {
                code: RelayErrorCode::ReplacedByAnother,
                detail: "this connection is over",
            });
        }
        match message {
            ClientMessage::Ping {} => outbox.send(&RelayMessage::Pong {}),
            ClientMessage::PublishOffer { .. }
            | ClientMessage::Subscribe {}
            | ClientMessage::SubscribeAnswer { .. } => {
                if !slot.visit.may_use_media(from.participant) {
                    return Err(Denied {
                        code: RelayErrorCode::NotAllowed,
                        detail: "media is for members of the group",
                    });
                }
                let media = &self.inner.media;
                if !media.signal(from.visit, from.participant, message) {
                    return Err(Denied {
                        code: RelayErrorCode::Media,
                        detail: "too many descriptions at once: wait for the relay's answer",
                    });
                }
            }
            ClientMessage::Leave {} => {
                let deliveries = slot.visit.handle(from, message)?;
                slot.outboxes.remove(&from.participant);
                slot.deliver(deliveries);
                slot.idle_since = Instant::now();
                outbox.close(CloseReason::Left);
                self.inner
                    .media
                    .send(MediaCommand::Drop(from.visit, from.participant));
            }
            message => {
                let named = match &message {
                    ClientMessage::Commit { removed, .. } => removed.clone(),
                    _ => Vec::new(),
                };
                let deliveries = slot.visit.handle(from, message)?;
                slot.deliver(deliveries);
                for gone in named {
                    if !slot.visit.may_use_media(gone) {
                        let command = MediaCommand::Drop(from.visit, gone);
                        self.inner.media.send(command);
                    }
                }
                if slot.visit.is_over() {
                    self.after_end(from.visit, &mut slot);
                }
            }
        }
        Ok(())
    }

    /// What the media side has to say to a participant.
    pub fn deliver_media(&self, reply: MediaReply) {
        let Some(slot) = self.existing(reply.visit) else {
            return;
        };
        let slot = lock(&slot);
        if let Some(outbox) = slot.outboxes.get(&reply.participant) {
            outbox.send(&reply.message);
        }
    }

    /// Ends what is over its time or empty, and drops what has been idle too long. To be called every few seconds.
    pub fn sweep(&self, now: Instant, now_ms: u64) {
        let Retention { empty, ended } = self.inner.retention;
        let slots: Vec<_> = {
            let mut registry = lock(&self.inner.registry);
            registry.forget_older_than(ended, now);
            registry
                .visits
                .iter()
                .map(|(id, slot)| (*id, slot.clone()))
                .collect()
        };
        for (id, slot) in slots {
            let mut slot = lock(&slot);
            let idle = now.saturating_duration_since(slot.idle_since);
            let is_empty = slot.outboxes.is_empty() && idle >= empty;
            let reason = if slot.has_expired(now_ms) {
                Some(EndedBy::Time)
            } else if is_empty && slot.visit.has_begun() {
                Some(EndedBy::Empty)
            } else {
                None
            };
            if let Some(reason) = reason.filter(|_| !slot.visit.is_over()) {
                tracing::info!(visit = %id, ?reason, "a visit is over");
                let deliveries = slot.visit.close(reason);
                slot.deliver(deliveries);
                self.after_end(id, &mut slot);
                continue;
            }
            if is_empty {
                slot.is_dropped = true;
                lock(&self.inner.registry).visits.remove(&id);
                self.inner.media.send(MediaCommand::DropVisit(id));
            }
        }
        self.inner.stats.visits.store(
            lock(&self.inner.registry).visits.len() as u64,
            Ordering::Relaxed,
        );
    }

    /// What ended a visit, for somebody who shows an expired pass; none while it goes on for others.
    pub fn over(&self, id: VisitId, now_ms: u64) -> Option<EndedBy> {
        let slot = {
            let registry = lock(&self.inner.registry);
            if let Some(reason) = registry.ended.get(&id) {
                return Some(*reason);
            }
            let Some(slot) = registry.visits.get(&id) else {
                return Some(EndedBy::Time);
            };
            slot.clone()
        };
        let slot = lock(&slot);
        let by_time = || slot.has_expired(now_ms).then_some(EndedBy::Time);
        slot.visit.over().or_else(by_time)
    }

    /// Closes every connection; visits stay in memory until the process ends.
    pub fn shut_down(&self) {
        let slots: Vec<_> = {
            let registry = lock(&self.inner.registry);
            registry.visits.values().cloned().collect()
        };
        for slot in slots {
            for outbox in lock(&slot).outboxes.values() {
                outbox.close(CloseReason::ShuttingDown);
            }
        }
    }

    fn after_end(&self, id: VisitId, slot: &mut Slot) {
        for outbox in slot.outboxes.drain().map(|(_, outbox)| outbox) {
            outbox.close(CloseReason::Ended);
        }
        slot.is_dropped = true;
        if let Some(reason) = slot.visit.over() {
            lock(&self.inner.registry).end(id, reason);
        }
        self.inner.media.send(MediaCommand::DropVisit(id));
    }

    fn existing(&self, id: VisitId) -> Option<Arc<Mutex<Slot>>> {
        lock(&self.inner.registry).visits.get(&id).cloned()
    }

    fn slot(&self, id: VisitId) -> Result<Found, Denied> {
        let mut registry = lock(&self.inner.registry);
        if let Some(reason) = registry.ended.get(&id) {
            return Ok(Found::Ended(*reason));
        }
        let visits = &mut registry.visits;
        if !visits.contains_key(&id) && visits.len() >= limits::MAX_VISITS {
            return Err(Denied {
                code: RelayErrorCode::TooMuch,
                detail: "the relay is full",
            });
        }
        let slot = visits.entry(id).or_insert_with(|| {
            Arc::new(Mutex::new(Slot {
                visit: Visit::default(),
                outboxes: HashMap::new(),
                queued_bytes: Arc::default(),
                idle_since: Instant::now(),
                expires_s: 0,
                is_dropped: false,
            }))
        });
        Ok(Found::Slot(slot.clone()))
    }
}

/// A visit as the registry knows it.
enum Found {
    Slot(Arc<Mutex<Slot>>),
    Ended(EndedBy),
}

impl Slot {
    /// The latest of the passes that were shown has expired; before the first, nothing has.
    fn has_expired(&self, now_ms: u64) -> bool {
        self.expires_s > 0 && now_ms / 1000 >= self.expires_s
    }

    fn is_current(&self, who: ParticipantId, outbox: &Outbox) -> bool {
        self.outboxes
            .get(&who)
            .is_some_and(|current| current.is_same(outbox))
    }

    fn deliver(&self, deliveries: Vec<Delivery>) {
        for Delivery { to, parcel } in deliveries {
            let meant = self.outboxes.iter().filter(|(who, _)| match to {
                To::One(one) => **who == one,
                To::Others(but) => **who != but,
                To::All => true,
            });
            match parcel {
                Parcel::Message(message) => {
                    // Encoded once, and shared.
                    let text = to_text(&message);
                    meant.for_each(|(_, outbox)| outbox.send_text(text.clone()));
                }
                Parcel::Entry(seq, _) => {
                    meant.for_each(|(_, outbox)| outbox.send_entries(seq..=seq))
                }
                Parcel::Entries(entries) => {
                    meant.for_each(|(_, outbox)| outbox.send_entries(entries.clone()));
                }
            }
        }
    }
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A panic while a lock was held is a bug of one visit: the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_visits_hold_no_slot_and_their_tombstones_are_bounded() {
        let mut registry = Registry::default();
        let id = |index: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
            VisitId::from_bytes(bytes)
        };
        for index in 0..limits::MAX_TOMBSTONES + 10 {
            registry.end(id(index), EndedBy::Host);
        }
        assert!(registry.visits.is_empty());
        assert_eq!(registry.ended.len(), limits::MAX_TOMBSTONES);
        assert!(!registry.ended.contains_key(&id(9)));
        assert_eq!(registry.ended.get(&id(10)), Some(&EndedBy::Host));
        let now = Instant::now();
        registry.forget_older_than(Duration::from_secs(3600), now);
        assert_eq!(registry.ended.len(), limits::MAX_TOMBSTONES);
        registry.forget_older_than(Duration::ZERO, now);
        assert!(registry.ended.is_empty() && registry.ended_at.is_empty());
    }
}
