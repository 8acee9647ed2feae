/**
 * Short-lived commands. For servers that stay, see processes.mjs.
 *
 * - `run(command, args, options)` shows the command's output on our stderr and rejects with
 *   `CommandError` unless it exits with 0.
 * - `capture(command, args, options)` returns its stdout as text; its stderr goes into the error.
 * - `captureBytes` the same as a Buffer. `input` may hold what it reads on stdin.
 * - `which(name)` gives a program's path, or null.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { root } from "./paths.mjs";

export class CommandError extends Error {
  constructor(command, args, status, stderr) {
    const shown = [command, ...args].join(" ");
    super(`${shown}\n  ended with ${status}${stderr ? `:\n${stderr.trimEnd()}` : ""}`);
    this.name = "CommandError";
    this.status = status;
    this.stderr = stderr;
  }
}

/**
 * @typedef {{ cwd?: string, env?: NodeJS.ProcessEnv }} RunOptions
 */

/** @param {string} command @param {string[]} [args] @param {RunOptions} [options] */
export async function run(command, args = [], options = {}) {
  await finish(command, args, { ...options, stdio: ["ignore", 2, 2] });
}

/** @param {string} command @param {string[]} [args] @param {RunOptions & { input?: string | Buffer }} [options] */
export async function capture(command, args = [], options = {}) {
  return (await captureBytes(command, args, options)).toString("utf8");
}

/** @param {string} command @param {string[]} [args] @param {RunOptions & { input?: string | Buffer }} [options] */
export async function captureBytes(command, args = [], { input, ...options } = {}) {
  const { stdout } = await finish(
    command,
    args,
    { ...options, stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"] },
    input,
  );
  return stdout;
}

export function which(name) {
  for (const directory of (process.env.PATH ?? "").split(path.delimiter)) {
    const candidate = path.join(directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // not in this directory
    }
  }
  return null;
}

/**
 * Runs a command to its end and collects what it wrote to pipes.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions & { stdio: import("node:child_process").StdioOptions }} options
 * @param {string | Buffer} [input]
 * @returns {Promise<{ stdout: Buffer, stderr: Buffer }>}
 */
function finish(command, args, { env, cwd = root, stdio }, input) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio, env: { ...process.env, ...env } });
    const stdout = [];
    const stderr = [];
    child.stdout?.on("data", (chunk) => stdout.push(chunk));
    child.stderr?.on("data", (chunk) => stderr.push(chunk));
    if (child.stdin) {
      // A command may end before it has read everything; its exit status tells whether that is bad.
      child.stdin.on("error", () => {});
      child.stdin.end(input);
    }
    child.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
      reject(error.code === "ENOENT" ? new Error(`${command}: no such program on PATH`) : error);
    });
    child.on("close", (code, signal) => {
      if (code === 0) resolve({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
      // Some programs, tsc for one, print their complaints on stdout.
      else
        reject(
          new CommandError(
            command,
            args,
            signal ?? code,
            Buffer.concat(stderr.length > 0 ? stderr : stdout).toString("utf8"),
          ),
        );
    });
  });
}
