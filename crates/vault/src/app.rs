//! Routes.
//!
//! | request | who may | what |
//! |---|---|---|
//! | `GET /healthz` | anybody | 200 when the database takes a row |
//! | `POST /v1/recordings` | proof of key | open statement in, shares and capability out |
//! | `PUT /v1/recordings/{r}/parts/{p}/envelopes/{t}` | capability | wrapped keys |
//! | `OPTIONS`, `POST /v1/recordings/{r}/parts/{p}/uploads` | capability | tus creation |
//! | `HEAD`, `PATCH`, `DELETE …/uploads/{t}` | capability | tus |
//! | `POST /v1/recordings/{r}/parts/{p}/finish` | capability | manifest in, receipt out |
//! | `POST /v1/recordings/{r}/parts/{p}/close` | capability | ends a part whose recorder is gone; receipt out |
//! | `GET /v1/recordings/{r}/parts/{p}/receipt` | capability or reader | the receipt again |
//! | `POST /v1/withdrawals` | signature | a withdrawal |
//! | `GET /v1/recordings`, `GET /v1/recordings/{r}` | reader | list, documents |
//! | `POST /v1/recordings/{r}/open` | reader | shares and download URLs, audited |
//! | `GET /v1/recordings/{r}/deletion` | capability or reader | the signed deletion record |
//! | `POST /v1/deletions` | the clinic's order | deletes what it names |
//! | `POST /v1/deletions/declined` | the clinic's decision | keeps a recording whose deletion was asked for |
//! | `GET /v1/tracks/{r}/{p}/{t}` | signed URL | ranged download |
//! | `GET /v1/audit` | reader | the audit log |

use crate::error::ApiError;
use crate::{
    Vault, cors, decline, deletion, download, envelope, finish, open, reading, tus, wipe,
    withdrawal,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post, put};
use sealed_visit_protocol::jws::MAX_JWS_BYTES;
use std::sync::Arc;
use tower::Layer as _;
use tower::util::MapRequestLayer;

/// The vault as an HTTP service.
pub fn router(vault: Arc<Vault>) -> Router {
    let routes = Router::new()
        .route("/healthz", get(health))
        .route("/v1/recordings", post(open::post).get(reading::list))
        .route("/v1/recordings/{recording}", get(reading::details))
        .route("/v1/recordings/{recording}/open", post(reading::open))
        .route(
            "/v1/recordings/{recording}/parts/{part}/envelopes/{track}",
            put(envelope::put),
        )
        .route(
            "/v1/recordings/{recording}/parts/{part}/finish",
            post(finish::post_finish),
        )
        .route(
            "/v1/recordings/{recording}/parts/{part}/close",
            post(finish::post_close),
        )
        .route(
            "/v1/recordings/{recording}/parts/{part}/receipt",
            get(finish::get_receipt),
        )
        .route(
            "/v1/recordings/{recording}/parts/{part}/wiped",
            post(wipe::post),
        )
        .route("/v1/recordings/{recording}/deletion", get(deletion::get))
        .route("/v1/deletions", post(deletion::post))
        .route("/v1/deletions/declined", post(decline::post))
        .route("/v1/withdrawals", post(withdrawal::post))
        .route("/v1/tracks/{recording}/{part}/{track}", get(download::get))
        .route("/v1/audit", get(reading::audit_log))
        .merge(tus::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_JWS_BYTES))
        .layer(axum::middleware::from_fn_with_state(
            vault.config.allow_origins.clone(),
            cors::layer,
        ))
        .with_state(vault);
    // The method must be the overridden one before a route is chosen.
    let overridden = MapRequestLayer::new(tus::override_method).layer(routes);
    Router::new().fallback_service(overridden)
}

async fn health(State(vault): State<Arc<Vault>>) -> Result<&'static str, ApiError> {
    vault.health.check(&vault.db, vault.now_ms()).await?;
    Ok("ok")
}

async fn nothing_here() -> ApiError {
    ApiError::not_found("there is nothing at this path")
}

/// Preflights end here: the routes themselves know no OPTIONS, and [`cors::layer`] says what is allowed.
async fn method_not_allowed(method: http::Method) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    if method == http::Method::OPTIONS {
        return http::StatusCode::NO_CONTENT.into_response();
    }
    ApiError::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path does not accept that method",
    )
    .into_response()
}
