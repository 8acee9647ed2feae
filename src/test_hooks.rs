//! For tests and benchmarks only, in a build of their own that is never shipped: keys go in from JavaScript, and the log of every
//! key that a visit installed comes out.

use crate::error::js_error;
use crate::frames::FrameEngine;
use sealed_visit_frames::engine::FramesError;
use sealed_visit_frames::sframe::{Epoch, Leaf};
use sealed_visit_visit::visit::BaseKey;
use std::cell::RefCell;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An entry: epoch (8 bytes, little-endian), base key (16), own leaf, number of leaves, leaves.
pub(crate) fn log_key(epoch: Epoch, base_key: &BaseKey, own_leaf: Leaf, leaves: &[Leaf]) {
    LOG.with_borrow_mut(|log| {
        log.extend(epoch.0.to_le_bytes());
        log.extend(&base_key.0[..]);
        log.extend([own_leaf.index(), leaves.len() as u8]);
        log.extend(leaves.iter().map(|leaf| leaf.index()));
    });
}

/// Where in the module's memory the log is.
#[wasm_bindgen(js_name = keyLogPointer)]
pub fn key_log_pointer() -> *const u8 {
    LOG.with_borrow(|log| log.as_ptr())
}

/// How long it is, in bytes.
#[wasm_bindgen(js_name = keyLogLength)]
pub fn key_log_length() -> usize {
    LOG.with_borrow(Vec::len)
}

#[wasm_bindgen]
impl FrameEngine {
    /// Derives the keys of `epoch` from its 16 byte base key, and begins to receive in it.
    #[wasm_bindgen(js_name = installEpoch)]
    pub fn install_epoch(
        &mut self,
        epoch: u64,
        base_key: &[u8],
        own_leaf: u8,
        leaves: &[u8],
    ) -> Result<(), JsValue> {
        let leaf = |index: u8| Leaf::new(u32::from(index)).map_err(|error| to_js(&error.into()));
        let leaves = leaves
            .iter()
            .map(|index| leaf(*index))
            .collect::<Result<Vec<_>, _>>()?;
        let engine = &mut self.media().borrow_mut().engine;
        let installed = engine.install_epoch(Epoch(epoch), base_key, leaf(own_leaf)?, &leaves);
        installed.map(drop).map_err(|error| to_js(&error))
    }

    /// Sends in `epoch` from now on.
    #[wasm_bindgen(js_name = sendInEpoch)]
    pub fn send_in_epoch(&mut self, epoch: u64) -> Result<(), JsValue> {
        let engine = &mut self.media().borrow_mut().engine;
        engine
            .send_in_epoch(Epoch(epoch))
            .map_err(|error| to_js(&error))
    }
}

fn to_js(error: &FramesError) -> JsValue {
    js_error(error.code(), &error.to_string(), JsValue::UNDEFINED)
}
