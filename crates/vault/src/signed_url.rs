//! Download URLs that expire: an HMAC-SHA256 over which track and until when.
//!
//! They let a media element or a plain download tool fetch ranges without the reader's token, which must not stand in
//! a URL. Who was given one stands in the audit log.

use crate::key::hmac_sha256;
use crate::store::TrackKey;
use hmac::{Hmac, Mac as _};
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use serde::Deserialize;
use sha2::Sha256;

/// The query of a signed URL.
#[derive(Debug, Clone, Deserialize)]
pub struct Signature {
    /// Milliseconds since the Unix epoch.
    pub expires_ms: u64,
    pub signature: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("the download URL has expired; open the recording again for a new one")]
    Expired,
    #[error("the download URL is not signed by this vault")]
    NotSigned,
}

/// Path and query under which the track can be fetched until `expires_ms`.
pub fn path_of(key: &[u8; 32], track: &TrackKey, expires_ms: u64) -> String {
    let signature = to_base64url(&mac(key, track, expires_ms).finalize().into_bytes());
    let TrackKey {
        recording,
        part,
        track,
    } = track;
    format!("/v1/tracks/{recording}/{part}/{track}?expires_ms={expires_ms}&signature={signature}")
}

pub fn check(
    key: &[u8; 32],
    track: &TrackKey,
    shown: &Signature,
    now_ms: u64,
) -> Result<(), UrlError> {
    let signature = from_base64url(&shown.signature).ok_or(UrlError::NotSigned)?;
    mac(key, track, shown.expires_ms)
        .verify_slice(&signature)
        .map_err(|_| UrlError::NotSigned)?;
    if shown.expires_ms <= now_ms {
        return Err(UrlError::Expired);
    }
    Ok(())
}

fn mac(key: &[u8; 32], track: &TrackKey, expires_ms: u64) -> Hmac<Sha256> {
    let mut mac = hmac_sha256(key);
    mac.update(b"sealed-visit track v1\0");
    mac.update(track.recording.as_bytes());
    mac.update(&track.part.to_be_bytes());
    mac.update(track.track.as_bytes());
    mac.update(&expires_ms.to_be_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealed_visit_protocol::{RecordingId, TrackId};

    fn key_of(byte: u8) -> TrackKey {
        TrackKey {
            recording: RecordingId::from_bytes([byte; 16]),
            part: 1,
            track: TrackId::from_bytes([byte; 16]),
        }
    }

    fn shown(path: &str) -> Signature {
        let (_, query) = path.split_once("?expires_ms=").unwrap();
        let (expires, signature) = query.split_once("&signature=").unwrap();
        Signature {
            expires_ms: expires.parse().unwrap(),
            signature: signature.into(),
        }
    }

    #[test]
    fn is_good_for_its_track_until_its_time_and_for_nothing_else() {
        let key = [7; 32];
        let signature = shown(&path_of(&key, &key_of(1), 1000));
        assert_eq!(check(&key, &key_of(1), &signature, 999), Ok(()));
        assert_eq!(
            check(&key, &key_of(1), &signature, 1000),
            Err(UrlError::Expired)
        );
        assert_eq!(
            check(&key, &key_of(2), &signature, 999),
            Err(UrlError::NotSigned)
        );
        assert_eq!(
            check(&[8; 32], &key_of(1), &signature, 999),
            Err(UrlError::NotSigned)
        );
        let later = Signature {
            expires_ms: 2000,
            ..signature.clone()
        };
        assert_eq!(
            check(&key, &key_of(1), &later, 999),
            Err(UrlError::NotSigned)
        );
        let cut = Signature {
            signature: signature.signature[..20].into(),
            ..signature
        };
        assert_eq!(check(&key, &key_of(1), &cut, 999), Err(UrlError::NotSigned));
    }
}
