//! Sealing and opening, by published standards only.
//!
//! | module | standard | what for |
//! |---|---|---|
//! | [`cobblestone`] | [C2SP chunked encryption](https://c2sp.org/chunked-encryption), Cobblestone-256 | the bytes of a segment |
//! | [`hpke`] | [RFC 9180](https://www.rfc-editor.org/rfc/rfc9180), base mode, single shot | a track's secret, wrapped for each recipient |
//! | [`key_file`] | JSON, inside a JWE (RFC 7516) that others make | a private key at rest |
//! | [`track_key`] | [RFC 5869](https://www.rfc-editor.org/rfc/rfc5869) | the track key, from the wrapped secret and the vault's share |
//!
//! Inputs: keys, contexts, salts and randomness, all handed in. Outputs: bytes. Nothing here knows what a
//! recording is, and nothing reads a clock or keeps state on disk. Invariant: no function returns a byte of
//! plaintext that was not authenticated, and no error says anything about a key.

pub mod cobblestone;
pub mod hpke;
pub mod key_file;
pub mod track_key;

#[cfg(test)]
mod tests;
