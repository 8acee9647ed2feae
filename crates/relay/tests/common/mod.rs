//! A clinic, passes, a relay on loopback and a WebSocket client, for the integration tests.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod media;

use futures_util::{SinkExt as _, StreamExt as _};
use sealed_visit_protocol::clinic::ClinicClaims;
use sealed_visit_protocol::pass::{Confirmation, PassClaims};
use sealed_visit_protocol::wire::{ClientMessage, HelloClaims, RelayMessage, WelcomeFor};
use sealed_visit_protocol::{B64, Hash32, Jws, ParticipantId, Role, SigningKey, VisitId};
use sealed_visit_relay::hub::{Retention, now_ms};
use sealed_visit_relay::media::MediaConfig;
use sealed_visit_relay::{Config, Relay};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub const PATIENCE: Duration = Duration::from_secs(5);

pub struct TestRelay {
    pub relay: Relay,
    pub clinic: Clinic,
}

impl TestRelay {
    pub async fn start() -> Self {
        Self::start_with(Retention::default()).await
    }

    pub async fn start_with(retention: Retention) -> Self {
        let clinic = Clinic::new();
        let relay = Relay::start(Config {
            listen: loopback(),
            root_key: clinic.root.public(),
            clinic_document: clinic.document_path.clone(),
            media: MediaConfig {
                bind: loopback(),
                announce: Vec::new(),
                #[cfg(feature = "tap")]
                tap: None,
            },
            retention,
            http: sealed_visit_serve::Options::default(),
        })
        .await
        .unwrap();
        Self { relay, clinic }
    }

    pub async fn connect(&self, pass: &Holder) -> Client {
        let mut client = self.dial().await;
        client.hello(pass, None).await;
        client.expect_ready().await;
        client
    }

    pub async fn connect_after(&self, pass: &Holder, after_seq: u64) -> Client {
        let mut client = self.dial().await;
        client.hello(pass, Some(after_seq)).await;
        client.expect_ready().await;
        client
    }

    /// A connection that has not said hello.
    pub async fn dial(&self) -> Client {
        let url = format!("ws://{}/v1/visit", self.relay.address());
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Client {
            socket,
            ready: None,
        }
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The clinic's keys and its document in a temporary file.
pub struct Clinic {
    pub root: SigningKey,
    pub authority: SigningKey,
    pub document_path: PathBuf,
}

impl Clinic {
    pub fn new() -> Self {
        let clinic = Self {
            root: new_key(),
            authority: new_key(),
            document_path: std::env::temp_dir().join(format!("sealed-visit-{}.jws", unique())),
        };
        clinic.write_document(
            1,
            std::slice::from_ref(&clinic.authority),
            now_ms() + 3_600_000,
        );
        clinic
    }

    pub fn write_document(&self, number: u64, authorities: &[SigningKey], not_after_ms: u64) {
        let claims = ClinicClaims {
            v: 1,
            number,
            not_before_ms: 0,
            not_after_ms,
            name: "Test clinic".into(),
            contact: "test@clinic.example".into(),
            authorities: authorities.iter().map(SigningKey::public).collect(),
            vault: new_key().public(),
            recipients: Vec::new(),
            retired: Vec::new(),
        };
        std::fs::write(&self.document_path, self.root.sign(&claims).as_str()).unwrap();
    }

    pub fn pass(&self, visit: VisitId, role: Role) -> Holder {
        self.pass_until(visit, role, now_ms() / 1000 + 3600)
    }

    pub fn pass_until(&self, visit: VisitId, role: Role, exp: u64) -> Holder {
        Holder::new(&self.authority, visit, role, exp)
    }
}

impl Drop for Clinic {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.document_path);
    }
}

/// A pass and the key it is bound to.
pub struct Holder {
    pub visit: VisitId,
    pub participant: ParticipantId,
    pub key: SigningKey,
    pub pass: Jws<PassClaims>,
}

impl Holder {
    pub fn new(authority: &SigningKey, visit: VisitId, role: Role, exp: u64) -> Self {
        let key = new_key();
        let participant = ParticipantId::from_bytes(random());
        let pass = authority.sign(&PassClaims {
            v: 1,
            visit,
            sub: participant,
            role,
            cnf: Confirmation { jwk: key.public() },
            name: Hash32([7; 32]),
            iat: 0,
            exp,
        });
        Self {
            visit,
            participant,
            key,
            pass,
        }
    }

    pub fn hello(&self, nonce: &B64, after_seq: Option<u64>) -> ClientMessage {
        ClientMessage::Hello {
            v: 1,
            pass: self.pass.clone(),
            proof: self.key.sign(&HelloClaims {
                v: 1,
                visit: self.visit,
                participant: self.participant,
                nonce: nonce.clone(),
            }),
            after_seq,
        }
    }
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What the relay said when it took the hello.
    pub ready: Option<RelayMessage>,
}

impl Client {
    pub async fn hello(&mut self, holder: &Holder, after_seq: Option<u64>) {
        let RelayMessage::Challenge { v: 1, nonce } = self.next().await else {
            panic!("expected a challenge");
        };
        self.send(&holder.hello(&nonce, after_seq)).await;
    }

    pub async fn expect_ready(&mut self) {
        let message = self.next().await;
        assert!(matches!(message, RelayMessage::Ready { .. }), "{message:?}");
        self.ready = Some(message);
    }

    pub async fn send(&mut self, message: &ClientMessage) {
        self.send_text(&serde_json::to_string(message).unwrap())
            .await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub async fn next(&mut self) -> RelayMessage {
        self.try_next().await.expect("the connection was closed")
    }

    /// The next message; None when the relay closed.
    pub async fn try_next(&mut self) -> Option<RelayMessage> {
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .expect("the relay was silent");
            match message {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Skips until a message that `pick` wants.
    pub async fn until<T>(&mut self, mut pick: impl FnMut(RelayMessage) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(self.next().await) {
                return picked;
            }
        }
    }

    /// All messages until a pong to a ping sent now.
    pub async fn drain(&mut self) -> Vec<RelayMessage> {
        self.send(&ClientMessage::Ping {}).await;
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                RelayMessage::Pong {} => return messages,
                message => messages.push(message),
            }
        }
    }

    pub async fn create_group(&mut self, group_id: &[u8], replaces: Option<&[u8]>) {
        self.send(&ClientMessage::CreateGroup {
            group_id: group_id.into(),
            replaces: replaces.map(B64::from),
        })
        .await;
    }

    pub async fn commit(&mut self, group_id: &[u8], epoch: u64, welcomes: &[ParticipantId]) {
        self.commit_removing(group_id, epoch, welcomes, &[]).await;
    }

    pub async fn commit_removing(
        &mut self,
        group_id: &[u8],
        epoch: u64,
        welcomes: &[ParticipantId],
        removed: &[ParticipantId],
    ) {
        self.send(&ClientMessage::Commit {
            group_id: group_id.into(),
            epoch,
            commit: B64(format!("commit of {epoch}").into_bytes()),
            welcomes: welcomes
                .iter()
                .map(|to| WelcomeFor {
                    to: *to,
                    welcome: B64(b"welcome".to_vec()),
                })
                .collect(),
            removed: removed.to_vec(),
        })
        .await;
    }

    pub async fn app(&mut self, group_id: &[u8], epoch: u64, data: &[u8]) {
        self.send(&ClientMessage::App {
            group_id: group_id.into(),
            epoch,
            data: data.into(),
        })
        .await;
    }
}

pub fn new_visit() -> VisitId {
    VisitId::from_bytes(random())
}

pub fn new_key() -> SigningKey {
    SigningKey::from_seed(&random())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
