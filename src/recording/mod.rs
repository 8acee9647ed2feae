//! Recordings for the workers: sealing in the recorder's, checking in the recovery's, opening in the player's.
//!
//! ```js
//! const draft = new PartDraft(rootKey, clinicDocument, plan)
//! const open = await sign({recording, part, ...draft.openInput()})      // the visit core's `sign_open`
//! const recorder = draft.start(open, vaultAnswer.tracks, startedMs)     // `draft` is used up
//! await spool(recorder.envelope(track)); await spool(recorder.trackStart(track))
//! const {bytes, offset} = recorder.seal(track, slice, mediaEndUs, Date.now())
//! const manifest = recorder.finish({reason: "stopped", ended_ms: Date.now()})   // `recorder` is used up
//! ```
//!
//! Everything that refuses throws a `SealedVisitError` with a `code`. Secrets go in as bytes and never come out; only a part's
//! renewal key does, which signs nothing but requests for an upload capability.

mod checker;
mod opener;
mod recorder;
mod values;

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");
