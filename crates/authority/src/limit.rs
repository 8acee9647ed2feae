//! Rate limits: a token bucket for each address, for each link that is tried after it was used or with a wrong passcode,
//! and for each host. The table is bounded; hosts that do not fit share one bucket.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// So many at once, and one more after each `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub burst: u32,
    pub every: Duration,
}

/// Buckets by key; at most `capacity` of them.
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    capacity: usize,
    /// When a bucket will be full again. One that is full needs no entry.
    full_at: HashMap<K, Instant>,
    /// Of all who found the table full of buckets in use.
    shared: Option<Instant>,
    /// Looking for buckets that are full again costs a pass over the table.
    next_sweep: Option<Instant>,
}

impl<K: Hash + Eq> Limiter<K> {
    pub fn new(rate: Rate, capacity: usize) -> Self {
        Self {
            rate,
            capacity,
            full_at: HashMap::new(),
            shared: None,
            next_sweep: None,
        }
    }

    /// Takes one token; when there is none, says after what time there is.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        let Rate { burst, every } = self.rate;
        if self.full_at.len() >= self.capacity && self.next_sweep.is_none_or(|at| at <= now) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.next_sweep = Some(now + every);
        }
        let has_room = self.full_at.len() < self.capacity || self.full_at.contains_key(&key);
        let full_at = if has_room {
            self.full_at.entry(key).or_insert(now)
        } else {
            self.shared.get_or_insert(now)
        };
        let taken_until = (*full_at).max(now) + every;
        let missing = taken_until
            .duration_since(now)
            .saturating_sub(every * burst);
        if missing > Duration::ZERO {
            return Err(missing);
        }
        *full_at = taken_until;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 3,
        every: Duration::from_secs(10),
    };

    #[test]
    fn gives_a_burst_and_then_one_at_a_time() {
        let mut limiter = Limiter::new(RATE, 10);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take("a", start), Ok(()));
        }
        assert_eq!(limiter.take("a", start), Err(RATE.every));
        assert_eq!(limiter.take("b", start), Ok(()), "another key");
        let later = start + Duration::from_secs(4);
        assert_eq!(limiter.take("a", later), Err(Duration::from_secs(6)));
        assert_eq!(limiter.take("a", start + RATE.every), Ok(()));
        assert_eq!(limiter.take("a", start + RATE.every), Err(RATE.every));
        // A long pause fills it, and no further.
        let later = start + Duration::from_secs(1_000);
        for _ in 0..3 {
            assert_eq!(limiter.take("a", later), Ok(()));
        }
        assert!(limiter.take("a", later).is_err());
    }

    #[test]
    fn the_table_stays_bounded_and_nobody_flushes_somebody_elses_bucket() {
        let mut limiter = Limiter::new(RATE, 100);
        let start = Instant::now();
        for _ in 0..3 {
            limiter.take(0, start).unwrap();
        }
        let mut refused = 0;
        for key in 1..10_000 {
            refused += u32::from(limiter.take(key, start).is_err());
        }
        assert_eq!(limiter.full_at.len(), 100);
        assert_eq!(refused, 10_000 - 100 - 3, "the others share one bucket");
        assert!(limiter.take(0, start).is_err(), "still limited");
        // Buckets that are full again make room.
        assert_eq!(limiter.take(10_001, start + RATE.every * 3), Ok(()));
        assert_eq!(limiter.full_at.len(), 1);
    }
}
