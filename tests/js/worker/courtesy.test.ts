/** The upload gives way to live media, and goes on all the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Courtesy } from "../../../worker/recording/courtesy.js";
import { MemorySpoolStorage } from "../../../worker/recording/spool-memory.js";
import { TrackSpool } from "../../../worker/recording/track-spool.js";
import { SpoolReader } from "../../../worker/recording/tus-reader.js";
import { segment, trackStart } from "../../lib/track-bytes.js";

async function reader(courtesy: Courtesy, signal = new AbortController().signal) {
  const folder = await new MemorySpoolStorage(1 << 28).folder("part");
  const spool = TrackSpool.create(await folder.open("track"), trackStart());
  spool.appendSegment(segment(1_000_000, 1), spool.size);
  spool.complete();
  const source = await new SpoolReader(spool, signal, { courtesy }).openFile();
  return async (start: number) => {
    const { value, done } = await source.slice(start, start + (4 << 20));
    return { bytes: (value as Uint8Array).byteLength, done };
  };
}

async function seconds(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await act();
  return (performance.now() - from) / 1_000;
}

test("while the call's line is good, everything goes at once", async () => {
  const read = await reader(new Courtesy());
  const { bytes, done } = await read(0);
  assert.ok(bytes > 1_000_000 && done);
});

test("while it is not, little goes at a time, with a pause before each, until the end", async () => {
  const courtesy = new Courtesy();
  courtesy.set(true);
  const read = await reader(courtesy);
  const taken = await seconds(async () => assert.deepEqual(await read(0), { bytes: 65_536, done: false }));
  assert.ok(taken >= 1.9 && taken < 4, `${taken} s`);
});

test("when the line is good again, a pause ends at once", async () => {
  const courtesy = new Courtesy();
  courtesy.set(true);
  const read = await reader(courtesy);
  const taken = await seconds(async () => {
    setTimeout(() => courtesy.set(false), 100);
    assert.equal((await read(0)).done, true);
  });
  assert.ok(taken < 1.5, `${taken} s`);
});

test("an abort ends a pause, and nothing is sent", async () => {
  const courtesy = new Courtesy();
  courtesy.set(true);
  const abort = new AbortController();
  const read = await reader(courtesy, abort.signal);
  setTimeout(() => abort.abort(), 50);
  await assert.rejects(read(0), { name: "AbortError" });
});
