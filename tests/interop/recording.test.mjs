/**
 * A stranger opens our recordings: `open_recording.py`, written after docs/FORMAT.md, and the clinic tool agree on the
 * sealed fixture of every released version, sound or altered.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createPrivateKey, sign } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { binDir, inRoot } from "../../scripts/lib/paths.mjs";

const python = process.env.SEALED_VISIT_PYTHON ?? "python3";
const script = inRoot("tests", "interop", "open_recording.py");
const fixtures = readdirSync(inRoot("tests", "fixtures")).filter((name) => name.startsWith("recording-v"));
const scratch = mkdtempSync(path.join(tmpdir(), "sealed-visit-interop-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs a program; its exit code and its one line of JSON. */
function run(program, args) {
  return new Promise((resolve) => {
    execFile(program, args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const line = stdout.trim().split("\n").at(-1) ?? "";
      assert.ok(line.startsWith("{"), `${program} printed no JSON: ${stdout}${stderr}`);
      resolve({ code: error?.code ?? 0, json: JSON.parse(line) });
    });
  });
}

let outs = 0;
/** A fixture's recording under scratch, to be altered. */
function copyOf(fixture) {
  const folder = path.join(scratch, `recording-${outs++}`);
  cpSync(inRoot("tests", "fixtures", fixture, "recording"), folder, { recursive: true });
  return folder;
}

async function open(fixture, folder, key) {
  const at = (name) => inRoot("tests", "fixtures", fixture, name);
  const out = path.join(scratch, `out-${outs++}`);
  mkdirSync(out);
  const ours = path.join(out, "ours");
  const tool = await run(path.join(binDir, "sealed-visit"), [
    ...["--json", "open", folder, "--root", at("root.pub"), "--key", at(`${key}.jwe`)],
    ...["--passphrase-file", at("passphrase"), "--out", ours, "--raw"],
  ]);
  const stranger = await run(python, [script, folder, at("root.pub"), at(`${key}.jwe`), at("passphrase"), out]);
  return { tool, stranger, out, ours };
}

function claimsOf(jws) {
  return JSON.parse(Buffer.from(jws.split(".")[1], "base64url").toString());
}

/** The recorder itself lies: a valid signature by its pass key, whose seed the fixture's makers wrote down. */
function signedByRecorder(jws, claims) {
  const x = claimsOf(claims.pass).cnf.jwk.x;
  const d = Buffer.alloc(32, 0x23).toString("base64url");
  const key = createPrivateKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x, d } });
  const signed = `${jws.split(".")[0]}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
}

function tracksOf(folder) {
  const { parts } = JSON.parse(readFileSync(path.join(folder, "recording.json"), "utf8"));
  return parts.flatMap((part) => part.tracks.map((track) => path.join(folder, `${track.track}.track`)));
}

test("there is a fixture, and the stranger's program is short", () => {
  assert.ok(fixtures.length > 0);
  assert.ok(readFileSync(script, "utf8").trimEnd().split("\n").length <= 190);
});

for (const fixture of fixtures) {
  for (const key of ["x-wing", "x25519"]) {
    test(`${fixture}: both open every byte with the ${key} key`, async () => {
      const { tool, stranger, out, ours } = await open(fixture, copyOf(fixture), key);
      assert.deepEqual([tool.code, stranger.code], [0, 0], JSON.stringify(stranger.json));
      assert.equal(stranger.json.complete, true);
      const theirs = readdirSync(out).filter((name) => name !== "ours");
      for (const file of readdirSync(ours)) {
        const stem = file.replace(/\.\w+$/, "");
        const same = theirs.find((name) => name.startsWith(stem));
        assert.ok(same, `${stem} was not opened by the stranger`);
        assert.deepEqual(readFileSync(path.join(out, same)), readFileSync(path.join(ours, file)));
      }
      for (const part of [0, 1]) {
        const expected = readFileSync(inRoot("tests", "fixtures", fixture, `part-${part}-mixed.webm`));
        assert.deepEqual(readFileSync(path.join(ours, `part-${part}-mixed.webm`)), expected);
      }
    });
  }

  test(`${fixture}: both refuse a flipped bit anywhere in a track`, async () => {
    const length = readFileSync(tracksOf(copyOf(fixture))[0]).length;
    for (const share of [0, 0.0005, 0.02, 0.3, 0.7, 0.999]) {
      const folder = copyOf(fixture);
      const [track] = tracksOf(folder);
      const bytes = readFileSync(track);
      bytes[Math.floor(share * length)] ^= 0x10;
      writeFileSync(track, bytes);
      const { tool, stranger } = await open(fixture, folder, "x25519");
      assert.deepEqual([tool.code, stranger.code], [4, 1], `at ${share}: ${JSON.stringify(stranger.json)}`);
    }
  });

  test(`${fixture}: both call a cut track genuine and incomplete`, async () => {
    const folder = copyOf(fixture);
    const [track] = tracksOf(folder);
    writeFileSync(track, readFileSync(track).subarray(0, -7));
    const { tool, stranger } = await open(fixture, folder, "x25519");
    assert.deepEqual([tool.code, stranger.code], [3, 3], JSON.stringify(stranger.json));
  });

  const alterations = {
    "an open statement without the patient's grant": (part) => {
      const claims = claimsOf(part.open);
      claims.grants.pop();
      part.open = signedByRecorder(part.open, claims);
    },
    "a grant that was taken from another member": (part) => {
      const claims = claimsOf(part.open);
      claims.grants[1] = claims.grants[0];
      part.open = signedByRecorder(part.open, claims);
    },
    "the envelope of another track": (part) => {
      part.tracks[0].envelopes = part.tracks[1].envelopes;
    },
    "another share": (part) => {
      part.tracks[0].share = Buffer.alloc(32, 7).toString("base64url");
    },
    "the closing record of another part": (part, other) => {
      part.manifest = null;
      part.closing = other.closing;
    },
    "the receipt of another part": (part, other) => {
      part.receipt = other.receipt;
    },
  };
  for (const [what, alter] of Object.entries(alterations)) {
    test(`${fixture}: both refuse ${what}`, async () => {
      const folder = copyOf(fixture);
      const file = path.join(folder, "recording.json");
      const recording = JSON.parse(readFileSync(file, "utf8"));
      alter(recording.parts[0], recording.parts[1]);
      writeFileSync(file, JSON.stringify(recording));
      const { tool, stranger } = await open(fixture, folder, "x25519");
      assert.equal(stranger.code, 1, JSON.stringify(stranger.json));
      assert.ok([4, 6].includes(tool.code), JSON.stringify(tool.json));
      if (what.includes("grant")) {
        assert.match(tool.json.error, /has not granted|sequence number/);
        assert.match(stranger.json.error, /without a grant|not a grant/);
      }
    });
  }
}
