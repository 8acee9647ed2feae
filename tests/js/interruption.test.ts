/** When a device counts as taken from the page: for longer than a moment, and from the beginning too. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { InterruptionWatch } from "../../js/interruption.js";

class Track extends EventTarget {
  muted: boolean;

  constructor(muted = false) {
    super();
    this.muted = muted;
  }

  become(muted: boolean): void {
    this.muted = muted;
    this.dispatchEvent(new Event(muted ? "mute" : "unmute"));
  }
}

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** Everything that is told of a track, in its order. */
function watched(track: Track) {
  const told: boolean[] = [];
  const watch: InterruptionWatch = new InterruptionWatch(track as unknown as MediaStreamTrack, () =>
    told.push(watch.isInterrupted),
  );
  return { told, watch };
}

test("a device that is taken is told after a moment, and at once that it is given back", () => {
  const track = new Track();
  const { told } = watched(track);
  track.become(true);
  mock.timers.tick(1_400);
  assert.deepEqual(told, []);
  mock.timers.tick(200);
  assert.deepEqual(told, [true]);
  mock.timers.tick(60_000);
  track.become(false);
  assert.deepEqual(told, [true, false]);
});

test("a flicker is no news, however often it comes", () => {
  const track = new Track();
  const { told } = watched(track);
  for (let times = 0; times < 5; times++) {
    track.become(true);
    mock.timers.tick(1_000);
    track.become(false);
    mock.timers.tick(100);
  }
  mock.timers.tick(10_000);
  assert.deepEqual(told, []);
});

test("a track that is mute already is told like any other", () => {
  const starting = new Track(true);
  const quick = watched(starting);
  mock.timers.tick(800);
  starting.become(false);
  const { told } = watched(new Track(true));
  mock.timers.tick(1_600);
  assert.deepEqual([quick.told, told], [[], [true]]);
});

test("what is not watched anymore is not told", () => {
  const track = new Track();
  const { told, watch } = watched(track);
  track.become(true);
  watch.stop();
  mock.timers.tick(5_000);
  track.become(false);
  track.become(true);
  mock.timers.tick(5_000);
  assert.deepEqual(told, []);
});
