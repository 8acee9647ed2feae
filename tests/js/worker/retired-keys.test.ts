/** On which clock the frame engine works: keys die when the visit says, on the visit's own clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CoreConfig } from "../../../worker/core-types.js";
import { FrameCrypto } from "../../../worker/frames/frame-crypto.js";
import type { EncodedFrame } from "../../../worker/frames/frame-track.js";
import { type DriverHooks, VisitDriver } from "../../../worker/visit-driver.js";

const HOUR_MS = 3_600_000;

test("retired keys die on the visit's clock, whatever it was corrected by: frames are opened and given up by it", () => {
  const asked: { call: string; nowMs: number }[] = [];
  class FrameEngine {
    static readonly NOTHING_DUE = -1001;
    static readonly WAITS = -1000;
    setSending(): void {}
    openReceiveTrack(): number {
      return 1;
    }
    prepare(): number {
      return 8;
    }
    decrypt(_track: number, nowMs: number): number {
      asked.push({ call: "decrypt", nowMs });
      return -1;
    }
    nextReleased(nowMs: number): number {
      asked.push({ call: "nextReleased", nowMs });
      return FrameEngine.NOTHING_DUE;
    }
  }
  let given: unknown;
  class Core {
    constructor(_config: CoreConfig, _nowMs: number, frames: unknown) {
      given = frames;
    }
    handle(): [] {
      return [];
    }
    free(): void {}
  }
  const memory = { buffer: new ArrayBuffer(64) };
  const module = { FrameEngine, memory, dropReasons: ["", "gated"], VisitCore: Core };
  const onFatal = (error: unknown) => assert.fail(String(error));
  const frames = new FrameCrypto(module as unknown as ConstructorParameters<typeof FrameCrypto>[0], {
    emit() {},
    onFatal,
  });
  const place = { relayUrl: "ws://relay.invalid", correctionMs: -3 * HOUR_MS };
  const hooks = { emit() {}, onFatal } as unknown as DriverHooks;
  const visit = module as unknown as ConstructorParameters<typeof VisitDriver>[0];
  const driver = new VisitDriver(visit, {} as CoreConfig, place, frames, hooks);
  assert.ok(given instanceof FrameEngine, "the visit has the engine, to give it its keys");

  const before = driver.now();
  assert.ok(before < Date.now() - 2 * HOUR_MS, "the clock is corrected");
  frames.enterEpoch([{ leaf: 1, participant: "someone" }]);
  const options = { key: 1, direction: "receive", kind: "audio", participant: "someone", track: "sound" } as const;
  const track = frames.addTrack(options, null);
  const frame = { data: new ArrayBuffer(4), getMetadata: () => ({ mimeType: "audio/opus" }) };
  frames.receive(track, frame as unknown as EncodedFrame, { enqueue: () => assert.fail("nothing opens") });
  const after = driver.now();
  assert.deepEqual(
    asked.map(({ call }) => call),
    ["nextReleased", "decrypt"],
  );
  for (const { call, nowMs } of asked) assert.ok(nowMs >= before && nowMs <= after, `${call} at ${nowMs}`);
  frames.kill();
  driver.close();
});
