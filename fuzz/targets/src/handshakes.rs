//! MLS messages (RFC 9420) at a member and at a newcomer. Input: a byte that chooses a genuine message, then
//! edits of five bytes each.
//!
//! Law: what is not genuine is not followed and lets nobody in, and the member's state stays as it is.

use crate::edits::Edit;
use sealed_visit_protocol::Role;
use sealed_visit_visit::group::testing::{NOW_MS, World};
use sealed_visit_visit::group::{Changes, Group, Joiner, inspect_key_package, seal_to_key_package};
use std::cell::RefCell;

struct Scene {
    world: World,
    member: Group,
    authenticator: Vec<u8>,
    joiner: Joiner,
    commit: Vec<u8>,
    application: Vec<u8>,
    key_package: Vec<u8>,
    welcome: Vec<u8>,
    sealed: Vec<u8>,
    runs: u64,
}

thread_local! {
    static SCENE: RefCell<Scene> = RefCell::new(Scene::new());
}

const KINDS: u8 = 5;

pub fn seeds() -> Vec<Vec<u8>> {
    // A byte is altered here and there, three times; what is left of that after further mutation still alters something.
    let edits = |n: u8| {
        (0..3).flat_map(move |k: u8| [n + k, n.wrapping_mul(37), n ^ k, k, n.wrapping_mul(91) | 1])
    };
    (0..KINDS)
        .flat_map(|kind| (0..24).map(move |n| std::iter::once(kind).chain(edits(n)).collect()))
        .collect()
}

pub fn run(input: &[u8]) -> bool {
    let [kind, edits @ ..] = input else {
        return false;
    };
    SCENE.with_borrow_mut(|scene| scene.run(*kind % KINDS, edits))
}

impl Scene {
    fn new() -> Self {
        let world = World::new(1);
        let [host, patient] =
            [(0, Role::Clinician), (1, Role::Patient)].map(|(n, role)| world.identity(n, role));
        let mut groups = world.group(&[host, patient]);
        let (joiner, key_package) = world.joiner(&world.identity(2, Role::Guest));
        let application = groups[0].encrypt(b"hello").expect("a member");
        let changes = Changes {
            add: vec![key_package.clone()],
            ..Changes::default()
        };
        let staged = groups[0].stage(&changes, NOW_MS).expect("a commit");
        let member = groups.remove(1);
        Self {
            authenticator: authenticator(&member),
            sealed: seal_to_key_package(&world.policy, &key_package, b"request").expect("sealed"),
            welcome: staged.welcome.clone().expect("a welcome"),
            commit: staged.commit.clone(),
            ..Self {
                member,
                joiner,
                application,
                key_package,
                world,
                authenticator: Vec::new(),
                sealed: Vec::new(),
                welcome: Vec::new(),
                commit: Vec::new(),
                runs: 0,
            }
        }
    }

    fn run(&mut self, kind: u8, edits: &[u8]) -> bool {
        let (genuine, other) = match kind {
            0 => (&self.commit, &self.application),
            1 => (&self.application, &self.commit),
            2 => (&self.welcome, &self.key_package),
            3 => (&self.key_package, &self.welcome),
            _ => (&self.sealed, &self.welcome),
        };
        let mut message = genuine.clone();
        for edit in Edit::read(edits).take(16) {
            edit.apply(&mut message, other);
        }
        // Unaltered, or altered into the whole of the other.
        if message == *genuine || message == *other {
            return true;
        }
        let accepted = match kind {
            0 | 1 => self.member.process(&message).is_ok(),
            2 => self.joiner.join(&message).is_ok(),
            3 => inspect_key_package(&self.world.policy, &message).is_ok(),
            _ => self.joiner.open_sealed(&message).is_ok(),
        };
        assert!(!accepted, "an altered message of kind {kind} was accepted");
        self.runs += 1;
        if self.runs.is_multiple_of(256) {
            assert_eq!(
                authenticator(&self.member),
                self.authenticator,
                "the member's state changed"
            );
        }
        false
    }
}

fn authenticator(group: &Group) -> Vec<u8> {
    group.epoch_authenticator().expect("a live group").to_vec()
}
