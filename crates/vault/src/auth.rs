//! Readers: clients with one of the clinic's bearer tokens. People and their roles come from the clinic's own
//! sign-in later; until then a token file names them.

use crate::error::{ApiError, ApiResult};
use anyhow::{Context as _, bail};
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use std::path::Path;

const MIN_TOKEN_CHARS: usize = 20;

/// The known tokens, by hash. Without any, nobody reads.
#[derive(Debug, Clone, Default)]
pub struct Readers {
    tokens: Vec<(String, [u8; 32])>,
}

impl Readers {
    /// From a file with one `LABEL TOKEN` or `TOKEN` a line; empty lines and lines with `#` in front are skipped.
    /// The label is an opaque one for the audit log.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text = crate::private::read_secret(path, "token file")?;
        Self::parse(&text).with_context(|| format!("in the token file {}", path.display()))
    }

    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut tokens = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (label, token) = line
                .split_once(char::is_whitespace)
                .unwrap_or(("clinic", line));
            let token = token.trim();
            if token.chars().count() < MIN_TOKEN_CHARS {
                bail!(
                    "line {}: a token needs at least {MIN_TOKEN_CHARS} characters",
                    index + 1
                );
            }
            tokens.push((label.to_owned(), Sha256::digest(token.as_bytes()).into()));
        }
        if tokens.is_empty() {
            bail!("no token");
        }
        Ok(Self { tokens })
    }

    /// The label of the token that the request shows.
    pub fn require(&self, headers: &HeaderMap) -> ApiResult<String> {
        let token = bearer(headers)
            .ok_or_else(|| ApiError::unauthorized("a reader's bearer token is needed"))?;
        // Compared by hash, so that timing tells nothing about the token.
        let shown: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.tokens
            .iter()
            .find(|(_, known)| *known == shown)
            .map(|(label, _)| label.clone())
            .ok_or_else(|| ApiError::unauthorized("the bearer token is not a reader's"))
    }
}

/// The bearer token of a request (RFC 6750 section 2.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn showing(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn knows_readers_by_their_label() {
        let readers =
            Readers::parse("# readers\narchive aaaaaaaaaaaaaaaaaaaa\n\nbbbbbbbbbbbbbbbbbbbb\n")
                .unwrap();
        let label = |value| readers.require(&showing(value)).ok();
        assert_eq!(
            label("Bearer aaaaaaaaaaaaaaaaaaaa").as_deref(),
            Some("archive")
        );
        assert_eq!(
            label("bearer bbbbbbbbbbbbbbbbbbbb").as_deref(),
            Some("clinic")
        );
        assert_eq!(label("Bearer cccccccccccccccccccc"), None);
        assert_eq!(label("Basic aaaaaaaaaaaaaaaaaaaa"), None);
        assert!(readers.require(&HeaderMap::new()).is_err());
    }

    #[test]
    fn refuses_an_empty_or_weak_file_and_without_one_nobody_reads() {
        assert!(Readers::parse("# nothing\n").is_err());
        assert!(Readers::parse("short").is_err());
        let nobody = Readers::default();
        assert!(
            nobody
                .require(&showing("Bearer aaaaaaaaaaaaaaaaaaaa"))
                .is_err()
        );
    }
}
