/** When a line is called slow, and when no longer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LINE_CHECK_MS, type LineState, LineWatch, type Outgoing } from "../../js/line-watch.js";
import type { LineQuality } from "../../worker/protocol.js";

const quality = (change: Partial<LineQuality> = {}): LineQuality => ({
  down_bps: 2_000_000,
  loss_percent: 0,
  picture: "full",
  slow_for: [],
  up_limit_bps: null,
  ...change,
});
const sent = (change: Partial<Outgoing> = {}): Outgoing => ({
  target_bps: 1_200_000,
  max_bps: 1_200_000,
  round_trip_s: 0.02,
  loss_share: 0,
  ...change,
});

/** Checks once a second; gives what was reported, with its second. */
function watched() {
  const reports: [number, LineState][] = [];
  let second = 0;
  const watch = new LineWatch((state) => reports.push([second, state]));
  const pass = (seconds: number, outgoing: Outgoing | null = sent()) => {
    for (let n = 0; n < seconds; n++, second++) watch.check(outgoing, second * LINE_CHECK_MS);
  };
  return { watch, reports, pass };
}

test("a lowered picture that lasts is a slow line, and it takes longer to be good again", () => {
  const { watch, reports, pass } = watched();
  watch.onQuality(quality());
  pass(3);
  watch.onQuality(quality({ picture: "lowered" }));
  pass(2);
  assert.deepEqual(reports, [], "a moment is not told");
  pass(5);
  assert.deepEqual(reports, [[6, { down: "slow", up: "good", slow_for: [] }]]);
  watch.onQuality(quality());
  pass(5);
  assert.equal(watch.state.down, "slow");
  pass(5);
  assert.equal(watch.state.down, "good");
  assert.equal(reports.length, 2);
});

test("pictures withheld, and loss that hurts sound, are told, too", () => {
  const { watch, pass } = watched();
  watch.onQuality(quality({ picture: "withheld" }));
  pass(5);
  assert.equal(watch.state.down, "no_pictures");
  watch.onQuality(quality({ loss_percent: 12 }));
  pass(10);
  assert.equal(watch.state.down, "slow");
});

test("a low sending rate is the own line's fault only with evidence, and only when nobody else's explains it", () => {
  const low = { target_bps: 250_000 };
  const { watch, pass } = watched();
  pass(10, sent(low));
  assert.equal(watch.state.up, "good", "a busy machine is no slow line");
  pass(10, sent({ ...low, loss_share: 0.03 }));
  assert.equal(watch.state.up, "slow");

  const other = watched();
  other.watch.onQuality(quality({ slow_for: ["ben"], up_limit_bps: 260_000 }));
  other.pass(10, sent({ ...low, loss_share: 0.03 }));
  assert.deepEqual(other.watch.state, { down: "good", up: "good", slow_for: ["ben"] });

  const longer = watched();
  longer.pass(3);
  longer.pass(5, sent({ ...low, round_trip_s: 0.3 }));
  assert.equal(longer.watch.state.up, "slow");
  longer.pass(10, null);
  assert.equal(longer.watch.state.up, "good", "with the camera off there is nothing to be slow");
});
