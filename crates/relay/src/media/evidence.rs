//! Whether a line is really congested: loss, or a round trip that got longer.
//!
//! Delay-based estimation (GCC) takes the jitter of a busy machine for a slow line, and its estimate then falls far
//! below what gets through. A low estimate is believed as long as there is other evidence; without any, estimation
//! starts over, ever more rarely when the evidence comes back each time.

use std::time::{Duration, Instant};

const LOSS_SHARE: f32 = 0.02;
const LONGER_ROUND_TRIP: Duration = Duration::from_millis(120);
/// How long evidence counts after it was last seen.
const HOLD: Duration = Duration::from_secs(30);
const MAX_HOLD: Duration = Duration::from_secs(300);
/// How long an estimate must be low without evidence.
const PATIENCE: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub struct Evidence {
    shortest_round_trip: Option<Duration>,
    seen_at: Option<Instant>,
    hold: Duration,
    low_since: Option<Instant>,
    started_over: bool,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            shortest_round_trip: None,
            seen_at: None,
            hold: HOLD,
            low_since: None,
            started_over: false,
        }
    }
}

impl Evidence {
    /// The transport's last second.
    pub fn observe(&mut self, round_trip: Option<Duration>, loss: Option<f32>, now: Instant) {
        let mut is_longer = false;
        if let Some(round_trip) = round_trip {
            let shortest = self
                .shortest_round_trip
                .map_or(round_trip, |shortest| shortest.min(round_trip));
            self.shortest_round_trip = Some(shortest);
            is_longer = round_trip > shortest + LONGER_ROUND_TRIP;
        }
        if is_longer || loss.is_some_and(|loss| loss >= LOSS_SHARE) {
            if std::mem::take(&mut self.started_over) {
                self.hold = (self.hold * 2).min(MAX_HOLD);
            }
            self.seen_at = Some(now);
        }
    }

    pub fn is_congested(&self, now: Instant) -> bool {
        self.seen_at
            .is_some_and(|at| now.duration_since(at) < self.hold)
    }

    /// True when estimation should start over. To be asked a few times a second.
    pub fn should_start_over(&mut self, is_low: bool, now: Instant) -> bool {
        if !is_low || self.is_congested(now) {
            self.low_since = None;
            return false;
        }
        let low_since = *self.low_since.get_or_insert(now);
        if now.duration_since(low_since) < PATIENCE {
            return false;
        }
        self.low_since = None;
        self.started_over = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn starts_over_when_nothing_but_the_estimate_is_bad() {
        let start = Instant::now();
        let mut evidence = Evidence::default();
        evidence.observe(Some(20 * MS), Some(0.0), start);
        evidence.observe(Some(60 * MS), Some(0.01), start);
        assert!(!evidence.should_start_over(true, start));
        assert!(!evidence.should_start_over(true, start + 1000 * MS));
        assert!(evidence.should_start_over(true, start + 1500 * MS));
        assert!(!evidence.should_start_over(true, start + 1750 * MS));
    }

    #[test]
    fn believes_a_low_estimate_with_loss_or_a_longer_round_trip() {
        let start = Instant::now();
        for (round_trip, loss) in [(20 * MS, 0.05), (200 * MS, 0.0)] {
            let mut evidence = Evidence::default();
            evidence.observe(Some(20 * MS), None, start);
            evidence.observe(Some(round_trip), Some(loss), start);
            assert!(evidence.is_congested(start + HOLD - MS));
            assert!(!evidence.should_start_over(true, start));
            assert!(!evidence.should_start_over(true, start + 20_000 * MS));
            assert!(!evidence.is_congested(start + HOLD));
        }
    }

    #[test]
    fn tries_more_rarely_when_the_line_really_is_slow() {
        let start = Instant::now();
        let mut evidence = Evidence::default();
        evidence.should_start_over(true, start);
        assert!(evidence.should_start_over(true, start + PATIENCE));
        let bad = start + PATIENCE;
        evidence.observe(None, Some(0.1), bad);
        assert!(evidence.is_congested(bad + 2 * HOLD - MS));
        assert!(!evidence.is_congested(bad + 2 * HOLD));
    }
}
