import assert from "node:assert/strict";
import { test } from "node:test";
import { FlowWatch } from "../../js/media-flow.js";

/** Checks every second for so long. */
function watching() {
  const watch = new FlowWatch();
  let now = 5_000;
  watch.check([], true, now);
  const pass = (seconds: number, connected: readonly boolean[], canTry = true) => {
    for (let second = 0; second < seconds; second++) {
      now += 1_000;
      watch.check(connected, canTry, now);
    }
    return watch.flow;
  };
  const sleep = (ms: number) => {
    now += ms;
  };
  return { watch, pass, sleep };
}

test("what should get through and does not for 20 s is blocked, and flows by itself when it does", () => {
  const { pass } = watching();
  assert.equal(pass(19, [false, false]), "connecting");
  assert.equal(pass(1, [false, false]), "blocked");
  assert.equal(pass(60, [false, false]), "blocked");
  assert.equal(pass(1, [true, true]), "flowing");
  assert.equal(pass(19, [true, false]), "flowing");
  assert.equal(pass(1, [true, false]), "blocked");
});

test("nothing to send or to receive is never blocked, and does not flow", () => {
  const { pass } = watching();
  assert.equal(pass(100, []), "connecting");
});

test("waiting to be let in, a lost relay and a computer's sleep do not count", () => {
  const { pass, sleep, watch } = watching();
  assert.equal(pass(100, [false], false), "connecting");
  assert.equal(pass(10, [false]), "connecting");
  sleep(3_600_000);
  assert.equal(pass(5, [false]), "connecting");
  assert.equal(pass(100, [false], false), "connecting");
  assert.equal(pass(5, [false]), "blocked");
  assert.equal(watch.check([false], true, Number.MAX_SAFE_INTEGER), false);
});
