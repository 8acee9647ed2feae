//! What one participant, one visit and the whole relay may take up.
//!
//! A size over its limit ends the connection with `too_much`; a rate over its limit ([`budget`](crate::budget)) only slows
//! the sender down (its socket is not read), so that no handshake message is ever lost to a limit.

use std::time::Duration;

/// A WebSocket message, before it is parsed. A commit with welcomes for 62 members stays below it.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// The first message of a connection, from somebody unknown: a pass and a proof are a few kilobytes.
pub const MAX_HELLO_BYTES: usize = 32 << 10;
/// What a connection may bring in all before its hello was good: nothing larger is kept for somebody unknown.
pub const MAX_BYTES_BEFORE_HELLO: usize = 2 * MAX_HELLO_BYTES;
/// What each connection reads into.
pub const READ_BUFFER_BYTES: usize = 16 << 10;
pub const MAX_GROUP_ID_BYTES: usize = 64;
/// One that a page makes has some 1.5 KB. Everybody who connects is sent those of all who wait.
pub const MAX_KEY_PACKAGE_BYTES: usize = 16 << 10;
pub const MAX_APP_BYTES: usize = 256 << 10;
pub const MAX_DIRECT_BYTES: usize = 256 << 10;
pub const MAX_SDP_BYTES: usize = 256 << 10;
/// An answer to [`MAX_SECTIONS`] of the relay's own sections.
pub const MAX_ANSWER_BYTES: usize = 512 << 10;
/// Lines of an offer that the WebRTC library reads: reading them stops all visits' media meanwhile. A page's has some 50 in
/// each section.
pub const MAX_OFFER_LINES: usize = 4096;
/// Lines of an answer for each section of the relay's offer; browsers need some 40.
pub const MAX_ANSWER_LINES_OF_SECTION: usize = 96;
/// RTP streams (SSRCs) that one publishing connection ever announces or sends: a track has two.
pub const MAX_STREAMS: usize = 256;
/// Tracks of one participant: microphone, camera, screen with sound, and some to spare.
pub const MAX_TRACKS: usize = 8;
/// Tracks of one visit.
pub const MAX_TRACKS_OF_VISIT: usize = 64;
/// Tracks that a participant may have even then: sound and a picture.
pub const FAIR_TRACKS: usize = 2;
/// Sections of what the relay offers to one receiver, parked ones included: one for each track that there can be, and some.
pub const MAX_SECTIONS: usize = 192;
/// Descriptions of one participant that wait for the media side.
pub const MAX_PENDING_SIGNALS: usize = 8;
/// Addresses from which one media connection is reached; the oldest is forgotten first.
pub const MAX_ROUTES: usize = 16;
/// Length of a track's name as its sender chose it.
pub const MAX_TRACK_NAME_BYTES: usize = 64;
/// Groups of one visit. A group is left for a new one when somebody breaks a rule, so an honest visit has a handful. At
/// the limit the visit keeps its current group and gets no other: ids are never forgotten to make room.
pub const MAX_GROUPS: usize = 1024;
/// Groups of one participant in one visit.
pub const MAX_GROUPS_OF_ONE: usize = 128;
/// Participants of one visit, over all its groups, whom the relay knows to have been let in. Beyond that it forgets those
/// who are neither connected, nor clinicians, nor in the group.
pub const MAX_ADMITTED: usize = 4 * MAX_PARTICIPANTS;
/// Connected at once. The relay does not see who is a member: it counts leaves that keys can name.
pub const MAX_PARTICIPANTS: usize = sealed_visit_protocol::limits::MAX_LEAVES;
/// What a visit's log keeps, encoded as it is sent; the oldest entries go first.
pub const MAX_LOG_BYTES: usize = 32 << 20;
/// What may wait for one slow reader, entries of the log not counted: those are read from the log when they are written.
pub const MAX_QUEUED_BYTES: usize = 8 << 20;
/// What may wait for all readers of one visit.
pub const MAX_QUEUED_BYTES_OF_VISIT: usize = 64 << 20;
/// What a reader may have waiting even then.
pub const FAIR_QUEUED_BYTES: usize = 2 << 20;
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
/// Whoever owes a longer wait than this is refused for now: the connection would only take up room.
pub const MAX_HELLO_WAIT: Duration = Duration::from_secs(20);
pub const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Silence after which a connection is dead: a dead one must be noticed within 10 s.
pub const DEAD_AFTER: Duration = Duration::from_secs(8);
/// How long a connection that is being closed may take to read what was sent before.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// What the system holds of a connection before a write has to wait. More would keep pings waiting behind it on a slow line
/// for longer than [`DEAD_AFTER`].
pub const SEND_BUFFER_BYTES: usize = 128 << 10;
/// How long media goes on while its participant's WebSocket is away.
pub const MEDIA_GRACE: Duration = Duration::from_secs(15);
