/** Who can see and hear a visit's frames, and who cannot: real pages, workers, keys and relay. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { readTap } from "../../scripts/lib/tap.mjs";
import { codesShown, connectPages, startCalls, tonesHeard, until } from "../lib/calls.mjs";

let calls;

before(async () => {
  calls = await startCalls({ tap: true });
});

after(() => calls?.stop());

test("members see each other's pictures and hear each other's sound", async () => {
  const [clinician, patient] = await pair([0, 1]);
  for (const person of [clinician, patient]) await person.run("publish");
  for (const [viewer, shown] of [
    [clinician, patient],
    [patient, clinician],
  ]) {
    const index = await trackIndex(viewer, "video");
    let code;
    await until("a code is readable", async () => {
      [code] = await codesShown(viewer, index);
      return code;
    });
    assert.equal(code.source, shown.source);
    assert.ok(ageMs(code) < 3_000, `the picture is ${ageMs(code)} ms old`);
    const heard = await tonesHeard(viewer, await trackIndex(viewer, "audio"), [0, 1, 2]);
    const { share, follows } = heard[shown.source];
    assert.ok(share > 0.8 && follows > 0.8, `tones: ${JSON.stringify(heard)}`);
    assert.ok(heard[viewer.source].share < 0.2, `the viewer's own tones: ${JSON.stringify(heard)}`);
  }
  await close(clinician, patient);
});

test("where only createEncodedStreams exists, members see and hear each other all the same", async () => {
  const visit = calls.newVisit();
  const clinician = await calls.member(visit, { role: "clinician", source: 0, initScript: onlyEncodedStreams });
  const patient = await calls.member(visit, { role: "patient", source: 1, admittedBy: clinician });
  for (const person of [clinician, patient]) await person.run("publish");
  for (const [viewer, shown] of [
    [clinician, patient],
    [patient, clinician],
  ]) {
    const index = await trackIndex(viewer, "video");
    await until("a code is readable", async () => (await codesShown(viewer, index))[0]?.source === shown.source);
    const heard = await tonesHeard(viewer, await trackIndex(viewer, "audio"), [shown.source]);
    assert.ok(heard[shown.source].share > 0.8, `tones: ${JSON.stringify(heard)}`);
  }
  assert.equal(await clinician.page.evaluate(() => typeof RTCRtpScriptTransform), "undefined");
  const streams = await clinician.page.evaluate(() => globalThis.encodedStreams);
  assert.equal(streams, 4, "two senders and two receivers");
  const { encrypted, decrypted } = await clinician.run("stats");
  assert.ok(encrypted > 50 && decrypted > 50, JSON.stringify({ encrypted, decrypted }));
  await close(clinician, patient);
});

test("without the key, or with another group's key, nothing decodes and nothing is passed on", async () => {
  const [clinician, patient, visit] = await pair([0, 1]);
  const outside = await calls.member(visit, { role: "guest", source: 2 });
  // The same places in a group of the same shape, so that only the key differs.
  const [otherClinician, otherPatient] = await pair([3, 4]);
  const epochs = await Promise.all([clinician, otherClinician].map(async (it) => (await it.run("state")).epoch));
  assert.equal(epochs[0], epochs[1]);

  await connectPages(clinician, patient, { name: "member", sealed: "a" });
  await connectPages(clinician, outside, { name: "outside", sealed: "b" });
  const expected = otherClinician.participant;
  await connectPages(clinician, otherPatient, { name: "other", sealed: "c", expected });
  await until("a member sees the picture and hears the sound", async () => {
    const [sound, picture] = await soundAndPicture(patient);
    return picture.framesDecoded > 30 && sound.peak > 0.02;
  });

  for (const [person, reason] of [
    [outside, "no-key"],
    [otherPatient, "not-authentic"],
  ]) {
    const isDropped = async () => {
      const { tracks } = await person.run("stats");
      return tracks.length === 2 && tracks.every(({ dropped }) => dropped[reason] > 30);
    };
    await until(`frames arrive and are dropped: ${reason}`, isDropped);
    const [sound, picture] = await soundAndPicture(person);
    assert.equal(picture.framesDecoded, 0, reason);
    assert.equal(picture.videoWidth, 0, reason);
    assert.ok(sound.peak < 0.001, `sound of ${sound.peak} (${reason})`);
    const { tracks } = await person.run("stats");
    for (const { decrypted, kind } of tracks) assert.equal(decrypted, 0, `${kind}, ${reason}`);
  }
  await close(clinician, patient, outside, otherClinician, otherPatient);
});

test("a transform that is attached late leaks nothing, and is refused", async () => {
  const [clinician, patient] = await pair([0, 1]);
  // The control: as connections are by default, frames leave.
  await connectUnprotected(clinician, patient, { name: "open", waits: false });
  await until(
    "frames leave without a transform",
    async () => packetsSent(await clinician.run("outgoingOn", "open")) > 20,
  );

  await connectUnprotected(clinician, patient, { name: "waits", waits: true });
  await clinician.page.waitForTimeout(2_000);
  assert.equal(await clinician.run("connectionState", "waits"), "connected");
  assert.equal(packetsSent(await clinician.run("outgoingOn", "waits")), 0);
  assert.equal(await clinician.run("tryToProtect", "waits"), "transform-attached-late");
  await close(clinician, patient);
});

test("a page that is slow with its transforms sends nothing until they are there, then encrypted", async () => {
  const visit = calls.newVisit();
  const lateMs = 4_000;
  const clinician = await calls.member(visit, { role: "clinician", source: 0, query: { late: `${lateMs}` } });
  const patient = await calls.member(visit, { role: "patient", source: 1, admittedBy: clinician });
  await patient.run("publish", { audio: false, video: false });
  const beganMs = Date.now();
  await clinician.run("publish");
  await until("the connection is there", async () => (await clinician.run("outgoing")).dtls === "connected", lateMs);
  await clinician.page.waitForTimeout(lateMs - 1_000 - (Date.now() - beganMs));
  const early = await clinician.run("outgoing");
  assert.ok(Date.now() - beganMs < lateMs, "looked in time");
  assert.equal(early.tracks.length, 2);
  assert.equal(packetsSent(early), 0);
  const index = await trackIndex(patient, "video");
  await until(
    "the picture comes once the transform is there",
    async () => (await codesShown(patient, index)).length > 0,
  );
  await close(clinician, patient);
});

test("a member that left opens nothing sent later, with all the keys it ever had", async () => {
  const visit = calls.newVisit();
  const clinician = await calls.member(visit, { role: "clinician", source: 0 });
  const stays = await calls.member(visit, { role: "patient", source: 1, admittedBy: clinician, log: true });
  const leaves = await calls.member(visit, { role: "guest", source: 2, admittedBy: clinician, log: true });
  await clinician.run("publish");
  for (const person of [stays, leaves]) await person.run("publish", { audio: false, video: false });
  const index = await trackIndex(leaves, "video");
  await until("the one who will leave sees the picture", async () => (await codesShown(leaves, index)).length > 0);
  await leaves.page.waitForTimeout(1_500);

  const sizeBefore = statSync(calls.tapFile).size;
  await leaves.run("leave");
  const left = await leaves.run("loggedKeys");
  await until("everyone has gone on without", async () => {
    const states = await Promise.all([clinician, stays].map((person) => person.run("state")));
    return states.every(({ roster }) => roster.length === 2);
  });
  // What was under way has passed the relay by then.
  await clinician.page.waitForTimeout(1_000);
  const sizeThen = statSync(calls.tapFile).size;
  await clinician.page.waitForTimeout(2_500);
  const kept = await stays.run("loggedKeys");

  const publisher = clinician.participant;
  const before = soundIn(calls.tapFile, publisher, { until: sizeBefore });
  const later = soundIn(calls.tapFile, publisher, { from: sizeThen });
  assert.ok(later.length > 60, `${later.length} frames were sent after the leaving`);
  const engines = await frameEngines();
  // The controls: these keys and this way of opening frames do work.
  for (const [keys, frames] of [
    [left, before],
    [kept, later],
  ]) {
    const { opened, reasons } = engines.open(keys, frames);
    assert.ok(opened > frames.length * 0.9, `${opened} of ${frames.length} open: ${JSON.stringify(reasons)}`);
  }

  const { opened, reasons } = engines.open(left, later);
  assert.equal(opened, 0);
  assert.deepEqual(
    Object.keys(reasons).filter((reason) => !["no-key", "waited-too-long", "queue-full"].includes(reason)),
    [],
    JSON.stringify(reasons),
  );
  // The last key under the next epochs' numbers, as someone would try.
  const last = left.at(-1);
  for (const { epoch } of kept.filter((key) => key.epoch > last.epoch)) {
    const forged = engines.open([{ ...last, epoch }], later);
    assert.equal(forged.opened, 0);
    assert.ok(forged.reasons["not-authentic"] > 60, JSON.stringify(forged.reasons));
  }
  assert.ok(kept.at(-1).epoch > last.epoch, "there is a next epoch");
  await close(clinician, stays);
});

// --- People ---------------------------------------------------------------------------------------

/** A visit of two. */
async function pair([first, second]) {
  const visit = calls.newVisit();
  const clinician = await calls.member(visit, { role: "clinician", source: first });
  const patient = await calls.member(visit, { role: "patient", source: second, admittedBy: clinician });
  return [clinician, patient, visit];
}

async function close(...people) {
  for (const person of people) assert.deepEqual(await person.run("problems"), []);
  for (const { page } of people) await page.close();
  assert.deepEqual(calls.problems, []);
}

async function connectUnprotected(from, to, { name, waits }) {
  const offer = await from.run("offer", { name, sealed: null, waits });
  const answer = await to.run("accept", { name, offer, from: null });
  await from.run("complete", { name, answer });
  await until(`${name} is connected`, async () => (await from.run("connectionState", name)) === "connected");
}

// --- What arrives ---------------------------------------------------------------------------------

async function trackIndex(person, kind) {
  let index = -1;
  await until(`a ${kind} track arrives`, async () => {
    index = (await person.run("measure")).findIndex((row) => row.kind === kind);
    return index >= 0;
  });
  return index;
}

async function soundAndPicture(person) {
  const rows = await person.run("measure");
  return ["audio", "video"].map((kind) => rows.find((row) => row.kind === kind));
}

const packetsSent = ({ tracks }) => tracks.reduce((sum, track) => sum + track.packetsSent, 0);

/** Codes carry the wall clock modulo 2^32. */
const ageMs = ({ timeMs }) => (Date.now() - timeMs) % 2 ** 32;

// --- Frames from the tap --------------------------------------------------------------------------

/** The encrypted sound of a publisher: a packet is a frame. Offsets are those of the tap's records. */
function soundIn(file, publisher, { from = 0, until: end = Number.POSITIVE_INFINITY }) {
  return readTap(file).filter(
    (packet) => packet.publisher === publisher && !packet.isVideo && packet.offset >= from && packet.offset < end,
  );
}

/** The package's frame engine, here in Node, for whoever has keys. */
async function frameEngines() {
  const { dropReasons, FrameEngine, initSync, wasmMemory } = await import("../../dist/wasm-test/visit.js");
  initSync({ module: readFileSync(inRoot("dist", "wasm-test", "visit_bg.wasm")) });
  const names = dropReasons();
  return {
    /** How many frames open, and why the others do not. The keys are never taken away again. */
    open(keys, frames) {
      const engine = new FrameEngine();
      for (const { epoch, baseKey, ownLeaf, leaves } of keys)
        engine.installEpoch(BigInt(epoch), Uint8Array.from(baseKey), ownLeaf, Uint8Array.from(leaves));
      // The clinician made the group: leaf 0.
      const track = engine.openReceiveTrack(frames[0].track, 0, "audio/opus");
      let opened = 0;
      const reasons = {};
      const count = (result) => {
        if (result >= 0) opened += 1;
        else reasons[names[-result]] = (reasons[names[-result]] ?? 0) + 1;
      };
      let nowMs = 0;
      for (const { payload } of frames) {
        const at = engine.prepare(payload.length);
        new Uint8Array(wasmMemory().buffer, at, payload.length).set(payload);
        const result = engine.decrypt(track, nowMs);
        if (result !== FrameEngine.WAITS) count(result);
        nowMs += 1_000;
        for (;;) {
          const released = engine.nextReleased(nowMs);
          if (released === FrameEngine.NOTHING_DUE) break;
          count(released);
        }
      }
      engine.free();
      return { opened, reasons };
    },
  };
}

/** Runs in the page: what older Chromiums have. */
function onlyEncodedStreams() {
  delete globalThis.RTCRtpScriptTransform;
  for (const { prototype } of [RTCRtpSender, RTCRtpReceiver]) {
    delete prototype.transform;
    const { createEncodedStreams } = prototype;
    prototype.createEncodedStreams = function () {
      globalThis.encodedStreams = (globalThis.encodedStreams ?? 0) + 1;
      return createEncodedStreams.call(this);
    };
  }
}
