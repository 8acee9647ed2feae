/** The demo's own devices: one that is unplugged is off, told, and back with one press. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallMedia } from "../../www/lib/call.js";
import { LocalMedia } from "../../www/lib/local-media.js";

/** As much of a track as is asked for. */
function track(kind: "audio" | "video"): MediaStreamTrack {
  return { kind, enabled: true, stop: () => undefined } as unknown as MediaStreamTrack;
}

function stream(audio: MediaStreamTrack, video: MediaStreamTrack): MediaStream {
  return { getAudioTracks: () => [audio], getVideoTracks: () => [video] } as unknown as MediaStream;
}

test("an unplugged camera is off and told; another one takes its place", async () => {
  const replaced: [string, MediaStreamTrack | null][] = [];
  let unplug: (ended: { source: string }) => void = () => assert.fail("nobody listens");
  const media = {
    local: [
      { id: "m", source: "microphone" },
      { id: "c", source: "camera" },
    ],
    on: (_: string, listener: typeof unplug) => {
      unplug = listener;
    },
    replaceTrack: async (id: string, to: MediaStreamTrack | null) => void replaced.push([id, to]),
  } as unknown as CallMedia;
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
