//! Which pages may call the vault (the Fetch standard's CORS protocol).
//!
//! Not `tower-http`'s layer: it answers every OPTIONS request itself, and tus answers OPTIONS with what the server
//! can do (tus 1.0, "OPTIONS"); both must stand in one response.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Range, If-Range, Tus-Resumable, Upload-Length, \
     Upload-Defer-Length, Upload-Offset, Upload-Metadata, Upload-Checksum, X-HTTP-Method-Override, X-Requested-With, \
     X-Request-ID, Vault-Proof";
const EXPOSED_HEADERS: &str = "Location, Retry-After, Error-Code, WWW-Authenticate, Accept-Ranges, Content-Range, Content-Length, \
     ETag, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, \
     Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires, Vault-Time";
const PREFLIGHT_MAX_AGE_S: &str = "86400";

/// The origins whose pages may call the vault. No cookies are ever involved, only bearer tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    None,
    Any,
    /// As browsers send them, e.g. `https://visit.example`.
    These(Vec<String>),
}

impl Origins {
    /// From repeated command-line options; `*` allows any.
    pub fn from_options(origins: &[String]) -> Self {
        if origins.is_empty() {
            Origins::None
        } else if origins.iter().any(|origin| origin == "*") {
            Origins::Any
        } else {
            let trimmed = origins.iter().map(|origin| origin.trim_end_matches('/'));
            Origins::These(trimmed.map(str::to_owned).collect())
        }
    }

    fn answer_to(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Origins::None => None,
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(origins) => origins
                .iter()
                .any(|allowed| allowed.as_bytes() == origin.as_bytes())
                .then(|| origin.clone()),
        }
    }
}

pub async fn layer(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == http::Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(allowed) = origin.and_then(|origin| origins.answer_to(&origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if preflight {
            set(
                headers,
                header::ACCESS_CONTROL_ALLOW_METHODS,
                ALLOWED_METHODS,
            );
            set(
                headers,
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                ALLOWED_HEADERS,
            );
            set(headers, header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE_S);
        } else {
            set(
                headers,
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                EXPOSED_HEADERS,
            );
        }
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
