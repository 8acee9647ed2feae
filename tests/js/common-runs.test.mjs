import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { commonRuns, RUN_BYTES } from "../lib/common-runs.mjs";

test("finds a run wherever it lies on both sides, from its full length on", () => {
  const encoded = randomBytes(500);
  for (const [length, runs] of [
    [RUN_BYTES - 1, 0],
    [RUN_BYTES, 1],
    [RUN_BYTES + 1, 2],
  ]) {
    for (const [from, to] of [
      [0, 0],
      [3, 70],
      [500 - length, 300 - length],
    ]) {
      const packet = randomBytes(300);
      encoded.copy(packet, to, from, from + length);
      // Not longer by chance.
      if (from > 0 && to > 0) packet[to - 1] = ~encoded[from - 1];
      packet[to + length] = ~encoded[from + length];
      assert.deepEqual(commonRuns([randomBytes(40), encoded], [randomBytes(9), packet]), { runs, places: 285 });
    }
  }
});

test("does not join what lies in two buffers", () => {
  const run = randomBytes(RUN_BYTES);
  assert.deepEqual(commonRuns([run.subarray(0, 8), run.subarray(8)], [run]), { runs: 0, places: 1 });
});
