//! `GET /v1/tracks/{recording}/{part}/{track}` under a signed URL, with ranges (RFC 9110 section 14).

use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Query};
use crate::signed_url::{self, Signature};
use crate::store::TrackKey;
use crate::{Vault, deletion};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sealed_visit_protocol::{RecordingId, TrackId};
use std::ops::Range;
use std::sync::Arc;

const CONTENT_TYPE: &str = "application/vnd.sealed-visit.track";

pub async fn get(
    State(vault): State<Arc<Vault>>,
    Path((recording, part, track)): Path<(RecordingId, u32, TrackId)>,
    Query(signature): Query<Signature>,
    method: Method,
    request: HeaderMap,
) -> ApiResult {
    let key = TrackKey {
        recording,
        part,
        track,
    };
    signed_url::check(vault.url_key(), &key, &signature, vault.now_ms())
        .map_err(|error| ApiError::forbidden("url_refused", error.to_string()))?;
    let row = vault.db.track(recording, part, track).await?;
    if let Some(whole) = vault.db.recording(recording).await? {
        deletion::refuse_requested(&whole)?;
    }
    if row.stored_bytes == 0 {
        return Err(ApiError::not_found(format!("track {track} holds nothing")));
    }
    let head = row.head.map(|head| head.to_string()).unwrap_or_default();
    let etag = format!("\"{head}-{}\"", row.stored_bytes);
    let selection = select(&request, row.stored_bytes, &etag);

    let mut response = Response::new(Body::empty());
    let answer = response.headers_mut();
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    answer.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    answer.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    insert_text(answer, header::ETAG, &etag)?;
    let range = match selection {
        Selection::Whole => 0..row.stored_bytes,
        Selection::Part(range) => {
            let text = format!(
                "bytes {}-{}/{}",
                range.start,
                range.end - 1,
                row.stored_bytes
            );
            insert_text(answer, header::CONTENT_RANGE, &text)?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            range
        }
        Selection::Unsatisfiable => {
            let refusal = ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range",
                "the range lies outside the track",
            );
            let text = format!("bytes */{}", row.stored_bytes);
            let value = HeaderValue::from_str(&text).map_err(ApiError::internal)?;
            return Err(refusal.with_header(header::CONTENT_RANGE, value));
        }
    };
    let size_bytes = range.end - range.start;
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(size_bytes));
    if method != Method::HEAD {
        let bytes = vault.store.read(&key, range).await?;
        *response.body_mut() = Body::from_stream(bytes);
    }
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum Selection {
    Whole,
    Part(Range<u64>),
    Unsatisfiable,
}

/// What the request wants of `size` bytes. A `Range` that is malformed, names several ranges, or whose `If-Range` does
/// not match is ignored, as RFC 9110 allows and demands.
fn select(request: &HeaderMap, size: u64, etag: &str) -> Selection {
    if request
        .get(header::IF_RANGE)
        .is_some_and(|value| value.as_bytes() != etag.as_bytes())
    {
        return Selection::Whole;
    }
    let range = request
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok()?.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return Selection::Whole;
    };
    let number = |text: &str| -> Option<u64> {
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    let selected = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(suffix)) if first.trim().is_empty() => size.saturating_sub(suffix)..size,
        _ => return Selection::Whole,
    };
    if selected.is_empty() {
        Selection::Unsatisfiable
    } else {
        Selection::Part(selected)
    }
}

fn insert_text(headers: &mut HeaderMap, name: header::HeaderName, text: &str) -> ApiResult<()> {
    headers.insert(
        name,
        HeaderValue::from_str(text).map_err(ApiError::internal)?,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(range: &str, size: u64) -> Selection {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        select(&headers, size, "\"e\"")
    }

    #[test]
    fn selects_as_rfc_9110_says() {
        assert_eq!(selected("bytes=0-0", 10), Selection::Part(0..1));
        assert_eq!(selected("bytes=0-9", 10), Selection::Part(0..10));
        assert_eq!(selected("bytes=0-10", 10), Selection::Part(0..10));
        assert_eq!(selected("bytes=9-", 10), Selection::Part(9..10));
        assert_eq!(selected("bytes=10-", 10), Selection::Unsatisfiable);
        assert_eq!(selected("bytes=-1", 10), Selection::Part(9..10));
        assert_eq!(selected("bytes=-11", 10), Selection::Part(0..10));
        assert_eq!(selected("bytes=-0", 10), Selection::Unsatisfiable);
        assert_eq!(
            selected("bytes=0-99999999999999999999999", 10),
            Selection::Part(0..10)
        );
        for ignored in [
            "bytes=5-4",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=-",
            "bytes=1",
        ] {
            assert_eq!(selected(ignored, 10), Selection::Whole, "{ignored}");
        }
    }

    #[test]
    fn a_range_counts_only_for_the_version_that_if_range_names() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"e\""));
        assert_eq!(select(&headers, 10, "\"e\""), Selection::Part(0..2));
        assert_eq!(select(&headers, 10, "\"f\""), Selection::Whole);
    }
}
