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
const documents = inRoot("tests", "interop", "recording_documents.py");
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

/** All problems in the tool's report, sorted. */
function codesOf({ parts, problems }) {
  return [...parts.flatMap((part) => part.problems), ...problems].map(({ code }) => code).sort();
}

/** Both verify, without a key: their exit codes and the codes of all problems; none where they refuse to judge. */
async function verify(fixture, folder) {
  const root = inRoot("tests", "fixtures", fixture, "root.pub");
  const tool = await run(path.join(binDir, "sealed-visit"), ["--json", "verify", folder, "--root", root]);
  const stranger = await run(python, [script, folder, root]);
  return {
    tool: [tool.code, tool.json.parts ? codesOf(tool.json) : []],
    stranger: [stranger.code, stranger.json.problems?.toSorted() ?? []],
    why: stranger.json.error ?? "",
  };
}

/** Each file reports every problem, and checks the type of every member: more than 190 lines hold, less than 250 do. */
test("there is a fixture, and the stranger's program is short", () => {
  assert.ok(fixtures.length > 0);
  for (const file of [script, documents]) {
    assert.ok(readFileSync(file, "utf8").trimEnd().split("\n").length <= 250, file);
  }
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
      if (tool.json.report) assert.deepEqual(stranger.json.problems.toSorted(), codesOf(tool.json.report));
      if (what.includes("grant")) {
        assert.match(tool.json.error, /has not granted|sequence number/);
        assert.match(stranger.json.error, /R-36|R-39/);
      }
    });
  }

  /** The track of part 0 that is altered, and what both say of it. */
  const bytes = {
    "a byte of its first segment": [
      "track-altered",
      (file, start) => {
        file[start + 40] ^= 1;
      },
    ],
    "the type of its first record": [
      "track-altered",
      (file, start) => {
        file[start] ^= 1;
      },
    ],
    "its magic": [
      "track-altered",
      (file) => {
        file[7] = 2;
      },
    ],
    "its header": [
      "track-altered",
      (file) => {
        file[60] ^= 1;
      },
    ],
    "a byte after its end": ["bytes-after-end", (file) => Buffer.concat([file, Buffer.from("x")])],
    "records after its end": ["bytes-after-end", (file, start) => Buffer.concat([file, file.subarray(start)])],
    "its last bytes": ["track-truncated", (file) => file.subarray(0, -1)],
    "all but its header": ["track-truncated", (file, start) => file.subarray(0, start)],
    "the end of its header": ["track-without-header", (file, start) => file.subarray(0, start - 1)],
    "every byte": ["track-without-header", () => Buffer.alloc(0)],
    "the file": ["track-missing", () => null],
  };
  for (const [what, entry] of Object.entries(bytes)) {
    const [code, alter] = /** @type {[string, (file: Buffer, start: number) => any]} */ (entry);
    test(`${fixture}: both call an altered track ${code}: ${what}`, async () => {
      const folder = copyOf(fixture);
      const [track] = tracksOf(folder);
      const file = readFileSync(track);
      const altered = alter(file, 13 + file.readUInt32BE(9));
      if (altered === null) rmSync(track);
      else writeFileSync(track, altered ?? file);
      const { tool, stranger, why } = await verify(fixture, folder);
      const isMissing = ["track-truncated", "track-without-header", "track-missing"].includes(code);
      // The second part of recording-v1 names what the first part's chain had reached.
      const continued = fixture === "recording-v1" ? ["previous-head-missing"] : [];
      const codes = code === "bytes-after-end" ? [code] : [...continued, "receipt-covers-more", code];
      assert.deepEqual(tool, [isMissing ? 3 : 4, codes]);
      assert.deepEqual(stranger, [isMissing ? 3 : 1, codes], why);
    });
  }

  /** What is done to the text of recording.json, or of one of its documents. */
  const texts = {
    "a member twice": (text) => text.replace('"parts"', '"parts":[],"parts"'),
    "an unknown member twice": (text) => text.replace('"parts"', '"new":1,"new":2,"parts"'),
    "a part's number as a fraction": (text) => text.replace(/"part":\s*0/, '"part":0.0'),
    "a part's number as a text": (text) => text.replace(/"part":\s*0/, '"part":"0"'),
    "a negative zero": (text) => text.replace(/"part":\s*0/, '"part":-0'),
    "padding in an id": (text) => text.replace(/("recording":\s*"[^"]*)"/, '$1=="'),
    "unused bits in an id": (text) => text.replace(/("recording":\s*"[^"]*)Q"/, '$1R"'),
    "another alphabet": (text) => text.replace(/("recording":\s*")Q/, "$1+"),
    "a byte order mark": (text) => `\ufeff${text}`,
    "an unpaired surrogate": (text) => text.replace('"parts"', '"new":"\\ud800","parts"'),
    "no number of a part": (text) => text.replace(/"part":\s*0,/, ""),
    "null for an envelope": (text) => text.replace('"envelopes"', '"envelopes":null,"were"'),
    "nesting too deep": (text) => text.replace('"parts"', `"new":${"[".repeat(127)}${"]".repeat(127)},"parts"`),
    "a document with a fourth part": (text) => text.replace(/("open":\s*"[^"]*)"/, '$1.AA"'),
    "a signature with unused bits": (text) =>
      text.replace(/("open":\s*"[^"]*)(.)"/, (_, start, last) => `${start}${next(last)}"`),
    "a document of another type": (text) =>
      text.replace(/"open":\s*"[^"]*"/, /"manifest":\s*"[^"]*"/.exec(text)[0].replace("manifest", "open")),
  };
  for (const [what, alter] of Object.entries(texts)) {
    test(`${fixture}: both refuse to judge ${what}`, async () => {
      const folder = copyOf(fixture);
      const file = path.join(folder, "recording.json");
      const honest = readFileSync(file, "utf8");
      assert.notEqual(alter(honest), honest);
      writeFileSync(file, alter(honest));
      const { tool, stranger, why } = await verify(fixture, folder);
      assert.ok([4, 6].includes(tool[0]), what);
      assert.deepEqual([tool[1], stranger], [[], [1, []]]);
      assert.notEqual(why, "");
    });
  }

  const listings = {
    "unknown-track": ({ parts: [part] }) => part.tracks.push({ track: "A".repeat(22) }),
    "track-twice": ({ parts: [part] }) => part.tracks.push({ ...part.tracks[0], envelopes: [] }),
    "listed-elsewhere": (recording) => {
      recording.parts[0].part = 7;
    },
    "envelope-invalid": ({ parts: [part] }) => part.tracks[0].envelopes.push(part.receipt),
    "envelope-elsewhere": ({ parts: [part] }) => part.tracks[0].envelopes.push(part.tracks[1].envelopes[0]),
    "part-twice": ({ parts }) => parts.push(parts[0]),
    "receipt-differs": ({ parts }) => {
      parts[0].receipt = parts[1].receipt;
    },
    "receipt-invalid": ({ parts }) => {
      parts[0].receipt = parts[0].manifest;
    },
    "closing-invalid": ({ parts }) => {
      parts[0].closing = parts[0].manifest;
    },
    "closing-of-another-part": ({ parts }) => {
      parts[0].closing = parts[1].closing;
    },
    "no-part": (recording) => {
      recording.parts = [];
    },
    "part-missing": ({ parts }) => parts.shift(),
    "envelope-missing": ({ parts: [part] }) => {
      part.tracks[0].envelopes = [];
    },
  };
  for (const [code, alter] of Object.entries(listings)) {
    test(`${fixture}: both report ${code} and nothing else`, async () => {
      const folder = copyOf(fixture);
      const file = path.join(folder, "recording.json");
      const recording = JSON.parse(readFileSync(file, "utf8"));
      alter(recording);
      writeFileSync(file, JSON.stringify(recording));
      const { tool, stranger, why } = await verify(fixture, folder);
      assert.deepEqual(tool[1], [code]);
      assert.deepEqual(stranger, [tool[0] === 4 ? 1 : tool[0], [code]], why);
    });
  }
}

/** The next character of base64url's alphabet: the same bytes, where the last bits are not used. */
function next(character) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return alphabet[(alphabet.indexOf(character) & ~15) + ((alphabet.indexOf(character) + 1) & 15)];
}
