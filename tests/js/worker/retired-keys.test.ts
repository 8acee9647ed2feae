/** When keys die that the group no longer uses, as the worker hands it to the frame engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameCrypto } from "../../../worker/frames/frame-crypto.js";

test("retired keys die after the span that the visit names, whatever its clock was corrected by", () => {
  const retired: { epoch: bigint; atMs: number }[] = [];
  class FrameEngine {
    setSending(): void {}
    liveEpochs(): BigUint64Array {
      return BigUint64Array.of(3n);
    }
    retireEpoch(epoch: bigint, atMs: number): void {
      retired.push({ epoch, atMs });
    }
  }
  const module = { FrameEngine } as unknown as ConstructorParameters<typeof FrameCrypto>[0];
  const frames = new FrameCrypto(module, { emit() {}, onFatal: (error) => assert.fail(String(error)) });
  const before = performance.timeOrigin + performance.now();
  frames.retireEpoch(3, 2_000);
  frames.retireEpoch(2, 2_000);
  const after = performance.timeOrigin + performance.now();
  // The engine keeps them for two seconds from the time that it is told, on the clock of its frames.
  const [first, ...others] = retired;
  assert.ok(first && first.epoch === 3n && first.atMs >= before && first.atMs <= after, JSON.stringify(first?.atMs));
  assert.deepEqual(others, []);
});
