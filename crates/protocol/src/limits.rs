//! Numbers on which several parts have to agree. Each is defined here and nowhere else.

/// Leaves that a frame's key id can tell apart: it has six bits for them (RFC 9605, section 5.2).
pub const MAX_LEAVES: usize = 1 << 6;

/// Members of a group, and so people who can be invited to a visit, the recorder included. Every leaf below is named by a frame's
/// key id, with two to spare. The relay carries everybody's sound and picture at this size.
pub const MAX_MEMBERS: usize = MAX_LEAVES - 2;

/// How often a recorder tells the members that it is recording.
pub const HEARTBEAT_EVERY_MS: u64 = 1_000;

/// A recorder whose last heartbeat is older is shown as present, not as recording.
pub const HEARTBEAT_FRESH_MS: u64 = 3 * HEARTBEAT_EVERY_MS;

/// How long an upload capability is good for. A spool that is older than that needs a person.
pub const CAPABILITY_DAYS: u64 = 14;
