/**
 * Capture of the mixed track: picture from the composing worker, sound from WebAudio, into
 * MediaRecorder with 250 ms slices. The one place where decrypted media becomes a file's bytes; each
 * slice goes to the sealing worker in order, and nothing keeps a copy.
 *
 * Nothing here depends on the page's timers or on drawing in the page: both starve in a hidden tab.
 * The clock of the checks is the composing worker's.
 */
import type { ComposeCounts } from "../worker/compose-protocol.js";
import type { ParticipantId } from "../worker/protocol.js";
import { Arrivals } from "./arrivals.js";
import { type AssetOptions, newComposeWorker } from "./assets.js";
import { BlobLedger } from "./blob-ledger.js";
import { Composer } from "./composer.js";
import { SealedVisitError } from "./errors.js";
import { type HealthReport, HealthWatch } from "./health.js";
import { Mixer } from "./mixer.js";
import { Pace } from "./pace.js";
import type { RemoteTrack } from "./media-session.js";
import { type Hole, passingTime, SliceWatch } from "./slice-watch.js";
import { WebmClock } from "./webm-clock.js";

/** How much media one sealed segment holds at most, and so about what a crash can cost. */
const SLICE_MS = 250;
/** A key frame at least this often: where a reader can start. */
const KEY_FRAME_INTERVAL_MS = 2_000;
/** How long MediaRecorder may take to stop, and to deliver the rest. */
const STOP_LIMIT_MS = 2_000;
/** Checks come once a second; closer ones say nothing about a second. */
const CHECKS_APART_MS = 500;

export interface CaptureOptions extends AssetOptions {
  /** Of the composed picture, at most. Default 960 x 540; smaller while nothing that arrives fills it. */
  readonly width?: number;
  readonly height?: number;
  /** Frames a second at most. Default 24; fewer, and smaller ones, while this device does not keep up. */
  readonly maxFps?: number;
  /** Default 2,000,000. */
  readonly videoBitsPerSecond?: number;
  /** Default 96,000. */
  readonly audioBitsPerSecond?: number;
}

interface CaptureHooks {
  /** `data` is the caller's from then on. */
  readonly onSlice: (data: ArrayBuffer, media_end_us: number) => void;
  /** Time passed that is not in the file: this capture is over, a new one may work. */
  readonly onHole: (hole: Hole) => void;
  /** There was no sound for a while; this capture goes on. */
  readonly onSoundGap: (hole: Hole) => void;
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
  readonly #mixer: Mixer;
  readonly #health: HealthWatch;
  readonly #arrivals = new Arrivals();
  #composer: Composer | null = null;
  #recorder: MediaRecorder | null = null;
  #startedAt = 0;
  #watch: SliceWatch | null = null;
  #isOver = false;
  #slices: Promise<void> = Promise.resolve();
  readonly #clock = new WebmClock();
  readonly #blobs = new BlobLedger();
  #pace = new Pace(24);
  /** Pictures in the file, and when, at the check before. */
  #checked: { readonly pictures: number; readonly at: number } | null = null;
  #wakeLock: WakeLockSentinel | null = null;
  readonly #onVisible = () => void this.#holdWakeLock();

  constructor(options: CaptureOptions, hooks: CaptureHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#health = new HealthWatch(hooks.onHealth);
    this.#mixer = new Mixer({
      onResumed: (missingMs) => {
        if (this.#watch) hooks.onSoundGap(this.#soundHole(missingMs));
      },
      onLost: (missingMs) => this.#onHole(this.#soundHole(missingMs)),
    });
  }

  async prepare(): Promise<void> {
    const { width = 960, height = 540, maxFps = 24 } = this.#options;
    this.#pace = new Pace(maxFps);
    const picture = { width, height, max_fps: maxFps };
    this.#composer = new Composer(newComposeWorker(this.#options), picture, (counts) => this.#check(counts));
    this.#composer.onFailure = (message) => this.#hooks.onFailure(new SealedVisitError("capture-failed", message));
    await this.#mixer.start();
  }

  setNames(names: ReadonlyMap<ParticipantId, string>): void {
    this.#composer?.setNames(names);
  }

  addRemote(remote: RemoteTrack): void {
    this.#health.expect(remote);
    this.#arrivals.expect(remote);
    if (remote.kind === "audio") this.#mixer.add(remote.id, remote.mediaTrack);
    else this.#composer?.add(remote);
  }

  removeRemote(remote: RemoteTrack): void {
    this.#health.forget(remote);
    this.#arrivals.forget(remote);
    if (remote.kind === "audio") this.#mixer.remove(remote.id);
    else this.#composer?.remove(remote.id);
  }

  start(): void {
    if (!this.#composer) throw new SealedVisitError("internal", "capture was not prepared");
    const stream = new MediaStream([this.#composer.track, this.#mixer.track]);
    const { videoBitsPerSecond = 2_000_000, audioBitsPerSecond = 96_000 } = this.#options;
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
    this.#watch = new SliceWatch(passingTime());
    recorder.start(SLICE_MS);
    document.addEventListener("visibilitychange", this.#onVisible);
    void this.#holdWakeLock();
  }

  /** Resolves when the last slice has been handed over. */
  async stop(): Promise<void> {
    const recorder = this.#recorder;
    this.#recorder = null;
    this.#watch = null;
    if (recorder && recorder.state !== "inactive") {
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
      recorder.stop();
      // One that delivers nothing anymore, as after a frozen page, may not say that it has stopped, either.
      await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, STOP_LIMIT_MS))]);
    }
    await this.#slices;
    this.#isOver = true;
    this.#mixer.track.stop();
    document.removeEventListener("visibilitychange", this.#onVisible);
    await this.#wakeLock?.release().catch(() => undefined);
    this.#composer?.close();
    await this.#mixer.close();
  }

  /** Microseconds since the part's start. */
  mediaTimeUs(): number {
    return this.#startedAt === 0 ? 0 : Math.round((performance.now() - this.#startedAt) * 1_000);
  }

  /** How far the picture's encoder is behind the sound: what of the picture a crash would cost on top. */
  get pictureLagMs(): number {
    return this.#clock.videoLagMs;
  }

  unsealedTailMs(sealed_media_us: number): number {
    return Math.max(0, Math.round(this.mediaTimeUs() / 1_000 - sealed_media_us / 1_000));
  }

  /** Slices are read one after the other, so that they reach the worker in their order. */
  #onSlice(data: Blob): void {
    this.#mixer.sample();
    // Whatever still comes belongs to a part that has ended, and must not get into the next one.
    if (data.size === 0 || this.#isOver) return;
    this.#watch?.arrived();
    this.#blobs.note(data);
    this.#slices = this.#slices
      .then(async () => {
        const bytes = await data.arrayBuffer();
        if (this.#isOver) return void new Uint8Array(bytes).fill(0);
        this.#clock.feed(new Uint8Array(bytes));
        // What is in the file, not what the clock on the wall says: the encoder may be behind.
        const fileMs = Math.max(this.#clock.videoMs, this.#clock.audioMs);
        this.#hooks.onSlice(bytes, Math.round(fileMs * 1_000));
        this.#onHole(this.#watch?.slice(fileMs, this.#clock.empty));
      })
      .catch((cause: unknown) =>
        this.#hooks.onFailure(new SealedVisitError("capture-failed", "a slice could not be read", { cause })),
      );
  }

  /** Once a second, by the composing worker's clock. */
  #check(counts: ComposeCounts): void {
    this.#mixer.look();
    const sealed = this.#watch && {
      isSoundStill: this.#mixer.isStill,
      sinceSliceMs: this.#watch.sinceSliceMs,
      pictureLagMs: this.pictureLagMs,
      picturesPerS: this.#picturesPerS(),
    };
    const arrivedPerS = this.#arrivals.perSecond();
    this.#arrivals.count();
    this.#health.check(counts, this.#mixer.levels(), sealed, { arrivedPerS, isLowered: this.#pace.isLowered });
    if (sealed?.picturesPerS != null) {
      const wanted = Math.min(this.#pace.now.max_fps, Math.max(0, ...arrivedPerS.values()));
      const { pictureLagMs: lagMs, picturesPerS: pictures } = sealed;
      this.#composer?.setPace(this.#pace.next({ lagMs, pictures, wanted }));
    }
    this.#onHole(this.#watch?.check());
  }

  /** That came into the file since the check before; null where that cannot be told. */
  #picturesPerS(): number | null {
    const [before, at] = [this.#checked, performance.now()];
    // A busy page makes up for its checks all at once.
    if (before && at - before.at < CHECKS_APART_MS) return null;
    this.#checked = { pictures: this.#clock.videoFrames, at };
    return before && ((this.#checked.pictures - before.pictures) * 1_000) / (at - before.at);
  }

  /** MediaRecorder keeps the time: what is missing lies after the newest sound in the file. */
  #soundHole(missingMs: number): Hole {
    return { fromMs: this.#clock.audioMs, toMs: this.#clock.audioMs + missingMs, reason: "no_sound" };
  }

  #onHole(hole: Hole | null | undefined): void {
    if (!hole || !this.#watch) return;
    this.#watch = null;
    this.#hooks.onHole(hole);
  }

  /** Keeps the screen on while the page is visible; lost at the moment of hiding, asked for again after. */
  async #holdWakeLock(): Promise<void> {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    this.#wakeLock = await navigator.wakeLock.request("screen").catch(() => null);
  }
}
