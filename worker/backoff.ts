/** Capped exponential backoff with full jitter: retries spread out, and never stop by themselves. */

export interface BackoffLimits {
  readonly firstMs: number;
  readonly capMs: number;
}

export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: () => number;
  #attempt = 0;

  constructor(limits: BackoffLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** How long to wait before the next attempt: between half of and the whole exponential step. */
  nextMs(): number {
    const { firstMs, capMs } = this.#limits;
    const step = Math.min(capMs, firstMs * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 30);
    return Math.round(step * (0.5 + this.#random() / 2));
  }

  /** After a success. */
  reset(): void {
    this.#attempt = 0;
  }
}
