//! How texts that stand for something else are declared in TypeScript: by a name of their own, as a string.

use crate::bytes::{B64, Hash32};
use crate::id::{ParticipantId, RecordingId, RoundId, TrackId, VisitId};
use crate::jws::{Jws, PublicKey};
use std::path::PathBuf;
use ts_rs::{Config, TS};

macro_rules! declared_as {
    ($($type:ty, $name:literal, $docs:literal, $declared:literal;)*) => {$(
        impl TS for $type {
            type WithoutGenerics = Self;
            type OptionInnerType = Self;

            fn docs() -> Option<String> {
                Some(concat!("/** ", $docs, " */\n").to_owned())
            }

            fn name(_: &Config) -> String {
                $name.to_owned()
            }

            fn inline(_: &Config) -> String {
                $declared.to_owned()
            }

            fn decl(_: &Config) -> String {
                concat!("type ", $name, " = ", $declared, ";").to_owned()
            }

            fn output_path() -> Option<PathBuf> {
                Some(concat!($name, ".ts").into())
            }
        }
    )*};
}

declared_as! {
    VisitId, "VisitId", "One visit: 16 random bytes as 22 characters of base64url.", "string";
    ParticipantId, "ParticipantId", "One participant of a visit, kept across reloads: 16 random bytes, base64url.", "string";
    RoundId, "RoundId", "One consent round: 16 random bytes, base64url.", "string";
    RecordingId, "RecordingId", "One recording, of all parts under one consent round: 16 random bytes, base64url.", "string";
    TrackId, "TrackId", "One track of one part: 16 random bytes, base64url.", "string";
    B64, "Base64Url", "Bytes as unpadded base64url (RFC 4648).", "string";
    Hash32, "Hash", "SHA-256, base64url.", "string";
    PublicKey, "PublicJwk", "An Ed25519 public key as a JWK (RFC 8037).", "{ kty: \"OKP\", crv: \"Ed25519\", x: string, }";
}

impl<C: 'static> TS for Jws<C> {
    type WithoutGenerics = Jws<()>;
    type OptionInnerType = Self;

    fn docs() -> Option<String> {
        Some("/** A compact JWS (RFC 7515). */\n".to_owned())
    }

    fn name(_: &Config) -> String {
        "CompactJws".to_owned()
    }

    fn inline(_: &Config) -> String {
        "string".to_owned()
    }

    fn decl(_: &Config) -> String {
        "type CompactJws = string;".to_owned()
    }

    fn output_path() -> Option<PathBuf> {
        Some("CompactJws.ts".into())
    }
}
