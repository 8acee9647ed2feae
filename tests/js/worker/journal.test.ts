import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, encodeLine, type JournalEntry, openJournal, parseJournal } from "../../../worker/recording/journal.js";
import { MemorySpoolStorage } from "../../../worker/recording/spool-memory.js";
import { concat } from "../../lib/track-bytes.js";

const entries: readonly JournalEntry[] = [
  {
    k: "part",
    v: 1,
    recording: "AAAAAAAAAAAAAAAAAAAAAA",
    part: 0,
    vault_url: "https://vault.example/",
    created_ms: 1,
    open: "a.b.c",
    tracks: [{ track: "BBBBBBBBBBBBBBBBBBBBBB", content: "mixed", create_url: "/u" }],
    capability: "token",
    capability_expires_ms: 2,
  },
  { k: "envelope", track: "BBBBBBBBBBBBBBBBBBBBBB", envelope: "d.e.f" },
  { k: "upload", track: "BBBBBBBBBBBBBBBBBBBBBB", url: "https://vault.example/u/1" },
  { k: "manifest", manifest: "g.h.i" },
];
const lines = entries.map(encodeLine);
const whole = concat(...lines);

test("CRC-32 agrees with the published check value", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

test("a journal cut at any byte gives exactly the lines that are whole", () => {
  for (let length = 0; length <= whole.byteLength; length++) {
    const { entries: found, goodBytes } = parseJournal(whole.subarray(0, length));
    let expectedBytes = 0;
    let expected = 0;
    for (const line of lines) {
      if (expectedBytes + line.byteLength > length) break;
      expectedBytes += line.byteLength;
      expected += 1;
    }
    assert.equal(goodBytes, expectedBytes, `cut at ${length}`);
    assert.deepEqual(found, entries.slice(0, expected));
  }
});

test("a journal altered in any one byte gives nothing from the altered line on", () => {
  for (let at = 0; at < whole.byteLength; at++) {
    const altered = whole.slice();
    altered[at] = (altered[at] ?? 0) ^ 0x04;
    const { entries: found } = parseJournal(altered);
    let start = 0;
    const line = lines.findIndex((bytes) => {
      const isHere = at < start + bytes.byteLength;
      start += bytes.byteLength;
      return isHere;
    });
    // A hex digit of the checksum may change case into another digit; it never makes the line valid.
    assert.deepEqual(found, entries.slice(0, line), `byte ${at}`);
  }
});

test("opening a torn journal cuts the tear off, and goes on behind it", async () => {
  const folder = await new MemorySpoolStorage(1 << 20).folder("part");
  const file = await folder.open("journal");
  file.append(whole.subarray(0, whole.byteLength - 3));
  const { entries: found, journal } = openJournal(file);
  assert.deepEqual(found, entries.slice(0, 3));
  journal.append({ k: "uploaded", track: "BBBBBBBBBBBBBBBBBBBBBB" });
  const again = parseJournal(file.read(0, file.size));
  assert.equal(again.goodBytes, file.size);
  assert.deepEqual(again.entries.at(-1), { k: "uploaded", track: "BBBBBBBBBBBBBBBBBBBBBB" });
});
