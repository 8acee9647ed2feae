//! The one shape in which errors reach JavaScript.

use js_sys::{Error, Reflect};
use wasm_bindgen::JsValue;

/// A JavaScript `Error` named `SealedVisitError` with a `code` to tell it by, a `message` for
/// people, and a `detail` (or `undefined`). None of them may hold keys, media or names.
pub(crate) fn js_error(code: &str, message: &str, detail: JsValue) -> JsValue {
    let error = Error::new(message);
    error.set_name("SealedVisitError");
    for (field, value) in [("code", JsValue::from_str(code)), ("detail", detail)] {
        // Setting a field of a plain, fresh object does not fail.
        let _ = Reflect::set(&error, &JsValue::from_str(field), &value);
    }
    error.into()
}
