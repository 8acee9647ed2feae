/**
 * Servers that a demo or a test starts, and that never outlive it.
 *
 *     const servers = new ProcessGroup({ logDirectory: "demo-out/logs" });
 *     const relay = await servers.start({
 *       name: "relay",
 *       command: program("sealed-visit-relay"),
 *       args: ["--listen", "127.0.0.1:0"],
 *       listening: /listening on (\S+)/,      // a line of stdout or stderr
 *     });
 *     relay.match[1];                         // "127.0.0.1:40123"
 *     relay.log();                            // everything it wrote
 *     await relay.stop();                     // SIGTERM, then SIGKILL after 3 s
 *     relay.kill();                           // SIGKILL: for crash tests
 *     await servers.stop();                   // all of them, last started first
 *
 * `start` rejects, with the log's end, when the program exits or is silent for `timeoutMs` (30 s)
 * before its listening line. A program that ends later without having been told to is reported to
 * `onUnexpectedExit` (default: a line on stderr) and makes `servers.unexpectedExits` non-empty, so
 * that a test can assert that nothing crashed.
 */
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { atExit } from "./cleanup.mjs";
import { say } from "./log.mjs";
import { root } from "./paths.mjs";

const KILL_AFTER_MS = 3_000;
/** What is kept in memory of each process's output; the log file has all of it. */
const LOG_LIMIT_CHARS = 4_000_000;

const running = new Set();
const killRunning = () => {
  for (const child of running) child.kill("SIGKILL");
};

export class ProcessGroup {
  /** @param {{logDirectory?: string, onUnexpectedExit?: (process: SupervisedProcess) => void}} options */
  constructor({ logDirectory, onUnexpectedExit } = {}) {
    this.logDirectory = logDirectory;
    this.onUnexpectedExit = onUnexpectedExit ?? ((child) => say(`${child.name} ended by itself (${child.status})`));
    this.processes = [];
    this.unexpectedExits = [];
  }

  /**
   * With `listening`, resolves once a line matches it.
   *
   * @param {object} what
   * @param {string} what.name
   * @param {string} what.command
   * @param {string[]} [what.args]
   * @param {NodeJS.ProcessEnv} [what.env]
   * @param {string} [what.cwd]
   * @param {RegExp} [what.listening]
   * @param {number} [what.timeoutMs]
   */
  async start({ name, command, args = [], env = {}, cwd = root, listening, timeoutMs = 30_000 }) {
    const child = new SupervisedProcess({ name, command, args, env, cwd, logDirectory: this.logDirectory });
    this.processes.push(child);
    child.exited.then(() => {
      if (child.stopping) return;
      this.unexpectedExits.push(child);
      if (child.ready) this.onUnexpectedExit(child);
    });
    if (listening) child.match = await child.waitForLine(listening, timeoutMs);
    child.ready = true;
    return child;
  }

  async stop() {
    for (const child of this.processes.toReversed()) await child.stop();
  }
}

class SupervisedProcess {
  constructor({ name, command, args, env, cwd, logDirectory }) {
    this.name = name;
    this.match = null;
    this.ready = false;
    this.stopping = false;
    this.status = null;
    this.lines = [];
    this.chars = 0;
    this.watchers = new Set();
    if (logDirectory) {
      mkdirSync(path.resolve(root, logDirectory), { recursive: true });
      this.file = createWriteStream(path.resolve(root, logDirectory, `${name}.log`));
    }
    atExit(killRunning);
    this.child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    running.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) this.collect(stream);
    this.exited = new Promise((resolve) => {
      const end = (status) => {
        running.delete(this.child);
        this.status = status;
        this.file?.end();
        resolve(status);
      };
      this.child.on("error", (/** @type {NodeJS.ErrnoException} */ error) =>
        end(error.code === "ENOENT" ? `no such program: ${command}` : error.message),
      );
      this.child.on("close", (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  get pid() {
    return this.child.pid;
  }

  log() {
    return this.lines.join("\n");
  }

  /** Resolves with the match of the first line, past or future, that matches. */
  waitForLine(pattern, timeoutMs = 30_000) {
    for (const line of this.lines) {
      const match = pattern.exec(line);
      if (match) return Promise.resolve(match);
    }
    return new Promise((resolve, reject) => {
      const finish = (act) => {
        clearTimeout(timer);
        this.watchers.delete(watch);
        act();
      };
      const fail = (why) =>
        finish(() => reject(new Error(`${this.name} ${why}. Its last words:\n${this.lines.slice(-20).join("\n")}`)));
      const watch = (line) => {
        const match = pattern.exec(line);
        if (match) finish(() => resolve(match));
      };
      const timer = setTimeout(() => fail(`did not say ${pattern} within ${timeoutMs} ms`), timeoutMs);
      this.watchers.add(watch);
      this.exited.then((status) => fail(`ended (${status}) before it said ${pattern}`));
    });
  }

  /** @param {NodeJS.Signals} [signal] */
  kill(signal = "SIGKILL") {
    this.stopping = true;
    this.child.kill(signal);
    return this.exited;
  }

  async stop() {
    if (this.status !== null) return;
    const exited = this.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), KILL_AFTER_MS);
    await exited;
    clearTimeout(timer);
  }

  collect(stream) {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      this.file?.write(text);
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) this.addLine(line);
    });
    stream.on("end", () => {
      if (rest) this.addLine(rest);
    });
  }

  addLine(line) {
    this.lines.push(line);
    this.chars += line.length;
    while (this.chars > LOG_LIMIT_CHARS) this.chars -= this.lines.shift().length;
    for (const watch of [...this.watchers]) watch(line);
  }
}

/** A TCP port that was free a moment ago. Prefer `--listen 127.0.0.1:0` where a program has it. */
export function freePort(host = "127.0.0.1") {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, host, () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}
