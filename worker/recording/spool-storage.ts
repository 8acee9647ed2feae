/**
 * Where sealed bytes wait for their receipt: folders of append-only files.
 *
 * Contract: when `append` returns, the bytes survive the end of this process; when it throws, the
 * file holds what it held before, or a torn end that readers find and cut off. Implemented over OPFS
 * (disk) and over memory; tests add one that loses and tears writes.
 */
export interface SpoolFile {
  readonly size: number;
  /** Writes at the end and flushes. Throws a {@link StorageFullError} when there is no room. */
  append(bytes: Uint8Array): void;
  /** Copies `length` bytes from `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer>;
  /** Cuts off a torn end. */
  truncate(size: number): void;
  close(): void;
}

export interface SpoolFolder {
  readonly name: string;
  /** Opens or creates a file; one opener at a time. */
  open(name: string): Promise<SpoolFile>;
  files(): Promise<readonly string[]>;
  /** Deletes the folder with all it holds. Its files must be closed. */
  remove(): Promise<void>;
}

export interface SpoolStorage {
  readonly isOnDisk: boolean;
  folders(): Promise<readonly string[]>;
  /** Opens or creates. */
  folder(name: string): Promise<SpoolFolder>;
  /** What may still be written here; null where nobody says. */
  freeBytes(): Promise<number | null>;
}

export class StorageFullError extends Error {
  constructor(options?: ErrorOptions) {
    super("there is no room for more sealed bytes", options);
    this.name = "StorageFullError";
  }
}
