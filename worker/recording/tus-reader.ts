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

export class SpoolReader implements TusFileReader {
  readonly #spool: TrackSpool;
  readonly #signal: AbortSignal;
  readonly #courtesy: Courtesy | undefined;
  #sent: Uint8Array | null = null;

  /** When `signal` is aborted a pending read rejects: nothing is sent after an abort. */
  constructor(spool: TrackSpool, signal: AbortSignal, courtesy?: Courtesy) {
    this.#spool = spool;
    this.#signal = signal;
    this.#courtesy = courtesy;
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
    await this.#spool.grown(start, this.#signal);
    const turn = (await this.#courtesy?.turn(end - start, this.#signal)) ?? end - start;
    this.#signal.throwIfAborted();
    const to = Math.min(start + turn, this.#spool.size);
    const done = this.#spool.isComplete && to === this.#spool.size;
    // Everything was sent before the track was complete: only its length is still to be said.
    if (to <= start) return { value: null, done };
    this.#sent = this.#spool.read(start, to - start);
    return { value: toBody(this.#sent), done };
  }
}
