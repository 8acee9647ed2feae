/** Time that passed and is not in the recording is noticed, and nothing else is taken for it. */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { type Hole, passingTime, SliceWatch } from "../../js/slice-watch.js";

/** A recorder whose file runs along with the clock, until something happens to one of them. */
function recording() {
  let [nowMs, fileMs] = [1_700_000_000_000, 0];
  const watch = new SliceWatch(() => nowMs);
  const holes: Hole[] = [];
  const note = (hole: Hole | null) => {
    if (hole) holes.push(hole);
  };
  const one = {
    holes,
    get fileMs() {
      return fileMs;
    },
    /** The clock goes on. */
    pass(ms: number) {
      nowMs += ms;
    },
    /** The next slice is longer by so much. */
    skip(ms: number) {
      fileMs += ms;
    },
    /** `emptyMs`: so much of the first has no block. */
    slices(count: number, emptyMs = 60) {
      for (let slice = 0; slice < count; slice++) {
        const fromMs = fileMs;
        fileMs += 250;
        watch.arrived();
        note(watch.slice(fileMs, { fromMs, toMs: fromMs + (slice === 0 ? emptyMs : 60) }));
      }
    },
    check: () => note(watch.check()),
    seconds(count: number) {
      for (let second = 0; second < count; second++) {
        for (let slice = 0; slice < 4; slice++) {
          nowMs += 250;
          one.slices(1);
        }
        one.check();
      }
    },
  };
  return one;
}

test("a recording of hours has no hole, with sound on a clock of its own", () => {
  const one = recording();
  for (let hour = 0; hour < 4; hour++) {
    one.seconds(3_600);
    one.pass(300);
  }
  assert.deepEqual(one.holes, []);
});

test("slices that a busy page handed on late, all at once, are none", () => {
  const one = recording();
  one.seconds(10);
  one.pass(7_000);
  for (let check = 0; check < 7; check++) one.check();
  one.slices(28);
  one.seconds(10);
  assert.deepEqual(one.holes, []);
});

test("nor is all that a busy page had to wait for, in one slice", () => {
  const one = recording();
  one.seconds(10);
  one.pass(4_000);
  one.skip(3_750);
  one.slices(1);
  one.seconds(10);
  assert.deepEqual(one.holes, []);
});

test("a MediaRecorder that goes silent is noticed after five seconds", () => {
  const one = recording();
  one.seconds(10);
  const fromMs = one.fileMs;
  for (let second = 0; second < 4; second++) {
    one.pass(1_000);
    one.check();
  }
  assert.deepEqual(one.holes, []);
  one.pass(1_000);
  one.check();
  assert.deepEqual(one.holes, [{ fromMs, toMs: fromMs + 5_000, reason: "frozen" }]);
});

test("sleep through which the file's time goes on is a hole inside it", () => {
  const one = recording();
  one.seconds(10);
  const fromMs = one.fileMs;
  one.pass(60_000);
  one.slices(1, 60_000);
  assert.deepEqual(one.holes, [{ fromMs, toMs: fromMs + 60_000, reason: "asleep" }]);
});

test("after a page was frozen, checks come again and slices do not: that is no sleep", () => {
  const one = recording();
  one.seconds(10);
  const { fileMs: fromMs } = one;
  one.pass(60_000);
  for (let second = 0; second < 7 && one.holes.length === 0; second++) {
    one.check();
    one.pass(1_000);
  }
  assert.deepEqual(one.holes, [{ fromMs, toMs: fromMs + 64_000, reason: "frozen" }]);
});

test("an encoder that falls behind bit by bit, by a lot, is no sleep either", () => {
  const one = recording();
  one.seconds(10);
  for (let second = 0; second < 30; second++) {
    one.pass(500);
    one.seconds(1);
  }
  assert.deepEqual(one.holes, []);
});

test("sleep through which the file's time stands still is a hole too, and not taken for silence", () => {
  const one = recording();
  one.seconds(10);
  const { fileMs: fromMs } = one;
  one.pass(60_000);
  one.check();
  one.seconds(3);
  const [hole, ...more] = one.holes;
  assert.ok(hole && more.length === 0);
  assert.equal(hole.reason, "asleep_or_clock_set");
  assert.equal(hole.fromMs, fromMs);
  assert.ok(Math.abs(hole.toMs - hole.fromMs - 60_000) < 1_000);
});

test("passing time goes on through sleep, and as it did while the clock is set", (t) => {
  t.after(() => mock.restoreAll());
  let [wallMs, tick] = [1_700_000_000_000, 5_000];
  mock.method(Date, "now", () => Math.floor(wallMs));
  mock.method(performance, "now", () => tick);
  const now = passingTime();
  const pass = (wall: number, monotonic = wall) => {
    wallMs += wall;
    tick += monotonic;
    return now();
  };
  for (let step = 0; step < 60_000; step++) pass(250.4);
  assert.ok(Math.abs(now() - 60_000 * 250.4) < 1);
  const before = now();
  assert.ok(Math.abs(pass(600_000, 10) - before - 600_000) < 2);
  assert.ok(Math.abs(pass(-3_600_000, 250) - before - 600_250) < 2);
  assert.ok(Math.abs(pass(250) - before - 600_500) < 2);
});
