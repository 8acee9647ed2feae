//! One recorder run: from the plan to the manifest.
//!
//! [`PartDraft`] has a fresh recording key and the tracks' headers, and can seal nothing. [`PartDraft::start`]
//! turns it into a [`PartRecorder`] and wants what makes a recording lawful: the signed open statement, verified
//! here again with every grant in it, and the vault's shares.

use hpke::rand_core::CryptoRng;
use sealed_visit_protocol::clinic::{ClinicDocument, RecipientRef};
use sealed_visit_protocol::consent::{PlaceClaims, StatementClaims};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::recording::{
    EndReason, EnvelopeClaims, Gap, ManifestClaims, OpenClaims, OpenStatement, OpenTrack,
    ShareGrant, VaultProofClaims, WrappedKey,
};
use sealed_visit_protocol::track::{Header, HeaderClaims, TrackKind};
use sealed_visit_protocol::{
    B64, Hash32, Jws, PublicKey, RecordingId, SigningKey, TrackId, VERSION, VisitId,
};
use zeroize::Zeroizing;

use super::RecordError;
use super::renewal::{self, RenewalKey};
use super::sealer::{SealedSegment, TrackSealer};
use crate::seal::hpke::{PublicKey as WrapKey, Suite};
use crate::seal::track_key::{ShredShare, TrackSecret, derive_track_key};

/// What one run of the recorder will record, and for which recipients.
#[derive(Clone, Debug)]
pub struct PartPlan<'a> {
    /// The visit.
    pub visit: VisitId,
    /// The recording: all parts under one consent round.
    pub recording: RecordingId,
    /// Counts from 0.
    pub part: u32,
    /// At least one.
    pub tracks: &'a [TrackPlan],
    /// As in the granted request: sorted by fingerprint, without duplicates.
    pub recipients: &'a [RecipientRef],
    /// Where the recipients' public keys come from.
    pub clinic: &'a ClinicDocument,
    /// Whether opening needs the vault's share.
    pub share_required: bool,
}

/// One track to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct TrackPlan {
    /// What it holds.
    pub content: TrackKind,
    /// e.g. `video/webm;codecs="vp8,opus"`.
    pub media_type: String,
}

/// A part before its open statement is signed. Holds the recording key; seals nothing.
#[derive(Debug)]
pub struct PartDraft {
    clinic: ClinicDocument,
    recipients: Vec<(Hash32, WrapKey)>,
    recording_key: SigningKey,
    headers: Vec<Header>,
}

impl PartDraft {
    /// Draws the recording key and the tracks' ids, and makes the headers.
    pub fn new(plan: PartPlan<'_>, rng: &mut impl CryptoRng) -> Result<Self, RecordError> {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        let recording_key = SigningKey::from_seed(&seed);
        let mut recipients = Vec::with_capacity(plan.recipients.len());
        for wanted in plan.recipients {
            let listed = plan.clinic.recipient(wanted)?;
            let key =
                WrapKey::from_bytes(Suite::try_from(listed.suite)?, listed.public_key.as_slice())?;
            recipients.push((listed.fingerprint, key));
        }
        let mut headers = Vec::with_capacity(plan.tracks.len());
        for track in plan.tracks {
            let mut id = [0; 16];
            rng.fill_bytes(&mut id);
            headers.push(Header::new(HeaderClaims {
                v: VERSION,
                visit: plan.visit,
                recording: plan.recording,
                part: plan.part,
                track: TrackId::from_bytes(id),
                content: track.content.clone(),
                media_type: track.media_type.clone(),
                suite: HeaderClaims::SUITE.to_owned(),
                recipients: recipients
                    .iter()
                    .map(|(fingerprint, _)| *fingerprint)
                    .collect(),
                share_required: plan.share_required,
                recording_key: recording_key.public(),
            })?);
        }
        Ok(Self {
            clinic: plan.clinic.clone(),
            recipients,
            recording_key,
            headers,
        })
    }

    /// What the open statement names as the key of this part.
    pub fn recording_key(&self) -> PublicKey {
        self.recording_key.public()
    }

    /// What the open statement names as the tracks of this part.
    pub fn open_tracks(&self) -> Vec<OpenTrack> {
        self.headers
            .iter()
            .map(|header| OpenTrack {
                track: header.claims().track,
                header: B64::from(header.bytes()),
            })
            .collect()
    }

    /// Proves to the vault that the sender holds the part's recording key, and names the key that renews the
    /// capability later. Good once, for a short time.
    pub fn prove(
        &self,
        open: &Jws<OpenClaims>,
        renewal: &RenewalKey,
        at_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Jws<VaultProofClaims> {
        let vault = &self.clinic.claims().vault;
        let renewal_key = Some(renewal.public());
        renewal::prove(&self.recording_key, open, vault, at_ms, renewal_key, rng)
    }

    /// The key of the vault that the clinic document names.
    pub fn vault(&self) -> PublicKey {
        self.clinic.claims().vault
    }

    /// Verifies the open statement, takes the vault's shares, wraps each track's secret. `started_ms` is the
    /// wall clock at media time 0.
    pub fn start(
        self,
        open: &Jws<OpenClaims>,
        shares: &[ShareGrant],
        started_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<PartRecorder, RecordError> {
        let open = OpenStatement::verify(open, &self.clinic)?;
        if open.claims().recording_key != self.recording_key.public() {
            return Err(RecordError::OtherDraft("the recording key"));
        }
        if open.headers() != self.headers {
            return Err(RecordError::OtherDraft("a header"));
        }
        let mut tracks = Vec::with_capacity(self.headers.len());
        for header in self.headers {
            let share = share_for(&header, shares)?;
            let mut secret = Zeroizing::new([0; 32]);
            rng.fill_bytes(secret.as_mut());
            let secret = TrackSecret::new(*secret);
            let envelope = envelope(&header, &self.recipients, &secret, share.as_ref(), rng)?;
            let key = derive_track_key(&secret, share.as_ref(), &header.hash().0);
            let (sealer, start) = TrackSealer::new(header, key)?;
            tracks.push(RecordedTrack {
                sealer,
                start,
                envelope: self.recording_key.sign(&envelope),
            });
        }
        let claims = open.claims();
        Ok(PartRecorder {
            recording: claims.recording,
            part: claims.part,
            open: open.jws().hash(),
            recording_key: self.recording_key,
            tracks,
            started_ms,
            marks: 0,
        })
    }
}

fn share_for(header: &Header, shares: &[ShareGrant]) -> Result<Option<ShredShare>, RecordError> {
    let track = header.claims().track;
    let share = shares
        .iter()
        .find(|grant| grant.track == track)
        .map(|grant| grant.share.as_slice())
        .filter(|share| !share.is_empty());
    match (header.claims().share_required, share) {
        (true, Some(share)) => ShredShare::try_from(share)
            .map(Some)
            .map_err(|error| RecordError::Share { track, error }),
        (true, None) => Err(RecordError::ShareMissing(track)),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(RecordError::ShareUnexpected(track)),
    }
}

fn envelope(
    header: &Header,
    recipients: &[(Hash32, WrapKey)],
    secret: &TrackSecret,
    share: Option<&ShredShare>,
    rng: &mut impl CryptoRng,
) -> Result<EnvelopeClaims, RecordError> {
    let said = header.claims();
    let mut keys = Vec::with_capacity(recipients.len());
    for (fingerprint, key) in recipients {
        let info = WrappedKey::info(&header.hash(), fingerprint);
        let mut enc = key.wrap(&info, secret.expose(), rng)?;
        let ciphertext = enc.split_off(key.suite().enc_bytes());
        keys.push(WrappedKey {
            recipient: *fingerprint,
            suite: key.suite().into(),
            enc: B64(enc),
            ciphertext: B64(ciphertext),
        });
    }
    Ok(EnvelopeClaims {
        v: VERSION,
        recording: said.recording,
        part: said.part,
        track: said.track,
        header_hash: header.hash(),
        share_hash: share.map(|share| sha256(share.expose())),
        keys,
    })
}

struct RecordedTrack {
    sealer: TrackSealer,
    start: Vec<u8>,
    envelope: Jws<EnvelopeClaims>,
}

/// How a part ended.
#[derive(Clone, Debug)]
pub struct PartEnd {
    /// Why.
    pub reason: EndReason,
    /// Wall clock, milliseconds since the Unix epoch.
    pub ended_ms: u64,
    /// The statement, when somebody withdrew.
    pub withdrawal: Option<Jws<StatementClaims>>,
    /// Places that the host confirmed meanwhile.
    pub places: Vec<Jws<PlaceClaims>>,
}

/// A running recording of one part. Dropping it wipes its keys; what was sealed stays good.
pub struct PartRecorder {
    recording: RecordingId,
    part: u32,
    open: Hash32,
    recording_key: SigningKey,
    tracks: Vec<RecordedTrack>,
    started_ms: u64,
    marks: u64,
}

impl PartRecorder {
    /// The tracks' headers.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        self.tracks.iter().map(|track| track.sealer.header())
    }

    /// The track's signed envelope: to be spooled before its first segment.
    pub fn envelope(&self, track: TrackId) -> Result<&Jws<EnvelopeClaims>, RecordError> {
        Ok(&self.track(track)?.envelope)
    }

    /// The first bytes of the track's file: magic and header.
    pub fn track_start(&self, track: TrackId) -> Result<&[u8], RecordError> {
        Ok(&self.track(track)?.start)
    }

    /// Seals one slice. Append the result to the track's file, and flush, before the next call.
    ///
    /// `media_end_us` is the media time at the slice's end since the part's start, never less than before;
    /// `at_ms` the wall clock. The slice stays the caller's to wipe.
    pub fn seal(
        &mut self,
        track: TrackId,
        slice: &[u8],
        media_end_us: u64,
        at_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<SealedSegment, RecordError> {
        let index = self.index_of(track)?;
        self.tracks[index]
            .sealer
            .seal(slice, media_end_us, at_ms, &self.recording_key, rng)
    }

    /// States a hole in a track's media time, for the manifest. The reason is a code such as `asleep`.
    pub fn gap(
        &mut self,
        track: TrackId,
        from_us: u64,
        to_us: u64,
        reason: &str,
    ) -> Result<(), RecordError> {
        let index = self.index_of(track)?;
        self.tracks[index].sealer.gap(Gap {
            from_us,
            to_us,
            reason: reason.to_owned(),
        })
    }

    /// Counts a mark that was sealed into the events track.
    pub fn count_mark(&mut self) {
        self.marks += 1;
    }

    /// How many segments a track has.
    pub fn segments(&self, track: TrackId) -> Result<u64, RecordError> {
        Ok(self.track(track)?.sealer.segments())
    }

    /// Media time sealed so far.
    pub fn media_end_us(&self, track: TrackId) -> Result<u64, RecordError> {
        Ok(self.track(track)?.sealer.media_end_us())
    }

    /// Each track's chain head: what a part that goes on after this one names.
    pub fn heads(&self) -> Vec<(TrackId, Hash32)> {
        self.tracks
            .iter()
            .map(|track| (track.sealer.header().claims().track, track.sealer.head()))
            .collect()
    }

    /// Ends the part: signs the manifest and wipes all keys.
    pub fn finish(self, end: PartEnd) -> Jws<ManifestClaims> {
        self.recording_key.sign(&ManifestClaims {
            v: VERSION,
            recording: self.recording,
            part: self.part,
            open: self.open,
            tracks: self
                .tracks
                .iter()
                .map(|track| track.sealer.summary())
                .collect(),
            started_ms: self.started_ms,
            ended_ms: end.ended_ms,
            reason: end.reason,
            withdrawal: end.withdrawal,
            places: end.places,
            marks: self.marks,
        })
    }

    fn track(&self, track: TrackId) -> Result<&RecordedTrack, RecordError> {
        Ok(&self.tracks[self.index_of(track)?])
    }

    fn index_of(&self, track: TrackId) -> Result<usize, RecordError> {
        self.headers()
            .position(|header| header.claims().track == track)
            .ok_or(RecordError::UnknownTrack(track))
    }
}

impl std::fmt::Debug for PartRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PartRecorder({} part {}, {} tracks)",
            self.recording,
            self.part,
            self.tracks.len()
        )
    }
}
