//! The events track: marks, who is there, and what is missing, as JSON lines, sealed like any other track.
//!
//! Free text and names stand here and nowhere else. A reader skips lines that it does not know.

use sealed_visit_protocol::ParticipantId;
use sealed_visit_protocol::pass::Role;
use serde::{Deserialize, Serialize};

/// Media type of an events track: JSON lines.
pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventLine {
    /// Media time, microseconds since the part's start.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Somebody marked this moment.
    Mark {
        /// Their words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Who is in the visit from now on.
    Roster {
        /// Everybody but the recorder.
        people: Vec<Person>,
    },
    /// A participant's sound or picture did not arrive in what is sealed.
    Missing {
        /// Whose.
        participant: ParticipantId,
        /// `sound` or `picture`.
        what: String,
    },
    /// Too few of a participant's pictures came into what is sealed to follow a face.
    FewPictures {
        /// Whose.
        participant: ParticipantId,
        /// How many in the second before.
        pictures_per_s: f64,
        /// Why: `device` (the recorder's is too slow) or `line`.
        cause: String,
    },
    /// A line of a later version.
    #[serde(other)]
    Unknown,
}

/// A participant as the members know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Opaque id.
    pub participant: ParticipantId,
    /// What they are in the visit.
    pub role: Role,
    /// Display name, as opened inside the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The lines as bytes for one slice.
pub fn encode_events(lines: &[EventLine]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        // Plain structures with string keys: serializing them into memory cannot fail.
        if serde_json::to_writer(&mut bytes, line).is_ok() {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// The lines of opened slices; those that are no events are left out.
pub fn parse_events(bytes: &[u8]) -> Vec<EventLine> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}
