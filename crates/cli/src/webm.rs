//! Makes a WebM that was recorded live seekable: known length, duration, and an index (cues).
//!
//! A browser's MediaRecorder writes WebM for streaming: sizes unknown, no duration, no cues, so that players can
//! neither tell its length nor jump in it. This copies the frames as they are, nothing decoded, into
//!
//! ```text
//! EBML header, Segment { SeekHead, Info (with Duration), Tracks, Cues, Cluster* }
//! ```
//!
//! Formats: EBML ([RFC 8794](https://www.rfc-editor.org/rfc/rfc8794)), Matroska
//! ([RFC 9559](https://www.rfc-editor.org/rfc/rfc9559)). Input: a file that may end anywhere, as an unfinished
//! recording does; a torn last frame is left out. Invariant: nothing in the input makes this panic, or keep more in
//! memory than the places of clusters and key frames.

use std::io::{BufRead as _, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use thiserror::Error;

/// Why a file could not be indexed; it stays as it was.
#[derive(Debug, Error)]
pub enum WebmError {
    #[error("not a WebM file: {0}")]
    NotWebm(&'static str),
    #[error("the file holds several WebM files, one after the other")]
    SeveralFiles,
    #[error("there is no frame in it")]
    Empty,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What the seekable file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indexed {
    pub duration_ms: u64,
    /// Places that a player can jump to.
    pub cues: usize,
    /// Bytes of a torn last frame that were left out.
    pub torn_bytes: u64,
}

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const SEEK_HEAD: u32 = 0x114D_9B74;
const SEEK: u32 = 0x4DBB;
const SEEK_ID: u32 = 0x53AB;
const SEEK_POSITION: u32 = 0x53AC;
const VOID: u32 = 0xEC;
const INFO: u32 = 0x1549_A966;
const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_TYPE: u32 = 0x83;
const TAGS: u32 = 0x1254_C367;
const CUES: u32 = 0x1C53_BB6B;
const CUE_POINT: u32 = 0xBB;
const CUE_TIME: u32 = 0xB3;
const CUE_TRACK_POSITIONS: u32 = 0xB7;
const CUE_TRACK: u32 = 0xF7;
const CUE_CLUSTER_POSITION: u32 = 0xF1;
const CLUSTER: u32 = 0x1F43_B675;
const CLUSTER_TIMESTAMP: u32 = 0xE7;
const CLUSTER_POSITION: u32 = 0xA7;
const CLUSTER_PREV_SIZE: u32 = 0xAB;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const REFERENCE_BLOCK: u32 = 0xFB;

const VIDEO: u64 = 1;
const DEFAULT_SCALE_NS: u64 = 1_000_000;
/// Info and Tracks of a recording have some hundred bytes.
const MAX_SMALL_BYTES: u64 = 1 << 20;
/// Id and size of a master element as written here: sizes always take 8 bytes.
const MASTER_PREFIX_BYTES: u64 = 4 + 8;

/// Reads `input` and writes its seekable form.
pub fn make_seekable(
    input: &mut (impl Read + Seek),
    output: &mut impl Write,
) -> Result<Indexed, WebmError> {
    let mut scan = Scan::new(input)?;
    scan.run()?;
    let parts = scan.parts;
    if parts.clusters.is_empty() {
        return Err(WebmError::Empty);
    }
    let indexed = Indexed {
        duration_ms: parts.duration_ticks().saturating_mul(parts.scale_ns) / 1_000_000,
        cues: parts.cues.len(),
        torn_bytes: parts.torn_bytes,
    };
    write(&parts, input, output)?;
    Ok(indexed)
}

/// What a live file turned out to hold.
struct Parts {
    ebml: Vec<u8>,
    /// Children of Info but Duration.
    info: Vec<u8>,
    scale_ns: u64,
    tracks: Vec<u8>,
    clusters: Vec<Cluster>,
    cues: Vec<Cue>,
    timing: Vec<TrackTiming>,
    torn_bytes: u64,
}

#[derive(Default)]
struct Cluster {
    timestamp: u64,
    /// Whole children to be copied: offset and length in the input.
    ranges: Vec<(u64, u64)>,
    size_bytes: u64,
}

struct Cue {
    time: u64,
    track: u64,
    cluster: usize,
}

struct TrackTiming {
    number: u64,
    is_video: bool,
    last: Option<u64>,
    step: u64,
}

impl Parts {
    /// End of the frame that ends last, a track's last frame being as long as the one before it.
    fn duration_ticks(&self) -> u64 {
        let end = |track: &TrackTiming| track.last.map(|last| last.saturating_add(track.step));
        self.timing.iter().filter_map(end).max().unwrap_or(0)
    }
}

// --- Reading --------------------------------------------------------------------------------------

struct Scan<'a, R> {
    input: BufReader<&'a mut R>,
    at: u64,
    length: u64,
    parts: Parts,
}

/// An element's head.
#[derive(Clone, Copy)]
struct Element {
    id: u32,
    start: u64,
    data: u64,
    /// `None`: unknown, ends where a sibling of its parent begins.
    end: Option<u64>,
}

impl<'a, R: Read + Seek> Scan<'a, R> {
    fn new(input: &'a mut R) -> Result<Self, WebmError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        Ok(Self {
            input: BufReader::with_capacity(64 * 1024, input),
            at: 0,
            length,
            parts: Parts {
                ebml: Vec::new(),
                info: Vec::new(),
                scale_ns: DEFAULT_SCALE_NS,
                tracks: Vec::new(),
                clusters: Vec::new(),
                cues: Vec::new(),
                timing: Vec::new(),
                torn_bytes: 0,
            },
        })
    }

    fn run(&mut self) -> Result<(), WebmError> {
        let ebml = self.element()?.filter(|element| element.id == EBML);
        let ebml = ebml.ok_or(WebmError::NotWebm("no EBML header"))?;
        self.parts.ebml = self
            .small(&ebml)?
            .ok_or(WebmError::NotWebm("a torn EBML header"))?;
        let segment = self.element()?.filter(|element| element.id == SEGMENT);
        let segment = segment.ok_or(WebmError::NotWebm("no segment"))?;
        let end = segment.end.unwrap_or(self.length);
        while self.at < end {
            let Some(element) = self.element()? else {
                break;
            };
            match element.id {
                INFO => self.info(&element)?,
                TRACKS => self.tracks(&element)?,
                CLUSTER => self.cluster(&element)?,
                EBML | SEGMENT => return Err(WebmError::SeveralFiles),
                // Made anew, of no use, or unknown.
                _ => {
                    if !self.skip(&element)? {
                        break;
                    }
                }
            }
        }
        self.parts.torn_bytes = self.length.saturating_sub(self.at);
        Ok(())
    }

    fn info(&mut self, element: &Element) -> Result<(), WebmError> {
        let Some(data) = self.small(element)? else {
            return Ok(());
        };
        for (id, range) in children(&data) {
            match id {
                TIMESTAMP_SCALE => self.parts.scale_ns = uint(&data[range.data()]).max(1),
                DURATION | VOID => continue,
                _ => {}
            }
            self.parts.info.extend_from_slice(&data[range.whole()]);
        }
        Ok(())
    }

    fn tracks(&mut self, element: &Element) -> Result<(), WebmError> {
        let Some(data) = self.small(element)? else {
            return Ok(());
        };
        self.parts.timing.clear();
        for (_, range) in children(&data).filter(|(id, _)| *id == TRACK_ENTRY) {
            let entry = &data[range.data()];
            let value = |wanted| {
                children(entry)
                    .find(|(id, _)| *id == wanted)
                    .map(|(_, range)| uint(&entry[range.data()]))
            };
            if let Some(number) = value(TRACK_NUMBER) {
                self.parts.timing.push(TrackTiming {
                    number,
                    is_video: value(TRACK_TYPE) == Some(VIDEO),
                    last: None,
                    step: 0,
                });
            }
        }
        self.parts.tracks = data;
        Ok(())
    }

    fn cluster(&mut self, element: &Element) -> Result<(), WebmError> {
        let mut cluster = Cluster::default();
        let end = element.end.unwrap_or(self.length).min(self.length);
        while self.at < end {
            let before = self.at;
            let Some(child) = self.element()? else { break };
            if element.end.is_none() && is_top_level(child.id) {
                self.jump(before)?;
                break;
            }
            let Some(child_end) = child.end.filter(|end| *end <= self.length) else {
                // Torn, or of unknown size where that is not allowed: nothing after it can be told.
                self.jump(before)?;
                break;
            };
            match child.id {
                CLUSTER_TIMESTAMP => {
                    let data = self.small(&child)?.unwrap_or_default();
                    cluster.timestamp = uint(&data);
                }
                SIMPLE_BLOCK => self.block(&child, None, &cluster)?,
                BLOCK_GROUP => self.block_group(&child, child_end, &cluster)?,
                _ => {}
            }
            self.jump(child_end)?;
            if !matches!(child.id, CLUSTER_POSITION | CLUSTER_PREV_SIZE | VOID) {
                cluster.keep(child.start, child_end - child.start);
            }
        }
        // A cluster that became empty has a timestamp at most; the cues made for it name the next one to be kept.
        if cluster.ranges.is_empty() {
            return Ok(());
        }
        self.parts.clusters.push(cluster);
        Ok(())
    }

    fn block_group(
        &mut self,
        group: &Element,
        end: u64,
        cluster: &Cluster,
    ) -> Result<(), WebmError> {
        let (mut block, mut key) = (None, true);
        self.jump(group.data)?;
        while self.at < end {
            let Some(child) = self.element()? else { break };
            let Some(child_end) = child.end.filter(|child_end| *child_end <= end) else {
                break;
            };
            match child.id {
                BLOCK => block = Some(child),
                REFERENCE_BLOCK => key = false,
                _ => {}
            }
            self.jump(child_end)?;
        }
        match block {
            Some(block) => self.block(&block, Some(key), cluster),
            None => Ok(()),
        }
    }

    /// A frame's track, time and whether it is a key frame; `key` when that does not stand in its flags.
    fn block(
        &mut self,
        block: &Element,
        key: Option<bool>,
        cluster: &Cluster,
    ) -> Result<(), WebmError> {
        self.jump(block.data)?;
        let Some((track, _)) = self.vint()? else {
            return Ok(());
        };
        let mut rest = [0; 3];
        if self.at + 3 > block.end.unwrap_or(0) || !self.fill(&mut rest)? {
            return Ok(());
        }
        let relative = i64::from(i16::from_be_bytes([rest[0], rest[1]]));
        let time = cluster.timestamp.saturating_add_signed(relative);
        let key = key.unwrap_or(rest[2] & 0x80 != 0);
        let has_video = self.parts.timing.iter().any(|track| track.is_video);
        let Some(timing) = self
            .parts
            .timing
            .iter_mut()
            .find(|timing| timing.number == track)
        else {
            return Ok(());
        };
        if let Some(last) = timing.last.filter(|last| *last < time) {
            timing.step = time - last;
        }
        timing.last = timing.last.max(Some(time));
        let cluster = self.parts.clusters.len();
        let first_here = self
            .parts
            .cues
            .last()
            .is_none_or(|cue| cue.cluster != cluster);
        // Of picture every key frame; of sound alone the first frame of each cluster.
        if key && (timing.is_video || (!has_video && first_here)) {
            self.parts.cues.push(Cue {
                time,
                track,
                cluster,
            });
        }
        Ok(())
    }

    /// The next element's head; `None` at the end, or when it is torn.
    fn element(&mut self) -> Result<Option<Element>, WebmError> {
        let start = self.at;
        let head = match self.id()? {
            Some(id) => self.vint()?.map(|size| (id, size)),
            None => None,
        };
        let Some((id, (size, unknown))) = head else {
            self.jump(start)?;
            return Ok(None);
        };
        Ok(Some(Element {
            id,
            start,
            data: self.at,
            end: (!unknown).then(|| self.at.saturating_add(size)),
        }))
    }

    fn id(&mut self) -> Result<Option<u32>, WebmError> {
        let Some(first) = self.byte()? else {
            return Ok(None);
        };
        let length = first.leading_zeros();
        if length > 3 {
            return Ok(None);
        }
        let mut id = u32::from(first);
        for _ in 0..length {
            let Some(byte) = self.byte()? else {
                return Ok(None);
            };
            id = id << 8 | u32::from(byte);
        }
        Ok(Some(id))
    }

    /// A variable-size integer, and whether it is the reserved "unknown".
    fn vint(&mut self) -> Result<Option<(u64, bool)>, WebmError> {
        let Some(first) = self.byte()? else {
            return Ok(None);
        };
        let length = first.leading_zeros();
        if length > 7 {
            return Ok(None);
        }
        let mut value = u64::from(first) & (0x7F >> length);
        for _ in 0..length {
            let Some(byte) = self.byte()? else {
                return Ok(None);
            };
            value = value << 8 | u64::from(byte);
        }
        Ok(Some((value, value == (1 << (7 * (length + 1))) - 1)))
    }

    /// The data of a small element, leaving the reader behind it; `None` when it is torn or too large to be one.
    fn small(&mut self, element: &Element) -> Result<Option<Vec<u8>>, WebmError> {
        let Some(end) = element.end.filter(|end| *end <= self.length) else {
            self.jump(self.length)?;
            return Ok(None);
        };
        let size = end - element.data;
        if size > MAX_SMALL_BYTES {
            return Err(WebmError::NotWebm("a header that is too large"));
        }
        self.jump(element.data)?;
        let mut data = vec![0; size as usize];
        Ok(self.fill(&mut data)?.then_some(data))
    }

    /// Goes behind an element; false when it is torn.
    fn skip(&mut self, element: &Element) -> Result<bool, WebmError> {
        match element.end.filter(|end| *end <= self.length) {
            Some(end) => self.jump(end).map(|()| true),
            None => self.jump(element.start).map(|()| false),
        }
    }

    fn jump(&mut self, to: u64) -> Result<(), WebmError> {
        // Both are at most the file's length, which fits.
        self.input.seek_relative(to as i64 - self.at as i64)?;
        self.at = to;
        Ok(())
    }

    fn byte(&mut self) -> Result<Option<u8>, WebmError> {
        let byte = self.input.fill_buf()?.first().copied();
        if byte.is_some() {
            self.input.consume(1);
            self.at += 1;
        }
        Ok(byte)
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<bool, WebmError> {
        if self.at + out.len() as u64 > self.length {
            return Ok(false);
        }
        self.input.read_exact(out)?;
        self.at += out.len() as u64;
        Ok(true)
    }
}

impl Cluster {
    fn keep(&mut self, offset: u64, length: u64) {
        self.size_bytes += length;
        match self.ranges.last_mut() {
            Some((start, so_far)) if *start + *so_far == offset => *so_far += length,
            _ => self.ranges.push((offset, length)),
        }
    }
}

fn is_top_level(id: u32) -> bool {
    matches!(
        id,
        EBML | SEGMENT | SEEK_HEAD | INFO | TRACKS | TAGS | CUES | CLUSTER
    )
}

struct ChildRange {
    start: usize,
    data: usize,
    end: usize,
}

impl ChildRange {
    fn data(&self) -> std::ops::Range<usize> {
        self.data..self.end
    }

    fn whole(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// The children of a master element in memory; ends at the first that is torn.
fn children(data: &[u8]) -> impl Iterator<Item = (u32, ChildRange)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut number = |keep_marker: bool| -> Option<u64> {
            let first = *data.get(at)?;
            let length = first.leading_zeros() as usize;
            let bytes = data.get(at..at + length + 1).filter(|_| length < 8)?;
            at += length + 1;
            let value = bytes
                .iter()
                .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            let marker = 1_u64 << (7 * (length + 1));
            Some(if keep_marker {
                value
            } else {
                value & (marker - 1)
            })
        };
        let id = u32::try_from(number(true)?).ok()?;
        let size = usize::try_from(number(false)?).ok()?;
        let range = ChildRange {
            start,
            data: at,
            end: at.checked_add(size).filter(|end| *end <= data.len())?,
        };
        at = range.end;
        Some((id, range))
    })
}

fn uint(data: &[u8]) -> u64 {
    data.iter()
        .take(8)
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

// --- Writing --------------------------------------------------------------------------------------

fn write(
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

fn master(id: u32, data: &[u8]) -> Vec<u8> {
    [master_prefix(id, data.len() as u64).as_slice(), data].concat()
}

/// A four-byte id and an eight-byte size.
fn master_prefix(id: u32, size: u64) -> Vec<u8> {
    let mut prefix = id.to_be_bytes().to_vec();
    prefix.extend_from_slice(&(size | 1 << 56).to_be_bytes());
    prefix
}

/// An element with the shortest id and a size of one, two or eight bytes.
fn element(out: &mut Vec<u8>, id: u32, data: &[u8]) {
    let id = id.to_be_bytes();
    out.extend(id.iter().skip_while(|byte| **byte == 0));
    match data.len() {
        size @ 0..=0x7E => out.push(size as u8 | 0x80),
        size @ 0x7F..=0x3FFE => out.extend_from_slice(&(size as u16 | 0x4000).to_be_bytes()),
        size => out.extend_from_slice(&(size as u64 | 1 << 56).to_be_bytes()),
    }
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests;
