/** The demo's own devices: one that is unplugged is off, told, and back with one press; one that was taken is told. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { CallMedia } from "../../www/lib/call.js";
import { keptChoices } from "../../www/lib/device-choice.js";
import { LocalMedia } from "../../www/lib/local-media.js";
import { en } from "../../www/strings/en.js";
import { es } from "../../www/strings/es.js";
import { englishGrade, spanishGrade } from "../lib/readability.js";

/** As much of a track as is asked for. */
class Track {
  readonly kind: "audio" | "video";
  readonly #id: string;
  enabled = true;
  readyState = "live";
  constructor(kind: "audio" | "video", id = "first") {
    this.kind = kind;
    this.#id = id;
  }
  getSettings() {
    return { deviceId: this.#id };
  }
  clone() {
    return new Track(this.kind, this.#id);
  }
  stop() {
    this.readyState = "ended";
  }
}

function track(kind: "audio" | "video", id?: string): MediaStreamTrack {
  return new Track(kind, id) as unknown as MediaStreamTrack;
}

class Stream {
  readonly tracks: Track[];
  constructor(tracks: Track[]) {
    this.tracks = tracks;
  }
  getTracks = () => this.tracks;
  getAudioTracks = () => this.tracks.filter(({ kind }) => kind === "audio");
  getVideoTracks = () => this.tracks.filter(({ kind }) => kind === "video");
}

function stream(...tracks: MediaStreamTrack[]): MediaStream {
  return new Stream(tracks as unknown as Track[]) as unknown as MediaStream;
}

/** Devices that come when `give` says so, in the order in which they were asked for. */
function slowDevices() {
  const asked: { device: string; id: string | undefined; resolve: (track: MediaStreamTrack) => void }[] = [];
  const open = (device: string, id?: string) =>
    new Promise<MediaStreamTrack>((resolve) => asked.push({ device, id, resolve }));
  const give = async (id: string) => {
    const { device, resolve } = asked.shift() ?? assert.fail("no device was asked for");
    const given = track(device === "camera" ? "video" : "audio", id);
    resolve(given);
    await new Promise(setImmediate);
    return given;
  };
  return { asked, open, give };
}

const never = () => assert.fail("no device is asked for");
const storage = new Map<string, string>();
Object.assign(globalThis, {
  MediaStream: Stream,
  sessionStorage: {
    getItem: (name: string) => storage.get(name) ?? null,
    setItem: (name: string, value: string) => storage.set(name, value),
  },
});
beforeEach(() => storage.clear());

/** As much of a media session as is asked for; `interrupted` are taken already. */
function session(interrupted: readonly string[], replaced: [string, MediaStreamTrack | null][] = []) {
  const listeners = new Map<string, (detail: { source: string }) => void>();
  const media = {
    local: ["microphone", "camera"].map((source) => ({
      id: source[0],
      source,
      isInterrupted: interrupted.includes(source),
    })),
    on: (name: string, listener: (detail: { source: string }) => void) => listeners.set(name, listener),
    replaceTrack: async (id: string, to: MediaStreamTrack | null) => void replaced.push([id, to]),
    setMuted: () => undefined,
  } as unknown as CallMedia;
  const tell = (name: string, detail: { source: string }) => {
    const listener = listeners.get(name) ?? assert.fail("nobody listens");
    listener(detail);
  };
  return { media, tell };
}

test("an unplugged camera is off and told; another one takes its place", async () => {
  const replaced: [string, MediaStreamTrack | null][] = [];
  const { media, tell } = session([], replaced);
  const unplug = (ended: { source: string }) => tell("local_ended", ended);
  const { open, give, asked } = slowDevices();
  const local = new LocalMedia(media, stream(track("audio"), track("video")), open);
  let changes = 0;
  local.addEventListener("change", () => changes++);

  unplug({ source: "camera" });
  await new Promise(setImmediate);
  assert.deepEqual([local.isCameraOff, local.isMuted, [...local.lost], changes], [true, false, ["camera"], 1]);
  assert.deepEqual(replaced, [["c", null]]);

  void local.toggleCamera();
  assert.equal(asked[0]?.id, "first");
  const other = await give("second");
  assert.deepEqual([local.isCameraOff, local.picture === other, local.lost.size], [false, true, 0]);

  unplug({ source: "screen" });
  await new Promise(setImmediate);
  assert.equal(local.lost.size, 0);
});

test("a phone call takes microphone and camera for a while: told, nothing is replaced, and over when they are back", () => {
  const replaced: [string, MediaStreamTrack | null][] = [];
  const { media, tell } = session(["microphone"], replaced);
  const local = new LocalMedia(media, stream(track("audio"), track("video")), never);
  const told: string[][] = [];
  local.addEventListener("change", () => told.push([...local.taken]));
  // It was taken before this page listened.
  assert.deepEqual([...local.taken], ["microphone"]);

  tell("local_interrupted", { source: "camera" });
  tell("local_interrupted", { source: "screen" });
  tell("local_resumed", { source: "microphone" });
  tell("local_resumed", { source: "camera" });
  assert.deepEqual(told, [["microphone", "camera"], ["camera"], []]);
  assert.deepEqual([local.isMuted, local.isCameraOff, replaced], [false, false, []]);
});

test("a camera that comes after it was turned off again, or after the visit, is stopped at once", async () => {
  const { open, give } = slowDevices();
  const local = new LocalMedia(session([]).media, stream(track("audio")), open);
  void local.toggleCamera();
  void local.toggleCamera();
  assert.equal((await give("late")).readyState, "ended");
  assert.equal(local.isCameraOff, true);

  void local.toggleCamera();
  local.stop();
  assert.equal((await give("later")).readyState, "ended");
});

test("turned off and on, a camera is the one that was chosen", async () => {
  const { open, give, asked } = slowDevices();
  const local = new LocalMedia(session([]).media, stream(track("audio"), track("video", "second")), open);
  await local.toggleCamera();
  void local.toggleCamera();
  assert.equal(asked[0]?.id, "second");
  await give("second");
  assert.equal(local.isCameraOff, false);
});

test("devices that are looked at and tried turn nothing on", async () => {
  const replaced: [string, MediaStreamTrack | null][] = [];
  const { open, asked, give } = slowDevices();
  const local = new LocalMedia(session([], replaced).media, stream(track("audio"), track("video")), open);
  await local.toggleCamera();
  replaced.length = 0;
  assert.deepEqual(
    local
      .beginPreview()
      .getTracks()
      .map(({ kind }) => kind),
    ["audio"],
  );
  await local.endPreview({ camera: "second" });
  assert.deepEqual([local.isCameraOff, asked.length, replaced.length], [true, 0, 0]);
  // Turned on later, it is the one that was chosen.
  void local.toggleCamera();
  assert.equal(asked[0]?.id, "second");
  await give("second");
});

test("what is looked at can be closed without touching what is sent", async () => {
  const replaced: [string, MediaStreamTrack | null][] = [];
  const [sound, picture] = [track("audio"), track("video")];
  const local = new LocalMedia(session([], replaced).media, stream(sound, picture), never);
  for (const shown of local.beginPreview().getTracks()) shown.stop();
  await local.endPreview({});
  assert.deepEqual([sound.readyState, picture.readyState, replaced.length], ["live", "live", 0]);
});

test("where trying another camera ends the first, the first is opened again afterwards", async () => {
  const { media, tell } = session([]);
  const { open, asked, give } = slowDevices();
  const picture = track("video");
  const local = new LocalMedia(media, stream(track("audio"), picture), open);
  local.beginPreview();
  picture.stop();
  tell("local_ended", { source: "camera" });
  const ended = local.endPreview({});
  assert.equal(asked[0]?.id, "first");
  await give("first");
  await ended;
  assert.deepEqual([local.isCameraOff, local.lost.size], [false, 0]);
});

test("after a reload what was off is off, and what was chosen is chosen", async () => {
  const { open, give } = slowDevices();
  const before = new LocalMedia(session([]).media, stream(track("audio", "headset"), track("video")), open);
  const ended = before.endPreview({ camera: "second" });
  await give("second");
  await ended;
  await before.toggleMicrophone();
  await before.toggleCamera();
  assert.deepEqual(keptChoices(), { microphone: { on: false, id: "headset" }, camera: { on: false, id: "second" } });
  // The join page opens no camera, and the microphone, which stays muted.
  const after = new LocalMedia(session([]).media, stream(track("audio", "headset")), open);
  assert.deepEqual([after.isMuted, after.isCameraOff, after.ids.camera], [true, true, "second"]);
});

test("what is told of them reads at grade 8 or below", () => {
  const told = ["camera_lost", "microphone_lost", "camera_taken", "microphone_taken", "both_taken"] as const;
  for (const name of told) {
    assert.ok(englishGrade(en.call[name]) <= 8, `${name}: grade ${englishGrade(en.call[name])}`);
    assert.ok(spanishGrade(es.call[name]) <= 8, `${name}: grade ${spanishGrade(es.call[name])}`);
  }
});
