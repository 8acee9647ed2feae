//! What the vault answers when it refuses: a status, a code for programs, a sentence for people.
//!
//! Neither holds names, free text, keys, shares or tokens; identifiers are opaque.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use sealed_visit_protocol::recording::{EnvelopeError, ManifestError, OpenError};
use sealed_visit_protocol::track::TrackError;
use sealed_visit_protocol::{JwsError, TrackId};
use serde_json::json;

/// The header that repeats a refusal's code.
pub const ERROR_CODE: HeaderName = HeaderName::from_static("error-code");

/// A refusal, or a failure of the vault itself.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    /// Stable: programs decide by it.
    pub code: &'static str,
    pub message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

pub type ApiResult<T = Response> = Result<T, ApiError>;

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message).with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"vault\""),
        )
    }

    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// Well-formed, but it does not hold together; sending it again does not help.
    pub fn unprocessable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// Somebody else is using the upload right now; asking again a second later helps.
    pub fn locked(message: impl Into<String>) -> Self {
        Self::new(StatusCode::LOCKED, "locked", message)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub fn storage_full() -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "storage_full",
            "the vault is out of space; nothing it acknowledged is lost",
        )
    }

    /// The vault's own fault; the cause goes to the log and not to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the vault failed; its log says why",
        )
    }

    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = axum::Json(json!({ "code": self.code, "message": self.message }));
        let mut response = (self.status, body).into_response();
        // An answer to HEAD has no body to say it in.
        let code = HeaderValue::from_static(self.code);
        response.headers_mut().insert(ERROR_CODE, code);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                tracing::error!("no space left on the vault's disk");
                Self::storage_full()
            }
            _ => Self::internal(error),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        const SQLITE_FULL: &str = "13";
        let full = error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| code == SQLITE_FULL);
        if full {
            tracing::error!("no space left for the vault's database");
            return Self::storage_full();
        }
        Self::internal(error)
    }
}

impl From<object_store::Error> for ApiError {
    fn from(error: object_store::Error) -> Self {
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        while let Some(cause) = source {
            let io = cause.downcast_ref::<std::io::Error>();
            if io.is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull) {
                tracing::error!("no space left in the object store");
                return Self::storage_full();
            }
            source = cause.source();
        }
        Self::internal(error)
    }
}

impl From<tokio::task::JoinError> for ApiError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}

impl From<JwsError> for ApiError {
    fn from(error: JwsError) -> Self {
        let message = error.to_string();
        match error {
            JwsError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            }
            JwsError::UnknownVersion { .. } => Self::unprocessable("unknown_version", message),
            JwsError::WrongType { .. } => Self::unprocessable("wrong_type", message),
            JwsError::WrongAlgorithm(_) | JwsError::BadSignature { .. } => {
                Self::forbidden("not_signed", message)
            }
            _ => Self::bad_request("malformed", message),
        }
    }
}

impl From<OpenError> for ApiError {
    fn from(error: OpenError) -> Self {
        use sealed_visit_protocol::consent::Verdict;
        let message = error.to_string();
        let code = match error {
            OpenError::Jws(error) => return error.into(),
            OpenError::Pass(error) => return pass_refused(error),
            OpenError::NotARecorder(_) => "not_a_recorder",
            OpenError::RecorderNotInRoster => "recorder_not_in_roster",
            OpenError::Request(error) => return request_refused(error, message),
            OpenError::Grant(error) => return grant_refused(error, message),
            OpenError::Gate(Verdict::NotGranted(_)) => "not_granted",
            OpenError::Gate(Verdict::OtherRecorder { .. }) => "other_recorder",
            // Only a withdrawal among the statements closes the round that the request opened.
            OpenError::Gate(Verdict::NoRound) => "round_withdrawn",
            OpenError::Gate(_) => "roster_refused",
            OpenError::OtherRecipients => "other_recipients",
            OpenError::Header { .. } => "header_refused",
            OpenError::HeaderDisagrees { .. } => "header_disagrees",
            OpenError::TrackCount(_) | OpenError::TrackTwice(_) => "tracks_refused",
            _ => "refused",
        };
        Self::forbidden(code, message)
    }
}

pub fn pass_refused(error: sealed_visit_protocol::pass::PassError) -> ApiError {
    use sealed_visit_protocol::clinic::ClinicError;
    use sealed_visit_protocol::pass::PassError;
    let code = match &error {
        PassError::Expired { .. } => "pass_expired",
        PassError::OtherVisit { .. } => "pass_of_other_visit",
        PassError::Clinic(ClinicError::UnknownAuthority { .. }) => "unknown_authority",
        _ => "pass_refused",
    };
    ApiError::forbidden(code, error.to_string())
}

fn request_refused(
    error: sealed_visit_protocol::consent::RequestError,
    message: String,
) -> ApiError {
    use sealed_visit_protocol::clinic::ClinicError;
    use sealed_visit_protocol::consent::RequestError;
    let code = match error {
        RequestError::Pass(error) => return pass_refused(error),
        RequestError::Recipient(ClinicError::RetiredRecipient { .. }) => "retired_recipient",
        RequestError::Recipient(ClinicError::UnlistedRecipient { .. }) => "unlisted_recipient",
        RequestError::Recipient(ClinicError::RecipientRole { .. }) => "recipient_role",
        _ => "request_refused",
    };
    ApiError::forbidden(code, message)
}

fn grant_refused(error: sealed_visit_protocol::consent::StateError, message: String) -> ApiError {
    use sealed_visit_protocol::consent::StateError;
    match error {
        StateError::Request(error) => request_refused(error, message),
        // A withdrawal among the "grants" ends the round.
        StateError::NoRound | StateError::DeadRound(_) => {
            ApiError::forbidden("round_withdrawn", message)
        }
        _ => ApiError::forbidden("grant_refused", message),
    }
}

impl From<EnvelopeError> for ApiError {
    fn from(error: EnvelopeError) -> Self {
        let message = error.to_string();
        match error {
            EnvelopeError::Jws(error) => error.into(),
            EnvelopeError::OtherTrack => Self::unprocessable("other_track", message),
            EnvelopeError::OtherRecipients => Self::forbidden("other_recipients", message),
            EnvelopeError::OtherShare => Self::unprocessable("other_share", message),
            _ => Self::unprocessable("refused", message),
        }
    }
}

impl From<ManifestError> for ApiError {
    fn from(error: ManifestError) -> Self {
        let message = error.to_string();
        match error {
            ManifestError::Jws(error) => error.into(),
            ManifestError::OtherPart => Self::unprocessable("other_part", message),
            ManifestError::OtherTracks => Self::unprocessable("other_tracks", message),
            ManifestError::TrackDiffers(_) => Self::unprocessable("track_differs", message),
            _ => Self::unprocessable("refused", message),
        }
    }
}

/// Bytes that do not continue their track; `kept` is where the track is good up to.
pub fn track_refused(track: TrackId, error: &TrackError, kept: u64) -> ApiError {
    let code = match error {
        TrackError::BadMagic => "not_a_track",
        TrackError::OtherHeader | TrackError::Header(_) => "other_header",
        TrackError::Checkpoint { .. } => "checkpoint_refused",
        TrackError::CheckpointDiffers { .. } => "chain_broken",
        _ => "track_malformed",
    };
    ApiError::unprocessable(
        code,
        format!("track {track}: {error}; it is kept up to offset {kept}"),
    )
}
