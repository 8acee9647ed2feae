/**
 * How many pictures a second this device can encode: fewer when the encoder falls behind, more again
 * when it has kept up for a while. An encoder that is behind costs picture when the page dies.
 */

const BEHIND_MS = 500;
const KEPT_UP_MS = 200;
/** Seconds of keeping up before the rate is raised again. */
const PATIENCE_S = 5;
const MIN_FPS = 5;

/** @internal */
export class Pace {
  readonly #maxFps: number;
  #fps: number;
  #keptUpS = 0;

  constructor(maxFps: number) {
    this.#maxFps = maxFps;
    this.#fps = maxFps;
  }

  /** To be called once a second with the encoder's lag; returns the frames a second to compose. */
  next(lagMs: number): number {
    if (lagMs > BEHIND_MS) {
      this.#keptUpS = 0;
      this.#fps = Math.max(MIN_FPS, this.#fps * 0.7);
    } else if (lagMs < KEPT_UP_MS && ++this.#keptUpS >= PATIENCE_S) {
      this.#keptUpS = 0;
      this.#fps = Math.min(this.#maxFps, this.#fps * 1.2);
    }
    return this.#fps;
  }
}
