//! Path, query and text of a request, refused in the vault's own form.

use crate::error::ApiError;
use axum::extract::rejection::{PathRejection, QueryRejection, StringRejection};
use axum::extract::{FromRequest, FromRequestParts};
use http::StatusCode;

/// Identifiers from the path; what is no identifier is not found.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        ApiError::not_found("the path holds something that is not an identifier")
    }
}

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Query<T>(pub T);

impl From<QueryRejection> for ApiError {
    fn from(_: QueryRejection) -> Self {
        ApiError::bad_request("malformed", "the query string is not as expected")
    }
}

/// A signed document as the body, of whatever content type: `text/plain` spares pages a preflight.
pub struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = ApiError;

    async fn from_request(
        request: axum::extract::Request,
        state: &S,
    ) -> Result<Self, Self::Rejection> {
        match String::from_request(request, state).await {
            Ok(text) => Ok(Self(text)),
            Err(StringRejection::InvalidUtf8(_)) => {
                Err(ApiError::bad_request("malformed", "the body is not text"))
            }
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    "the signed document is too large",
                ))
            }
            Err(_) => Err(ApiError::bad_request(
                "malformed",
                "the body could not be read",
            )),
        }
    }
}
