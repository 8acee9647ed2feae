import assert from "node:assert/strict";
import { test } from "node:test";
import { LARGEST_BYTES, Pace, SMALLEST_BYTES } from "../../../worker/recording/pace.js";

test("a size that was refused is halved until it passes, and is not tried again for a while", () => {
  let now = 0;
  const pace = new Pace(() => now);
  for (let round = 0; round < 10; round++) pace.acknowledged(pace.bytes, 1);
  assert.equal(pace.bytes, LARGEST_BYTES);
  while (pace.bytes > 1 << 20) pace.refused(pace.bytes);
  assert.equal(pace.bytes, 1 << 20);
  const passes = () => {
    for (let round = 0; round < 10; round++) pace.acknowledged(pace.bytes, 1);
  };
  passes();
  assert.ok(pace.bytes < 2 << 20);
  now = 700_000;
  passes();
  assert.equal(pace.bytes, LARGEST_BYTES);
});

test("on a slow line that is buffered whole, patience outgrows the time that a body takes", () => {
  for (const bytesPerMs of [50, 25, 4, 1]) {
    const pace = new Pace(() => 0);
    let stalls = 0;
    while (pace.bytes / bytesPerMs > pace.patienceMs(pace.bytes)) {
      pace.stalled();
      stalls += 1;
      assert.ok(stalls < 10, `${bytesPerMs} bytes/ms`);
    }
  }
});

test("a line that becomes forty times slower is learned in a few stalls, and never below the smallest size", () => {
  const pace = new Pace(() => 0);
  for (let round = 0; round < 20; round++) pace.acknowledged(pace.bytes, pace.bytes / 1_000);
  let stalls = 0;
  for (; pace.bytes / 25 > pace.patienceMs(pace.bytes); stalls++) pace.stalled();
  assert.ok(stalls > 0 && stalls <= 6, `${stalls}`);
  for (let round = 0; round < 30; round++) pace.stalled();
  assert.equal(pace.bytes, SMALLEST_BYTES);
  assert.ok(Number.isFinite(pace.patienceMs(pace.bytes)));
});
