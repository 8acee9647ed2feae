//! What cannot be read, and how much of it is put up with.
//!
//! Whoever cannot read a message of its own epoch leaves for a new group: a relay may have led its author into another
//! epoch of the same number. A member could abuse that, by garbage, to keep everybody from a quiet visit: so it counts
//! for whom this happens, and how often.

use sealed_visit_protocol::ParticipantId;
use sealed_visit_protocol::sorted::SortedMap;

/// So often the group is left because of what somebody sent, in [`PERIOD_MS`].
const FORGIVEN: u32 = 3;

const PERIOD_MS: u64 = 10 * 60 * 1000;

/// Whose messages could not be read, how often, and since when.
#[derive(Clone, Default)]
pub(super) struct Garbled(SortedMap<ParticipantId, (u32, u64)>);

impl Garbled {
    /// Counts one more by `from`, and says whether it is one too many.
    pub(super) fn too_often(&mut self, from: ParticipantId, now_ms: u64) -> bool {
        let (count, since_ms) = self.0.get_or_insert(from, (0, now_ms));
        if now_ms >= *since_ms + PERIOD_MS {
            (*count, *since_ms) = (0, now_ms);
        }
        *count += 1;
        *count > FORGIVEN
    }
}
