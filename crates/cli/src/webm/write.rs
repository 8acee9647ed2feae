//! Writing the seekable file.

use super::ebml::{MASTER_PREFIX_BYTES, element, master, master_prefix};
use super::ids::*;
use super::{Parts, WebmError};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

pub(super) fn write(
    parts: &Parts,
    input: &mut (impl Read + Seek),
    output: &mut impl Write,
) -> Result<(), WebmError> {
    let mut info = parts.info.clone();
    element(
        &mut info,
        DURATION,
        &(parts.duration_ticks() as f64).to_be_bytes(),
    );
    // All positions have eight bytes, so that no size depends on a position.
    let seek_head_bytes = master(SEEK_HEAD, &seek_head(&[0; 3])).len() as u64;
    let info = master(INFO, &info);
    let tracks = master(TRACKS, &parts.tracks);
    let cues_bytes = master(CUES, &cues(parts, 0)).len() as u64;
    let info_at = seek_head_bytes;
    let tracks_at = info_at + info.len() as u64;
    let cues_at = tracks_at + tracks.len() as u64;
    let clusters_at = cues_at + cues_bytes;
    let clusters_bytes: u64 = parts
        .clusters
        .iter()
        .map(|cluster| MASTER_PREFIX_BYTES + cluster.size_bytes)
        .sum();

    let mut output = BufWriter::new(output);
    let mut ebml = Vec::new();
    element(&mut ebml, EBML, &parts.ebml);
    output.write_all(&ebml)?;
    output.write_all(&master_prefix(SEGMENT, clusters_at + clusters_bytes))?;
    output.write_all(&master(
        SEEK_HEAD,
        &seek_head(&[info_at, tracks_at, cues_at]),
    ))?;
    output.write_all(&info)?;
    output.write_all(&tracks)?;
    output.write_all(&master(CUES, &cues(parts, clusters_at)))?;
    for cluster in &parts.clusters {
        output.write_all(&master_prefix(CLUSTER, cluster.size_bytes))?;
        for (offset, length) in &cluster.ranges {
            input.seek(SeekFrom::Start(*offset))?;
            let copied = std::io::copy(&mut input.by_ref().take(*length), &mut output)?;
            if copied != *length {
                return Err(WebmError::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
    output.flush()?;
    Ok(())
}

fn seek_head(positions: &[u64; 3]) -> Vec<u8> {
    let mut entries = Vec::new();
    for (id, position) in [INFO, TRACKS, CUES].into_iter().zip(positions) {
        let mut entry = Vec::new();
        element(&mut entry, SEEK_ID, &id.to_be_bytes());
        element(&mut entry, SEEK_POSITION, &position.to_be_bytes());
        element(&mut entries, SEEK, &entry);
    }
    entries
}

fn cues(parts: &Parts, clusters_at: u64) -> Vec<u8> {
    let mut positions = Vec::with_capacity(parts.clusters.len());
    let mut at = clusters_at;
    for cluster in &parts.clusters {
        positions.push(at);
        at += MASTER_PREFIX_BYTES + cluster.size_bytes;
    }
    let mut points = Vec::new();
    for cue in &parts.cues {
        let Some(position) = positions.get(cue.cluster) else {
            continue;
        };
        let mut place = Vec::new();
        element(&mut place, CUE_TRACK, &cue.track.to_be_bytes());
        element(&mut place, CUE_CLUSTER_POSITION, &position.to_be_bytes());
        let mut point = Vec::new();
        element(&mut point, CUE_TIME, &cue.time.to_be_bytes());
        element(&mut point, CUE_TRACK_POSITIONS, &place);
        element(&mut points, CUE_POINT, &point);
    }
    points
}
