//! Doors 2 and 3, and ghosts: the attacks of a member without rules, and of outsiders.

use super::super::client::{no_time, signature_key};
use super::super::context::{CONTEXT_EXTENSION, PASS_CREDENTIAL};
use super::super::rules::{signing_identity, traced};
use super::super::testing::stranger_key;
use super::evil::{Evil, basic, evil_client, evil_client_of, key_package_showing};
use super::scene::Scene;
use super::*;
use mls_rs::group::proposal::CustomProposal;
use mls_rs::identity::{Credential, CustomCredential, SigningIdentity};
use mls_rs::{CipherSuite, Extension, ExtensionList, MlsMessage, ProtocolVersion};
use sealed_visit_protocol::SigningKey;
use sealed_visit_protocol::pass::PassClaims;

/// A credential of the right type that holds these bytes.
fn showing(bytes: &[u8], key: &SigningKey) -> SigningIdentity {
    let credential = CustomCredential::new(PASS_CREDENTIAL, bytes.to_vec());
    SigningIdentity::new(
        Credential::Custom(credential),
        key.public().as_bytes().to_vec().into(),
    )
}

// Door 2: the committer's own new leaf.

#[test]
fn a_member_cannot_become_a_recorder_or_anybody_else_by_its_path_leaf() {
    let mut scene = Scene::new(Role::Guest);
    let world = &scene.people.world;
    let successors = [
        // The same participant with a recorder's pass; another participant; the same with a new key.
        world.identity(3, Role::Recorder),
        world.identity(4, Role::Guest),
        world.identity_with_new_key(3, Role::Guest, 1),
    ];
    for successor in successors {
        let (commit, _) = scene.evil.build(|builder| {
            Ok(builder.set_new_signing_identity(
                signature_key(&successor),
                signing_identity(successor.pass()),
            ))
        });
        scene.refused(&commit, "successor");
    }
    let (commit, _) = scene.evil.build(|builder| {
        let guest = people().guest;
        let shown = showing(b"\xff", guest.key());
        Ok(builder.set_new_signing_identity(signature_key(&guest), shown))
    });
    scene.refused(&commit, "no_pass");
}

#[test]
fn a_participant_does_not_come_back_in_another_role() {
    // In one commit, and in two: the group remembers roles.
    let mut scene = Scene::new(Role::Clinician);
    let as_recorder = scene.people.world.identity(1, Role::Recorder);
    let (_, key_package) = scene.people.world.joiner(&as_recorder);
    let policy = scene.people.world.policy.clone();
    let (commit, _) =
        scene
            .evil
            .commit_derived(&policy, &[(&as_recorder, &key_package)], &[1], &[]);
    scene.refused(&commit, "role_change");

    let changes = Changes {
        remove: vec![as_recorder.pass().participant()],
        ..Changes::default()
    };
    let staged = scene.groups[0].stage(&changes, NOW_MS).unwrap();
    scene.evil.follow(&staged.commit);
    scene.groups[0].merge(staged).unwrap();
    scene.groups.pop();
    let (commit, _) = scene
        .evil
        .commit_derived(&policy, &[(&as_recorder, &key_package)], &[], &[]);
    let evil = scene.evil.identity.clone();
    assert_refused(&mut scene.groups, &commit, "role_change", Some(&evil));
}

// Door 3: ways around the proposals.

#[test]
fn an_external_commit_is_refused_at_the_wire_and_at_the_gate() {
    let mut scene = Scene::new(Role::Clinician);
    let info = scene
        .evil
        .mls
        .group_info_message_allowing_ext_commit(true)
        .unwrap();
    let outsider = evil_client_of(&scene.people.guest);
    let (_, commit) = outsider.commit_external(info).unwrap();
    // At the gate itself, which the message does not reach otherwise.
    let mut group = scene.groups[0].clone();
    let (outcome, trace) = traced(|| {
        group
            .mls
            .process_incoming_message_with_time(commit.clone(), no_time())
    });
    assert!(outcome.is_err());
    assert_eq!(
        trace.error,
        Some(GateError::NotAllowed("an external commit"))
    );
    scene.refused_from_nobody(&commit.to_bytes().unwrap(), "not_private");
}

#[test]
fn a_reinitialisation_is_refused() {
    let mut scene = Scene::new(Role::Clinician);
    let (commit, _) = scene.evil.build(|builder| {
        builder.reinit(
            None,
            ProtocolVersion::MLS_10,
            CipherSuite::CURVE25519_AES128,
            ExtensionList::new(),
        )
    });
    let mut group = scene.groups[0].clone();
    let message = MlsMessage::from_bytes(&commit).unwrap();
    let (_, trace) = traced(|| {
        group
            .mls
            .process_incoming_message_with_time(message, no_time())
    });
    assert_eq!(
        trace.error,
        Some(GateError::NotAllowed("a re-initialisation"))
    );
    scene.refused(&commit, "not_allowed");
}

#[test]
fn a_context_that_does_not_follow_from_the_proposals_is_refused() {
    let scene = Scene::new(Role::Clinician);
    let now = scene.evil.context();
    let policy = &scene.people.world.policy;
    let changes = scene
        .people
        .granted_round(1, &[&scene.people.host, &scene.people.patient]);
    let granted = scene.evil.derived(policy, &[], &changes);

    // The consent state rewritten without any document, and with one document but another state.
    let mut states = vec![
        (granted.clone(), vec![]),
        (now.clone(), changes[..1].to_vec()),
    ];
    let mut fewer = granted.clone();
    fewer.consent = scene.evil.derived(policy, &[], &changes[..1]).consent;
    states.push((fewer, changes.clone()));
    // A role rewritten, added, forgotten; another visit.
    let mut roles = now.clone();
    roles
        .roles
        .insert(scene.people.world.participant(1), Role::Recorder);
    states.push((roles, vec![]));
    let mut roles = now.clone();
    roles
        .roles
        .insert(scene.people.world.participant(8), Role::Clinician);
    states.push((roles, vec![]));
    let mut roles = now.clone();
    roles.roles.remove(&scene.people.world.participant(1));
    states.push((roles, vec![]));
    let mut visit = now.clone();
    visit.visit = World::new(2).visit;
    states.push((visit, vec![]));

    for (state, changes) in states {
        let mut scene = Scene::new(Role::Clinician);
        // The same world, so the same documents; a context of this group.
        let mut state = state;
        if state.roles == now.roles {
            state.roles = scene.evil.context().roles;
        }
        let (commit, _) = scene.evil.commit(&[], &[], &changes, &state);
        scene.refused(&commit, "context_not_derived");
    }
}

#[test]
fn extensions_beside_or_instead_of_the_visits_are_refused() {
    let mut scene = Scene::new(Role::Clinician);
    let exact = scene.evil.context().to_extensions().unwrap();
    let mut without_capabilities = exact.clone();
    without_capabilities.remove(mls_rs::extension::ExtensionType::REQUIRED_CAPABILITIES);
    let mut spaced = exact.clone();
    let mut bytes = exact.get(CONTEXT_EXTENSION).unwrap().extension_data;
    bytes.push(b' ');
    spaced.set(Extension::new(CONTEXT_EXTENSION, bytes));
    // Also a restatement of what is there already.
    for extensions in [without_capabilities, spaced, exact, ExtensionList::new()] {
        let (commit, _) = scene
            .evil
            .build(|builder| builder.set_group_context_ext(extensions));
        scene.refused(&commit, "context_not_derived");
    }
    let mut with_senders = scene.evil.context().to_extensions().unwrap();
    with_senders.set(Extension::new(
        mls_rs::extension::ExtensionType::EXTERNAL_SENDERS,
        vec![0],
    ));
    let (commit, _) = scene
        .evil
        .build(|builder| builder.set_group_context_ext(with_senders));
    scene.refused(&commit, "context_not_derived");
}

#[test]
fn proposals_that_cannot_be_read_or_are_of_another_type_are_refused() {
    let mut scene = Scene::new(Role::Clinician);
    for data in [
        &b""[..],
        b"{}",
        b"\xff",
        br#"{"kind":"grant","jws":""}"#,
        br#"{"kind": "request","jws":""}"#,
    ] {
        let (commit, _) = scene.evil.build(|builder| {
            Ok(builder.custom_proposal(CustomProposal::new(
                super::super::context::CHANGE_PROPOSAL,
                data.to_vec(),
            )))
        });
        scene.refused(&commit, "unreadable_proposal");
    }
    // MLS itself keeps a proposal type out that not every member supports; the gate does not rely on it.
    use mls_rs::group::Sender;
    use mls_rs::group::proposal::Proposal;
    use mls_rs::mls_rules::{ProposalBundle, ProposalSource};
    let mut bundle = ProposalBundle::default();
    let other = CustomProposal::new(0xF000.into(), Vec::new());
    bundle.add(
        Proposal::Custom(other),
        Sender::Member(2),
        ProposalSource::ByValue,
    );
    assert_eq!(
        super::super::rules::only_allowed_types(&bundle),
        Err(GateError::NotAllowed("a proposal of another type"))
    );
}

#[test]
fn messages_outside_the_encryption_are_refused() {
    let mut scene = Scene::new(Role::Clinician);
    // A member's commit as PublicMessage, correctly signed and tagged.
    let identity = scene.people.world.identity(4, Role::Clinician);
    let client = evil_client(
        signing_identity(identity.pass()),
        signature_key(&identity),
        false,
    );
    let key_package = client
        .generate_key_package_message(Default::default(), Default::default(), Some(0.into()))
        .unwrap();
    let changes = Changes {
        add: vec![key_package.to_bytes().unwrap()],
        ..Changes::default()
    };
    let staged = scene.groups[0].stage(&changes, NOW_MS).unwrap();
    scene.groups[1].process(&staged.commit).unwrap();
    scene.evil.follow(&staged.commit);
    let welcome = MlsMessage::from_bytes(staged.welcome.as_ref().unwrap()).unwrap();
    scene.groups[0].merge(staged).unwrap();
    let (mut in_the_open, _) = client.join_group(None, &welcome, Some(no_time())).unwrap();
    let commit = in_the_open
        .commit_builder()
        .commit_time(no_time())
        .build()
        .unwrap();
    let commit = commit.commit_message;
    assert_eq!(commit.wire_format(), mls_rs::WireFormat::PublicMessage);
    scene.refused_from_nobody(&commit.to_bytes().unwrap(), "not_private");

    // Clear data beside the ciphertext.
    let (commit, _) = scene
        .evil
        .build(|builder| Ok(builder.authenticated_data(b"a name".to_vec())));
    scene.refused(&commit, "not_allowed");
    let message = scene
        .evil
        .mls
        .encrypt_application_message(b"", b"a name".to_vec())
        .unwrap();
    let refused = scene.groups[0]
        .process(&message.to_bytes().unwrap())
        .unwrap_err();
    assert_eq!((refused.code, refused.is_commit), ("not_allowed", false));
}

// Ghosts.

#[test]
fn a_ghost_is_refused_whatever_it_shows() {
    let mut scene = Scene::new(Role::Clinician);
    let world = scene.people.world.clone();
    let ghost = stranger_key(1, 1);
    let pass = |claims: &PassClaims, signer: &SigningKey| {
        showing(signer.sign(claims).as_str().as_bytes(), &ghost)
    };
    let mut claims = world.pass_claims(5, Role::Guest);
    claims.cnf.jwk = ghost.public();
    let other_visit = PassClaims {
        visit: World::new(2).visit,
        ..claims.clone()
    };
    let stolen = world.pass_claims(5, Role::Guest);
    for (shown, code) in [
        (showing(b"\xff", &ghost), "no_pass"),
        (showing(b"ghost", &ghost), "pass_refused"),
        (pass(&claims, &ghost), "pass_refused"),
        (pass(&other_visit, &world.authority), "pass_refused"),
        (pass(&stolen, &world.authority), "pass_refused"),
    ] {
        let key_package = key_package_showing(shown, &ghost);
        scene.adds(&key_package, &[&world.identity(5, Role::Guest)], code);
        assert_eq!(scene.admission(&key_package).unwrap_err().code(), code);
    }
    // Of another type of credential; MLS would not build that commit.
    let key_package = key_package_showing(basic(b"ghost", &ghost), &ghost);
    assert_eq!(scene.admission(&key_package).unwrap_err().code(), "no_pass");
    // The positive control: the same ghost with an honest pass for its key.
    let key_package = key_package_showing(pass(&claims, &world.authority), &ghost);
    scene.admission(&key_package).unwrap();
}

#[test]
fn nobody_is_in_the_roster_twice() {
    let mut scene = Scene::new(Role::Clinician);
    let patient = scene
        .people
        .world
        .identity_with_new_key(1, Role::Patient, 1);
    let (_, key_package) = scene.people.world.joiner(&patient);
    let (commit, _) = scene
        .evil
        .commit(&[&key_package], &[], &[], &scene.evil.context());
    scene.refused(&commit, "participant_twice");
}

#[test]
fn the_63rd_member_is_refused_by_every_receiver() {
    let mut scene = Scene::new(Role::Clinician);
    let world = scene.people.world.clone();
    let guests: Vec<_> = (10..70).map(|n| world.identity(n, Role::Guest)).collect();
    let packages: Vec<_> = guests.iter().map(|guest| world.joiner(guest).1).collect();
    let add: Vec<_> = guests
        .iter()
        .zip(packages.iter().map(Vec::as_slice))
        .collect();
    let (commit, _) = scene.evil.commit_derived(&world.policy, &add, &[], &[]);
    scene.refused(&commit, "too_many_members");
    let (commit, _) = scene
        .evil
        .commit_derived(&world.policy, &add[1..], &[], &[]);
    scene.groups[0].process(&commit).unwrap();
    assert_eq!(scene.groups[0].roster().len(), MAX_MEMBERS);
}

// A vault or authority that swaps a clinic key.

#[test]
fn a_request_for_a_key_that_the_clinic_did_not_list_is_refused_by_every_member() {
    let people = people();
    let mut groups = people.pair();
    let evil = Evil::admitted(&mut groups, &people.world.identity(3, Role::Clinician));
    // The attacker was given a document with another archive key, under another root.
    let mut claims = people.world.clinic_claims.clone();
    let archive = claims.recipients[1].role;
    claims.recipients[1] = super::super::testing::recipient(archive, &[9; 32]);
    let swapped = World::with_clinic(1, claims.clone());
    let request = swapped.request(&evil.identity, people.recorder.pass().participant(), 1);
    let mut context = evil.context();
    context.consent = context
        .consent
        .apply(
            &Change::Request(request.clone()),
            swapped.policy.clinic(),
            swapped.policy.visit(),
            GROUP_ID,
        )
        .unwrap();
    let (commit, _) = evil.commit(&[], &[], &[Change::Request(request)], &context);
    assert_refused(
        &mut groups,
        &commit,
        "request_refused",
        Some(&evil.identity),
    );

    // And a retired one.
    let retired = World::with_clinic(1, {
        let mut claims = people.world.clinic_claims.clone();
        claims.retired = vec![claims.recipients[1].fingerprint];
        claims
    });
    let mut groups = retired.group(&[people.host.clone(), people.patient.clone()]);
    let request = people
        .world
        .request(&people.host, people.recorder.pass().participant(), 1);
    let changes = Changes {
        consent: vec![Change::Request(request)],
        ..Changes::default()
    };
    assert_eq!(
        groups[0].stage(&changes, NOW_MS).unwrap_err().code(),
        "request_refused"
    );
}
