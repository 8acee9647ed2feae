/**
 * Every test vector of tests/vectors/recording/ gets the same verdict and the same codes from the clinic tool, from the module
 * that the browser runs, and from the stranger's program, which knows docs/FORMAT.md alone. The vault's part is in
 * crates/vault/tests/vault/vectors.rs.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import * as wasm from "../../dist/wasm/recording.js";
import { inRoot, program } from "../../scripts/lib/paths.mjs";
import { addParts, openTrack } from "../../worker/open/reading.ts";
import {
  differing,
  filesOf,
  judged,
  keyFileOf,
  readVectors,
  refusedByBrowser,
  rootKey,
  secrets,
  writeFiles,
} from "../lib/recording-vectors.mjs";

const python = process.env.SEALED_VISIT_PYTHON ?? "python3";
const rootFile = inRoot("tests", "vectors", "recording", "root.pub");
const vectors = readVectors();
const scratch = mkdtempSync(path.join(tmpdir(), "sealed-visit-vectors-"));
const folderOf = ({ name }) => path.join(scratch, name);

before(() => {
  for (const vector of vectors) writeFiles(filesOf(vector), folderOf(vector));
});
after(() => rmSync(scratch, { recursive: true, force: true }));

// --- Verifiers: each takes a list of vectors and says of each `{verdict, problems}` ----------------

/** A process for each vector, as many at a time as the machine has cores. */
async function byClinicTool(list, run = verify) {
  const said = new Map();
  const queue = [...list];
  const work = async () => {
    for (let vector = queue.shift(); vector; vector = queue.shift()) said.set(vector, await run(vector));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return list.map((vector) => said.get(vector));
}

function verify(vector) {
  return runTool(["verify", folderOf(vector), "--root", rootFile]);
}

function open(vector) {
  const keyFile = path.join(scratch, "key.jwe");
  const passphraseFile = path.join(scratch, "passphrase");
  return runTool([
    ...["open", folderOf(vector), "--root", rootFile, "--out", path.join(scratch, `${vector.name}-opened`)],
    ...["--key", keyFile, "--passphrase-file", passphraseFile],
  ]);
}

function runTool(args) {
  return new Promise((resolve, reject) => {
    execFile(program("sealed-visit"), ["--json", ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error?.code ?? 0;
      try {
        const result = JSON.parse(stdout);
        const report = result.report ?? result;
        const said = report.parts ? judged(report) : { verdict: "refused", problems: [report.problem] };
        const expected = { complete: [0], incomplete: [3], altered: [4], refused: [4, 6] }[said.verdict];
        assert.ok(expected.includes(code), `exit code ${code} and verdict ${said.verdict}`);
        resolve(said);
      } catch (cause) {
        reject(new Error(`${args.join(" ")}: ${stdout}${stderr}`, { cause }));
      }
    });
  });
}

/** A page receives the answer as an object, so it cannot see faults that are gone once the text is parsed. */
const inBrowser = vectors.filter((vector) => !vector.only_as_text);

/** Runs the module and the code that the player's worker runs around it, except for downloads. */
function byBrowserModule(list, key = null) {
  return list.map((vector) => {
    const files = filesOf(vector);
    let recording;
    try {
      recording = JSON.parse(files.get("recording.json").toString());
    } catch {
      return { verdict: "refused", problems: ["recording-unreadable"] };
    }
    const reader = new wasm.RecordingReader(rootKey);
    try {
      addParts(reader, files.get("clinic.jws").toString().trim(), recording);
      for (const [position, part] of recording.parts.entries()) {
        for (const track of part.tracks) readTrack(reader, position, track, key, files.get(`${track.track}.track`));
      }
      return judged(reader.report());
    } catch (error) {
      return refusedByBrowser(error);
    }
  });
}

function readTrack(reader, position, track, key, bytes) {
  if (bytes === undefined) {
    reader.trackNotHere(position, track.track);
    return;
  }
  let trackReader;
  try {
    trackReader = key && openTrack(reader, position, track, key);
  } catch {
    // It cannot be opened, so it is only checked.
  }
  trackReader ??= reader.checkTrack(position, track.track);
  try {
    for (let at = 0; at < bytes.length; at += 1_000) trackReader.feed(bytes.subarray(at, at + 1_000));
  } catch (error) {
    assert.match(String(error.code), /^opening-(track|segment)-altered$/);
  }
  reader.closeTrack(trackReader);
}

/** One process for all; with a key it opens them too. */
async function byPython(list, key = []) {
  const child = spawn(python, [inRoot("tests", "interop", "judge_recordings.py"), rootFile, ...key], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(list.map((vector) => `${folderOf(vector)}\n`).join(""));
  let text = "";
  for await (const piece of child.stdout.setEncoding("utf8")) text += piece;
  const lines = text.trim().split("\n");
  assert.equal(lines.length, list.length, `python judged ${lines.length} of ${list.length}`);
  return lines.map((line) => JSON.parse(line));
}

// --- What they say --------------------------------------------------------------------------------

let module;
before(async () => {
  await wasm.default({ module_or_path: readFileSync(inRoot("dist", "wasm", "recording_bg.wasm")) });
  module = wasm;
});

test("there are at least 150 vectors, and at least 10 of them are to be accepted", () => {
  assert.ok(vectors.length >= 150, `${vectors.length} vectors`);
  assert.ok(vectors.filter(({ expected }) => expected.verdict === "complete").length >= 10);
  assert.ok(vectors.length - inBrowser.length <= 2, "the browser judges nearly all");
  for (const { name, shows, requirement } of vectors) assert.ok(shows && requirement, name);
});

test("the clinic tool judges every vector as expected", async () => {
  assert.deepEqual(differing(vectors, await byClinicTool(vectors)), []);
});

test("the browser's module judges every vector as expected", () => {
  assert.deepEqual(differing(inBrowser, byBrowserModule(inBrowser)), []);
});

test("the stranger's program judges every vector as expected", async () => {
  assert.deepEqual(differing(vectors, await byPython(vectors)), []);
});

test("with a key, the verdicts are the same except for segments that do not decrypt", async () => {
  const opening = secrets.opening_keys.x25519;
  const key = new module.OpeningKey(Buffer.from(JSON.stringify(opening)));
  const expected = (vector) => vector.expected_with_key ?? vector.expected;
  assert.ok(vectors.some((vector) => vector.expected_with_key));
  const openable = vectors.filter(({ base }) => base !== "x-wing");
  assert.deepEqual(differing(inBrowser, byBrowserModule(inBrowser, key), expected), []);
  const stranger = await byPython(openable, [opening.suite, opening.private_key]);
  assert.deepEqual(differing(openable, stranger, expected), []);
  // `open` reports differently about recordings that it does not open at all.
  const opened = openable.filter((vector) => vector.expected_with_key || vector.expected.verdict === "complete");
  writeFileSync(path.join(scratch, "key.jwe"), keyFileOf(opening, "a passphrase of the tests"));
  writeFileSync(path.join(scratch, "passphrase"), "a passphrase of the tests\n");
  assert.deepEqual(differing(opened, await byClinicTool(opened, open), expected), []);
  key.free();
});

test("a wrong expectation is noticed, whichever vector has it", async () => {
  const others = { complete: "altered", incomplete: "complete", altered: "incomplete", refused: "altered" };
  const mutated = inBrowser.flatMap((vector) => [
    { ...vector, expected: { ...vector.expected, verdict: others[vector.expected.verdict] } },
    {
      ...vector,
      expected: { ...vector.expected, problems: [...vector.expected.problems.slice(1), "part-twice-over"] },
    },
  ]);
  const said = byBrowserModule(inBrowser);
  const noticed = differing(
    mutated,
    inBrowser.flatMap((_, index) => [said[index], said[index]]),
  );
  assert.equal(noticed.length, mutated.length);
});
