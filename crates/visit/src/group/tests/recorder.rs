//! Door 1: a committer with every power adds a recorder that somebody has not granted.
//!
//! The attacker is a second clinician with a valid pass and no rules. Host and patient are honest.

use super::evil::Evil;
use super::*;
use sealed_visit_protocol::Jws;
use sealed_visit_protocol::clinic::RecipientRef;
use sealed_visit_protocol::consent::{Purpose, RequestClaims, StatementClaims};
use sealed_visit_protocol::pass::PassClaims;

/// Host, patient, and an attacker in leaf 2; the recorder waits.
struct Scene {
    people: People,
    groups: Vec<Group>,
    evil: Evil,
    recorder_package: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let people = people();
        let mut groups = people.pair();
        let evil = Evil::admitted(&mut groups, &people.world.identity(3, Role::Clinician));
        let (_, recorder_package) = people.world.joiner(&people.recorder);
        Self {
            people,
            groups,
            evil,
            recorder_package,
        }
    }

    fn request(&self, round: u64) -> Jws<RequestClaims> {
        self.people.world.request(
            &self.people.host,
            self.people.recorder.pass().participant(),
            round,
        )
    }

    fn everybody(&self) -> [Identity; 3] {
        [
            self.people.host.clone(),
            self.people.patient.clone(),
            self.evil.identity.clone(),
        ]
    }

    /// An honest commit with these documents.
    fn honest(&mut self, consent: Vec<Change>) {
        let staged = self.groups[0]
            .stage(
                &Changes {
                    consent,
                    ..Changes::default()
                },
                NOW_MS,
            )
            .unwrap();
        self.groups[1].process(&staged.commit).unwrap();
        self.evil.follow(&staged.commit);
        self.groups[0].merge(staged).unwrap();
    }

    /// The attacker adds the recorder, carries these documents, and states the context that follows from them.
    fn attack(&mut self, changes: &[Change], code: &str) {
        let recorder = self.people.recorder.clone();
        let (commit, _) = self.evil.commit_derived(
            &self.people.world.policy,
            &[(&recorder, &self.recorder_package)],
            &[],
            changes,
        );
        self.refused(&commit, code);
    }

    /// Everybody refuses, names the attacker, and follows the next honest commit.
    fn refused(&mut self, commit: &[u8], code: &str) {
        assert_refused(&mut self.groups, commit, code, Some(&self.evil.identity));
        self.honest(Vec::new());
        assert_same_epoch(&self.groups);
    }

    fn grants_except(&self, request: &Jws<RequestClaims>, missing: usize) -> Vec<Change> {
        let mut changes = vec![Change::Request(request.clone())];
        for (index, author) in self.everybody().iter().enumerate() {
            if index != missing {
                changes.push(Change::Statement(self.people.world.grant(author, request)));
            }
        }
        changes
    }

    /// Everybody's grants, with the patient's replaced by this document.
    fn with_patients(
        &self,
        request: &Jws<RequestClaims>,
        statement: Jws<StatementClaims>,
    ) -> Vec<Change> {
        let mut changes = self.grants_except(request, 1);
        changes.push(Change::Statement(statement));
        changes
    }

    fn patients_claims(&self, request: &Jws<RequestClaims>) -> StatementClaims {
        self.people
            .world
            .statement_claims(&self.people.patient, request, StatementKind::Grant, 1)
    }

    fn signed_by_patient(&self, claims: &StatementClaims) -> Jws<StatementClaims> {
        self.people.patient.key().sign(claims)
    }
}

#[test]
fn the_same_attack_with_every_grant_is_followed() {
    // The positive control: the attacks below fail for the one thing that they leave out.
    let mut scene = Scene::new();
    let recorder = scene.people.recorder.clone();
    let changes = scene.grants_except(&scene.request(1), usize::MAX);
    let (commit, welcome) = scene.evil.commit_derived(
        &scene.people.world.policy,
        &[(&recorder, &scene.recorder_package)],
        &[],
        &changes,
    );
    assert!(welcome.is_some());
    for group in &mut scene.groups {
        group.process(&commit).unwrap();
    }
    assert_same_epoch(&scene.groups);
}

#[test]
fn a_recorder_without_a_round_is_refused() {
    Scene::new().attack(&[], "recorder_without_round");
}

#[test]
fn a_recorder_without_one_persons_grant_is_refused() {
    for missing in 0..3 {
        let mut scene = Scene::new();
        let changes = scene.grants_except(&scene.request(1), missing);
        scene.attack(&changes, "recorder_without_grant");
    }
}

#[test]
fn a_recorder_after_a_refusal_is_refused() {
    let mut scene = Scene::new();
    let request = scene.request(1);
    let refusal =
        scene
            .people
            .world
            .statement(&scene.people.patient, &request, StatementKind::Refusal, 1);
    scene.attack(
        &scene.with_patients(&request, refusal),
        "recorder_without_grant",
    );
}

#[test]
fn an_older_grant_does_not_replace_a_newer_refusal() {
    let mut scene = Scene::new();
    let request = scene.request(1);
    let grant =
        scene
            .people
            .world
            .statement(&scene.people.patient, &request, StatementKind::Grant, 1);
    let refusal =
        scene
            .people
            .world
            .statement(&scene.people.patient, &request, StatementKind::Refusal, 2);
    scene.honest(scene.with_patients(&request, refusal));
    scene.attack(&[Change::Statement(grant)], "old_statement");
    let later =
        scene
            .people
            .world
            .statement(&scene.people.patient, &request, StatementKind::Grant, 3);
    scene.attack(&[Change::Statement(later)], "grant_after_refusal");
}

#[test]
fn a_grant_does_not_outlive_its_withdrawal() {
    let mut scene = Scene::new();
    let request = scene.request(1);
    let grants = scene.grants_except(&request, usize::MAX);
    let withdrawal = scene.people.world.statement(
        &scene.people.patient,
        &request,
        StatementKind::Withdrawal,
        2,
    );
    scene.honest([grants.clone(), vec![Change::Statement(withdrawal)]].concat());
    scene.attack(&[], "recorder_without_round");
    scene.attack(&grants, "dead_round");
    scene.attack(&grants[1..], "consent_refused");
}

#[test]
fn grants_of_another_round_are_refused() {
    let mut scene = Scene::new();
    let first = scene.request(1);
    scene.honest(scene.grants_except(&first, usize::MAX));
    let second = scene.request(2);
    // Replaces the round, and replays the grants of the first.
    let old = scene.people.world.grant(&scene.people.patient, &first);
    let changes = [Change::Request(second), Change::Statement(old)];
    scene.attack(&changes, "statement_refused");
}

#[test]
fn sequence_numbers_run_over_the_whole_visit() {
    let mut scene = Scene::new();
    let first = scene.request(1);
    let said = |scene: &Scene, request, kind, seq| {
        let patient = &scene.people.patient;
        Change::Statement(scene.people.world.statement(patient, request, kind, seq))
    };
    let early = said(&scene, &first, StatementKind::Refusal, 7);
    scene.honest(vec![Change::Request(first.clone()), early]);
    let second = scene.request(2);
    let grant = said(&scene, &second, StatementKind::Grant, 7);
    scene.attack(&[Change::Request(second.clone()), grant], "old_statement");
    // A withdrawal counts whatever its number.
    let withdrawal = said(&scene, &second, StatementKind::Withdrawal, 1);
    scene.honest(vec![Change::Request(second.clone()), withdrawal]);
    assert!(!scene.groups[0].consent().has_open_round());
}

#[test]
fn of_a_grant_and_a_refusal_with_one_number_the_refusal_counts_in_either_order() {
    let said = |scene: &Scene, request, kind, seq| {
        let patient = &scene.people.patient;
        Change::Statement(scene.people.world.statement(patient, request, kind, seq))
    };
    let held = |scene: &Scene| {
        let patient = scene.people.patient.pass().participant();
        let consent = scene.groups[0].consent();
        let jws = consent.statements().get(&patient).unwrap();
        jws.unverified_claims().unwrap().kind
    };
    let mut scene = Scene::new();
    let request = scene.request(1);
    let grant = said(&scene, &request, StatementKind::Grant, 5);
    let refusal = said(&scene, &request, StatementKind::Refusal, 5);
    scene.honest(vec![Change::Request(request.clone()), grant.clone()]);
    scene.honest(vec![refusal.clone()]);
    assert_eq!(held(&scene), StatementKind::Refusal);
    scene.attack(std::slice::from_ref(&grant), "old_statement");

    let mut scene = Scene::new();
    let request = scene.request(1);
    scene.honest(vec![Change::Request(request.clone()), refusal.clone()]);
    scene.attack(std::slice::from_ref(&grant), "old_statement");
    // A refusal with a lower number is an old one.
    let mut scene = Scene::new();
    let older = said(&scene, &request, StatementKind::Refusal, 4);
    scene.honest(vec![Change::Request(request), grant]);
    scene.attack(&[older], "old_statement");
}

#[test]
fn grants_for_other_recipients_or_another_purpose_are_refused() {
    let asked_otherwise: [fn(&mut RequestClaims); 3] = [
        |claims| claims.recipients.truncate(1),
        |claims| claims.purpose = Purpose::Research,
        |claims| claims.terms.retention_days = 3650,
    ];
    for ask in asked_otherwise {
        let mut scene = Scene::new();
        let request = scene.request(1);
        let mut claims = request.unverified_claims().unwrap();
        ask(&mut claims);
        let shown = scene.people.host.key().sign(&claims);
        let granted = scene.people.world.grant(&scene.people.patient, &shown);
        scene.attack(&scene.with_patients(&request, granted), "statement_refused");
    }
}

#[test]
fn a_grant_for_another_recorder_is_refused() {
    let mut scene = Scene::new();
    let other = scene.people.world.participant(8);
    let request = scene.people.world.request(&scene.people.host, other, 1);
    scene.attack(&scene.grants_except(&request, usize::MAX), "other_recorder");
}

#[test]
fn a_grant_of_another_visit_or_group_is_refused() {
    let mut scene = Scene::new();
    let request = scene.request(1);
    let mut claims = scene.patients_claims(&request);
    claims.group_id = b"another group".as_slice().into();
    let other_group = scene.signed_by_patient(&claims);
    scene.attack(
        &scene.with_patients(&request, other_group),
        "statement_refused",
    );

    let mut claims = scene.patients_claims(&request);
    claims.visit = World::new(2).visit;
    let other_visit = scene.signed_by_patient(&claims);
    scene.attack(
        &scene.with_patients(&request, other_visit),
        "statement_refused",
    );

    // The same person's pass of another visit of the same clinic.
    let mut claims = scene.patients_claims(&request);
    let pass = PassClaims {
        visit: World::new(2).visit,
        ..scene.people.world.pass_claims(1, Role::Patient)
    };
    claims.pass = scene.people.world.authority.sign(&pass);
    let other_pass = scene.signed_by_patient(&claims);
    scene.attack(
        &scene.with_patients(&request, other_pass),
        "statement_refused",
    );
}

#[test]
fn a_grant_signed_by_another_key_is_refused() {
    let mut scene = Scene::new();
    let request = scene.request(1);
    let forged = scene
        .evil
        .identity
        .key()
        .sign(&scene.patients_claims(&request));
    scene.attack(&scene.with_patients(&request, forged), "statement_refused");

    // A pass for the patient's id and the attacker's key, by a stranger's authority.
    let mut claims = scene.patients_claims(&request);
    let mut pass = scene.people.world.pass_claims(1, Role::Patient);
    pass.cnf.jwk = scene.evil.identity.key().public();
    claims.pass = super::super::testing::stranger_key(1, 0).sign(&pass);
    let forged = scene.evil.identity.key().sign(&claims);
    scene.attack(&scene.with_patients(&request, forged), "statement_refused");
}

#[test]
fn an_incomplete_grant_or_one_for_other_texts_is_refused() {
    let half: [fn(&mut StatementClaims); 4] = [
        |claims| claims.answers.clear(),
        |claims| claims.answers[0].recording = false,
        |claims| claims.answers[0].information = false,
        |claims| claims.texts.truncate(1),
    ];
    for make in half {
        let mut scene = Scene::new();
        let request = scene.request(1);
        let mut claims = scene.patients_claims(&request);
        make(&mut claims);
        let statement = scene.signed_by_patient(&claims);
        scene.attack(
            &scene.with_patients(&request, statement),
            "statement_refused",
        );
    }
}

#[test]
fn a_request_that_is_not_the_hosts_or_names_an_unlisted_key_is_refused() {
    let mut scene = Scene::new();
    let recorder = scene.people.recorder.pass().participant();
    let by_patient = scene
        .people
        .world
        .request(&scene.people.patient, recorder, 1);
    scene.attack(
        &scene.grants_except(&by_patient, usize::MAX),
        "request_refused",
    );

    // A clinician with a valid pass who is not in the visit's group.
    let absent = scene.people.world.identity(7, Role::Clinician);
    let by_absent = scene.people.world.request(&absent, recorder, 1);
    scene.attack(
        &scene.grants_except(&by_absent, usize::MAX),
        "request_by_stranger",
    );

    let mut claims = scene.request(1).unverified_claims().unwrap();
    claims.recipients = vec![RecipientRef {
        fingerprint: super::super::testing::recipient(claims.recipients[0].role, &[7; 32])
            .fingerprint,
        role: claims.recipients[0].role,
    }];
    let swapped = scene.people.host.key().sign(&claims);
    scene.attack(
        &scene.grants_except(&swapped, usize::MAX),
        "request_refused",
    );
}

#[test]
fn two_recorders_are_refused() {
    let mut scene = Scene::new();
    let changes = scene.grants_except(&scene.request(1), usize::MAX);
    let second = scene.people.world.identity(8, Role::Recorder);
    let (_, second_package) = scene.people.world.joiner(&second);
    let recorder = scene.people.recorder.clone();
    let (commit, _) = scene.evil.commit_derived(
        &scene.people.world.policy,
        &[
            (&recorder, &scene.recorder_package),
            (&second, &second_package),
        ],
        &[],
        &changes,
    );
    scene.refused(&commit, "several_recorders");
}

#[test]
fn somebody_who_has_not_granted_is_not_brought_in_beside_the_recorder() {
    let mut scene = Scene::new();
    let changes = scene.grants_except(&scene.request(1), usize::MAX);
    let (guest, recorder) = (scene.people.guest.clone(), scene.people.recorder.clone());
    let (_, guest_package) = scene.people.world.joiner(&guest);
    let (commit, _) = scene.evil.commit_derived(
        &scene.people.world.policy,
        &[
            (&recorder, &scene.recorder_package),
            (&guest, &guest_package),
        ],
        &[],
        &changes,
    );
    scene.refused(&commit, "recorder_without_grant");
}

#[test]
fn a_withdrawal_or_a_new_round_cannot_be_committed_around_a_recorder_that_stays() {
    let mut scene = Scene::new();
    let request = scene.request(1);
    let recorder = scene.people.recorder.clone();
    let changes = scene.grants_except(&request, usize::MAX);
    let (commit, _) = scene.evil.commit_derived(
        &scene.people.world.policy,
        &[(&recorder, &scene.recorder_package)],
        &[],
        &changes,
    );
    for group in &mut scene.groups {
        group.process(&commit).unwrap();
    }
    // The attacker did not keep the state of that commit: an honest member brings it back by a rejoin.
    let evil = scene.evil.identity.clone();
    scene.evil = Evil::admitted(&mut scene.groups, &evil);

    let withdrawal = scene.people.world.statement(
        &scene.people.patient,
        &request,
        StatementKind::Withdrawal,
        2,
    );
    let refusal =
        scene
            .people
            .world
            .statement(&scene.people.patient, &request, StatementKind::Refusal, 2);
    for (change, code) in [
        (Change::Statement(withdrawal), "recorder_without_round"),
        (Change::Statement(refusal), "recorder_without_grant"),
        (Change::Request(scene.request(2)), "recorder_without_grant"),
    ] {
        let (commit, _) =
            scene
                .evil
                .commit_derived(&scene.people.world.policy, &[], &[], &[change]);
        scene.refused(&commit, code);
    }
}
