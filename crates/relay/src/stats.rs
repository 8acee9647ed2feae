//! Counters for `GET /v1/stats`: how much, never whose.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Shared counters. Packets and bytes are RTP payloads after SRTP, as forwarded.
#[derive(Debug, Default)]
pub struct Stats {
    pub connections: AtomicU64,
    pub connections_total: AtomicU64,
    pub visits: AtomicU64,
    pub messages_received: AtomicU64,
    pub queued_bytes: AtomicU64,
    pub packets_received: AtomicU64,
    pub packets_forwarded: AtomicU64,
    pub bytes_forwarded: AtomicU64,
    pub packets_withheld: AtomicU64,
    pub key_frames_requested: AtomicU64,
    pub media_connections: AtomicU64,
}

/// What the counters read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// WebSockets open now, hello said or not.
    pub connections: u64,
    pub connections_total: u64,
    /// Visits in memory, as of the last sweep.
    pub visits: u64,
    pub messages_received: u64,
    /// Waiting to be written to WebSockets; entries of visits' logs are not counted for each reader.
    pub queued_bytes: u64,
    /// RTP packets from publishers.
    pub packets_received: u64,
    /// RTP packets handed to subscribers; retransmissions not counted.
    pub packets_forwarded: u64,
    /// Payload bytes of those.
    pub bytes_forwarded: u64,
    /// Video packets a subscriber was spared because its line was too slow.
    pub packets_withheld: u64,
    pub key_frames_requested: u64,
    /// Peer connections alive now, publishing and subscribing.
    pub media_connections: u64,
}

impl Stats {
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            connections: self.connections.load(Relaxed),
            connections_total: self.connections_total.load(Relaxed),
            visits: self.visits.load(Relaxed),
            messages_received: self.messages_received.load(Relaxed),
            queued_bytes: self.queued_bytes.load(Relaxed),
            packets_received: self.packets_received.load(Relaxed),
            packets_forwarded: self.packets_forwarded.load(Relaxed),
            bytes_forwarded: self.bytes_forwarded.load(Relaxed),
            packets_withheld: self.packets_withheld.load(Relaxed),
            key_frames_requested: self.key_frames_requested.load(Relaxed),
            media_connections: self.media_connections.load(Relaxed),
        }
    }
}
