//! Track files, envelopes and manifests, signed with a part's recording key.

use super::{Part, START_MS};
use sealed_visit_protocol::bytes::{B64, Hash32};
use sealed_visit_protocol::clinic::WrapSuite;
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::recording::{
    EndReason, EnvelopeClaims, ManifestClaims, TrackSummary, WrappedKey,
};
use sealed_visit_protocol::track::{
    CheckpointClaims, Header, MAGIC, RecordType, TrackState, first_head, next_head, write_record,
};
use sealed_visit_protocol::{Jws, SigningKey};

/// A track file under construction.
#[derive(Clone)]
pub struct TrackFile {
    pub header: Header,
    key: SigningKey,
    pub bytes: Vec<u8>,
    head: Hash32,
    segments: u64,
    /// Where the header and each checkpoint end.
    pub ends: Vec<u64>,
}

impl TrackFile {
    pub fn new(part: &Part, index: usize) -> Self {
        let header = part.headers[index].clone();
        let mut bytes = MAGIC.to_vec();
        write_record(&mut bytes, RecordType::Header, header.bytes()).expect("fits");
        Self {
            head: first_head(&header.hash()),
            key: part.recording_key.clone(),
            ends: vec![bytes.len() as u64],
            segments: 0,
            header,
            bytes,
        }
    }

    /// A track with segments of these sizes.
    pub fn with_segments(part: &Part, index: usize, sizes: &[usize]) -> Self {
        let mut track = Self::new(part, index);
        for (number, size) in sizes.iter().enumerate() {
            track.push(&vec![number as u8; *size]);
        }
        track
    }

    /// Appends a segment and its checkpoint.
    pub fn push(&mut self, segment: &[u8]) {
        self.push_altered(segment, |_| {});
    }

    pub fn push_altered(&mut self, segment: &[u8], alter: impl FnOnce(&mut CheckpointClaims)) {
        write_record(&mut self.bytes, RecordType::Segment, segment).expect("fits");
        self.head = next_head(&self.head, &sha256(segment));
        let mut claims = CheckpointClaims {
            v: 1,
            track: self.header.claims().track,
            index: self.segments,
            end: self.bytes.len() as u64,
            head: self.head,
            media_end_us: (self.segments + 1) * 250_000,
            at_ms: START_MS + (self.segments + 1) * 250,
        };
        alter(&mut claims);
        let checkpoint = self.key.sign(&claims);
        write_record(
            &mut self.bytes,
            RecordType::Checkpoint,
            checkpoint.as_str().as_bytes(),
        )
        .expect("fits");
        self.segments += 1;
        self.ends.push(self.bytes.len() as u64);
    }

    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The verifier, fed with the first `length` bytes.
    pub fn state(&self, length: u64) -> TrackState {
        let mut state = TrackState::new();
        state
            .feed(&self.bytes[..length as usize], |_| {})
            .expect("a good track");
        state
    }

    pub fn summary(&self) -> TrackSummary {
        let state = self.state(self.len());
        TrackSummary {
            track: self.header.claims().track,
            header_hash: self.header.hash(),
            segments: state.segments(),
            length_bytes: state.verified_bytes(),
            head: state.head(),
            index_hash: state.index_hash(),
            media_end_us: state.media_end_us(),
            gaps: vec![],
        }
    }
}

impl Part {
    pub fn envelope(&self, index: usize, share: &[u8]) -> Jws<EnvelopeClaims> {
        self.envelope_altered(index, share, |_| {})
    }

    pub fn envelope_altered(
        &self,
        index: usize,
        share: &[u8],
        alter: impl FnOnce(&mut EnvelopeClaims),
    ) -> Jws<EnvelopeClaims> {
        let header = &self.headers[index];
        let mut claims = EnvelopeClaims {
            v: 1,
            recording: self.claims.recording,
            part: self.claims.part,
            track: header.claims().track,
            header_hash: header.hash(),
            share_hash: header.claims().share_required.then(|| sha256(share)),
            keys: header
                .claims()
                .recipients
                .iter()
                .map(|recipient| WrappedKey {
                    recipient: *recipient,
                    suite: WrapSuite::X25519,
                    enc: B64(vec![1; 32]),
                    ciphertext: B64(vec![2; 48]),
                })
                .collect(),
        };
        alter(&mut claims);
        self.recording_key.sign(&claims)
    }

    pub fn manifest(&self, tracks: &[&TrackFile]) -> Jws<ManifestClaims> {
        self.manifest_altered(tracks, |_| {})
    }

    pub fn manifest_altered(
        &self,
        tracks: &[&TrackFile],
        alter: impl FnOnce(&mut ManifestClaims),
    ) -> Jws<ManifestClaims> {
        let mut claims = ManifestClaims {
            v: 1,
            recording: self.claims.recording,
            part: self.claims.part,
            open: self.open().hash(),
            tracks: tracks.iter().map(|track| track.summary()).collect(),
            started_ms: START_MS,
            ended_ms: START_MS + 20_000,
            reason: EndReason::Stopped,
            withdrawal: None,
            places: Vec::new(),
            marks: 0,
        };
        alter(&mut claims);
        self.recording_key.sign(&claims)
    }
}
