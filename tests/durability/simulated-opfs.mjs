/**
 * The origin private file system as the spool uses it, on a disk that fails as disks do.
 *
 * A write reaches the disk with `flush()`. A crash keeps of what was not flushed some leading writes, and a torn piece
 * of the next; a file that was never flushed may be gone. Beyond its quota nothing can be written. `openings` makes
 * what `navigator.storage` is to the code under test; after `crash()` everything that an earlier one handed out is
 * dead, and throws.
 */
export class Crash extends Error {
  constructor() {
    super("the page is gone");
    this.name = "Crash";
  }
}

export class SimulatedDisk {
  #random;
  #root = newFolder();
  #generation = 0;
  quotaBytes = Number.POSITIVE_INFINITY;
  /** The page dies after so many more bytes were written, or (null) not by itself. */
  diesAfterBytes = null;
  /** Told when the page dies by `diesAfterBytes`. */
  onDeath = () => {};
  /** Told every flushed append: (path, bytes). */
  onDurable = (/** @type {string} */ _path, /** @type {number} */ _at, /** @type {Buffer} */ _bytes) => {};
  /** Told when there was no room. */
  onRefused = () => {};
  writtenBytes = 0;
  /** What the identity store keeps for a tab. */
  lastPart;

  constructor(random) {
    this.#random = random;
  }

  /** What the next page finds as `navigator.storage`. */
  openOrigin() {
    const generation = this.#generation;
    const guard = {
      check: () => {
        if (generation !== this.#generation) throw new Crash();
      },
    };
    return {
      getDirectory: async () => new DirectoryHandle(this, guard, this.#root, ""),
      estimate: async () => {
        guard.check();
        return { quota: Number.isFinite(this.quotaBytes) ? this.quotaBytes : 10 * 2 ** 30, usage: this.usedBytes() };
      },
    };
  }

  /** The page is gone at this moment. What was not flushed is lost, or torn. */
  crash() {
    this.#generation += 1;
    this.diesAfterBytes = null;
    for (const { folder, name, file } of filesOf(this.#root)) {
      file.isLocked = false;
      if (file.pending.length === 0) continue;
      if (!file.wasFlushed && this.#random.chance(0.3)) {
        folder.files.delete(name);
        continue;
      }
      const kept = this.#random.between(0, file.pending.length - 1);
      for (const write of file.pending.slice(0, kept)) apply(file, write);
      const torn = file.pending[kept];
      if (torn.bytes) {
        apply(file, { at: torn.at, bytes: torn.bytes.subarray(0, this.#random.between(0, torn.bytes.length)) });
      } else if (this.#random.chance(0.5)) {
        apply(file, torn);
      }
      file.pending = [];
      file.size = file.durable.length;
    }
  }

  usedBytes() {
    return filesOf(this.#root).reduce((sum, { file }) => sum + file.size, 0);
  }

  /** Paths of all files, without probes. */
  paths() {
    return filesOf(this.#root).map(({ path }) => path);
  }

  folders() {
    const spools = this.#root.folders.get("sealed-visit-spool");
    return spools ? [...spools.folders.keys()] : [];
  }

  /** How many of `bytes` more there is room for; throws when the page dies of this write. */
  spend(bytes, write) {
    if (this.diesAfterBytes !== null && bytes > this.diesAfterBytes) {
      write(this.diesAfterBytes);
      this.crash();
      this.onDeath();
      throw new Crash();
    }
    const room = Math.max(0, this.quotaBytes - this.usedBytes());
    if (bytes > room) {
      this.onRefused();
      throw new DOMException("the quota has been exceeded", "QuotaExceededError");
    }
    if (this.diesAfterBytes !== null) this.diesAfterBytes -= bytes;
    this.writtenBytes += bytes;
    write(bytes);
  }
}

/**
 * @typedef {{ at?: number, bytes?: Buffer, truncateTo?: number }} Write
 * @typedef {{ durable: Buffer, pending: Write[], size: number, isLocked: boolean, wasFlushed: boolean }} StoredFile
 * @typedef {{ folders: Map<string, Folder>, files: Map<string, StoredFile> }} Folder
 */

/** @returns {Folder} */
function newFolder() {
  return { folders: new Map(), files: new Map() };
}

/**
 * @param {Folder} folder
 * @returns {{ folder: Folder, name: string, file: StoredFile, path: string }[]}
 */
function filesOf(folder, prefix = "") {
  const here = [...folder.files].map(([name, file]) => ({ folder, name, file, path: `${prefix}${name}` }));
  const below = [...folder.folders].flatMap(([name, inner]) => filesOf(inner, `${prefix}${name}/`));
  return [...here, ...below];
}

/** @param {{ durable: Buffer }} file @param {Write} write */
function apply(file, { at, bytes, truncateTo }) {
  if (truncateTo !== undefined) {
    const kept = Buffer.alloc(truncateTo);
    file.durable.copy(kept, 0, 0, Math.min(truncateTo, file.durable.length));
    file.durable = kept;
    return;
  }
  const length = Math.max(file.durable.length, at + bytes.length);
  const next = Buffer.alloc(length);
  file.durable.copy(next);
  next.set(bytes, at);
  file.durable = next;
}

class DirectoryHandle {
  /** @type {SimulatedDisk} */ disk;
  /** @type {{ check(): void }} */ guard;
  /** @type {string} */ path;
  /** @type {Folder} */ folder;
  kind = "directory";

  constructor(disk, guard, folder, path) {
    Object.assign(this, { disk, guard, folder, path });
  }

  async getDirectoryHandle(name, { create = false } = {}) {
    this.guard.check();
    if (!this.folder.folders.has(name)) {
      if (!create) throw new DOMException("no such folder", "NotFoundError");
      this.folder.folders.set(name, newFolder());
    }
    return new DirectoryHandle(this.disk, this.guard, this.folder.folders.get(name), `${this.path}${name}/`);
  }

  async getFileHandle(name, { create = false } = {}) {
    this.guard.check();
    if (!this.folder.files.has(name)) {
      if (!create) throw new DOMException("no such file", "NotFoundError");
      this.folder.files.set(name, {
        durable: Buffer.alloc(0),
        pending: [],
        size: 0,
        isLocked: false,
        wasFlushed: false,
      });
    }
    return new FileHandle(this.disk, this.guard, this.folder.files.get(name), `${this.path}${name}`);
  }

  async removeEntry(name, { recursive = false } = {}) {
    this.guard.check();
    const inner = this.folder.folders.get(name);
    const files = inner ? filesOf(inner).map(({ file }) => file) : [this.folder.files.get(name)];
    if (!inner && !files[0]) throw new DOMException("no such entry", "NotFoundError");
    if (files.some((file) => file.isLocked)) throw new DOMException("locked", "NoModificationAllowedError");
    if (inner && !recursive && files.length > 0) throw new DOMException("not empty", "InvalidModificationError");
    this.folder.folders.delete(name);
    this.folder.files.delete(name);
  }

  async *entries() {
    this.guard.check();
    for (const [name, folder] of [...this.folder.folders]) {
      yield [name, new DirectoryHandle(this.disk, this.guard, folder, `${this.path}${name}/`)];
    }
    for (const [name, file] of [...this.folder.files]) {
      yield [name, new FileHandle(this.disk, this.guard, file, `${this.path}${name}`)];
    }
  }
}

class FileHandle {
  /** @type {SimulatedDisk} */ disk;
  /** @type {{ check(): void }} */ guard;
  /** @type {string} */ path;
  /** @type {StoredFile} */ file;
  kind = "file";

  constructor(disk, guard, file, path) {
    Object.assign(this, { disk, guard, file, path });
  }

  async createSyncAccessHandle() {
    this.guard.check();
    if (this.file.isLocked) throw new DOMException("locked", "NoModificationAllowedError");
    this.file.isLocked = true;
    return new SyncAccessHandle(this.disk, this.guard, this.file, this.path);
  }
}

class SyncAccessHandle {
  /** @type {SimulatedDisk} */ disk;
  /** @type {{ check(): void }} */ guard;
  /** @type {string} */ path;
  /** @type {StoredFile} */ file;
  #isClosed = false;

  constructor(disk, guard, file, path) {
    Object.assign(this, { disk, guard, file, path });
  }

  getSize() {
    this.#check();
    return this.file.size;
  }

  write(bytes, { at = 0 } = {}) {
    this.#check();
    let written = 0;
    const more = Math.max(0, at + bytes.byteLength - this.file.size);
    this.disk.spend(more, (room) => {
      written = room < more ? room : bytes.byteLength;
      this.file.pending.push({ at, bytes: Buffer.from(bytes.subarray(0, written)) });
      this.file.size = Math.max(this.file.size, at + written);
    });
    return written;
  }

  read(into, { at = 0 } = {}) {
    this.#check();
    const now = this.#current();
    const count = Math.max(0, Math.min(into.byteLength, now.length - at));
    if (count > 0) into.set(now.subarray(at, at + count));
    return count;
  }

  truncate(size) {
    this.#check();
    this.file.pending.push({ truncateTo: size });
    this.file.size = size;
  }

  flush() {
    this.#check();
    for (const write of this.file.pending) {
      apply(this.file, write);
      if (write.bytes) this.disk.onDurable(this.path, write.at, write.bytes);
    }
    this.file.pending = [];
    this.file.wasFlushed = true;
  }

  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A dead page's handle no longer holds anything.
    try {
      this.guard.check();
    } catch {
      return;
    }
    this.file.isLocked = false;
  }

  #current() {
    if (this.file.pending.length === 0) return this.file.durable;
    const view = { durable: this.file.durable };
    for (const write of this.file.pending) apply(view, write);
    return view.durable;
  }

  #check() {
    this.guard.check();
    if (this.#isClosed) throw new DOMException("closed", "InvalidStateError");
  }
}
