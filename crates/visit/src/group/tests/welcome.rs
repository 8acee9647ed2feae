//! Door 4: what a Welcome may lead into. The committer behind it keeps no rules.

use super::super::Legacy;
use super::super::context::{CONTEXT_EXTENSION, VisitContext};
use super::super::testing::recipient;
use super::evil::{Evil, evil_client_of};
use super::*;
use mls_rs::time::MlsTime;
use mls_rs::{Extension, ExtensionList};

/// A fork: an attacker's own group, in a context of its choice, with these members besides the joiner.
fn fork(
    inviter: &Identity,
    extensions: ExtensionList,
    ghosts: &[&Identity],
    joiner_package: &[u8],
) -> Vec<u8> {
    let evil = Evil::create(inviter, extensions);
    let packages: Vec<_> = ghosts
        .iter()
        .map(|ghost| {
            evil_client_of(ghost)
                .generate_key_package_message(
                    Default::default(),
                    Default::default(),
                    Some(MlsTime::from(0)),
                )
                .unwrap()
        })
        .collect();
    let (_, welcome) = evil.build(|mut builder| {
        for package in packages {
            builder = builder.add_member(package)?;
        }
        builder.add_member(mls_rs::MlsMessage::from_bytes(joiner_package)?)
    });
    welcome.unwrap()
}

/// What an honest group of these people would have in its context.
fn context_of(world: &World, people: &[&Identity], changes: &[Change]) -> VisitContext {
    let mut context = VisitContext::new(
        world.visit,
        people[0].pass().participant(),
        people[0].pass().role(),
        Legacy::default(),
    );
    for identity in people {
        let pass = identity.pass();
        context.roles.insert(pass.participant(), pass.role());
    }
    for change in changes {
        context.consent = context
            .consent
            .apply(change, world.policy.clinic(), world.visit, GROUP_ID)
            .unwrap();
    }
    context
}

fn join_code(
    people: &People,
    who: &Identity,
    context: ExtensionList,
    ghosts: &[&Identity],
) -> Result<Group, GroupError> {
    let (joiner, key_package) = people.world.joiner(who);
    let welcome = fork(
        &people.world.identity(3, Role::Clinician),
        context,
        ghosts,
        &key_package,
    );
    joiner.join(&welcome)
}

#[test]
fn a_welcome_into_a_well_formed_group_is_followed() {
    // The positive control for the refusals below.
    let people = people();
    let evil = people.world.identity(3, Role::Clinician);
    let everybody = [&evil, &people.patient, &people.recorder];
    let request = people
        .world
        .request(&evil, people.recorder.pass().participant(), 1);
    let changes: Vec<_> = [
        Change::Request(request.clone()),
        Change::Statement(people.world.grant(&evil, &request)),
        Change::Statement(people.world.grant(&people.patient, &request)),
    ]
    .into();
    let context = context_of(&people.world, &everybody, &changes);
    let extensions = context.to_extensions().unwrap();
    let group = join_code(&people, &people.patient, extensions, &[&people.recorder]).unwrap();
    assert_eq!(group.roster().len(), 3);
}

#[test]
fn a_joiner_refuses_a_group_with_an_ungranted_recorder_and_so_does_the_recorder() {
    let people = people();
    let evil = people.world.identity(3, Role::Clinician);
    let everybody = [&evil, &people.patient, &people.recorder];
    let request = people
        .world
        .request(&evil, people.recorder.pass().participant(), 1);
    let ask = Change::Request(request.clone());
    let grants = [&evil, &people.patient]
        .map(|author| Change::Statement(people.world.grant(author, &request)));
    let refusal = people
        .world
        .statement(&people.patient, &request, StatementKind::Refusal, 1);
    for (changes, code) in [
        (vec![], "recorder_without_round"),
        (vec![ask.clone()], "recorder_without_grant"),
        (
            vec![ask.clone(), grants[0].clone()],
            "recorder_without_grant",
        ),
        (
            vec![ask.clone(), grants[1].clone()],
            "recorder_without_grant",
        ),
        (
            vec![ask, grants[0].clone(), Change::Statement(refusal)],
            "recorder_without_grant",
        ),
    ] {
        let context = context_of(&people.world, &everybody, &changes)
            .to_extensions()
            .unwrap();
        let refused = join_code(
            &people,
            &people.patient,
            context.clone(),
            &[&people.recorder],
        );
        assert_eq!(refused.unwrap_err().code(), code);
        let refused = join_code(&people, &people.recorder, context, &[&people.patient]);
        assert_eq!(refused.unwrap_err().code(), code);
    }
}

#[test]
fn a_joiner_refuses_forged_consent_in_the_context() {
    // A statement filed under another participant, one for another request, one without a round: none of them could
    // have come about by documents, so they are written into the JSON by hand.
    let people = people();
    let evil = people.world.identity(3, Role::Clinician);
    let everybody = [&evil, &people.patient, &people.recorder];
    let request = people
        .world
        .request(&evil, people.recorder.pass().participant(), 1);
    let changes = [
        Change::Request(request.clone()),
        Change::Statement(people.world.grant(&evil, &request)),
        Change::Statement(people.world.grant(&people.patient, &request)),
    ];
    let context = context_of(&people.world, &everybody, &changes);
    let good = serde_json::to_value(&context).unwrap();
    let patient = people.patient.pass().participant().to_string();
    let own = evil.pass().participant().to_string();
    let other = people
        .world
        .request(&evil, people.recorder.pass().participant(), 2);
    let for_other = people.world.grant(&people.patient, &other);

    let mut forgeries = Vec::new();
    let mut forged = good.clone();
    forged["consent"]["statements"][&patient] = good["consent"]["statements"][&own].clone();
    forgeries.push(forged);
    let mut forged = good.clone();
    forged["consent"]["statements"][&patient] = for_other.as_str().into();
    forgeries.push(forged);
    let mut forged = good.clone();
    forged["consent"].as_object_mut().unwrap().remove("request");
    forgeries.push(forged);
    let mut forged = good.clone();
    forged["consent"]["request"] = "not.a.jws".into();
    forgeries.push(forged);
    for forged in forgeries {
        // Through the type, which sorts the members as they are written honestly.
        let context: VisitContext = serde_json::from_value(forged).unwrap();
        for recorder_too in [true, false] {
            let ghosts: &[&Identity] = if recorder_too {
                &[&people.recorder]
            } else {
                &[]
            };
            let extensions = context.to_extensions().unwrap();
            assert!(join_code(&people, &people.patient, extensions, ghosts).is_err());
        }
    }
}

#[test]
fn a_joiner_refuses_a_context_that_is_not_exactly_a_visits() {
    let people = people();
    let evil = people.world.identity(3, Role::Clinician);
    let honest = context_of(&people.world, &[&evil, &people.patient], &[]);
    let exact = honest.to_extensions().unwrap();

    let mut without = exact.clone();
    without.remove(CONTEXT_EXTENSION);
    let mut without_capabilities = exact.clone();
    without_capabilities.remove(mls_rs::extension::ExtensionType::REQUIRED_CAPABILITIES);
    let mut padded = exact.clone();
    let mut bytes = exact.get(CONTEXT_EXTENSION).unwrap().extension_data;
    bytes.insert(0, b' ');
    padded.set(Extension::new(CONTEXT_EXTENSION, bytes));
    let mut newer = honest.clone();
    newer.v = 2;
    let mut other_visit = honest.clone();
    other_visit.visit = World::new(2).visit;
    let mut forgotten = honest.clone();
    forgotten.roles.remove(&people.patient.pass().participant());
    for extensions in [
        without,
        without_capabilities,
        padded,
        newer.to_extensions().unwrap(),
        other_visit.to_extensions().unwrap(),
        forgotten.to_extensions().unwrap(),
    ] {
        let refused = join_code(&people, &people.patient, extensions, &[]);
        assert_eq!(refused.unwrap_err().code(), "context");
    }
    let mut changed = honest;
    changed
        .roles
        .insert(people.patient.pass().participant(), Role::Guest);
    let refused = join_code(
        &people,
        &people.patient,
        changed.to_extensions().unwrap(),
        &[],
    );
    assert_eq!(refused.unwrap_err().code(), "role_change");
}

#[test]
fn a_joiner_refuses_ghosts_twins_and_invitations_by_recorder_or_server() {
    let people = people();
    let evil = people.world.identity(3, Role::Clinician);
    let stranger = World::new(2).identity(1, Role::Guest);
    let twin = people.world.identity_with_new_key(1, Role::Patient, 1);
    let context = context_of(&people.world, &[&evil, &people.patient], &[]);
    let refused = join_code(
        &people,
        &people.patient,
        context.to_extensions().unwrap(),
        &[&stranger],
    );
    assert_eq!(refused.unwrap_err().code(), "pass_refused");
    let refused = join_code(
        &people,
        &people.patient,
        context.to_extensions().unwrap(),
        &[&twin],
    );
    assert!(refused.is_err());

    let server = people.world.identity(6, Role::Server);
    let context = context_of(&people.world, &[&server, &people.patient], &[]);
    let (joiner, key_package) = people.world.joiner(&people.patient);
    let welcome = fork(&server, context.to_extensions().unwrap(), &[], &key_package);
    assert_eq!(joiner.join(&welcome).unwrap_err().code(), "committer_role");
}

#[test]
fn a_joiner_with_the_true_clinic_document_refuses_a_round_for_a_swapped_key() {
    let people = people();
    let evil = people.world.identity(3, Role::Clinician);
    let mut claims = people.world.clinic_claims.clone();
    claims.recipients[1] = recipient(claims.recipients[1].role, &[9; 32]);
    let swapped = World::with_clinic(1, claims);
    let request = swapped.request(&evil, people.recorder.pass().participant(), 1);
    let context = context_of(
        &swapped,
        &[&evil, &people.patient],
        &[Change::Request(request)],
    );
    let refused = join_code(
        &people,
        &people.patient,
        context.to_extensions().unwrap(),
        &[],
    );
    assert_eq!(refused.unwrap_err().code(), "request_refused");
}

#[test]
fn a_joiner_goes_on_waiting_after_a_bad_welcome_and_its_key_package_serves_once() {
    let people = people();
    let mut groups = people.pair();
    let (joiner, key_package) = people.world.joiner(&people.guest);
    let (other, _) = people.world.joiner(&people.guest);
    assert!(joiner.join(b"").is_err());
    assert!(joiner.join(&key_package).is_err());
    let changes = Changes {
        add: vec![key_package],
        ..Changes::default()
    };
    let welcome = commit(&mut groups, 0, &changes).unwrap().unwrap();
    assert!(other.join(&welcome).is_err());
    for length in 0..welcome.len() {
        assert!(joiner.join(&welcome[..length]).is_err());
    }
    groups.push(joiner.join(&welcome).unwrap());
    assert_same_epoch(&groups);
}
