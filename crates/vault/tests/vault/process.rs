//! The program itself: start, kill -9 at any moment, full disk, keys.

use crate::common::http::{PATCH_TYPE, Reply};
use crate::common::process::{PROGRAM, Process, Setup, SmallDisk, head};
use crate::common::tracks::TrackFile;
use crate::common::{Part, World};
use sealed_visit_protocol::Jws;
use sealed_visit_protocol::recording::{ReceiptClaims, VaultAnswer};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A recorder that speaks to a process.
pub struct Client {
    pub part: Part,
    authorization: String,
}

impl Client {
    pub fn begin(process: &Process, part: Part) -> Self {
        let open = part.open();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let proof = part.proof(&World::new().vault, now.as_millis() as u64);
        let headers = [("Vault-Proof", proof.as_str())];
        let reply = process.send("POST", "/v1/recordings", &headers, open.as_str().as_bytes());
        let answer: VaultAnswer = serde_json::from_slice(&reply.expect(201).body).unwrap();
        let client = Self {
            authorization: format!("Bearer {}", answer.capability),
            part,
        };
        for index in 0..client.part.headers.len() {
            let envelope = client.part.envelope(index, &answer.tracks[index].share.0);
            let path = client.part.envelope_path(index);
            client
                .send(process, "PUT", &path, &[], envelope.as_str().as_bytes())
                .expect(204);
            let metadata = client.part.upload_metadata(index);
            let headers = [
                ("Upload-Defer-Length", "1"),
                ("Upload-Metadata", metadata.as_str()),
            ];
            client
                .send(process, "POST", &client.part.uploads_path(), &headers, &[])
                .expect(201);
        }
        client
    }

    pub fn send(
        &self,
        process: &Process,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        process.send(method, path, &self.headers(headers), body)
    }

    pub fn headers<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut headers = vec![
            ("Authorization", self.authorization.as_str()),
            ("Tus-Resumable", "1.0.0"),
        ];
        headers.extend(more);
        headers
    }

    pub fn patch(&self, process: &Process, offset: u64, body: &[u8]) -> Reply {
        let offset = offset.to_string();
        let headers = [
            ("Content-Type", PATCH_TYPE),
            ("Upload-Offset", offset.as_str()),
        ];
        self.send(process, "PATCH", &self.part.upload_path(0), &headers, body)
    }

    pub fn offset(&self, process: &Process) -> u64 {
        let path = self.part.upload_path(0);
        self.send(process, "HEAD", &path, &[], &[])
            .expect(200)
            .offset()
    }

    pub fn finish(&self, process: &Process, track: &TrackFile) -> Reply {
        let manifest = self.part.manifest(&[track]);
        let path = format!("{}/finish", self.part.path());
        self.send(process, "POST", &path, &[], manifest.as_str().as_bytes())
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_vault_is_killed_at_any_moment() {
    let setup = Setup::new();
    let mut process = setup.start();
    let client = Client::begin(&process, setup.world.part(0, 1));
    let track = TrackFile::with_segments(&client.part, 0, &[40_000; 60]);
    let file = setup
        .data
        .join("staging")
        .join(client.part.track(0).to_string());
    let mut acknowledged = 0;
    // Each round acknowledges a little, is killed with a longer PATCH under way, and starts again.
    for round in 0..12u64 {
        let little = (acknowledged + 10_000 + round * 777).min(track.len());
        let reply = client.patch(&process, acknowledged, slice(&track, acknowledged, little));
        acknowledged = reply.expect(204).offset();
        assert_eq!(acknowledged, little);

        let more = (acknowledged + 400_000).min(track.len());
        let (body, offset) = (slice(&track, acknowledged, more), acknowledged.to_string());
        let headers = [
            ("Content-Type", PATCH_TYPE),
            ("Upload-Offset", offset.as_str()),
        ];
        let request = head(
            "PATCH",
            &client.part.upload_path(0),
            &client.headers(&headers),
            body.len(),
        );
        let mut stream = process.connect();
        stream.write_all(&request).unwrap();
        let sent = body.len() * (round as usize % 4 + 1) / 4;
        stream.write_all(&body[..sent]).unwrap();
        std::thread::sleep(Duration::from_millis(round * 3));
        process.kill();

        process = setup.start();
        let after = client.offset(&process);
        assert!(
            after >= acknowledged,
            "round {round}: {after} < {acknowledged}"
        );
        let on_disk = std::fs::read(&file).unwrap();
        assert_eq!(on_disk.len() as u64, after, "round {round}");
        assert_eq!(on_disk, track.bytes[..after as usize], "round {round}");
        acknowledged = after;
    }
    let rest = slice(&track, acknowledged, track.len());
    client.patch(&process, acknowledged, rest).expect(204);
    let receipt = client.finish(&process, &track).expect(200).json();
    process.kill();

    // The receipt survives too, and what it covers.
    let process = setup.start();
    assert_eq!(client.finish(&process, &track).expect(200).json(), receipt);
    let claims = Jws::<ReceiptClaims>::from_text(receipt["receipt"].as_str().unwrap())
        .verify(&setup.world.vault.public())
        .unwrap();
    assert_eq!(claims.tracks[0].length_bytes, track.len());
    let stored = setup
        .data
        .join("tracks")
        .join(client.part.claims.recording.to_string())
        .join("0")
        .join(format!("{}.svtrack", client.part.track(0)));
    assert_eq!(std::fs::read(stored).unwrap(), track.bytes);
}

#[test]
fn a_kill_during_the_end_of_a_part_loses_nothing() {
    for delay_ms in [0, 1, 2, 4, 8, 16] {
        let setup = Setup::new();
        let process = setup.start();
        let client = Client::begin(&process, setup.world.part(0, 1));
        let track = TrackFile::with_segments(&client.part, 0, &[400_000; 10]);
        client.patch(&process, 0, &track.bytes).expect(204);
        let manifest = client.part.manifest(&[&track]);
        let path = format!("{}/finish", client.part.path());
        let text = manifest.as_str().as_bytes();
        let mut stream = process.connect();
        stream
            .write_all(&head("POST", &path, &client.headers(&[]), text.len()))
            .unwrap();
        stream.write_all(text).unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        process.kill();
        let process = setup.start();
        assert_eq!(client.offset(&process), track.len(), "after {delay_ms} ms");
        client.finish(&process, &track).expect(200);
        assert_eq!(client.offset(&process), track.len());
    }
}

#[test]
fn a_stalled_connection_gives_way_to_a_new_one() {
    let setup = Setup::new();
    let process = setup.start();
    let client = Client::begin(&process, setup.world.part(0, 1));
    let track = TrackFile::with_segments(&client.part, 0, &[40_000; 5]);
    let headers = [("Content-Type", PATCH_TYPE), ("Upload-Offset", "0")];
    let request = head(
        "PATCH",
        &client.part.upload_path(0),
        &client.headers(&headers),
        track.bytes.len(),
    );
    let mut stalled = process.connect();
    stalled.write_all(&request).unwrap();
    stalled.write_all(&track.bytes[..50_000]).unwrap();
    // The vault has what was sent, and waits for more.
    let file = setup
        .data
        .join("staging")
        .join(client.part.track(0).to_string());
    while std::fs::metadata(&file).map_or(0, |file| file.len()) < 50_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let begin = Instant::now();
    loop {
        let offset = client.offset(&process);
        let reply = client.patch(&process, offset, slice(&track, offset, track.len()));
        if reply.status == 204 {
            break;
        }
        assert!([409, 423].contains(&reply.status.as_u16()), "{reply:?}");
        assert!(begin.elapsed() < Duration::from_secs(10), "never given way");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(
        begin.elapsed() >= Duration::from_millis(1500),
        "taken from a live one"
    );
    client.finish(&process, &track).expect(200);
}

#[test]
fn a_client_that_is_still_sending_hears_why_it_is_refused() {
    let setup = Setup::new();
    let process = setup.start();
    let client = Client::begin(&process, setup.world.part(0, 1));
    let body = vec![0; 8 << 20];
    client
        .patch(&process, 77, &body)
        .expect_refusal(409, "offset_mismatch");
    client
        .patch(&process, 0, &body)
        .expect_refusal(422, "not_a_track");
    let path = client.part.upload_path(0);
    process
        .send("PATCH", &path, &[("Tus-Resumable", "1.0.0")], &body)
        .expect_refusal(401, "unauthorized");
}

#[test]
fn told_to_stop_it_ends_also_with_a_connection_that_hangs() {
    let setup = Setup::new();
    let mut process = setup.start();
    let client = Client::begin(&process, setup.world.part(0, 1));
    let track = TrackFile::with_segments(&client.part, 0, &[40_000]);
    let headers = [("Content-Type", PATCH_TYPE), ("Upload-Offset", "0")];
    let request = head(
        "PATCH",
        &client.part.upload_path(0),
        &client.headers(&headers),
        track.bytes.len(),
    );
    let mut hanging = process.connect();
    hanging.write_all(&request).unwrap();
    hanging.write_all(&track.bytes[..1000]).unwrap();
    let begin = Instant::now();
    assert!(process.terminate().success());
    assert!(begin.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_full_disk_refuses_bytes_and_loses_none() {
    let mut setup = Setup::new();
    let Some(disk) = SmallDisk::mount(&setup.file("small"), "3m") else {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    };
    setup.data = disk.path.join("data");
    let process = setup.start();
    let client = Client::begin(&process, setup.world.part(0, 1));
    let track = TrackFile::with_segments(&client.part, 0, &[40_000; 100]);
    let mut acknowledged = 0;
    let mut full = false;
    while acknowledged < track.len() {
        let end = (acknowledged + 100_000).min(track.len());
        let reply = client.patch(&process, acknowledged, slice(&track, acknowledged, end));
        if reply.status == 507 {
            reply.expect_refusal(507, "storage_full");
            full = true;
            break;
        }
        acknowledged = reply.expect(204).offset();
    }
    assert!(full, "4 MB fit into 3 MB");
    process.kill();

    // Somebody makes room, and the recording goes on as if nothing had been.
    remount(&disk, "32m");
    let process = setup.start();
    let offset = client.offset(&process);
    assert!(offset >= acknowledged, "{offset} < {acknowledged}");
    client
        .patch(&process, offset, slice(&track, offset, track.len()))
        .expect(204);
    client.finish(&process, &track).expect(200);
    drop(process);
}

#[test]
fn a_second_vault_on_one_data_folder_is_refused() {
    let setup = Setup::new();
    let first = setup.start();
    let second = setup.command().stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(
        said.contains("another vault is using the data folder"),
        "{said}"
    );
    assert!(second.stdout.is_empty(), "it never listened");
    first.send("GET", "/healthz", &[], &[]).expect(200);
    // What holds the folder ends with its process, however that ends.
    first.kill();
    setup.start().send("GET", "/healthz", &[], &[]).expect(200);
}

/// What is in a folder, without what is in its own folders.
fn names_in(folder: &std::path::Path) -> std::collections::BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_stop_leaves_all_rows_in_the_database_file() {
    let setup = Setup::new();
    let mut process = setup.start();
    Client::begin(&process, setup.world.part(0, 1));
    let log = setup.data.join("vault.sqlite-wal");
    assert!(log.metadata().unwrap().len() > 0);
    assert!(process.terminate().success());
    let left = log.metadata().map_or(0, |metadata| metadata.len());
    assert_eq!(left, 0, "the write-ahead log holds rows");
    // The database alone is enough.
    let copy = setup.file("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(setup.data.join("vault.sqlite"), copy.join("vault.sqlite")).unwrap();
    let followed = Command::new(PROGRAM)
        .args(["verify-audit".as_ref(), "--data".as_ref(), copy.as_os_str()])
        .output()
        .unwrap();
    let text = String::from_utf8(followed.stdout).unwrap();
    assert!(text.starts_with("1 entries"), "{text}");
}

#[test]
fn the_readme_names_every_file_that_a_backup_could_miss() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let files = readme.split("## Files").nth(1).unwrap();
    let setup = Setup::new();
    let process = setup.start();
    let client = Client::begin(&process, setup.world.part(0, 1));
    let track = TrackFile::with_segments(&client.part, 0, &[100]);
    client.patch(&process, 0, &track.bytes).expect(204);
    client.finish(&process, &track).expect(200);
    let other = Client::begin(&process, setup.world.part(1, 1));
    let track = TrackFile::with_segments(&other.part, 0, &[100]);
    other.patch(&process, 0, &track.bytes).expect(204);
    let here = names_in(&setup.data);
    for name in &here {
        assert!(
            files.contains(&format!("DATA/{name}")),
            "{name} is not in the README"
        );
    }
    // And it names nothing that is not there.
    for line in files.lines().filter_map(|line| line.strip_prefix("DATA/")) {
        let name = line.split(['/', ' ']).next().unwrap();
        assert!(here.contains(name), "{name} is in the README alone");
    }
    drop(process);
}

#[test]
fn an_idle_part_is_closed_by_the_program_itself() {
    let setup = Setup::new();
    let process = Setup::start_command(setup.command().args(["--unfinished-after", "1"]));
    let client = Client::begin(&process, setup.world.part(0, 1));
    let track = TrackFile::with_segments(&client.part, 0, &[100]);
    client.patch(&process, 0, &track.bytes).expect(204);
    let path = format!("{}/receipt", client.part.path());
    let begin = Instant::now();
    while client.send(&process, "GET", &path, &[], &[]).status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(10), "never closed");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn makes_keys_and_follows_the_audit_log() {
    let setup = Setup::new();
    let key = setup.file("new.key");
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (made, public) = run(&["keygen".as_ref(), "--key".as_ref(), key.as_os_str()]);
    assert!(made);
    sealed_visit_protocol::PublicKey::parse(public.trim()).unwrap();
    assert_eq!(
        run(&["public-key".as_ref(), "--key".as_ref(), key.as_os_str()]),
        (true, public)
    );
    assert!(
        !run(&["keygen".as_ref(), "--key".as_ref(), key.as_os_str()]).0,
        "overwrote a key"
    );

    let process = setup.start();
    Client::begin(&process, setup.world.part(0, 1));
    process.kill();
    let (holds, text) = run(&[
        "verify-audit".as_ref(),
        "--data".as_ref(),
        setup.data.as_os_str(),
    ]);
    assert!(holds && text.starts_with("1 entries"), "{text}");
}

#[test]
fn does_not_start_with_a_key_or_document_that_the_clinic_did_not_name() {
    let starts = |setup: &Setup| {
        let mut child = setup.command().stdout(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.success();
            }
            if begin.elapsed() > Duration::from_secs(5) {
                child.kill().unwrap();
                child.wait().unwrap();
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let setup = Setup::new();
    let other = sealed_visit_protocol::bytes::to_base64url(&[77; 32]);
    std::fs::write(setup.file("vault.key"), other).unwrap();
    assert!(!starts(&setup), "another vault's key");

    let setup = Setup::new();
    let mut forged = crate::common::World::at(setup.world.start_ms);
    forged.root = sealed_visit_protocol::SigningKey::from_seed(&[77; 32]);
    std::fs::write(
        setup.file("clinic.jws"),
        forged.clinic_document(|_| {}).as_str(),
    )
    .unwrap();
    assert!(!starts(&setup), "another root's document");

    let setup = Setup::new();
    std::fs::write(setup.file("tokens"), "weak\n").unwrap();
    assert!(!starts(&setup), "weak tokens");
}

pub fn slice(track: &TrackFile, from: u64, to: u64) -> &[u8] {
    &track.bytes[from as usize..to as usize]
}

fn remount(disk: &SmallDisk, size: &str) {
    let status = Command::new("mount")
        .args(["-o", &format!("remount,size={size}")])
        .arg(&disk.path)
        .status()
        .unwrap();
    assert!(status.success());
}
