/**
 * A Blob's bytes lie in the browser's own process until the garbage collector of whoever holds it has run. A page or
 * worker that makes little garbage may run it once in many minutes, with hundreds of megabytes waiting; and past a limit,
 * on telephones a hundredth of the memory, a browser writes Blobs to its disk, as they are. So Blobs of a recording are
 * counted, and past a limit of ours the collector is asked to run, by what it listens to: the size of an allocation.
 */

/** Some fifteen seconds of a recording. */
const HELD_LIMIT_BYTES = 4 * 2 ** 20;
/** The collector takes a moment: how much more comes before it is asked again. */
const ASK_AGAIN_BYTES = 2 ** 20;
/** More than engines let lie outside their heap. Never touched, so it takes no memory. */
const LARGE_BYTES = 80 * 2 ** 20;

export class BlobLedger {
  readonly #collected = new FinalizationRegistry<number>((size) => {
    this.#heldBytes -= size;
    if (this.#heldBytes <= HELD_LIMIT_BYTES) this.#askAt = HELD_LIMIT_BYTES;
  });
  #heldBytes = 0;
  #askAt = HELD_LIMIT_BYTES;

  /** Of every Blob that was noted and is not collected yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  note(blob: Blob): void {
    this.#collected.register(blob, blob.size);
    this.#heldBytes += blob.size;
    if (this.#heldBytes <= this.#askAt) return;
    this.#askAt = this.#heldBytes + ASK_AGAIN_BYTES;
    askForCollection();
  }
}

function askForCollection(): void {
  try {
    void new ArrayBuffer(LARGE_BYTES);
  } catch {
    // No room for it: then the collector has run.
  }
}
