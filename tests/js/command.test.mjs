import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { runToItsEnd } from "../../scripts/lib/command.mjs";

const shell = (script, limits = {}) => {
  let text = "";
  const status = runToItsEnd({ command: "sh", args: ["-c", script], ...limits }, (more) => {
    text += more;
  });
  return status.then((ended) => ({ status: ended, text }));
};

test("a command's output and exit code arrive", async () => {
  assert.deepEqual(await shell("echo one; exit 3"), { status: 3, text: "one\n" });
});

test("a command that is not there is a result, not an exception", async () => {
  const status = await runToItsEnd({ command: "no-such-program-here", args: [] }, () => {});
  assert.equal(status, "no such program: no-such-program-here");
});

test("a program that hangs behind the command ends with it", async () => {
  // What cargo does: it waits for the test, which holds the pipe.
  const folder = mkdtempSync(path.join(tmpdir(), "sealed-visit-"));
  const file = path.join(folder, "ticks");
  const { status } = await shell(`(while :; do echo >> ${file}; sleep 0.1; done) & wait`, { timeoutMinutes: 1 / 60 });
  assert.match(status, /^not finished after /);
  const ticks = statSync(file).size;
  await setTimeout(1_000);
  assert.equal(statSync(file).size, ticks);
  rmSync(folder, { recursive: true });
});

test("a command that falls silent is ended long before its limit", async () => {
  const { status, text } = await shell("echo begun; sleep 600", { timeoutMinutes: 30, quietMinutes: 1 / 30 });
  assert.match(status, /^printed nothing for /);
  assert.equal(text, "begun\n");
});
