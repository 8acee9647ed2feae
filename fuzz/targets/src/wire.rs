//! Messages between participants and the relay. Input: JSON.
//!
//! Law: what is read is written again as the same message.

use sealed_visit_protocol::json::from_slice;
use sealed_visit_protocol::wire::{
    ClientMessage, EndedBy, GroupInfo, MediaKind, MediaSource, OfferedTrack, PublishedTrack,
    RelayMessage, WelcomeFor,
};
use sealed_visit_protocol::{B64, Jws, ParticipantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

pub fn seeds() -> Vec<Vec<u8>> {
    let who = |n: u8| ParticipantId::from_bytes([n; 16]);
    let group_id = || B64(vec![1, 2, 3]);
    let from_clients = [
        ClientMessage::Hello {
            v: 1,
            pass: Jws::from_text("a.b.c"),
            proof: Jws::from_text("d.e.f"),
            after_seq: Some(7),
        },
        ClientMessage::CreateGroup {
            group_id: group_id(),
            replaces: Some(group_id()),
        },
        ClientMessage::Commit {
            group_id: group_id(),
            epoch: 3,
            commit: B64(vec![7; 40]),
            welcomes: vec![WelcomeFor {
                to: who(1),
                welcome: B64(vec![9; 20]),
            }],
            removed: vec![who(2)],
        },
        ClientMessage::Direct {
            to: who(2),
            data: B64(vec![]),
        },
        ClientMessage::PublishOffer {
            sdp: "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n".into(),
            tracks: vec![PublishedTrack {
                mid: "0".into(),
                track: "camera".into(),
                kind: MediaKind::Video,
                source: MediaSource::Camera,
            }],
        },
        ClientMessage::SubscribeAnswer {
            generation: 4,
            sdp: "v=0".into(),
        },
        ClientMessage::End {},
    ];
    let from_relays = [
        RelayMessage::Ready {
            participant: who(1),
            group: Some(GroupInfo {
                group_id: group_id(),
                epoch: u64::MAX,
                generation: 2,
            }),
            present: vec![who(1), who(2)],
            waiting: vec![],
            seq: 9,
        },
        RelayMessage::SubscribeOffer {
            generation: 1,
            sdp: "v=0".into(),
            tracks: vec![OfferedTrack {
                mid: "1".into(),
                participant: who(3),
                track: "microphone".into(),
                kind: MediaKind::Audio,
                source: MediaSource::Microphone,
            }],
        },
        RelayMessage::App {
            seq: 5,
            group_id: group_id(),
            epoch: 1,
            from: who(1),
            data: B64(vec![0; 30]),
        },
        RelayMessage::Ended {
            reason: EndedBy::Host,
        },
        RelayMessage::Ended {
            reason: EndedBy::Time,
        },
    ];
    let texts = from_clients.iter().map(serde_json::to_vec);
    texts
        .chain(from_relays.iter().map(serde_json::to_vec))
        .map(|text| text.expect("plain structures"))
        .collect()
}

pub fn run(input: &[u8]) -> bool {
    // One after the other: neither may panic on what is meant for the other.
    let client = same_again::<ClientMessage>(input);
    let relay = same_again::<RelayMessage>(input);
    client || relay
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) -> bool {
    let Ok(message) = from_slice::<T>(input) else {
        return false;
    };
    let text = serde_json::to_vec(&message).expect("plain structures");
    assert_eq!(from_slice::<T>(&text).as_ref(), Ok(&message));
    true
}
