//! Lock and host: a clinician's to change, and everybody's to keep.

use super::evil::meeting_proposal;
use super::scene::Scene;
use super::*;

fn changes(meeting: &[MeetingChange]) -> Changes {
    Changes {
        meeting: meeting.to_vec(),
        ..Changes::default()
    }
}

const LOCK: MeetingChange = MeetingChange::Lock { locked: true };
const UNLOCK: MeetingChange = MeetingChange::Lock { locked: false };

/// The attacker commits this change, and states the context as it would be.
fn evil_meeting(scene: &mut Scene, change: MeetingChange, code: &str) {
    let mut context = scene.evil.context();
    match change {
        MeetingChange::Lock { locked } => context.meeting.locked = locked,
        MeetingChange::Host { participant } => context.meeting.host = Some(participant),
    }
    let (commit, _) = scene.evil.build(|builder| {
        builder
            .custom_proposal(meeting_proposal(&change))
            .set_group_context_ext(context.to_extensions().unwrap())
    });
    scene.refused(&commit, code);
}

fn lock(scene: &mut Scene) {
    let staged = scene.groups[0].stage(&changes(&[LOCK]), NOW_MS).unwrap();
    scene.groups[1].process(&staged.commit).unwrap();
    scene.evil.follow(&staged.commit);
    scene.groups[0].merge(staged).unwrap();
}

#[test]
fn only_clinicians_lock_and_hand_over() {
    for role in [
        Role::Patient,
        Role::Guest,
        Role::Representative,
        Role::Interpreter,
    ] {
        let mut scene = Scene::new(role);
        evil_meeting(&mut scene, LOCK, "not_a_clinician");
        let participant = scene.evil.identity.pass().participant();
        let to_itself = MeetingChange::Host { participant };
        evil_meeting(&mut scene, to_itself, "not_a_clinician");
        lock(&mut scene);
        evil_meeting(&mut scene, UNLOCK, "not_a_clinician");
        assert!(scene.groups.iter().all(|group| group.meeting().locked));
    }
}

#[test]
fn a_patient_is_not_made_host() {
    let mut scene = Scene::new(Role::Clinician);
    let participant = scene.people.patient.pass().participant();
    let to_patient = MeetingChange::Host { participant };
    evil_meeting(&mut scene, to_patient, "not_a_clinician");
    let honest = scene.groups[0].stage(&changes(&[to_patient]), NOW_MS);
    assert_eq!(
        honest.unwrap_err(),
        GroupError::Gate(GateError::NotAClinician)
    );
}

#[test]
fn the_lock_stands_in_the_context_and_not_beside_it() {
    let mut scene = Scene::new(Role::Clinician);
    let mut context = scene.evil.context();
    context.meeting.locked = true;
    let (commit, _) = scene.evil.commit(&[], &[], &[], &context);
    scene.refused(&commit, "context_not_derived");
}

#[test]
fn while_locked_not_even_a_clinician_brings_somebody_new() {
    let mut scene = Scene::new(Role::Clinician);
    lock(&mut scene);
    let guest = scene.people.guest.clone();
    let (_, key_package) = scene.people.world.joiner(&guest);
    scene.adds(&key_package, &[&guest], "locked");
    let refused = scene.admission(&key_package).unwrap_err();
    let participant = guest.pass().participant();
    assert_eq!(refused, GroupError::Gate(GateError::Locked(participant)));

    // To unlock and to let in may be one commit.
    let both = Changes {
        add: vec![key_package],
        ..changes(&[UNLOCK])
    };
    let staged = scene.groups[0].stage(&both, NOW_MS).unwrap();
    scene.groups[1].process(&staged.commit).unwrap();
    assert!(!scene.groups[1].meeting().locked);
}

#[test]
fn who_was_in_comes_back_into_a_locked_visit_and_its_successor() {
    let people = people();
    let mut groups = people.pair();
    commit(&mut groups, 0, &changes(&[LOCK])).unwrap();
    let patient = people.patient.pass().participant();
    let gone = Changes {
        remove: vec![patient],
        ..Changes::default()
    };
    let left = groups.pop().unwrap();
    commit(&mut groups, 0, &gone).unwrap();
    let back = admit(
        &mut groups,
        0,
        &people.world,
        std::slice::from_ref(&people.patient),
    )
    .unwrap();
    assert!(back[0].meeting().locked);

    // A group in the place of this one is locked as well, and knows whom to let in.
    let (host, world) = (people.host.clone(), &people.world);
    let policy = world.policy.clone();
    let after = Group::create_after(left.legacy(), host, policy, GROUP_ID, NOW_MS).unwrap();
    let mut groups = vec![after];
    assert!(groups[0].meeting().locked);
    admit(&mut groups, 0, world, std::slice::from_ref(&people.patient)).unwrap();
    let refused = admit(&mut groups, 0, world, std::slice::from_ref(&people.guest)).unwrap_err();
    assert_eq!(refused.code(), "locked");
}
