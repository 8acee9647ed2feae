//! `POST /v1/recordings/{recording}/parts/{part}/wiped`: a device has obeyed the clinic's wipe order, and says so.
//!
//! Input: the order itself, from the holder of the part's capability. It is verified again, and written into the audit
//! log once for each part. An order against a device leaves alone what the vault holds; one that grants a deletion is as
//! good here as at `/v1/deletions`.

use crate::audit::{self, Action, Actor};
use crate::error::{ApiError, ApiResult};
use crate::extract::{Path, Text};
use crate::{Vault, capability, deletion};
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderMap, StatusCode};
use sealed_visit_protocol::RecordingId;
use sealed_visit_protocol::jws::Jws;
use sealed_visit_protocol::recording::{WipeClaims, WipeReason};
use std::sync::Arc;

pub async fn post(
    State(vault): State<Arc<Vault>>,
    Path((recording, part)): Path<(RecordingId, u32)>,
    request: HeaderMap,
    Text(body): Text,
) -> ApiResult {
    let now_ms = vault.now_ms();
    capability::require(vault.key(), &request, now_ms, recording, part, None)?;
    vault.db.part(recording, part).await?;
    let jws = Jws::<WipeClaims>::from_text(body.trim());
    let order = WipeClaims::verify(&jws, vault.clinic.root())?;
    if !order.covers(recording) {
        return Err(ApiError::forbidden(
            "other_recording",
            "the wipe order is for other recordings",
        ));
    }
    let mut tx = vault.db.write().await?;
    let event = audit::Event::new(now_ms, Actor::Recorder, Action::SpoolWiped, recording);
    let event = event.in_part(part).on(jws.hash());
    if !audit::has(&mut tx, &event).await? {
        audit::append(&mut tx, event).await?;
    }
    tx.commit().await?;
    if order.reason == WipeReason::DeletionGranted {
        deletion::obey(&vault, &jws).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
