//! Mutated messages: no panic, no change of state, and the genuine message still works afterwards.
//!
//! Seeded, so that a failure can be replayed. `SEALED_VISIT_MUTATIONS` sets how many each test tries,
//! `SEALED_VISIT_SEED` where it starts.

use super::super::context::{CHANGE_PROPOSAL, CONTEXT_EXTENSION};
use super::evil::Evil;
use super::*;
use mls_rs::Extension;
use mls_rs::group::proposal::CustomProposal;

fn number_from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for choosing where to break things.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = number_from_env("SEALED_VISIT_SEED", 1);
        println!("SEALED_VISIT_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Always another byte string.
    fn mutated(&mut self, genuine: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = genuine.to_vec();
        while bytes == genuine {
            for _ in 0..1 + self.below(3) {
                self.mutate(&mut bytes, other);
            }
        }
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        match self.below(7) {
            0 | 1 => {
                // The header is parsed, the rest is authenticated: look there more often.
                let at = if self.below(2) == 0 {
                    at.min(self.below(64))
                } else {
                    at
                };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xff][self.below(7)];
                }
            }
            3 => bytes.truncate(at),
            4 => {
                let extra = (0..1 + self.below(9)).map(|_| self.next() as u8);
                bytes.splice(at..at, extra.collect::<Vec<_>>());
            }
            5 => {
                let end = at + self.below(bytes.len() - at + 1);
                bytes.drain(at..end);
            }
            _ => {
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}

#[test]
fn mutated_handshake_and_application_messages_change_nothing() {
    let people = people();
    let mut groups = people.pair();
    let (_, key_package) = people.world.joiner(&people.guest);
    let changes = Changes {
        add: vec![key_package.clone()],
        consent: people.granted_round(1, &[&people.host, &people.patient]),
        ..Changes::default()
    };
    let staged = groups[0].stage(&changes, NOW_MS).unwrap();
    let application = groups[0].encrypt(b"hello").unwrap();
    let mut patient = groups.remove(1);
    let before = fingerprint(&patient);

    let mut random = Random::new();
    for round in 0..number_from_env("SEALED_VISIT_MUTATIONS", 3000) {
        let (genuine, other) = match round % 4 {
            0 => (&application, &staged.commit),
            1 => (&key_package, &staged.commit),
            _ => (&staged.commit, &application),
        };
        let mutated = random.mutated(genuine, other);
        let refused = patient.process(&mutated);
        assert!(refused.is_err(), "round {round} was followed");
    }
    assert_eq!(fingerprint(&patient), before);
    patient.process(&application).unwrap();
    patient.process(&staged.commit).unwrap();
    groups[0].merge(staged).unwrap();
    groups.push(patient);
    assert_same_epoch(&groups);
}

#[test]
fn mutated_welcomes_and_key_packages_let_nobody_in() {
    let people = people();
    let mut groups = people.pair();
    let (joiner, key_package) = people.world.joiner(&people.guest);
    let changes = Changes {
        add: vec![key_package.clone()],
        ..Changes::default()
    };
    let mut probe = groups[0].clone();
    let welcome = commit(&mut groups, 0, &changes).unwrap().unwrap();
    let sealed = seal_to_key_package(&people.world.policy, &key_package, b"request").unwrap();

    let mut random = Random::new();
    for round in 0..number_from_env("SEALED_VISIT_MUTATIONS", 1500) {
        let accepted = match round % 4 {
            0 => joiner.join(&random.mutated(&welcome, &key_package)).is_ok(),
            1 => joiner
                .open_sealed(&random.mutated(&sealed, &welcome))
                .is_ok(),
            2 => {
                let changed = random.mutated(&key_package, &welcome);
                inspect_key_package(&people.world.policy, &changed).is_ok()
            }
            _ => {
                let add = vec![random.mutated(&key_package, &welcome)];
                probe
                    .stage(
                        &Changes {
                            add,
                            ..Changes::default()
                        },
                        NOW_MS,
                    )
                    .is_ok()
            }
        };
        assert!(!accepted, "round {round} was accepted");
    }
    groups.push(joiner.join(&welcome).unwrap());
    assert_same_epoch(&groups);
}

/// The same one layer deeper: what a member without rules can put inside a commit that is otherwise valid.
#[test]
fn mutated_consent_documents_and_contexts_inside_valid_commits_change_nothing() {
    let people = people();
    let mut groups = people.pair();
    let evil = Evil::admitted(&mut groups, &people.world.identity(3, Role::Clinician));
    let changes = people.granted_round(1, &[&people.host, &people.patient, &evil.identity]);
    let context = evil
        .derived(&people.world.policy, &[], &changes)
        .to_extensions()
        .unwrap();
    let documents: Vec<_> = changes
        .iter()
        .map(|change| serde_json::to_vec(change).unwrap())
        .collect();
    let state = context.get(CONTEXT_EXTENSION).unwrap().extension_data;
    let build = |documents: &[Vec<u8>], state: &[u8]| {
        let mut extensions = context.clone();
        extensions.set(Extension::new(CONTEXT_EXTENSION, state.to_vec()));
        evil.build(|mut builder| {
            for document in documents {
                builder =
                    builder.custom_proposal(CustomProposal::new(CHANGE_PROPOSAL, document.clone()));
            }
            builder.set_group_context_ext(extensions)
        })
        .0
    };
    let before = fingerprint(&groups[1]);

    let mut random = Random::new();
    for round in 0..number_from_env("SEALED_VISIT_MUTATIONS", 400) {
        let (mut documents, mut state) = (documents.clone(), state.clone());
        if round % 2 == 0 {
            let which = random.below(documents.len());
            documents[which] = random.mutated(&documents[which], &state);
        } else {
            state = random.mutated(&state, &documents[0]);
        }
        let refused = groups[1]
            .process(&build(&documents, &state))
            .expect_err("a mutation was followed");
        assert_eq!(
            refused.offender,
            Some(evil.identity.pass().participant()),
            "{refused}"
        );
    }
    assert_eq!(fingerprint(&groups[1]), before);
    let genuine = build(&documents, &state);
    for group in &mut groups {
        group.process(&genuine).unwrap();
    }
    assert_same_epoch(&groups);
}
