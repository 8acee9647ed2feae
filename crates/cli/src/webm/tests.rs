use std::io::Cursor;

use super::ebml::{children, head, master, master_prefix, uint};
use super::ids::*;
use super::*;

/// Two seconds, 15 frames a second with a key frame each second, and Opus; written for streaming.
const LIVE: &[u8] = include_bytes!("../../tests/test.webm");

fn seekable(live: &[u8]) -> Result<(Indexed, Vec<u8>), WebmError> {
    in_pieces(live, 1_000)
}

fn in_pieces(live: &[u8], piece_bytes: usize) -> Result<(Indexed, Vec<u8>), WebmError> {
    let mut indexer = Indexer::new(Cursor::new(Vec::new()))?;
    for piece in live.chunks(piece_bytes) {
        indexer.feed(piece)?;
    }
    let (out, indexed) = indexer.finish()?;
    assert_eq!(out.position(), out.get_ref().len() as u64);
    Ok((indexed, out.into_inner()))
}

/// The top-level elements of a file, its clusters without the sizes that a live file leaves open.
fn top_level(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut at = 0;
    let mut found: Vec<(u32, Vec<u8>)> = Vec::new();
    while let Ok(head) = head(&file[at..]) {
        let data = at + head.bytes;
        let is_parent = matches!(head.id, SEGMENT | CLUSTER);
        let end = match head.size.filter(|_| !is_parent) {
            Some(size) => data + size as usize,
            None => data,
        };
        let Some(bytes) = file.get(at..end) else {
            break;
        };
        match head.id {
            SEGMENT => {}
            CLUSTER => found.push((CLUSTER, Vec::new())),
            EBML | SEEK_HEAD | INFO | TRACKS | TAGS | CUES => {
                found.push((head.id, bytes[head.bytes..].to_vec()));
            }
            CLUSTER_POSITION | CLUSTER_PREV_SIZE | VOID => {}
            // A child of the cluster before it.
            _ => found.last_mut().unwrap().1.extend_from_slice(bytes),
        }
        at = end;
    }
    found
}

fn first(file: &[u8], wanted: u32) -> Vec<u8> {
    let mut found = top_level(file).into_iter();
    found.find(|(id, _)| *id == wanted).unwrap().1
}

/// All that clusters hold, but their heads.
fn frames(file: &[u8]) -> Vec<u8> {
    let found = top_level(file).into_iter();
    found
        .filter(|(id, _)| *id == CLUSTER)
        .flat_map(|(_, data)| data)
        .collect()
}

/// A top-level element's data, by what the seek head says about where it is.
fn sought(file: &[u8], wanted: u32) -> Vec<u8> {
    let (segment_data, top) = segment(file);
    let (_, head) = children(top).find(|(id, _)| *id == SEEK_HEAD).unwrap();
    let head = &top[head.data()];
    for (_, entry) in children(head).filter(|(id, _)| *id == SEEK) {
        let entry = &head[entry.data()];
        let value = |id| {
            children(entry)
                .find(|(child, _)| *child == id)
                .map(|(_, range)| uint(&entry[range.data()]))
                .unwrap()
        };
        if value(SEEK_ID) == u64::from(wanted) {
            let at = segment_data + value(SEEK_POSITION) as usize;
            let (id, range) = children(&file[at..]).next().unwrap();
            assert_eq!(id, wanted);
            return file[at..][range.data()].to_vec();
        }
    }
    panic!("the seek head does not name {wanted:#x}");
}

fn segment(file: &[u8]) -> (usize, &[u8]) {
    let (id, range) = children(file).nth(1).unwrap();
    assert_eq!(id, SEGMENT);
    assert_eq!(
        range.end,
        file.len(),
        "the segment's size is known and right"
    );
    (range.data, &file[range.data()])
}

#[test]
fn a_live_file_becomes_seekable_and_keeps_every_frame() {
    let (indexed, file) = seekable(LIVE).unwrap();
    assert_eq!((indexed.torn_bytes, indexed.cues), (0, 2));
    assert!(
        (1_950..=2_050).contains(&indexed.duration_ms),
        "{indexed:?}"
    );
    assert!(frames(&file) == frames(LIVE));
    let info = sought(&file, INFO);
    let duration = children(&info).find(|(id, _)| *id == DURATION).unwrap().1;
    let duration = f64::from_be_bytes(info[duration.data()].try_into().unwrap());
    assert_eq!(duration as u64, indexed.duration_ms);
    assert_eq!(sought(&file, TRACKS), first(LIVE, TRACKS));
}

#[test]
fn every_cue_leads_to_the_cluster_that_has_its_frame() {
    let (indexed, file) = seekable(LIVE).unwrap();
    let (segment_data, _) = segment(&file);
    let cues = sought(&file, CUES);
    let mut seen = 0;
    for (id, point) in children(&cues) {
        assert_eq!(id, CUE_POINT);
        let point = &cues[point.data()];
        let child = |data: &[u8], id| {
            children(data)
                .find(|(child, _)| *child == id)
                .map(|(_, range)| data[range.data()].to_vec())
                .unwrap()
        };
        let time = uint(&child(point, CUE_TIME));
        let place = child(point, CUE_TRACK_POSITIONS);
        let at = segment_data + uint(&child(&place, CUE_CLUSTER_POSITION)) as usize;
        let (id, cluster) = children(&file[at..]).next().unwrap();
        assert_eq!(id, CLUSTER);
        let timestamp = uint(&child(&file[at..][cluster.data()], CLUSTER_TIMESTAMP));
        assert!(timestamp <= time && time < timestamp + 5_000);
        // The encoder begins at 7 ms: Opus has a pre-skip.
        assert_eq!(time, seen * 1_000 + 7, "a key frame each second");
        seen += 1;
    }
    assert_eq!(seen as usize, indexed.cues);
}

#[test]
fn pieces_of_any_size_make_the_same_file() {
    let whole = in_pieces(LIVE, LIVE.len()).unwrap();
    for piece_bytes in [1, 7, 13, 4_096, 65_536] {
        let (indexed, file) = in_pieces(LIVE, piece_bytes).unwrap();
        assert!((indexed, file) == whole, "{piece_bytes}");
    }
}

#[test]
fn an_element_that_claims_more_than_any_frame_has_is_not_waited_for() {
    let (_, head) = top_level(LIVE).remove(0);
    let mut file = master(EBML, &head);
    file.extend(master_prefix(SEGMENT, (1 << 56) - 1));
    file.extend(master_prefix(CLUSTER, (1 << 56) - 1));
    file.push(SIMPLE_BLOCK as u8);
    file.extend((1_u64 << 40 | 1 << 56).to_be_bytes());
    assert!(matches!(seekable(&file), Err(WebmError::NotWebm(_))));
}

#[test]
fn making_it_twice_changes_nothing() {
    let (once, file) = seekable(LIVE).unwrap();
    let (twice, again) = seekable(&file).unwrap();
    assert_eq!(once, twice);
    assert!(file == again);
}

#[test]
fn any_prefix_gives_its_whole_frames() {
    let whole = frames(LIVE);
    let mut longest = 0;
    for cut in (0..LIVE.len()).step_by(37) {
        match seekable(&LIVE[..cut]) {
            Ok((indexed, file)) => {
                let kept = frames(&file);
                assert!(whole.starts_with(&kept), "cut at {cut}");
                assert!(kept.len() >= longest, "cut at {cut}");
                longest = kept.len();
                assert!(indexed.duration_ms <= 2_050);
            }
            Err(error) => assert!(longest == 0, "cut at {cut}: {error}"),
        }
    }
    assert!(longest > whole.len() * 9 / 10);
}

#[test]
fn two_files_in_one_are_left_alone() {
    let twice = [LIVE, LIVE].concat();
    assert!(matches!(seekable(&twice), Err(WebmError::SeveralFiles)));
    assert!(matches!(seekable(b"no webm"), Err(WebmError::NotWebm(_))));
    assert!(matches!(seekable(b""), Err(WebmError::NotWebm(_))));
}

#[test]
fn mutated_files_cause_no_panic_and_no_growth() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..3_000 {
        let mut file = LIVE[..600 + (random() % 5_000) as usize].to_vec();
        for _ in 0..=random() % 8 {
            // Heads stand close together at the beginning; frames are of little interest.
            let at = (random() % 700) as usize % file.len();
            file[at] = random() as u8;
        }
        if let Ok((_, out)) = seekable(&file) {
            assert!(out.len() < 4 * file.len() + 4_096);
        }
    }
}
