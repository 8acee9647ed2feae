/**
 * A whole recording on a disk that really fills up: the browser's profile is on a small file system of its own. What the
 * browser says of free room is wrong by far, so only writing shows it.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, statfsSync, writeSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, test } from "node:test";
import { claims, meet, record, startVisits } from "../lib/visit-people.mjs";

const MEGABYTE = 1 << 20;
const isRoot = process.getuid?.() === 0;
let visits;
let clinician;
let patient;
let disk;

before(async () => {
  if (!isRoot) return;
  visits = await startVisits("full-disk");
  disk = path.join(visits.directory, "disk");
  mkdirSync(disk);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=400m", "tmpfs", disk]);
  clinician = await visits.person("clinician", { profileDirectory: path.join(disk, "profile") });
  patient = await visits.person("patient");
  const { visit, links } = await visits.stack.makeVisit(["clinician", "patient"]);
  for (const [index, one] of [clinician, patient].entries()) await one.join({ visit, secret: links[index].secret });
  await meet([clinician, patient]);
});

after(async () => {
  await clinician?.browser.close();
  if (disk) execFileSync("umount", ["-l", disk]);
  await visits?.stop();
});

/** Something else on the device takes all the room there is. */
function fillDisk(name) {
  const file = openSync(path.join(disk, name), "w");
  const piece = Buffer.alloc(MEGABYTE, 1);
  try {
    for (let size = piece.length; size >= 4_096; ) {
      try {
        writeSync(file, piece, 0, size);
      } catch (error) {
        if (error.code !== "ENOSPC") throw error;
        size /= 2;
      }
    }
  } finally {
    closeSync(file);
  }
}

const freeBytes = () => {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
};

const warnings = () =>
  clinician.do((page) => page.recorderLog.filter(([name]) => name === "warning").map(([, { kind }]) => kind));

test("the end of a part fits on a full disk, and people are warned before it", {
  skip: !isRoot && "needs root",
}, async () => {
  await record(clinician, [clinician, patient]);
  await clinician.until((page) => page.recorder.state.sealed_media_us > 2_000_000);
  const before_us = await clinician.do((page) => page.recorder.state.sealed_media_us);
  fillDisk("first");
  assert.ok(freeBytes() < MEGABYTE);
  const { quota, usage } = await clinician.do(() => navigator.storage.estimate());
  assert.ok(quota - usage > 100 * MEGABYTE, `the browser says that ${quota - usage} bytes are free`);

  // What the reserve gives back is taken as well, by the test or by the browser itself.
  for (let round = 0; !(await warnings()).includes("storage_full"); round++) {
    assert.ok(round < 120, "the part did not end");
    await sleep(500);
    if ((await warnings()).includes("storage_low")) fillDisk(`more-${round}`);
  }
  await clinician.until((page) => page.spools().some(({ state }) => state === "safe"));
  assert.deepEqual(await warnings(), ["storage_low", "storage_full"]);
  const { phase, error } = await clinician.do(({ recorder: { state } }) => ({
    phase: state.phase,
    error: state.error?.code,
  }));
  assert.deepEqual([phase, error], ["failed", "spool-full"]);
  const [{ recording }] = await visits.stack.recordings();
  const { parts } = await visits.stack.reads(`/v1/recordings/${recording}`);
  assert.equal(parts[0].state, "finished");
  const { reason, tracks } = claims(parts[0].manifest);
  assert.equal(reason, "failed");
  assert.ok(Math.max(...tracks.map(({ media_end_us }) => media_end_us)) >= before_us);
});
