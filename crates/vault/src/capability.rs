//! The upload capability: append to and close these tracks, nothing else.
//!
//! A JWS by the vault's key, shown as a bearer token. It needs no secret storage at the vault and survives its
//! restarts; it says nothing about the visit.

use crate::auth;
use crate::error::{ApiError, ApiResult};
use http::HeaderMap;
use sealed_visit_protocol::jws::Claims;
use sealed_visit_protocol::{Jws, RecordingId, SigningKey, TrackId, VERSION};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityClaims {
    pub v: u32,
    pub recording: RecordingId,
    pub part: u32,
    pub tracks: Vec<TrackId>,
    /// Expiry, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

impl Claims for CapabilityClaims {
    const TYP: &'static str = "sv-upload+jwt";
}

pub fn issue(
    key: &SigningKey,
    recording: RecordingId,
    part: u32,
    tracks: Vec<TrackId>,
    expires_ms: u64,
) -> String {
    let claims = CapabilityClaims {
        v: VERSION,
        recording,
        part,
        tracks,
        expires_ms,
    };
    key.sign(&claims).as_str().to_owned()
}

/// Checks that the request shows a capability for a part of this recording, be it expired.
pub fn require_ever(
    key: &SigningKey,
    headers: &HeaderMap,
    recording: RecordingId,
) -> ApiResult<()> {
    let claims = shown(key, headers)?;
    if claims.recording != recording {
        return Err(other());
    }
    Ok(())
}

/// Checks that the request shows a live capability for this part, and for this track if one is named.
pub fn require(
    key: &SigningKey,
    headers: &HeaderMap,
    now_ms: u64,
    recording: RecordingId,
    part: u32,
    track: Option<TrackId>,
) -> ApiResult<()> {
    let claims = shown(key, headers)?;
    if claims.expires_ms <= now_ms {
        return Err(ApiError::new(
            http::StatusCode::UNAUTHORIZED,
            "capability_expired",
            "the upload capability has expired; send the open statement again for a new one",
        ));
    }
    let covers = (claims.recording, claims.part) == (recording, part)
        && track.is_none_or(|track| claims.tracks.contains(&track));
    if !covers {
        return Err(other());
    }
    Ok(())
}

fn shown(key: &SigningKey, headers: &HeaderMap) -> ApiResult<CapabilityClaims> {
    let token = auth::bearer(headers)
        .ok_or_else(|| ApiError::unauthorized("an upload capability is needed as bearer token"))?;
    Jws::<CapabilityClaims>::from_text(token)
        .verify(&key.public())
        .map_err(|_| ApiError::unauthorized("the bearer token is no capability of this vault"))
}

fn other() -> ApiError {
    ApiError::forbidden(
        "other_capability",
        "the capability is for another part or other tracks",
    )
}
