//! The limits over real sockets.

use axum::Router;
use axum::body::Bytes;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, WebSocket};
use axum::routing::{get, post};
use futures_util::{SinkExt as _, StreamExt as _};
use sealed_visit_serve::{Client, Options, serve};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite;

/// Long enough never to matter.
const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(200);

struct Server {
    address: SocketAddr,
    /// One permit for each request to `/wait` that reached its handler.
    arrived: Arc<Semaphore>,
    /// One permit lets one of them go.
    release: Arc<Semaphore>,
    stop: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let stop = Arc::new(Notify::new());
        let app = Router::new()
            .route("/", get(async || "hello"))
            .route("/length", post(async |body: Bytes| body.len().to_string()))
            .route("/panic", get(panics))
            .route("/socket", get(socket))
            .route(
                "/wait",
                get({
                    let (arrived, release) = (arrived.clone(), release.clone());
                    async move || {
                        arrived.add_permits(1);
                        release.acquire().await.unwrap().forget();
                        "released"
                    }
                }),
            );
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move { serve(listener, app, options, async move { stop.notified().await }).await }
        });
        Self {
            address,
            arrived,
            release,
            stop,
            serving,
        }
    }

    /// A connection from 127.0.0.`host`.
    async fn connect(&self, host: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind((Ipv4Addr::new(127, 0, 0, host), 0).into())
            .unwrap();
        socket.connect(self.address).await.unwrap()
    }

    async fn send(&self, host: u8, text: &str) -> TcpStream {
        let mut stream = self.connect(host).await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// A request that stays with its handler until it is released.
    async fn wait(&self, host: u8, headers: &str) -> TcpStream {
        let request = format!("GET /wait HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        let stream = self.send(host, &request).await;
        self.arrived.acquire().await.unwrap().forget();
        stream
    }

    /// The answer to a request with a connection of its own.
    async fn get(&self, host: u8, path: &str, headers: &str) -> String {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        rest(self.send(host, &request).await).await
    }

    async fn is_served(&self, host: u8) -> bool {
        self.get(host, "/", "").await.contains("200 OK")
    }
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn socket(
    client: axum::Extension<Client>,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
                break;
            }
        }
        drop(client);
    })
}

/// Everything until the server closes. A refused connection may end with a reset instead.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

fn patient() -> Options {
    Options {
        header_timeout: NEVER,
        stall_timeout: NEVER,
        ..Options::default()
    }
}

#[tokio::test]
async fn a_half_sent_request_is_closed() {
    let server = Server::start(Options {
        header_timeout: SOON,
        ..patient()
    })
    .await;
    for sent in ["", "GET", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let answer = rest(server.send(1, sent).await).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    // Also after a complete one on the same connection.
    let idle = server.send(1, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(rest(idle).await.contains("200 OK"));
    // And one byte at a time is no way around it.
    let mut drip = server.connect(1).await;
    let dripping = async {
        while drip.write_all(b"G").await.is_ok() {
            tokio::time::sleep(SOON / 8).await;
        }
    };
    dripping.await;
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let server = Server::start(Options {
        stall_timeout: SOON,
        ..patient()
    })
    .await;
    let head = "POST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc";
    let answer = rest(server.send(1, head).await).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

/// As a client sends it that cannot send PATCH.
fn post_of(length: usize, content_type: &str) -> String {
    post_as(length, content_type, "x-http-method-override: PATCH\r\n")
}

fn post_as(length: usize, content_type: &str, headers: &str) -> String {
    format!(
        "POST /length HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\n{headers}\r\n"
    )
}

/// What tus uploads send.
const UPLOAD: &str = "application/offset+octet-stream";

/// Sends pieces until the server has had enough; panics if that never happens.
async fn drip(server: &Server, content_type: &str, piece: &[u8], pause: Duration) {
    const PIECES: usize = 2_000;
    let mut slow = server
        .send(1, &post_of(PIECES * piece.len(), content_type))
        .await;
    for _ in 0..PIECES {
        let mut answer = [0; 12];
        tokio::select! {
            read = slow.read(&mut answer) => {
                let told = String::from_utf8_lossy(&answer);
                assert!(read.is_err() || !told.contains(" 200"), "{told}");
                return;
            }
            () = tokio::time::sleep(pause) => {}
        }
        if slow.write_all(piece).await.is_err() {
            return;
        }
    }
    panic!("never given up");
}

#[tokio::test]
async fn a_body_in_drips_is_given_up_although_a_byte_comes_often() {
    let server = Server::start(Options {
        stall_timeout: SOON,
        min_body_rate: 100_000,
        body_timeout: NEVER,
        ..patient()
    })
    .await;
    for content_type in ["application/json", UPLOAD] {
        drip(&server, content_type, b"x", SOON / 10).await;
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_kept() {
    let server = Server::start(patient()).await;
    let mut stream = server.send(1, "GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
    // Less than what the HTTP library takes by itself. The server may close in the middle.
    let _ = stream.write_all(&[b'x'; 200_000]).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), rest(stream)).await;
    assert!(ended.is_ok(), "waits for more");
    assert!(server.is_served(1).await);
}

#[tokio::test]
async fn the_bodies_of_one_address_have_one_bound_and_others_are_served() {
    const BOUND: usize = 10_000;
    let server = Server::start(Options {
        body_timeout: NEVER,
        max_body_bytes_per_address: BOUND,
        ..patient()
    })
    .await;
    let is_taken = async |host: u8, length: usize, content_type: &str| {
        let mut stream = server.send(host, &post_as(length, content_type, "")).await;
        let _ = stream.write_all(&vec![b'x'; length]).await;
        rest(stream).await.contains(" 200 ")
    };
    // What it claims to be makes no difference.
    for content_type in ["application/json", UPLOAD] {
        assert!(is_taken(1, BOUND, content_type).await);
        assert!(!is_taken(1, BOUND + 1, content_type).await);
    }
    let slow = post_as(BOUND, "application/json", "") + &"x".repeat(BOUND / 2);
    let slow = server.send(1, &slow).await;
    // From when on it counts, only the server knows.
    while is_taken(1, BOUND / 2 + 1, "application/json").await {}
    assert!(is_taken(1, BOUND / 2, "application/json").await);
    assert!(is_taken(2, BOUND, "application/json").await);
    drop(slow);
    while !is_taken(1, BOUND, "application/json").await {}
}

#[tokio::test]
async fn an_ordinary_body_has_a_total_limit() {
    let server = Server::start(Options {
        min_body_rate: 1,
        body_timeout: SOON,
        ..patient()
    })
    .await;
    drip(&server, "application/json", &[b'x'; 100], SOON / 10).await;
}

#[tokio::test]
async fn a_slow_upload_goes_on_for_longer_than_any_limit() {
    const PIECES: usize = 60;
    let limit = Duration::from_secs(5);
    // A piece is worth more than the whole window.
    let piece = [b'x'; 100];
    let server = Server::start(Options {
        header_timeout: limit,
        stall_timeout: limit,
        min_body_rate: 10,
        body_timeout: SOON,
        ..patient()
    })
    .await;
    let mut upload = server.send(1, &post_of(PIECES * piece.len(), UPLOAD)).await;
    for _ in 0..PIECES {
        tokio::time::sleep(limit / 50).await;
        upload.write_all(&piece).await.unwrap();
    }
    assert!(rest(upload).await.ends_with("\r\n\r\n6000"));
}

#[tokio::test]
async fn an_address_over_its_limit_is_refused_and_others_are_served() {
    let server = Server::start(Options {
        max_connections_per_address: 2,
        ..patient()
    })
    .await;
    let held = [server.send(1, "GET").await, server.send(1, "GET").await];
    let refused = server.get(1, "/", "").await;
    assert!(
        refused.is_empty() || refused.contains("429 Too Many"),
        "{refused}"
    );
    assert!(server.is_served(2).await);
    drop(held);
    while !server.is_served(1).await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_total_is_limited_and_one_address_cannot_take_all_of_it() {
    let server = Server::start(Options {
        max_connections: 4,
        ..patient()
    })
    .await;
    let held = [server.send(1, "GET").await, server.send(1, "GET").await];
    assert!(!server.is_served(1).await);
    assert!(server.is_served(2).await);
    // Served connections end a moment after their answer.
    let mut others = Vec::new();
    while others.len() < 2 {
        let mut other = server.connect(3).await;
        let _ = other.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if other
            .read(&mut [0; 12])
            .await
            .is_ok_and(|length| length > 0)
        {
            others.push(other);
        }
    }
    assert!(!server.is_served(4).await);
    drop((held, others));
    while !server.is_served(4).await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_is_limited() {
    let server = Server::start(Options {
        max_connections_per_address: 2,
        trusted_proxy: vec![Ipv4Addr::LOCALHOST.into()],
        ..patient()
    })
    .await;
    let from = "x-forwarded-for: 192.0.2.1\r\n";
    let waiting = [server.wait(1, from).await, server.wait(1, from).await];
    for from in [from, "x-forwarded-for: 6.6.6.6, 192.0.2.1\r\n"] {
        let refused = server.get(1, "/", from).await;
        assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    }
    // The proxy itself may have more connections than any client, and other clients are served.
    let other = server.get(1, "/", "x-forwarded-for: 192.0.2.2\r\n").await;
    assert!(other.contains("200 OK"), "{other}");
    // Nobody else can speak for a client.
    let forged = server.get(2, "/", "x-forwarded-for: 192.0.2.1\r\n").await;
    assert!(forged.contains("200 OK"), "{forged}");
    // A place is given back with the last byte of its answer.
    server.release.add_permits(2);
    drop(waiting);
    while !server.get(1, "/", from).await.contains("200 OK") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_websocket_is_upgraded_and_holds_its_place_until_it_closes() {
    for trusted_proxy in [vec![], vec![Ipv4Addr::LOCALHOST.into()]] {
        let server = Server::start(Options {
            max_connections_per_address: 1,
            header_timeout: SOON,
            stall_timeout: SOON,
            trusted_proxy,
            ..Options::default()
        })
        .await;
        let url = format!("ws://{}/socket", server.address);
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        // Longer than any limit: silence is a WebSocket's own matter.
        tokio::time::sleep(SOON * 3).await;
        socket
            .send(tungstenite::Message::text("still there"))
            .await
            .unwrap();
        let echo = socket.next().await.unwrap().unwrap();
        assert_eq!(echo.into_text().unwrap(), "still there");
        assert!(!server.is_served(1).await);
        socket.close(None).await.unwrap();
        drop(socket);
        while !server.is_served(1).await {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_request_that_panics_leaves_the_others_alive() {
    let server = Server::start(patient()).await;
    let waiting = server.wait(1, "connection: close\r\n").await;
    let mut same = server
        .send(1, "GET /panic HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    let mut head = [0; 12];
    same.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 500");
    let failed = server.get(1, "/panic", "").await;
    assert!(
        failed.ends_with(r#"{"code":"internal","message":"the server failed at this request"}"#)
    );
    assert!(!failed.contains("on purpose"));
    assert!(server.is_served(1).await);
    server.release.add_permits(1);
    assert!(rest(waiting).await.ends_with("released"));
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_closes_what_is_idle() {
    let server = Server::start(patient()).await;
    let mut idle = server.send(1, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let waiting = server.wait(1, "").await;
    server.stop.notify_one();
    assert!(rest(idle).await.contains("hello"));
    server.release.add_permits(1);
    assert!(rest(waiting).await.contains("released"));
    server.serving.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
