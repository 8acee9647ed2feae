//! Everything that takes bytes from strangers, as targets: `run` takes any bytes, panics when a law is broken, and
//! has no other outcome.
//!
//! Two drivers share them: `tests/million.rs` with seeded mutators on stable Rust, in every `cargo test`, and
//! `../fuzz_targets` with cargo-fuzz. `seeds` are genuine inputs to start from.
//!
//! Keys come from fixed seeds, so that an input that breaks something breaks it again. (MLS draws from the operating
//! system: `handshakes` takes edits of genuine messages instead of bytes.)

mod documents;
mod edits;
mod frames;
mod handshakes;
mod rng;
mod scene;
mod tracks;
mod wire;

pub use edits::Mutator;

/// One thing that takes bytes from strangers.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// How many of the million inputs of a test run it gets: many where one is cheap.
    pub inputs: u64,
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// True when the input was accepted for what it says it is.
    pub run: fn(&[u8]) -> bool,
}

/// All of them. Their `inputs` sum up to a million.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "frames",
        inputs: 400_000,
        seeds: frames::seeds,
        run: frames::run,
    },
    Target {
        name: "handshakes",
        inputs: 100_000,
        seeds: handshakes::seeds,
        run: handshakes::run,
    },
    Target {
        name: "passes_and_statements",
        inputs: 100_000,
        seeds: documents::consent_seeds,
        run: documents::run_consent,
    },
    Target {
        name: "recording_documents",
        inputs: 100_000,
        seeds: documents::recording_seeds,
        run: documents::run_recording,
    },
    Target {
        name: "tracks",
        inputs: 150_000,
        seeds: tracks::seeds,
        run: tracks::run,
    },
    Target {
        name: "wire",
        inputs: 150_000,
        seeds: wire::seeds,
        run: wire::run,
    },
];

/// The target of that name.
///
/// # Panics
/// When there is none: the drivers name them in their source.
pub fn target(name: &str) -> &'static Target {
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no target {name}"))
}
