/**
 * One command of a test suite: its output as it comes, and an end in any case.
 *
 *     const status = await runToItsEnd({ command: "cargo", args: ["test"], quietMinutes: 10 }, print);
 *
 * The command gets a process group of its own. When it takes longer than `timeoutMinutes`, or prints nothing for
 * `quietMinutes`, the whole group is killed: killing the command alone would leave the program that hangs, which keeps the
 * pipe open. Groups end with this process too.
 */
import { spawn } from "node:child_process";
import { atExit } from "./cleanup.mjs";
import { root } from "./paths.mjs";

const DEFAULT_TIMEOUT_MINUTES = 40;
/** A killed command's output ends right away, unless a process that left the group holds it open. */
const CLOSES_WITHIN_MS = 2_000;

const groups = new Set();
const killGroups = () => {
  for (const child of groups) killGroup(child);
};

/**
 * Resolves with the exit code, the name of the signal that ended it, or the reason why it was ended or did not start.
 *
 * @param {{ command: string, args: string[], env?: NodeJS.ProcessEnv, timeoutMinutes?: number, quietMinutes?: number }} what
 * @param {(text: string) => void} onText
 */
export function runToItsEnd(
  { command, args, env = {}, timeoutMinutes = DEFAULT_TIMEOUT_MINUTES, quietMinutes },
  onText,
) {
  atExit(killGroups);
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    groups.add(child);
    let reason;
    const end = (why) => {
      reason = why;
      killGroup(child);
      setTimeout(() => {
        for (const output of [child.stdout, child.stderr]) output.destroy();
      }, CLOSES_WITHIN_MS);
    };
    const overdue = setTimeout(() => end(`not finished after ${timeoutMinutes} minutes`), timeoutMinutes * 60_000);
    const quiet = quietMinutes
      ? setTimeout(() => end(`printed nothing for ${quietMinutes} minutes`), quietMinutes * 60_000)
      : undefined;
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (text) => {
        if (reason === undefined) quiet?.refresh();
        onText(text);
      });
    }
    const finish = (status) => {
      clearTimeout(overdue);
      clearTimeout(quiet);
      groups.delete(child);
      resolve(reason ?? status);
    };
    child.on("error", (/** @type {NodeJS.ErrnoException} */ error) =>
      finish(error.code === "ENOENT" ? `no such program: ${command}` : error.message),
    );
    child.on("close", (code, signal) => finish(signal ?? code));
  });
}

/** @param {import("node:child_process").ChildProcess} child */
function killGroup({ pid }) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
