/**
 * Room on the disk that a part keeps for its end.
 *
 * What a browser says of free room may be wrong by a gigabyte: only writing shows that a disk is full. Then half of the reserve is
 * let go, which is time to tell a person; when that is used up, too, the rest, in which the last slices and the manifest fit.
 */
import type { SpoolFile } from "./spool-storage.js";

/** Some fifty seconds at 2.5 Mbit/s. */
export const RESERVE_BYTES = 16 << 20;
const STEPS = 2;
const PIECE_BYTES = 64 << 10;

export class Reserve {
  readonly #file: SpoolFile;
  readonly #step: number;

  private constructor(file: SpoolFile) {
    this.#file = file;
    this.#step = Math.ceil(file.size / STEPS);
  }

  /** Throws what the file throws where there is not even so much room. */
  static allocate(file: SpoolFile, bytes: number): Reserve {
    // Random, because file systems that compress or leave out zeros would keep no room for them.
    const piece = new Uint8Array(PIECE_BYTES);
    while (file.size < bytes) {
      crypto.getRandomValues(piece);
      file.append(piece.subarray(0, Math.min(piece.byteLength, bytes - file.size)));
    }
    return new Reserve(file);
  }

  get bytes(): number {
    return this.#file.size;
  }

  /** Lets some of it go; false where nothing was left. */
  release(): boolean {
    if (this.#file.size === 0) return false;
    this.#file.truncate(Math.max(0, this.#file.size - this.#step));
    return true;
  }

  /** The part has ended, or is abandoned. */
  close(): void {
    this.#file.truncate(0);
    this.#file.close();
  }
}
