/** The demo's own devices: one that is unplugged is off, told, and back with one press; one that was taken is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallMedia } from "../../www/lib/call.js";
import { LocalMedia } from "../../www/lib/local-media.js";
import { en } from "../../www/strings/en.js";
import { es } from "../../www/strings/es.js";
import { englishGrade, spanishGrade } from "../lib/readability.js";

/** As much of a track as is asked for. */
function track(kind: "audio" | "video"): MediaStreamTrack {
  return { kind, enabled: true, stop: () => undefined } as unknown as MediaStreamTrack;
}

function stream(audio: MediaStreamTrack, video: MediaStreamTrack): MediaStream {
  return { getAudioTracks: () => [audio], getVideoTracks: () => [video] } as unknown as MediaStream;
}

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
  const local = new LocalMedia(media, stream(track("audio"), track("video")));
  let changes = 0;
  local.addEventListener("change", () => changes++);

  unplug({ source: "camera" });
  await new Promise(setImmediate);
  assert.deepEqual([local.isCameraOff, local.isMuted, [...local.lost], changes], [true, false, ["camera"], 1]);
  assert.deepEqual(replaced, [["c", null]]);

  const other = track("video");
  await local.switchTo(stream(track("audio"), other));
  assert.deepEqual([local.isCameraOff, local.picture === other, local.lost.size], [false, true, 0]);

  unplug({ source: "screen" });
  await new Promise(setImmediate);
  assert.equal(local.lost.size, 0);
});

test("a phone call takes microphone and camera for a while: told, nothing is replaced, and over when they are back", () => {
  const replaced: [string, MediaStreamTrack | null][] = [];
  const { media, tell } = session(["microphone"], replaced);
  const local = new LocalMedia(media, stream(track("audio"), track("video")));
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

test("what is told of them reads at grade 8 or below", () => {
  const told = ["camera_lost", "microphone_lost", "camera_taken", "microphone_taken", "both_taken"] as const;
  for (const name of told) {
    assert.ok(englishGrade(en.call[name]) <= 8, `${name}: grade ${englishGrade(en.call[name])}`);
    assert.ok(spanishGrade(es.call[name]) <= 8, `${name}: grade ${spanishGrade(es.call[name])}`);
  }
});
