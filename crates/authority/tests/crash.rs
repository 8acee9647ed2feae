//! The program itself: what it has answered survives being killed, and it refuses keys that everybody can read.
#![cfg(unix)]

use sealed_visit_protocol::SigningKey;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sealed-visit-authority");
const TOKEN: &str = "a token of the scheduler";

fn prepare(folder: &Path) {
    let made = Command::new(PROGRAM)
        .arg("keygen")
        .arg(folder.join("key"))
        .output()
        .unwrap();
    assert!(made.status.success());
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    std::fs::set_permissions(folder.join("token"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["serve", "--key"])
        .arg(folder.join("key"))
        .arg("--scheduler-token-file")
        .arg(folder.join("token"))
        .arg("--data")
        .arg(folder.join("visits.sqlite"));
    command
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = command(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().strip_prefix("listening http://").unwrap();
        Self {
            address: address.to_owned(),
            child,
        }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text[9..12].parse().unwrap();
        let (_, answer) = text.split_once("\r\n\r\n").unwrap();
        (status, serde_json::from_str(answer).unwrap_or(Value::Null))
    }

    /// SIGKILL: nothing of it runs any more, no destructor either.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let starts_ms = now.as_millis() as u64;
    let jwk = SigningKey::from_seed(&[1; 32]).public();
    let name = "A".repeat(43);
    let mut known = Vec::new();
    for round in 0..3 {
        let server = Server::start(folder.path());
        let asked = json!({
            "appointment": "a", "starts_ms": starts_ms, "ends_ms": starts_ms + 3_600_000,
            "participants": [{"role": "clinician"}, {"role": "patient"}],
        });
        let (status, visit) = server.post("/v1/visits", &asked);
        assert_eq!(status, 201);
        let id = visit["visit"].as_str().unwrap().to_owned();
        let secret = visit["links"][1]["secret"].as_str().unwrap().to_owned();
        // Of another browser of each round.
        let credential = format!("{round}{}", "A".repeat(42));
        let redeem = json!({
            "secret": secret, "credential": credential, "jwk": jwk, "name_commitment": name,
        });
        let (status, admitted) = server.post(&format!("/v1/visits/{id}/redeem"), &redeem);
        assert_eq!(status, 200, "{admitted}");
        server.kill();
        known.push((id, redeem, credential));

        let server = Server::start(folder.path());
        for (id, redeem, credential) in &known {
            let (status, _) = server.post(&format!("/v1/visits/{id}/redeem"), redeem);
            assert_eq!(status, 200, "round {round}: the same browser comes again");
            let mut other = redeem.clone();
            other["credential"] = json!("B".repeat(42) + "A");
            let (status, _) = server.post(&format!("/v1/visits/{id}/redeem"), &other);
            assert_eq!(status, 410, "round {round}: the link stays used");
            let renew = json!({"credential": credential, "jwk": jwk, "name_commitment": name});
            let (status, _) = server.post(&format!("/v1/visits/{id}/pass"), &renew);
            assert_eq!(status, 200, "round {round}: the credential stays good");
        }
        server.kill();
    }
}

#[test]
fn a_key_or_token_that_everybody_can_read_is_refused() {
    for name in ["key", "token"] {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.path().join(name), open).unwrap();
        let output = command(folder.path()).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("chmod 600"), "{said}");
    }
}
