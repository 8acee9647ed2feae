/**
 * What this device can encode: a smaller picture and fewer of them when the encoder falls behind, more again when it has
 * kept up for a while. An encoder that is behind costs picture when the page dies, and starves the call beside it.
 */
import type { ComposePace } from "../worker/compose-protocol.js";

/** From best to least. Size goes first: people see a small picture, and cannot see a missing one. */
const STEPS: readonly ComposePace[] = [
  { max_fps: Number.POSITIVE_INFINITY, max_scale: 1 },
  { max_fps: 15, max_scale: 2 / 3 },
  { max_fps: 12, max_scale: 1 / 2 },
  { max_fps: 10, max_scale: 1 / 2 },
];
const BEHIND_MS = 500;
const KEPT_UP_MS = 250;
/** Under this part of the pictures that were wanted, the device does not keep up, however short the queue. */
const BEHIND_SHARE = 0.6;
const KEPT_UP_SHARE = 0.8;
/** Seconds of falling behind before the next step down: one may be a hiccup, and a step takes a second to show. */
const BEHIND_S = 2;
/** Seconds of keeping up before a step up; twice as many after each that turned out too much. */
const PATIENCE_S = 5;
const LONGEST_PATIENCE_S = 80;
/** A step up that lasted so long was not too much. */
const PROVEN_S = 20;

/** MediaRecorder delivers late and then all at once on a busy page: only a few seconds together say how many it encodes. */
const TOGETHER_S = 3;

/** Of the last second. */
export interface Encoded {
  /** How far the file's picture is behind its sound. */
  readonly lagMs: number;
  readonly pictures: number;
  readonly wanted: number;
}

/** @internal */
export class Pace {
  readonly #maxFps: number;
  #step = 0;
  #recent: readonly Encoded[] = [];
  #behindS = 0;
  #keptUpS = 0;
  #patienceS = PATIENCE_S;
  #sinceUpS = Number.POSITIVE_INFINITY;

  constructor(maxFps: number) {
    this.#maxFps = maxFps;
  }

  get now(): ComposePace {
    const { max_fps, max_scale } = STEPS[this.#step] as ComposePace;
    return { max_fps: Math.min(max_fps, this.#maxFps), max_scale };
  }

  /** Whether less is composed than was asked for. */
  get isLowered(): boolean {
    return this.#step > 0;
  }

  /** To be called once a second. */
  next(second: Encoded): ComposePace {
    this.#sinceUpS += 1;
    this.#recent = [...this.#recent, second].slice(-TOGETHER_S);
    const { lagMs } = second;
    const pictures = this.#recent.reduce((sum, each) => sum + each.pictures, 0);
    const wanted = this.#recent.reduce((sum, each) => sum + each.wanted, 0);
    const isBehind = this.#recent.length === TOGETHER_S && pictures < wanted * BEHIND_SHARE;
    if (lagMs > BEHIND_MS || isBehind) {
      this.#keptUpS = 0;
      if (++this.#behindS >= BEHIND_S) this.#down();
    } else {
      this.#behindS = 0;
      if (lagMs < KEPT_UP_MS && pictures >= wanted * KEPT_UP_SHARE && ++this.#keptUpS >= this.#patienceS) this.#up();
    }
    return this.now;
  }

  #down(): void {
    if (this.#sinceUpS < PROVEN_S) this.#patienceS = Math.min(this.#patienceS * 2, LONGEST_PATIENCE_S);
    else this.#patienceS = PATIENCE_S;
    this.#sinceUpS = Number.POSITIVE_INFINITY;
    this.#behindS = 0;
    this.#recent = [];
    this.#step = Math.min(this.#step + 1, STEPS.length - 1);
  }

  #up(): void {
    this.#keptUpS = 0;
    if (this.#step === 0) return;
    this.#step -= 1;
    this.#sinceUpS = 0;
    this.#recent = [];
  }
}
