/**
 * Lets tus-js-client read a track while it grows, from any offset.
 *
 * Its own stream source cannot go back after a failure; this one waits for more at the growing end, goes back to any
 * offset, and says `done` when the track is complete.
 */
import type { FileReader as TusFileReader, FileSource } from "tus-js-client";
import type { Courtesy } from "./courtesy.js";
import { release } from "./release.js";
import type { TrackSpool } from "./track-spool.js";

/**
 * While the length is deferred, tus-js-client asks for a body's `size`, which only Blobs have. Blobs would stay in the
 * browser's own process for hours: a worker that makes little garbage is hardly ever collected.
 */
const toBody = (bytes: Uint8Array) => Object.assign(bytes, { size: bytes.byteLength });

export interface SpoolReaderOptions {
  readonly courtesy?: Courtesy | undefined;
  /** The next body at most; asked each time. */
  readonly most?: () => number;
  /** Begins with an empty body: an upload that is locked says so before it is sent anything. */
  readonly asksFirst?: boolean;
}

export class SpoolReader implements TusFileReader {
  readonly #spool: TrackSpool;
  readonly #signal: AbortSignal;
  readonly #courtesy: Courtesy | undefined;
  readonly #most: () => number;
  #asksFirst: boolean;
  #sent: Uint8Array | null = null;
  #bodyBytes = 0;

  /** When `signal` is aborted a pending read rejects: nothing is sent after an abort. */
  constructor(spool: TrackSpool, signal: AbortSignal, { courtesy, most, asksFirst = false }: SpoolReaderOptions = {}) {
    this.#spool = spool;
    this.#signal = signal;
    this.#courtesy = courtesy;
    this.#most = most ?? (() => Number.POSITIVE_INFINITY);
    this.#asksFirst = asksFirst;
  }

  /** Of the body that was handed out last. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  async openFile(): Promise<FileSource> {
    return {
      // Unknown while it grows: the upload's length is deferred.
      size: null as unknown as number,
      slice: (start, end) => this.#slice(start, end),
      close: () => undefined,
    };
  }

  /** Asked for one after the other: what was handed out before has been sent. */
  async #slice(start: number, end: number): Promise<{ value: unknown; done: boolean }> {
    if (this.#sent) release(this.#sent);
    this.#sent = null;
    this.#bodyBytes = 0;
    await this.#spool.grown(start, this.#signal);
    this.#signal.throwIfAborted();
    if (this.#asksFirst) {
      this.#asksFirst = false;
      if (this.#spool.size > start) return { value: null, done: false };
    }
    const most = Math.min(end - start, this.#most());
    const turn = (await this.#courtesy?.turn(most, this.#signal)) ?? most;
    this.#signal.throwIfAborted();
    const to = Math.min(start + turn, this.#spool.size);
    const done = this.#spool.isComplete && to === this.#spool.size;
    // Everything was sent before the track was complete: only its length is still to be said.
    if (to <= start) return { value: null, done };
    this.#sent = this.#spool.read(start, to - start);
    this.#bodyBytes = this.#sent.byteLength;
    return { value: toBody(this.#sent), done };
  }
}
