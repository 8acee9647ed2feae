//! What one participant, one visit and the whole relay may take up.
//!
//! A size over its limit ends the connection with `too_much`; a rate over its limit only slows the sender down
//! (its socket is not read), so that no handshake message is ever lost to a limit.

use std::time::{Duration, Instant};

/// A WebSocket message, before it is parsed. A commit with welcomes for 62 members stays below it.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
pub const MAX_GROUP_ID_BYTES: usize = 64;
pub const MAX_KEY_PACKAGE_BYTES: usize = 64 << 10;
pub const MAX_APP_BYTES: usize = 256 << 10;
pub const MAX_DIRECT_BYTES: usize = 256 << 10;
pub const MAX_SDP_BYTES: usize = 256 << 10;
/// Tracks of one participant: microphone, camera, screen with sound, and some to spare.
pub const MAX_TRACKS: usize = 8;
/// Length of a track's name as its sender chose it.
pub const MAX_TRACK_NAME_BYTES: usize = 64;
/// Groups of one visit. A group is left for a new one when somebody breaks a rule, so an honest visit has a handful. At
/// the limit the visit keeps its current group and gets no other: ids are never forgotten to make room.
pub const MAX_GROUPS: usize = 1024;
/// Groups of one participant in one visit.
pub const MAX_GROUPS_OF_ONE: usize = 128;
/// A frame's key id has six bits for the leaf (RFC 9605 section 5.2).
pub const MAX_PARTICIPANTS: usize = 64;
/// What a visit's log keeps; the oldest entries go first.
pub const MAX_LOG_BYTES: usize = 32 << 20;
/// What may wait for one slow reader: a whole log in base64, and some.
pub const MAX_QUEUED_BYTES: usize = MAX_LOG_BYTES / 3 * 4 + (8 << 20);
/// Welcomes of one visit that wait for addressees who are away. One that has no room is not kept: its addressee asks to
/// be let in again.
pub const MAX_UNDELIVERED_BYTES: usize = 2 << 20;
/// Visits of which the relay remembers that they are over. The oldest goes first; a pass for it outlives the visit by two
/// hours at most.
pub const MAX_TOMBSTONES: usize = 1 << 16;
pub const MAX_CONNECTIONS: usize = 4096;
pub const MAX_VISITS: usize = 2048;

/// How long a new connection may take to say hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
pub const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Silence after which a connection is dead: a dead one must be noticed within 10 s.
pub const DEAD_AFTER: Duration = Duration::from_secs(8);
/// How long media goes on while its participant's WebSocket is away.
pub const MEDIA_GRACE: Duration = Duration::from_secs(15);

const MESSAGES_PER_SECOND: f64 = 50.0;
const MESSAGES_BURST: f64 = 300.0;
const BYTES_PER_SECOND: f64 = 512.0 * 1024.0;
const BYTES_BURST: f64 = 4.0 * 1024.0 * 1024.0;

/// A token bucket over messages and bytes of one connection.
#[derive(Debug)]
pub struct Pace {
    messages: f64,
    bytes: f64,
    refilled_at: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self {
            messages: MESSAGES_BURST,
            bytes: BYTES_BURST,
            refilled_at: now,
        }
    }

    /// Books one message and says how long to wait before the next is read.
    pub fn spend(&mut self, size_bytes: usize, now: Instant) -> Duration {
        let elapsed_s = now.duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = now;
        self.messages = (self.messages + elapsed_s * MESSAGES_PER_SECOND).min(MESSAGES_BURST) - 1.0;
        self.bytes =
            (self.bytes + elapsed_s * BYTES_PER_SECOND).min(BYTES_BURST) - size_bytes as f64;
        let wait_s = (-self.messages / MESSAGES_PER_SECOND).max(-self.bytes / BYTES_PER_SECOND);
        Duration::from_secs_f64(wait_s.max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slows_down_after_the_burst_and_recovers() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..300 {
            assert_eq!(pace.spend(10, start), Duration::ZERO);
        }
        let wait = pace.spend(10, start);
        assert!(wait > Duration::from_millis(15) && wait < Duration::from_millis(25));
        assert_eq!(
            pace.spend(10, start + Duration::from_secs(1)),
            Duration::ZERO
        );
    }

    #[test]
    fn counts_bytes_as_well_as_messages() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..4 {
            assert_eq!(pace.spend(1 << 20, start), Duration::ZERO);
        }
        assert_eq!(pace.spend(1 << 20, start), Duration::from_secs(2));
    }
}
