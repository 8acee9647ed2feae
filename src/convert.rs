//! JavaScript's plain values.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

pub(crate) fn set(object: &Object, name: &str, value: &JsValue) {
    // Setting a field of a plain, fresh object does not fail.
    let _ = Reflect::set(object, &JsValue::from_str(name), value);
}

pub(crate) fn number(count: u64) -> JsValue {
    JsValue::from_f64(count as f64)
}

/// JavaScript's times and sizes: negative ones and NaN become 0, fractions are cut off.
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}
