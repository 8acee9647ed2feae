//! The outcome for a frame, and counts of outcomes.

use std::fmt;

use crate::sframe::Leaf;

/// What became of a frame. There is no outcome by which a frame passes unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The frame is in the buffer and may be handed on.
    Forward(T),
    /// The frame is gone.
    Drop(DropReason),
    /// The frame waits, still encrypted, for the next epoch's key; it comes back, under this
    /// ticket, from [`next_released`](super::FrameEngine::next_released).
    Wait(Ticket),
}

/// Stands for a waiting frame. Tickets are unique among the frames that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u32);

/// A track's handle, unique within its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackHandle(pub u32);

/// What an authentic frame said about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decrypted {
    /// When its sender captured it, in microseconds on the sender's clock.
    pub capture_time_us: u64,
    /// Which simulcast or spatial layer it belongs to.
    pub layer: u8,
}

/// A frame that waited, and its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// The track it arrived on.
    pub track: TrackHandle,
    /// The ticket that stood for it.
    pub ticket: Ticket,
    /// `Forward` or `Drop`, never `Wait`.
    pub outcome: Outcome<Decrypted>,
}

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $reason:ident = $code:literal $name:literal,)*) => {
        /// Why a frame was dropped. Codes and names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $reason = $code,)*
        }

        impl DropReason {
            /// All reasons, in the order of their codes.
            pub const ALL: [Self; { [$($code),*].len() }] = [$(Self::$reason),*];

            /// The reason's name, for reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }
        }

        /// The names as a TypeScript union, in the order of the codes.
        pub const DROP_REASONS_TYPESCRIPT: &str =
            concat!("export type DropReason =" $(, "\n  | \"", $name, "\"")*, ";");
    };
}

drop_reasons! {
    /// Sending: no epoch is chosen for it. Receiving: no live key has this key id.
    NoKey = 1 "no-key",
    /// Sending is stopped, as after a withdrawal.
    Gated = 2 "gated",
    /// Too short for its codec's header, or for SFrame's.
    Malformed = 3 "malformed",
    /// Altered, truncated or forged.
    NotAuthentic = 4 "not-authentic",
    /// A copy of a frame that was accepted before.
    Duplicate = 5 "duplicate",
    /// More than the replay window behind.
    TooOld = 6 "too-old",
    /// Authentic, but from another leaf than the track was announced for.
    WrongSender = 7 "wrong-sender",
    /// Authentic, but of another track of that sender.
    WrongTrack = 8 "wrong-track",
    /// Authentic, but its trailer is not one this version knows.
    UnknownTrailer = 9 "unknown-trailer",
    /// One of our own frames, sent back to us.
    Reflected = 10 "reflected",
    /// Too many frames wait on this track already.
    QueueFull = 11 "queue-full",
    /// The key that the frame waited for did not come in time.
    WaitedTooLong = 12 "waited-too-long",
    /// The track's codec changed to one that cannot be protected.
    UnsupportedCodec = 13 "unsupported-codec",
    /// Longer than any frame we handle.
    TooLarge = 14 "too-large",
    /// No such track, or one of the other direction.
    UnknownTrack = 15 "unknown-track",
    /// The sending key's counter is used up.
    CounterExhausted = 16 "counter-exhausted",
}

impl DropReason {
    /// The reason's number, from 1.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many frames were dropped for which reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

impl DropCounts {
    /// Frames dropped for this reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[usize::from(reason.code()) - 1]
    }

    /// Frames dropped.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL
            .into_iter()
            .map(|reason| (reason, self.of(reason)))
            .filter(|(_, n)| *n > 0)
    }

    pub(super) fn count(&mut self, reason: DropReason) {
        self.0[usize::from(reason.code()) - 1] += 1;
    }
}

/// What happened on a track so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackStats {
    /// Frames encrypted and forwarded.
    pub encrypted: u64,
    /// Frames decrypted and forwarded.
    pub decrypted: u64,
    /// Frames that had to wait for a key; each is counted again when it is released.
    pub waited: u64,
    /// Frames dropped.
    pub dropped: DropCounts,
    /// Who sent the last frame dropped as [`DropReason::WrongSender`]: proven by its key, so worth
    /// telling people.
    pub last_wrong_sender: Option<Leaf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn numbers_drop_reasons_from_one_without_gaps() {
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(reason.code()), index + 1, "{reason}");
            assert!(DROP_REASONS_TYPESCRIPT.contains(&format!("\"{reason}\"")));
        }
    }

    #[test]
    fn counts_each_reason_by_itself() {
        let mut counts = DropCounts::default();
        for reason in DropReason::ALL {
            for _ in 0..reason.code() {
                counts.count(reason);
            }
        }
        for reason in DropReason::ALL {
            assert_eq!(counts.of(reason), u64::from(reason.code()));
        }
        assert_eq!(
            counts.total(),
            (1..=DropReason::ALL.len() as u64).sum::<u64>()
        );
    }
}
