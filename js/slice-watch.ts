/**
 * Notices time that passed and is not in the file: MediaRecorder went silent for good, as after a page was frozen, or
 * the device was asleep. Slices that were only late, because the page was busy, are no hole: they come all at once.
 */

/** No slice through so many checks, one a second, means that MediaRecorder delivers nothing any more. */
const SILENT_CHECKS = 5;
/** A slice holds a quarter of a second, one that waited for a slow encoder a second or so. */
const SPAN_LIMIT_MS = 2_500;
/** The clock may run so far ahead of the file, for so many checks. */
const AHEAD_LIMIT_MS = 5_000;
const AHEAD_CHECKS = 3;

export interface Hole {
  /** On the file's time. */
  readonly fromMs: number;
  readonly toMs: number;
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

  /** `now`: a clock that goes on through sleep. */
  constructor(now: () => number) {
    this.#now = now;
    this.#startedAt = now();
    this.#lastAt = this.#startedAt;
  }

  get sinceSliceMs(): number {
    return this.#now() - this.#lastAt;
  }

  /** A slice came, with which the file ends at `fileMs`. */
  slice(fileMs: number): Hole | null {
    const fromMs = this.#fileMs;
    this.#lastAt = this.#now();
    this.#checksSilent = 0;
    this.#fileMs = Math.max(fromMs, fileMs);
    const hasHole = fromMs > 0 && fileMs - fromMs >= SPAN_LIMIT_MS;
    return hasHole ? { fromMs, toMs: fileMs, reason: "asleep" } : null;
  }

  /** To be called every second. */
  check(): Hole | null {
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
