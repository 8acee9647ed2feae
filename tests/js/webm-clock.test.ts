import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { WebmClock } from "../../js/webm-clock.js";

/** A live WebM as MediaRecorder makes it: no cues, no duration. Two seconds of picture, three of sound. */
function liveWebm(): Uint8Array {
  const input = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=2", "-f", "lavfi", "-i", "sine=duration=3"];
  const codecs = ["-c:v", "libvpx", "-c:a", "libopus", "-f", "webm", "-live", "1", "-cluster_time_limit", "300"];
  return new Uint8Array(execFileSync("ffmpeg", ["-v", "error", ...input, ...codecs, "-"], { maxBuffer: 1 << 26 }));
}

test("follows picture and sound of a live WebM, however its bytes are cut", () => {
  const bytes = liveWebm();
  const results = [1, 2, 3, 7, 100, 1_000, bytes.byteLength].map((step) => {
    const clock = new WebmClock();
    for (let offset = 0; offset < bytes.byteLength; offset += step) clock.feed(bytes.subarray(offset, offset + step));
    return [clock.videoFrames, clock.videoMs, clock.audioMs];
  });
  const [first] = results;
  assert.ok(first);
  const [frames, videoMs, audioMs] = first;
  assert.equal(frames, 50);
  // The last of 50 frames, moved by the codec delay of the sound, which starts below zero.
  assert.ok(videoMs !== undefined && videoMs >= 1_960 && videoMs <= 1_970, `picture until ${videoMs} ms`);
  assert.ok(audioMs !== undefined && audioMs >= 2_900 && audioMs <= 3_020, `sound until ${audioMs} ms`);
  for (const result of results) assert.deepEqual(result, first);
});

test("says where there is nothing, within what was fed last", () => {
  const clock = new WebmClock();
  const bytes = liveWebm();
  clock.feed(bytes);
  assert.ok(clock.empty.toMs - clock.empty.fromMs <= 60, JSON.stringify(clock.empty));
  // The cluster that would come next, half a minute later.
  const cluster = [0x1f, 0x43, 0xb6, 0x75, 0xff, 0xe7, 0x82, 0x80, 0xe8, 0xa3, 0x85, 0x82, 0, 0, 0, 0];
  clock.feed(Uint8Array.from(cluster));
  assert.ok(
    Math.abs(clock.empty.toMs - 33_000) < 5 && Math.abs(clock.empty.fromMs - 2_980) < 100,
    JSON.stringify(clock.empty),
  );
  clock.feed(new Uint8Array());
  assert.deepEqual(clock.empty, { fromMs: 0, toMs: 0 });
});

test("says how far the picture is behind the sound", () => {
  const clock = new WebmClock();
  clock.feed(liveWebm());
  assert.ok(clock.videoLagMs > 900 && clock.videoLagMs < 1_100);
});

test("bytes that are no WebM are survived", () => {
  const clock = new WebmClock();
  for (let round = 0; round < 200; round++) clock.feed(crypto.getRandomValues(new Uint8Array(round)));
  clock.feed(new Uint8Array(64));
  assert.ok(clock.videoLagMs >= 0);
});
