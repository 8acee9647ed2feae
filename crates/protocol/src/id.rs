//! Opaque identifiers: 16 random bytes, written as 22 characters of base64url.
//!
//! They carry no meaning, so they may appear in logs, URLs and on servers (law 8).

use crate::bytes::{from_base64url, to_base64url};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr};

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an identifier of 22 base64url characters, got {length} characters")]
pub struct IdError {
    /// How many characters the text has.
    pub length: usize,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes an identifier from 16 bytes, which should be random.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The identifier's 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                from_base64url(text)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or(IdError { length: text.chars().count() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_base64url(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One visit.
    VisitId,
    /// One participant of a visit; kept across reloads.
    ParticipantId,
    /// One consent round.
    RoundId,
    /// One recording: all parts made under one consent round.
    RecordingId,
    /// One track of one part.
    TrackId,
    /// One proof of possession.
    ProofId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints_and_refuses_other_lengths() {
        let id = VisitId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse::<VisitId>().unwrap(), id);
        assert_eq!("short".parse::<VisitId>(), Err(IdError { length: 5 }));
        assert!("BwcHBwcHBwcHBwcHBwcHBw==".parse::<VisitId>().is_err());
    }
}
