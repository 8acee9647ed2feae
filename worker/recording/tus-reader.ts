/**
 * Lets tus-js-client read a track while it grows, from any offset.
 *
 * Its own stream source cannot go back after a failure, and with deferred length it takes a
 * Uint8Array's size for 0; so this hands out Blobs, waits for more at the growing end, and says
 * `done` when the track is complete.
 */
import type { FileReader as TusFileReader, FileSource } from "tus-js-client";
import { BlobLedger } from "../blob-ledger.js";
import type { Courtesy } from "./courtesy.js";
import type { TrackSpool } from "./track-spool.js";

/** What the HTTP stack sends: has a `size`, in bytes. */
export type ToBody = (bytes: Uint8Array<ArrayBuffer>) => unknown;

const sent = new BlobLedger();

const toBlob: ToBody = (bytes) => {
  const blob = new Blob([bytes]);
  sent.note(blob);
  return blob;
};

export class SpoolReader implements TusFileReader {
  readonly #spool: TrackSpool;
  readonly #signal: AbortSignal;
  readonly #toBody: ToBody;
  readonly #courtesy: Courtesy | undefined;

  /** When `signal` is aborted a pending read rejects: nothing is sent after an abort. */
  constructor(
    spool: TrackSpool,
    signal: AbortSignal,
    { toBody = toBlob, courtesy }: { readonly toBody?: ToBody; readonly courtesy?: Courtesy } = {},
  ) {
    this.#spool = spool;
    this.#signal = signal;
    this.#toBody = toBody;
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

  async #slice(start: number, end: number): Promise<{ value: unknown; done: boolean }> {
    await this.#spool.grown(start, this.#signal);
    const turn = (await this.#courtesy?.turn(end - start, this.#signal)) ?? end - start;
    this.#signal.throwIfAborted();
    const to = Math.min(start + turn, this.#spool.size);
    const done = this.#spool.isComplete && to === this.#spool.size;
    // Everything was sent before the track was complete: only its length is still to be said.
    if (to <= start) return { value: null, done };
    return { value: this.#toBody(this.#spool.read(start, to - start)), done };
  }
}
