//! A panic ends the module instance: it is reported once, and nothing may be called afterwards.

use std::{any::Any, cell::RefCell, panic};

use js_sys::Function;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

thread_local! {
    static REPORT: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Has panics of this module reported to `report(message: string)` before the call that panicked
/// traps with a `WebAssembly.RuntimeError`.
///
/// The message says where and, for a fixed text, what; never a formatted value, so neither keys nor
/// media. After it the instance must not be used again: end the worker.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(
    #[wasm_bindgen(unchecked_param_type = "(message: string) => void")] report: Function,
) {
    REPORT.set(Some(report));
    panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|at| format!("{}:{}", at.file(), at.line()));
        let message = message(info.payload(), place.as_deref());
        REPORT.with_borrow(|report| {
            if let Some(report) = report {
                // Nothing is left to do if the reporter itself throws.
                let _ = report.call1(&JsValue::UNDEFINED, &JsValue::from_str(&message));
            }
        });
    }));
}

/// Panic texts without arguments are `&'static str`; formatted ones are `String` and stay inside.
pub(crate) fn message(payload: &dyn Any, place: Option<&str>) -> String {
    let place = place.unwrap_or("an unknown place");
    match payload.downcast_ref::<&'static str>() {
        Some(text) => format!("panicked at {place}: {text}"),
        None => format!("panicked at {place}"),
    }
}
