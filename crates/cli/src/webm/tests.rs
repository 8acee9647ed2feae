use std::io::Cursor;

use super::ebml::{children, uint};
use super::ids::*;
use super::*;

/// Two seconds, 15 frames a second with a key frame each second, and Opus; written for streaming.
const LIVE: &[u8] = include_bytes!("../../tests/test.webm");

fn seekable(live: &[u8]) -> Result<(Indexed, Vec<u8>), WebmError> {
    let mut out = Vec::new();
    let indexed = make_seekable(&mut Cursor::new(live), &mut out)?;
    Ok((indexed, out))
}

fn scanned(file: &[u8]) -> Parts {
    let mut cursor = Cursor::new(file);
    let mut scan = Scan::new(&mut cursor).unwrap();
    scan.run().unwrap();
    scan.parts
}

/// All that clusters hold, but their heads.
fn frames(file: &[u8]) -> Vec<u8> {
    let ranges = scanned(file)
        .clusters
        .into_iter()
        .flat_map(|cluster| cluster.ranges);
    ranges
        .flat_map(|(at, length)| file[at as usize..(at + length) as usize].to_vec())
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
    assert_eq!(sought(&file, TRACKS), scanned(LIVE).tracks);
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
