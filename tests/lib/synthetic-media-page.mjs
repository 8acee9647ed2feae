/**
 * Runs in a page before its own scripts: replaces cameras, microphones and screens by the test
 * signal of media-code.mjs. Installed with synthetic-media.mjs, which fills in `SYNTHETIC_OPTIONS`.
 *
 * The picture does not depend on the page being visible, as a real camera's does not: an audio
 * callback, which browsers do not throttle, is the clock, and frames go into a track generator.
 * Where there is none (Firefox) a canvas is captured, by a timer, and the microphone is the
 * browser's own fake: without a sound card its AudioContext stands still.
 *
 * For tests: `globalThis.syntheticMedia` can `freeze(true)` the picture, `silence(true)` the sound,
 * `unplug("camera" | "microphone")`, and `resize(width, height)` the pictures of running cameras.
 */
import {
  beepGain,
  beepHz,
  beepMs,
  border,
  columns,
  encodeCells,
  flashMs,
  hopMs,
  panelColumns,
  panelHeightRatio,
  panelRows,
  rows,
  toneGain,
  toneHz,
} from "./media-code.mjs";

/** @type {import("./synthetic-media.mjs").SyntheticOptions} */
const options = SYNTHETIC_OPTIONS;

/** 11 ms, or 21 ms where the pictures are further apart. */
const CLOCK_BUFFER_SAMPLES = options.fps > 20 ? 512 : 1_024;
const TIMER_MS = 10;
/** Beeps and hops are scheduled this far ahead, so that a busy page does not delay them. */
const SCHEDULE_AHEAD_MS = 1_500;

const cameras = [
  { deviceId: "synthetic-camera-1", label: "Synthetic camera 1", source: options.participant },
  { deviceId: "synthetic-camera-2", label: "Synthetic camera 2", source: options.participant + 8 },
];
const microphones = [
  { deviceId: "synthetic-microphone-1", label: "Synthetic microphone 1", source: options.participant },
  { deviceId: "synthetic-microphone-2", label: "Synthetic microphone 2", source: options.participant + 8 },
];
const screenSource = options.participant + 16;

const state = { frozen: false, silent: false, live: new Set() };

const hasGenerator = "MediaStreamTrackGenerator" in globalThis;
const nativeGetUserMedia = globalThis.navigator?.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);

if (globalThis.navigator?.mediaDevices) install(navigator.mediaDevices);

function install(mediaDevices) {
  const define = (name, value) => Object.defineProperty(mediaDevices, name, { value, configurable: true });
  define("getUserMedia", getUserMedia);
  define("getDisplayMedia", getDisplayMedia);
  define("enumerateDevices", enumerateDevices);
  globalThis.syntheticMedia = {
    participant: options.participant,
    freeze: (frozen) => {
      state.frozen = frozen;
    },
    silence: (silent) => {
      state.silent = silent;
      for (const device of state.live) device.setSilent?.(silent);
    },
    unplug: (kind) => {
      for (const device of [...state.live]) if (device.kind === kind) device.unplug();
    },
    resize: (width, height) => {
      for (const device of state.live) if (device.kind === "camera") device.resize(width, height);
    },
  };
}

async function getUserMedia(constraints = {}) {
  if (options.deny) throw new DOMException("Permission denied", options.deny);
  if (!constraints.video && !constraints.audio)
    throw new TypeError("At least one of audio and video must be requested");
  const tracks = [];
  if (constraints.audio && !hasGenerator) tracks.push(...(await nativeGetUserMedia({ audio: true })).getTracks());
  else if (constraints.audio) tracks.push(startMicrophone(chooseDevice(microphones, constraints.audio)));
  if (constraints.video) tracks.push(startPicture("camera", chooseDevice(cameras, constraints.video)));
  return new MediaStream(tracks);
}

async function getDisplayMedia() {
  if (options.deny) throw new DOMException("Permission denied", options.deny);
  return new MediaStream([
    startPicture("screen", { deviceId: "synthetic-screen", label: "Synthetic screen", source: screenSource }),
  ]);
}

async function enumerateDevices() {
  const describe = (kind, device) => ({
    kind,
    groupId: "synthetic",
    deviceId: device.deviceId,
    label: device.label,
    toJSON() {},
  });
  return [
    ...cameras.map((device) => describe("videoinput", device)),
    ...microphones.map((device) => describe("audioinput", device)),
    describe("audiooutput", { deviceId: "default", label: "Synthetic speaker" }),
  ];
}

function chooseDevice(devices, constraint) {
  const wanted = constraint === true ? undefined : constraint.deviceId;
  const exact = typeof wanted === "object" ? wanted?.exact : undefined;
  const id = [exact ?? wanted?.ideal ?? wanted].flat()[0];
  const device = devices.find((candidate) => candidate.deviceId === id);
  if (exact && !device) throw new OverconstrainedError("deviceId", "no such synthetic device");
  return device ?? devices[0];
}

// --- Picture ------------------------------------------------------------------------------------

function startPicture(kind, device) {
  const canvas = document.createElement("canvas");
  canvas.width = options.width;
  canvas.height = options.height;
  const painter = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const output = hasGenerator ? generatorOutput(canvas) : canvasOutput(canvas);
  let frame = 0;
  let dueMs = performance.now();
  const clock = startClock(() => {
    if (output.track.readyState === "ended") return stop();
    const nowMs = performance.now();
    if (nowMs < dueMs) return;
    // As with a camera, frames that were missed are not made up for.
    dueMs = nextMultiple(nowMs - dueMs, 1_000 / options.fps) + dueMs;
    if (state.frozen && frame > 0) return;
    paint(painter, device.source, frame, Date.now());
    output.send(nowMs);
    frame += 1;
  });
  const stop = () => {
    clock.stop();
    state.live.delete(live);
  };
  const live = {
    kind,
    resize: (width, height) => Object.assign(canvas, { width, height }),
    unplug: () => {
      stop();
      output.end();
    },
  };
  state.live.add(live);
  return dressUp(output.track, kind === "camera" ? device : { ...device, displaySurface: "monitor" }, stop, canvas);
}

function generatorOutput(canvas) {
  const track = new MediaStreamTrackGenerator({ kind: "video" });
  const writer = track.writable.getWriter();
  return {
    track,
    send(nowMs) {
      // A sink that does not keep up loses frames, as with a camera.
      if (writer.desiredSize <= 0) return;
      writer.write(new VideoFrame(canvas, { timestamp: Math.round(nowMs * 1_000) })).catch(() => {});
    },
    // Closing the writable ends the track with its event, like a cable that is pulled.
    end: () => writer.close().catch(() => {}),
  };
}

function canvasOutput(canvas) {
  const [track] = canvas.captureStream(options.fps).getVideoTracks();
  return { track, send: () => {}, end: () => endTrack(track) };
}

function paint(painter, source, frame, wallMs) {
  const { width, height } = painter.canvas;
  const flash = wallMs % 1_000 < flashMs;
  const cell = Math.floor((height * panelHeightRatio) / panelRows);
  const left = Math.floor((width - cell * panelColumns) / 2);
  const top = Math.floor((height - cell * panelRows) / 2);
  painter.fillStyle = flash ? "#fff" : `hsl(${(source * 67) % 360} 60% 32%)`;
  painter.fillRect(0, 0, width, height);
  const box = (inset, color) => {
    painter.fillStyle = color;
    painter.fillRect(
      left + inset * cell,
      top + inset * cell,
      (panelColumns - 2 * inset) * cell,
      (panelRows - 2 * inset) * cell,
    );
  };
  box(0, "#000");
  box(1, "#fff");
  box(2, "#000");
  painter.fillStyle = "#fff";
  encodeCells({ source, flash, frame, timeMs: wallMs % 2 ** 32 }).forEach((white, index) => {
    if (!white) return;
    const column = index % columns;
    const row = Math.floor(index / columns);
    if (row < rows) painter.fillRect(left + (border + column) * cell, top + (border + row) * cell, cell, cell);
  });
  painter.font = `${Math.round(height / 16)}px sans-serif`;
  painter.fillStyle = flash ? "#000" : "#fff";
  painter.fillText(`${options.label} ${new Date(wallMs).toISOString().slice(11, 23)}`, height / 40, height / 14);
}

// --- Sound --------------------------------------------------------------------------------------

let sharedContext;

function audioContext() {
  sharedContext ??= new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" });
  if (sharedContext.state === "suspended") sharedContext.resume();
  return sharedContext;
}

/** Calls back every 10 ms or so, in hidden pages too. */
function startClock(callback) {
  if (!hasGenerator) {
    const timer = setInterval(callback, TIMER_MS);
    return { stop: () => clearInterval(timer) };
  }
  const context = audioContext();
  const processor = context.createScriptProcessor(CLOCK_BUFFER_SAMPLES, 1, 1);
  processor.onaudioprocess = callback;
  processor.connect(context.destination);
  return {
    stop() {
      processor.onaudioprocess = null;
      processor.disconnect();
    },
  };
}

function startMicrophone(device) {
  const context = audioContext();
  const destination = context.createMediaStreamDestination();
  destination.channelCount = 1;
  const volume = new GainNode(context, { gain: state.silent ? 0 : 1 });
  volume.connect(destination);
  const tone = new OscillatorNode(context, { frequency: toneHz(device.source, Date.now()) });
  tone.connect(new GainNode(context, { gain: toneGain })).connect(volume);
  const beep = new OscillatorNode(context, { frequency: beepHz(device.source) });
  const beepVolume = new GainNode(context, { gain: 0 });
  beep.connect(beepVolume).connect(volume);
  tone.start();
  beep.start();

  const [track] = destination.stream.getAudioTracks();
  let scheduledMs = Date.now();
  const clock = startClock(() => {
    if (track.readyState === "ended") return stop();
    const nowMs = Date.now();
    const toContextTime = (wallMs) => context.currentTime + (wallMs - nowMs) / 1_000;
    const untilMs = nowMs + SCHEDULE_AHEAD_MS;
    for (let hop = nextMultiple(scheduledMs, hopMs); hop <= untilMs; hop += hopMs) {
      tone.frequency.setValueAtTime(toneHz(device.source, hop), Math.max(0, toContextTime(hop)));
      if (hop % 1_000 !== 0) continue;
      beepVolume.gain.setValueAtTime(beepGain, Math.max(0, toContextTime(hop)));
      beepVolume.gain.setValueAtTime(0, Math.max(0, toContextTime(hop + beepMs)));
    }
    scheduledMs = Math.max(scheduledMs, untilMs);
  });
  const stop = () => {
    clock.stop();
    tone.stop();
    beep.stop();
    volume.disconnect();
    state.live.delete(live);
  };
  const live = {
    kind: "microphone",
    setSilent: (silent) => {
      volume.gain.value = silent ? 0 : 1;
    },
    unplug: () => {
      stop();
      endTrack(track);
    },
  };
  state.live.add(live);
  return dressUp(track, device, stop);
}

/** The first multiple of `step` after `value`. */
function nextMultiple(value, step) {
  return (Math.floor(value / step) + 1) * step;
}

// --- Tracks -------------------------------------------------------------------------------------

/** Makes a generated track look like a device's. */
function dressUp(track, device, onStop, canvas = null) {
  const settings = track.getSettings.bind(track);
  const stopTrack = track.stop.bind(track);
  const override = (name, value) => Object.defineProperty(track, name, { value, configurable: true });
  Object.defineProperty(track, "label", { get: () => device.label, configurable: true });
  override("getSettings", () => ({
    ...settings(),
    deviceId: device.deviceId,
    groupId: "synthetic",
    ...(canvas ? { width: canvas.width, height: canvas.height, frameRate: options.fps } : {}),
    ...(device.displaySurface ? { displaySurface: device.displaySurface } : {}),
  }));
  override("applyConstraints", async () => {});
  override("stop", () => {
    onStop();
    stopTrack();
  });
  return track;
}

/** Ends a track with its event, which `stop()` alone does not fire. */
function endTrack(track) {
  track.stop();
  track.dispatchEvent(new Event("ended"));
}
