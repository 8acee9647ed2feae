//! Real groups, honest and attacked.

mod crypto;
mod doors;
pub(crate) mod evil;
mod life;
mod meeting;
mod mutate;
mod powers;
mod recorder;
mod scene;
mod welcome;

use super::testing::{GROUP_ID, NOW_MS, World, admit, commit};
use super::*;
use sealed_visit_protocol::Role;
use sealed_visit_protocol::consent::{Change, StatementKind};

/// Without its `std` feature `mls-rs` never reads a clock; one dependant that turns it on does so for all.
#[test]
fn mls_rs_is_built_without_its_clock() {
    assert_eq!(size_of::<mls_rs::error::AnyError>(), 0);
}

/// A world, its clinician (0), patient (1), guest (2) and recorder (9).
struct People {
    world: World,
    host: Identity,
    patient: Identity,
    guest: Identity,
    recorder: Identity,
}

fn people() -> People {
    let world = World::new(1);
    People {
        host: world.identity(0, Role::Clinician),
        patient: world.identity(1, Role::Patient),
        guest: world.identity(2, Role::Guest),
        recorder: world.identity(9, Role::Recorder),
        world,
    }
}

impl People {
    /// Host and patient, in this order.
    fn pair(&self) -> Vec<Group> {
        self.world.group(&[self.host.clone(), self.patient.clone()])
    }

    /// The consent documents of round `round`, granted by all of these.
    fn granted_round(&self, round: u64, by: &[&Identity]) -> Vec<Change> {
        let request = self
            .world
            .request(&self.host, self.recorder.pass().participant(), round);
        let grants = by
            .iter()
            .map(|author| Change::Statement(self.world.grant(*author, &request)));
        std::iter::once(Change::Request(request.clone()))
            .chain(grants)
            .collect()
    }

    /// Host, patient and the recorder, with everybody's grants.
    fn recorded(&self) -> Vec<Group> {
        let mut groups = self.pair();
        let (joiner, key_package) = self.world.joiner(&self.recorder);
        let changes = Changes {
            add: vec![key_package],
            consent: self.granted_round(1, &[&self.host, &self.patient]),
            ..Changes::default()
        };
        let welcome = commit(&mut groups, 0, &changes).unwrap().unwrap();
        groups.push(joiner.join(&welcome).unwrap());
        groups
    }
}

/// What a member can observe of its group, secrets included.
fn fingerprint(group: &Group) -> (u64, Vec<u8>, Vec<RosterMember>, Vec<u8>, [u8; 16]) {
    (
        group.epoch(),
        group.epoch_authenticator().unwrap().to_vec(),
        group.roster().to_vec(),
        group.consent().to_bytes(),
        *group.frame_base_key().unwrap(),
    )
}

fn assert_same_epoch(groups: &[Group]) {
    for group in groups {
        assert_eq!(fingerprint(group), fingerprint(&groups[0]));
        assert_eq!(group.safety_code(), groups[0].safety_code());
        assert_eq!(group.epoch_proof(), groups[0].epoch_proof());
    }
}

/// Every member refuses the commit, names its author, and is as before, secrets included.
fn assert_refused(groups: &mut [Group], commit: &[u8], code: &str, offender: Option<&Identity>) {
    for group in groups {
        let before = fingerprint(group);
        let refused = group.process(commit).expect_err("the attack was followed");
        assert_eq!(refused.code, code, "{refused}");
        assert_eq!(refused.offender, offender.map(|id| id.pass().participant()));
        assert!(refused.is_commit);
        assert_eq!(fingerprint(group), before);
    }
}
