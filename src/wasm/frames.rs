//! The frame engine for the transform worker: one class, flat calls, no allocation per frame.
//!
//! A frame passes through one buffer in the module's memory:
//!
//! ```js
//! const { memory } = FrameEngine
//! const at = engine.prepare(frame.data.byteLength)
//! new Uint8Array(memory.buffer, at, frame.data.byteLength).set(new Uint8Array(frame.data))
//! const result = engine.encrypt(track, captureTimeUs)
//! if (result >= 0) frame.data = memory.buffer.slice(engine.framePointer(), engine.framePointer() + result)
//! else count(dropReasons()[-result])
//! ```
//!
//! Any call may grow the memory, which detaches every view of `memory.buffer`: make views after
//! `prepare` and after the call, and never keep one.

use js_sys::{Array, BigInt, Object, Reflect};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use zeroize::Zeroizing;

use super::error::js_error;
use crate::{
    codec::Codec,
    frames::{self, Decrypted, DropReason, FramesError, Outcome, TrackHandle, TrackStats},
    sframe::{Epoch, FrameBuffer, Leaf},
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
    engine: frames::FrameEngine,
    buffer: FrameBuffer,
    capture_time_us: u64,
    layer: u8,
    track: u32,
    ticket: u32,
}

#[wasm_bindgen]
impl FrameEngine {
    /// An engine without keys or tracks.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self {
            engine: frames::FrameEngine::new(),
            buffer: FrameBuffer::new(),
            capture_time_us: 0,
            layer: 0,
            track: 0,
            ticket: 0,
        }
    }

    /// The module's memory, in which frames are written and read. The object stays the same, its
    /// `buffer` does not.
    #[wasm_bindgen(getter, js_name = memory, unchecked_return_type = "WebAssembly.Memory")]
    pub fn memory() -> JsValue {
        wasm_bindgen::memory()
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

    /// Derives the keys of `epoch` from its 16 byte base key, and begins to receive in it.
    ///
    /// `leaves` are all present leaves, the own one included. The base key is copied and the copy
    /// wiped; wipe your own. Frames that waited for this epoch are now due: call `nextReleased`
    /// until it returns `NOTHING_DUE`. Returns the epochs that had to make room; if the sending
    /// epoch is among them, choose another. Throws `frames-epoch-order`, `frames-base-key-reused`,
    /// `frames-base-key-length`, `frames-not-a-member`, `frames-leaf-out-of-range`.
    #[wasm_bindgen(js_name = installEpoch, unchecked_return_type = "bigint[]")]
    pub fn install_epoch(
        &mut self,
        epoch: u64,
        base_key: Vec<u8>,
        own_leaf: u32,
        leaves: &[u8],
    ) -> Result<Array, JsValue> {
        let base_key = Zeroizing::new(base_key);
        let leaves: Result<Vec<_>, _> = leaves
            .iter()
            .map(|leaf| leaf_of(u32::from(*leaf)))
            .collect();
        let evicted = self
            .engine
            .install_epoch(Epoch(epoch), &base_key, leaf_of(own_leaf)?, &leaves?)
            .map_err(to_js)?;
        Ok(evicted
            .into_iter()
            .map(|epoch| JsValue::from(BigInt::from(epoch.0)))
            .collect())
    }

    /// Sends in `epoch` from now on. Throws `frames-unknown-epoch` if it is not live or is retired.
    #[wasm_bindgen(js_name = sendInEpoch)]
    pub fn send_in_epoch(&mut self, epoch: u64) -> Result<(), JsValue> {
        self.engine.send_in_epoch(Epoch(epoch)).map_err(to_js)
    }

    /// Ends sending in `epoch` at once, if it was the sending one; its keys open frames for two more
    /// seconds after `now_ms`. Throws `frames-unknown-epoch`.
    #[wasm_bindgen(js_name = retireEpoch)]
    pub fn retire_epoch(&mut self, epoch: u64, now_ms: f64) -> Result<(), JsValue> {
        self.engine
            .retire_epoch(Epoch(epoch), whole(now_ms))
            .map_err(to_js)
    }

    /// Destroys at once the keys of `leaf` in every epoch before `removed_in_epoch`, the one that
    /// began with the leaf's removal. Throws `frames-leaf-out-of-range`.
    #[wasm_bindgen(js_name = removeLeaf)]
    pub fn remove_leaf(&mut self, leaf: u32, removed_in_epoch: u64) -> Result<(), JsValue> {
        self.engine
            .remove_leaf(leaf_of(leaf)?, Epoch(removed_in_epoch));
        Ok(())
    }

    /// Destroys all keys and wipes the frame buffer. Tracks and counts stay; epochs may start again
    /// from any number; base keys used before stay refused.
    pub fn clear(&mut self) {
        self.engine.clear();
        self.buffer.wipe();
    }

    /// Closes (`false`) or opens the gate before everything that is sent.
    #[wasm_bindgen(js_name = setSending)]
    pub fn set_sending(&mut self, open: bool) {
        self.engine.set_sending(open);
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
            .engine
            .open_receive_track(track_id, leaf_of(expected_leaf)?, codec)
            .0)
    }

    /// Tells that the frames of a track are of another codec now. Throws
    /// `frames-unsupported-codec`, after which the track drops every frame until the codec changes
    /// again, and `frames-unknown-track`.
    #[wasm_bindgen(js_name = setTrackCodec)]
    pub fn set_track_codec(&mut self, track: u32, mime_type: &str) -> Result<(), JsValue> {
        self.engine
            .set_track_codec(TrackHandle(track), mime_type)
            .map_err(to_js)
    }

    /// Closes a track; forget the frames that wait on it. Throws `frames-unknown-track`.
    #[wasm_bindgen(js_name = closeTrack)]
    pub fn close_track(&mut self, track: u32) -> Result<(), JsValue> {
        self.engine
            .close_track(TrackHandle(track))
            .map(drop)
            .map_err(to_js)
    }

    /// Makes room for a frame of `length` bytes and returns where in the module's memory to write
    /// it. May grow the memory. A frame longer than 8 MiB gets no room (0): drop it.
    pub fn prepare(&mut self, length: usize) -> *const u8 {
        if length > frames::MAX_FRAME_BYTES {
            return std::ptr::null();
        }
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
        match self
            .engine
            .encrypt(TrackHandle(track), whole(capture_time_us), &mut self.buffer)
        {
            Outcome::Forward(()) => self.buffer.bytes().len() as i32,
            Outcome::Drop(reason) => dropped(reason),
            Outcome::Wait(_) => unreachable!("frames that are sent never wait"),
        }
    }

    /// Decrypts the frame written after `prepare`. Returns a length, minus a drop reason, or
    /// `WAITS`: keep the JavaScript frame object under `ticket()` until `nextReleased` names it.
    /// After a forward `captureTimeUs()` and `layer()` tell more.
    pub fn decrypt(&mut self, track: u32, now_ms: f64) -> i32 {
        let outcome = self
            .engine
            .decrypt(TrackHandle(track), whole(now_ms), &mut self.buffer);
        self.track = track;
        self.result_of(outcome)
    }

    /// Finishes the next frame that waited: returns a length, minus a drop reason, or `NOTHING_DUE`.
    /// `ticket()` and `track()` tell which frame it was. Call it until `NOTHING_DUE` after every
    /// `installEpoch`, and at least every 100 ms while frames wait.
    #[wasm_bindgen(js_name = nextReleased)]
    pub fn next_released(&mut self, now_ms: f64) -> i32 {
        match self.engine.next_released(whole(now_ms), &mut self.buffer) {
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
        let stats = self.engine.track_stats(TrackHandle(track)).map_err(to_js)?;
        Ok(stats_object(stats))
    }

    /// Frames encrypted so far, as `[epoch, count]` pairs, past epochs included.
    #[wasm_bindgen(js_name = encryptedPerEpoch, unchecked_return_type = "[bigint, number][]")]
    pub fn encrypted_per_epoch(&self) -> Array {
        let pairs = self.engine.encrypted_per_epoch().iter();
        pairs
            .map(|(epoch, count)| Array::of2(&BigInt::from(epoch.0), &number(*count)))
            .collect()
    }

    /// The epoch that frames are sent in.
    #[wasm_bindgen(js_name = sendingEpoch)]
    pub fn sending_epoch(&self) -> Option<u64> {
        self.engine.sending_epoch().map(|epoch| epoch.0)
    }

    /// The epochs whose keys are live, oldest first.
    #[wasm_bindgen(js_name = liveEpochs)]
    pub fn live_epochs(&self) -> Vec<u64> {
        self.engine.live_epochs().map(|epoch| epoch.0).collect()
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

#[wasm_bindgen(typescript_custom_section)]
const DROP_REASONS: &str = frames::DROP_REASONS_TYPESCRIPT;

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

fn set(object: &Object, name: &str, value: &JsValue) {
    // Setting a field of a plain, fresh object does not fail.
    let _ = Reflect::set(object, &JsValue::from_str(name), value);
}

fn number(count: u64) -> JsValue {
    JsValue::from_f64(count as f64)
}

/// JavaScript's times and sizes: negative ones and NaN become 0, fractions are cut off.
fn whole(number: f64) -> u64 {
    number as u64
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
