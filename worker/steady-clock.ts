/**
 * The wall clock as it was at the start, and steadily on from there. A clock that is set back would hold every deadline
 * up, and a recorder that vanished would not be missed: here it goes on instead. A clock that jumps ahead is followed:
 * so it looks after sleep, through which `performance.now()` stands still on some systems.
 */

/** Readings of the two clocks may be so far apart. */
const TOLERANCE_MS = 50;

export class SteadyClock {
  #offsetMs = 0;
  #lastMs = Date.now();
  #lastTick = performance.now();
  readonly #correctionMs: number;

  /** `correctionMs`: what this device's clock lacks, where a signature says so; negative where it is ahead. */
  constructor(correctionMs = 0) {
    this.#correctionMs = correctionMs;
  }

  /** Milliseconds since the Unix epoch, whole, never less than before. */
  now(): number {
    const tick = performance.now();
    const expectedMs = this.#lastMs + (tick - this.#lastTick);
    const wallMs = Date.now() + this.#offsetMs;
    if (wallMs < expectedMs - TOLERANCE_MS) {
      this.#offsetMs += expectedMs - wallMs;
    } else if (wallMs > expectedMs + TOLERANCE_MS) {
      // Corrected again: first make up for the time it was set back.
      this.#offsetMs = Math.max(0, Math.min(this.#offsetMs, expectedMs - Date.now()));
    }
    this.#lastMs = Math.max(this.#lastMs, Date.now() + this.#offsetMs);
    this.#lastTick = tick;
    return Math.floor(this.#lastMs + this.#correctionMs);
  }
}
