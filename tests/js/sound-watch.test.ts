/** Sound that stands still is noticed, made to go on or given up, and what is missing is known. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { SoundWatch, type WatchedContext } from "../../js/sound-watch.js";

class Context extends EventTarget implements WatchedContext {
  state = "running";
  currentTime = 5;
  resumed = 0;
  /** What `resume()` does. */
  obeys = true;

  set(state: string) {
    this.state = state;
    this.dispatchEvent(new Event("statechange"));
  }

  async resume() {
    this.resumed += 1;
    if (this.obeys && this.state === "suspended") this.set("running");
  }
}

let context: Context;
let nowMs: number;
let news: (readonly [string, number])[];
let watch: SoundWatch;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  context = new Context();
  [nowMs, news] = [1_000, []];
  const note = (what: string) => (missingMs: number) => void news.push([what, missingMs]);
  watch = new SoundWatch(context, { onLost: note("lost"), onResumed: note("resumed") }, () => nowMs);
});

afterEach(() => {
  watch.stop();
  mock.timers.reset();
});

/** Time passes in steps of 50 ms; the sound keeps up, or does not. A look comes every second, as in a capture. */
function pass(ms: number, share = context.state === "running" ? 1 : 0) {
  for (let step = 0; step < ms; step += 50) {
    nowMs += 50;
    context.currentTime += (50 * share) / 1_000;
    mock.timers.tick(50);
    if (nowMs % 1_000 === 0) watch.look();
  }
}

test("sound that keeps up, falls behind for a moment, or is a little slower than the clock is no news", () => {
  pass(60_000);
  pass(600, 0.2);
  pass(60_000, 0.9);
  assert.deepEqual([news, context.resumed], [[], 0]);
});

test("a context that was suspended is resumed at once, which nobody hears", async () => {
  pass(3_000);
  context.set("suspended");
  pass(5_000);
  assert.deepEqual([news, context.resumed, watch.isStill], [[], 1, false]);
});

test("one that goes on after a while leaves a gap of that length", () => {
  context.obeys = false;
  pass(3_000);
  context.set("suspended");
  pass(700);
  assert.equal(watch.isStill, true);
  context.set("running");
  pass(1_000);
  assert.equal(news.length, 1);
  const [[what, missingMs] = ["", 0]] = news;
  assert.equal(what, "resumed");
  assert.ok(missingMs >= 700 && missingMs <= 900, `${missingMs} ms`);
  assert.ok(context.resumed > 2, "it was asked more than once");
});

test("one that does not go on is given up within 1.5 s, once", () => {
  context.obeys = false;
  pass(3_000);
  context.set("suspended");
  pass(1_500);
  assert.equal(news.length, 1);
  assert.equal(news[0]?.[0], "lost");
  pass(10_000);
  assert.equal(news.length, 1);
});

test("one that was closed is given up at once", () => {
  pass(3_000);
  context.set("closed");
  assert.deepEqual(news, [["lost", 0]]);
});

test("one that says it runs and does not is found, and given up only when it was not just slow", () => {
  pass(3_000);
  pass(1_500, 0);
  pass(2_000, 1);
  assert.equal(news[0]?.[0], "resumed");
  pass(5_000, 0);
  assert.equal(news[1]?.[0], "lost");
});

test("a page that slept has other words for it", () => {
  pass(3_000);
  nowMs += 12_000;
  watch.look();
  pass(3_000);
  assert.deepEqual([news, watch.isStill], [[], false]);
});
