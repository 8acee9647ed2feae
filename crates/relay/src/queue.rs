//! What waits to be written to one connection.
//!
//! A queue holds texts that are for this connection alone, and ranges of the visit's log, which it reads from the shared
//! [`Log`] as the socket drains. Texts are counted: for the connection, for its visit and for the relay. Sending never
//! blocks; a reader that does not keep up is disconnected, and what was queued for it is dropped at once.

use crate::limits;
use crate::log::{Log, to_text};
use crate::stats::Stats;
use axum::extract::ws::Utf8Bytes;
use sealed_visit_protocol::wire::RelayMessage;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What a text takes up besides its bytes.
const OVERHEAD_BYTES: usize = 64;

/// What a connection's writer has to do.
#[derive(Debug)]
pub enum Outgoing {
    Text(Utf8Bytes),
    Close(CloseReason),
}

/// Why the relay closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    Left,
    Ended,
    Replaced,
    Refused,
    TooSlow,
    ShuttingDown,
}

/// The sending end of one connection's queue.
#[derive(Debug, Clone)]
pub struct Outbox {
    id: u64,
    shared: Arc<Shared>,
}

/// The end that the connection's writer holds.
#[derive(Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug)]
struct Queue {
    items: VecDeque<Item>,
    held: Held,
    log: Option<Arc<Log>>,
    /// Nothing is taken any more; what is queued may still be written.
    closed_at: Option<Instant>,
}

#[derive(Debug)]
enum Item {
    Text(Utf8Bytes),
    Entries(RangeInclusive<u64>),
    Close(CloseReason),
}

/// What one queue holds, in every account that counts it.
#[derive(Debug)]
struct Held {
    bytes: usize,
    of_visit: Option<Arc<AtomicUsize>>,
    stats: Arc<Stats>,
}

impl Outbox {
    pub fn new(stats: Arc<Stats>) -> (Self, Outlet) {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                items: VecDeque::new(),
                held: Held {
                    bytes: 0,
                    of_visit: None,
                    stats,
                },
                log: None,
                closed_at: None,
            }),
            changed: Notify::new(),
        });
        let outbox = Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            shared: shared.clone(),
        };
        (outbox, Outlet { shared })
    }

    /// Joins a visit: its log is where entries come from, and `visit_bytes` counts what its connections hold.
    pub fn follow(&self, log: Arc<Log>, visit_bytes: Arc<AtomicUsize>) {
        let mut queue = self.shared.lock();
        queue.log = Some(log);
        queue.held.count_for(visit_bytes);
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
    }

    pub fn send(&self, message: &RelayMessage) {
        self.send_text(to_text(message));
    }

    pub fn send_text(&self, text: Utf8Bytes) {
        let mut queue = self.shared.lock();
        if queue.closed_at.is_some() {
            return;
        }
        if queue.held.has_room(&text) {
            queue.held.add(&text);
            queue.items.push_back(Item::Text(text));
        } else {
            queue.abandon(CloseReason::TooSlow);
        }
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Entries of the visit's log, to be read from it when they are written.
    pub fn send_entries(&self, entries: RangeInclusive<u64>) {
        let mut queue = self.shared.lock();
        if queue.closed_at.is_some() || entries.is_empty() {
            return;
        }
        match queue.items.back_mut() {
            Some(Item::Entries(last)) if last.end() + 1 == *entries.start() => {
                *last = *last.start()..=*entries.end();
            }
            _ => queue.items.push_back(Item::Entries(entries)),
        }
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Closes after everything before it was written. The first reason stands.
    pub fn close(&self, reason: CloseReason) {
        let mut queue = self.shared.lock();
        if queue.closed_at.is_none() {
            queue.items.push_back(Item::Close(reason));
            queue.closed_at = Some(Instant::now());
        }
        drop(queue);
        self.shared.changed.notify_one();
    }

    /// Drops everything that is queued, and closes with this last word.
    pub fn replace_with(&self, message: &RelayMessage, reason: CloseReason) {
        let mut queue = self.shared.lock();
        if queue.closed_at.is_none() {
            queue.abandon(reason);
            let text = to_text(message);
            queue.held.add(&text);
            queue.items.push_front(Item::Text(text));
        }
        drop(queue);
        self.shared.changed.notify_one();
    }
}

impl Outlet {
    /// The next thing to write. Cancelling it loses nothing.
    pub async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.shared.lock().pop() {
                return outgoing;
            }
            self.shared.changed.notified().await;
        }
    }

    /// For how long it has been closing.
    pub fn closing_for(&self) -> Option<Duration> {
        self.shared.lock().closed_at.map(|at| at.elapsed())
    }
}

impl Drop for Outlet {
    /// The writer is gone: nothing is written anymore, even if others still hold the queue.
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.clear();
        queue.closed_at.get_or_insert_with(Instant::now);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Outgoing> {
        match self.items.front_mut()? {
            Item::Entries(range) => {
                let seq = *range.start();
                if seq == *range.end() {
                    self.items.pop_front();
                } else {
                    *range = seq + 1..=*range.end();
                }
                let entry = self.log.as_ref().and_then(|log| log.get(seq));
                if entry.is_none() {
                    // The log moved on. Fail closed: a member that misses a commit would be stuck without knowing why.
                    self.clear();
                    self.closed_at.get_or_insert_with(Instant::now);
                }
                Some(entry.map_or(Outgoing::Close(CloseReason::TooSlow), Outgoing::Text))
            }
            Item::Text(_) | Item::Close(_) => match self.items.pop_front()? {
                Item::Text(text) => {
                    self.held.remove(&text);
                    Some(Outgoing::Text(text))
                }
                Item::Close(reason) => Some(Outgoing::Close(reason)),
                Item::Entries(_) => None,
            },
        }
    }

    fn abandon(&mut self, reason: CloseReason) {
        self.clear();
        self.items.push_back(Item::Close(reason));
        self.closed_at = Some(Instant::now());
    }

    fn clear(&mut self) {
        self.items = VecDeque::new();
        self.held.clear();
        self.log = None;
    }
}

impl Held {
    fn has_room(&self, text: &Utf8Bytes) -> bool {
        let size = size_of(text);
        let own = self.bytes + size;
        let of_visit = self.of_visit.as_ref().map_or(0, |it| it.load(Relaxed)) + size;
        // A visit that holds much still lets each connection have a little: nobody is cut off for the others' slowness.
        own <= limits::MAX_QUEUED_BYTES
            && (of_visit <= limits::MAX_QUEUED_BYTES_OF_VISIT || own <= limits::FAIR_QUEUED_BYTES)
    }

    fn add(&mut self, text: &Utf8Bytes) {
        let size = size_of(text);
        self.bytes += size;
        self.stats.queued_bytes.fetch_add(size as u64, Relaxed);
        if let Some(of_visit) = &self.of_visit {
            of_visit.fetch_add(size, Relaxed);
        }
    }

    fn remove(&mut self, text: &Utf8Bytes) {
        self.release(size_of(text));
    }

    fn clear(&mut self) {
        self.release(self.bytes);
    }

    fn release(&mut self, size: usize) {
        self.bytes -= size;
        self.stats.queued_bytes.fetch_sub(size as u64, Relaxed);
        if let Some(of_visit) = &self.of_visit {
            of_visit.fetch_sub(size, Relaxed);
        }
    }

    fn count_for(&mut self, of_visit: Arc<AtomicUsize>) {
        of_visit.fetch_add(self.bytes, Relaxed);
        self.of_visit = Some(of_visit);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}

fn size_of(text: &Utf8Bytes) -> usize {
    text.len() + OVERHEAD_BYTES
}
