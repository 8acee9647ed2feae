//! The real program with few descriptors: it survives whoever takes them all, and serves again.
#![cfg(target_os = "linux")]

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sealed-visit-authority");

struct Authority {
    process: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    logging: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Authority {
    fn start(descriptors: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = Command::new(PROGRAM)
            .arg("keygen")
            .arg(at("key"))
            .output()
            .unwrap();
        assert!(made.status.success());
        std::fs::write(at("token"), "a token of the scheduler").unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(at("token"), private).unwrap();
        let mut process = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""))
            .args([PROGRAM, "serve", "--header-timeout", "2", "--key"])
            .arg(at("key"))
            .arg("--scheduler-token-file")
            .arg(at("token"))
            .arg("--data")
            .arg(at("visits.sqlite"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let logging = std::thread::spawn({
            let log = log.clone();
            move || {
                for line in stderr.lines() {
                    log.lock().unwrap().push_str(&line.unwrap());
                }
            }
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening http://").unwrap();
        Self {
            address: address.parse().unwrap(),
            process,
            log,
            logging: Some(logging),
            _folder: folder,
        }
    }

    /// A connection from 127.0.0.`host` with half a request.
    async fn half_sent(&self, host: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind((Ipv4Addr::new(127, 0, 0, host), 0).into())
            .unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        // A refused connection may be gone already.
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\n").await;
        stream
    }

    async fn is_served(&self, host: u8) -> bool {
        let mut stream = self.half_sent(host).await;
        let _ = stream
            .write_all(b"host: a\r\nconnection: close\r\n\r\n")
            .await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer.starts_with(b"HTTP/1.1 200")
    }

    fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    fn has_run_out(&self) -> bool {
        self.log
            .lock()
            .unwrap()
            .contains("cannot accept connections")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.logging.take().map(JoinHandle::join);
    }
}

#[tokio::test]
async fn half_sent_requests_of_one_address_leave_descriptors_for_others_and_end_by_themselves() {
    let mut authority = Authority::start(128);
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(authority.half_sent(1).await);
    }
    assert!(authority.is_served(2).await);
    // All of them are still open on this side.
    while !authority.is_served(1).await {
        assert!(authority.is_running());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    drop(held);
    assert!(!authority.has_run_out());
}

#[tokio::test]
async fn running_out_of_descriptors_is_survived() {
    let mut authority = Authority::start(512);
    // Once it serves, it has set its limits on connections, by more descriptors than it has from now on.
    assert!(authority.is_served(4).await);
    let few = Rlimit {
        current: Some(40),
        maximum: Some(40),
    };
    let pid = Pid::from_raw(i32::try_from(authority.process.id()).unwrap());
    prlimit(pid, Resource::Nofile, few).unwrap();
    let mut held = Vec::new();
    while !authority.has_run_out() {
        // On a busy machine connections wait in the kernel, and this process must not run out before the other.
        held.clear();
        for host in 1..=3 {
            for _ in 0..30 {
                held.push(authority.half_sent(host).await);
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    while !authority.is_served(4).await {
        assert!(authority.is_running());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    drop(held);
}
