//! The envelope: a track's secret, wrapped for every recipient. It stands beside the track, so that keys can be
//! rotated while track, manifest and receipt stay valid.

use crate::bytes::{B64, Hash32};
use crate::clinic::WrapSuite;
use crate::id::{RecordingId, TrackId};
use crate::jws::{Claims, Jws, JwsError};
use crate::track::Header;
use serde::{Deserialize, Serialize};

/// Claims of an envelope, signed by the recording key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The recording that the track belongs to.
    pub recording: RecordingId,
    /// The number of its part.
    pub part: u32,
    /// The track.
    pub track: TrackId,
    /// SHA-256 of the header's bytes ([`Header::hash`]).
    pub header_hash: Hash32,
    /// SHA-256 of the share, when the header needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_hash: Option<Hash32>,
    /// One for each recipient of the header, in its order.
    pub keys: Vec<WrappedKey>,
}

impl Claims for EnvelopeClaims {
    const TYP: &'static str = "sv-envelope+jwt";
}

/// The track secret, wrapped with HPKE base mode, single shot, empty aad and [`WrappedKey::info`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// The recipient's fingerprint.
    pub recipient: Hash32,
    /// The suite it is wrapped with. An entry of another suite than the recipient's key does not open.
    pub suite: WrapSuite,
    /// The KEM's encapsulated key.
    pub enc: B64,
    /// 32 bytes of track secret and a 16-byte tag.
    pub ciphertext: B64,
}

impl WrappedKey {
    /// HPKE `info`: `sealed-visit envelope v1`, a zero byte, the header hash, the recipient's fingerprint.
    pub fn info(header_hash: &Hash32, recipient: &Hash32) -> Vec<u8> {
        let mut info = b"sealed-visit envelope v1\0".to_vec();
        info.extend_from_slice(header_hash.as_slice());
        info.extend_from_slice(recipient.as_slice());
        info
    }
}

/// Why an envelope was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The recording key did not sign it, or it cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// It names another recording, part, track or header.
    #[error("the envelope belongs to another track")]
    OtherTrack,
    /// It does not have exactly one key for each recipient of the header, in its order.
    #[error("the envelope's recipients are not the header's")]
    OtherRecipients,
    /// It names a share though the header needs none, or none though it needs one; or the share at hand is another.
    #[error("the envelope names another share, or none")]
    OtherShare,
}

impl EnvelopeClaims {
    /// Verifies an envelope against its track's header. `share` is the vault's: its hash must match.
    pub fn verify(
        jws: &Jws<EnvelopeClaims>,
        header: &Header,
        share: Option<&[u8]>,
    ) -> Result<Self, EnvelopeError> {
        let said = header.claims();
        let claims = jws.verify(&said.recording_key)?;
        if claims.header_hash != header.hash()
            || (claims.recording, claims.part, claims.track)
                != (said.recording, said.part, said.track)
        {
            return Err(EnvelopeError::OtherTrack);
        }
        if !claims
            .keys
            .iter()
            .map(|key| &key.recipient)
            .eq(said.recipients.iter())
        {
            return Err(EnvelopeError::OtherRecipients);
        }
        if claims.share_hash.is_some() != said.share_required {
            return Err(EnvelopeError::OtherShare);
        }
        let other_share =
            share.is_some_and(|share| claims.share_hash != Some(crate::hash::sha256(share)));
        if said.share_required && other_share {
            return Err(EnvelopeError::OtherShare);
        }
        Ok(claims)
    }
}
