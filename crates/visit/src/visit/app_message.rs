//! What members tell each other inside the group: MLS application messages, JSON inside.

use super::output::RecorderLeft;
use super::recording::Words;
use sealed_visit_protocol::consent::{PlaceClaims, RequestClaims, StatementClaims};
use sealed_visit_protocol::{B64, Hash32, Jws, RoundId, json, tagged_enum};
use serde::Serialize;

tagged_enum! {
    /// One application message. Unknown kinds are ignored; the sender is the MLS leaf.
    #[derive(Debug, Clone, Serialize)]
    #[serde(tag = "m", rename_all = "snake_case")]
    pub(super) enum AppMessage("AppMessage", tag = "m") {
        /// Opens the pass's name commitment, and proves the epoch to a newcomer.
        Hello {
            name: String,
            salt: B64,
            proof: Hash32,
        },
        /// This member has the epoch's keys.
        Confirm { proof: Hash32 },
        /// The host's request, with the words of its texts.
        Request {
            request: Jws<RequestClaims>,
            words: Words,
        },
        /// The texts of the current round, for late joiners.
        Texts {
            round: RoundId,
            words: Words,
            places: Vec<Jws<PlaceClaims>>,
        },
        /// The host confirms a place.
        Place { place: Jws<PlaceClaims> },
        /// A grant, refusal or withdrawal, for the committer to put into the group.
        Statement { statement: Jws<StatementClaims> },
        /// Said before the recorder is removed.
        RecorderStop { why: RecorderLeft },
        /// Recording goes on soon.
        Resuming { in_ms: u64 },
        /// The person who paused agrees to resume.
        AgreeResume,
        /// The recorder is alive; an older count never replaces a newer.
        Heartbeat {
            epoch: u64,
            count: u64,
            part: u32,
            segments: u64,
            sealed_media_us: u64,
        },
        /// Goes; the committer removes it.
        Leaving,
        /// A clinician ends the visit for all.
        Ending,
        /// The embedder's bytes.
        Data { data: B64 },
    }
}

impl AppMessage {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        json::from_slice(bytes).ok()
    }
}
