import assert from "node:assert/strict";
import { test } from "node:test";
import { trackExtent } from "../../../worker/recording/records.js";
import { MemorySpoolStorage } from "../../../worker/recording/spool-memory.js";
import { StorageFullError } from "../../../worker/recording/spool-storage.js";
import { TrackSpool } from "../../../worker/recording/track-spool.js";
import { concat, segment, trackStart } from "../../lib/track-bytes.js";

async function fileWith(bytes: Uint8Array) {
  const folder = await new MemorySpoolStorage(1 << 24).folder("part");
  const file = await folder.open("track");
  if (bytes.byteLength > 0) file.append(bytes);
  return file;
}

test("a track cut at any byte is good up to its last whole checkpoint", async () => {
  const start = trackStart();
  const segments = [segment(0, 1), segment(1, 2), segment(300, 3)];
  const whole = concat(start, ...segments);
  const ends = [start.byteLength];
  for (const bytes of segments) ends.push((ends.at(-1) ?? 0) + bytes.byteLength);
  for (let length = 0; length <= whole.byteLength; length++) {
    const goodBytes = ends.filter((end) => end <= length).at(-1) ?? 0;
    const extent = trackExtent(await fileWith(whole.subarray(0, length)));
    assert.deepEqual(extent, { goodBytes, segments: Math.max(0, ends.indexOf(goodBytes)) }, `cut at ${length}`);
  }
});

test("what follows a record of an unexpected type is not good", async () => {
  const good = concat(trackStart(), segment(10, 1));
  const file = await fileWith(concat(good, new Uint8Array(64)));
  assert.equal(trackExtent(file).goodBytes, good.byteLength);
});

test("recovering cuts the torn end off, and no more will come", async () => {
  const good = concat(trackStart(), segment(10, 1));
  const file = await fileWith(concat(good, segment(10, 2).subarray(0, 12)));
  const spool = TrackSpool.recover(file);
  assert.deepEqual([spool.size, spool.segments, spool.isComplete], [good.byteLength, 1, true]);
});

test("a segment is appended where the sealer says, or not at all", async () => {
  const spool = TrackSpool.create(await fileWith(new Uint8Array()), trackStart());
  const before = spool.size;
  assert.throws(() => spool.appendSegment(segment(5, 1), before + 1), /came at/);
  assert.equal(spool.size, before);
  spool.appendSegment(segment(5, 1), before);
  assert.equal(spool.segments, 1);
});

test("a full memory spool refuses, and keeps what it has", async () => {
  const folder = await new MemorySpoolStorage(100).folder("part");
  const file = await folder.open("track");
  file.append(new Uint8Array(90));
  assert.throws(() => file.append(new Uint8Array(11)), StorageFullError);
  assert.equal(file.size, 90);
  file.append(new Uint8Array(10));
});

test("a reader waits for more, and is woken by a segment, by the end, and by an abort", async () => {
  const spool = TrackSpool.create(await fileWith(new Uint8Array()), trackStart());
  const abort = new AbortController();
  const grown = spool.grown(spool.size, abort.signal);
  spool.appendSegment(segment(5, 1), spool.size);
  await grown;
  const aborted = spool.grown(spool.size, abort.signal);
  abort.abort();
  await aborted;
  const ended = spool.grown(spool.size, new AbortController().signal);
  spool.complete();
  await ended;
});

test("memory files read across the pieces that they were written in", async () => {
  const file = await fileWith(new Uint8Array([0, 1, 2]));
  file.append(new Uint8Array([3, 4]));
  file.append(new Uint8Array([5]));
  assert.deepEqual([...file.read(1, 4)], [1, 2, 3, 4]);
  assert.deepEqual([...file.read(5, 100)], [5]);
  assert.deepEqual([...file.read(6, 1)], []);
  file.truncate(2);
  assert.deepEqual([...file.read(0, 9)], [0, 1]);
});
