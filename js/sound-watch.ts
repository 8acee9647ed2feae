/**
 * Notices that the sound of a recording stands still: the browser suspends or closes an AudioContext when an output device
 * disappears, and delivers nothing of a file meanwhile, neither sound nor picture. The context's own clock says so first.
 *
 * What was suspended is resumed at once. What does not go on soon is given up, and a new capture begins.
 */

/** The part of an AudioContext that is watched; tests bring their own. */
export interface WatchedContext extends Pick<EventTarget, "addEventListener" | "removeEventListener"> {
  readonly state: string;
  /** Seconds of sound that were processed. */
  readonly currentTime: number;
  resume(): Promise<void>;
}

export interface SoundHooks {
  /** No sound for so long, and none to come. */
  readonly onLost: (missingMs: number) => void;
  /** It stood still for so long, and goes on. */
  readonly onResumed: (missingMs: number) => void;
}

/** How long a context that was suspended may take to go on. */
const GIVE_UP_AFTER_MS = 1_000;
/** One that says it is running may only be slow. */
const GIVE_UP_RUNNING_AFTER_MS = 3_000;
/** How often to look while it stands still. */
const LOOK_EVERY_MS = 100;
/** A busy device's context falls behind for moments; shorter ones are in no report. */
const REPORTED_FROM_MS = 300;
/** Looks come every second. After more than this the page itself slept, or was frozen: others say that (`SliceWatch`). */
const SLEPT_MS = 2_500;
/** Between two looks the clock of the sound must advance by this share of the time. */
const RUNNING_SHARE = 0.1;

/** @internal */
export class SoundWatch {
  readonly #context: WatchedContext;
  readonly #hooks: SoundHooks;
  readonly #now: () => number;
  #at: number;
  #soundMs: number;
  /** Since when it has stood still. */
  #stillSince: number | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  readonly #onChange = () => this.look();

  constructor(context: WatchedContext, hooks: SoundHooks, now = () => performance.now()) {
    this.#context = context;
    this.#hooks = hooks;
    this.#now = now;
    this.#at = now();
    this.#soundMs = context.currentTime * 1_000;
    context.addEventListener("statechange", this.#onChange);
  }

  get isStill(): boolean {
    return this.#stillSince !== null;
  }

  /** To be called every second; whenever the context says that its state changed, it looks by itself. */
  look(): void {
    if (this.#isOver) return;
    const [now, soundMs] = [this.#now(), this.#context.currentTime * 1_000];
    const [passedMs, heardMs] = [now - this.#at, soundMs - this.#soundMs];
    // Two looks within one block of sound say nothing.
    if (passedMs < LOOK_EVERY_MS / 2 && this.#context.state === "running") return;
    if (passedMs > SLEPT_MS && this.#context.state === "running") {
      [this.#at, this.#soundMs] = [now, soundMs];
      return;
    }
    const isRunning = this.#context.state === "running" && heardMs >= passedMs * RUNNING_SHARE;
    if (isRunning) this.#runs(now);
    else this.#standsStill(now);
    [this.#at, this.#soundMs] = [now, soundMs];
  }

  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#context.removeEventListener("statechange", this.#onChange);
  }

  #runs(now: number): void {
    clearTimeout(this.#timer);
    if (this.#stillSince === null) return;
    const missingMs = now - this.#stillSince;
    this.#stillSince = null;
    if (missingMs >= REPORTED_FROM_MS) this.#hooks.onResumed(missingMs);
  }

  #standsStill(now: number): void {
    // A context that says it runs stands still since the last look; one that says that it does not, since it changed.
    this.#stillSince ??= this.#context.state === "running" ? this.#at : now;
    const missingMs = now - this.#stillSince;
    const patienceMs = { running: GIVE_UP_RUNNING_AFTER_MS, closed: 0 }[this.#context.state] ?? GIVE_UP_AFTER_MS;
    if (missingMs >= patienceMs) {
      this.stop();
      this.#hooks.onLost(missingMs);
      return;
    }
    this.#context.resume().catch(() => undefined);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), LOOK_EVERY_MS);
  }
}
