//! The frame engine for the transform worker: one class, flat calls, no allocation per frame.
//!
//! A frame passes through one buffer in the module's memory:
//!
//! ```js
//! const memory = wasmMemory()
//! const at = engine.prepare(frame.data.byteLength)
//! if (at) new Uint8Array(memory.buffer, at, frame.data.byteLength).set(new Uint8Array(frame.data))
//! const result = engine.encrypt(track, captureTimeUs)
//! if (result >= 0) frame.data = memory.buffer.slice(engine.framePointer(), engine.framePointer() + result)
//! else count(dropReasons()[-result])
//! ```
//!
//! Any call may grow the memory, which detaches every view of `memory.buffer`: make views after
//! `prepare` and after the call, and never keep one.

use js_sys::{Array, BigInt, Object};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::convert::{number, set, whole};
use crate::error::js_error;
use crate::member::{Media, SharedMedia};
use sealed_visit_frames::{
    codec::Codec,
    engine::{self, Decrypted, DropReason, FramesError, Outcome, TrackHandle, TrackStats},
    sframe::{FrameBuffer, Leaf},
};

/// What `decrypt` returns for a frame that waits; its ticket is in `ticket()`.
const WAITS: i32 = -1000;
/// What `nextReleased` returns when no waiting frame is due.
const NOTHING_DUE: i32 = -1001;

/// Encrypts and decrypts the media frames of one member of one visit.
///
/// Calls that refuse throw a `SealedVisitError` whose `code` begins with `frames-`; frames never
/// throw, they have results. Results of `encrypt`, `decrypt` and `nextReleased` are a length in
/// bytes (forward), minus a drop reason's code (see `dropReasons`), or `FrameEngine.WAITS` /
/// `FrameEngine.NOTHING_DUE`.
#[wasm_bindgen]
pub struct FrameEngine {
    media: SharedMedia,
    buffer: FrameBuffer,
    input: Input,
    capture_time_us: u64,
    layer: u8,
    track: u32,
    ticket: u32,
}

#[wasm_bindgen]
impl FrameEngine {
    /// An engine without keys or tracks. Keys come from the visit that it is given to.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self {
            media: Rc::new(RefCell::new(Media::new())),
            buffer: FrameBuffer::new(),
            input: Input::None,
            capture_time_us: 0,
            layer: 0,
            track: 0,
            ticket: 0,
        }
    }

    /// The result of a frame that waits.
    #[wasm_bindgen(getter, js_name = WAITS)]
    pub fn waits() -> i32 {
        WAITS
    }

    /// The result of `nextReleased` when no waiting frame is due.
    #[wasm_bindgen(getter, js_name = NOTHING_DUE)]
    pub fn nothing_due() -> i32 {
        NOTHING_DUE
    }

    /// Wipes the frame buffer: for when the keys are gone.
    pub fn wipe(&mut self) {
        self.buffer.wipe();
        self.input = Input::None;
    }

    /// Closes (`false`) or opens the page's gate before everything that is sent. The visit has one of its own: frames leave
    /// while both are open.
    #[wasm_bindgen(js_name = setSending)]
    pub fn set_sending(&mut self, open: bool) {
        self.media.borrow_mut().set_page_open(open);
    }

    /// Opens a track to send on and returns its handle. Simulcast layers are opened one by one under
    /// the same id; `layer` is 0 to 15. Throws `frames-unsupported-codec`,
    /// `frames-layer-out-of-range`, `frames-track-tag-taken`.
    #[wasm_bindgen(js_name = openSendTrack)]
    pub fn open_send_track(
        &mut self,
        track_id: &str,
        layer: u8,
        mime_type: &str,
    ) -> Result<u32, JsValue> {
        let codec = codec_of(mime_type)?;
        Ok(self
            .media
            .borrow_mut()
            .engine
            .open_send_track(track_id, layer, codec)
            .map_err(to_js)?
            .0)
    }

    /// Opens a track to receive on, which `expected_leaf` announced as `track_id`, and returns its
    /// handle. Throws `frames-unsupported-codec`, `frames-leaf-out-of-range`.
    #[wasm_bindgen(js_name = openReceiveTrack)]
    pub fn open_receive_track(
        &mut self,
        track_id: &str,
        expected_leaf: u32,
        mime_type: &str,
    ) -> Result<u32, JsValue> {
        let codec = codec_of(mime_type)?;
        Ok(self
            .media
            .borrow_mut()
            .engine
            .open_receive_track(track_id, leaf_of(expected_leaf)?, codec)
            .0)
    }

    /// Tells that the frames of a track are of another codec now. Throws
    /// `frames-unsupported-codec`, after which the track drops every frame until the codec changes
    /// again, and `frames-unknown-track`.
    #[wasm_bindgen(js_name = setTrackCodec)]
    pub fn set_track_codec(&mut self, track: u32, mime_type: &str) -> Result<(), JsValue> {
        self.media
            .borrow_mut()
            .engine
            .set_track_codec(TrackHandle(track), mime_type)
            .map_err(to_js)
    }

    /// Closes a track; forget the frames that wait on it. Throws `frames-unknown-track`.
    #[wasm_bindgen(js_name = closeTrack)]
    pub fn close_track(&mut self, track: u32) -> Result<(), JsValue> {
        self.media
            .borrow_mut()
            .engine
            .close_track(TrackHandle(track))
            .map(drop)
            .map_err(to_js)
    }

    /// Makes room for a frame of `length` bytes and returns where in the module's memory to write
    /// it. May grow the memory. A frame longer than 8 MiB gets no room (0): do not write it, but
    /// call `encrypt` or `decrypt` as always, which drops and counts it.
    pub fn prepare(&mut self, length: usize) -> *const u8 {
        if length > engine::MAX_FRAME_BYTES {
            self.input = Input::TooLarge;
            return std::ptr::null();
        }
        self.input = Input::Frame;
        self.buffer.prepare(length).as_ptr()
    }

    /// Where in the module's memory the frame lies that the last call forwarded.
    #[wasm_bindgen(js_name = framePointer)]
    pub fn frame_pointer(&self) -> *const u8 {
        self.buffer.bytes().as_ptr()
    }

    /// Encrypts the frame written after `prepare`. Returns a length or minus a drop reason.
    /// `capture_time_us`: microseconds on a clock that all tracks of this sender share.
    pub fn encrypt(&mut self, track: u32, capture_time_us: f64) -> i32 {
        if let Err(reason) = self.take_input() {
            return dropped(
                self.media
                    .borrow_mut()
                    .engine
                    .refuse(TrackHandle(track), reason),
            );
        }
        match self.media.borrow_mut().engine.encrypt(
            TrackHandle(track),
            whole(capture_time_us),
            &mut self.buffer,
        ) {
            Outcome::Forward(()) => self.buffer.bytes().len() as i32,
            Outcome::Drop(reason) => dropped(reason),
            Outcome::Wait(_) => unreachable!("frames that are sent never wait"),
        }
    }

    /// Decrypts the frame written after `prepare`. Returns a length, minus a drop reason, or
    /// `WAITS`: keep the JavaScript frame object under `ticket()` until `nextReleased` names it.
    /// After a forward `captureTimeUs()` and `layer()` tell more.
    pub fn decrypt(&mut self, track: u32, now_ms: f64) -> i32 {
        if let Err(reason) = self.take_input() {
            return dropped(
                self.media
                    .borrow_mut()
                    .engine
                    .refuse(TrackHandle(track), reason),
            );
        }
        let outcome = self.media.borrow_mut().engine.decrypt(
            TrackHandle(track),
            whole(now_ms),
            &mut self.buffer,
        );
        self.track = track;
        self.result_of(outcome)
    }

    /// Finishes the next frame that waited: returns a length, minus a drop reason, or `NOTHING_DUE`.
    /// `ticket()` and `track()` tell which frame it was. Call it until `NOTHING_DUE` after every
    /// new epoch, and at least every 100 ms while frames wait.
    #[wasm_bindgen(js_name = nextReleased)]
    pub fn next_released(&mut self, now_ms: f64) -> i32 {
        self.input = Input::None;
        let released = self
            .media
            .borrow_mut()
            .engine
            .next_released(whole(now_ms), &mut self.buffer);
        match released {
            None => NOTHING_DUE,
            Some(released) => {
                self.track = released.track.0;
                self.ticket = released.ticket.0;
                self.result_of(released.outcome)
            }
        }
    }

    /// When the frame decrypted last was captured, in microseconds on its sender's clock.
    #[wasm_bindgen(js_name = captureTimeUs)]
    pub fn capture_time_us(&self) -> f64 {
        self.capture_time_us as f64
    }

    /// The layer of the frame decrypted last.
    pub fn layer(&self) -> u8 {
        self.layer
    }

    /// The track of the last result.
    pub fn track(&self) -> u32 {
        self.track
    }

    /// The ticket of the frame that the last `decrypt` has wait, or that the last `nextReleased`
    /// finished.
    pub fn ticket(&self) -> u32 {
        self.ticket
    }

    /// A track's counts so far. Throws `frames-unknown-track`.
    #[wasm_bindgen(js_name = trackStats, unchecked_return_type = "FrameTrackStats")]
    pub fn track_stats(&self, track: u32) -> Result<Object, JsValue> {
        let media = self.media.borrow();
        let stats = media
            .engine
            .track_stats(TrackHandle(track))
            .map_err(to_js)?;
        Ok(stats_object(stats))
    }

    /// Frames encrypted so far, as `[epoch, count]` pairs, past epochs included.
    #[wasm_bindgen(js_name = encryptedPerEpoch, unchecked_return_type = "[bigint, number][]")]
    pub fn encrypted_per_epoch(&self) -> Array {
        let media = self.media.borrow();
        let pairs = media.engine.encrypted_per_epoch().iter();
        pairs
            .map(|(epoch, count)| Array::of2(&BigInt::from(epoch.0), &number(*count)))
            .collect()
    }

    /// The epoch that frames are sent in.
    #[wasm_bindgen(js_name = sendingEpoch)]
    pub fn sending_epoch(&self) -> Option<u64> {
        let media = self.media.borrow();
        media.engine.sending_epoch().map(|epoch| epoch.0)
    }
}

impl FrameEngine {
    /// What a visit shares with this engine.
    pub(crate) fn media(&self) -> &SharedMedia {
        &self.media
    }

    /// What `prepare` made room for, once: what the buffer holds afterwards is a result.
    fn take_input(&mut self) -> Result<(), DropReason> {
        match std::mem::replace(&mut self.input, Input::None) {
            Input::Frame => Ok(()),
            Input::TooLarge => Err(DropReason::TooLarge),
            Input::None => Err(DropReason::Malformed),
        }
    }

    fn result_of(&mut self, outcome: Outcome<Decrypted>) -> i32 {
        match outcome {
            Outcome::Forward(Decrypted {
                capture_time_us,
                layer,
            }) => {
                self.capture_time_us = capture_time_us;
                self.layer = layer;
                self.buffer.bytes().len() as i32
            }
            Outcome::Drop(reason) => dropped(reason),
            Outcome::Wait(ticket) => {
                self.ticket = ticket.0;
                WAITS
            }
        }
    }
}

/// What the buffer holds for the next call.
enum Input {
    None,
    Frame,
    TooLarge,
}

impl Default for FrameEngine {
    fn default() -> Self {
        Self::new()
    }
}

/// The names of the drop reasons by code; index 0 is empty.
#[wasm_bindgen(js_name = dropReasons, unchecked_return_type = "(\"\" | DropReason)[]")]
pub fn drop_reasons() -> Array {
    let names = DropReason::ALL.into_iter().map(DropReason::name);
    std::iter::once("")
        .chain(names)
        .map(JsValue::from_str)
        .collect()
}

/// The module's memory, in which frames are written and read. The object stays the same, its
/// `buffer` does not.
#[wasm_bindgen(js_name = wasmMemory, unchecked_return_type = "WebAssembly.Memory")]
pub fn wasm_memory() -> JsValue {
    wasm_bindgen::memory()
}

#[wasm_bindgen(typescript_custom_section)]
const DROP_REASONS: &str = engine::DROP_REASONS_TYPESCRIPT;

#[wasm_bindgen(typescript_custom_section)]
const STATS: &str = "
/** What happened on a track so far, in frames. */
export interface FrameTrackStats {
  encrypted: number;
  decrypted: number;
  /** Frames that had to wait for a key; each is counted again when it is released. */
  waited: number;
  /** Frames dropped, by reason; reasons that did not occur are absent. */
  dropped: { [reason in DropReason]?: number };
  /** The leaf that sent the last frame dropped as \"wrong-sender\", proven by its key. */
  lastWrongSender: number | undefined;
}
";

fn stats_object(stats: &TrackStats) -> Object {
    let dropped = Object::new();
    for (reason, count) in stats.dropped.iter() {
        set(&dropped, reason.name(), &number(count));
    }
    let object = Object::new();
    set(&object, "encrypted", &number(stats.encrypted));
    set(&object, "decrypted", &number(stats.decrypted));
    set(&object, "waited", &number(stats.waited));
    set(&object, "dropped", &dropped);
    let wrong_sender = stats.last_wrong_sender.map(|leaf| f64::from(leaf.index()));
    set(&object, "lastWrongSender", &JsValue::from(wrong_sender));
    object
}

fn dropped(reason: DropReason) -> i32 {
    -i32::from(reason.code())
}

fn leaf_of(index: u32) -> Result<Leaf, JsValue> {
    Leaf::new(index).map_err(|error| to_js(error.into()))
}

fn codec_of(mime_type: &str) -> Result<Codec, JsValue> {
    Codec::from_mime_type(mime_type).map_err(|error| to_js(error.into()))
}

fn to_js(error: FramesError) -> JsValue {
    js_error(error.code(), &error.to_string(), JsValue::UNDEFINED)
}

#[cfg(all(test, target_arch = "wasm32", feature = "test-hooks"))]
mod tests {
    use js_sys::{Error, Reflect, Uint8Array, WebAssembly::Memory};
    use wasm_bindgen::JsCast;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// As JavaScript does it: write into the memory, call, read from the memory.
    fn pass(
        engine: &mut FrameEngine,
        frame: &[u8],
        call: impl FnOnce(&mut FrameEngine) -> i32,
    ) -> Result<Vec<u8>, i32> {
        let at = engine.prepare(frame.len());
        if !at.is_null() {
            view(at, frame.len()).copy_from(frame);
        }
        let result = call(engine);
        if result < 0 {
            Err(result)
        } else {
            Ok(copy(engine.frame_pointer(), result as u32))
        }
    }

    /// Copied out of the memory first: allocating the result may detach views.
    fn copy(at: *const u8, length: u32) -> Vec<u8> {
        let memory: Memory = wasm_memory().unchecked_into();
        let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
        Uint8Array::new(&buffer.slice_with_end(at as u32, at as u32 + length)).to_vec()
    }

    fn view(at: *const u8, length: usize) -> Uint8Array {
        let memory: Memory = wasm_memory().unchecked_into();
        Uint8Array::new_with_byte_offset_and_length(&memory.buffer(), at as u32, length as u32)
    }

    fn engine(own_leaf: u32, epoch: u64) -> FrameEngine {
        let mut engine = FrameEngine::new();
        engine
            .install_epoch(epoch, &[epoch as u8; 16], own_leaf as u8, &[0, 1])
            .unwrap();
        engine.send_in_epoch(epoch).unwrap();
        engine
    }

    fn code(error: JsValue) -> String {
        let error: Error = error.unchecked_into();
        assert_eq!(error.name(), "SealedVisitError");
        Reflect::get(&error, &"code".into())
            .unwrap()
            .as_string()
            .unwrap()
    }

    #[wasm_bindgen_test]
    fn passes_frames_through_the_memory() {
        let (mut alice, mut bob) = (engine(0, 1), engine(1, 1));
        let out = alice.open_send_track("camera", 3, "video/VP9").unwrap();
        let incoming = bob.open_receive_track("camera", 0, "video/VP9").unwrap();
        for length in [0, 1, 1_200, 100_000, 3_000_000] {
            let frame = vec![7; length];
            let sealed = pass(&mut alice, &frame, |engine| engine.encrypt(out, 5e15)).unwrap();
            assert!(sealed.len() > length && sealed != frame);
            let opened = pass(&mut bob, &sealed, |engine| engine.decrypt(incoming, 0.0)).unwrap();
            assert!(opened == frame, "{length} bytes");
            assert_eq!((bob.capture_time_us(), bob.layer()), (5e15, 3));
        }
    }

    #[wasm_bindgen_test]
    fn returns_drop_reasons_as_negative_codes_that_have_names() {
        let mut bob = engine(1, 1);
        let incoming = bob.open_receive_track("camera", 0, "video/VP9").unwrap();
        let result = pass(&mut bob, &[0; 100], |engine| engine.decrypt(incoming, 0.0)).unwrap_err();
        let name = drop_reasons()
            .get(result.unsigned_abs())
            .as_string()
            .unwrap();
        assert_eq!(name, "no-key");
        let stats = bob.track_stats(incoming).unwrap();
        let dropped = Reflect::get(&stats, &"dropped".into()).unwrap();
        assert_eq!(
            Reflect::get(&dropped, &"no-key".into()).unwrap().as_f64(),
            Some(1.0)
        );
    }

    #[wasm_bindgen_test]
    fn drops_what_was_not_prepared_or_is_too_large() {
        let mut alice = engine(0, 1);
        let out = alice.open_send_track("camera", 0, "video/VP9").unwrap();
        pass(&mut alice, b"frame", |engine| engine.encrypt(out, 0.0)).unwrap();
        // What is in the buffer now is a result, and never an input.
        assert_eq!(alice.encrypt(out, 0.0), dropped(DropReason::Malformed));
        assert!(alice.prepare(engine::MAX_FRAME_BYTES + 1).is_null());
        assert_eq!(alice.encrypt(out, 0.0), dropped(DropReason::TooLarge));
        assert!(alice.frame_pointer() as usize != 0);
    }

    #[wasm_bindgen_test]
    fn names_waiting_frames_by_their_tickets() {
        let (mut alice, mut bob) = (engine(0, 2), engine(1, 1));
        let out = alice.open_send_track("camera", 0, "video/VP9").unwrap();
        let incoming = bob.open_receive_track("camera", 0, "video/VP9").unwrap();
        let mut tickets = Vec::new();
        for n in 0..3 {
            let sealed = pass(&mut alice, &[n; 50], |engine| engine.encrypt(out, 0.0)).unwrap();
            let result = pass(&mut bob, &sealed, |engine| engine.decrypt(incoming, 10.0));
            assert_eq!(result, Err(WAITS));
            tickets.push(bob.ticket());
        }
        assert_eq!(bob.next_released(20.0), NOTHING_DUE);
        bob.install_epoch(2, &[2; 16], 1, &[0, 1]).unwrap();
        for (n, ticket) in (0..3).zip(tickets) {
            let length = bob.next_released(30.0);
            assert_eq!((length, bob.ticket(), bob.track()), (50, ticket, incoming));
            assert_eq!(copy(bob.frame_pointer(), 50), vec![n; 50]);
        }
        assert_eq!(bob.next_released(30.0), NOTHING_DUE);
    }

    #[wasm_bindgen_test]
    fn throws_errors_with_codes() {
        let mut alice = engine(0, 5);
        assert_eq!(
            code(alice.open_send_track("a", 0, "video/AV1").unwrap_err()),
            "frames-unsupported-codec"
        );
        assert_eq!(
            code(alice.open_send_track("a", 16, "video/VP9").unwrap_err()),
            "frames-layer-out-of-range"
        );
        assert_eq!(
            code(alice.install_epoch(5, &[9; 16], 0, &[0]).unwrap_err()),
            "frames-epoch-order"
        );
        assert_eq!(
            code(alice.install_epoch(6, &[5; 16], 0, &[0]).unwrap_err()),
            "frames-base-key-reused"
        );
        assert_eq!(
            code(alice.install_epoch(6, &[6; 15], 0, &[0]).unwrap_err()),
            "frames-base-key-length"
        );
        assert_eq!(
            code(alice.install_epoch(6, &[6; 16], 0, &[64]).unwrap_err()),
            "frames-leaf-out-of-range"
        );
        assert_eq!(
            code(alice.send_in_epoch(4).unwrap_err()),
            "frames-unknown-epoch"
        );
        assert_eq!(
            code(alice.close_track(77).unwrap_err()),
            "frames-unknown-track"
        );
    }

    #[wasm_bindgen_test]
    fn reports_a_panic_without_formatted_values() {
        assert_eq!(
            crate::panic::message(&"fixed", None),
            "panicked at an unknown place: fixed"
        );
        let formatted = String::from("key 0011");
        assert_eq!(
            crate::panic::message(&formatted, Some("x.rs:1")),
            "panicked at x.rs:1"
        );
    }
}
