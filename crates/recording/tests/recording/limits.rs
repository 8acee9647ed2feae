//! The limits of FORMAT.md are inclusive: what has exactly the limit is taken, and what is one larger is refused.

use super::{clinic_keys, draft, record, world};
use sealed_visit_protocol::consent::{Statement, StatementClaims, StatementError, StatementKind};
use sealed_visit_protocol::recording::{OpenError, OpenStatement, OpenTrack};
use sealed_visit_protocol::track::{
    Header, MAX_SEGMENT_BYTES, MAX_SMALL_RECORD_BYTES, TrackError, TrackState,
};
use sealed_visit_protocol::{B64, Jws, SigningKey, TrackId};
use sealed_visit_testing::recording::{GROUP_ID, World};

const MAX_SEQ: u64 = 1 << 32;

fn statement(
    world: &World,
    alter: impl FnOnce(&mut StatementClaims),
) -> (usize, Result<Statement, StatementError>) {
    let honest = world.statement(&world.patient, StatementKind::Grant);
    let mut claims = honest.unverified_claims().unwrap();
    alter(&mut claims);
    let jws: Jws<StatementClaims> = world.patient.key.sign(&claims);
    let verified = Statement::verify(&jws, &world.clinic, world.visit, GROUP_ID);
    (jws.as_str().len(), verified)
}

#[test]
fn a_statement_has_up_to_16_kib_and_a_number_up_to_2_to_the_32() {
    let world = world(&clinic_keys());
    let with_place = |bytes| statement(&world, |claims| claims.place = "x".repeat(bytes));
    let (shortest, _) = with_place(0);
    // base64url has no text of every length: the longest that fits is taken, and the next one is refused.
    let mut bytes = (16_384 - shortest) * 3 / 4 - 4;
    while with_place(bytes + 1).0 <= 16_384 {
        bytes += 1;
    }
    assert!(with_place(bytes).1.is_ok());
    assert_eq!(with_place(bytes + 1).1, Err(StatementError::TooLong));

    let numbered = |seq| statement(&world, |claims| claims.seq = seq).1;
    assert!(numbered(MAX_SEQ).is_ok());
    assert_eq!(numbered(MAX_SEQ + 1), Err(StatementError::OutOfNumbers));
}

#[test]
fn a_part_has_up_to_64_tracks() {
    let world = world(&clinic_keys());
    let key = SigningKey::from_seed(&[5; 32]);
    let honest = &draft(&world, 0, true).open_tracks()[0];
    let verified = |count: u8| {
        let tracks = (0..count).map(|number| {
            let track = TrackId::from_bytes([number; 16]);
            let mut said: serde_json::Value = serde_json::from_slice(&honest.header.0).unwrap();
            said["recording_key"] = serde_json::to_value(key.public()).unwrap();
            said["track"] = track.to_string().into();
            let header = B64(serde_json::to_vec(&said).unwrap());
            OpenTrack { track, header }
        });
        let open = world.open(0, key.public(), tracks.collect(), None);
        OpenStatement::verify(&open, &world.clinic).map(|_| ())
    };
    assert_eq!(verified(64), Ok(()));
    assert_eq!(verified(65), Err(OpenError::TrackCount(65)));
    assert_eq!(verified(0), Err(OpenError::TrackCount(0)));
}

#[test]
fn a_header_and_a_checkpoint_have_up_to_64_kib_and_a_segment_up_to_16_mib() {
    let world = world(&clinic_keys());
    let part = record(&world, 0, true);
    let track = &part.tracks[0];
    let honest = track.header.bytes();
    let padded = |bytes: usize| [honest, &b" ".repeat(bytes - honest.len())].concat();
    assert!(Header::parse(&padded(MAX_SMALL_RECORD_BYTES)).is_ok());
    assert!(Header::parse(&padded(MAX_SMALL_RECORD_BYTES + 1)).is_err());

    let mut before = TrackState::expecting(track.header.hash());
    before.feed(&track.file[..track.ends[0]], |_| {}).unwrap();
    let begun = |state: &TrackState, kind: u8, bytes: usize| {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        let prefix = [&[kind][..], &length].concat();
        state.clone().feed(&prefix, |_| {})
    };
    let too_long = |result| matches!(result, Err(TrackError::RecordTooLong { .. }));
    assert_eq!(begun(&before, b'S', MAX_SEGMENT_BYTES), Ok(()));
    assert!(too_long(begun(&before, b'S', MAX_SEGMENT_BYTES + 1)));
    let mut after = before;
    after.feed(b"S\0\0\0\x01x", |_| {}).unwrap();
    assert_eq!(begun(&after, b'C', MAX_SMALL_RECORD_BYTES), Ok(()));
    assert!(too_long(begun(&after, b'C', MAX_SMALL_RECORD_BYTES + 1)));
}
