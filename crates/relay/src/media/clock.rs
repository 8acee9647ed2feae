//! A sender's clock on the relay's: lets sound and picture of one sender stay together.
//!
//! Receivers align tracks by sender reports (RFC 3550 section 6.4.1), which the relay rewrites. Arrival times
//! would carry the jitter of the way into them; so the sender's own reports are mapped to the relay's clock with
//! one offset for all its tracks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use str0m::rtp::RtpPacket;

/// How fast the offset may drift towards later arrivals: clocks differ by some 50 ppm.
const DRIFT_PPM: u128 = 100;

#[derive(Debug, Default)]
pub struct SenderClock {
    /// The relay's instant that belongs to a sender's time; the least delayed packet so far defines it.
    anchor: Option<Anchor>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    instant: Instant,
    sender_us: u128,
}

impl SenderClock {
    /// When a packet was sent, on the relay's clock. Arrival time until the sender's first report.
    pub fn wallclock(&mut self, packet: &RtpPacket) -> Instant {
        let arrival = packet.timestamp;
        let Some(report) = &packet.last_sender_info else {
            return arrival;
        };
        let rate = u128::from(packet.time.frequency().get());
        let (then, time) = (report.rtp_time.numer(), packet.time.numer());
        // Low 32 bits: both are extended from different beginnings.
        let ticks = (time as u32).wrapping_sub(then as u32) as i32;
        let ticks_us = u128::from(ticks.unsigned_abs()) * 1_000_000 / rate.max(1);
        let report_us = micros(report.ntp_time);
        let sender_us = if ticks >= 0 {
            report_us + ticks_us
        } else {
            report_us.saturating_sub(ticks_us)
        };
        self.map(sender_us, arrival)
    }

    fn map(&mut self, sender_us: u128, arrival: Instant) -> Instant {
        let Some(anchor) = self.anchor else {
            self.anchor = Some(Anchor {
                instant: arrival,
                sender_us,
            });
            return arrival;
        };
        let Some(expected) = shift(anchor.instant, anchor.sender_us, sender_us) else {
            return arrival;
        };
        if arrival <= expected {
            // Faster than any before: the new measure of the way's shortest time.
            self.anchor = Some(Anchor {
                instant: arrival,
                sender_us,
            });
            return arrival;
        }
        let late = arrival.duration_since(expected);
        if late > Duration::from_secs(5) {
            // The sender's clock was set, or it slept.
            self.anchor = None;
            return arrival;
        }
        let since_us = sender_us.saturating_sub(anchor.sender_us);
        let drift = Duration::from_micros((since_us * DRIFT_PPM / 1_000_000) as u64).min(late);
        if drift >= Duration::from_millis(1) {
            self.anchor = Some(Anchor {
                instant: expected + drift,
                sender_us,
            });
        }
        expected + drift
    }
}

fn shift(instant: Instant, from_us: u128, to_us: u128) -> Option<Instant> {
    let difference = Duration::from_micros(u64::try_from(from_us.abs_diff(to_us)).ok()?);
    if to_us >= from_us {
        instant.checked_add(difference)
    } else {
        instant.checked_sub(difference)
    }
}

fn micros(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_jitter_out_of_arrival_times() {
        let start = Instant::now();
        let mut clock = SenderClock::default();
        let ms = Duration::from_millis;
        assert_eq!(clock.map(1_000_000, start), start);
        // 20 ms later at the sender, 60 ms later here.
        assert_eq!(
            clock.map(1_020_000, start + ms(60)),
            start + ms(20) + Duration::from_micros(2)
        );
        // A faster packet sets the measure.
        assert_eq!(clock.map(1_040_000, start + ms(30)), start + ms(30));
        assert_eq!(
            clock.map(1_060_000, start + ms(90)),
            start + ms(50) + Duration::from_micros(2)
        );
    }

    #[test]
    fn starts_anew_when_the_senders_clock_was_set() {
        let start = Instant::now();
        let mut clock = SenderClock::default();
        clock.map(100_000_000, start);
        let later = start + Duration::from_secs(10);
        assert_eq!(clock.map(100_000_001, later), later);
        assert_eq!(
            clock.map(100_020_001, later + Duration::from_millis(20)),
            later + Duration::from_millis(20)
        );
    }
}
