/**
 * The browser process keeps a Blob's bytes until its creator's garbage collector has run. A page or
 * worker that makes little garbage may run it once in many minutes, with hundreds of megabytes waiting; and past a limit,
 * on telephones a hundredth of the memory, a browser writes Blobs to its disk, as they are. So the Blobs of a recording
 * are counted, and every few megabytes the collector is asked to run, by what it listens to: the size of an allocation.
 *
 * A FinalizationRegistry cannot tell how much is waiting: it hears of the script's object, which goes long before.
 */

/** Some fifteen seconds of a recording. */
const WAITING_LIMIT_BYTES = 4 * 2 ** 20;
/** More than engines let lie outside their heap. Never touched, so it takes no memory. */
const LARGE_BYTES = 80 * 2 ** 20;

export class BlobLedger {
  #waitingBytes = 0;
  #limitBytes = WAITING_LIMIT_BYTES;

  /** A Blob that nobody needs anymore in a moment. */
  note({ size }: Blob): void {
    this.#waitingBytes += size;
    if (this.#waitingBytes < this.#limitBytes) return;
    this.#waitingBytes = 0;
    try {
      void new ArrayBuffer(LARGE_BYTES);
    } catch {
      // No room for it: then the collector has run, and for longer than is nice.
      this.#limitBytes *= 2;
    }
  }
}
