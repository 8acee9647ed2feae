/** The origin private file system as the spool uses it, over a real folder. */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import path from "node:path";

export class Folder {
  kind = "directory";

  constructor(at) {
    this.at = at;
  }

  async getDirectoryHandle(name, { create = false } = {}) {
    if (create) mkdirSync(path.join(this.at, name), { recursive: true });
    return new Folder(path.join(this.at, name));
  }

  async getFileHandle(name) {
    const at = path.join(this.at, name);
    return { kind: "file", createSyncAccessHandle: async () => new File(at) };
  }

  async removeEntry(name) {
    rmSync(path.join(this.at, name), { recursive: true });
  }

  async *entries() {
    for (const name of readdirSync(this.at)) {
      const kind = statSync(path.join(this.at, name)).isDirectory() ? "directory" : "file";
      yield [name, { kind }];
    }
  }
}

class File {
  constructor(at) {
    this.at = at;
    this.handle = openSync(at, statSync(at, { throwIfNoEntry: false }) ? "r+" : "w+");
  }

  getSize() {
    return statSync(this.at).size;
  }

  write(bytes, { at }) {
    return writeSync(this.handle, bytes, 0, bytes.byteLength, at);
  }

  read(into, { at }) {
    return readSync(this.handle, into, 0, into.byteLength, at);
  }

  truncate(size) {
    ftruncateSync(this.handle, size);
  }

  flush() {}

  close() {
    closeSync(this.handle);
  }
}
