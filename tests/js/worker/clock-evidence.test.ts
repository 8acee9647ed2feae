/** What a signed pass may correct about a device's clock, and what it may not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { correctionBy, keptCorrection } from "../../../worker/clock-evidence.js";
import { SteadyClock } from "../../../worker/steady-clock.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const iat = 1_800_000_000;
const times = { iat, exp: iat + 3 * 3_600 };
const now_ms = iat * 1_000;

test("a clock that is hours or days off is corrected by a pass that was signed just now", () => {
  for (const off_ms of [3 * HOUR_MS, -3 * HOUR_MS, 6 * DAY_MS, -6 * DAY_MS]) {
    const correction = correctionBy(times, now_ms + off_ms);
    assert.equal(now_ms + off_ms + (correction ?? Number.NaN), now_ms);
  }
});

test("a clock that is right within two minutes is left alone", () => {
  for (const off_ms of [0, 1, 119_000, -119_000]) assert.equal(correctionBy(times, now_ms + off_ms), 0);
});

test("a dishonest authority shifts nobody's time by more than seven days", () => {
  for (const off_ms of [7 * DAY_MS + 1, -7 * DAY_MS - 1, 365 * DAY_MS, -50 * 365 * DAY_MS])
    assert.equal(correctionBy(times, now_ms + off_ms), null);
  assert.equal(correctionBy({ iat: Number.NaN, exp: 0 }, now_ms), 0, "without a time there is no evidence");
});

test("over a reload the correction stays, until the clock is set right or the pass has expired", () => {
  const ahead_ms = 5 * HOUR_MS;
  assert.equal(keptCorrection(times, -ahead_ms, now_ms + ahead_ms + 60_000), -ahead_ms);
  assert.equal(keptCorrection(times, -ahead_ms, now_ms + 60_000), 0, "set right meanwhile");
  assert.equal(keptCorrection(times, -ahead_ms, now_ms + ahead_ms + 4 * HOUR_MS), null, "expired");
  assert.equal(keptCorrection(times, Number.NaN, now_ms + 60_000), 0, "kept by an earlier version");
});

test("the steady clock goes on from the corrected time, and never back", () => {
  const clock = new SteadyClock(-HOUR_MS);
  const first = clock.now();
  assert.ok(Math.abs(first - (Date.now() - HOUR_MS)) < 60_000);
  assert.ok(clock.now() >= first);
});
