/**
 * A recording whose device is put to sleep, and whose clocks are set: with the real relay, authority and vault. Sleep is
 * every process of the recorder's browser stopped at once; a clock that is set is that of a page and its workers.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { claims, meet, record, startVisits } from "../lib/visit-people.mjs";

const SLEEP_MS = 12_000;
const HOUR_MS = 3_600_000;

let visits;
let clinician;
let patient;

before(async () => {
  visits = await startVisits("sleep");
  const { visit, links } = await visits.stack.makeVisit(["clinician", "patient"]);
  clinician = await visits.person("clinician");
  patient = await visits.person("patient");
  for (const [index, one] of [clinician, patient].entries()) await one.join({ visit, secret: links[index].secret });
  await meet([clinician, patient]);
  await record(clinician, [clinician, patient], { width: 480, height: 270 });
  await clinician.until((page) => page.recorder.state.sealed_media_us > 3_000_000);
});

after(() => visits?.stop());

const indicatorOf = (one) => one.do((page) => page.visit.state.indicator.kind);

test("a device that slept goes on with a new part, and says what is missing", async () => {
  const ids = (await clinician.browser.processes()).map(({ id }) => id);
  for (const id of ids) process.kill(id, "SIGSTOP");
  const stoppedAt = Date.now();
  // Who vanished is missed within seconds.
  while ((await indicatorOf(patient)) === "recording") {
    assert.ok(Date.now() - stoppedAt < 6_000, "nobody missed the recorder");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await new Promise((resolve) => setTimeout(resolve, SLEEP_MS - (Date.now() - stoppedAt)));
  for (const id of ids) process.kill(id, "SIGCONT");
  await clinician.until((page) => page.recorder.state.part === 1 && page.recorder.state.sealed_media_us > 2_000_000);
  await patient.until((page) => page.visit.state.indicator.kind === "recording");
  await clinician.until((page) => page.spools().some(({ part, state }) => part === 0 && state === "safe"));

  const [{ recording }] = await visits.stack.recordings();
  const { parts } = await visits.stack.reads(`/v1/recordings/${recording}`);
  const { reason, tracks } = claims(parts[0].manifest);
  assert.equal(reason, "failed");
  const gaps = tracks.flatMap((track) => track.gaps);
  assert.equal(gaps.length, 1, JSON.stringify(gaps));
  const missingMs = (gaps[0].to_us - gaps[0].from_us) / 1_000;
  assert.ok(Math.abs(missingMs - SLEEP_MS) < 3_000, `${missingMs} ms are said to be missing`);
});

// Chromium's own freezing, asked for by its tools, does not stop this page: its processes are stopped instead.
test("pages that were frozen, while their browser was not, go on with a new part, too", async () => {
  const before = await clinician.do((page) => page.recorder.state.part);
  const renderers = (await clinician.browser.processes()).filter(({ type }) => type === "renderer");
  for (const { id } of renderers) process.kill(id, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, SLEEP_MS));
  for (const { id } of renderers) process.kill(id, "SIGCONT");
  await clinician.until((page, part) => page.recorder.state.part > part, before);
  await clinician.until((page) => page.recorder.state.sealed_media_us > 2_000_000);
  await patient.until((page) => page.visit.state.indicator.kind === "recording");
});

test("a participant's clock that is set ahead changes nothing for the others, and for that one it passes", async () => {
  const before = await clinician.do((page) => ({ ...page.recorder.state, epoch: page.visit.state.epoch }));
  await setClock(patient, HOUR_MS);
  const shown = [];
  for (let look = 0; look < 30; look++) {
    shown.push(await indicatorOf(patient));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(
    shown.slice(-15).every((kind) => kind === "recording"),
    shown.join(" "),
  );
  const now = await clinician.do((page) => ({ ...page.recorder.state, epoch: page.visit.state.epoch }));
  assert.deepEqual([now.part, now.epoch], [before.part, before.epoch]);
  assert.ok(now.sealed_media_us > before.sealed_media_us + 4_000_000);
});

test("a clock that is set back holds nothing up: it is recorded on, and who vanishes is missed", async () => {
  const part = await clinician.do((page) => page.recorder.state.part);
  await setClock(clinician, -HOUR_MS);
  await setClock(patient, -HOUR_MS);
  const { sealed_media_us } = await clinician.do((page) => page.recorder.state);
  await clinician.until((page, from) => page.recorder.state.sealed_media_us > from + 5_000_000, sealed_media_us);
  assert.equal(await clinician.do((page) => page.recorder.state.part), part);
  assert.equal(await indicatorOf(patient), "recording");

  const vanishedAt = Date.now();
  for (const { type, id } of await clinician.browser.processes()) if (type === "renderer") process.kill(id, "SIGKILL");
  while ((await indicatorOf(patient)) === "recording") {
    assert.ok(Date.now() - vanishedAt < 6_000, "nobody missed the recorder");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

/** As someone sets the device's clock: what every page and worker reads from then on. */
async function setClock({ tab }, byMs) {
  const set = (by) => {
    const now = Date.now;
    Date.now = () => now.call(Date) + by;
  };
  await tab.evaluate(`(${set})(${byMs})`);
  const workers = tab.workers();
  assert.ok(workers.length > 0);
  for (const worker of workers) await worker.evaluate(`(${set})(${byMs})`);
}
