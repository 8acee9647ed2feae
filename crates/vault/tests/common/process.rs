//! The vault as a process of its own on loopback, and raw HTTP/1.1 to it.

use super::World;
use super::http::{READER_TOKEN, Reply};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sealed-visit-vault");

/// A running vault; killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

/// What a vault needs to start: keys, document, tokens, and a folder for its data.
pub struct Setup {
    pub world: World,
    pub folder: tempfile::TempDir,
    pub data: PathBuf,
}

impl Setup {
    pub fn new() -> Self {
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64;
        let world = World::at(now_ms);
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        };
        write("clinic.jws", world.clinic_document(|_| {}).as_str());
        let base64url = sealed_visit_protocol::bytes::to_base64url;
        write("root.pub", &base64url(world.root.public().as_bytes()));
        write("vault.key", &base64url(&world.vault.seed()[..]));
        write("tokens", &format!("clinic {READER_TOKEN}\n"));
        Self {
            data: folder.path().join("data"),
            world,
            folder,
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["--listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(&self.data)
            .arg("--root-key")
            .arg(self.file("root.pub"))
            .arg("--clinic-document")
            .arg(self.file("clinic.jws"))
            .arg("--key")
            .arg(self.file("vault.key"))
            .arg("--token-file")
            .arg(self.file("tokens"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    pub fn start(&self) -> Process {
        Self::start_command(&mut self.command())
    }

    pub fn start_command(command: &mut Command) -> Process {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening http://")
            .unwrap_or_else(|| panic!("expected an address, got {line:?}"))
            .parse()
            .unwrap();
        Process { child, address }
    }
}

impl Process {
    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how the program ended.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let sent = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.unwrap().success());
        self.child.wait().unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream
            .write_all(&head(method, path, headers, body.len()))
            .unwrap();
        // A refusal may come, and the connection close, before all of a body is taken.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        parse(&answer)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The head of a request that closes its connection.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nHost: vault\r\nConnection: close\r\nContent-Length: {length}\r\n"
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn parse(answer: &[u8]) -> Reply {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a whole head");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    Reply {
        status: StatusCode::from_u16(status.parse().unwrap()).unwrap(),
        headers,
        body: answer[end + 4..].to_vec(),
    }
}

/// A small file system of its own in memory, unmounted when dropped; `None` where that is not allowed.
pub struct SmallDisk {
    pub path: PathBuf,
}

impl SmallDisk {
    pub fn mount(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
