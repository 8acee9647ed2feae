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

/** What else happened in a second: pictures that came into the file, and over the line. */
interface Second {
  readonly picturesPerS?: number;
  readonly arrived?: number;
  readonly isLowered?: boolean;
  readonly sinceSliceMs?: number;
  readonly isSoundStill?: boolean;
}

/** A second a check, `seen` as the composing worker and the mixer tell it. */
function watch(remotes: readonly RemoteTrack[]) {
  let nowMs = 0;
  mock.method(performance, "now", () => nowMs);
  const reports: [number, HealthReport["kind"], HealthReport["status"]][] = [];
  const details: Pick<HealthReport, "cause" | "pictures_per_s">[] = [];
  const health = new HealthWatch(({ kind, status, ...detail }) => {
    reports.push([nowMs / 1_000, kind, status]);
    if (status === "poor") details.push({ cause: detail.cause, pictures_per_s: detail.pictures_per_s } as HealthReport);
  });
  for (const one of remotes) health.expect(one);
  return {
    reports,
    details,
    second(
      picture: { idle_ms: number | null; changed: number },
      isSilent: boolean,
      { picturesPerS = 24, arrived = 24, isLowered = false, ...late }: Second = {},
    ) {
      nowMs += 1_000;
      const counts = { inputs: [{ id: "video", arrived: 24, ...picture }] } as unknown as ComposeCounts;
      const sealed = { isSoundStill: false, sinceSliceMs: 100, pictureLagMs: 0, picturesPerS, ...late };
      const path = { arrivedPerS: new Map([["video", arrived]]), isLowered };
      health.check(counts, new Map([["audio", { isSilent } as never]]), sealed, path);
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
  second(moving, false, { sinceSliceMs: 2_500 });
  second(moving, false);
  second(moving, false, { isSoundStill: true });
  second(moving, false);
  assert.deepEqual(
    reports.map(([, kind, status]) => [kind, status]),
    [
      ["capture", "stalled"],
      ["capture", "ok"],
      ["capture", "stalled"],
      ["capture", "ok"],
    ],
  );
});

test("few pictures in the recording are reported within 5 s, with what causes them", () => {
  for (const [second, cause] of [
    [{ picturesPerS: 2, arrived: 24 }, "device"],
    [{ picturesPerS: 2, arrived: 2 }, "line"],
    // A device that is too busy takes few pictures off the line, too.
    [{ picturesPerS: 2, arrived: 2, isLowered: true }, "device"],
  ] as const) {
    const { reports, details, second: pass } = watch([remote("video")]);
    for (let at = 0; at < 3; at++) pass(moving, false);
    for (let at = 0; at < 5; at++) pass(moving, false, second);
    assert.deepEqual(reports, [
      [1, "video", "ok"],
      [6, "video", "poor"],
    ]);
    assert.deepEqual(details, [{ cause, pictures_per_s: 2 }]);
  }
});

test("a picture that is poor now and then is one report, and well again when that has lasted", () => {
  const { reports, second } = watch([remote("video")]);
  second(moving, false);
  for (let at = 0; at < 40; at++) second(moving, false, { picturesPerS: at % 4 === 3 ? 7 : 3 });
  assert.equal(reports.filter(([, , status]) => status === "poor").length, 1);
  assert.equal(reports.length, 2);
  for (let at = 0; at < 8; at++) second(moving, false);
  assert.deepEqual(reports.at(-1)?.[2], "ok");
  assert.equal(reports.length, 3);
});

test("a shared screen that changes seldom is not poor", () => {
  const { reports, second } = watch([remote("video", "screen")]);
  for (let at = 0; at < 8; at++) second({ idle_ms: 900, changed: 0 }, false, { picturesPerS: 1, arrived: 1 });
  assert.deepEqual(reports, [[1, "video", "ok"]]);
});

const keepsUp = { lagMs: 50, pictures: 24, wanted: 24 };

test("a smaller picture, then fewer of them, while the encoder is behind; all of it again when it has kept up", () => {
  for (const slow of [
    { lagMs: 900, pictures: 24, wanted: 24 },
    { lagMs: 0, pictures: 2, wanted: 24 },
  ]) {
    const pace = new Pace(24);
    assert.deepEqual(pace.next(keepsUp), { max_fps: 24, max_scale: 1 });
    const steps = Array.from({ length: 20 }, () => pace.next(slow));
    for (const [index, step] of steps.entries()) {
      const before = steps[Math.max(0, index - 1)] ?? step;
      assert.ok(step.max_fps <= before.max_fps && step.max_scale <= before.max_scale);
    }
    assert.deepEqual(steps.at(-1), { max_fps: 10, max_scale: 1 / 2 });
    const recovered = Array.from({ length: 60 }, () => pace.next(keepsUp));
    assert.deepEqual(recovered.at(-1), { max_fps: 24, max_scale: 1 });
  }
});

test("one slow second changes nothing", () => {
  const pace = new Pace(24);
  for (let second = 0; second < 20; second++) {
    const { max_fps } = pace.next(second % 2 === 0 ? { lagMs: 900, pictures: 3, wanted: 24 } : keepsUp);
    assert.equal(max_fps, 24);
  }
});

test("a device that cannot carry the next step tries it less and less often", () => {
  const pace = new Pace(24);
  const carries = (fps: number) => (fps > 15 ? { ...keepsUp, lagMs: 900 } : keepsUp);
  let [fps, tries] = [24, 0];
  for (let second = 0; second < 300; second++) {
    const next = pace.next(carries(fps)).max_fps;
    if (next > fps) tries += 1;
    fps = next;
  }
  assert.ok(tries <= 6, `${tries}`);
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
