/**
 * Capture of the mixed track: picture from the composing worker, sound from WebAudio, into
 * MediaRecorder with 250 ms slices. The one place where decrypted media becomes a file's bytes; each
 * slice goes to the sealing worker in order, and nothing keeps a copy.
 *
 * Nothing here depends on the page's timers or on drawing in the page: both starve in a hidden tab.
 * The clock of the checks is the composing worker's.
 */
import type { ParticipantId } from "../worker/protocol.js";
import { type AssetOptions, newComposeWorker } from "./assets.js";
import { Composer } from "./composer.js";
import { SealedVisitError } from "./errors.js";
import { type HealthReport, HealthWatch } from "./health.js";
import { Mixer } from "./mixer.js";
import type { RemoteTrack } from "./media-session.js";

/** How much media one sealed segment holds at most, and so about what a crash can cost. */
const SLICE_MS = 250;
/** A key frame at least this often: where a reader can start. */
const KEY_FRAME_INTERVAL_MS = 2_000;
/** No slice for so long means that MediaRecorder has gone silent, as after a frozen page. */
const STALL_LIMIT_MS = 3_000;

export interface CaptureOptions extends AssetOptions {
  /** Of the composed picture. Default 1280 x 720. */
  readonly width?: number;
  readonly height?: number;
  /** Default 2,500,000. */
  readonly videoBitsPerSecond?: number;
  /** Default 96,000. */
  readonly audioBitsPerSecond?: number;
}

interface CaptureHooks {
  /** `data` is the caller's from then on. */
  readonly onSlice: (data: ArrayBuffer, media_end_us: number) => void;
  readonly onGap: (from_us: number, to_us: number, reason: string) => void;
  readonly onHealth: (report: HealthReport) => void;
  readonly onProblem: (error: SealedVisitError) => void;
  readonly onFailure: (error: SealedVisitError) => void;
}

/** MediaRecorder's options that TypeScript does not know yet. */
interface KeyFrameOptions extends MediaRecorderOptions {
  readonly videoKeyFrameIntervalDuration: number;
}

/** @internal */
export class Capture {
  /** VP8 costs the least to encode, and every browser plays it. */
  readonly mediaType = 'video/webm;codecs="vp8,opus"';
  readonly #options: CaptureOptions;
  readonly #hooks: CaptureHooks;
  readonly #mixer = new Mixer();
  readonly #health: HealthWatch;
  #composer: Composer | null = null;
  #recorder: MediaRecorder | null = null;
  #startedAt = 0;
  #lastSliceAt = 0;
  #slices: Promise<void> = Promise.resolve();
  #wakeLock: WakeLockSentinel | null = null;
  readonly #onVisible = () => void this.#holdWakeLock();

  constructor(options: CaptureOptions, hooks: CaptureHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#health = new HealthWatch(hooks.onHealth);
  }

  async prepare(): Promise<void> {
    const { width = 1280, height = 720 } = this.#options;
    this.#composer = new Composer(newComposeWorker(this.#options), { width, height }, (counts) => {
      this.#health.check(counts, this.#mixer.levels(), this.#recorder ? performance.now() - this.#lastSliceAt : null);
      this.#checkStall();
    });
    this.#composer.onFailure = (message) => this.#hooks.onFailure(new SealedVisitError("capture-failed", message));
    await this.#mixer.start();
  }

  setNames(names: ReadonlyMap<ParticipantId, string>): void {
    this.#composer?.setNames(names);
  }

  addRemote(remote: RemoteTrack): void {
    this.#health.expect(remote);
    if (remote.kind === "audio") this.#mixer.add(remote.id, remote.mediaTrack);
    else this.#composer?.add(remote);
  }

  removeRemote(remote: RemoteTrack): void {
    this.#health.forget(remote);
    if (remote.kind === "audio") this.#mixer.remove(remote.id);
    else this.#composer?.remove(remote.id);
  }

  start(): void {
    if (!this.#composer) throw new SealedVisitError("internal", "capture was not prepared");
    const stream = new MediaStream([this.#composer.track, this.#mixer.track]);
    const { videoBitsPerSecond = 2_500_000, audioBitsPerSecond = 96_000 } = this.#options;
    const options: KeyFrameOptions = {
      mimeType: "video/webm;codecs=vp8,opus",
      videoBitsPerSecond,
      audioBitsPerSecond,
      videoKeyFrameIntervalDuration: KEY_FRAME_INTERVAL_MS,
    };
    const recorder = new MediaRecorder(stream, options);
    recorder.addEventListener("dataavailable", ({ data }) => this.#onSlice(data));
    recorder.addEventListener("error", (event) => {
      const error = (event as Event & { error?: unknown }).error;
      this.#hooks.onFailure(new SealedVisitError("capture-failed", "MediaRecorder failed", { cause: error }));
    });
    this.#recorder = recorder;
    this.#startedAt = performance.now();
    this.#lastSliceAt = this.#startedAt;
    recorder.start(SLICE_MS);
    document.addEventListener("visibilitychange", this.#onVisible);
    void this.#holdWakeLock();
  }

  /** Resolves when the last slice has been handed over. */
  async stop(): Promise<void> {
    const recorder = this.#recorder;
    this.#recorder = null;
    if (recorder && recorder.state !== "inactive") {
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
      recorder.stop();
      await stopped;
    }
    await this.#slices;
    document.removeEventListener("visibilitychange", this.#onVisible);
    await this.#wakeLock?.release().catch(() => undefined);
    this.#composer?.close();
    await this.#mixer.close();
  }

  /** Microseconds since the part's start. */
  mediaTimeUs(): number {
    return this.#startedAt === 0 ? 0 : Math.round((performance.now() - this.#startedAt) * 1_000);
  }

  unsealedTailMs(sealed_media_us: number): number {
    return Math.max(0, Math.round(this.mediaTimeUs() / 1_000 - sealed_media_us / 1_000));
  }

  /** Slices are read one after the other, so that they reach the worker in their order. */
  #onSlice(data: Blob): void {
    const media_end_us = this.mediaTimeUs();
    this.#lastSliceAt = performance.now();
    if (data.size === 0) return;
    this.#slices = this.#slices
      .then(async () => this.#hooks.onSlice(await data.arrayBuffer(), media_end_us))
      .catch((cause: unknown) =>
        this.#hooks.onFailure(new SealedVisitError("capture-failed", "a slice could not be read", { cause })),
      );
  }

  #checkStall(): void {
    if (!this.#recorder || performance.now() - this.#lastSliceAt < STALL_LIMIT_MS) return;
    const silentMs = Math.round(performance.now() - this.#lastSliceAt);
    this.#recorder = null;
    this.#hooks.onFailure(
      new SealedVisitError("capture-failed", `MediaRecorder delivered nothing for ${silentMs} ms`, {
        detail: { what: "stalled", silent_ms: silentMs },
      }),
    );
  }

  /** Keeps the screen on while the page is visible; lost at the moment of hiding, asked for again after. */
  async #holdWakeLock(): Promise<void> {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    this.#wakeLock = await navigator.wakeLock.request("screen").catch(() => null);
  }
}
