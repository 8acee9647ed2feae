/**
 * A spool storage that dies at a chosen byte, as a process does: what was written before stays, the
 * write under way is torn, nothing works afterwards. `survivor()` is what the next page finds.
 */
import { MemorySpoolStorage } from "../../worker/recording/spool-memory.js";
import type { SpoolFile, SpoolFolder, SpoolStorage } from "../../worker/recording/spool-storage.js";

export class Crash extends Error {
  constructor() {
    super("the process is gone");
    this.name = "Crash";
  }
}

export class CrashingStorage implements SpoolStorage {
  readonly isOnDisk = true;
  readonly #inner = new MemorySpoolStorage(1 << 30);
  #bytesLeft: number;
  #isDead = false;
  /** Offsets, in bytes written over all files, at which a write ended. */
  readonly boundaries: number[] = [];
  #written = 0;

  constructor(diesAfterBytes: number = Number.POSITIVE_INFINITY) {
    this.#bytesLeft = diesAfterBytes;
  }

  get written(): number {
    return this.#written;
  }

  /** Nothing happens in a process that is gone, whatever its code catches. */
  assertAlive(): void {
    if (this.#isDead) throw new Crash();
  }

  survivor(): SpoolStorage {
    return this.#inner;
  }

  folders(): Promise<readonly string[]> {
    return this.#inner.folders();
  }

  async folder(name: string): Promise<SpoolFolder> {
    const folder = await this.#inner.folder(name);
    return { ...folder, open: async (file) => this.#watch(await folder.open(file)) };
  }

  async freeBytes(): Promise<null> {
    return null;
  }

  #watch(file: SpoolFile): SpoolFile {
    const spend = (bytes: Uint8Array): void => {
      if (this.#isDead) throw new Crash();
      if (bytes.byteLength > this.#bytesLeft) {
        file.append(bytes.subarray(0, this.#bytesLeft));
        this.#isDead = true;
        throw new Crash();
      }
      this.#bytesLeft -= bytes.byteLength;
      this.#written += bytes.byteLength;
      this.boundaries.push(this.#written);
      file.append(bytes);
    };
    return {
      get size() {
        return file.size;
      },
      append: spend,
      read: (offset, length) => file.read(offset, length),
      truncate: (size) => {
        if (this.#isDead) throw new Crash();
        file.truncate(size);
      },
      close: () => file.close(),
    };
  }
}
