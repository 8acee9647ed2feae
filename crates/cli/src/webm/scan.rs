//! Reading a live file: where its clusters and key frames are.

use super::ebml::{children, uint};
use super::ids::*;
use super::{Cluster, Cue, Parts, TrackTiming, WebmError};
use std::io::{BufRead as _, BufReader, Read, Seek, SeekFrom};

const VIDEO: u64 = 1;
const DEFAULT_SCALE_NS: u64 = 1_000_000;
/// Info and Tracks of a recording have some hundred bytes.
const MAX_SMALL_BYTES: u64 = 1 << 20;

pub(super) struct Scan<'a, R> {
    input: BufReader<&'a mut R>,
    at: u64,
    length: u64,
    pub(super) parts: Parts,
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
    pub(super) fn new(input: &'a mut R) -> Result<Self, WebmError> {
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

    pub(super) fn run(&mut self) -> Result<(), WebmError> {
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
                // Rewritten, useless, or unknown.
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
                // Torn, or of unknown size where that is not allowed: nothing after it can be read.
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

fn is_top_level(id: u32) -> bool {
    matches!(
        id,
        EBML | SEGMENT | SEEK_HEAD | INFO | TRACKS | TAGS | CUES | CLUSTER
    )
}
