/** Every byte that the spool writes is a place where the process may die. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PartEntry } from "../../../worker/recording/journal.js";
import { folderName, PartSpool } from "../../../worker/recording/part-spool.js";
import { MemorySpoolStorage } from "../../../worker/recording/spool-memory.js";
import { StorageFullError } from "../../../worker/recording/spool-storage.js";
import { Crash, CrashingStorage } from "../../lib/crashing-storage.js";
import { segment, trackStart } from "../../lib/track-bytes.js";

const MIXED = "BBBBBBBBBBBBBBBBBBBBBB";
const EVENTS = "CCCCCCCCCCCCCCCCCCCCCC";
const about: PartEntry = {
  k: "part",
  v: 1,
  recording: "AAAAAAAAAAAAAAAAAAAAAA",
  part: 0,
  vault_url: "https://vault.example/",
  created_ms: 1,
  open: "a.b.c",
  tracks: [
    { track: MIXED, content: "mixed", create_url: "/u" },
    { track: EVENTS, content: "events", create_url: "/u" },
  ],
  capability: "token",
  capability_expires_ms: 2,
};
const newTracks = about.tracks.map((track) => ({ about: track, start: trackStart(), envelope: `e.${track.track}.f` }));
const ignore = () => undefined;

interface Reached {
  /** Bytes of the mixed track after each segment that was acknowledged to the caller. */
  readonly acknowledged: number[];
  isManifestNoted: boolean;
  url: string | null;
}

/** A whole part, from its making to its manifest; `reached` says how far it came. */
async function makePart(storage: CrashingStorage, reached: Reached): Promise<void> {
  const part = await PartSpool.create(storage, about, newTracks, ignore);
  const mixed = part.track(MIXED).spool;
  part.noteEnvelopeStored(MIXED);
  storage.assertAlive();
  for (let index = 0; index < 3; index++) {
    mixed.appendSegment(segment(7 * index, index), mixed.size);
    reached.acknowledged.push(mixed.size);
    if (index === 0) {
      part.noteUploadUrl(MIXED, "https://vault.example/u/1");
      storage.assertAlive();
      reached.url = "https://vault.example/u/1";
    }
  }
  part.setManifest("m.m.m");
  storage.assertAlive();
  reached.isManifestNoted = true;
}

test("a part that died at any byte is found again with everything that was acknowledged", async () => {
  const complete = new CrashingStorage();
  await makePart(complete, { acknowledged: [], isManifestNoted: false, url: null });
  for (let dies = 0; dies < complete.written; dies++) {
    const storage = new CrashingStorage(dies);
    const reached: Reached = { acknowledged: [], isManifestNoted: false, url: null };
    await assert.rejects(makePart(storage, reached), Crash);
    const disk = storage.survivor();
    const found = await PartSpool.recover(disk, folderName(about.recording, about.part), ignore);
    const last = reached.acknowledged.at(-1) ?? 0;
    if (!found) {
      // Only before the journal's first line, when nothing can have been sealed.
      assert.equal(last, 0, `died at ${dies}`);
      assert.deepEqual(await disk.folders(), []);
      continue;
    }
    const { spool, uploadUrl } = found.track(MIXED);
    assert.ok(spool.size >= last, `died at ${dies}: ${spool.size} of ${last} acknowledged bytes`);
    // At most the one segment that was whole on the disk and not acknowledged yet.
    assert.ok(spool.segments - reached.acknowledged.length <= 1);
    if (reached.isManifestNoted) assert.equal(found.manifest, "m.m.m");
    if (reached.url) assert.equal(uploadUrl, reached.url);
    assert.equal(found.capability, "token");
    assert.equal(spool.isComplete, true);
  }
});

test("a journal that takes no more lines costs nothing that is sealed, and does not keep the part from its end", async () => {
  const storage = new MemorySpoolStorage(10_000);
  const part = await PartSpool.create(storage, about, newTracks, ignore);
  const { spool } = part.track(MIXED);
  assert.throws(() => {
    for (;;) spool.appendSegment(segment(300, 1), spool.size);
  }, StorageFullError);
  const sealed = spool.size;
  part.noteUploadUrl(MIXED, `https://vault.example/${"u".repeat(400)}`);
  part.setManifest("m".repeat(400));
  assert.deepEqual([spool.size, spool.isComplete, part.manifest?.length], [sealed, true, 400]);
  part.noteReceipt("r".repeat(400));
  await part.letGo();
  assert.deepEqual(await storage.folders(), []);
});

test("what could not be made leaves no half of it behind", async () => {
  const storage = new MemorySpoolStorage(450);
  await assert.rejects(PartSpool.create(storage, about, newTracks, ignore), StorageFullError);
  assert.deepEqual(await storage.folders(), []);
});

test("a part that is let go leaves nothing behind", async () => {
  const storage = new CrashingStorage();
  const part = await PartSpool.create(storage, about, newTracks, ignore);
  await part.letGo();
  assert.deepEqual(await storage.survivor().folders(), []);
  assert.equal(part.isGone, true);
});

test("the states of a part go from sealed over uploaded to safe, and each is told", async () => {
  const states: string[] = [];
  const part = await PartSpool.create(new CrashingStorage(), about, newTracks, ({ state }) => states.push(state));
  part.publish();
  part.noteAllUploaded();
  part.noteReceipt("r.r.r");
  assert.deepEqual(states, ["sealed", "uploaded", "safe"]);
});

test("the journal never holds what could sign or seal", async () => {
  const storage = new CrashingStorage();
  await makePart(storage, { acknowledged: [], isManifestNoted: false, url: null });
  const folder = await storage.survivor().folder(folderName(about.recording, about.part));
  const journal = await folder.open("journal");
  const text = new TextDecoder().decode(journal.read(0, journal.size));
  assert.doesNotMatch(text, /seed|secret|private|share/i);
});
