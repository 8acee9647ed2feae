//! The authority's HTTP API.
//!
//! | call | who | what |
//! |---|---|---|
//! | `POST /v1/visits` | scheduler (bearer) | makes a visit, returns link secrets |
//! | `GET /v1/visits/{visit}` | anybody | times, template, whether it is locked, whether it has ended |
//! | `POST /v1/visits/{visit}/redeem` | link holder | `{secret, jwk, name_commitment, passcode?}` → pass, credential |
//! | `POST /v1/visits/{visit}/pass` | same browser | `{credential, jwk, name_commitment}` → pass |
//! | `POST /v1/visits/{visit}/recorder-pass` | host | the same → the recorder's pass |
//! | `POST /v1/visits/{visit}/recorder-link` | host | `{credential}` → a link for the recorder on another device; earlier ones are void |
//! | `POST /v1/visits/{visit}/overview` | host | `{credential}` → times, who was invited, who came, whose link another browser tried |
//! | `POST /v1/visits/{visit}/lock` | host | `{credential, locked}`: while locked, unused links are refused (`locked`) |
//! | `POST /v1/visits/{visit}/end` | host | `{credential}` |
//!
//! Host here is any clinician of the visit: who of them is host at the moment, the group knows alone.

use crate::book::{
    Admission, Book, BookError, Holder, Link, NewVisit, Overview, VisitInfo, VisitLinks,
};
use crate::persist;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sealed_visit_protocol::{Hash32, PublicKey, SigningKey, VisitId};
use serde::Deserialize;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tower_http::cors::CorsLayer;

/// How an authority is set up.
pub struct Config {
    pub key: SigningKey,
    /// Bearer token of the scheduler.
    pub scheduler_token: String,
    /// Where visits are kept; none keeps them in memory.
    pub file: Option<PathBuf>,
}

struct Authority {
    book: Mutex<Book>,
    scheduler_token: Hash32,
    file: Option<PathBuf>,
}

/// The API as a router, to be served alone or inside a clinic's own server.
pub fn router(config: Config) -> io::Result<Router> {
    let mut book = Book::new(config.key, system_randomness);
    if let Some(file) = &config.file {
        book.restore(persist::load(file)?);
    }
    let authority = Arc::new(Authority {
        book: Mutex::new(book),
        scheduler_token: token_hash(&config.scheduler_token),
        file: config.file,
    });
    Ok(Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/v1/visits", post(create))
        .route("/v1/visits/{visit}", get(info))
        .route("/v1/visits/{visit}/redeem", post(redeem))
        .route("/v1/visits/{visit}/pass", post(renew))
        .route("/v1/visits/{visit}/recorder-pass", post(recorder_pass))
        .route("/v1/visits/{visit}/recorder-link", post(recorder_link))
        .route("/v1/visits/{visit}/overview", post(overview))
        .route("/v1/visits/{visit}/lock", post(lock))
        .route("/v1/visits/{visit}/end", post(end))
        // No cookies are used: any origin may call, each call carries its own secret.
        .layer(CorsLayer::permissive())
        .with_state(authority))
}

#[derive(Deserialize)]
struct Redeem {
    secret: String,
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
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .unwrap_or_default();
    if token_hash(token) != authority.scheduler_token {
        return Err(ApiError::NotTheScheduler);
    }
    let links = authority.change(|book| book.create(&asked))?;
    Ok((StatusCode::CREATED, Json(links)))
}

async fn info(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
) -> Result<Json<VisitInfo>, ApiError> {
    Ok(Json(authority.lock().info(visit, now_ms())?))
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
    let now_ms = now_ms();
    let passcode = asked.passcode.as_deref();
    Ok(Json(authority.change(|book| {
        book.redeem(visit, &asked.secret, passcode, holder, now_ms)
    })?))
}

async fn renew(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Renew>,
) -> Result<Json<Admission>, ApiError> {
    Ok(Json(authority.change(|book| {
        book.renew(visit, &asked.credential, asked.holder(), now_ms())
    })?))
}

async fn recorder_pass(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Renew>,
) -> Result<Json<Admission>, ApiError> {
    Ok(Json(authority.change(|book| {
        book.recorder_pass(visit, &asked.credential, asked.holder(), now_ms())
    })?))
}

async fn recorder_link(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Known>,
) -> Result<Json<Link>, ApiError> {
    let now_ms = now_ms();
    Ok(Json(authority.change(|book| {
        book.recorder_link(visit, &asked.credential, now_ms)
    })?))
}

async fn overview(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Known>,
) -> Result<Json<Overview>, ApiError> {
    let overview = authority
        .lock()
        .overview(visit, &asked.credential, now_ms())?;
    Ok(Json(overview))
}

async fn lock(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Lock>,
) -> Result<StatusCode, ApiError> {
    authority.change(|book| book.lock(visit, &asked.credential, asked.locked, now_ms()))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(
    State(authority): State<Arc<Authority>>,
    Path(visit): Path<VisitId>,
    Json(asked): Json<Known>,
) -> Result<StatusCode, ApiError> {
    authority.change(|book| book.end(visit, &asked.credential, now_ms()))?;
    Ok(StatusCode::NO_CONTENT)
}

impl Authority {
    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change and makes it durable before it is answered. A failed try changes counters too, so it is saved.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<T, BookError>,
    ) -> Result<T, ApiError> {
        let mut book = self.lock();
        let outcome = change(&mut book);
        if let Some(file) = &self.file {
            persist::save(file, book.visits()).map_err(|error| {
                tracing::error!(%error, "visits could not be saved");
                ApiError::Storage
            })?;
        }
        Ok(outcome?)
    }
}

enum ApiError {
    Book(BookError),
    NotTheScheduler,
    Storage,
}

impl From<BookError> for ApiError {
    fn from(error: BookError) -> Self {
        ApiError::Book(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            ApiError::Book(error) => {
                let status = match error {
                    BookError::UnknownVisit | BookError::UnknownLink => StatusCode::NOT_FOUND,
                    BookError::LinkUsed | BookError::Ended => StatusCode::GONE,
                    BookError::LinkLocked | BookError::Locked => StatusCode::LOCKED,
                    BookError::BadVisit | BookError::BadPasscode => {
                        StatusCode::UNPROCESSABLE_ENTITY
                    }
                    _ => StatusCode::FORBIDDEN,
                };
                (status, error.code(), error.to_string())
            }
            ApiError::NotTheScheduler => (
                StatusCode::UNAUTHORIZED,
                "not_the_scheduler",
                "making a visit needs the scheduler's token".to_owned(),
            ),
            ApiError::Storage => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "storage",
                "the visit could not be saved; try again".to_owned(),
            ),
        };
        (
            status,
            Json(serde_json::json!({"code": code, "message": message})),
        )
            .into_response()
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
