/**
 * Every encoded frame of this member, out or in, goes through here to the engine and back.
 *
 * Law: a frame is forwarded as the engine made it, or dropped and counted. There is no path on
 * which it passes unchanged: whatever throws, is unknown, or comes too early, drops the frame.
 */
import { CODECS } from "../../generated/codecs.js";
import type { EpochLeaf, ParticipantId } from "../core-types.js";
import type { Event, TrackCounts, TransformOptions, WorkerStats } from "../protocol.js";
import type { FrameEngine, FramesModule } from "../wasm.js";
import { DropReports } from "./drop-reports.js";
import { sharedNowMs } from "../shared-clock.js";
import { type EncodedFrame, type EngineCounts, type FrameMetadata, FrameTrack } from "./frame-track.js";

/** Where a frame goes next. */
export interface FrameSink {
  enqueue(frame: EncodedFrame): void;
}

interface WaitingFrame {
  readonly track: FrameTrack;
  readonly frame: EncodedFrame;
  readonly sink: FrameSink;
}

/** The engine gives waiting frames up after 250 ms; it must be asked to. */
const RELEASE_EVERY_MS = 50;
/** These come by the nature of the network, a few per hundred early in a call: counted, not reported. */
const QUIET_REASONS: ReadonlySet<string> = new Set(["duplicate", "too-old", "gated"]);

export interface FrameHooks {
  readonly emit: (event: Event) => void;
  /** The engine panicked: it is never called again. */
  readonly onFatal: (error: unknown) => void;
}

export class FrameCrypto {
  readonly #engine: FrameEngine;
  readonly #module: FramesModule;
  readonly #hooks: FrameHooks;
  readonly #tracks = new Map<number, FrameTrack>();
  readonly #past = { encrypted: 0, decrypted: 0, dropped: 0 };
  readonly #waiting = new Map<number, WaitingFrame>();
  readonly #reports: DropReports;
  #leaves: ReadonlyMap<ParticipantId, number> = new Map();
  #isOpen = false;
  #isDead = false;
  /** The clock on which epochs retire: the visit's, once there is one. */
  #now: () => number = sharedNowMs;
  /** When the last frames left; a ring. */
  readonly #forwardedAt = new Float64Array(64).fill(Number.NEGATIVE_INFINITY);
  #forwarded = 0;
  #keyFrameRequests = 0;
  #releaseTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(module: FramesModule, hooks: FrameHooks) {
    this.#module = module;
    this.#hooks = hooks;
    this.#engine = new module.FrameEngine();
    this.#engine.setSending(false);
    this.#reports = new DropReports(hooks.emit);
  }

  // --- Epochs and the gate ------------------------------------------------------------------------

  /** The engine, for the visit that gives it keys: they pass from one to the other inside the module. */
  engineOn(clock: () => number): FrameEngine {
    // The visit says when a key dies, on a clock that may be corrected by hours.
    this.#now = clock;
    return this.#engine;
  }

  /** The engine has a new epoch's keys: these leaves are in it, and what waited for it is due. */
  enterEpoch(leaves: readonly EpochLeaf[]): void {
    this.#leaves = new Map(leaves.map(({ participant, leaf }) => [participant, leaf]));
    this.#release();
    for (const track of this.#tracks.values()) this.#requestKeyFrame(track);
  }

  /** The engine's keys are gone: no frame is left behind either. */
  leaveEpochs(): void {
    if (!this.#isDead) this.#engine.wipe();
    this.#leaves = new Map();
    this.#waiting.clear();
  }

  setGate(isOpen: boolean): void {
    this.#isOpen = isOpen && !this.#isDead;
    if (!this.#isDead) this.#engine.setSending(this.#isOpen);
  }

  /** When the last frames left, at most 64, on the clock of `performance.now()`; in no order. */
  get lastForwardedAt(): readonly number[] {
    return [...this.#forwardedAt];
  }

  /** Frames encrypted so far under the keys of this epoch and those before. */
  encryptedUpTo(epoch: bigint): number {
    if (this.#isDead) return 0;
    return this.#engine.encryptedPerEpoch().reduce((sum, [of, count]) => (of <= epoch ? sum + Number(count) : sum), 0);
  }

  get sendingEpoch(): bigint | undefined {
    return this.#isDead ? undefined : this.#engine.sendingEpoch();
  }

  /** Nothing is encrypted or decrypted from now on, and the engine is not called again. */
  kill(): void {
    this.#isOpen = false;
    this.#isDead = true;
    this.#waiting.clear();
    this.#reports.stop();
    if (this.#releaseTimer !== null) clearTimeout(this.#releaseTimer);
  }

  // --- Tracks -------------------------------------------------------------------------------------

  addTrack(options: TransformOptions, askForKeyFrame: (() => Promise<void>) | null): FrameTrack {
    const track = new FrameTrack(options, askForKeyFrame);
    this.#tracks.set(options.key, track);
    if (this.#leaves.size > 0) this.#requestKeyFrame(track);
    return track;
  }

  /** A receiver that carries another participant's track from now on. */
  rebind(key: number, participant: ParticipantId, trackId: string): void {
    const track = this.#tracks.get(key);
    if (track?.options.direction !== "receive") return;
    this.#closeHandle(track);
    track.participant = participant;
    track.track = trackId;
    track.hasSeen = false;
    track.hasPassed = false;
    track.needsKeyFrame = track.options.kind === "video";
  }

  removeTrack(key: number): void {
    const track = this.#tracks.get(key);
    if (!track) return;
    this.#closeHandle(track);
    track.isClosed = true;
    this.#tracks.delete(key);
    const { encrypted, decrypted, dropped } = track.totals(null);
    this.#past.encrypted += encrypted;
    this.#past.decrypted += decrypted;
    this.#past.dropped += total(dropped);
  }

  // --- Frames -------------------------------------------------------------------------------------

  /** Encrypts a frame and hands it on, or drops it. Never throws. */
  send(track: FrameTrack, frame: EncodedFrame, sink: FrameSink): void {
    try {
      this.#noteSeen(track);
      const result = this.#encrypt(track, frame);
      if (typeof result === "string") {
        this.#drop(track, result);
      } else if (result < 0) {
        this.#report(track, result);
      } else {
        this.#forward(frame, result, sink);
        this.#forwardedAt[this.#forwarded++ % this.#forwardedAt.length] = performance.now();
        this.#notePassed(track);
      }
    } catch (error) {
      this.#failed(track, error);
    }
  }

  /** Decrypts a frame and hands it on, has it wait for its key, or drops it. Never throws. */
  receive(track: FrameTrack, frame: EncodedFrame, sink: FrameSink): void {
    try {
      this.#noteSeen(track);
      const result = this.#decrypt(track, frame);
      if (typeof result === "string") {
        this.#drop(track, result);
      } else if (result === this.#module.FrameEngine.WAITS) {
        this.#waiting.set(this.#engine.ticket(), { track, frame, sink });
        this.#scheduleRelease();
      } else {
        this.#finish(track, frame, result, sink);
      }
    } catch (error) {
      this.#failed(track, error);
    }
  }

  /** The engine's result, or why the engine was not asked. */
  #encrypt(track: FrameTrack, frame: EncodedFrame): number | string {
    if (!this.#isOpen || track.isClosed) return "gated";
    const metadata = frame.getMetadata() as FrameMetadata;
    const handle = this.#sendHandle(track, metadata.mimeType);
    if (handle === null) return "unsupported-codec";
    if (!this.#load(frame)) return "too-large";
    return this.#engine.encrypt(handle, captureTimeUs(metadata));
  }

  #decrypt(track: FrameTrack, frame: EncodedFrame): number | string {
    if (this.#isDead || track.isClosed) return "unknown-track";
    const { mimeType } = frame.getMetadata() as FrameMetadata;
    const handle = this.#receiveHandle(track, mimeType);
    if (typeof handle === "string") return handle;
    if (!this.#load(frame)) return "too-large";
    return this.#engine.decrypt(handle, this.#now());
  }

  /** Hands on, or gives up, what waited for a key. */
  #release(): void {
    if (this.#isDead) return;
    try {
      for (;;) {
        const result = this.#engine.nextReleased(this.#now());
        if (result === this.#module.FrameEngine.NOTHING_DUE) break;
        const ticket = this.#engine.ticket();
        const waiting = this.#waiting.get(ticket);
        this.#waiting.delete(ticket);
        if (waiting && !waiting.track.isClosed) this.#finish(waiting.track, waiting.frame, result, waiting.sink);
      }
    } catch (error) {
      this.#failed(null, error);
    }
    if (this.#waiting.size > 0) this.#scheduleRelease();
  }

  #scheduleRelease(): void {
    if (this.#releaseTimer !== null) return;
    this.#releaseTimer = setTimeout(() => {
      this.#releaseTimer = null;
      this.#release();
    }, RELEASE_EVERY_MS);
  }

  #finish(track: FrameTrack, frame: EncodedFrame, result: number, sink: FrameSink): void {
    if (result < 0) {
      this.#report(track, result);
      return;
    }
    const isKeyFrame = "type" in frame && frame.type === "key";
    this.#forward(frame, result, sink);
    this.#notePassed(track);
    if (isKeyFrame) track.needsKeyFrame = false;
    else this.#requestKeyFrame(track);
  }

  /** Copies a frame into the engine's memory. */
  #load(frame: EncodedFrame): boolean {
    const bytes = new Uint8Array(frame.data);
    const at = this.#engine.prepare(bytes.byteLength);
    if (at === 0) return false;
    // The view is made after `prepare`, which may have moved the memory.
    new Uint8Array(this.#module.memory.buffer, at, bytes.byteLength).set(bytes);
    return true;
  }

  /** Assigning `data` is what both Chromium and Firefox take; changing it in place is not. */
  #forward(frame: EncodedFrame, length: number, sink: FrameSink): void {
    const at = this.#engine.framePointer();
    frame.data = this.#module.memory.buffer.slice(at, at + length) as ArrayBuffer;
    sink.enqueue(frame);
  }

  #sendHandle(track: FrameTrack, mimeType: string | undefined): number | null {
    if (!mimeType) return null;
    if (track.handle !== null && track.mimeType === mimeType) return track.handle;
    this.#closeHandle(track);
    const codec = this.#codecOf(track, mimeType);
    if (codec === null) return null;
    track.handle = this.#engine.openSendTrack(track.track, 0, codec);
    track.mimeType = mimeType;
    return track.handle;
  }

  #receiveHandle(track: FrameTrack, mimeType: string | undefined): number | "unsupported-codec" | "no-key" {
    if (!mimeType || track.participant === null) return "unsupported-codec";
    const leaf = this.#leaves.get(track.participant);
    if (leaf === undefined) return "no-key";
    if (track.handle !== null && track.mimeType === mimeType && track.leaf === leaf) return track.handle;
    this.#closeHandle(track);
    const codec = this.#codecOf(track, mimeType);
    if (codec === null) return "unsupported-codec";
    track.handle = this.#engine.openReceiveTrack(track.track, leaf, codec);
    track.mimeType = mimeType;
    track.leaf = leaf;
    return track.handle;
  }

  /** The codec if the engine can protect it. One that it cannot is reported once for each track. */
  #codecOf(track: FrameTrack, mimeType: string): string | null {
    const codec = mimeType.toLowerCase();
    if (HANDLED_CODECS.has(codec)) return codec;
    if (track.mimeType !== mimeType) {
      track.mimeType = mimeType;
      this.#hooks.emit({
        e: "track_failed",
        key: track.options.key,
        error: {
          code: "codec-unsupported",
          message: `frames of ${mimeType} cannot be protected; every one is dropped`,
          detail: { track: track.track, mime_type: mimeType },
        },
      });
    }
    return null;
  }

  #closeHandle(track: FrameTrack): void {
    if (track.handle === null) return;
    const { handle } = track;
    track.handle = null;
    track.leaf = null;
    if (this.#isDead) return;
    track.keep(this.#engine.trackStats(handle));
    this.#engine.closeTrack(handle);
    for (const [ticket, waiting] of this.#waiting) if (waiting.track === track) this.#waiting.delete(ticket);
  }

  // --- Outcomes -----------------------------------------------------------------------------------

  /** A drop that the engine has counted. */
  #report(track: FrameTrack, result: number): void {
    this.#noteDrop(track, this.#module.dropReasons[-result] ?? "internal");
  }

  /** A drop that the engine never saw. */
  #drop(track: FrameTrack, reason: string): void {
    track.countOwnDrop(reason);
    this.#noteDrop(track, reason);
  }

  #noteDrop(track: FrameTrack, reason: string): void {
    if (QUIET_REASONS.has(reason)) return;
    this.#reports.add(track, reason);
    if (track.options.direction === "receive" && track.options.kind === "video") {
      track.needsKeyFrame = true;
      // Without the key a key frame would be of no use: it is asked for when the key comes.
      if (reason !== "no-key") this.#requestKeyFrame(track);
    }
  }

  #failed(track: FrameTrack | null, error: unknown): void {
    track?.countOwnDrop("internal");
    if (error instanceof WebAssembly.RuntimeError) {
      this.kill();
      this.#hooks.onFatal(error);
    } else if (track) {
      this.#noteDrop(track, "internal");
    }
  }

  #requestKeyFrame(track: FrameTrack): void {
    if (track.requestKeyFrame(performance.now())) this.#keyFrameRequests += 1;
  }

  #noteSeen(track: FrameTrack): void {
    if (track.hasSeen) return;
    track.hasSeen = true;
    this.#emitFirst(track, "seen");
  }

  #notePassed(track: FrameTrack): void {
    if (track.hasPassed) return;
    track.hasPassed = true;
    this.#emitFirst(track, "passed");
  }

  #emitFirst(track: FrameTrack, stage: "seen" | "passed"): void {
    const at_ms = sharedNowMs();
    this.#hooks.emit({ e: "first_frame", key: track.options.key, stage, at_ms });
  }

  stats(): WorkerStats {
    const tracks = [...this.#tracks.values()].map((track) => this.#countsOf(track));
    const sum = (of: (track: TrackCounts) => number) => tracks.reduce((count, track) => count + of(track), 0);
    const sendingEpoch = this.#isDead ? undefined : this.#engine.sendingEpoch();
    const perEpoch = this.#isDead ? [] : this.#engine.encryptedPerEpoch();
    return {
      tracks,
      encrypted: this.#past.encrypted + sum(({ encrypted }) => encrypted),
      decrypted: this.#past.decrypted + sum(({ decrypted }) => decrypted),
      dropped: this.#past.dropped + sum(({ dropped }) => total(dropped)),
      encrypted_per_epoch: Object.fromEntries(perEpoch.map(([epoch, count]) => [String(epoch), count])),
      sending_epoch: sendingEpoch === undefined ? null : Number(sendingEpoch),
      key_frame_requests: this.#keyFrameRequests,
    };
  }

  #countsOf(track: FrameTrack): TrackCounts {
    const open: EngineCounts | null =
      track.handle === null || this.#isDead ? null : this.#engine.trackStats(track.handle);
    const { encrypted, decrypted, waited, dropped } = track.totals(open);
    return {
      key: track.options.key,
      direction: track.options.direction,
      track: track.track,
      kind: track.options.kind,
      participant: track.participant,
      encrypted,
      decrypted,
      waited,
      dropped: dropped as Record<string, number>,
    };
  }
}

const HANDLED_CODECS: ReadonlySet<string> = new Set(CODECS);

function total(dropped: Readonly<Record<string, number | undefined>>): number {
  return Object.values(dropped).reduce<number>((sum, count) => sum + (count ?? 0), 0);
}

/** One clock for all tracks of this sender: the encoder's capture time if known, else now. */
function captureTimeUs({ captureTime }: FrameMetadata): number {
  return sharedNowMs(captureTime) * 1_000;
}
