//! The ordered log of one visit, shared by everybody who reads it.
//!
//! An entry is encoded once, when it is appended. Readers hold a position, not entries: each connection fetches the next
//! entry when its socket takes it, so a reader who is far behind costs no memory beyond the log itself.

use crate::limits;
use axum::extract::ws::Utf8Bytes;
use sealed_visit_protocol::wire::RelayMessage;
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an entry takes up besides its text.
const OVERHEAD_BYTES: usize = 128;

/// The oldest entries are dropped when there are too many bytes.
#[derive(Debug, Default)]
pub struct Log {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default, Clone)]
struct Entries {
    texts: VecDeque<Utf8Bytes>,
    size_bytes: usize,
    last_seq: u64,
}

impl Log {
    /// Appends the entry that `entry` makes of its number; returns both.
    pub fn append(&self, entry: impl FnOnce(u64) -> RelayMessage) -> (u64, RelayMessage) {
        let mut entries = self.lock();
        let seq = entries.last_seq + 1;
        let message = entry(seq);
        let text = to_text(&message);
        entries.last_seq = seq;
        entries.size_bytes += size_of(&text);
        entries.texts.push_back(text);
        while entries.size_bytes > limits::MAX_LOG_BYTES && entries.texts.len() > 1 {
            if let Some(dropped) = entries.texts.pop_front() {
                entries.size_bytes -= size_of(&dropped);
            }
        }
        (seq, message)
    }

    /// The number of the last entry; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.lock().last_seq
    }

    /// The numbers after `after_seq`; None when some of those entries are no longer kept, or it lies in the future.
    pub fn after(&self, after_seq: u64) -> Option<RangeInclusive<u64>> {
        let entries = self.lock();
        let missed = entries.last_seq.checked_sub(after_seq)?;
        (missed <= entries.texts.len() as u64).then(|| after_seq + 1..=entries.last_seq)
    }

    /// The encoded entry, while it is kept.
    pub fn get(&self, seq: u64) -> Option<Utf8Bytes> {
        let entries = self.lock();
        let from_end = usize::try_from(entries.last_seq.checked_sub(seq)?).ok()?;
        let index = entries.texts.len().checked_sub(from_end + 1)?;
        entries.texts.get(index).cloned()
    }

    pub fn size_bytes(&self) -> usize {
        self.lock().size_bytes
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Log {
    fn clone(&self) -> Self {
        let entries = Mutex::new(self.lock().clone());
        Self { entries }
    }
}

fn size_of(text: &Utf8Bytes) -> usize {
    text.len() + OVERHEAD_BYTES
}

/// A message as it goes over the wire.
pub fn to_text(message: &impl serde::Serialize) -> Utf8Bytes {
    // Plain structures of strings and numbers always serialize.
    serde_json::to_string(message).unwrap_or_default().into()
}
