//! Honest groups: everything that happens to them in a visit.

use super::*;

fn remove(participant: &Identity) -> Changes {
    Changes {
        remove: vec![participant.pass().participant()],
        ..Changes::default()
    }
}

#[test]
fn members_agree_on_epoch_keys_and_roster_and_differ_between_epochs() {
    let people = people();
    let mut groups = people.pair();
    assert_same_epoch(&groups);
    let roles: Vec<_> = groups[1]
        .roster()
        .iter()
        .map(|member| (member.leaf, member.role))
        .collect();
    assert_eq!(roles, [(0, Role::Clinician), (1, Role::Patient)]);

    let before = fingerprint(&groups[0]);
    let code = groups[0].safety_code().unwrap();
    commit(&mut groups, 1, &Changes::default()).unwrap();
    assert_same_epoch(&groups);
    let after = fingerprint(&groups[0]);
    assert_eq!(after.0, before.0 + 1);
    assert_ne!(after.1, before.1);
    assert_ne!(after.4, before.4);
    assert_ne!(groups[0].safety_code().unwrap(), code);
}

#[test]
fn safety_code_is_six_groups_of_five_digits() {
    let code = people().pair()[0].safety_code().unwrap();
    let groups: Vec<_> = code.split(' ').collect();
    assert_eq!(groups.len(), 6);
    assert!(
        groups
            .iter()
            .all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit()))
    );
}

#[test]
fn application_messages_reach_everybody_with_their_sender_once() {
    let people = people();
    let mut groups = people.pair();
    let message = groups[1].encrypt(b"hello").unwrap();
    let Processed::Application { from, leaf, data } = groups[0].process(&message).unwrap() else {
        panic!("not an application message");
    };
    assert_eq!(
        (from, leaf, data.as_slice()),
        (people.patient.pass().participant(), 1, &b"hello"[..])
    );
    let again = groups[0].process(&message).unwrap_err();
    assert_eq!((again.code, again.is_commit), ("replayed", false));
    assert_eq!(groups[1].process(&message).unwrap_err().code, "own_message");
}

#[test]
fn a_removed_member_learns_it_and_cannot_derive_the_next_epochs_key() {
    let people = people();
    let mut groups = people.world.group(&[
        people.host.clone(),
        people.patient.clone(),
        people.guest.clone(),
    ]);
    let staged = groups[0].stage(&remove(&people.guest), NOW_MS).unwrap();
    assert_eq!(
        staged.summary().removed,
        [people.guest.pass().participant()]
    );
    let before = fingerprint(&groups[2]);
    let Processed::Commit(summary) = groups[2].process(&staged.commit).unwrap() else {
        panic!()
    };
    assert!(summary.self_removed);
    groups[1].process(&staged.commit).unwrap();
    groups[0].merge(staged).unwrap();

    let guest = groups.pop().unwrap();
    assert_same_epoch(&groups);
    assert_eq!(fingerprint(&guest), before);
    assert_ne!(
        *guest.frame_base_key().unwrap(),
        *groups[0].frame_base_key().unwrap()
    );
    let mut guest = guest;
    let message = groups[0].encrypt(b"not for the guest").unwrap();
    assert_eq!(guest.process(&message).unwrap_err().code, "other_epoch");
    let late = guest.encrypt(b"from outside").unwrap();
    assert_eq!(groups[0].process(&late).unwrap_err().code, "other_epoch");
}

#[test]
fn the_host_is_removed_by_another_member_and_the_visit_goes_on() {
    let people = people();
    let mut groups = people.world.group(&[
        people.host.clone(),
        people.patient.clone(),
        people.guest.clone(),
    ]);
    groups.remove(0);
    commit(&mut groups, 0, &remove(&people.host)).unwrap();
    assert_same_epoch(&groups);
    assert_eq!(groups[0].roster().len(), 2);
    // With no clinician left, who is there admits: also the host, coming back.
    let back = admit(
        &mut groups,
        1,
        &people.world,
        std::slice::from_ref(&people.host),
    )
    .unwrap();
    groups.extend(back);
    assert_same_epoch(&groups);
}

#[test]
fn nobody_commits_its_own_removal() {
    let people = people();
    let mut groups = people.pair();
    assert_eq!(
        groups[0].stage(&remove(&people.host), NOW_MS).unwrap_err(),
        GroupError::OwnRemoval
    );
    let (_, own) = people.world.joiner(&people.host);
    let changes = Changes {
        add: vec![own],
        ..Changes::default()
    };
    assert_eq!(
        groups[0].stage(&changes, NOW_MS).unwrap_err(),
        GroupError::OwnRemoval
    );
}

#[test]
fn a_rejoin_is_one_commit_on_the_same_leaf_and_keeps_the_grant() {
    let people = people();
    let mut groups = people.recorded();
    let (joiner, key_package) = people.world.joiner(&people.patient);
    let changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    let staged = groups[0].stage(&changes, NOW_MS).unwrap();
    let summary = staged.summary().clone();
    assert_eq!(summary.rejoined, [people.patient.pass().participant()]);
    assert!(summary.added.is_empty() && summary.removed.is_empty());

    // The old tab learns that it was replaced.
    let Processed::Commit(seen) = groups[1].process(&staged.commit).unwrap() else {
        panic!()
    };
    assert!(seen.self_removed && seen.rejoined == summary.rejoined);
    groups[2].process(&staged.commit).unwrap();
    let welcome = staged.welcome.clone().unwrap();
    groups[0].merge(staged).unwrap();
    groups[1] = joiner.join(&welcome).unwrap();
    assert_same_epoch(&groups);
    assert_eq!(groups[1].own_leaf(), 1);
    assert!(
        groups[0]
            .roster()
            .iter()
            .any(|member| member.role == Role::Recorder)
    );
}

#[test]
fn anybody_rejoins_anybody_with_the_same_key_and_the_host_with_a_new_one() {
    let people = people();
    let mut groups = people.world.group(&[
        people.host.clone(),
        people.patient.clone(),
        people.guest.clone(),
    ]);
    let mut rest = groups.split_off(1);
    let (joiner, key_package) = people.world.joiner(&people.host);
    let welcome = commit(
        &mut rest,
        0,
        &Changes {
            add: vec![key_package],
            ..Changes::default()
        },
    )
    .unwrap();
    rest.push(joiner.join(&welcome.unwrap()).unwrap());
    assert_same_epoch(&rest);

    rest.pop();
    let host = people.world.identity_with_new_key(0, Role::Clinician, 1);
    let back = admit(&mut rest, 1, &people.world, std::slice::from_ref(&host)).unwrap();
    rest.extend(back);
    assert_same_epoch(&rest);

    // A new key for anybody else is a new admission: the host's to decide.
    let patient = people.world.identity_with_new_key(1, Role::Patient, 1);
    let (joiner, key_package) = people.world.joiner(&patient);
    let changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    assert_eq!(
        rest[1].stage(&changes, NOW_MS).unwrap_err(),
        GroupError::Gate(GateError::NotTheHost(patient.pass().participant()))
    );
    let mut rest = rest.split_off(1);
    let welcome = commit(&mut rest, 1, &changes).unwrap();
    rest.push(joiner.join(&welcome.unwrap()).unwrap());
    assert_same_epoch(&rest);
}

#[test]
fn the_loser_of_a_race_follows_the_winner_and_builds_again() {
    let people = people();
    let mut groups = people.pair();
    let first = groups[0].stage(&Changes::default(), NOW_MS).unwrap();
    let second = groups[1].stage(&Changes::default(), NOW_MS).unwrap();
    // The relay ordered the patient's commit first.
    groups[0].process(&second.commit).unwrap();
    groups[1].merge(second).unwrap();
    assert_eq!(
        groups[0].merge(first.clone()).unwrap_err(),
        GroupError::StaleCommit {
            staged: 1,
            current: 2
        }
    );
    assert_eq!(
        groups[1].process(&first.commit).unwrap_err().code,
        "other_epoch"
    );
    assert_same_epoch(&groups);
    commit(&mut groups, 0, &Changes::default()).unwrap();
    assert_same_epoch(&groups);
}

#[test]
fn a_staged_commit_of_the_same_epoch_number_on_a_fork_is_not_merged() {
    let people = people();
    let mut groups = people.pair();
    let mut fork = groups.clone();
    commit(&mut groups, 1, &Changes::default()).unwrap();
    commit(&mut fork, 1, &Changes::default()).unwrap();
    let staged = fork[0].stage(&Changes::default(), NOW_MS).unwrap();
    assert!(matches!(
        groups[0].merge(staged),
        Err(GroupError::StaleCommit { .. })
    ));
}

#[test]
fn two_commits_staged_in_one_epoch_are_both_readable() {
    // A refused or forgotten first one must not stand in the second one's way.
    let people = people();
    let mut groups = people.pair();
    let _forgotten = groups[0].stage(&Changes::default(), NOW_MS).unwrap();
    commit(&mut groups, 0, &Changes::default()).unwrap();
    assert_same_epoch(&groups);
}

#[test]
fn consent_opens_the_recorder_and_removal_closes_it() {
    let people = people();
    let mut groups = people.recorded();
    assert_same_epoch(&groups);
    let key = *groups[2].frame_base_key().unwrap();

    // Anybody takes the recorder off the record; the round stays open, and the host puts it back.
    let mut rest: Vec<_> = groups.drain(..2).collect();
    commit(&mut rest, 1, &remove(&people.recorder)).unwrap();
    assert_ne!(*rest[0].frame_base_key().unwrap(), key);
    assert!(rest[0].consent().has_open_round());
    let (joiner, key_package) = people.world.joiner(&people.recorder);
    let again = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    assert_eq!(
        rest[1].stage(&again, NOW_MS).unwrap_err(),
        GroupError::Gate(GateError::NotTheHost(people.recorder.pass().participant()))
    );
    let welcome = commit(&mut rest, 0, &again).unwrap().unwrap();
    rest.push(joiner.join(&welcome).unwrap());
    assert_same_epoch(&rest);
}

#[test]
fn a_withdrawal_removes_the_recorder_in_the_same_commit_and_ends_the_round() {
    let people = people();
    let mut groups = people.recorded();
    groups.pop();
    let request = people
        .world
        .request(&people.host, people.recorder.pass().participant(), 1);
    let withdrawal =
        people
            .world
            .statement(&people.patient, &request, StatementKind::Withdrawal, 2);
    let mut changes = Changes {
        consent: vec![Change::Statement(withdrawal)],
        ..Changes::default()
    };
    assert_eq!(
        groups[1].stage(&changes, NOW_MS).unwrap_err().code(),
        "recorder_without_round"
    );
    changes.remove = vec![people.recorder.pass().participant()];
    commit(&mut groups, 1, &changes).unwrap();
    assert!(!groups[0].consent().has_open_round());
    assert!(groups[0].consent().is_dead(people.world.round(1)));
    assert_same_epoch(&groups);
}

#[test]
fn a_late_joiner_is_let_in_with_a_grant_or_after_the_recorder_has_left() {
    let people = people();
    let mut groups = people.recorded();
    let (joiner, key_package) = people.world.joiner(&people.guest);
    let mut changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    assert_eq!(
        groups[0].stage(&changes, NOW_MS).unwrap_err().code(),
        "recorder_without_grant"
    );
    let request = people
        .world
        .request(&people.host, people.recorder.pass().participant(), 1);
    changes.consent = vec![Change::Statement(
        people.world.grant(&people.guest, &request),
    )];
    let welcome = commit(&mut groups, 0, &changes).unwrap().unwrap();
    groups.push(joiner.join(&welcome).unwrap());
    assert_same_epoch(&groups);
}

#[test]
fn an_expired_pass_is_refused_by_the_committer_and_expires_for_nobody_inside() {
    let people = people();
    let mut groups = people.pair();
    let late_ms = NOW_MS + 3 * 3600 * 1000;
    let (_, key_package) = people.world.joiner(&people.guest);
    let changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    assert_eq!(
        groups[0].stage(&changes, late_ms).unwrap_err().code(),
        "pass_expired"
    );
    let staged = groups[0].stage(&Changes::default(), late_ms).unwrap();
    groups[1].process(&staged.commit).unwrap();
    assert_eq!(
        Group::create(
            people.host.clone(),
            people.world.policy.clone(),
            GROUP_ID,
            late_ms
        )
        .unwrap_err()
        .code(),
        "pass_expired"
    );
}

#[test]
fn recorder_and_server_create_no_groups() {
    let people = people();
    for role in [Role::Recorder, Role::Server] {
        let identity = people.world.identity(5, role);
        let created = Group::create(identity, people.world.policy.clone(), GROUP_ID, NOW_MS);
        assert_eq!(created.unwrap_err().code(), "committer_role");
    }
}

#[test]
fn what_is_sealed_to_a_key_package_opens_for_its_joiner_only() {
    let people = people();
    let (guest, key_package) = people.world.joiner(&people.guest);
    let (other, _) = people.world.joiner(&people.guest);
    let info = inspect_key_package(&people.world.policy, &key_package).unwrap();
    assert_eq!(
        (info.participant, info.role),
        (people.guest.pass().participant(), Role::Guest)
    );
    let sealed = seal_to_key_package(&people.world.policy, &key_package, b"request").unwrap();
    assert_eq!(&**guest.open_sealed(&sealed).unwrap(), b"request");
    assert_eq!(other.open_sealed(&sealed).unwrap_err(), GroupError::Open);
    for length in 0..sealed.len() {
        assert!(guest.open_sealed(&sealed[..length]).is_err());
    }
    // A relay that puts its own init key into somebody's key package breaks the signature, as any other change does.
    for position in 0..key_package.len() {
        let mut changed = key_package.clone();
        changed[position] ^= 1;
        let sealed = seal_to_key_package(&people.world.policy, &changed, b"request");
        assert!(sealed.is_err(), "byte {position}");
    }
}

#[test]
fn a_full_group_has_62_members() {
    let people = people();
    let mut groups = people.pair();
    let identities: Vec<_> = (10..70)
        .map(|n| people.world.identity(n, Role::Guest))
        .collect();
    let joined = admit(&mut groups, 0, &people.world, &identities).unwrap();
    assert_eq!(groups[0].roster().len(), MAX_MEMBERS);
    assert_eq!(joined.iter().map(Group::own_leaf).max(), Some(61));
    let (_, key_package) = people.world.joiner(&people.guest);
    let changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    assert_eq!(
        groups[0].stage(&changes, NOW_MS).unwrap_err(),
        GroupError::Gate(GateError::TooMany(63))
    );
}
