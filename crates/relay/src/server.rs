//! HTTP: `GET /v1/visit` (WebSocket), `GET /healthz`, `GET /v1/stats` (from this machine); start and graceful stop.

use crate::admission::{Admission, AdmissionError};
use crate::budget::Budgets;
use crate::connection::{self, Services};
use crate::hub::{Hub, Retention, now_ms};
use crate::limits;
use crate::media::probe::Access;
use crate::media::{self, Media, MediaConfig, MediaError};
use crate::stats::{Snapshot, Stats};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use sealed_visit_protocol::RootKey;
use sealed_visit_serve::task::restarted;
use sealed_visit_serve::{Client, serve};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::cors::{Any, CorsLayer};

const SWEEP_INTERVAL: Duration = Duration::from_secs(2);
/// How long a stop waits for connections to close.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub root_key: RootKey,
    pub clinic_document: PathBuf,
    pub media: MediaConfig,
    pub retention: Retention,
    /// Limits on connections.
    pub http: sealed_visit_serve::Options,
}

/// Why the relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// A running relay. [`Relay::stop`] ends it gracefully; dropping it ends it at once.
pub struct Relay {
    address: SocketAddr,
    media: Media,
    stats: Arc<Stats>,
    hub: Hub,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
    helpers: Vec<tokio::task::JoinHandle<()>>,
}

impl Relay {
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let admission = Arc::new(Admission::open(config.root_key, config.clinic_document)?);
        let stats = Arc::new(Stats::default());
        let (media, mut replies) = media::start(config.media, stats.clone())?;
        let hub = Hub::new(media.handle(), config.retention, stats.clone());
        let listen_error = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(listen_error)?;
        // Accepted sockets inherit it.
        socket2::SockRef::from(&listener)
            .set_send_buffer_size(limits::SEND_BUFFER_BYTES)
            .map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let (stop, mut stopped) = watch::channel(false);

        let budgets = Arc::new(Budgets::default());
        let app = router(Services {
            hub: hub.clone(),
            admission,
            stats: stats.clone(),
            budgets: budgets.clone(),
            line_check: Arc::new(Access::at(media.addresses())),
        });
        let server = tokio::spawn(serve(listener, app, config.http, async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        let sweeper = tokio::spawn({
            let hub = hub.clone();
            restarted("sweeper", move || {
                let (hub, budgets) = (hub.clone(), budgets.clone());
                async move {
                    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
                    loop {
                        ticks.tick().await;
                        hub.sweep(Instant::now(), now_ms());
                        budgets.sweep(Instant::now());
                    }
                }
            })
        });
        let deliverer = tokio::spawn({
            let hub = hub.clone();
            async move {
                while let Some(reply) = replies.recv().await {
                    hub.deliver_media(reply);
                }
            }
        });
        Ok(Self {
            address,
            media,
            stats,
            hub,
            stop,
            server,
            helpers: vec![sweeper, deliverer],
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The UDP address that all media goes through.
    pub fn media_address(&self) -> SocketAddr {
        self.media.address()
    }

    pub fn stats(&self) -> Snapshot {
        self.stats.snapshot()
    }

    /// Takes no new connection, closes those there are, and waits for both.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        self.hub.shut_down();
        let _ = tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await;
        self.media.stop();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
        for helper in &self.helpers {
            helper.abort();
        }
    }
}

fn router(services: Services) -> Router {
    // A page of any origin may ask: nothing here rests on cookies, and a hello needs a pass and its key.
    let cors = CorsLayer::new().allow_origin(Any).allow_methods(Any);
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/v1/stats", get(stats))
        .route("/v1/visit", get(visit))
        .layer(cors)
        .with_state(services)
}

/// For this machine only, and not through a proxy on it.
async fn stats(
    State(services): State<Services>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Response {
    let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    if !client.address().is_loopback() || is_forwarded {
        return StatusCode::NOT_FOUND.into_response();
    }
    Json(services.stats.snapshot()).into_response()
}

async fn visit(
    State(services): State<Services>,
    Extension(client): Extension<Client>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let guard = ConnectionCount::new(services.stats.clone());
    if guard.is_too_many {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n").into_response();
    }
    client.limit_reads(Some(limits::MAX_BYTES_BEFORE_HELLO));
    upgrade
        .read_buffer_size(limits::READ_BUFFER_BYTES)
        .max_message_size(limits::MAX_MESSAGE_BYTES)
        .max_frame_size(limits::MAX_MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            connection::serve(socket, services, &client).await;
            drop((guard, client));
        })
}

/// Counts a connection while it lives.
struct ConnectionCount {
    stats: Arc<Stats>,
    is_too_many: bool,
}

impl ConnectionCount {
    fn new(stats: Arc<Stats>) -> Self {
        let before = stats.connections.fetch_add(1, Relaxed);
        stats.connections_total.fetch_add(1, Relaxed);
        Self {
            stats,
            is_too_many: before >= limits::MAX_CONNECTIONS as u64,
        }
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.stats.connections.fetch_sub(1, Relaxed);
    }
}
