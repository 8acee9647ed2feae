//! The open statement: signed before the first byte, it says who recorded whom, with whose grants, for whom.

use crate::bytes::{B64, Hash32};
use crate::clinic::{ClinicDocument, RecipientRef};
use crate::consent::{
    Change, ConsentState, Request, RequestClaims, RequestError, RosterEntry, StateError,
    StatementClaims, StatementKind, Verdict, verdict,
};
use crate::id::{ParticipantId, RecordingId, TrackId, VisitId};
use crate::jws::{Claims, Jws, JwsError, PublicKey};
use crate::pass::{Pass, PassClaims, PassError, Role};
use crate::recording::AuditHeadClaims;
use crate::track::{Header, HeaderError};
use serde::{Deserialize, Serialize};

/// Claims of an open statement, signed by the recorder's pass key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The visit that is recorded.
    pub visit: VisitId,
    /// The recording that the part belongs to.
    pub recording: RecordingId,
    /// Counts from 0 with every recorder run under the same grants.
    pub part: u32,
    /// The MLS group when the part began.
    pub group_id: B64,
    /// Its epoch when the part began. No reader compares it.
    pub epoch: u64,
    /// Signs this part's envelopes, checkpoints and manifest.
    pub recording_key: PublicKey,
    /// The part's tracks, from 1 to 64.
    pub tracks: Vec<OpenTrack>,
    /// As in the request.
    pub recipients: Vec<RecipientRef>,
    /// The request of the round. The recorder that it names signs this statement.
    pub request: Jws<RequestClaims>,
    /// A grant of every member of the roster but the recorder.
    pub grants: Vec<Jws<StatementClaims>>,
    /// The passes of the whole roster, the recorder's included.
    pub roster: Vec<Jws<PassClaims>>,
    /// Hash of the clinic document that the recipients' keys were taken from.
    pub clinic: Hash32,
    /// When this part goes on after another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousPart>,
    /// The recorder's clock, milliseconds since the Unix epoch. The clinic document must be valid then.
    pub at_ms: u64,
    /// The recorder's pass, which names the key that signed this.
    pub pass: Jws<PassClaims>,
}

impl Claims for OpenClaims {
    const TYP: &'static str = "sv-open+jwt";
}

/// A track that will be recorded: its header, whole.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTrack {
    /// The track. The header names the same.
    pub track: TrackId,
    /// The exact bytes of the track's header ([`Header`]).
    pub header: B64,
}

/// The part before, and the last checkpoint that the recorder knows of it.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousPart {
    /// Its number; lower than this part's.
    pub part: u32,
    /// Chain head of each track, as far as known.
    pub heads: Vec<(TrackId, Hash32)>,
}

/// Why an open statement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The recorder's pass key did not sign it, or it cannot be read.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// The recorder's pass, or one of the roster, is refused.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// It was signed by a participant of this role.
    #[error("an open statement must come from a recorder, not from a {0:?}")]
    NotARecorder(Role),
    /// The roster does not hold the recorder's own participant and key.
    #[error("the recorder is not in its own roster")]
    RecorderNotInRoster,
    /// The request is refused.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A grant is refused, or does not answer the request.
    #[error(transparent)]
    Grant(#[from] StateError),
    /// The roster may not exist under these grants.
    #[error(transparent)]
    Gate(#[from] Verdict),
    /// It names other recipients, or another order, than the request.
    #[error("the recipients are not the ones that were granted")]
    OtherRecipients,
    /// A track's header is refused.
    #[error("track {track}: {error}")]
    Header {
        /// Which track.
        track: TrackId,
        /// Why.
        error: HeaderError,
    },
    /// A track's header does not belong to this statement.
    #[error("track {track} does not agree with the open statement about {what}")]
    HeaderDisagrees {
        /// Which track.
        track: TrackId,
        /// What differs, in words.
        what: &'static str,
    },
    /// The part has so many tracks: none, or more than 64.
    #[error("a recording has from 1 to 64 tracks a part, got {0}")]
    TrackCount(usize),
    /// Two entries name this track.
    #[error("track {0} is named twice")]
    TrackTwice(TrackId),
}

/// An open statement that was verified: signatures, passes, every grant, recipients, headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStatement {
    jws: Jws<OpenClaims>,
    claims: OpenClaims,
    recorder: Pass,
    headers: Vec<Header>,
}

impl OpenStatement {
    /// Verifies everything that can be verified without a clock. Show-time expiry of the recorder's pass is the
    /// vault's to check.
    pub fn verify(jws: &Jws<OpenClaims>, clinic: &ClinicDocument) -> Result<Self, OpenError> {
        let unverified = jws.unverified_claims()?;
        let recorder = Pass::verify_for(&unverified.pass, clinic, unverified.visit)?;
        let claims = jws.verify(recorder.key())?;
        if recorder.role() != Role::Recorder {
            return Err(OpenError::NotARecorder(recorder.role()));
        }
        let visit = claims.visit;
        let request = Request::verify(&claims.request, clinic, visit, &claims.group_id.0)?;
        if claims.recipients != request.claims().recipients {
            return Err(OpenError::OtherRecipients);
        }
        judge_roster(&claims, &recorder, clinic)?;
        let headers = check_tracks(&claims)?;
        Ok(Self {
            jws: jws.clone(),
            claims,
            recorder,
            headers,
        })
    }

    /// What the recorder signed.
    pub fn claims(&self) -> &OpenClaims {
        &self.claims
    }

    /// The signed document.
    pub fn jws(&self) -> &Jws<OpenClaims> {
        &self.jws
    }

    /// The pass of the recorder that signed it.
    pub fn recorder(&self) -> &Pass {
        &self.recorder
    }

    /// The parsed headers, in the order of `claims().tracks`.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The parsed header of a track; none if the statement does not name it.
    pub fn header(&self, track: TrackId) -> Option<&Header> {
        self.headers
            .iter()
            .find(|header| header.claims().track == track)
    }

    /// The participants whose grants this recording stands on, each once.
    pub fn granted_by(&self) -> Vec<ParticipantId> {
        let author = |jws: &Jws<StatementClaims>| {
            jws.unverified_claims()
                .ok()?
                .pass
                .unverified_claims()
                .ok()
                .map(|pass| pass.sub)
        };
        let mut authors: Vec<ParticipantId> = Vec::new();
        for participant in self.claims.grants.iter().filter_map(author) {
            if !authors.contains(&participant) {
                authors.push(participant);
            }
        }
        authors
    }
}

fn judge_roster(
    claims: &OpenClaims,
    recorder: &Pass,
    clinic: &ClinicDocument,
) -> Result<(), OpenError> {
    let mut roster = Vec::with_capacity(claims.roster.len());
    for jws in &claims.roster {
        let pass = Pass::verify_for(jws, clinic, claims.visit)?;
        roster.push(RosterEntry {
            participant: pass.participant(),
            role: pass.role(),
            key: *pass.key(),
        });
    }
    let own = RosterEntry {
        participant: recorder.participant(),
        role: Role::Recorder,
        key: *recorder.key(),
    };
    if !roster.contains(&own) {
        return Err(OpenError::RecorderNotInRoster);
    }
    // The same function that the group applies decides here: rebuild the state from the signed documents.
    let group_id = &claims.group_id.0;
    let mut state = ConsentState::new();
    let changes = std::iter::once(Change::Request(claims.request.clone()))
        .chain(claims.grants.iter().cloned().map(Change::Statement));
    for change in changes {
        state = state.apply(&change, clinic, claims.visit, group_id)?;
    }
    for author in state.statements().keys() {
        let statement = state.statement_of(*author, clinic, claims.visit, group_id)?;
        if statement.is_none_or(|statement| statement.claims().kind != StatementKind::Grant) {
            return Err(Verdict::NotGranted(*author).into());
        }
    }
    Ok(verdict(&roster, &state, clinic, claims.visit, group_id)?)
}

fn check_tracks(claims: &OpenClaims) -> Result<Vec<Header>, OpenError> {
    if claims.tracks.is_empty() || claims.tracks.len() > 64 {
        return Err(OpenError::TrackCount(claims.tracks.len()));
    }
    let mut headers: Vec<Header> = Vec::with_capacity(claims.tracks.len());
    for OpenTrack { track, header } in &claims.tracks {
        let header = Header::parse(&header.0).map_err(|error| OpenError::Header {
            track: *track,
            error,
        })?;
        let said = header.claims();
        let fingerprints = claims
            .recipients
            .iter()
            .map(|recipient| &recipient.fingerprint);
        let disagreement = if said.track != *track {
            Some("its id")
        } else if said.visit != claims.visit
            || said.recording != claims.recording
            || said.part != claims.part
        {
            Some("visit, recording or part")
        } else if said.recording_key != claims.recording_key {
            Some("the recording key")
        } else if !said.recipients.iter().eq(fingerprints) {
            Some("the recipients")
        } else {
            None
        };
        if let Some(what) = disagreement {
            return Err(OpenError::HeaderDisagrees {
                track: *track,
                what,
            });
        }
        if headers.iter().any(|other| other.claims().track == *track) {
            return Err(OpenError::TrackTwice(*track));
        }
        headers.push(header);
    }
    Ok(headers)
}

/// What the vault answers to an open statement that it accepts.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultAnswer {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// The recording, as in the open statement.
    pub recording: RecordingId,
    /// The part's number, as in the open statement.
    pub part: u32,
    /// A share and an upload address for each track of the open statement.
    pub tracks: Vec<ShareGrant>,
    /// Bearer token: append to and close these tracks, nothing else.
    pub capability: String,
    /// When the capability expires, by the vault's clock, milliseconds since the Unix epoch. It can be renewed.
    pub capability_expires_ms: u64,
    /// The audit log's signed head, the opening included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<Jws<AuditHeadClaims>>,
}

/// A track's share and where its bytes go. The share is secret to recorder and vault.
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareGrant {
    /// The track.
    pub track: TrackId,
    /// 32 bytes; empty when the header needs no share.
    pub share: B64,
    /// tus creation URL, absolute or relative to the vault.
    pub create_url: String,
}

impl std::fmt::Debug for ShareGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShareGrant(track {}, share redacted)", self.track)
    }
}
