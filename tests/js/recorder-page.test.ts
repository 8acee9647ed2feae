/** What the recorder's page decides by itself: who is heard and seen, how fast to draw, when to warn, whether to record. */
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { type HealthReport, HealthWatch } from "../../js/health.js";
import type { RemoteTrack } from "../../js/media-session.js";
import { Pace } from "../../js/pace.js";
import { support } from "../../js/support.js";
import { UnloadGuard } from "../../js/unload-guard.js";
import type { ComposeCounts } from "../../worker/compose-protocol.js";

afterEach(() => mock.restoreAll());

function remote(kind: "audio" | "video", source = kind === "audio" ? "microphone" : "camera"): RemoteTrack {
  const mediaTrack = { muted: false, readyState: "live" };
  return { id: kind, kind, source, participant: "P", mediaTrack } as unknown as RemoteTrack;
}

/** A second a check, `seen` as the composing worker and the mixer tell it. */
function watch(remotes: readonly RemoteTrack[]) {
  let nowMs = 0;
  mock.method(performance, "now", () => nowMs);
  const reports: [number, HealthReport["kind"], HealthReport["status"]][] = [];
  const health = new HealthWatch(({ kind, status }) => reports.push([nowMs / 1_000, kind, status]));
  for (const one of remotes) health.expect(one);
  return {
    reports,
    second(
      picture: { idle_ms: number | null; changed: number },
      isSilent: boolean,
      sealed = { sinceSliceMs: 100, pictureLagMs: 0 },
    ) {
      nowMs += 1_000;
      const counts = { inputs: [{ id: "video", ...picture }] } as unknown as ComposeCounts;
      health.check(counts, new Map([["audio", { isSilent } as never]]), sealed);
    },
  };
}

const moving = { idle_ms: 30, changed: 24 };

test("a picture that stops arriving, or freezes, and a microphone that is muted are told within 5 s, by name", () => {
  const { reports, second } = watch([remote("video"), remote("audio")]);
  for (let at = 0; at < 3; at++) second(moving, false);
  assert.deepEqual(reports, [
    [1, "video", "ok"],
    [1, "audio", "ok"],
  ]);
  reports.length = 0;
  // The last picture came right after the check at 3 s, and with it the last sound.
  for (let at = 0; at < 6; at++) second({ idle_ms: 1_000 + at * 1_000, changed: 0 }, at > 0);
  assert.deepEqual(reports, [
    [6, "video", "no_frames"],
    [7, "audio", "silent"],
  ]);
  reports.length = 0;
  for (let at = 0; at < 6; at++) second({ idle_ms: 30, changed: 0 }, false);
  assert.deepEqual(reports, [
    [10, "video", "frozen"],
    [10, "audio", "ok"],
  ]);
});

test("a camera that is unplugged for less than three seconds is no news", () => {
  const { reports, second } = watch([remote("video")]);
  second(moving, false);
  reports.length = 0;
  second({ idle_ms: 1_900, changed: 0 }, false);
  second({ idle_ms: 2_900, changed: 0 }, false);
  second(moving, false);
  assert.deepEqual(reports, []);
});

test("a shared screen may stand still, but not stop arriving", () => {
  const { reports, second } = watch([remote("video", "screen")]);
  second(moving, false);
  for (let at = 0; at < 10; at++) second({ idle_ms: 900, changed: 0 }, false);
  for (let at = 0; at < 4; at++) second({ idle_ms: 2_100 + at * 1_000, changed: 0 }, false);
  assert.deepEqual(reports, [
    [1, "video", "ok"],
    [14, "video", "no_frames"],
  ]);
});

test("capture that went silent is told, and that it goes on", () => {
  const { reports, second } = watch([]);
  second(moving, false);
  second(moving, false, { sinceSliceMs: 2_500, pictureLagMs: 0 });
  second(moving, false);
  assert.deepEqual(
    reports.map(([, kind, status]) => [kind, status]),
    [
      ["capture", "stalled"],
      ["capture", "ok"],
    ],
  );
});

test("fewer pictures while the encoder is behind, more again when it has kept up", () => {
  const pace = new Pace(24);
  assert.equal(pace.next(0), 24);
  let slow = 24;
  for (let second = 0; second < 20; second++) slow = pace.next(900);
  assert.equal(slow, 5);
  let fast = slow;
  for (let second = 0; second < 60; second++) fast = pace.next(50);
  assert.equal(fast, 24);
});

test("closing the page is asked about while it holds bytes that nobody else has, and not afterwards", () => {
  const window = new EventTarget();
  Object.assign(globalThis, {
    addEventListener: window.addEventListener.bind(window),
    removeEventListener: window.removeEventListener.bind(window),
  });
  let holds = true;
  const guard = new UnloadGuard(() => holds);
  const isAsked = () => !window.dispatchEvent(new Event("beforeunload", { cancelable: true }));
  assert.equal(isAsked(), true);
  holds = false;
  assert.equal(isAsked(), false);
  holds = true;
  guard.dispose();
  assert.equal(isAsked(), false);
});

/** A browser as `support` looks at it. */
function browser(features: { processors: boolean; recorder: boolean; disk: boolean }) {
  class Transform {}
  Object.defineProperty(globalThis, "navigator", {
    configurable: true,
    value: {
      storage: { getDirectory: async () => (features.disk ? {} : Promise.reject(new Error("private window"))) },
    },
  });
  Object.assign(globalThis, {
    isSecureContext: true,
    RTCPeerConnection: class {},
    RTCRtpScriptTransform: Transform,
    RTCRtpSender: class {},
    RTCRtpReceiver: class {},
    MediaRecorder: Object.assign(class {}, { isTypeSupported: () => features.recorder }),
    MediaStreamTrackProcessor: features.processors ? class {} : undefined,
    MediaStreamTrackGenerator: features.processors ? class {} : undefined,
  });
}

test("a browser that cannot record live, or not while hidden, is refused with the reason; a private window is told its limit", async () => {
  browser({ processors: false, recorder: true, disk: true });
  const safari = (await support()).recorder;
  assert.ok(!safari.supported && safari.code === "no-track-processor" && /Use Chrome/.test(safari.reason));
  browser({ processors: true, recorder: false, disk: true });
  const other = (await support()).recorder;
  assert.ok(!other.supported && other.code === "no-live-slices");
  browser({ processors: true, recorder: true, disk: false });
  assert.deepEqual((await support()).recorder, { supported: true, limits: ["spool-in-memory"] });
  browser({ processors: true, recorder: true, disk: true });
  assert.deepEqual((await support()).recorder, { supported: true });
});
