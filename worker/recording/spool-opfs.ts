/** The spool in the origin's private file system, through sync access handles (WHATWG File System). */
import { type SpoolFile, type SpoolFolder, type SpoolStorage, StorageFullError } from "./spool-storage.js";

const ROOT = "sealed-visit-spool";
/** A renderer that died may hold its locks some 20 ms longer; after sleep they were seen to stick. */
const LOCK_WAIT_MS = 2_000;
const LOCK_RETRY_MS = 50;

/** What of `navigator.storage` is needed; tests bring their own. */
export type OriginStorage = Pick<StorageManager, "getDirectory" | "estimate">;

/** Null where the browser refuses it. */
export async function openOpfsStorage(origin?: OriginStorage): Promise<SpoolStorage | null> {
  try {
    const storage = origin ?? navigator.storage;
    const root = await storage.getDirectory();
    const spools = await root.getDirectoryHandle(ROOT, { create: true });
    await probe(spools);
    return new OpfsSpoolStorage(spools, storage);
  } catch {
    return null;
  }
}

/** Private windows may hand out a directory in which no file can be opened. */
async function probe(directory: FileSystemDirectoryHandle): Promise<void> {
  const name = `.probe-${crypto.randomUUID()}`;
  const file = await directory.getFileHandle(name, { create: true });
  (await file.createSyncAccessHandle()).close();
  await directory.removeEntry(name);
}

class OpfsSpoolStorage implements SpoolStorage {
  readonly isOnDisk = true;
  readonly #root: FileSystemDirectoryHandle;
  readonly #origin: OriginStorage;

  constructor(root: FileSystemDirectoryHandle, origin: OriginStorage) {
    this.#root = root;
    this.#origin = origin;
  }

  async freeBytes(): Promise<number | null> {
    const { quota, usage } = await this.#origin.estimate().catch(() => ({}) as StorageEstimate);
    return quota === undefined || usage === undefined ? null : quota - usage;
  }

  async folders(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const [name, handle] of this.#root.entries()) if (handle.kind === "directory") names.push(name);
    return names;
  }

  async folder(name: string): Promise<SpoolFolder> {
    const directory = await this.#root.getDirectoryHandle(name, { create: true });
    return {
      name,
      open: async (fileName) => {
        const file = await directory.getFileHandle(fileName, { create: true });
        return new OpfsSpoolFile(await openHandle(file));
      },
      files: async () => {
        const names: string[] = [];
        for await (const [fileName, handle] of directory.entries()) if (handle.kind === "file") names.push(fileName);
        return names;
      },
      remove: () => this.#root.removeEntry(name, { recursive: true }),
    };
  }
}

async function openHandle(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle> {
  const giveUpAt = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      return await file.createSyncAccessHandle();
    } catch (error) {
      const isLocked = error instanceof DOMException && error.name === "NoModificationAllowedError";
      if (!isLocked || performance.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    }
  }
}

class OpfsSpoolFile implements SpoolFile {
  readonly #handle: FileSystemSyncAccessHandle;
  #size: number;

  constructor(handle: FileSystemSyncAccessHandle) {
    this.#handle = handle;
    this.#size = handle.getSize();
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): void {
    let written = 0;
    try {
      while (written < bytes.byteLength) {
        const count = this.#handle.write(toOwnBuffer(bytes.subarray(written)), { at: this.#size + written });
        if (count === 0) throw new StorageFullError();
        written += count;
      }
      this.#handle.flush();
    } catch (error) {
      // Half a record must not stay in front of the next one.
      this.#handle.truncate(this.#size);
      const isQuota = error instanceof DOMException && error.name === "QuotaExceededError";
      throw isQuota ? new StorageFullError({ cause: error }) : error;
    }
    this.#size += bytes.byteLength;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.#size - offset)));
    const count = this.#handle.read(bytes, { at: offset });
    return bytes.subarray(0, count);
  }

  truncate(size: number): void {
    this.#handle.truncate(size);
    this.#handle.flush();
    this.#size = size;
  }

  close(): void {
    this.#handle.close();
  }
}

/** The handle takes no views of shared memory; ours never are. */
function toOwnBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
