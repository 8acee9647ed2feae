//! The accept loop, one task per connection, graceful stop.

use crate::address::{Client, Place, Places, canonical, client_of};
use crate::options::{Options, descriptor_limit};
use crate::pace::{Account, Pace, Paced, is_upload};
use crate::stall::{ReadLimit, Stall};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;

/// Room for the head of a request: a few tokens and signed proofs. Without a limit of ours it is some 400 KB a connection.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// After an error that the next attempt would meet again, such as no free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `app` until `stop` ends, and then until its last request is answered.
///
/// Requests carry [`Client`] and axum's [`ConnectInfo`], both with the client's address, also behind a trusted proxy. Dropping the future closes every
/// connection that was not upgraded.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    options: Options,
    stop: impl Future<Output = ()>,
) {
    let total = options.total(descriptor_limit());
    let shared = Arc::new(Shared {
        app: app.layer(CatchPanicLayer::custom(panicked)),
        per_address: options.per_address(total),
        connections: Places::default(),
        requests: Places::default(),
        bodies: Places::default(),
        trusted: options
            .trusted_proxy
            .iter()
            .copied()
            .map(canonical)
            .collect(),
        options,
    });
    let total = Arc::new(Semaphore::new(total));
    let (stopping, stopped) = watch::channel(());
    let mut tasks = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = tasks.join_next() => {
                log_panic(ended);
                continue;
            }
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => match shared.admit(peer, &total) {
                Ok(held) => {
                    let connection = shared.clone().run(stream, peer, held, stopped.clone());
                    tasks.spawn(connection);
                }
                Err(full) => full.refuse(&stream),
            },
            Err(error) if is_of_one_connection(error.kind()) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections for now");
                // The connections there are go on, and free descriptors as they end.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(stopping);
    while let Some(ended) = tasks.join_next().await {
        log_panic(ended);
    }
}

/// What all connections of one server share.
struct Shared {
    app: Router,
    options: Options,
    per_address: usize,
    /// Of addresses that connect.
    connections: Places,
    /// Of addresses behind a trusted proxy.
    requests: Places,
    /// Bytes of bodies that were received for requests without an answer.
    bodies: Places,
    trusted: Vec<IpAddr>,
}

/// What a connection holds until its socket closes.
type Held = (OwnedSemaphorePermit, Option<Place>);

/// Why a connection or a request is not served.
#[derive(Debug, Clone, Copy)]
enum Full {
    Server,
    Address,
}

impl Shared {
    fn admit(&self, peer: SocketAddr, total: &Arc<Semaphore>) -> Result<Held, Full> {
        let place = if self.is_trusted(peer.ip()) {
            None
        } else {
            let place = self
                .connections
                .take(canonical(peer.ip()), self.per_address);
            Some(place.ok_or(Full::Address)?)
        };
        let permit = total
            .clone()
            .try_acquire_owned()
            .map_err(|_| Full::Server)?;
        Ok((permit, place))
    }

    fn is_trusted(&self, peer: IpAddr) -> bool {
        self.trusted.contains(&canonical(peer))
    }

    async fn run(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        held: Held,
        mut stopped: watch::Receiver<()>,
    ) {
        // Small answers and WebSocket messages must not wait for each other.
        let _ = stream.set_nodelay(true);
        let reads = ReadLimit::default();
        let stall = Stall::new(stream, self.options.stall_timeout, reads.clone(), held);
        let stream = TokioIo::new(stall);
        let service = {
            let shared = self.clone();
            hyper::service::service_fn(move |request| {
                shared.clone().answer(request, peer, reads.clone())
            })
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.header_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(stream, service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%error, "a connection failed");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
        reads: ReadLimit,
    ) -> Result<Response, Infallible> {
        let address = client_of(peer.ip(), request.headers(), &self.trusted);
        let place = if self.is_trusted(peer.ip()) {
            let Some(place) = self.requests.take(address, self.per_address) else {
                return Ok(Full::Address.into_response());
            };
            Some(Arc::new(place))
        } else {
            None
        };
        let Options {
            stall_timeout,
            min_body_rate,
            body_timeout,
            max_body_bytes_per_address,
            ..
        } = self.options;
        let is_upload = is_upload(request.method(), request.headers());
        let pace = Pace::new(
            stall_timeout,
            min_body_rate,
            (!is_upload).then_some(body_timeout),
        );
        // What handlers keep of an upload they bound themselves.
        let account = (!is_upload)
            .then(|| Account::new(self.bodies.none(address), max_body_bytes_per_address));
        let mut request: Request = {
            let account = account.clone();
            request.map(|body| Body::new(Paced::new(body, pace, account)))
        };
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::new(address, peer.port())));
        let client = Client::new(address, place.clone(), reads);
        request.extensions_mut().insert(client);
        let response = self.app.clone().oneshot(request).await?;
        drop(account);
        Ok(match place {
            Some(place) => response.map(|body| {
                Body::new(Holding {
                    body,
                    _place: place,
                })
            }),
            None => response,
        })
    }
}

impl Full {
    fn status_and_text(self) -> (StatusCode, &'static str) {
        match self {
            Self::Server => (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n"),
            Self::Address => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many connections from this address\n",
            ),
        }
    }

    /// Says so as far as that works without waiting; the socket closes when its caller drops it.
    fn refuse(self, stream: &TcpStream) {
        let (status, text) = self.status_and_text();
        let length = text.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\nretry-after: 1\r\ncontent-type: text/plain\r\n\
             content-length: {length}\r\n\r\n{text}"
        );
        let _ = stream.try_write(answer.as_bytes());
    }

    fn into_response(self) -> Response {
        let (status, text) = self.status_and_text();
        (status, [(header::RETRY_AFTER, "1")], text).into_response()
    }
}

/// A body that holds its client's place until it was sent.
struct Holding {
    body: Body,
    _place: Arc<Place>,
}

impl HttpBody for Holding {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer to a request whose handler panicked. What the panic said goes to the log only.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request panicked");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        [(header::CONTENT_TYPE, "application/json")],
        r#"{"code":"internal","message":"the server failed at this request"}"#,
    )
        .into_response()
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("a connection panicked");
    }
}

fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}
