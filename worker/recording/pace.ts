/**
 * How much one request carries, and how long its answer may take: learned from what the server acknowledged.
 *
 * Whatever stands between page and vault may refuse large bodies (413), give up on slow ones (408, 504), or take a body
 * whole before it passes anything on (a buffering proxy), so that nothing is gained until the last byte is through. What
 * the browser has handed to the operating system says little about any of it. Only an acknowledged offset counts.
 */

/** What a lost connection costs at most. */
export const LARGEST_BYTES = 4 << 20;
/** About one segment of a quarter of a second at 512 kbit/s. */
export const SMALLEST_BYTES = 16 << 10;
/** Before anything is known of the line. */
const FIRST_BYTES = 256 << 10;
/** An answer without a body takes this long at most. */
const BASE_PATIENCE_MS = 9_000;
/** A request is sized to take about this long. */
const TARGET_MS = 4_000;
/** The line may get this much slower before a request counts as stalled. */
const SLOWDOWN = 4;
/** 64 kbit/s: what is assumed before anything was measured. */
const FIRST_BYTES_PER_MS = 8;
const LEAST_BYTES_PER_MS = 0.25;
/** How long a size that was refused is not tried again. */
const REFUSED_FOR_MS = 600_000;

export class Pace {
  #bytes = FIRST_BYTES;
  /** Acknowledged bytes a millisecond; null before the first. */
  #rate: number | null = null;
  /** A stall with nothing measured yet makes the assumption smaller too. */
  #assumed = FIRST_BYTES_PER_MS;
  #refused: { readonly bytes: number; readonly until: number } | null = null;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The next request's body at most. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing smaller is tried. */
  get isSmallest(): boolean {
    return this.#bytes <= SMALLEST_BYTES;
  }

  /** How long to wait for the answer to a body of `bytes`. */
  patienceMs(bytes: number): number {
    const expected = this.#rate === null ? this.#assumed : this.#rate / SLOWDOWN;
    return BASE_PATIENCE_MS + bytes / Math.max(LEAST_BYTES_PER_MS, expected);
  }

  /** The server acknowledged `bytes` of one request, `ms` after it was made. */
  acknowledged(bytes: number, ms: number): void {
    if (bytes <= 0) return;
    const rate = bytes / Math.max(1, ms);
    // A small body measures the round trip rather than the line: it only ever raises the rate.
    const isTelling = bytes >= this.#bytes / 2;
    if (this.#rate === null) this.#rate = rate;
    else if (isTelling || rate > this.#rate) this.#rate += (rate - this.#rate) / 2;
    if (isTelling) this.#resize(Math.min(this.#bytes * 2, this.#rate * TARGET_MS));
  }

  /** Too large for something in between: half, and not that much again for a while. */
  refused(bytes: number): void {
    this.#refused = { bytes, until: this.#now() + REFUSED_FOR_MS };
    this.#resize(Math.min(this.#bytes, bytes) / 2);
  }

  /** No answer in time, by our clock or by that of something in between. */
  stalled(): void {
    if (this.#rate === null) this.#assumed /= 2;
    else this.#rate /= 2;
    this.#resize(this.#bytes / 2);
  }

  #resize(bytes: number): void {
    if (this.#refused && this.#now() > this.#refused.until) this.#refused = null;
    const largest = this.#refused ? Math.min(LARGEST_BYTES, this.#refused.bytes - 1) : LARGEST_BYTES;
    this.#bytes = Math.floor(Math.max(SMALLEST_BYTES, Math.min(bytes, largest)));
  }
}
