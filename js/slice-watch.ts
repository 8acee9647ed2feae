/**
 * Notices time that passed and is not in the file: MediaRecorder went silent for good, as after a page was frozen, or
 * the device was asleep. Slices that were only late, because the page was busy, are no hole: they come all at once.
 */

import type { EmptySpan } from "./webm-clock.js";

/** No slice through so many checks, one a second, means that MediaRecorder delivers nothing any more. */
const SILENT_CHECKS = 5;
/** Between one block and the next there are 60 ms, and a second or so while an encoder is slow. */
const EMPTY_LIMIT_MS = 2_500;
/** The clock may run so far ahead of the file, for so many checks. */
const AHEAD_LIMIT_MS = 5_000;
const AHEAD_CHECKS = 3;
/** A busy page makes up for its checks all at once, before it reads the slices: they count as one. */
const CHECKS_APART_MS = 500;

/** The two clocks are never so far apart between two looks, unless one stood still or was set. */
const SLEPT_MS = 1_000;

/** On the file's time. */
export interface Hole extends EmptySpan {
  readonly reason: "frozen" | "asleep";
}

/** @internal */
export class SliceWatch {
  readonly #now: () => number;
  readonly #startedAt: number;
  #lastAt: number;
  #fileMs = 0;
  /** How far the clock was ahead of the file when it was least. */
  #leastAheadMs = Number.POSITIVE_INFINITY;
  #checksAhead = 0;
  #checksSilent = 0;
  #checkedAt: number;

  /** `now`: see {@link passingTime}. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = now();
    this.#lastAt = this.#startedAt;
    this.#checkedAt = this.#startedAt;
  }

  get sinceSliceMs(): number {
    return this.#now() - this.#lastAt;
  }

  /** A slice came, with which the file ends at `fileMs`; `empty`: the longest time in it without a block. */
  slice(fileMs: number, { fromMs, toMs }: EmptySpan): Hole | null {
    this.#lastAt = this.#now();
    this.#checksSilent = 0;
    this.#fileMs = Math.max(this.#fileMs, fileMs);
    return toMs - fromMs >= EMPTY_LIMIT_MS ? { fromMs, toMs, reason: "asleep" } : null;
  }

  /** To be called every second. */
  check(): Hole | null {
    if (this.#now() - this.#checkedAt < CHECKS_APART_MS) return null;
    this.#checkedAt = this.#now();
    this.#checksSilent += 1;
    if (this.#checksSilent > SILENT_CHECKS) {
      return { fromMs: this.#fileMs, toMs: this.#fileMs + this.sinceSliceMs, reason: "frozen" };
    }
    const aheadMs = this.#now() - this.#startedAt - this.#fileMs;
    this.#leastAheadMs = Math.min(this.#leastAheadMs, aheadMs);
    const missingMs = aheadMs - this.#leastAheadMs;
    this.#checksAhead = missingMs >= AHEAD_LIMIT_MS ? this.#checksAhead + 1 : 0;
    if (this.#checksAhead < AHEAD_CHECKS) return null;
    return { fromMs: this.#fileMs, toMs: this.#fileMs + missingMs, reason: "asleep" };
  }
}

/** Milliseconds that pass, sleep included: on some systems `performance.now()` stands still through it. */
export function passingTime(): () => number {
  let [tick, wallMs, passedMs] = [performance.now(), Date.now(), 0];
  return () => {
    const [sinceTick, sinceWallMs] = [performance.now() - tick, Date.now() - wallMs];
    tick += sinceTick;
    wallMs += sinceWallMs;
    // The wall clock alone may be set, back as well.
    passedMs += sinceWallMs - sinceTick > SLEPT_MS ? sinceWallMs : sinceTick;
    return passedMs;
  };
}
