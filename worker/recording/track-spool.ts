/** One track's file in the spool: the sealer appends, the uploader reads behind it. */
import { trackExtent } from "./records.js";
import type { SpoolFile } from "./spool-storage.js";

export class TrackSpool {
  readonly #file: SpoolFile;
  #segments: number;
  #isComplete = false;
  #waiters: (() => void)[] = [];

  private constructor(file: SpoolFile, segments: number) {
    this.#file = file;
    this.#segments = segments;
  }

  /** `start`: magic and header. */
  static create(file: SpoolFile, start: Uint8Array): TrackSpool {
    file.append(start);
    return new TrackSpool(file, 0);
  }

  /** After a crash: what follows the last whole checkpoint is cut off, and no more will come. */
  static recover(file: SpoolFile): TrackSpool {
    const { goodBytes, segments } = trackExtent(file);
    if (goodBytes < file.size) file.truncate(goodBytes);
    const spool = new TrackSpool(file, segments);
    spool.#isComplete = true;
    return spool;
  }

  /** Length on the disk: it ends after the header or after a checkpoint. */
  get size(): number {
    return this.#file.size;
  }

  get segments(): number {
    return this.#segments;
  }

  /** Whether no more bytes will come. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** A segment with its checkpoint, durable when this returns. `offset` is where the sealer wants it. */
  appendSegment(bytes: Uint8Array, offset: number): void {
    if (offset !== this.#file.size) throw new Error(`a segment for offset ${offset} came at ${this.#file.size}`);
    this.#file.append(bytes);
    this.#segments += 1;
    this.#wake();
  }

  complete(): void {
    this.#isComplete = true;
    this.#wake();
  }

  /** Everything is gone, and nothing more will come. */
  wipe(): void {
    this.#file.truncate(0);
    this.#segments = 0;
    this.complete();
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#file.read(offset, length);
  }

  /** Resolves when there is more to read than `offset`, or nothing more will come, or `signal` is aborted. */
  async grown(offset: number, signal: AbortSignal): Promise<void> {
    while (this.size <= offset && !this.#isComplete && !signal.aborted) {
      await new Promise<void>((resolve) => {
        // Four times a second for hours: nothing may stay behind.
        const wake = () => {
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiters.push(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
  }

  close(): void {
    this.complete();
    this.#file.close();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
