/** One sending or receiving track of the frame engine, with the worker's own state for it. */
import type { ParticipantId, TransformOptions } from "../protocol.js";

/** What both kinds of encoded frames have in common here. */
export type EncodedFrame = RTCEncodedVideoFrame | RTCEncodedAudioFrame;

/** `mimeType` and `captureTime` are not in TypeScript's library yet. */
export interface FrameMetadata {
  readonly mimeType?: string;
  /** On the clock of `performance.now()`, of the frame's maker. */
  readonly captureTime?: number;
}

/** Counts that the engine keeps for an open handle, or kept for a closed one. */
export interface EngineCounts {
  readonly encrypted: number;
  readonly decrypted: number;
  readonly waited: number;
  readonly dropped: Readonly<Record<string, number | undefined>>;
}

/** A request for a key frame is repeated at most this often. */
const KEY_FRAME_REQUEST_EVERY_MS = 1_000;

export class FrameTrack {
  readonly options: TransformOptions;
  /** Whose track it is; changes when a receiver is bound to another one. */
  participant: ParticipantId | null;
  track: string;
  /** The engine's handle, with the codec and leaf that it was opened for. */
  handle: number | null = null;
  mimeType = "";
  leaf: number | null = null;
  isClosed = false;
  hasSeen = false;
  hasPassed = false;
  /** A decoder starts, and starts again after a loss, at a key frame. */
  needsKeyFrame: boolean;
  /** Asks the sender for one; null where the API cannot. */
  readonly #askForKeyFrame: (() => Promise<void>) | null;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Counts of handles that are closed. */
  readonly #past = { encrypted: 0, decrypted: 0, waited: 0 };
  readonly #dropped = new Map<string, number>();

  constructor(options: TransformOptions, askForKeyFrame: (() => Promise<void>) | null) {
    this.options = options;
    this.track = options.track;
    this.participant = options.direction === "receive" ? options.participant : null;
    this.needsKeyFrame = options.direction === "receive" && options.kind === "video";
    this.#askForKeyFrame = askForKeyFrame;
  }

  /** Not awaited: an answer may never come. Returns whether a request went out. */
  requestKeyFrame(nowMs: number): boolean {
    if (!this.needsKeyFrame || this.isClosed || !this.#askForKeyFrame) return false;
    if (nowMs - this.#askedAt < KEY_FRAME_REQUEST_EVERY_MS) return false;
    this.#askedAt = nowMs;
    this.#askForKeyFrame().catch(() => undefined);
    return true;
  }

  /** Counts a frame that was dropped before the engine saw it. */
  countOwnDrop(reason: string): void {
    this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + 1);
  }

  /** Keeps the counts of a handle that is about to be closed. */
  keep(counts: EngineCounts): void {
    this.#past.encrypted += counts.encrypted;
    this.#past.decrypted += counts.decrypted;
    this.#past.waited += counts.waited;
    for (const [reason, count] of Object.entries(counts.dropped)) {
      this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + (count ?? 0));
    }
  }

  /** All counts, with those of the open handle. */
  totals(open: EngineCounts | null): EngineCounts {
    const dropped = Object.fromEntries(this.#dropped);
    for (const [reason, count] of Object.entries(open?.dropped ?? {})) {
      dropped[reason] = (dropped[reason] ?? 0) + (count ?? 0);
    }
    return {
      encrypted: this.#past.encrypted + (open?.encrypted ?? 0),
      decrypted: this.#past.decrypted + (open?.decrypted ?? 0),
      waited: this.#past.waited + (open?.waited ?? 0),
      dropped,
    };
  }
}
