import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../../../worker/backoff.js";

test("waits grow to the cap and stay there, however long it goes on", () => {
  const longest = new Backoff({ firstMs: 100, capMs: 5_000 }, () => 1);
  const waits = Array.from({ length: 2_000 }, () => longest.nextMs());
  assert.deepEqual(waits.slice(0, 7), [100, 200, 400, 800, 1_600, 3_200, 5_000]);
  assert.ok(waits.slice(6).every((ms) => ms === 5_000));
});

test("jitter spreads waits over the upper half of the step", () => {
  const shortest = new Backoff({ firstMs: 100, capMs: 5_000 }, () => 0);
  assert.deepEqual([shortest.nextMs(), shortest.nextMs()], [50, 100]);
});

test("a success starts over", () => {
  const backoff = new Backoff({ firstMs: 100, capMs: 5_000 }, () => 1);
  backoff.nextMs();
  backoff.nextMs();
  backoff.reset();
  assert.equal(backoff.nextMs(), 100);
});
