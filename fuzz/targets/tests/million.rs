//! One million random and mutated frames, handshake messages, passes, statements, headers, checkpoints, manifests and
//! more: no panic, no law broken.
//!
//! `SEALED_VISIT_MUTATIONS` sets another sum, shared out alike; `SEALED_VISIT_SEED` replays another run.

use sealed_visit_fuzz_targets::{Mutator, TARGETS, Target, target};

const MILLION: u64 = 1_000_000;

#[test]
fn the_targets_share_out_a_million_inputs() {
    assert_eq!(
        TARGETS.iter().map(|target| target.inputs).sum::<u64>(),
        MILLION
    );
}

#[test]
fn takes_every_genuine_input() {
    for target in TARGETS {
        let genuine = (target.seeds)();
        let accepted = genuine.iter().filter(|seed| (target.run)(seed)).count();
        // Handshakes' seeds are edits; tracks' are cut off but for three.
        let expected = match target.name {
            "handshakes" => 0,
            "tracks" => 5,
            _ => genuine.len(),
        };
        assert!(
            accepted >= expected,
            "{}: {accepted} of {}",
            target.name,
            genuine.len()
        );
    }
}

macro_rules! each_target {
    ($($name:ident),+) => {
        $(#[test]
        fn $name() {
            survives(target(stringify!($name)));
        })+

        #[test]
        fn every_target_has_its_test() {
            let tested = [$(stringify!($name)),+];
            assert!(TARGETS.iter().map(|target| target.name).eq(tested));
        }
    };
}

each_target!(
    frames,
    handshakes,
    passes_and_statements,
    recording_documents,
    tracks,
    wire
);

fn survives(target: &Target) {
    let seed = number_from_env("SEALED_VISIT_SEED", 1);
    let inputs = target.inputs * number_from_env("SEALED_VISIT_MUTATIONS", MILLION) / MILLION;
    println!("{inputs} inputs, SEALED_VISIT_SEED={seed}");
    let seeds = (target.seeds)();
    let began = std::time::Instant::now();
    let mut mutator = Mutator::seeded(seed);
    let genuine = (0..inputs)
        .filter(|_| (target.run)(&mutator.input(&seeds)))
        .count() as u64;
    println!(
        "{genuine} of {inputs} as they were sent, {} ms",
        began.elapsed().as_millis()
    );
    assert!(genuine < inputs / 4, "most inputs must be altered ones");
}

fn number_from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
