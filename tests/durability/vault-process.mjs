/** The real vault, on a disk of its own that can be filled; killed and started again as told. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { program } from "../../scripts/lib/paths.mjs";
import { ProcessGroup } from "../../scripts/lib/processes.mjs";
import { Clinic } from "../interop/tus-recorder.mjs";

const DISK_BYTES = 48 << 20;
const READER_TOKEN = "reader-of-the-fault-tests";

export class VaultProcess {
  #io;
  #processes = new ProcessGroup({ onUnexpectedExit: () => {} });
  #ballast;
  #isStarting = null;

  constructor(io, proxy, { diskBytes = DISK_BYTES } = {}) {
    this.#io = io;
    this.proxy = proxy;
    this.directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-faults-"));
    this.disk = path.join(this.directory, "disk");
    mkdirSync(this.disk);
    /** Mounting takes root; without it the vault's disk is never full. */
    this.hasOwnDisk = tryTo(() =>
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${diskBytes}`, "tmpfs", this.disk], { stdio: "ignore" }),
    );
    this.#ballast = path.join(this.disk, "ballast");
    this.clinic = new Clinic(this.directory);
    writeFileSync(path.join(this.directory, "readers"), `tests ${READER_TOKEN}\n`, { mode: 0o600 });
    this.kills = 0;
  }

  async start() {
    const { vaultArguments } = this.clinic;
    const data = vaultArguments.indexOf("--data") + 1;
    const args = [...vaultArguments];
    args[data] = path.join(this.disk, "data");
    this.process = await this.#processes.start({
      name: "vault",
      command: process.env.SEALED_VISIT_VAULT ?? program("sealed-visit-vault"),
      // What holds an upload is taken over soon: real time stands still beside virtual time.
      args: [
        ...["--listen", "127.0.0.1:0", "--token-file", path.join(this.directory, "readers")],
        ...["--stalled-after", "0.02", ...args],
      ],
      env: { RUST_LOG: "error" },
      listening: /^listening (http:\S+)$/,
    });
    this.url = this.process.match[1];
    this.proxy.target = this.url;
  }

  /** kill -9. Resolves when it is dead. */
  async kill() {
    this.kills += 1;
    this.proxy.target = null;
    await this.process.kill();
  }

  /** Starts it again; no time passes meanwhile. */
  async restart() {
    // A full disk is no place to start on.
    this.empty();
    this.#isStarting ??= this.#io.track(this.start()).finally(() => {
      this.#isStarting = null;
    });
    await this.#isStarting;
  }

  /** Leaves so many bytes of the disk. */
  fill(leaveBytes) {
    if (!this.hasOwnDisk) return;
    this.empty();
    const { bavail, bsize } = statfsSync(this.disk);
    const file = openSync(this.#ballast, "w");
    try {
      const zeros = Buffer.alloc(1 << 20);
      for (let left = Math.max(0, bavail * bsize - leaveBytes); left > 0; left -= zeros.length) {
        writeSync(file, zeros, 0, Math.min(left, zeros.length));
      }
    } catch {
      // Fuller than planned: the better.
    } finally {
      closeSync(file);
    }
  }

  empty() {
    rmSync(this.#ballast, { force: true });
  }

  /**
   * As the clinic's reader: the body of the answer. Not by `fetch`, whose timers are not ours to stop.
   *
   * @param {string} where
   * @param {{ method?: string, body?: string | Buffer }} [options]
   */
  reads(where, { method = "GET", body } = {}) {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${READER_TOKEN}` };
      const request = http.request(new URL(where, this.url), { method, headers, agent: false });
      request.on("error", reject);
      request.on("response", async (answer) => {
        const chunks = [];
        for await (const chunk of answer) chunks.push(chunk);
        const body = Buffer.concat(chunks);
        if (answer.statusCode === 200) resolve(body);
        else reject(new Error(`${where}: ${answer.statusCode} ${body}`));
      });
      request.end(body);
    });
  }

  log() {
    return this.process.log();
  }

  async stop() {
    await this.#processes.stop();
    if (this.hasOwnDisk) execFileSync("umount", [this.disk]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function tryTo(act) {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
