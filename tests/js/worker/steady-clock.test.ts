/** A clock on which deadlines can rely, whatever is done to the device's. */
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { SteadyClock } from "../../../worker/steady-clock.js";

afterEach(() => mock.restoreAll());

/** The device's two clocks, as `pass` and `set` make them. */
function device() {
  let [wallMs, tick] = [1_700_000_000_000, 5_000];
  mock.method(Date, "now", () => Math.floor(wallMs));
  mock.method(performance, "now", () => tick);
  return {
    pass(ms: number) {
      wallMs += ms;
      tick += ms;
    },
    /** The wall clock alone: set by someone, or `performance.now()` stood still through sleep. */
    set(ms: number) {
      wallMs += ms;
    },
  };
}

test("it is the wall clock", () => {
  const { pass } = device();
  const clock = new SteadyClock();
  for (let step = 0; step < 1_000; step++) {
    pass(16.7);
    assert.ok(Math.abs(clock.now() - Date.now()) <= 1);
  }
});

test("set back, by an hour or by little again and again, it goes on", () => {
  for (const [backMs, times] of [[3_600_000, 1] as const, [2_000, 50] as const]) {
    const { pass, set } = device();
    const clock = new SteadyClock();
    const from = clock.now();
    for (let time = 0; time < times; time++) {
      set(-backMs);
      pass(1_000);
      clock.now();
    }
    pass(10_000);
    const passed = clock.now() - from;
    assert.ok(Math.abs(passed - (times * 1_000 + 10_000)) <= times * 50, `${passed} ms`);
    mock.restoreAll();
  }
});

test("slewed back by less than anyone would notice, it never goes back", () => {
  const { pass, set } = device();
  const clock = new SteadyClock();
  let last = clock.now();
  for (let step = 0; step < 200; step++) {
    pass(10);
    set(-20);
    const now = clock.now();
    assert.ok(now >= last);
    last = now;
  }
});

test("set back and then right again, it has only gone on", () => {
  const { pass, set } = device();
  const clock = new SteadyClock();
  const from = clock.now();
  for (const by of [-3_600_000, 3_600_000, -60_000, 30_000, 30_000]) {
    pass(1_000);
    clock.now();
    set(by);
    pass(1_000);
    clock.now();
  }
  assert.ok(Math.abs(clock.now() - from - 10_000) <= 50);
  assert.ok(Math.abs(clock.now() - Date.now()) <= 50);
});

test("after sleep, it is the wall clock again, also where that was set back before", () => {
  const { pass, set } = device();
  const clock = new SteadyClock();
  pass(1_000);
  set(-60_000);
  pass(1_000);
  clock.now();
  set(600_000);
  pass(1_000);
  assert.ok(Math.abs(clock.now() - Date.now()) <= 50);
});
