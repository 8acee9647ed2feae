//! Finished tracks in a bucket of a real S3 server.
//!
//! Needs the feature `s3` and versitygw (`go install github.com/versity/versitygw/cmd/versitygw@v1.8.0`):
//!
//!     VERSITYGW=path cargo test -p sealed-visit-vault --features s3 --test vault s3 -- --ignored

use super::process::{Client, slice};
use crate::common::http::READER_TOKEN;
use crate::common::process::{Process, Setup};
use crate::common::tracks::TrackFile;
use http::StatusCode;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KEY: &str = "vault-of-the-tests";
const SECRET: &str = "a secret of the tests";
const BUCKET: &str = "recordings";

/// An S3 API over a folder; killed when dropped.
struct S3 {
    child: Child,
    endpoint: String,
}

impl S3 {
    fn start(folder: &Path) -> Self {
        let program = std::env::var_os("VERSITYGW").expect("VERSITYGW names the program");
        std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let child = Command::new(program)
            .env("ROOT_ACCESS_KEY", KEY)
            .env("ROOT_SECRET_KEY", SECRET)
            .args(["--port", &address, "posix"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "versitygw does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Self {
            child,
            endpoint: format!("http://{address}"),
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(setup: &Setup, s3: &S3) -> Process {
    let mut command = setup.command();
    command
        .args(["--store", &format!("s3://{BUCKET}/tracks")])
        .env("AWS_ENDPOINT", &s3.endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    Setup::start_command(&mut command)
}

#[test]
#[ignore = "needs versitygw, see above"]
fn a_finished_track_rests_in_the_bucket_and_is_read_from_there() {
    let setup = Setup::new();
    let bucket = tempfile::tempdir().unwrap();
    let s3 = S3::start(bucket.path());
    let process = start(&setup, &s3);
    let client = Client::begin(&process, setup.world.part(0, 1));
    // More than two of S3's parts.
    let track = TrackFile::with_segments(&client.part, 0, &[900_000; 22]);
    let mut offset = 0;
    while offset < track.len() {
        let end = (offset + 4_000_000).min(track.len());
        let reply = client.patch(&process, offset, slice(&track, offset, end));
        offset = reply.expect(204).offset();
    }
    client.finish(&process, &track).expect(200);
    let objects: Vec<Vec<u8>> = files_under(&bucket.path().join(BUCKET))
        .iter()
        .filter(|file| file.extension().is_some_and(|it| it == "svtrack"))
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert_eq!(objects.len(), 1);
    assert!(objects[0] == track.bytes, "the object is the track");
    let staged = setup
        .data
        .join("staging")
        .join(client.part.track(0).to_string());
    assert!(!staged.exists(), "nothing is left behind");

    // After a restart, and for a reader, in ranges.
    process.kill();
    let process = start(&setup, &s3);
    let path = format!("/v1/recordings/{}/open", client.part.claims.recording);
    let bearer = format!("Bearer {READER_TOKEN}");
    let reader = [("Authorization", bearer.as_str())];
    let opened = process.send("POST", &path, &reader, &[]).expect(200).json();
    let url = opened["parts"][0]["tracks"][0]["url"].as_str().unwrap();
    let url = format!("/{}", url.trim_start_matches('/'));
    let whole = process.send("GET", &url, &[], &[]).expect(200);
    assert!(whole.body == track.bytes);
    let middle = process.send("GET", &url, &[("Range", "bytes=9000000-9000099")], &[]);
    assert_eq!(middle.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(middle.body, track.bytes[9_000_000..9_000_100]);
}

#[test]
#[ignore = "needs versitygw, see above"]
fn no_receipt_while_the_bucket_is_away() {
    let setup = Setup::new();
    let bucket = tempfile::tempdir().unwrap();
    let s3 = S3::start(bucket.path());
    let process = start(&setup, &s3);
    let client = Client::begin(&process, setup.world.part(0, 1));
    let track = TrackFile::with_segments(&client.part, 0, &[1_000; 3]);
    client
        .patch(&process, 0, slice(&track, 0, track.len()))
        .expect(204);
    std::fs::rename(bucket.path().join(BUCKET), bucket.path().join("away")).unwrap();
    let reply = client.finish(&process, &track);
    assert!(reply.status.is_server_error(), "{}", reply.status);
    std::fs::rename(bucket.path().join("away"), bucket.path().join(BUCKET)).unwrap();
    client.finish(&process, &track).expect(200);
}

fn files_under(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files
}
