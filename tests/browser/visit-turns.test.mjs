/**
 * What happens to people in the middle of a recorded visit, with the real relay, authority and vault: two people at one
 * device, a reload, another purpose, a recorder that dies and is replaced, a host who leaves.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { claims, meet, startVisits } from "../lib/visit-people.mjs";

let visits;
let stack;
let made;
let clinician;
let patient;

before(async () => {
  visits = await startVisits("turns");
  stack = visits.stack;
  made = await stack.makeVisit(["clinician", "patient"]);
  clinician = await visits.person("clinician");
  patient = await visits.person("patient");
  for (const index of [0, 1]) await joinAs(index);
  await meet([clinician, patient]);
  await clinician.do((page) => page.prepareRecorder());
});

after(() => visits?.stop());

function joinAs(index) {
  const { secret } = made.links[index];
  return [clinician, patient][index].join({ visit: made.visit, secret });
}

const isRecording = (page) => page.visit.state.indicator.kind === "recording";
const hasRecorder = (page) => page.visit.state.roster.some(({ role }) => role === "recorder");

/** The newest recording's parts, with the claims of their open statements. */
async function newestOpens() {
  const recordings = await stack.recordings();
  const { recording } = recordings.toSorted((a, b) => a.opened_ms - b.opened_ms).at(-1);
  const { parts } = await stack.reads(`/v1/recordings/${recording}`);
  return parts.map(({ open }) => claims(open));
}

test("two people at one device decide for themselves: one no is a no, two yeses are in the signed grant", async () => {
  await clinician.do((page) => page.ask());
  await clinician.do((page) => page.grant());
  await patient.until((page) => page.visit.state.consent);
  const code = await patient.do((page) => page.grantFor([true, false]).catch((error) => error.code));
  assert.equal(code, "visit-bad-answer");
  assert.equal(await patient.do((page) => page.visit.state.consent.my_answer ?? null), null);
  await patient.do((page) => page.grantFor([true, true]));
  await clinician.until((page) => page.visit.state.consent?.all_agreed);
  await clinician.do((page) => page.visit.startRecorder());
  for (const one of [clinician, patient]) await one.until(isRecording);
  const [{ grants }] = await newestOpens();
  assert.deepEqual(
    grants
      .map(claims)
      .map(({ answers }) => answers.map(({ person }) => person))
      .toSorted((a, b) => a.length - b.length),
    [["self"], ["self", "person-2"]],
  );
});

test("a reload while recording: the same person is back under the same grant, and the recording goes on", async () => {
  const before = await patient.do((page) => page.visit.state.me.participant);
  await patient.tab.reload();
  await joinAs(1);
  await meet([patient]);
  await patient.until(isRecording);
  const { me, consent } = await patient.do((page) => page.visit.state);
  assert.deepEqual([me.participant, consent.my_answer], [before, "grant"]);
  assert.equal(await patient.do((page) => page.credential ?? null), null, "no new pass was asked for");
  await clinician.until((page) => page.shown().some((frames) => frames > 5));
  assert.equal((await newestOpens()).length, 1, "one part still");
});

test("another purpose is another question: no grant carries over", async () => {
  const early = await clinician.do((page) => page.ask("supervision").catch((error) => error.code));
  assert.equal(early, "visit-recording-in-progress");
  await clinician.do((page) => page.visit.stopRecording());
  await patient.until((page) => page.visit.state.indicator.kind === "stopped");
  await clinician.until((page) => page.recorder.state.phase === "waiting");
  await clinician.do((page) => page.ask("supervision"));
  await patient.until((page) => page.visit.state.consent?.purpose === "supervision");
  assert.equal(await patient.do((page) => page.visit.state.consent.my_answer ?? null), null);
  await clinician.do((page) => page.grant());
  const code = await clinician.do((page) => page.visit.startRecorder().catch((error) => error.code));
  assert.equal(code, "visit-not-agreed");
  await patient.do((page) => page.grant());
  await clinician.until((page) => page.visit.state.consent?.all_agreed);
  await clinician.do((page) => page.visit.startRecorder());
  await patient.until(isRecording);
  assert.equal(await patient.do((page) => page.visit.state.indicator.purpose), "supervision");
  const [open] = await newestOpens();
  assert.equal(claims(open.request).purpose, "supervision");
});

test("a recorder that dies is shown as silent, never as gone, and its replacement goes on under the same grants", async () => {
  await clinician.do((page) => page.killRecorder());
  await patient.until((page) => page.visit.state.indicator.kind === "recorder_present");
  assert.equal(await patient.do(hasRecorder), true);
  await patient.until((page) => page.visit.state.problems.some(({ code }) => code === "recorder_silent"));
  await clinician.do((page) => page.prepareRecorder());
  // It asks to be let in a moment after it has connected.
  await clinician.until((page) => page.started());
  for (const one of [clinician, patient]) await one.until(isRecording);
  assert.equal(await patient.do((page) => page.visit.state.consent.my_answer), "grant");
});

test("the host leaves: the recorder in the host's page is taken out, and the others' keys change", async () => {
  const epoch = await patient.do((page) => page.visit.state.epoch);
  await clinician.do((page) => page.recorder.close());
  await clinician.do((page) => page.visit.leave());
  await patient.until((page) => page.visit.state.roster.length === 1);
  const state = await patient.do((page) => page.visit.state);
  assert.deepEqual([state.phase, state.roster[0].role], ["live", "patient"]);
  assert.ok(state.epoch > epoch);
  assert.ok(!["recording", "recorder_present"].includes(state.indicator.kind), state.indicator.kind);
  assert.deepEqual(patient.browser.problems, []);
});
