import assert from "node:assert/strict";
import { test } from "node:test";
import { CountReader } from "../../scripts/lib/counts.mjs";

/** @param {string} kind @param {string} text @param {number | string} [status] */
function count(kind, text, status = 0) {
  const reader = new CountReader(kind);
  for (const character of text) reader.add(character);
  return reader.finish(status);
}

const cargoOutput = `running 2 tests
test a ... ok
test b ... FAILED
test result: FAILED. 1 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out`;

test("adds up cargo's result lines and names what failed", () => {
  assert.deepEqual(count("cargo", cargoOutput, 101), {
    passed: 5,
    failed: 1,
    skipped: 3,
    notes: ["failed: b", "exit code 101"],
  });
});

test("reads node's summary through colours, cancelled tests as failed", () => {
  const text =
    "\u001b[31m✖ breaks (1.5ms)\u001b[39m\n﹣ waits (0.1ms) # no server\nℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\n";
  assert.deepEqual(count("node", text, 1), {
    passed: 3,
    failed: 2,
    skipped: 1,
    notes: ["failed: breaks", "skipped waits: no server", "exit code 1"],
  });
});

test("a command that ran nothing has failed, in every way of counting tests", () => {
  for (const kind of ["cargo", "node", "plain"]) assert.equal(count(kind, "hello\n").failed, 1, kind);
});

test("a command that fails after its tests passed has failed", () => {
  assert.equal(count("plain", "7 passed, 0 failed\n", 1).failed, 1);
  assert.equal(count("plain", "7 passed, 0 failed\n", "SIGKILL").failed, 1);
});

test("a measuring command passes only with ok in its last line and exit code 0", () => {
  assert.equal(count("json", 'progress\n{"ok":true}\n').passed, 1);
  assert.equal(count("json", '{"ok":true}\nsomething after it\n').failed, 1);
  assert.equal(count("json", '{"ok":false}\n').failed, 1);
  assert.equal(count("json", '{"ok":true}\n', 1).failed, 1);
});
