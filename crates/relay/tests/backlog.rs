//! What waits for readers: a whole log for slow ones, and how little of it is held for each.

mod common;

use common::{Client, Holder, TestRelay, new_visit};
use futures_util::StreamExt as _;
use sealed_visit_protocol::Role;
use sealed_visit_protocol::wire::{ClientMessage, RelayErrorCode, RelayMessage};
use sealed_visit_relay::limits;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio_tungstenite::MaybeTlsStream;

const GROUP: &[u8] = b"group";

/// A visit whose log has no room for another entry of the largest size, with the number of its last entry.
struct FullVisit {
    relay: TestRelay,
    members: Vec<Holder>,
    last_seq: u64,
}

impl FullVisit {
    async fn new() -> Self {
        let relay = TestRelay::start().await;
        let visit = new_visit();
        let clinician = relay.clinic.pass(visit, Role::Clinician);
        let members: Vec<Holder> = (0..12)
            .map(|_| relay.clinic.pass(visit, Role::Guest))
            .collect();
        let mut host = relay.connect(&clinician).await;
        host.create_group(GROUP, None).await;
        let mut waiting = Vec::new();
        for member in &members {
            waiting.push(relay.connect(member).await);
        }
        let ids: Vec<_> = members.iter().map(|it| it.participant).collect();
        host.commit(GROUP, 0, &ids).await;
        host.drain().await;
        drop(host);
        drop(waiting);
        let mut last_seq = 2;
        // Each within the burst of its pass.
        let encoded = limits::MAX_APP_BYTES / 3 * 4 + 400;
        let mut left = limits::MAX_LOG_BYTES / encoded;
        for member in &members {
            let count = left.min(11);
            if count == 0 {
                break;
            }
            let mut client = relay.connect(member).await;
            for _ in 0..count {
                client.app(GROUP, 1, &vec![7; limits::MAX_APP_BYTES]).await;
            }
            last_seq += count as u64;
            left -= count;
            client.until_entry(last_seq).await;
            client.socket.close(None).await.unwrap();
        }
        assert_eq!(left, 0);
        Self {
            relay,
            members,
            last_seq,
        }
    }
}

impl Client {
    async fn until_entry(&mut self, last: u64) {
        while entry_seq(&self.next().await) != Some(last) {}
    }
}

fn entry_seq(message: &RelayMessage) -> Option<u64> {
    match message {
        RelayMessage::GroupCreated { seq, .. }
        | RelayMessage::Commit { seq, .. }
        | RelayMessage::App { seq, .. } => Some(*seq),
        RelayMessage::Error { code, detail } => panic!("{code:?}: {detail}"),
        _ => None,
    }
}

#[tokio::test]
async fn a_full_log_arrives_whole_over_a_slow_reader() {
    let full = FullVisit::new().await;
    // A small window: the relay has to wait for this reader all the time.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let stream = socket.connect(full.relay.relay.address()).await.unwrap();
    let url = format!("ws://{}/v1/visit", full.relay.relay.address());
    let (socket, _) = tokio_tungstenite::client_async(url, MaybeTlsStream::Plain(stream))
        .await
        .unwrap();
    let mut slow = Client {
        socket,
        ready: None,
    };
    slow.hello(&full.members[0], Some(0)).await;
    slow.expect_ready().await;
    let mut most = 0;
    for expected in 1..=full.last_seq {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut seq = None;
        while seq.is_none() {
            seq = entry_seq(&slow.next().await);
        }
        assert_eq!(seq, Some(expected));
        most = most.max(full.relay.relay.stats().queued_bytes);
        if expected == full.last_seq / 2 {
            // What is said meanwhile comes after it, in its place.
            let mut other = full.relay.connect(&full.members[1]).await;
            other.app(GROUP, 1, b"meanwhile").await;
            other.until_entry(full.last_seq + 1).await;
        }
    }
    slow.until_entry(full.last_seq + 1).await;
    assert!(most < 64 << 10, "{most} bytes were queued");
}

#[tokio::test]
async fn hellos_from_the_beginning_hold_next_to_nothing() {
    let full = FullVisit::new().await;
    let relay = &full.relay;
    let mut held = Vec::new();
    // Twelve people who read nothing after the relay's first word, and one of them again and again.
    for member in &full.members {
        held.push(relay.connect_after(member, 0).await);
    }
    for _ in 0..12 {
        held.push(relay.connect_after(&full.members[0], 0).await);
    }
    let queued = relay.relay.stats().queued_bytes;
    assert!(queued < 256 << 10, "{queued} bytes are queued");
    // Once they are gone, nothing is left.
    drop(held);
    let mut probe = relay.connect(&full.members[0]).await;
    while relay.relay.stats().connections > 1 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    probe.drain().await;
    assert_eq!(relay.relay.stats().queued_bytes, 0);
}

#[tokio::test]
async fn what_waits_for_a_connection_is_dropped_when_another_takes_its_place() {
    let relay = TestRelay::start().await;
    let visit = new_visit();
    let sender = relay.clinic.pass(visit, Role::Clinician);
    let reader = relay.clinic.pass(visit, Role::Patient);
    let mut first = relay.connect(&reader).await;
    let mut host = relay.connect(&sender).await;
    // More than the system's buffers take: the rest waits for a reader who does not read.
    for _ in 0..11 {
        host.send(&ClientMessage::Direct {
            to: reader.participant,
            data: vec![1; limits::MAX_DIRECT_BYTES].as_slice().into(),
        })
        .await;
    }
    host.drain().await;
    let before = relay.relay.stats().queued_bytes;
    assert!(before > 1 << 20, "{before} bytes wait for the reader");
    let mut second = relay.connect(&reader).await;
    second.drain().await;
    let after = relay.relay.stats().queued_bytes;
    assert!(after < 4 << 10, "{before} bytes were queued, now {after}");
    let mut last = None;
    while let Some(Ok(message)) = first.socket.next().await {
        if let Ok(text) = message.to_text()
            && let Ok(message) = serde_json::from_str::<RelayMessage>(text)
        {
            last = Some(message);
        }
    }
    assert!(
        matches!(
            last,
            Some(RelayMessage::Error {
                code: RelayErrorCode::ReplacedByAnother,
                ..
            })
        ),
        "it is told why: {last:?}"
    );
}
