//! One subscriber's view of one stream: its own sequence numbers and timestamps (RFC 3550 section 5.1).
//!
//! Inputs: extended sequence numbers and timestamps of the publisher's stream. Outputs: numbers that go on without
//! a jump when packets were withheld or the publisher's stream was replaced. A packet lost on the way to the relay
//! stays a gap, so that a late retransmission still finds its place.

use std::time::Instant;

/// Starts low, so that the first packets cannot roll over before the receiver has seen any (RFC 3711 section 3.3.1).
const FIRST_SEQ: u64 = 1000;
/// Far from 0: sender reports from before the first packet name time 0, and a receiver must see that they do not belong
/// to this clock. WebRTC takes steps of up to 2^25 for one clock, and would map its times wrongly for long.
const FIRST_TIME: u32 = 1 << 30;

#[derive(Debug, Default)]
pub struct Rewriter {
    source: Option<Source>,
    last_out: Option<Out>,
}

/// How one stretch of input maps to output.
#[derive(Debug, Clone, Copy)]
struct Source {
    stream: u64,
    first_seq_in: u64,
    first_seq_out: u64,
    time_offset: u32,
}

#[derive(Debug, Clone, Copy)]
struct Out {
    seq: u64,
    time: u32,
    at: Instant,
}

/// A packet's numbers towards the subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    pub seq: u64,
    pub time: u32,
}

impl Rewriter {
    /// Ends the current stretch: the next packet continues right after the last that was sent.
    pub fn interrupt(&mut self) {
        if let Some(source) = &mut self.source {
            source.first_seq_in = u64::MAX;
        }
    }

    /// Numbers for a packet of `stream`; None for one from before the current stretch.
    pub fn rewrite(
        &mut self,
        stream: u64,
        seq: u64,
        time: u32,
        now: Instant,
        clock_rate_hz: u32,
    ) -> Option<Rewritten> {
        let source = match self.source {
            Some(source) if source.stream == stream && source.first_seq_in != u64::MAX => source,
            previous => self.begin(previous, stream, seq, time, now, clock_rate_hz),
        };
        let out = Rewritten {
            seq: source.first_seq_out + seq.checked_sub(source.first_seq_in)?,
            time: time.wrapping_add(source.time_offset),
        };
        if self.last_out.is_none_or(|last| out.seq > last.seq) {
            self.last_out = Some(Out {
                seq: out.seq,
                time: out.time,
                at: now,
            });
        }
        Some(out)
    }

    fn begin(
        &mut self,
        previous: Option<Source>,
        stream: u64,
        seq: u64,
        time: u32,
        now: Instant,
        clock_rate_hz: u32,
    ) -> Source {
        let first_seq_out = self.last_out.map_or(FIRST_SEQ, |last| last.seq + 1);
        let time_offset = match (previous, self.last_out) {
            // The same stream goes on: its clock ran on while its packets were withheld.
            (Some(previous), _) if previous.stream == stream => previous.time_offset,
            (_, Some(last)) => {
                let elapsed_us = now.saturating_duration_since(last.at).as_micros();
                let ticks = elapsed_us * u128::from(clock_rate_hz) / 1_000_000;
                // Modulo 2^32, as RTP timestamps are; at least one frame's step.
                let next = last
                    .time
                    .wrapping_add((ticks as u32).max(clock_rate_hz / 100));
                next.wrapping_sub(time)
            }
            (_, None) => FIRST_TIME.wrapping_sub(time),
        };
        let source = Source {
            stream,
            first_seq_in: seq,
            first_seq_out,
            time_offset,
        };
        self.source = Some(source);
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const VIDEO_HZ: u32 = 90_000;

    #[test]
    fn keeps_gaps_so_that_late_packets_find_their_place() {
        let now = Instant::now();
        let mut rewriter = Rewriter::default();
        let mut seq = |seq_in| rewriter.rewrite(1, seq_in, 0, now, VIDEO_HZ).unwrap().seq;
        assert_eq!([seq(70_000), seq(70_002), seq(70_001)], [1000, 1002, 1001]);
    }

    #[test]
    fn drops_packets_from_before_the_first() {
        let now = Instant::now();
        let mut rewriter = Rewriter::default();
        rewriter.rewrite(1, 500, 0, now, VIDEO_HZ).unwrap();
        assert_eq!(rewriter.rewrite(1, 499, 0, now, VIDEO_HZ), None);
    }

    #[test]
    fn goes_on_without_a_jump_after_an_interruption() {
        let now = Instant::now();
        let mut rewriter = Rewriter::default();
        rewriter.rewrite(1, 10, 3000, now, VIDEO_HZ).unwrap();
        rewriter.interrupt();
        let next = rewriter.rewrite(1, 90, 93_000, now, VIDEO_HZ).unwrap();
        // The clock ran on: a second of picture was withheld.
        assert_eq!(
            next,
            Rewritten {
                seq: 1001,
                time: FIRST_TIME + 90_000
            }
        );
        assert_eq!(rewriter.rewrite(1, 11, 6000, now, VIDEO_HZ), None);
    }

    #[test]
    fn continues_time_by_the_wall_clock_when_the_stream_is_replaced() {
        let now = Instant::now();
        let mut rewriter = Rewriter::default();
        rewriter
            .rewrite(1, 10, u32::MAX - 100, now, VIDEO_HZ)
            .unwrap();
        let later = now + Duration::from_secs(1);
        let next = rewriter.rewrite(2, 40_000, 7, later, VIDEO_HZ).unwrap();
        assert_eq!(next.seq, 1001);
        assert_eq!(next.time, FIRST_TIME + 90_000);
        let after = rewriter.rewrite(2, 40_001, 3007, later, VIDEO_HZ).unwrap();
        assert_eq!(
            after,
            Rewritten {
                seq: 1002,
                time: next.time.wrapping_add(3000)
            }
        );
    }
}
