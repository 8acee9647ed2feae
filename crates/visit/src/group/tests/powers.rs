//! Who may do what: admit, remove, start a recorder, commit at all.

use super::evil::Evil;
use super::scene::Scene;
use super::*;

#[test]
fn while_the_host_is_there_nobody_else_admits() {
    for role in [
        Role::Patient,
        Role::Guest,
        Role::Representative,
        Role::Interpreter,
    ] {
        let mut scene = Scene::new(role);
        let guest = scene.people.guest.clone();
        let (_, key_package) = scene.people.world.joiner(&guest);
        scene.adds(&key_package, &[&guest], "not_the_host");
    }
}

#[test]
fn a_guest_does_not_bring_a_granted_recorder_back() {
    // Every grant is there; still only the host starts a recorder.
    let mut scene = Scene::new(Role::Guest);
    let guest = scene.evil.identity.clone();
    let changes = Changes {
        consent: scene
            .people
            .granted_round(1, &[&scene.people.host, &scene.people.patient, &guest]),
        ..Changes::default()
    };
    let staged = scene.groups[0].stage(&changes, NOW_MS).unwrap();
    scene.groups[1].process(&staged.commit).unwrap();
    scene.evil.follow(&staged.commit);
    scene.groups[0].merge(staged).unwrap();
    let recorder = scene.people.recorder.clone();
    let (_, key_package) = scene.people.world.joiner(&recorder);
    scene.adds(&key_package, &[&recorder], "not_the_host");
}

#[test]
fn a_guest_may_remove_the_recorder_and_carry_statements() {
    let people = people();
    let mut groups = people.recorded();
    let evil = {
        let client = people.world.identity(2, Role::Guest);
        let request = people
            .world
            .request(&people.host, people.recorder.pass().participant(), 1);
        let (joiner, key_package) = people.world.joiner(&client);
        let changes = Changes {
            add: vec![key_package],
            consent: vec![Change::Statement(people.world.grant(&client, &request))],
            ..Changes::default()
        };
        let welcome = commit(&mut groups, 0, &changes).unwrap().unwrap();
        joiner.join(&welcome).unwrap()
    };
    groups.push(evil);
    let recorder = groups.remove(2);
    assert_eq!(recorder.me().role(), Role::Recorder);
    let changes = Changes {
        remove: vec![people.recorder.pass().participant()],
        ..Changes::default()
    };
    commit(&mut groups, 2, &changes).unwrap();
    assert_same_epoch(&groups);
}

#[test]
fn recorder_and_server_do_not_commit() {
    let mut scene = Scene::new(Role::Server);
    let (commit, _) = scene.evil.commit(&[], &[], &[], &scene.evil.context());
    scene.refused(&commit, "committer_role");
    let (commit, _) = scene.evil.commit(&[], &[1], &[], &scene.evil.context());
    scene.refused(&commit, "committer_role");

    let people = people();
    let mut groups = people.recorded();
    assert_eq!(
        groups[2].stage(&Changes::default(), NOW_MS).unwrap_err(),
        GroupError::Gate(GateError::CommitterRole(Role::Recorder))
    );
    // A recorder without rules, in a group that granted it.
    groups.pop();
    let recorder = Evil::admitted(&mut groups, &people.recorder);
    let (commit, _) = recorder.commit(&[], &[1], &[], &recorder.context());
    assert_refused(
        &mut groups,
        &commit,
        "committer_role",
        Some(&people.recorder),
    );
}

#[test]
fn a_replacement_recorder_with_the_same_id_comes_in_one_commit_under_the_same_grants() {
    let people = people();
    let mut groups = people.recorded();
    groups.pop();
    let replacement = people.world.identity_with_new_key(9, Role::Recorder, 1);
    let (joiner, key_package) = people.world.joiner(&replacement);
    let changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    assert_eq!(
        groups[1].stage(&changes, NOW_MS).unwrap_err().code(),
        "not_the_host"
    );
    let welcome = commit(&mut groups, 0, &changes).unwrap().unwrap();
    groups.push(joiner.join(&welcome).unwrap());
    assert_same_epoch(&groups);

    let other = people.world.identity(8, Role::Recorder);
    let (_, key_package) = people.world.joiner(&other);
    let changes = Changes {
        add: vec![key_package],
        remove: vec![people.recorder.pass().participant()],
        ..Changes::default()
    };
    assert_eq!(
        groups[0].stage(&changes, NOW_MS).unwrap_err().code(),
        "other_recorder"
    );
}

#[test]
fn who_left_can_still_withdraw_and_any_member_carries_it() {
    let people = people();
    let mut groups = people.recorded();
    groups.truncate(1);
    commit(
        &mut groups,
        0,
        &Changes {
            remove: vec![people.patient.pass().participant()],
            ..Changes::default()
        },
    )
    .unwrap();
    assert!(
        groups[0]
            .roster()
            .iter()
            .any(|member| member.role == Role::Recorder)
    );
    let request = people
        .world
        .request(&people.host, people.recorder.pass().participant(), 1);
    let withdrawal =
        people
            .world
            .statement(&people.patient, &request, StatementKind::Withdrawal, 2);
    let withdrawal = Change::Statement(withdrawal);
    groups[0].check_change(&withdrawal).unwrap();
    let changes = Changes {
        remove: vec![people.recorder.pass().participant()],
        consent: vec![withdrawal.clone()],
        ..Changes::default()
    };
    commit(&mut groups, 0, &changes).unwrap();
    assert!(groups[0].consent().is_dead(people.world.round(1)));
    assert_eq!(
        groups[0].check_change(&withdrawal).unwrap_err().code(),
        "consent_refused"
    );
}

#[test]
fn a_guests_reload_is_committed_by_another_guest() {
    let people = people();
    let everybody = [&people.host, &people.patient, &people.guest].map(Clone::clone);
    let mut groups = people.world.group(&everybody);
    groups.pop();
    let back = admit(
        &mut groups,
        1,
        &people.world,
        std::slice::from_ref(&people.guest),
    )
    .unwrap();
    groups.extend(back);
    assert_same_epoch(&groups);
}

#[test]
fn nobody_but_a_clinician_adds_a_recorder_not_even_its_reload_or_after_the_host_left() {
    let people = people();
    let mut groups = people.recorded();
    let (_, key_package) = people.world.joiner(&people.recorder);
    let changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    let refused = groups[1].stage(&changes, NOW_MS).unwrap_err();
    assert_eq!(refused.code(), "not_the_host");

    let mut rest = groups.split_off(1);
    rest.pop();
    let everybody_else_leaves = Changes {
        remove: vec![
            people.host.pass().participant(),
            people.recorder.pass().participant(),
        ],
        ..Changes::default()
    };
    commit(&mut rest, 0, &everybody_else_leaves).unwrap();
    assert!(rest[0].consent().has_open_round());
    let refused = rest[0].stage(&changes, NOW_MS).unwrap_err();
    assert_eq!(refused.code(), "not_the_host");
}
