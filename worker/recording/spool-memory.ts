/** A spool where OPFS is refused, as in private windows: in memory, bounded, lost with the page. */
import { type SpoolFile, type SpoolFolder, type SpoolStorage, StorageFullError } from "./spool-storage.js";

export class MemorySpoolStorage implements SpoolStorage {
  readonly isOnDisk = false;
  readonly #limitBytes: number;
  readonly #folders = new Map<string, Map<string, Uint8Array[]>>();

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  async folders(): Promise<readonly string[]> {
    return [...this.#folders.keys()];
  }

  async folder(name: string): Promise<SpoolFolder> {
    const files = this.#folders.get(name) ?? new Map<string, Uint8Array[]>();
    this.#folders.set(name, files);
    return {
      name,
      open: async (fileName) => {
        const pieces = files.get(fileName) ?? [];
        files.set(fileName, pieces);
        return new MemorySpoolFile(pieces, (bytes) => this.#used() + bytes <= this.#limitBytes);
      },
      files: async () => [...files.keys()],
      remove: async () => {
        this.#folders.delete(name);
      },
    };
  }

  async freeBytes(): Promise<number> {
    return this.#limitBytes - this.#used();
  }

  #used(): number {
    let used = 0;
    for (const files of this.#folders.values()) {
      for (const pieces of files.values()) used += sizeOf(pieces);
    }
    return used;
  }
}

class MemorySpoolFile implements SpoolFile {
  readonly #pieces: Uint8Array[];
  readonly #hasRoomFor: (bytes: number) => boolean;

  constructor(pieces: Uint8Array[], hasRoomFor: (bytes: number) => boolean) {
    this.#pieces = pieces;
    this.#hasRoomFor = hasRoomFor;
  }

  get size(): number {
    return sizeOf(this.#pieces);
  }

  append(bytes: Uint8Array): void {
    if (!this.#hasRoomFor(bytes.byteLength)) throw new StorageFullError();
    this.#pieces.push(bytes.slice());
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    let pieceStart = 0;
    for (const piece of this.#pieces) {
      const from = Math.max(offset, pieceStart);
      const to = Math.min(offset + result.byteLength, pieceStart + piece.byteLength);
      if (from < to) result.set(piece.subarray(from - pieceStart, to - pieceStart), from - offset);
      pieceStart += piece.byteLength;
    }
    return result;
  }

  truncate(size: number): void {
    const kept = this.read(0, size);
    this.#pieces.splice(0, this.#pieces.length, kept);
  }

  close(): void {
    // Nothing is held but memory, which the folder owns.
  }
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
}
