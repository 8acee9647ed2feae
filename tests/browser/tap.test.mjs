/**
 * What someone at the relay can see. The same search finds the codes, the tones and the encoder's
 * bytes in a call without encryption, and nothing in a visit.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { framesOf, readTap, searchTap, vp8DescriptorBytes } from "../../scripts/lib/tap.mjs";
import { startCalls } from "../lib/calls.mjs";
import { commonRuns } from "../lib/common-runs.mjs";

/** What stays legible of an encrypted VP8 frame: docs/FRAMES.md. Less than a run. */
const clearBytes = { key: 10, delta: 3 };
const SECONDS = 6;
const codecs = ["video/VP8", "video/VP9"];

const people = [
  { role: "clinician", source: 0, codec: codecs[0] },
  { role: "patient", source: 1, codec: codecs[1] },
];

test("from a call without encryption codes, tones and the encoder's bytes are read off the relay", async (t) => {
  const calls = await startCalls({ tap: true });
  t.after(() => calls.stop());
  const visit = calls.newVisit();
  const callers = [];
  for (const { role, source } of people)
    callers.push(await calls.plain(visit, { role, source, admittedBy: callers[0], log: true }));
  for (const [index, { codec }] of people.entries()) {
    await callers[index].run("publish", { codec });
    // The tap writes what is forwarded.
    await callers[index].run("subscribe");
  }
  await callers[1].page.waitForTimeout(SECONDS * 1_000);
  const { packets, frames } = await whatLeft(calls, callers);

  const { tracks, found } = await searchTap(calls.tapFile);
  assert.equal(tracks, 4);
  const foundOf = (participant) => found.filter(({ track }) => track.startsWith(participant)).map(({ codec }) => codec);
  assert.deepEqual(foundOf(callers[0].participant).sort(), ["VP80", "opus"], JSON.stringify(found));
  assert.deepEqual(foundOf(callers[1].participant).sort(), ["VP90", "opus"], JSON.stringify(found));
  for (const { participant } of callers) {
    for (const kind of ["audio", "video"]) {
      const { share } = runsOf(packets, frames, participant, kind);
      assert.ok(share > 0.9, `${share} of ${kind} is the encoder's`);
    }
  }
});

test("from a visit no code, no tone and no 16 bytes of the encoder's are read off the relay", async (t) => {
  const calls = await startCalls({ tap: true });
  t.after(() => calls.stop());
  const visit = calls.newVisit();
  const members = [];
  for (const { role, source, codec } of people)
    members.push(await calls.member(visit, { role, source, admittedBy: members[0], log: true, query: { codec } }));
  for (const member of members) await member.run("publish");
  await members[1].page.waitForTimeout(SECONDS * 1_000);
  const rows = await Promise.all(members.map((member) => member.run("measure")));
  for (const row of rows.flat())
    assert.ok(row.kind === "audio" ? row.peak > 0.02 : row.framesDecoded > 30, "a call is held");
  const { packets, frames } = await whatLeft(calls, members);

  const { tracks, found } = await searchTap(calls.tapFile);
  assert.equal(tracks, 4);
  assert.deepEqual(found, []);
  for (const [index, { participant }] of members.entries()) {
    const { codec } = people[index];
    for (const kind of ["audio", "video"]) {
      const { runs, packets: looked } = runsOf(packets, frames, participant, kind);
      assert.ok(looked > 100, `${looked} packets of ${kind}`);
      assert.equal(runs, 0, `${codec} ${kind}`);
    }
    // The control: the log is of those very frames.
    assertLogged(packets, frames.get(participant), participant, codec);
  }
});

/** What the relay passed on, and what the encoders had put out: `{ packets, frames: Map participant -> [{ .. }] }`. */
async function whatLeft(calls, senders) {
  const packets = readTap(calls.tapFile);
  const frames = new Map();
  for (const sender of senders) {
    const logged = await sender.run("loggedFrames");
    frames.set(
      sender.participant,
      logged.map(({ mimeType, type, base64 }) => ({ mimeType, type, bytes: Buffer.from(base64, "base64") })),
    );
  }
  return { packets, frames };
}

/** How much of what was sent is the encoder's output: every run of 16 bytes is looked for, wherever it begins. */
function runsOf(packets, frames, participant, kind) {
  const sent = packets
    .filter((packet) => packet.publisher === participant && packet.isVideo === (kind === "video"))
    .map(({ payload }) => payload);
  const encoded = frames.get(participant).filter(({ mimeType }) => mimeType.startsWith(kind));
  assert.ok(encoded.length > 40, `${encoded.length} frames of ${kind} were logged`);
  const { runs, places } = commonRuns(
    encoded.map(({ bytes }) => bytes),
    sent,
  );
  return { runs, share: runs / places, packets: sent.length };
}

/** Every packet of sound is a logged frame, longer by what protects it; of VP8 the clear bytes are those of the log. */
function assertLogged(packets, logged, participant, codec) {
  const own = packets.filter(({ publisher }) => publisher === participant);
  const sound = own.filter(({ isVideo }) => !isVideo);
  const loggedSound = logged.filter(({ type }) => type === "audio");
  assert.ok(Math.abs(sound.length - loggedSound.length) < 25, `${sound.length} sent, ${loggedSound.length} logged`);
  const total = (list) => list.reduce((sum, { length }) => sum + length, 0);
  const longer = total(sound.map(({ payload }) => payload)) - total(loggedSound.map(({ bytes }) => bytes));
  assert.ok(longer > 0, "encrypted frames are longer");
  if (codec !== "video/VP8") return;
  const clear = ({ type, bytes }) => bytes.toString("latin1", 0, clearBytes[type]);
  const starts = new Set(logged.filter(({ type }) => type !== "audio").map(clear));
  const sent = framesOf(
    own.filter(({ isVideo }) => isVideo),
    vp8DescriptorBytes,
  );
  const legible = sent.filter(({ bytes }) =>
    Object.values(clearBytes).some((length) => starts.has(bytes.toString("latin1", 0, length))),
  );
  assert.ok(legible.length > sent.length * 0.9, `${legible.length} of ${sent.length} begin as logged`);
}
