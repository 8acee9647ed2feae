//! The samples in docs/samples issue passes that a visit accepts.

use sealed_visit_protocol::clinic::ClinicClaims;
use sealed_visit_protocol::{
    ClinicDocument, Hash32, Jws, ParticipantId, Pass, Role, SigningKey, VisitId,
};
use std::io::Write as _;
use std::process::{Command, Stdio};

const SEED: [u8; 32] = [9; 32];

fn clinic() -> ClinicDocument {
    let root = SigningKey::from_seed(&[8; 32]);
    let document = root.sign(&ClinicClaims {
        v: 1,
        number: 1,
        not_before_ms: 0,
        not_after_ms: (1 << 53) - 1,
        name: "Clinic".into(),
        contact: "desk".into(),
        authorities: vec![SigningKey::from_seed(&SEED).public()],
        vault: SigningKey::from_seed(&[7; 32]).public(),
        recipients: vec![],
        retired: vec![],
    });
    ClinicDocument::verify(&document, &root.public()).unwrap()
}

fn accepts(program: &str, sample: &str) {
    let path = format!("{}/../../docs/samples/{sample}", env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines <= 20, "{sample} has {lines} lines");
    let holder = SigningKey::from_seed(&[1; 32]);
    let (visit, participant) = (
        VisitId::from_bytes([2; 16]),
        ParticipantId::from_bytes([3; 16]),
    );
    let asked = serde_json::json!({
        "seed": Hash32(SEED), "visit": visit, "participant": participant, "role": "patient",
        "jwk": holder.public(), "name": Hash32([4; 32]), "iat": 1_800_000_000, "exp": 1_800_010_000,
    });
    let mut child = Command::new(program)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(asked.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {sample} failed");
    let jws = Jws::from_text(String::from_utf8(output.stdout).unwrap().trim());
    let pass = Pass::verify_for(&jws, &clinic(), visit).unwrap();
    assert_eq!(
        (pass.participant(), pass.role(), *pass.key()),
        (participant, Role::Patient, holder.public())
    );
}

#[test]
fn the_node_sample_issues_a_valid_pass() {
    accepts("node", "issue-pass.mjs");
}

/// Needs Python's `cryptography`: the test runner names an interpreter that has it.
#[test]
fn the_python_sample_issues_a_valid_pass() {
    match std::env::var("SEALED_VISIT_PYTHON") {
        Ok(python) => accepts(&python, "issue_pass.py"),
        Err(_) => {
            eprintln!("skipped: SEALED_VISIT_PYTHON names no interpreter with `cryptography`")
        }
    }
}
