//! What one pass and one address may send, however often they connect.
//!
//! Budgets are token buckets, kept by what a client cannot change at will: the participant whom
//! its pass names, within its visit, and the network that it comes from. A connection only draws on them, so a new connection starts where the last
//! one stopped. Hellos have a separate budget per address, so clients without a pass cannot use up what the people
//! behind the same address send in their visits.
//!
//! Being over a budget costs time and nothing else. [`Budgets`] says how long to wait; the caller does not read the
//! socket meanwhile.

use crate::admission::Admitted;
use crate::limits::MAX_HELLO_WAIT;
use sealed_visit_protocol::{ParticipantId, VisitId};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub messages_per_s: f64,
    pub messages_burst: f64,
    pub bytes_per_s: f64,
    pub bytes_burst: f64,
}

/// Messages of one participant.
pub const OF_A_PASS: Rate = Rate {
    messages_per_s: 50.0,
    messages_burst: 300.0,
    bytes_per_s: 512.0 * 1024.0,
    bytes_burst: 4.0 * 1024.0 * 1024.0,
};
/// Messages of everybody behind one address: a clinic, or a proxy that is not declared as trusted.
pub const OF_AN_ADDRESS: Rate = Rate {
    messages_per_s: 1000.0,
    messages_burst: 6000.0,
    bytes_per_s: 10.0 * 1024.0 * 1024.0,
    bytes_burst: 80.0 * 1024.0 * 1024.0,
};
/// Hellos from one address. The burst lets every connection that an address may have come back at once.
pub const HELLOS_OF_AN_ADDRESS: Rate = Rate {
    messages_per_s: 50.0,
    messages_burst: 600.0,
    bytes_per_s: 1024.0 * 1024.0,
    bytes_burst: 8.0 * 1024.0 * 1024.0,
};
/// A hello is answered with the visit's state and announced to everybody, so it costs its pass as much as this many
/// messages.
pub const HELLO_COST_MESSAGES: f64 = 10.0;

/// Buckets kept at a time; far more than can be in use with [`crate::limits::MAX_CONNECTIONS`].
const MAX_BUCKETS: usize = 1 << 16;
/// When a table is full, no more often than this is it searched for room.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Nothing was booked: the wait would be too long, or no bucket could be kept for a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// The budgets of one relay.
#[derive(Debug)]
pub struct Budgets {
    passes: Table<(VisitId, ParticipantId)>,
    addresses: Table<IpAddr>,
    hellos: Table<IpAddr>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            passes: Table::new(OF_A_PASS, MAX_BUCKETS),
            addresses: Table::new(OF_AN_ADDRESS, MAX_BUCKETS),
            hellos: Table::new(HELLOS_OF_AN_ADDRESS, MAX_BUCKETS),
        }
    }
}

impl Budgets {
    /// Books a hello from an address, before anything is known of its sender.
    pub fn hello(
        &self,
        address: IpAddr,
        size_bytes: usize,
        now: Instant,
    ) -> Result<Duration, Exhausted> {
        self.hellos
            .spend(address, 1.0, size_bytes, MAX_HELLO_WAIT, now)
    }

    /// Books a hello on the pass that it showed.
    pub fn admitted(&self, who: &Admitted, now: Instant) -> Result<Duration, Exhausted> {
        self.passes
            .spend(key_of(who), HELLO_COST_MESSAGES, 0, MAX_HELLO_WAIT, now)
    }

    /// Books a message on its sender's pass and address.
    pub fn message(
        &self,
        who: &Admitted,
        address: IpAddr,
        size_bytes: usize,
        now: Instant,
    ) -> Result<Duration, Exhausted> {
        // It was received and will be handled: it counts, however long the wait.
        let longest = Duration::MAX;
        let of_pass = self
            .passes
            .spend(key_of(who), 1.0, size_bytes, longest, now)?;
        let of_address = self
            .addresses
            .spend(address, 1.0, size_bytes, longest, now)?;
        Ok(of_pass.max(of_address))
    }

    /// Forgets clients that were idle lately. Call it every few seconds.
    pub fn sweep(&self, now: Instant) {
        self.passes.sweep(now);
        self.addresses.sweep(now);
        self.hellos.sweep(now);
    }
}

/// Not the pass's key: the authority binds passes to as many keys as a page asks for.
fn key_of(who: &Admitted) -> (VisitId, ParticipantId) {
    (who.visit, who.participant)
}

#[derive(Debug)]
struct Table<K> {
    rate: Rate,
    capacity: usize,
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    of: HashMap<K, Bucket>,
    swept_at: Option<Instant>,
}

#[derive(Debug)]
struct Bucket {
    messages: f64,
    bytes: f64,
    refilled_at: Instant,
}

impl<K: Eq + Hash> Table<K> {
    fn new(rate: Rate, capacity: usize) -> Self {
        Self {
            rate,
            capacity,
            buckets: Mutex::new(Buckets {
                of: HashMap::new(),
                swept_at: None,
            }),
        }
    }

    /// Books, and returns how long the sender must wait. Concurrent senders queue: each booking stands.
    /// What would have to wait for longer than `longest` is not booked, so that the refused do not prolong the wait.
    fn spend(
        &self,
        key: K,
        messages: f64,
        size_bytes: usize,
        longest: Duration,
        now: Instant,
    ) -> Result<Duration, Exhausted> {
        let rate = &self.rate;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.of.len() >= self.capacity && !buckets.of.contains_key(&key) {
            let is_due = |at: Instant| now.saturating_duration_since(at) >= SWEEP_INTERVAL;
            if buckets.swept_at.is_none_or(is_due) {
                buckets.sweep(rate, now);
            }
            // A bucket in use is never dropped for another: its owner would start with a full one.
            if buckets.of.len() >= self.capacity {
                return Err(Exhausted);
            }
        }
        let bucket = buckets
            .of
            .entry(key)
            .or_insert_with(|| Bucket::full(rate, now));
        bucket.refill(rate, now);
        let (messages, bytes) = (bucket.messages - messages, bucket.bytes - size_bytes as f64);
        let wait_s = (-messages / rate.messages_per_s).max(-bytes / rate.bytes_per_s);
        let wait = Duration::from_secs_f64(wait_s.max(0.0));
        if wait > longest {
            return Err(Exhausted);
        }
        (bucket.messages, bucket.bytes) = (messages, bytes);
        Ok(wait)
    }

    fn sweep(&self, now: Instant) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.sweep(&self.rate, now);
    }
}

impl<K> Buckets<K> {
    /// A bucket that is full again says what none at all says.
    fn sweep(&mut self, rate: &Rate, now: Instant) {
        self.swept_at = Some(now);
        self.of.retain(|_, bucket| {
            bucket.refill(rate, now);
            !bucket.is_full(rate)
        });
    }
}

impl Bucket {
    fn full(rate: &Rate, now: Instant) -> Self {
        Self {
            messages: rate.messages_burst,
            bytes: rate.bytes_burst,
            refilled_at: now,
        }
    }

    fn refill(&mut self, rate: &Rate, now: Instant) {
        let elapsed_s = now
            .saturating_duration_since(self.refilled_at)
            .as_secs_f64();
        self.refilled_at = self.refilled_at.max(now);
        self.messages = (self.messages + elapsed_s * rate.messages_per_s).min(rate.messages_burst);
        self.bytes = (self.bytes + elapsed_s * rate.bytes_per_s).min(rate.bytes_burst);
    }

    fn is_full(&self, rate: &Rate) -> bool {
        self.messages >= rate.messages_burst && self.bytes >= rate.bytes_burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Result<Duration, Exhausted> = Ok(Duration::ZERO);

    const LONG: Duration = Duration::from_secs(60);

    fn table(capacity: usize) -> Table<u32> {
        Table::new(OF_A_PASS, capacity)
    }

    #[test]
    fn slows_down_after_the_burst_and_recovers() {
        let (start, table) = (Instant::now(), table(8));
        for _ in 0..300 {
            assert_eq!(table.spend(1, 1.0, 10, LONG, start), NONE);
        }
        let wait = table.spend(1, 1.0, 10, LONG, start).unwrap();
        assert!(wait > Duration::from_millis(15) && wait < Duration::from_millis(25));
        let later = start + Duration::from_secs(1);
        assert_eq!(table.spend(1, 1.0, 10, LONG, later), NONE);
    }

    #[test]
    fn counts_bytes_as_well_as_messages() {
        let (start, table) = (Instant::now(), table(8));
        for _ in 0..4 {
            assert_eq!(table.spend(1, 1.0, 1 << 20, LONG, start), NONE);
        }
        let wait = table.spend(1, 1.0, 1 << 20, LONG, start);
        assert_eq!(wait, Ok(Duration::from_secs(2)));
        // Another connection of the same sender waits behind that one.
        let wait = table.spend(1, 1.0, 1 << 20, LONG, start);
        assert_eq!(wait, Ok(Duration::from_secs(4)));
        assert_eq!(table.spend(2, 1.0, 1 << 20, LONG, start), NONE);
    }

    #[test]
    fn a_full_table_forgets_nobody_who_would_gain_by_it() {
        let (start, table) = (Instant::now(), table(8));
        for key in 0..8 {
            assert_eq!(table.spend(key, 300.0, 0, LONG, start), NONE);
        }
        assert_eq!(table.spend(8, 1.0, 0, LONG, start), Err(Exhausted));
        // Those who are known go on, at their own pace.
        assert!(table.spend(0, 1.0, 0, LONG, start).unwrap() > Duration::ZERO);
        let halfway = start + Duration::from_secs(3);
        assert_eq!(table.spend(8, 1.0, 0, LONG, halfway), Err(Exhausted));
        // All but the first are full again after six seconds.
        let later = start + Duration::from_secs(6);
        assert_eq!(table.spend(8, 1.0, 0, LONG, later), NONE);
        let buckets = table.buckets.lock().unwrap();
        assert_eq!(buckets.of.len(), 2, "the one in debt, and the new one");
    }

    #[test]
    fn nothing_is_left_of_those_who_went() {
        let (start, budgets) = (Instant::now(), Budgets::default());
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        for last in 0..200 {
            assert_eq!(budgets.hello(address(last), 1000, start), NONE);
        }
        budgets.sweep(start);
        assert_eq!(budgets.hellos.buckets.lock().unwrap().of.len(), 200);
        budgets.sweep(start + Duration::from_secs(60));
        assert!(budgets.hellos.buckets.lock().unwrap().of.is_empty());
    }

    #[test]
    fn a_pass_for_another_key_brings_no_other_budget() {
        let (start, budgets) = (Instant::now(), Budgets::default());
        let people = crate::visit::tests::people(2);
        let (mut again, address) = (people[0].clone(), IpAddr::from([192, 0, 2, 1]));
        again.pass = people[1].pass.clone();
        assert_ne!(again.pass.key(), people[0].pass.key());
        for _ in 0..4 {
            assert_eq!(budgets.message(&people[0], address, 1 << 20, start), NONE);
        }
        let wait = budgets.message(&again, address, 1 << 20, start);
        assert_eq!(wait, Ok(Duration::from_secs(2)));
        assert_eq!(budgets.message(&people[1], address, 1 << 20, start), NONE);
    }

    #[test]
    fn hellos_without_a_pass_use_up_nothing_that_visits_need() {
        let (start, budgets) = (Instant::now(), Budgets::default());
        let address = IpAddr::from([192, 0, 2, 1]);
        let answers = (0..10_000).map(|_| budgets.hello(address, 100, start));
        assert_eq!(answers.last(), Some(Err(Exhausted)));
        // Refused clients do not prolong the wait of later ones.
        let later = start + MAX_HELLO_WAIT + Duration::from_secs(1);
        assert_eq!(budgets.hello(address, 100, later), NONE);
        let other = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(budgets.hello(other, 100, start), NONE);
        assert_eq!(
            budgets.addresses.spend(address, 1.0, 100, LONG, start),
            NONE
        );
    }
}
