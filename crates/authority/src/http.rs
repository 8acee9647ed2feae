//! The authority's HTTP API.
//!
//! | call | who | what |
//! |---|---|---|
//! | `POST /v1/visits` | scheduler (bearer) | makes a visit, returns link secrets |
//! | `GET /v1/visits/{visit}` | anybody | times, template, whether it is locked, whether it has ended |
//! | `POST /v1/visits/{visit}/redeem` | link holder | `{secret, credential, jwk, name_commitment, passcode?}` → pass; the browser makes `credential` (32 random bytes in base64url) and keeps it before it asks. The same one gets the same answer; another one gets `link_used` with its `browser` code |
//! | `POST /v1/visits/{visit}/pass` | same browser | `{credential, jwk, name_commitment}` → pass |
//! | `POST /v1/visits/{visit}/recorder-pass` | host | the same → the recorder's pass |
//! | `POST /v1/visits/{visit}/recorder-link` | host | `{credential}` → a link for the recorder on another device; earlier ones are void |
//! | `POST /v1/visits/{visit}/link` | host, scheduler | `{credential, participant}` → a new link for somebody; the earlier one is void. Of a clinician: scheduler |
//! | `POST /v1/visits/{visit}/approve` | host, scheduler | `{credential, participant, browser}`: the browser that shows this code may take the link over |
//! | `POST /v1/visits/{visit}/unlock-passcode` | host, scheduler | `{credential, participant}`: after five wrong passcodes, five more |
//! | `POST /v1/visits/{visit}/overview` | host, scheduler | `{credential}` → times, who was invited, who came, whose link another browser tried |
//! | `POST /v1/visits/{visit}/lock` | host | `{credential, locked}`: while locked, unused links are refused (`locked`) |
//! | `POST /v1/visits/{visit}/end` | host | `{credential}` |
//!
//! A scheduler sends its bearer token, and no `credential`. Host here is any clinician of the visit: who of them is host at the moment, the group knows alone.
//!
//! Each address has a budget of requests and a smaller one of guesses. Whoever is over either and shows nothing that this
//! server knows gets 429 with `Retry-After`. A good link, credential, token or visit id is always served: a clinic's whole
//! network may be one address, and one client in it that guesses must not lock the others out.

use crate::book::{
    Admission, Asker, Book, BookError, Holder, Link, NewVisit, Overview, Shown, VisitInfo,
    VisitLinks,
};
use crate::limit::{Limiter, Rate};
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sealed_visit_protocol::{Hash32, ParticipantId, PublicKey, SigningKey, VisitId};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tower_http::cors::CorsLayer;

/// Requests of one address. A clinic's whole network may be one address: fifty hosts ask for the overview every ten
/// seconds each.
const REQUEST_RATE: Rate = Rate {
    burst: 240,
    every: Duration::from_millis(25),
};
/// Requests of one address that show nothing this server knows: wrong secrets, unknown visits.
const GUESS_RATE: Rate = Rate {
    burst: 60,
    every: Duration::from_secs(1),
};
const ADDRESS_TABLE: usize = 65_536;

/// Requests of all addresses over [`REQUEST_RATE`] that are handled at one time. They wait for each other, and leave half
/// of the database's connections to everybody else.
const CROWDED_AT_ONCE: usize = 2;

const MAX_BODY_BYTES: usize = 64 * 1024;

const PURGE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How an authority is set up.
pub struct Config {
    pub key: SigningKey,
    /// Bearer token of the scheduler.
    pub scheduler_token: String,
    /// Where visits are kept ([`Book::open`]); none keeps them in memory.
    pub data: Option<PathBuf>,
    /// Visits are forgotten so long after their booked end.
    pub forget_after: Duration,
}

/// The default of [`Config::forget_after`]: 30 days.
pub const FORGET_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

struct Authority {
    book: Book,
    scheduler_token: Hash32,
    requests: Mutex<Limiter<IpAddr>>,
    guesses: Mutex<Limiter<IpAddr>>,
    crowded: Semaphore,
}

impl Authority {
    fn new(book: Book, scheduler_token: &str) -> Arc<Self> {
        Arc::new(Self {
            book,
            scheduler_token: token_hash(scheduler_token),
            requests: Mutex::new(Limiter::new(REQUEST_RATE, ADDRESS_TABLE)),
            guesses: Mutex::new(Limiter::new(GUESS_RATE, ADDRESS_TABLE)),
            crowded: Semaphore::new(CROWDED_AT_ONCE),
        })
    }
}

/// The API as a router, to be served alone or inside a clinic's own server. Needs a Tokio runtime: it forgets old visits
/// in the background for as long as the router lives.
pub async fn router(config: Config) -> anyhow::Result<Router> {
    let book = match &config.data {
        Some(path) => Book::open(path, config.key, system_randomness).await?,
        None => Book::in_memory(config.key, system_randomness).await?,
    };
    let authority = Authority::new(book, &config.scheduler_token);
    tokio::spawn(forget(Arc::downgrade(&authority), config.forget_after));
    Ok(routes(authority))
}

fn routes(authority: Arc<Authority>) -> Router {
    Router::new()
        .route("/v1/visits", post(create))
        .route("/v1/visits/{visit}", get(info))
        .route("/v1/visits/{visit}/redeem", post(redeem))
        .route("/v1/visits/{visit}/pass", post(renew))
        .route("/v1/visits/{visit}/recorder-pass", post(recorder_pass))
        .route("/v1/visits/{visit}/recorder-link", post(recorder_link))
        .route("/v1/visits/{visit}/link", post(renew_link))
        .route("/v1/visits/{visit}/approve", post(approve))
        .route("/v1/visits/{visit}/unlock-passcode", post(unlock_passcode))
        .route("/v1/visits/{visit}/overview", post(overview))
        .route("/v1/visits/{visit}/lock", post(lock))
        .route("/v1/visits/{visit}/end", post(end))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(authority.clone(), limited))
        .route("/healthz", get(|| async { "ok" }))
        // No cookies are used: any origin may call, each call carries its own secret.
        .layer(CorsLayer::permissive())
        .with_state(authority)
}

/// Deletes old visits, at once and then every hour.
async fn forget(authority: std::sync::Weak<Authority>, after: Duration) {
    let mut every = tokio::time::interval(PURGE_EVERY);
    loop {
        every.tick().await;
        let Some(authority) = authority.upgrade() else {
            return;
        };
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        // A failure is in the log, and the next hour tries again.
        if let Ok(count @ 1..) = authority
            .book
            .purge(now_ms().saturating_sub(after_ms))
            .await
        {
            tracing::info!(count, "forgot old visits");
        }
    }
}

/// Counts by the address that [`address_of`] finds. What a limit refuses is the answer to a guess, never the request: only
/// the handler can tell whether a request is one, by a single read. So an address over its limits still learns whether a
/// guess was right. That helps nobody: secrets and ids have 128 bits or more, passcodes have a count of their own, behind a
/// secret, and the scheduler's token has at least 16 characters, which should be random.
async fn limited(
    State(authority): State<Arc<Authority>>,
    request: Request,
    next: Next,
) -> Response {
    let address = address_of(&request);
    let taken = lock_of(&authority.requests).take(address, Instant::now());
    let response = match taken {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            // Whoever sends slowly must not keep the others waiting.
            let (head, body) = request.into_parts();
            let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
                return ApiError::TooMany(wait).into_response();
            };
            let _turn = authority.crowded.acquire().await;
            next.run(Request::from_parts(head, Body::from(body))).await
        }
    };
    let is_guess =
        response.status().is_client_error() && response.extensions().get::<KnownCaller>().is_none();
    if !is_guess {
        return response;
    }
    let allowed = lock_of(&authority.guesses).take(address, Instant::now());
    match taken.and(allowed) {
        Ok(()) => response,
        Err(wait) => ApiError::TooMany(wait).into_response(),
    }
}

/// Marks a refusal of somebody who showed a link, a credential, a token or a visit id that exists.
#[derive(Clone)]
struct KnownCaller;

/// The address that the connection comes from (IPv6: its /64), or one for all where the server does not say.
fn address_of(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical());
    match peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

fn lock_of<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
struct Redeem {
    secret: String,
    credential: String,
    jwk: PublicKey,
    name_commitment: Hash32,
    #[serde(default)]
    passcode: Option<String>,
}

#[derive(Deserialize)]
struct Renew {
    credential: String,
    jwk: PublicKey,
    name_commitment: Hash32,
}

impl Renew {
    fn holder(&self) -> Holder {
        Holder {
            key: self.jwk,
            name: self.name_commitment,
        }
    }
}

#[derive(Deserialize)]
struct Known {
    credential: String,
}

/// From a host, who shows a credential, or from the scheduler, who shows a token.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    credential: Option<String>,
}

#[derive(Deserialize)]
struct AskedFor {
    #[serde(default)]
    credential: Option<String>,
    participant: ParticipantId,
}

#[derive(Deserialize)]
struct Approve {
    #[serde(default)]
    credential: Option<String>,
    participant: ParticipantId,
    browser: String,
}

#[derive(Deserialize)]
struct Lock {
    credential: String,
    locked: bool,
}

async fn create(
    State(authority): State<Arc<Authority>>,
    headers: HeaderMap,
    Json(asked): Json<NewVisit>,
) -> Result<(StatusCode, Json<VisitLinks>), ApiError> {
    check_scheduler(&authority, &headers)?;
    Ok((
        StatusCode::CREATED,
        Json(authority.book.create(&asked).await?),
    ))
}

fn check_scheduler(authority: &Authority, headers: &HeaderMap) -> Result<(), ApiError> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .unwrap_or_default();
    if token_hash(token) == authority.scheduler_token {
        Ok(())
    } else {
        Err(ApiError::NotTheScheduler)
    }
}

/// A host, by its credential; without one, the caller must be the scheduler.
fn asker<'a>(
    authority: &Authority,
    headers: &HeaderMap,
    credential: Option<&'a str>,
) -> Result<Asker<'a>, ApiError> {
    match credential {
        Some(credential) => Ok(Asker::Host(credential)),
        None => check_scheduler(authority, headers).map(|()| Asker::Scheduler),
    }
}

async fn info(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
) -> Result<Json<VisitInfo>, ApiError> {
    Ok(Json(authority.book.info(visit, now_ms()).await?))
}

async fn redeem(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Redeem>,
) -> Result<Json<Admission>, ApiError> {
    let holder = Holder {
        key: asked.jwk,
        name: asked.name_commitment,
    };
    let shown = Shown {
        secret: &asked.secret,
        credential: &asked.credential,
        passcode: asked.passcode.as_deref(),
    };
    match authority.book.redeem(visit, shown, holder, now_ms()).await {
        Ok(admitted) => Ok(Json(admitted)),
        Err(BookError::LinkUsed) => Err(ApiError::LinkUsed {
            browser: authority.book.browser_code(visit, shown).await?,
        }),
        Err(error) => Err(error.into()),
    }
}

async fn renew(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Renew>,
) -> Result<Json<Admission>, ApiError> {
    let admitted = authority
        .book
        .renew(visit, &asked.credential, asked.holder(), now_ms())
        .await?;
    Ok(Json(admitted))
}

async fn recorder_pass(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Renew>,
) -> Result<Json<Admission>, ApiError> {
    let admitted = authority
        .book
        .recorder_pass(visit, &asked.credential, asked.holder(), now_ms())
        .await?;
    Ok(Json(admitted))
}

async fn recorder_link(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Known>,
) -> Result<Json<Link>, ApiError> {
    let link = authority
        .book
        .recorder_link(visit, &asked.credential, now_ms())
        .await?;
    Ok(Json(link))
}

async fn renew_link(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    headers: HeaderMap,
    Json(asked): Json<AskedFor>,
) -> Result<Json<Link>, ApiError> {
    let asker = asker(&authority, &headers, asked.credential.as_deref())?;
    let link = authority
        .book
        .renew_link(visit, asker, asked.participant, now_ms())
        .await?;
    Ok(Json(link))
}

async fn approve(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    headers: HeaderMap,
    Json(asked): Json<Approve>,
) -> Result<StatusCode, ApiError> {
    let asker = asker(&authority, &headers, asked.credential.as_deref())?;
    authority
        .book
        .approve(visit, asker, asked.participant, &asked.browser, now_ms())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn unlock_passcode(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    headers: HeaderMap,
    Json(asked): Json<AskedFor>,
) -> Result<StatusCode, ApiError> {
    let asker = asker(&authority, &headers, asked.credential.as_deref())?;
    authority
        .book
        .unlock_passcode(visit, asker, asked.participant, now_ms())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn overview(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Json<Overview>, ApiError> {
    let asker = asker(&authority, &headers, asked.credential.as_deref())?;
    let overview = authority.book.overview(visit, asker, now_ms()).await?;
    Ok(Json(overview))
}

async fn lock(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Lock>,
) -> Result<StatusCode, ApiError> {
    let Lock { credential, locked } = asked;
    authority
        .book
        .lock(visit, &credential, locked, now_ms())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Known>,
) -> Result<StatusCode, ApiError> {
    authority
        .book
        .end(visit, &asked.credential, now_ms())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

enum ApiError {
    Book(BookError),
    /// By another browser; the code of this one, if it can be approved.
    LinkUsed {
        browser: Option<String>,
    },
    NotTheScheduler,
    /// Of one address; until when there is room again.
    TooMany(Duration),
}

impl From<BookError> for ApiError {
    fn from(error: BookError) -> Self {
        ApiError::Book(error)
    }
}

impl ApiError {
    fn is_to_known_caller(&self) -> bool {
        match self {
            ApiError::NotTheScheduler | ApiError::TooMany(_) => false,
            ApiError::LinkUsed { .. } => true,
            ApiError::Book(error) => !matches!(
                error,
                BookError::UnknownVisit | BookError::UnknownLink | BookError::UnknownCredential
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message) = match &self {
            ApiError::Book(error) => {
                let status = match error {
                    BookError::UnknownVisit
                    | BookError::UnknownLink
                    | BookError::UnknownParticipant
                    | BookError::UnknownBrowser => StatusCode::NOT_FOUND,
                    BookError::LinkUsed | BookError::Ended | BookError::Over => StatusCode::GONE,
                    BookError::LinkLocked | BookError::Locked => StatusCode::LOCKED,
                    BookError::BadVisit | BookError::BadPasscode | BookError::BadCredential => {
                        StatusCode::UNPROCESSABLE_ENTITY
                    }
                    BookError::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
                    BookError::Storage => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::FORBIDDEN,
                };
                (status, error.code(), error.to_string())
            }
            ApiError::LinkUsed { .. } => {
                let error = BookError::LinkUsed;
                (StatusCode::GONE, error.code(), error.to_string())
            }
            ApiError::NotTheScheduler => (
                StatusCode::UNAUTHORIZED,
                "not_the_scheduler",
                "this needs the scheduler's token, or a host's credential".to_owned(),
            ),
            ApiError::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "too many requests from this address; wait a moment".to_owned(),
            ),
        };
        let mut body = serde_json::json!({"code": code, "message": message});
        if let ApiError::LinkUsed {
            browser: Some(browser),
        } = &self
        {
            body["browser"] = browser.as_str().into();
        }
        let mut response = (status, Json(body)).into_response();
        if self.is_to_known_caller() {
            response.extensions_mut().insert(KnownCaller);
        }
        if let ApiError::TooMany(wait) = self {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// Comparing hashes leaks nothing of the token by time.
fn token_hash(token: &str) -> Hash32 {
    sealed_visit_protocol::hash::sha256(format!("sealed-visit token v1\0{token}").as_bytes())
}

fn system_randomness(bytes: &mut [u8]) {
    // Without randomness no secret can be made: stopping is the only safe answer.
    getrandom::fill(bytes).expect("the operating system gives randomness");
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use tower::ServiceExt as _;

    async fn status(app: &Router, peer: &str, path: &str) -> StatusCode {
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let request = Request::get(path).extension(ConnectInfo(peer));
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    }

    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        let of = |peer: &str| {
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            let request = Request::get("/").extension(ConnectInfo(peer));
            address_of(&request.body(Body::empty()).unwrap())
        };
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    fn book() -> impl Future<Output = anyhow::Result<Book>> {
        Book::in_memory(SigningKey::from_seed(&[9; 32]), system_randomness)
    }

    async fn authority() -> (Arc<Authority>, Router) {
        let authority = Authority::new(book().await.unwrap(), TOKEN);
        (authority.clone(), routes(authority))
    }

    const TOKEN: &str = "a token of the scheduler";
    const CLINIC: &str = "2001:db8::1";

    /// As one connection from `peer` would send it.
    async fn send(
        app: &Router,
        peer: &str,
        request: axum::http::request::Builder,
        body: Body,
    ) -> (StatusCode, serde_json::Value) {
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .extension(ConnectInfo(peer));
        let response = app
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), MAX_BODY_BYTES)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn post_to(
        app: &Router,
        path: &str,
        body: serde_json::Value,
    ) -> (StatusCode, serde_json::Value) {
        send(
            app,
            CLINIC,
            Request::post(path),
            Body::from(body.to_string()),
        )
        .await
    }

    /// Of one browser, which has a credential of its own for each link.
    fn redemption(secret: &str, passcode: &str) -> serde_json::Value {
        serde_json::json!({
            "secret": secret,
            "credential": credential(secret),
            "jwk": SigningKey::from_seed(&[1; 32]).public(),
            "name_commitment": Hash32([1; 32]),
            "passcode": passcode,
        })
    }

    fn credential(secret: &str) -> Hash32 {
        sealed_visit_protocol::hash::sha256(secret.as_bytes())
    }

    /// A visit that begins now, with a clinician and two patients who have a passcode.
    async fn visit(authority: &Authority) -> VisitLinks {
        let participants = serde_json::json!([
            {"role": "clinician"},
            {"role": "patient", "passcode": "4711"},
            {"role": "patient", "passcode": "4711"},
        ]);
        let asked = serde_json::json!({
            "starts_ms": now_ms(), "ends_ms": now_ms() + 3_600_000, "participants": participants,
        });
        let asked = serde_json::from_value(asked).unwrap();
        authority.book.create(&asked).await.unwrap()
    }

    /// Takes all that an address has for the next hour, however slowly the test runs.
    fn use_up(limiter: &Mutex<Limiter<IpAddr>>) {
        let address = CLINIC.parse::<std::net::Ipv6Addr>().unwrap().to_bits() >> 64 << 64;
        let later = Instant::now() + Duration::from_secs(3_600);
        while lock_of(limiter)
            .take(IpAddr::V6(address.into()), later)
            .is_ok()
        {}
    }

    #[tokio::test]
    async fn one_address_that_guesses_is_told_to_wait_and_others_are_served() {
        let (_, app) = authority().await;
        let unknown = format!("/v1/visits/{}", VisitId::from_bytes([7; 16]));
        let mut seen = Vec::new();
        // More than what comes back while they are asked, on the slowest machine: each costs a token of its own.
        while seen.last() != Some(&StatusCode::TOO_MANY_REQUESTS) {
            seen.push(status(&app, CLINIC, &unknown).await);
            assert!(seen.len() < 5_000, "never limited");
        }
        assert!(seen.len() > GUESS_RATE.burst as usize);
        for other in ["2001:db8:0:1::1", "192.0.2.1"] {
            assert_eq!(status(&app, other, &unknown).await, StatusCode::NOT_FOUND);
        }
        let health = status(&app, CLINIC, "/healthz").await;
        assert_eq!(health, StatusCode::OK);
    }

    #[tokio::test]
    async fn whoever_has_something_good_gets_in_from_an_address_that_is_told_to_wait() {
        let (authority, app) = authority().await;
        for limiter in [&authority.guesses, &authority.requests] {
            let links = visit(&authority).await;
            let path = format!("/v1/visits/{}", links.visit);
            use_up(limiter);
            let guess = redemption("no such secret", "4711");
            let (status, refused) = post_to(&app, &format!("{path}/redeem"), guess).await;
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(refused["code"], "too_many_requests");

            let (status, _) = send(&app, CLINIC, Request::get(&path), Body::empty()).await;
            assert_eq!(status, StatusCode::OK);
            let asked = redemption(&links.links[0].secret, "");
            let (status, admitted) = post_to(&app, &format!("{path}/redeem"), asked).await;
            assert_eq!(status, StatusCode::OK, "{admitted}");
            let known = serde_json::json!({"credential": credential(&links.links[0].secret)});
            let (status, _) = post_to(&app, &format!("{path}/overview"), known).await;
            assert_eq!(status, StatusCode::OK);
            let bearer = format!("Bearer {TOKEN}");
            let asked = serde_json::json!({
                "starts_ms": 1, "ends_ms": 2, "participants": [{"role": "clinician"}],
            });
            let asked = Body::from(asked.to_string());
            let request = Request::post("/v1/visits").header(header::AUTHORIZATION, bearer);
            assert_eq!(
                send(&app, CLINIC, request, asked).await.0,
                StatusCode::CREATED
            );
        }
    }

    #[tokio::test]
    async fn passcodes_are_guessed_five_times_and_no_more_whatever_the_address_is_told() {
        let (authority, app) = authority().await;
        let links = visit(&authority).await;
        let path = format!("/v1/visits/{}/redeem", links.visit);
        use_up(&authority.requests);
        let secret = &links.links[1].secret;
        for guess in ["0000", "0001", "0002", "0003", "0004"] {
            let (status, refused) = post_to(&app, &path, redemption(secret, guess)).await;
            assert_eq!(status, StatusCode::FORBIDDEN);
            assert_eq!(
                refused["code"], "wrong_passcode",
                "whoever mistypes is told so"
            );
        }
        let (status, _) = post_to(&app, &path, redemption(secret, "4711")).await;
        assert_eq!(status, StatusCode::LOCKED);
        // Somebody else's link is not touched by that.
        let other = redemption(&links.links[2].secret, "4711");
        assert_eq!(post_to(&app, &path, other).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn bodies_that_do_not_end_keep_nobody_at_their_address_waiting() {
        let (authority, app) = authority().await;
        let links = visit(&authority).await;
        let path = format!("/v1/visits/{}/redeem", links.visit);
        use_up(&authority.requests);
        let endless = || {
            let bytes =
                futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
            Box::pin(send(
                &app,
                CLINIC,
                Request::post(&path),
                Body::from_stream(bytes),
            ))
        };
        let mut slow: Vec<_> = (0..8).map(|_| endless()).collect();
        for request in &mut slow {
            assert!(futures_util::poll!(request.as_mut()).is_pending());
        }
        let good = redemption(&links.links[0].secret, "");
        assert_eq!(post_to(&app, &path, good).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_host_who_changes_a_visit_without_end_waits_and_another_does_not() {
        let (authority, app) = authority().await;
        let links = visit(&authority).await;
        let path = format!("/v1/visits/{}", links.visit);
        let asked = redemption(&links.links[0].secret, "");
        post_to(&app, &format!("{path}/redeem"), asked).await;
        let host = credential(&links.links[0].secret);
        use_up(&authority.requests);
        let mut locked = false;
        let mut changes = 0;
        loop {
            locked = !locked;
            let lock = serde_json::json!({"credential": host, "locked": locked});
            let (status, refused) = post_to(&app, &format!("{path}/lock"), lock).await;
            if status == StatusCode::TOO_MANY_REQUESTS {
                assert_eq!(refused["code"], "too_many_attempts");
                break;
            }
            changes += 1;
            assert!(changes < 5_000, "never limited");
        }
        let other = visit(&authority).await;
        let path = format!("/v1/visits/{}", other.visit);
        let asked = redemption(&other.links[0].secret, "");
        post_to(&app, &format!("{path}/redeem"), asked).await;
        let host = credential(&other.links[0].secret);
        let lock = serde_json::json!({"credential": host, "locked": true});
        let (status, _) = post_to(&app, &format!("{path}/lock"), lock).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }

    #[tokio::test]
    async fn help_for_who_is_locked_out_needs_a_host_or_the_scheduler() {
        let (authority, app) = authority().await;
        let links = visit(&authority).await;
        let path = |call: &str| format!("/v1/visits/{}/{call}", links.visit);
        let patient = &links.links[1];
        let first = redemption(&patient.secret, "4711");
        let (status, admitted) = post_to(&app, &path("redeem"), first.clone()).await;
        assert_eq!(status, StatusCode::OK);
        assert!(admitted.get("credential").is_none(), "the browser made it");
        // Someone else may have the link, and the public key from the pass; that does not make them this browser.
        let mut second = first;
        second["credential"] = serde_json::json!(Hash32([9; 32]));
        let (status, refused) = post_to(&app, &path("redeem"), second.clone()).await;
        assert_eq!(
            (status, &refused["code"]),
            (StatusCode::GONE, &"link_used".into())
        );
        let code = refused["browser"].as_str().unwrap();
        assert_eq!(code.len(), 4);

        let asked = serde_json::json!({"participant": patient.participant, "browser": code});
        let with = |token: &str, call: &str| {
            let bearer = format!("Bearer {token}");
            Request::post(path(call)).header(header::AUTHORIZATION, bearer)
        };
        for call in ["link", "approve", "unlock-passcode", "overview"] {
            for credential in ["null", "\"guess\"", &second["credential"].to_string()] {
                let mut asked = asked.clone();
                asked["credential"] = serde_json::from_str(credential).unwrap();
                let (status, _) = post_to(&app, &path(call), asked).await;
                assert!(
                    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status),
                    "{call} {status}"
                );
            }
            let body = Body::from(asked.to_string());
            let (status, _) = send(&app, CLINIC, with("wrong", call), body).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{call}");
        }
        let body = Body::from(asked.to_string());
        let (status, _) = send(&app, CLINIC, with(TOKEN, "approve"), body).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (status, _) = post_to(&app, &path("redeem"), second).await;
        assert_eq!(status, StatusCode::OK);
        let body = Body::from(asked.to_string());
        let (status, link) = send(&app, CLINIC, with(TOKEN, "link"), body).await;
        assert_eq!(status, StatusCode::OK);
        assert_ne!(link["secret"], patient.secret.as_str());
    }
}
