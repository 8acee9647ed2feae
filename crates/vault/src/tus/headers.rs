//! The headers of tus requests, parsed once.

use crate::error::{ApiError, ApiResult};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode};
use sealed_visit_protocol::TrackId;
use std::time::{Duration, UNIX_EPOCH};

/// `Upload-Offset`.
pub fn offset(headers: &HeaderMap) -> ApiResult<u64> {
    number(headers, "Upload-Offset")?.ok_or_else(|| {
        ApiError::bad_request("upload_offset", "the header Upload-Offset is missing")
    })
}

/// `Upload-Length`, if it stands there.
pub fn length(headers: &HeaderMap, max_bytes: u64) -> ApiResult<Option<u64>> {
    let length = number(headers, "Upload-Length")?;
    if length.is_some_and(|length| length > max_bytes) {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a track may have {max_bytes} bytes at most"),
        ));
    }
    Ok(length)
}

/// `Upload-Defer-Length`, which can only be 1.
pub fn defers_length(headers: &HeaderMap) -> ApiResult<bool> {
    match headers.get("Upload-Defer-Length") {
        None => Ok(false),
        Some(value) if value == "1" => Ok(true),
        Some(_) => Err(ApiError::bad_request(
            "upload_defer_length",
            "the header Upload-Defer-Length can only be 1",
        )),
    }
}

/// Checks the content type of a PATCH.
pub fn require_offset_octet_stream(headers: &HeaderMap) -> ApiResult<()> {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value == "application/offset+octet-stream") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content_type",
        "a PATCH needs the header Content-Type: application/offset+octet-stream",
    ))
}

/// `Upload-Metadata`: the text as it came, and the track that it names.
pub fn metadata(headers: &HeaderMap) -> ApiResult<(String, TrackId)> {
    let malformed =
        |why: &str| ApiError::bad_request("upload_metadata", format!("Upload-Metadata: {why}"));
    let text = headers
        .get("Upload-Metadata")
        .ok_or_else(|| malformed("missing; it must name the track"))?
        .to_str()
        .map_err(|_| malformed("not ASCII"))?;
    let mut track = None;
    let mut keys = Vec::new();
    for pair in text.split(',') {
        let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        if key.is_empty() || keys.contains(&key) {
            return Err(malformed("keys must be there, and once"));
        }
        keys.push(key);
        let value = STANDARD
            .decode(value.trim())
            .map_err(|_| malformed("a value is not base64"))?;
        if key == "track" {
            let text = String::from_utf8(value).map_err(|_| malformed("track is not text"))?;
            let id = text
                .parse()
                .map_err(|_| malformed("track is no track id"))?;
            track = Some(id);
        }
    }
    let track = track.ok_or_else(|| malformed("it must name the track"))?;
    Ok((text.to_owned(), track))
}

/// A time in the form of RFC 9110 section 5.6.7.
pub fn http_date(at_ms: u64) -> HeaderValue {
    let at = UNIX_EPOCH + Duration::from_millis(at_ms);
    HeaderValue::from_str(&httpdate::fmt_http_date(at))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn number(headers: &HeaderMap, name: &'static str) -> ApiResult<Option<u64>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let digits = value
        .to_str()
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    // Rows hold signed 64-bit numbers.
    match digits.and_then(|text| text.parse::<i64>().ok()) {
        Some(number) => Ok(Some(number.unsigned_abs())),
        None => Err(ApiError::bad_request(
            "header_malformed",
            format!("the header {name} is not a number of bytes"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn takes_plain_numbers_only() {
        for text in [
            "",
            "-1",
            "+1",
            "1.0",
            "0x10",
            "9223372036854775808",
            " 1",
            "a",
        ] {
            assert!(offset(&with("Upload-Offset", text)).is_err(), "{text:?}");
        }
        assert_eq!(
            offset(&with("Upload-Offset", "9223372036854775807")).unwrap(),
            i64::MAX as u64
        );
        assert!(offset(&HeaderMap::new()).is_err());
    }

    #[test]
    fn finds_the_track_in_the_metadata() {
        let track = TrackId::from_bytes([7; 16]);
        let value = STANDARD.encode(track.to_string());
        let headers = with(
            "Upload-Metadata",
            &format!("filename bWl4ZWQ=, track {value},empty"),
        );
        assert_eq!(metadata(&headers).unwrap().1, track);
        for bad in [
            "",
            "track",
            "track !!",
            "filename bWl4ZWQ=",
            &format!("track {value},track {value}"),
        ] {
            assert!(metadata(&with("Upload-Metadata", bad)).is_err(), "{bad:?}");
        }
    }
}
