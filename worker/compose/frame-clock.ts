/**
 * When a frame should have been shown, on this worker's clock, however late it was handed over.
 *
 * The browser gives each frame the time at which it is due, counted from a moment that it does not tell. A frame that
 * was handed over without delay tells it: the smallest (arrival minus timestamp) of the last seconds is that moment, and
 * whatever a frame took longer is how late it came. On a busy machine that is a tenth of a second and more, by which the
 * picture would otherwise lag behind the sound.
 */

/** The moment is found again in so long: the two clocks drift, and a sender's delay may change for good. */
const WINDOW_MS = 5_000;
/** No frame is this late; where it seems so, the timestamps began again. */
const LATEST_MS = 1_000;

export class FrameClock {
  /** Smallest (arrival minus timestamp) of the window before, and of this one. */
  #beforeMs = Number.POSITIVE_INFINITY;
  #nowMs = Number.POSITIVE_INFINITY;
  #windowEndsAt = Number.NEGATIVE_INFINITY;

  /** When a frame with this timestamp was due; never later than its arrival. */
  dueAt(timestampUs: number, arrivedAt: number): number {
    const timestampMs = timestampUs / 1_000;
    const offsetMs = arrivedAt - timestampMs;
    if (offsetMs - Math.min(this.#beforeMs, this.#nowMs) > LATEST_MS) this.#restart();
    if (arrivedAt >= this.#windowEndsAt) {
      this.#beforeMs = this.#nowMs;
      this.#nowMs = Number.POSITIVE_INFINITY;
      this.#windowEndsAt = arrivedAt + WINDOW_MS;
    }
    this.#nowMs = Math.min(this.#nowMs, offsetMs);
    return timestampMs + Math.min(this.#beforeMs, this.#nowMs);
  }

  #restart(): void {
    this.#beforeMs = Number.POSITIVE_INFINITY;
    this.#nowMs = Number.POSITIVE_INFINITY;
    this.#windowEndsAt = Number.NEGATIVE_INFINITY;
  }
}
