/**
 * One holder at a time across processes of this machine: two clones share one cache, and a program
 * must be copied out of Cargo's target directory before another clone's build replaces it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./log.mjs";
import { cacheDir } from "./paths.mjs";

const POLL_MS = 250;

/** Runs `work` while holding the named lock. A lock whose holder has died is taken over. */
export async function withLock(name, work) {
  const file = path.join(cacheDir, "locks", `${name}.pid`);
  mkdirSync(path.dirname(file), { recursive: true });
  let announced = false;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      const holder = holderOf(file);
      if (holder !== null && !isAlive(holder)) {
        rmSync(file, { force: true });
        continue;
      }
      if (!announced) say(`waiting for another run (process ${holder ?? "?"}) to finish with "${name}"`);
      announced = true;
      await sleep(POLL_MS);
    }
  }
  const release = () => {
    if (holderOf(file) === process.pid) rmSync(file, { force: true });
  };
  process.once("exit", release);
  try {
    return await work();
  } finally {
    release();
    process.removeListener("exit", release);
  }
}

/** The process id in a lock file; null while it is being written or after it has gone. */
function holderOf(file) {
  try {
    return Number.parseInt(readFileSync(file, "utf8"), 10) || null;
  } catch {
    return null;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
