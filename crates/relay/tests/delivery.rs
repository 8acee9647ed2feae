//! The wire, over real WebSockets on loopback.

mod common;

use common::{Client, Holder, PATIENCE, TestRelay, new_key, new_visit};
use futures_util::SinkExt as _;
use sealed_visit_protocol::wire::{
    ClientMessage, EndedBy, MediaKind, MediaSource, PublishedTrack, RefusalClaims, RelayErrorCode,
    RelayMessage,
};
use sealed_visit_protocol::{B64, Hash32, Role};
use sealed_visit_relay::hub::{Retention, now_ms};
use sealed_visit_relay::limits;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;

const GROUP: &[u8] = b"group";

async fn expect_error(client: &mut Client, expected: RelayErrorCode) -> String {
    client
        .until(|message| match message {
            RelayMessage::Error { code, detail } => {
                assert_eq!(code, expected, "{detail}");
                Some(detail)
            }
            _ => None,
        })
        .await
}

async fn expect_closed(client: &mut Client) {
    while client.try_next().await.is_some() {}
}

/// A clinician with a group, and a patient who was welcomed into it.
async fn two_members(relay: &TestRelay) -> (Holder, Client, Holder, Client) {
    let visit = new_visit();
    let clinician = relay.clinic.pass(visit, Role::Clinician);
    let patient = relay.clinic.pass(visit, Role::Patient);
    let mut host = relay.connect(&clinician).await;
    host.create_group(GROUP, None).await;
    let mut guest = relay.connect(&patient).await;
    host.commit(GROUP, 0, &[patient.participant]).await;
    host.drain().await;
    guest.drain().await;
    (clinician, host, patient, guest)
}

#[tokio::test]
async fn refuses_who_shows_no_valid_pass_and_key() {
    let relay = TestRelay::start().await;
    let visit = new_visit();
    let good = relay.clinic.pass(visit, Role::Patient);
    let by_a_stranger = Holder::new(&new_key(), visit, Role::Clinician, (1 << 53) - 1);
    let stolen = Holder {
        key: new_key(),
        pass: good.pass.clone(),
        ..relay.clinic.pass(visit, Role::Patient)
    };
    let stolen = Holder {
        participant: good.participant,
        ..stolen
    };
    for holder in [by_a_stranger, stolen] {
        let mut client = relay.dial().await;
        client.hello(&holder, None).await;
        expect_error(&mut client, RelayErrorCode::NotAdmitted).await;
        expect_closed(&mut client).await;
    }
    relay.connect(&good).await;
}

#[tokio::test]
async fn refuses_a_proof_for_another_challenge_or_visit() {
    let relay = TestRelay::start().await;
    let holder = relay.clinic.pass(new_visit(), Role::Patient);
    let mut first = relay.dial().await;
    let RelayMessage::Challenge { nonce, .. } = first.next().await else {
        panic!("expected a challenge");
    };
    assert_eq!(nonce.0.len(), 32);
    // A proof that was seen on one connection is replayed on another.
    let mut second = relay.dial().await;
    second.next().await;
    second.send(&holder.hello(&nonce, None)).await;
    expect_error(&mut second, RelayErrorCode::NotAdmitted).await;
    // The proof names another visit than the pass.
    let elsewhere = Holder {
        visit: new_visit(),
        key: holder.key.clone(),
        pass: holder.pass.clone(),
        participant: holder.participant,
    };
    first.send(&elsewhere.hello(&nonce, None)).await;
    expect_error(&mut first, RelayErrorCode::NotAdmitted).await;
}

#[tokio::test]
async fn takes_up_a_renewed_clinic_document_and_refuses_an_older_one() {
    let relay = TestRelay::start().await;
    let visit = new_visit();
    let successor = new_key();
    let holder = Holder::new(&successor, visit, Role::Patient, (1 << 53) - 1);
    let mut client = relay.dial().await;
    client.hello(&holder, None).await;
    expect_error(&mut client, RelayErrorCode::NotAdmitted).await;

    tokio::time::sleep(Duration::from_millis(20)).await;
    relay
        .clinic
        .write_document(2, std::slice::from_ref(&successor), (1 << 53) - 1);
    relay.connect(&holder).await;

    tokio::time::sleep(Duration::from_millis(20)).await;
    relay
        .clinic
        .write_document(1, std::slice::from_ref(&successor), (1 << 53) - 1);
    let mut client = relay.dial().await;
    client.hello(&holder, None).await;
    let detail = expect_error(&mut client, RelayErrorCode::NotAdmitted).await;
    assert!(detail.contains("number 1"), "{detail}");
}

#[tokio::test]
async fn brings_a_patient_from_the_waiting_room_into_the_group() {
    let relay = TestRelay::start().await;
    let visit = new_visit();
    let clinician = relay.clinic.pass(visit, Role::Clinician);
    let patient = relay.clinic.pass(visit, Role::Patient);
    let mut guest = relay.connect(&patient).await;
    let key_package = B64(b"key package".to_vec());
    guest
        .send(&ClientMessage::KeyPackage {
            key_package: key_package.clone(),
        })
        .await;
    guest.drain().await;

    let mut host = relay.connect(&clinician).await;
    let Some(RelayMessage::Ready {
        waiting,
        present,
        group: None,
        seq: 0,
        ..
    }) = host.ready.take()
    else {
        panic!("expected a ready without a group");
    };
    assert_eq!(present.len(), 2);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].key_package, key_package);
    assert_eq!(waiting[0].pass, patient.pass);

    host.create_group(GROUP, None).await;
    host.commit(GROUP, 0, &[patient.participant]).await;
    let seen_by_host = host.drain().await;
    let seen = guest.drain().await;
    let [
        RelayMessage::Presence { present: true, .. },
        RelayMessage::GroupCreated { seq: 1, .. },
        RelayMessage::Commit {
            seq: 2, epoch: 0, ..
        },
        RelayMessage::Welcome { epoch: 1, .. },
    ] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    // The host sees its own commit, ordered; and no welcome that is not its own.
    assert!(
        matches!(
            seen_by_host[..],
            [
                RelayMessage::GroupCreated { seq: 1, .. },
                RelayMessage::Commit { seq: 2, .. }
            ]
        ),
        "{seen_by_host:?}"
    );
    // Nobody waits any more.
    let third = relay.connect(&relay.clinic.pass(visit, Role::Guest)).await;
    assert!(matches!(third.ready, Some(RelayMessage::Ready { waiting, .. }) if waiting.is_empty()));
}

#[tokio::test]
async fn accepts_one_commit_for_an_epoch_and_tells_the_loser() {
    let relay = TestRelay::start().await;
    let (_, mut host, _, mut guest) = two_members(&relay).await;
    host.commit(GROUP, 1, &[]).await;
    host.drain().await;
    guest.commit(GROUP, 1, &[]).await;
    let seen = guest.drain().await;
    assert!(
        matches!(
            seen[..],
            [
                RelayMessage::Commit { epoch: 1, .. },
                RelayMessage::CommitRejected {
                    epoch: 1,
                    current_epoch: 2,
                    ..
                }
            ]
        ),
        "{seen:?}"
    );
    assert!(
        host.drain().await.is_empty(),
        "the loser's commit goes to nobody"
    );
}

#[tokio::test]
async fn lets_nobody_who_waits_take_an_epoch_or_speak_or_send_media() {
    let relay = TestRelay::start().await;
    let (clinician, mut host, ..) = two_members(&relay).await;
    let mut stranger = relay
        .connect(&relay.clinic.pass(clinician.visit, Role::Guest))
        .await;
    stranger.commit(GROUP, 1, &[]).await;
    expect_error(&mut stranger, RelayErrorCode::NotAllowed).await;
    stranger.app(GROUP, 1, b"hello").await;
    expect_error(&mut stranger, RelayErrorCode::NotAllowed).await;
    stranger.create_group(b"another", Some(GROUP)).await;
    expect_error(&mut stranger, RelayErrorCode::NotAllowed).await;
    stranger.send(&ClientMessage::Subscribe {}).await;
    expect_error(&mut stranger, RelayErrorCode::NotAllowed).await;
    stranger.send(&ClientMessage::End {}).await;
    expect_error(&mut stranger, RelayErrorCode::NotAllowed).await;
    host.commit(GROUP, 1, &[]).await;
    host.until(|message| matches!(message, RelayMessage::Commit { epoch: 1, .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn only_a_clinician_opens_the_group() {
    let relay = TestRelay::start().await;
    let mut patient = relay
        .connect(&relay.clinic.pass(new_visit(), Role::Patient))
        .await;
    patient.create_group(GROUP, None).await;
    expect_error(&mut patient, RelayErrorCode::NotAllowed).await;
}

#[tokio::test]
async fn a_member_replaces_a_group_once() {
    let relay = TestRelay::start().await;
    let (_, mut host, _, mut guest) = two_members(&relay).await;
    guest.create_group(b"second", Some(GROUP)).await;
    let group = host
        .until(|message| match message {
            RelayMessage::GroupCreated { group, .. } => Some(group),
            _ => None,
        })
        .await;
    assert_eq!((group.generation, group.epoch), (1, 0));
    host.create_group(b"third", Some(GROUP)).await;
    expect_error(&mut host, RelayErrorCode::NotAllowed).await;
    // A commit for the group that was left behind takes no epoch of the new one.
    host.commit(GROUP, 1, &[]).await;
    expect_error(&mut host, RelayErrorCode::NotAllowed).await;
}

#[tokio::test]
async fn a_participant_who_was_away_reads_what_it_missed_in_order() {
    let relay = TestRelay::start().await;
    let (_, mut host, patient, guest) = two_members(&relay).await;
    drop(guest);
    host.until(|message| {
        matches!(message, RelayMessage::Presence { present: false, .. }).then_some(())
    })
    .await;
    host.app(GROUP, 1, b"one").await;
    host.commit(GROUP, 1, &[]).await;
    host.app(GROUP, 2, b"two").await;
    host.drain().await;
    let mut guest = relay.connect_after(&patient, 2).await;
    let seen = guest.drain().await;
    assert!(
        matches!(
            seen[..],
            [
                RelayMessage::App { seq: 3, .. },
                RelayMessage::Commit { seq: 4, .. },
                RelayMessage::App { seq: 5, .. }
            ]
        ),
        "{seen:?}"
    );
    // Whoever reloads starts anew: no entries, but the group is named.
    let reloaded = relay.connect(&patient).await;
    let Some(RelayMessage::Ready {
        group: Some(group),
        seq: 5,
        ..
    }) = reloaded.ready
    else {
        panic!("{:?}", reloaded.ready);
    };
    assert_eq!(group.epoch, 2);
}

#[tokio::test]
async fn keeps_a_welcome_for_an_addressee_whose_line_broke() {
    let relay = TestRelay::start().await;
    let (clinician, mut host, ..) = two_members(&relay).await;
    let relative = relay.clinic.pass(clinician.visit, Role::Guest);
    let mut client = relay.connect(&relative).await;
    client
        .send(&ClientMessage::KeyPackage {
            key_package: B64(vec![1]),
        })
        .await;
    client.drain().await;
    client.socket.close(None).await.unwrap();
    host.until(|message| {
        matches!(message, RelayMessage::Presence { present: false, .. }).then_some(())
    })
    .await;
    host.commit(GROUP, 1, &[relative.participant]).await;
    host.drain().await;
    let mut client = relay.connect_after(&relative, 2).await;
    let seen = client.drain().await;
    assert!(
        matches!(
            seen[..],
            [
                RelayMessage::Commit { .. },
                RelayMessage::Welcome { epoch: 2, .. }
            ]
        ),
        "{seen:?}"
    );
}

#[tokio::test]
async fn replaces_a_connection_of_the_same_participant() {
    let relay = TestRelay::start().await;
    let (_, mut host, patient, mut first) = two_members(&relay).await;
    let mut second = relay.connect_after(&patient, 2).await;
    expect_error(&mut first, RelayErrorCode::ReplacedByAnother).await;
    expect_closed(&mut first).await;
    second.app(GROUP, 1, b"from the second").await;
    let seen = host.drain().await;
    assert!(
        seen.iter()
            .all(|it| !matches!(it, RelayMessage::Presence { present: false, .. })),
        "the participant never was away: {seen:?}"
    );
}

#[tokio::test]
async fn direct_messages_reach_their_addressee_alone() {
    let relay = TestRelay::start().await;
    let (clinician, mut host, patient, mut guest) = two_members(&relay).await;
    let mut other = relay
        .connect(&relay.clinic.pass(clinician.visit, Role::Guest))
        .await;
    host.send(&ClientMessage::Direct {
        to: patient.participant,
        data: B64(vec![42]),
    })
    .await;
    host.drain().await;
    let from = guest
        .until(|message| match message {
            RelayMessage::Direct { from, data } if data.0 == [42] => Some(from),
            _ => None,
        })
        .await;
    assert_eq!(from, clinician.participant);
    assert!(
        other
            .drain()
            .await
            .iter()
            .all(|it| !matches!(it, RelayMessage::Direct { .. }))
    );
}

#[tokio::test]
async fn orders_a_signed_refusal_and_rejects_a_forged_one() {
    let relay = TestRelay::start().await;
    let (clinician, mut host, patient, mut guest) = two_members(&relay).await;
    let claims = RefusalClaims {
        v: 1,
        visit: patient.visit,
        group_id: GROUP.into(),
        epoch: 1,
        commit: Hash32([1; 32]),
        offender: clinician.participant,
        code: "no_consent".into(),
        at_ms: now_ms(),
        pass: patient.pass.clone(),
    };
    guest
        .send(&ClientMessage::Refusal {
            refusal: patient.key.sign(&claims),
        })
        .await;
    host.until(|message| matches!(message, RelayMessage::Refusal { seq: 3, .. }).then_some(()))
        .await;
    // Signed by the sender, in the name of another.
    let in_anothers_name = RefusalClaims {
        pass: clinician.pass.clone(),
        ..claims.clone()
    };
    for forged in [patient.key.sign(&in_anothers_name), new_key().sign(&claims)] {
        guest
            .send(&ClientMessage::Refusal { refusal: forged })
            .await;
        expect_error(&mut guest, RelayErrorCode::Malformed).await;
    }
    assert!(host.drain().await.is_empty());
}

#[tokio::test]
async fn leave_and_end_close_connections() {
    let relay = TestRelay::start().await;
    let (clinician, mut host, patient, mut guest) = two_members(&relay).await;
    guest.send(&ClientMessage::End {}).await;
    expect_error(&mut guest, RelayErrorCode::NotAllowed).await;
    guest.send(&ClientMessage::Leave {}).await;
    expect_closed(&mut guest).await;
    host.until(|message| match message {
        RelayMessage::Presence {
            participant,
            present: false,
        } => (participant == patient.participant).then_some(()),
        _ => None,
    })
    .await;
    host.send(&ClientMessage::End {}).await;
    host.until(|message| {
        matches!(
            message,
            RelayMessage::Ended {
                reason: EndedBy::Host
            }
        )
        .then_some(())
    })
    .await;
    expect_closed(&mut host).await;
    let mut late = relay.dial().await;
    late.hello(&clinician, None).await;
    expect_error(&mut late, RelayErrorCode::VisitOver).await;
}

/// Ends a visit that nobody is connected to after 100 ms, as fast as the sweeper comes by.
fn impatient() -> Retention {
    Retention {
        empty: Duration::from_millis(100),
        ..Retention::default()
    }
}

async fn ended_by(client: &mut Client) -> EndedBy {
    client
        .until(|message| match message {
            RelayMessage::Ended { reason } => Some(reason),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn ends_a_visit_that_everybody_has_left_and_says_so_to_who_comes_back() {
    let relay = TestRelay::start_with(impatient()).await;
    let (clinician, host, patient, guest) = two_members(&relay).await;
    drop((host, guest));
    tokio::time::sleep(Duration::from_secs(3)).await;
    for who in [&clinician, &patient] {
        let mut late = relay.dial().await;
        late.hello(who, Some(1)).await;
        assert_eq!(ended_by(&mut late).await, EndedBy::Empty);
        expect_error(&mut late, RelayErrorCode::VisitOver).await;
        expect_closed(&mut late).await;
    }
}

#[tokio::test]
async fn goes_on_while_one_person_is_connected() {
    let relay = TestRelay::start_with(impatient()).await;
    let (clinician, host, _, mut guest) = two_members(&relay).await;
    drop(host);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let messages = guest.drain().await;
    let ended = |message: &RelayMessage| matches!(message, RelayMessage::Ended { .. });
    assert!(!messages.iter().any(ended), "{messages:?}");
    relay.connect(&clinician).await;
}

/// A patient who was early, waited, and went away again must find the visit as if it had not been there.
#[tokio::test]
async fn forgets_a_visit_that_nobody_met_in() {
    let relay = TestRelay::start_with(impatient()).await;
    let visit = new_visit();
    let patient = relay.clinic.pass(visit, Role::Patient);
    let early = relay.connect(&patient).await;
    // Alone, and waiting for longer than an empty visit lasts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(relay.relay.stats().visits, 1);
    drop(early);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(relay.relay.stats().visits, 0);
    let mut again = relay.connect(&patient).await;
    let clinician = relay.clinic.pass(visit, Role::Clinician);
    let mut host = relay.connect(&clinician).await;
    host.create_group(b"begun", None).await;
    again
        .until(|message| matches!(message, RelayMessage::GroupCreated { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn ends_a_visit_when_its_last_pass_expires() {
    let relay = TestRelay::start().await;
    let visit = new_visit();
    let soon = now_ms() / 1000 + 2;
    let first = relay.clinic.pass_until(visit, Role::Clinician, soon - 1);
    let last = relay.clinic.pass_until(visit, Role::Patient, soon);
    let mut host = relay.connect(&first).await;
    let mut guest = relay.connect(&last).await;
    assert_eq!(ended_by(&mut host).await, EndedBy::Time);
    assert_eq!(ended_by(&mut guest).await, EndedBy::Time);
    assert!(now_ms() / 1000 >= soon, "the later of the two decides");
    expect_closed(&mut host).await;
    expect_closed(&mut guest).await;
    // Neither may come back, and hears why; nor does a pass help that was issued for longer.
    let longer = relay.clinic.pass(visit, Role::Guest);
    for who in [first, last, longer] {
        let mut late = relay.dial().await;
        late.hello(&who, None).await;
        assert_eq!(ended_by(&mut late).await, EndedBy::Time);
        expect_error(&mut late, RelayErrorCode::VisitOver).await;
        expect_closed(&mut late).await;
    }
}

#[tokio::test]
async fn refuses_an_expired_pass_while_the_visit_goes_on_for_others() {
    let relay = TestRelay::start().await;
    let visit = new_visit();
    let _host = relay
        .connect(&relay.clinic.pass(visit, Role::Clinician))
        .await;
    let expired = relay
        .clinic
        .pass_until(visit, Role::Guest, now_ms() / 1000 - 1);
    let mut late = relay.dial().await;
    late.hello(&expired, None).await;
    expect_error(&mut late, RelayErrorCode::NotAdmitted).await;
    expect_closed(&mut late).await;
}

#[tokio::test]
async fn refuses_what_is_malformed_or_too_large_and_goes_on_where_it_can() {
    let relay = TestRelay::start().await;
    let (_, mut host, _, mut guest) = two_members(&relay).await;
    for text in ["", "[]", "{\"t\":\"nonsense\"}", "{\"t\":\"app\"}", "\u{0}"] {
        host.send_text(text).await;
        expect_error(&mut host, RelayErrorCode::Malformed).await;
    }
    host.send(&ClientMessage::Direct {
        to: sealed_visit_protocol::ParticipantId::from_bytes([0; 16]),
        data: B64(vec![0; 300 << 10]),
    })
    .await;
    expect_error(&mut host, RelayErrorCode::TooMuch).await;
    host.app(GROUP, 1, b"still here").await;
    guest
        .until(|message| matches!(message, RelayMessage::App { .. }).then_some(()))
        .await;
    // Beyond a message's limit the connection ends.
    host.socket
        .send(Message::text("x".repeat((1 << 20) + 1)))
        .await
        .unwrap();
    expect_error(&mut host, RelayErrorCode::TooMuch).await;
    expect_closed(&mut host).await;
}

/// A message that a stranger does not finish would otherwise be kept, up to a message's limit, on each connection.
#[tokio::test]
async fn a_stranger_cannot_make_the_relay_keep_more_than_a_hello() {
    let relay = TestRelay::start().await;
    let mut stranger = relay.dial().await;
    assert!(matches!(
        stranger.next().await,
        RelayMessage::Challenge { .. }
    ));
    let MaybeTlsStream::Plain(stream) = stranger.socket.get_mut() else {
        panic!("a plain connection");
    };
    // A masked text of 900,000 bytes (RFC 6455 section 5.2), of which a part comes.
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend(900_000_u64.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend([b'x'; 200_000]);
    let _ = stream.write_all(&frame).await;
    // Not a word about the time that it took.
    assert_eq!(stranger.try_next().await, None);

    // Members have the whole size.
    let (_, mut host, _, mut guest) = two_members(&relay).await;
    host.app(GROUP, 1, &[7; 200_000]).await;
    guest
        .until(|message| matches!(message, RelayMessage::App { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn says_what_is_wrong_with_a_media_description() {
    let relay = TestRelay::start().await;
    let (_, mut host, ..) = two_members(&relay).await;
    let track = |name: &str| PublishedTrack {
        mid: "0".into(),
        track: name.into(),
        kind: MediaKind::Audio,
        source: MediaSource::Microphone,
    };
    for (sdp, tracks) in [
        ("nonsense", vec![track("a")]),
        ("v=0\r\n", vec![track("")]),
        ("v=0\r\n", vec![track("a"), track("a")]),
        ("v=0\r\na=simulcast:send 1;2\r\n", vec![track("a")]),
    ] {
        host.send(&ClientMessage::PublishOffer {
            sdp: sdp.into(),
            tracks,
        })
        .await;
        expect_error(&mut host, RelayErrorCode::Media).await;
    }
}

/// An offer of one video section that names these streams.
fn offer_of(streams: std::ops::Range<u32>) -> ClientMessage {
    let named: String = streams
        .map(|ssrc| format!("a=ssrc:{ssrc} cname:a\r\n"))
        .collect();
    let sdp = format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n\
         a=fingerprint:sha-256 {}11\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
         a=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n{named}",
        "11:".repeat(31)
    );
    ClientMessage::PublishOffer {
        sdp,
        tracks: vec![PublishedTrack {
            mid: "0".into(),
            track: "camera".into(),
            kind: MediaKind::Video,
            source: MediaSource::Camera,
        }],
    }
}

#[tokio::test]
async fn offers_one_after_the_other_do_not_pile_up_streams() {
    let relay = TestRelay::start().await;
    let (_, mut host, ..) = two_members(&relay).await;
    let mut known = 0;
    let refused = loop {
        host.send(&offer_of(known + 1..known + 17)).await;
        let answer = host
            .until(|message| match message {
                RelayMessage::PublishAnswer { .. } => Some(None),
                RelayMessage::Error { detail, .. } => Some(Some(detail)),
                _ => None,
            })
            .await;
        if let Some(detail) = answer {
            break detail;
        }
        known += 16;
        assert!(known < 10_000, "never limited");
    };
    assert_eq!(refused, "too many streams in one connection");
    assert_eq!(known as usize, limits::MAX_STREAMS);
    // What was published goes on.
    host.send(&offer_of(1..17)).await;
    host.until(|message| matches!(message, RelayMessage::PublishAnswer { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn notices_a_dead_connection_within_ten_seconds() {
    let relay = TestRelay::start().await;
    let (_, mut host, patient, guest) = two_members(&relay).await;
    // Not read any more, so the relay's pings stay unanswered; the socket stays open.
    let silent = guest;
    let started = Instant::now();
    loop {
        let message = tokio::time::timeout(Duration::from_secs(11), async {
            // Reading answers the relay's pings to this one.
            host.try_next_patiently().await
        })
        .await
        .expect("the dead connection was not noticed")
        .unwrap();
        if let RelayMessage::Presence {
            participant,
            present: false,
        } = message
        {
            assert_eq!(participant, patient.participant);
            break;
        }
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    drop(silent);
}

impl Client {
    async fn try_next_patiently(&mut self) -> Option<RelayMessage> {
        use futures_util::StreamExt as _;
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

#[tokio::test]
async fn serves_health_and_counts_without_ids() {
    let relay = TestRelay::start().await;
    let (clinician, _host, _patient, _guest) = two_members(&relay).await;
    assert_eq!(get(&relay, "/healthz").await.1, "ok\n");
    let (head, body) = get(&relay, "/v1/stats").await;
    assert!(
        head.to_lowercase()
            .contains("access-control-allow-origin: *"),
        "{head}"
    );
    let stats: sealed_visit_relay::stats::Snapshot = serde_json::from_str(&body).unwrap();
    assert_eq!(stats.connections, 2);
    assert!(!body.contains(&clinician.visit.to_string()));
}

async fn get(relay: &TestRelay, path: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(relay.relay.address())
        .await
        .unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: relay\r\nOrigin: http://a.example\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn stops_gracefully() {
    let relay = TestRelay::start().await;
    let (_, mut host, ..) = two_members(&relay).await;
    let address = relay.relay.address();
    let TestRelay { relay, clinic } = relay;
    tokio::time::timeout(PATIENCE, relay.stop()).await.unwrap();
    expect_closed(&mut host).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(clinic);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_commit_wins_each_epoch_when_members_race() {
    let relay = TestRelay::start().await;
    let visit = new_visit();
    let mut members = Vec::new();
    let mut host = relay
        .connect(&relay.clinic.pass(visit, Role::Clinician))
        .await;
    host.create_group(GROUP, None).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let holder = relay.clinic.pass(visit, Role::Guest);
        members.push(relay.connect(&holder).await);
        others.push(holder.participant);
    }
    host.commit(GROUP, 0, &others).await;
    host.drain().await;
    members.push(host);
    const EPOCHS: u64 = 20;
    // Each member commits for every epoch as soon as it sees it open.
    let race = members.into_iter().map(|mut member| {
        tokio::spawn(async move {
            let mut log = Vec::new();
            member.commit(GROUP, 1, &[]).await;
            while log.last().is_none_or(|(_, epoch, _)| *epoch < EPOCHS) {
                if let RelayMessage::Commit {
                    seq, epoch, from, ..
                } = member.next().await
                    && epoch >= 1
                {
                    log.push((seq, epoch, from));
                    member.commit(GROUP, epoch + 1, &[]).await;
                }
            }
            log
        })
    });
    let logs: Vec<_> = futures_util::future::join_all(race).await;
    let logs: Vec<_> = logs.into_iter().map(Result::unwrap).collect();
    let epochs: Vec<u64> = logs[0].iter().map(|(_, epoch, _)| *epoch).collect();
    assert_eq!(epochs, (1..=EPOCHS).collect::<Vec<_>>());
    assert!(
        logs.iter().all(|log| *log == logs[0]),
        "everybody saw one order"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_description_is_said_without_the_relays_insides() {
    let relay = TestRelay::start().await;
    let (_, mut host, ..) = two_members(&relay).await;
    let session = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    for sdp in [
        "no description",
        session,
        &format!("{session}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\n"),
    ] {
        host.send(&ClientMessage::PublishOffer {
            sdp: sdp.into(),
            tracks: Vec::new(),
        })
        .await;
        let detail = expect_error(&mut host, RelayErrorCode::Media).await;
        let known = ["the offer cannot be read", "the offer cannot be served"];
        assert!(known.contains(&detail.as_str()), "{detail}");
    }
    host.send(&ClientMessage::Subscribe {}).await;
    host.send(&ClientMessage::SubscribeAnswer {
        generation: 1,
        sdp: "x".repeat(sealed_visit_relay::limits::MAX_ANSWER_BYTES + 1),
    })
    .await;
    let detail = expect_error(&mut host, RelayErrorCode::Media).await;
    assert_eq!(detail, "too large a description");
}

#[tokio::test]
async fn counters_are_not_for_whoever_comes_through_a_proxy() {
    let relay = TestRelay::start().await;
    let mut stream = tokio::net::TcpStream::connect(relay.relay.address())
        .await
        .unwrap();
    let request = "GET /v1/stats HTTP/1.1\r\nHost: relay\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

/// A pass has a budget of 300 messages and 50 more each second. Connecting again must not fill it up.
#[tokio::test]
async fn connecting_again_gives_a_pass_no_fresh_budget() {
    let relay = TestRelay::start().await;
    let patient = relay.clinic.pass(new_visit(), Role::Patient);
    let started = Instant::now();
    let mut sent = 0;
    for _ in 0..4 {
        let mut client = relay.connect(&patient).await;
        for _ in 0..150 {
            client.send(&ClientMessage::Ping {}).await;
            sent += 1;
        }
        for _ in 0..150 {
            let answer = client.next().await;
            assert!(matches!(answer, RelayMessage::Pong {}), "{answer:?}");
        }
    }
    let at_least = Duration::from_secs((sent - 300) / 50);
    assert!(started.elapsed() >= at_least, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_hello_is_small() {
    let relay = TestRelay::start().await;
    let mut client = relay.dial().await;
    let _challenge = client.next().await;
    client.send_text(&"x".repeat(40 << 10)).await;
    expect_error(&mut client, RelayErrorCode::TooMuch).await;
    expect_closed(&mut client).await;
}
