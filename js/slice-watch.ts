/**
 * Notices time that passed and is not in the file: MediaRecorder went silent for good, as after a page was frozen, or
 * the device was asleep. Slices that were only late, because the page was busy, are no hole.
 */
import type { EmptySpan } from "./webm-clock.js";

/** No slice through so many checks, one a second, means that MediaRecorder delivers nothing anymore. */
const SILENT_CHECKS = 5;
/** Between one block and the next there are 60 ms, and a second or so while an encoder is slow. */
const EMPTY_LIMIT_MS = 2_500;
/** So far the clock must have run ahead of the file from one check to the next, and stay there for so many. */
const AHEAD_LIMIT_MS = 5_000;
const AHEAD_CHECKS = 3;
/** A busy page makes up for its checks all at once, before it hears of the slices: they count as one. */
const CHECKS_APART_MS = 500;
/** The two clocks are never so far apart between two looks, unless one stood still or was set. */
const SLEPT_MS = 1_000;

/**
 * Why something is missing. `asleep_or_clock_set`: the wall clock alone went on, and cannot say why. `no_sound`: the
 * browser's sound stood still.
 */
export type GapReason = "frozen" | "asleep" | "asleep_or_clock_set" | "no_sound";

/** On the file's time. */
export interface Hole extends EmptySpan {
  readonly reason: GapReason;
}

/** As manifests and events state it: in whole microseconds. */
export function gapOf({ fromMs, toMs, reason }: Hole) {
  return { from_us: Math.round(fromMs * 1_000), to_us: Math.round(toMs * 1_000), reason };
}

/** A jump of the clock that the file may yet make up for. */
interface Suspicion {
  readonly aheadBeforeMs: number;
  readonly fromMs: number;
  checks: number;
}

/** @internal */
export class SliceWatch {
  readonly #now: () => number;
  readonly #startedAt: number;
  #lastAt: number;
  #fileMs = 0;
  #checkedAt: number;
  #checksSilent = 0;
  /** At the last check with slices: the file's position, and how far the clock was ahead of it. */
  #checked: { readonly fileMs: number; readonly aheadMs: number } | null = null;
  #suspicion: Suspicion | null = null;

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

  /** MediaRecorder delivered a slice, which is yet to be read. */
  arrived(): void {
    this.#lastAt = this.#now();
    this.#checksSilent = 0;
  }

  /** It was read: the file ends at `fileMs`; `empty` is the longest time in the slice without a block. */
  slice(fileMs: number, { fromMs, toMs }: EmptySpan): Hole | null {
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
    // Without a slice since the last check, nothing can be said of the file's time.
    return this.#checksSilent === 1 ? this.#checkFileTime() : null;
  }

  #checkFileTime(): Hole | null {
    const aheadMs = this.#now() - this.#startedAt - this.#fileMs;
    const { fileMs: fromMs, aheadMs: aheadBeforeMs } = this.#checked ?? { fileMs: this.#fileMs, aheadMs };
    this.#checked = { fileMs: this.#fileMs, aheadMs };
    this.#suspicion ??= { aheadBeforeMs, fromMs, checks: 0 };
    const missingMs = aheadMs - this.#suspicion.aheadBeforeMs;
    if (missingMs < AHEAD_LIMIT_MS) {
      this.#suspicion = null;
      return null;
    }
    this.#suspicion.checks += 1;
    if (this.#suspicion.checks < AHEAD_CHECKS) return null;
    const { fromMs: at } = this.#suspicion;
    return { fromMs: at, toMs: at + missingMs, reason: "asleep_or_clock_set" };
  }
}

/** Milliseconds that pass, sleep included: on some systems `performance.now()` stands still through it. */
export function passingTime(): () => number {
  let [tick, wallMs, passedMs] = [performance.now(), Date.now(), 0];
  return () => {
    const [sinceTick, sinceWallMs] = [performance.now() - tick, Date.now() - wallMs];
    tick += sinceTick;
    wallMs += sinceWallMs;
    // Only the wall clock can be set, including backward.
    passedMs += sinceWallMs - sinceTick > SLEPT_MS ? sinceWallMs : sinceTick;
    return passedMs;
  };
}
