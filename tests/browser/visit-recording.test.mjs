/**
 * The package as an embedder calls it, with the real relay, authority and vault: a visit is held,
 * recorded, paused, goes on, its recorder is killed, the spool is recovered, the recording opened,
 * and a withdrawal stops everything.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { claims, meet, record, startVisits } from "../lib/visit-people.mjs";

let visits;
let stack;
let clinician;
let patient;

before(async () => {
  visits = await startVisits("recording");
  stack = visits.stack;
  clinician = await openClinician();
  patient = await visits.person("patient");
  await holdVisit();
});

after(() => visits?.stop());

/** Again and again on the same profile: what a page leaves behind, the next one finds. */
function openClinician() {
  return visits.person("clinician", { profileDirectory: path.join(visits.directory, "profile") });
}

async function holdVisit() {
  const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
  for (const [index, one] of [clinician, patient].entries()) await one.join({ visit, secret: links[index].secret });
  await meet([clinician, patient]);
}

test("both see each other, and nothing was dropped for a reason that matters", async () => {
  for (const one of [clinician, patient]) await one.until((page) => page.shown().some((frames) => frames > 20));
  for (const one of [clinician, patient]) {
    const { tracks, encrypted, decrypted } = await one.do((page) => page.visit.stats());
    assert.ok(encrypted > 50 && decrypted > 50);
    const serious = tracks
      .flatMap(({ dropped }) => Object.keys(dropped))
      .filter((reason) => !["duplicate", "too-old", "gated"].includes(reason));
    assert.deepEqual(serious, []);
    assert.deepEqual(one.browser.problems, []);
  }
  assert.equal(
    await clinician.do((page) => page.visit.state.safety_code),
    await patient.do((page) => page.visit.state.safety_code),
  );
});

test("a recorder that not everyone has granted does not get in", async () => {
  await clinician.do((page) => page.prepareRecorder());
  await clinician.do((page) => page.ask());
  await clinician.do((page) => page.grant());
  await clinician.until((page) => page.visit.state.consent?.answered === 1);
  const code = await clinician.do((page) => page.visit.startRecorder().catch((error) => error.code));
  assert.equal(code, "visit-not-agreed");
  assert.equal(await clinician.do((page) => page.recorder.state.phase), "waiting");
  assert.equal(await patient.do((page) => page.visit.state.indicator.kind), "not_recorded");
});

test("with everyone's grant it records, and a pause makes it leave", async () => {
  await patient.do((page) => page.grant());
  await clinician.until((page) => page.visit.state.consent?.all_agreed);
  await clinician.do((page) => page.visit.startRecorder());
  await patient.until((page) => page.visit.state.indicator.kind === "recording");
  await clinician.until((page) => page.recorder.state.sealed_media_us > 3_000_000);
  await clinician.do((page) => page.recorder.mark("a mark"));
  await patient.do((page) => page.visit.pause());
  await patient.until((page) => page.visit.state.indicator.kind === "paused");
  await clinician.until((page) => page.spools().some(({ part, state }) => part === 0 && state === "safe"));
  // Safe first, then gone.
  await clinician.until((page) => page.spoolFolders().then((folders) => folders.length === 0));
});

test("it goes on in a second part; when its page dies, the others see it, and the spool is recovered behind a sign-in", async () => {
  await patient.do((page) => page.visit.agreeToResume());
  // The host has to have heard of it.
  await clinician.until((page) => page.started());
  await clinician.until((page) => page.recorder.state.part === 1 && page.recorder.state.sealed_media_us > 3_000_000);
  const { sealed_media_us } = await clinician.do((page) => page.recorder.state);
  const processes = await clinician.browser.processes();
  for (const { type, id } of processes) if (type === "renderer") process.kill(id, "SIGKILL");
  await patient.until((page) => page.visit.state.indicator.kind !== "recording");
  await clinician.browser.close();

  clinician = await openClinician();
  assert.equal((await clinician.do((page) => page.spoolFolders())).length, 1);
  const signIn = await signInBefore(clinician);
  const recovered = await clinician.do((page) => page.recover((part) => window.signIn(part)));
  await signIn.end();
  assert.deepEqual(
    recovered.map(({ part, state, finished }) => ({ part, state, finished })),
    [{ part: 1, state: "safe", finished: false }],
  );
  assert.deepEqual(await clinician.do((page) => page.spoolFolders()), []);

  const [{ recording, parts }] = await stack.recordings();
  assert.deepEqual(signIn.asked, [{ recording, part: 1 }]);
  assert.deepEqual(
    parts.map(({ part, state }) => [part, state]),
    [
      [0, "finished"],
      [1, "unfinished"],
    ],
  );
  const stored = Math.max(...parts[1].tracks.map(({ media_end_us }) => media_end_us));
  assert.ok(stored >= sealed_media_us, `${stored} us in the vault, ${sealed_media_us} us were sealed`);

  const played = await clinician.do((page, details) => page.play(details), {
    keyFile: readFileSync(stack.path("clinician.jwe"), "utf8"),
    passphrase: readFileSync(stack.path("passphrase"), "utf8").trim(),
    recording: await stack.reads(`/v1/recordings/${recording}/open`, { method: "POST" }),
  });
  assert.equal(played.wrong, "wrong-passphrase");
  assert.equal(played.report.ok, true);
  const mixed = played.opened.filter(({ content }) => content === "mixed");
  // The canvas is as large as this device can encode: one of these sizes.
  const sizes = ["960x540", "640x360", "480x270"];
  assert.equal(mixed.length, 2);
  for (const { video } of mixed) assert.ok(sizes.includes(video.join("x")), `a picture of ${video.join("x")}`);
  const lines = played.opened.find(({ content, part }) => content === "events" && part === 0).lines;
  assert.ok(lines.some(({ event, text }) => event === "mark" && text === "a mark"));
  assert.ok(lines.some(({ event, people }) => event === "roster" && people.length === 2));
});

/**
 * A sign-in between this device and the vault, from now on: it takes neither the capability that the device has nor the
 * open statement, but gives a new capability of the vault's to whoever signs in; `asked` says for what.
 */
async function signInBefore({ browser, tab }) {
  const asked = [];
  const given = new Set();
  await browser.context.route("**/vault/**", (route) => {
    const token = route.request().headers().authorization?.slice("Bearer ".length);
    if (given.has(token)) return route.continue();
    return route.fulfill({ status: 403, json: { error: "sign_in", message: "sign in first" } });
  });
  await tab.exposeFunction("signIn", async ({ recording, part }) => {
    asked.push({ recording, part });
    const { parts } = await stack.reads(`/v1/recordings/${recording}`);
    const { open } = parts.find((one) => one.part === part);
    // The clinic authorizes the device: the statement alone renews nothing.
    const { capability } = await stack.reads("/v1/recordings", { method: "POST", body: open });
    given.add(capability);
    return capability;
  });
  return { asked, end: () => browser.context.unroute("**/vault/**") };
}

test("a withdrawal stops every frame at the click, ends the part as withdrawn, and sending resumes without the recorder", async () => {
  await patient.do((page) => page.visit.leave());
  await holdVisit();
  await record(clinician, [clinician, patient]);
  await clinician.until((page) => page.recorder.state.sealed_media_us > 2_000_000);

  const epoch = await patient.do((page) => page.visit.state.epoch);
  await patient.do((page) => page.withdrawAfterHold("delete"));
  await patient.until((page) => page.log.some(([name]) => name === "withdrawal_measured"));
  const [, measured] = await patient.do((page) => page.log.find(([name]) => name === "withdrawal_measured"));
  assert.equal(measured.frames_after, 0);
  // What was under way to the worker in that very moment may leave, and is told.
  assert.ok((measured.last_frame_ms ?? 0) <= 50, JSON.stringify(measured));
  assert.equal(await patient.do((page) => page.whileHeld), 0);
  await patient.until((page) => page.log.some(([name]) => name === "withdrawal_recorded"));

  await patient.until((page) => page.visit.state.indicator.kind === "stopped_by_you" && page.visit.state.sending.open);
  assert.ok((await patient.do((page) => page.visit.state.epoch)) > epoch);
  const roles = await patient.do((page) => page.visit.state.roster.map(({ role }) => role));
  assert.deepEqual(roles.toSorted(), ["clinician", "patient"]);
  await clinician.until((page) => page.spools().some(({ state, finished }) => state === "safe" && finished));

  // Picture and sound go on between the two, under keys that the recorder never had.
  const decrypted = (page) => page.visit.stats().then((stats) => stats.decrypted);
  const before = await clinician.do(decrypted);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.ok((await clinician.do(decrypted)) > before + 50);

  // The statement came to the vault from the patient's page, and once more in the recorder's manifest.
  const [{ recording }] = await stack.recordings();
  const described = await stack.reads(`/v1/recordings/${recording}`);
  const statements = [...described.withdrawals, claims(described.parts[0].manifest).withdrawal].map(claims);
  assert.deepEqual(
    statements.map(({ kind, wish, pass }) => [kind, wish, claims(pass).sub]),
    Array(2).fill(["withdrawal", "delete", patient.participant]),
  );
  assert.equal(claims(described.parts[0].manifest).reason, "withdrawn");
});
