//! A live file, read once as it comes, and its seekable form, written as it is read.
//!
//! An element is handled when all of it has come, so at most one element waits in memory. What cannot be known before the end
//! (sizes, the duration, where the cues are) gets its room, and is filled in at the end.

use super::ebml::{Head, HeadError, children, element, head, master, master_prefix, uint};
use super::ids::*;
use super::{Indexed, WebmError};
use std::io::{Seek, SeekFrom, Write};

const VIDEO: u64 = 1;
const DEFAULT_SCALE_NS: u64 = 1_000_000;
/// Info and Tracks of a recording have some hundred bytes.
const MAX_SMALL_BYTES: u64 = 1 << 20;
/// Of any other element that is kept. No frame is as long as a sealed segment may be.
const MAX_ELEMENT_BYTES: u64 = 32 << 20;
/// Where the size stands in a [`master_prefix`].
const SIZE_OFFSET: u64 = 4;

/// Takes a live file in pieces of any size; writes its seekable form to `output`, from where that stands.
pub struct Indexer<W> {
    output: W,
    /// Where the file begins in `output`.
    start: u64,
    /// Bytes written.
    written: u64,
    /// What came and is not handled: the beginning of one element.
    pending: Vec<u8>,
    /// So many bytes that are coming belong to an element that is left out.
    skipping: u64,
    stage: Stage,
    /// Nothing more can be told apart: the rest is torn.
    is_torn: bool,
    torn_bytes: u64,
    ebml: Vec<u8>,
    /// Children of Info but Duration.
    info: Vec<u8>,
    scale_ns: u64,
    tracks: Vec<u8>,
    timing: Vec<TrackTiming>,
    /// Where the first child of the segment begins in the file, and where its first three are; none before a frame came.
    layout: Option<Layout>,
    clusters: Vec<Written>,
    cues: Vec<Cue>,
}

enum Stage {
    Ebml,
    Segment,
    Top,
    Cluster(Cluster),
}

/// The cluster that is being read.
struct Cluster {
    timestamp: u64,
    /// Bytes of it that have not come; unknown in a file for streaming.
    left: Option<u64>,
    /// Its place among those written, once something was kept.
    index: Option<usize>,
}

/// A cluster in the output.
struct Written {
    at: u64,
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

struct Layout {
    segment: u64,
    data: u64,
    info: u64,
    tracks: u64,
    duration: u64,
}

impl<W: Write + Seek> Indexer<W> {
    pub fn new(mut output: W) -> Result<Self, WebmError> {
        Ok(Self {
            start: output.stream_position()?,
            output,
            written: 0,
            pending: Vec::new(),
            skipping: 0,
            stage: Stage::Ebml,
            is_torn: false,
            torn_bytes: 0,
            ebml: Vec::new(),
            info: Vec::new(),
            scale_ns: DEFAULT_SCALE_NS,
            tracks: Vec::new(),
            timing: Vec::new(),
            layout: None,
            clusters: Vec::new(),
            cues: Vec::new(),
        })
    }

    /// Takes the next bytes. After an error the output is of no use.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), WebmError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let mut at = 0;
        while at < pending.len() && !self.is_torn {
            let skipped = self.skipping.min((pending.len() - at) as u64);
            self.skipping -= skipped;
            at += skipped as usize;
            match self.step(&pending[at..])? {
                0 => break,
                taken => at += taken,
            }
        }
        pending.drain(..at);
        if self.is_torn {
            self.torn_bytes += pending.len() as u64;
            pending.clear();
        }
        self.pending = pending;
        Ok(())
    }

    /// Handles one element at the beginning of these bytes; returns how many it took, 0 if more are needed.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, WebmError> {
        let head = match head(bytes) {
            Ok(head) => head,
            Err(HeadError::Short) => return Ok(0),
            Err(HeadError::Malformed) => {
                self.check_began()?;
                self.is_torn = true;
                return Ok(0);
            }
        };
        match &mut self.stage {
            Stage::Ebml => {
                if head.id != EBML {
                    return Err(WebmError::NotWebm("no EBML header"));
                }
                self.whole(bytes, &head, MAX_SMALL_BYTES, |this, data, _| {
                    this.ebml = data.to_vec();
                    this.stage = Stage::Segment;
                    Ok(())
                })
            }
            Stage::Segment => {
                if head.id != SEGMENT {
                    return Err(WebmError::NotWebm("no segment"));
                }
                self.stage = Stage::Top;
                Ok(head.bytes)
            }
            Stage::Top => self.top(bytes, &head),
            Stage::Cluster(cluster) => {
                let is_over = match cluster.left {
                    Some(left) => left == 0,
                    None => is_top_level(head.id),
                };
                if is_over {
                    self.stage = Stage::Top;
                    return self.top(bytes, &head);
                }
                self.child(bytes, &head)
            }
        }
    }

    fn top(&mut self, bytes: &[u8], head: &Head) -> Result<usize, WebmError> {
        match (head.id, head.size) {
            (INFO, _) => self.whole(bytes, head, MAX_SMALL_BYTES, |this, data, _| {
                this.take_info(data)
            }),
            (TRACKS, _) => self.whole(bytes, head, MAX_SMALL_BYTES, |this, data, _| {
                this.take_tracks(data)
            }),
            (CLUSTER, size) => {
                self.stage = Stage::Cluster(Cluster {
                    timestamp: 0,
                    left: size,
                    index: None,
                });
                Ok(head.bytes)
            }
            (EBML | SEGMENT, _) => Err(WebmError::SeveralFiles),
            // Made anew, of no use, or unknown.
            (_, Some(size)) => {
                self.skipping = size;
                Ok(head.bytes)
            }
            (_, None) => {
                self.is_torn = true;
                Ok(0)
            }
        }
    }

    /// A child of the cluster that is being read.
    fn child(&mut self, bytes: &[u8], head: &Head) -> Result<usize, WebmError> {
        if head.size.is_none() {
            // Of unknown size where that is not allowed: nothing after it can be told.
            self.is_torn = true;
            return Ok(0);
        }
        let id = head.id;
        let taken = self.whole(bytes, head, MAX_ELEMENT_BYTES, |this, data, whole| {
            match id {
                CLUSTER_TIMESTAMP => this.cluster()?.timestamp = uint(data),
                SIMPLE_BLOCK => this.frame(data, None)?,
                BLOCK_GROUP => this.group(data)?,
                CLUSTER_POSITION | CLUSTER_PREV_SIZE | VOID => return Ok(()),
                _ => {}
            }
            this.keep(whole)
        })?;
        if let Stage::Cluster(Cluster {
            left: Some(left), ..
        }) = &mut self.stage
        {
            *left = left.saturating_sub(taken as u64);
        }
        Ok(taken)
    }

    fn cluster(&mut self) -> Result<&mut Cluster, WebmError> {
        match &mut self.stage {
            Stage::Cluster(cluster) => Ok(cluster),
            _ => Err(WebmError::NotWebm("a frame outside of a cluster")),
        }
    }

    /// Hands over an element's data, and the element with its head, once all of it is here.
    fn whole(
        &mut self,
        bytes: &[u8],
        head: &Head,
        limit: u64,
        take: impl FnOnce(&mut Self, &[u8], &[u8]) -> Result<(), WebmError>,
    ) -> Result<usize, WebmError> {
        let Some(size) = head.size else {
            self.check_began()?;
            self.is_torn = true;
            return Ok(0);
        };
        if size > limit {
            // It may be torn: then there are not so many bytes. But nobody can wait for them.
            return Err(WebmError::NotWebm("an element that is too large"));
        }
        let end = head.bytes + size as usize;
        let Some(whole) = bytes.get(..end) else {
            return Ok(0);
        };
        take(self, &whole[head.bytes..], whole)?;
        Ok(end)
    }

    fn check_began(&self) -> Result<(), WebmError> {
        match self.stage {
            Stage::Ebml => Err(WebmError::NotWebm("no EBML header")),
            Stage::Segment => Err(WebmError::NotWebm("no segment")),
            _ => Ok(()),
        }
    }

    fn take_info(&mut self, data: &[u8]) -> Result<(), WebmError> {
        self.refuse_late()?;
        for (id, range) in children(data) {
            match id {
                TIMESTAMP_SCALE => self.scale_ns = uint(&data[range.data()]).max(1),
                DURATION | VOID => continue,
                _ => {}
            }
            self.info.extend_from_slice(&data[range.whole()]);
        }
        Ok(())
    }

    fn take_tracks(&mut self, data: &[u8]) -> Result<(), WebmError> {
        self.refuse_late()?;
        self.timing.clear();
        for (_, range) in children(data).filter(|(id, _)| *id == TRACK_ENTRY) {
            let entry = &data[range.data()];
            let value = |wanted| {
                children(entry)
                    .find(|(id, _)| *id == wanted)
                    .map(|(_, range)| uint(&entry[range.data()]))
            };
            if let Some(number) = value(TRACK_NUMBER) {
                self.timing.push(TrackTiming {
                    number,
                    is_video: value(TRACK_TYPE) == Some(VIDEO),
                    last: None,
                    step: 0,
                });
            }
        }
        self.tracks = data.to_vec();
        Ok(())
    }

    /// They stand before the first frame, here and in what is written.
    fn refuse_late(&self) -> Result<(), WebmError> {
        match self.layout {
            Some(_) => Err(WebmError::NotWebm("a header after the first frame")),
            None => Ok(()),
        }
    }

    fn group(&mut self, data: &[u8]) -> Result<(), WebmError> {
        let is_key = !children(data).any(|(id, _)| id == REFERENCE_BLOCK);
        let block = children(data).filter(|(id, _)| *id == BLOCK).last();
        match block {
            Some((_, range)) => self.frame(&data[range.data()], Some(is_key)),
            None => Ok(()),
        }
    }

    /// A frame's track, time and whether it is a key frame; `key` where that does not stand in its flags.
    fn frame(&mut self, data: &[u8], key: Option<bool>) -> Result<(), WebmError> {
        let timestamp = self.cluster()?.timestamp;
        let index = self.cluster()?.index.unwrap_or(self.clusters.len());
        let Some((track, rest)) = super::ebml::vint(data) else {
            return Ok(());
        };
        let Some(&[high, low, flags]) = data.get(rest..rest + 3) else {
            return Ok(());
        };
        let relative = i64::from(i16::from_be_bytes([high, low]));
        let time = timestamp.saturating_add_signed(relative);
        let key = key.unwrap_or(flags & 0x80 != 0);
        let has_video = self.timing.iter().any(|track| track.is_video);
        let mut timing = self.timing.iter_mut();
        let Some(timing) = timing.find(|timing| timing.number == track) else {
            return Ok(());
        };
        if let Some(last) = timing.last.filter(|last| *last < time) {
            timing.step = time - last;
        }
        timing.last = timing.last.max(Some(time));
        let first_here = self.cues.last().is_none_or(|cue| cue.cluster != index);
        // Of picture every key frame; of sound alone the first frame of each cluster.
        if key && (timing.is_video || (!has_video && first_here)) {
            self.cues.push(Cue {
                time,
                track,
                cluster: index,
            });
        }
        Ok(())
    }

    /// Writes a child of the cluster; before the first, the cluster's head, and before that the file's.
    fn keep(&mut self, whole: &[u8]) -> Result<(), WebmError> {
        if self.layout.is_none() {
            self.write_headers()?;
        }
        let index = match self.cluster()?.index {
            Some(index) => index,
            None => {
                let index = self.clusters.len();
                self.cluster()?.index = Some(index);
                let at = self.written;
                self.clusters.push(Written { at, size_bytes: 0 });
                self.write(&master_prefix(CLUSTER, 0))?;
                index
            }
        };
        self.clusters[index].size_bytes += whole.len() as u64;
        self.write(whole)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WebmError> {
        self.output.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn write_headers(&mut self) -> Result<(), WebmError> {
        let mut ebml = Vec::new();
        element(&mut ebml, EBML, &self.ebml);
        self.write(&ebml)?;
        let segment = self.written;
        self.write(&master_prefix(SEGMENT, 0))?;
        let data = self.written;
        // All positions have eight bytes, so that no size depends on a position.
        self.write(&master(SEEK_HEAD, &seek_head(&[0; 3])))?;
        let info_at = self.written;
        let mut info = std::mem::take(&mut self.info);
        element(&mut info, DURATION, &0_f64.to_be_bytes());
        self.write(&master(INFO, &info))?;
        let tracks_at = self.written;
        let tracks = std::mem::take(&mut self.tracks);
        self.write(&master(TRACKS, &tracks))?;
        self.layout = Some(Layout {
            segment,
            data,
            info: info_at - data,
            tracks: tracks_at - data,
            duration: tracks_at - 8,
        });
        Ok(())
    }

    /// Writes the cues, and fills in what was left open. The output stands at the file's end.
    pub fn finish(mut self) -> Result<(W, Indexed), WebmError> {
        self.torn_bytes += self.pending.len() as u64;
        let Some(layout) = self.layout.take() else {
            self.check_began()?;
            return Err(WebmError::Empty);
        };
        let ticks = self.duration_ticks();
        let cues_at = self.written - layout.data;
        let cues = master(CUES, &self.cues(&layout));
        self.write(&cues)?;
        let size = self.written - layout.data;
        self.patch(layout.segment, &master_prefix(SEGMENT, size))?;
        let places = seek_head(&[layout.info, layout.tracks, cues_at]);
        self.patch(layout.data, &master(SEEK_HEAD, &places))?;
        self.patch(layout.duration, &(ticks as f64).to_be_bytes())?;
        for Written { at, size_bytes } in std::mem::take(&mut self.clusters) {
            let prefix = master_prefix(CLUSTER, size_bytes);
            self.patch(at + SIZE_OFFSET, &prefix[SIZE_OFFSET as usize..])?;
        }
        self.output
            .seek(SeekFrom::Start(self.start + self.written))?;
        self.output.flush()?;
        let indexed = Indexed {
            duration_ms: ticks.saturating_mul(self.scale_ns) / 1_000_000,
            cues: self.cues.len(),
            torn_bytes: self.torn_bytes,
        };
        Ok((self.output, indexed))
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<(), WebmError> {
        self.output.seek(SeekFrom::Start(self.start + at))?;
        Ok(self.output.write_all(bytes)?)
    }

    /// End of the frame that ends last, a track's last frame being as long as the one before it.
    fn duration_ticks(&self) -> u64 {
        let end = |track: &TrackTiming| track.last.map(|last| last.saturating_add(track.step));
        self.timing.iter().filter_map(end).max().unwrap_or(0)
    }

    fn cues(&self, layout: &Layout) -> Vec<u8> {
        let mut points = Vec::new();
        for cue in &self.cues {
            let Some(cluster) = self.clusters.get(cue.cluster) else {
                continue;
            };
            let position = cluster.at - layout.data;
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

fn is_top_level(id: u32) -> bool {
    matches!(
        id,
        EBML | SEGMENT | SEEK_HEAD | INFO | TRACKS | TAGS | CUES | CLUSTER
    )
}
