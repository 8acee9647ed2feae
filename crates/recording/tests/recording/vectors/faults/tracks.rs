//! Tracks, their chunks and checkpoints, and their envelopes.

use super::*;
use sealed_visit_protocol::track::{RecordType, write_record};

pub fn vectors() -> Vec<Vector> {
    let mut g = Group::new();
    files(&mut g);
    records(&mut g);
    checkpoints(&mut g);
    envelopes(&mut g);
    g.vectors
}

/// Altered before its end, of which the receipt knows.
const ALTERED: (Verdict, &[&str]) = (Verdict::Altered, &["track-altered", "receipt-covers-more"]);
const CUT: (Verdict, &[&str]) = (
    Verdict::Incomplete,
    &["track-truncated", "receipt-covers-more"],
);
const INCOMPLETE: VaultSays = Refuses("manifest", "track_incomplete");

fn refuses(code: &'static str) -> VaultSays {
    Refuses("track", code)
}

fn files(g: &mut Group) {
    let missing = incomplete(&["track-missing", "receipt-covers-more"]);
    g.requirement("R-58 A track's bytes");
    g.add(
        "track-file-missing",
        "finished",
        missing,
        INCOMPLETE,
        "A track's file is missing.",
        |e| {
            let name = e.file_name(0, 0);
            e.folder.tracks.remove(&name);
        },
    );
    g.add(
        "track-not-listed",
        "finished",
        missing,
        INCOMPLETE,
        "recording.json does not list a track of the open statement.",
        |e| {
            e.part(0)["tracks"].as_array_mut().unwrap().remove(0);
        },
    );
    g.requirement("R-58 Listing");
    g.add(
        "track-listed-twice",
        "finished",
        altered(&["track-twice"]),
        READERS_FILE,
        "recording.json lists a track twice.",
        |e| {
            let first = e.part(0)["tracks"][0].clone();
            e.part(0)["tracks"].as_array_mut().unwrap().push(first);
        },
    );
    g.add(
        "track-unknown",
        "finished",
        altered(&["unknown-track"]),
        READERS_FILE,
        "recording.json lists a track that the open statement does not name.",
        |e| {
            let mut stranger = e.part(0)["tracks"][0].clone();
            stranger["track"] = other_id(9);
            stranger["envelopes"] = json!([]);
            e.part(0)["tracks"].as_array_mut().unwrap().push(stranger);
            let bytes = e.file(0, 0).clone();
            let name = e.file_name(0, 2);
            e.folder.tracks.insert(name, bytes);
        },
    );
    g.requirement("R-47");
    g.add(
        "track-files-swapped",
        "finished",
        ALTERED,
        refuses("other_header"),
        "The files of two tracks are swapped.",
        |e| {
            let first = e.file(0, 0).clone();
            *e.file(0, 0) = std::mem::replace(e.file(0, 1), first);
        },
    );
    g.add(
        "track-of-another-part",
        "two-parts",
        ALTERED,
        refuses("other_header"),
        "A track's file belongs to another part.",
        |e| {
            *e.file(1, 0) = e.file(0, 0).clone();
        },
    );
    g.requirement("R-58 A track's bytes");
    g.add(
        "track-cut-in-a-segment",
        "finished",
        CUT,
        INCOMPLETE,
        "A track's file ends inside its last segment.",
        |e| {
            let record = e.record(0, 0, 5);
            e.file(0, 0).truncate(record.body.start + 9);
        },
    );
    g.add(
        "track-cut-between-segment-and-checkpoint",
        "finished",
        CUT,
        INCOMPLETE,
        "A track's file ends between a segment and its checkpoint.",
        |e| {
            let record = e.record(0, 0, 5);
            e.file(0, 0).truncate(record.body.end);
        },
    );
    g.add(
        "track-cut-after-a-checkpoint",
        "finished",
        CUT,
        INCOMPLETE,
        "A track's file ends after its second segment.",
        |e| {
            let record = e.record(0, 0, 4);
            e.file(0, 0).truncate(record.body.end);
        },
    );
    g.add(
        "track-cut-by-one-byte",
        "finished",
        CUT,
        INCOMPLETE,
        "The last byte of a track's file is missing.",
        |e| {
            e.file(0, 0).pop();
        },
    );
    g.add(
        "track-cut-after-the-header",
        "finished",
        CUT,
        INCOMPLETE,
        "A track's file ends after its header.",
        |e| {
            let record = e.record(0, 0, 0);
            e.file(0, 0).truncate(record.body.end);
        },
    );
    g.add(
        "track-cut-in-the-header",
        "open",
        incomplete(&["track-without-header"]),
        Takes,
        "A track's file ends inside its header.",
        |e| {
            e.file(0, 0).truncate(40);
        },
    );
    g.add(
        "track-empty",
        "open",
        incomplete(&["track-without-header"]),
        Takes,
        "A track's file is empty.",
        |e| {
            e.file(0, 0).clear();
        },
    );
    g.add(
        "byte-after-the-end",
        "finished",
        altered(&["bytes-after-end"]),
        Takes,
        "There is one byte after the signed end. It could start a segment.",
        |e| {
            e.file(0, 0).push(b'S');
        },
    );
    g.add(
        "segment-after-the-end",
        "finished",
        altered(&["end-differs", "receipt-differs"]),
        Refuses("manifest", "track_differs"),
        "After the signed end there is another segment, with a valid checkpoint.",
        |e| append_segment(e, 0),
    )
    .with_key = Some((Verdict::Altered, &["bytes-after-end"]));
    g.add(
        "segment-after-the-end-of-an-open-part",
        "open",
        incomplete(&[]),
        Takes,
        "A segment does not decrypt. Nobody without a key can tell.",
        |e| append_segment(e, 0),
    )
    .with_key = Some((Verdict::Altered, &["track-altered"]));
    g.add(
        "torn-record-in-an-open-part",
        "open",
        incomplete(&[]),
        Takes,
        "A part without an end may end in a torn record, which is not opened.",
        |e| {
            let record = e.record(0, 0, 6);
            e.file(0, 0).truncate(record.body.start + 1);
        },
    );
}

/// A segment of any bytes, and a checkpoint by the recording key.
fn append_segment(e: &mut Edit, track: usize) {
    use sealed_visit_protocol::track::{TrackState, next_head, segment_hash};
    let seed = e.recording_key(0);
    let file = e.file(0, track);
    let mut state = TrackState::new();
    state.feed(file, |_| {}).unwrap();
    let segment = [7; 90];
    write_record(file, RecordType::Segment, &segment).unwrap();
    let claims = json!({
        "v": 1,
        "track": state.header().unwrap().claims().track,
        "index": state.segments(),
        "end": file.len(),
        "head": next_head(&state.head(), &segment_hash(&segment)),
        "media_end_us": state.media_end_us() + 1,
        "at_ms": state.last_at_ms() + 1,
    });
    let jws = signed::sign("sv-checkpoint+jwt", &claims, &seed);
    write_record(file, RecordType::Checkpoint, jws.as_bytes()).unwrap();
}

fn flip(e: &mut Edit, at: usize) {
    e.file(0, 0)[at] ^= 0x10;
}

fn records(g: &mut Group) {
    g.requirement("R-44");
    g.add(
        "magic-altered",
        "finished",
        ALTERED,
        refuses("not_a_track"),
        "A track's file begins with other bytes.",
        |e| flip(e, 0),
    );
    g.add(
        "magic-of-version-2",
        "finished",
        ALTERED,
        refuses("not_a_track"),
        "A track's file has an unknown version.",
        |e| e.file(0, 0)[7] = 2,
    );
    g.requirement("R-47");
    g.add(
        "track-header-altered",
        "finished",
        ALTERED,
        refuses("other_header"),
        "The header in the file is not the open statement's.",
        |e| {
            let at = e.record(0, 0, 0).body.start + 20;
            flip(e, at);
        },
    );
    g.requirement("R-48");
    g.add(
        "segment-altered",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "One bit of a sealed message is flipped.",
        |e| {
            let at = e.record(0, 0, 1).body.end - 1;
            flip(e, at);
        },
    );
    g.requirement("R-45");
    g.add(
        "second-segment-altered",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "One bit of the second sealed message is flipped. The first segment stays good.",
        |e| {
            let at = e.record(0, 0, 3).body.start;
            flip(e, at);
        },
    );
    g.requirement("R-48");
    g.add(
        "events-segment-altered",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "One bit of a sealed message of the events track is flipped.",
        |e| {
            let at = e.record(0, 1, 1).body.start;
            e.file(0, 1)[at] ^= 1;
        },
    );
    g.requirement("R-44");
    g.add(
        "record-type-unknown",
        "finished",
        ALTERED,
        refuses("track_malformed"),
        "A record has an unknown type.",
        |e| {
            let at = e.record(0, 0, 1).start;
            e.file(0, 0)[at] = b'X';
        },
    );
    g.add(
        "checkpoint-missing",
        "finished",
        ALTERED,
        refuses("track_malformed"),
        "A checkpoint is missing: one segment follows another.",
        |e| {
            let record = e.record(0, 0, 2);
            e.file(0, 0).drain(record.start..record.body.end);
        },
    );
    g.requirement("R-48");
    g.add(
        "segment-missing",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "The second segment and its checkpoint are missing.",
        |e| {
            let (from, to) = (e.record(0, 0, 3).start, e.record(0, 0, 4).body.end);
            e.file(0, 0).drain(from..to);
        },
    );
    g.add(
        "segment-twice",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "The first segment and its checkpoint are there twice.",
        |e| {
            let (from, to) = (e.record(0, 0, 1).start, e.record(0, 0, 2).body.end);
            let twice = e.file(0, 0)[from..to].to_vec();
            e.file(0, 0).splice(to..to, twice);
        },
    );
    g.add(
        "segments-swapped",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "The first two segments, with their checkpoints, are swapped.",
        |e| {
            let (first, second) = (e.record(0, 0, 1).start, e.record(0, 0, 3).start);
            let end = e.record(0, 0, 4).body.end;
            e.file(0, 0)[first..end].rotate_left(second - first);
        },
    );
    g.requirement("R-58 A track's bytes");
    g.add(
        "record-length-grows",
        "finished",
        altered(&["track-altered", "receipt-covers-more"]),
        INCOMPLETE,
        "A record's length is too large, so the rest looks torn, but all bytes are here.",
        |e| {
            let at = e.record(0, 0, 3).start;
            e.file(0, 0)[at + 3] = 0x7f;
        },
    );
    g.requirement("R-9");
    g.add(
        "segment-too-long",
        "finished",
        ALTERED,
        refuses("track_malformed"),
        "A segment's length says more than 16 MiB.",
        |e| {
            let at = e.record(0, 0, 1).start + 1;
            e.file(0, 0)[at..at + 4].copy_from_slice(&((16 << 20) + 1_u32).to_be_bytes());
        },
    );
    g.add(
        "checkpoint-too-long",
        "finished",
        ALTERED,
        refuses("track_malformed"),
        "A checkpoint's length says more than 64 KiB.",
        |e| {
            let at = e.record(0, 0, 2).start + 1;
            e.file(0, 0)[at..at + 4].copy_from_slice(&((64 << 10) + 1_u32).to_be_bytes());
        },
    );
    g.requirement("R-44");
    g.add(
        "header-twice-in-the-file",
        "finished",
        ALTERED,
        refuses("track_malformed"),
        "A second header is in a segment's place.",
        |e| {
            let record = e.record(0, 0, 0);
            let header = e.file(0, 0)[record.start..record.body.end].to_vec();
            e.file(0, 0)
                .splice(record.body.end..record.body.end, header);
        },
    );
}

fn checkpoints(g: &mut Group) {
    g.requirement("R-48");
    g.add(
        "checkpoint-signature-altered",
        "finished",
        ALTERED,
        refuses("checkpoint_refused"),
        "A checkpoint's signature was altered.",
        |e| {
            let at = e.record(0, 0, 2).body.end - 5;
            let byte = &mut e.file(0, 0)[at];
            *byte = if *byte == b'A' { b'B' } else { b'A' };
        },
    );
    g.add(
        "checkpoint-by-another-key",
        "finished",
        ALTERED,
        refuses("checkpoint_refused"),
        "A checkpoint is signed by the recorder's pass key.",
        |e| {
            let record = e.record(0, 0, 2);
            let text = String::from_utf8(e.file(0, 0)[record.body.clone()].to_vec()).unwrap();
            let jws = signed::sign_text(
                "sv-checkpoint+jwt",
                &signed::payload_text(&text),
                &base::RECORDER,
            );
            e.file(0, 0).splice(record.body, jws.bytes());
        },
    );
    g.add(
        "checkpoint-of-another-track",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "A checkpoint names another track.",
        |e| {
            e.checkpoint(0, 0, 0, |claims| claims["track"] = other_id(9));
        },
    );
    g.add(
        "checkpoint-index-differs",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "A checkpoint names the wrong segment.",
        |e| {
            e.checkpoint(0, 0, 0, |claims| claims["index"] = json!(1));
        },
    );
    g.add(
        "checkpoint-end-differs",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "A checkpoint names the wrong offset.",
        |e| {
            e.checkpoint(0, 0, 0, |claims| {
                claims["end"] = json!(claims["end"].as_u64().unwrap() + 1)
            });
        },
    );
    g.add(
        "checkpoint-head-differs",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "A checkpoint names the wrong chain head.",
        |e| {
            e.checkpoint(0, 0, 0, |claims| claims["head"] = other_hash(9));
        },
    );
    g.requirement("R-49");
    g.add(
        "media-time-falls",
        "finished",
        ALTERED,
        refuses("chain_broken"),
        "Media time goes backward from the first checkpoint to the second.",
        |e| {
            e.checkpoint(0, 0, 1, |claims| claims["media_end_us"] = json!(249_999));
        },
    );
    g.requirement("R-14");
    g.add(
        "checkpoint-of-version-2",
        "finished",
        ALTERED,
        refuses("checkpoint_refused"),
        "A checkpoint has an unknown version.",
        |e| {
            e.checkpoint(0, 0, 0, |claims| claims["v"] = json!(2));
        },
    );
    g.requirement("R-48");
    g.add(
        "checkpoint-not-text",
        "finished",
        ALTERED,
        refuses("checkpoint_refused"),
        "A checkpoint is not valid UTF-8.",
        |e| {
            let at = e.record(0, 0, 2).body.start;
            e.file(0, 0)[at] = 0xff;
        },
    );
}

fn envelopes(g: &mut Group) {
    fn refuses(code: &'static str) -> VaultSays {
        Refuses("envelope", code)
    }
    let invalid = altered(&["envelope-invalid", "envelope-missing"]);
    let elsewhere = altered(&["envelope-elsewhere", "envelope-missing"]);
    g.requirement("R-58 Envelopes");
    g.add(
        "envelope-missing",
        "finished",
        incomplete(&["envelope-missing"]),
        Refuses("track", "envelope_missing"),
        "A track has no envelope, so nobody can open it.",
        |e| {
            e.part(0)["tracks"][0]["envelopes"] = json!([]);
        },
    );
    g.add(
        "envelopes-swapped",
        "finished",
        elsewhere,
        refuses("other_track"),
        "The envelopes of two tracks are swapped.",
        |e| {
            let first = e.part(0)["tracks"][0]["envelopes"][0].clone();
            let second = e.part(0)["tracks"][1]["envelopes"][0].clone();
            e.part(0)["tracks"][0]["envelopes"][0] = second;
            e.envelope_text(0, 1, |_| first.as_str().unwrap().to_owned());
        },
    );
    g.requirement("R-51");
    g.add(
        "envelope-signature-altered",
        "finished",
        invalid,
        refuses("not_signed"),
        "An envelope's signature was altered.",
        |e| {
            e.envelope_text(0, 0, with_another_signature);
        },
    );
    g.add(
        "envelope-by-another-key",
        "finished",
        invalid,
        refuses("not_signed"),
        "An envelope is signed by the recorder's pass key.",
        |e| {
            e.envelope_text(0, 0, |jws| {
                signed::sign_text(
                    "sv-envelope+jwt",
                    &signed::payload_text(&jws),
                    &base::RECORDER,
                )
            });
        },
    );
    g.requirement("R-14");
    g.add(
        "envelope-of-version-2",
        "finished",
        invalid,
        refuses("unknown_version"),
        "An envelope has an unknown version.",
        |e| {
            e.envelope(0, 0, |claims| claims["v"] = json!(2));
        },
    );
    g.requirement("R-51");
    g.add(
        "envelope-of-another-header",
        "finished",
        elsewhere,
        refuses("other_track"),
        "An envelope names another header.",
        |e| {
            e.envelope(0, 0, |claims| claims["header_hash"] = other_hash(9));
        },
    );
    g.add(
        "envelope-of-another-track",
        "finished",
        elsewhere,
        refuses("other_track"),
        "An envelope names another track.",
        |e| {
            e.envelope(0, 0, |claims| claims["track"] = other_id(9));
        },
    );
    g.add(
        "envelope-of-another-part",
        "finished",
        elsewhere,
        refuses("other_track"),
        "An envelope names another part.",
        |e| {
            e.envelope(0, 0, |claims| claims["part"] = json!(1));
        },
    );
    g.add(
        "envelope-of-another-recording",
        "finished",
        elsewhere,
        refuses("other_track"),
        "An envelope names another recording.",
        |e| {
            e.envelope(0, 0, |claims| claims["recording"] = other_id(9));
        },
    );
    g.requirement("R-52");
    g.add(
        "envelope-recipient-missing",
        "finished",
        invalid,
        refuses("other_recipients"),
        "An envelope has no key for one of the recipients.",
        |e| {
            e.envelope(0, 0, |claims| {
                drop(claims["keys"].as_array_mut().unwrap().pop())
            });
        },
    );
    g.add(
        "envelope-recipients-in-another-order",
        "finished",
        invalid,
        refuses("other_recipients"),
        "An envelope's keys are not in the header's order.",
        |e| {
            e.envelope(0, 0, |claims| {
                claims["keys"].as_array_mut().unwrap().reverse()
            });
        },
    );
    g.add(
        "envelope-recipient-more",
        "finished",
        invalid,
        refuses("other_recipients"),
        "An envelope has an extra key for somebody who is not a recipient.",
        |e| {
            e.envelope(0, 0, |claims| {
                let mut key = claims["keys"][0].clone();
                key["recipient"] = other_hash(0xff);
                claims["keys"].as_array_mut().unwrap().push(key);
            });
        },
    );
    g.requirement("R-53");
    g.add(
        "envelope-with-a-share-that-is-not-needed",
        "finished",
        invalid,
        refuses("other_share"),
        "An envelope names a share, but the header needs none.",
        |e| {
            e.envelope(0, 0, |claims| claims["share_hash"] = other_hash(9));
        },
    );
    g.add(
        "envelope-without-the-share",
        "shares",
        invalid,
        CannotJudge("the vault draws new shares, and these envelopes are for other ones"),
        "An envelope names no share, but the header needs one.",
        |e| {
            e.envelope(0, 0, |claims| {
                drop(claims.as_object_mut().unwrap().remove("share_hash"))
            });
        },
    );
    g.requirement("R-6");
    g.add(
        "envelope-suite-unknown",
        "finished",
        invalid,
        refuses("malformed"),
        "A key is wrapped with an unknown suite.",
        |e| {
            e.envelope(0, 0, |claims| claims["keys"][0]["suite"] = json!("rsa"));
        },
    );
    g.requirement("R-58 Envelopes");
    g.add(
        "envelope-listed-with-an-unknown-track",
        "finished",
        altered(&["envelope-elsewhere", "unknown-track"]),
        READERS_FILE,
        "recording.json lists an envelope with a track that the open statement does not name.",
        |e| {
            let mut stranger = e.part(0)["tracks"][0].clone();
            stranger["track"] = other_id(9);
            e.part(0)["tracks"].as_array_mut().unwrap().push(stranger);
        },
    );
    g.add(
        "second-envelope-invalid",
        "finished",
        altered(&["envelope-invalid"]),
        READERS_FILE,
        "There is a good envelope and a newer one that is not genuine.",
        |e| {
            let mut newer = e.part(0)["tracks"][0]["envelopes"][0].clone();
            edit::resign(&mut newer, "sv-envelope+jwt", &base::PATIENT, |claims| {
                claims["made"] = json!("later")
            });
            e.part(0)["tracks"][0]["envelopes"]
                .as_array_mut()
                .unwrap()
                .push(newer);
        },
    );
}
