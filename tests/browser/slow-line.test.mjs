/**
 * A whole encrypted visit on the real pages, one participant on a slow line in both directions (3 % loss, 100 ms
 * jitter, 500 kbit/s): sound goes on, pictures get smaller, both people's pages say so, and take it back.
 *
 * Screenshots of the messages: `test-out/slow-line/`.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { admitAll, join, openPerson, remoteVideos } from "../../scripts/lib/demo-visit.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";
import { until } from "../lib/calls.mjs";
import { slowLine } from "../lib/slow-line.mjs";

const FAST = { bps: 20_000_000, lossShare: 0, jitterMs: 0 };
const SLOW = { bps: 500_000, lossShare: 0.03, jitterMs: 100 };
/** Enough detail that a fast line carries more of it than the slow one could. */
const picture = { width: 640, height: 360, fps: 20 };

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-slow-"));
const pictures = inRoot("test-out", "slow-line");
const opened = [];
let stack;

before(async () => {
  mkdirSync(pictures, { recursive: true });
  stack = await startStack({ directory: path.join(directory, "clinic") });
});

after(async () => {
  for (const { browser } of opened) await browser.close();
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

test("on a slow line sound goes on, pictures get smaller, and both people are told", {
  timeout: 150_000,
}, async (t) => {
  const line = await slowLine(stack.mediaPort, { ...FAST, bothWays: true });
  t.after(() => line.close());
  const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
  const open = async (index, role, name, via) => {
    const person = await openPerson(stack, visit, links[index], { role, page: role, name }, index, { picture, via });
    opened.push(person);
    return person;
  };
  const clinician = await open(0, "clinician", "Dr. Ada Reyes");
  const patient = await open(1, "patient", "Sam Lindqvist", line.port);
  for (const person of [clinician, patient]) await join(person);
  await clinician.page.getByTestId("controls").waitFor();
  await admitAll(clinician, [patient]);
  for (const person of [clinician, patient]) await remoteVideos(person, 1);
  // What each sends when nothing holds it back.
  for (const person of [clinician, patient])
    await until("a picture in full", async () => (await stats(person)).videoTargetBps > 600_000, 30_000);
  const notices = [shown(patient, "slow"), shown(clinician, "slow-other"), shown(clinician, "slow")];
  assert.deepEqual(await Promise.all(notices), [null, null, null], "nobody is told before");

  line.set(SLOW);
  const slowFrom = Date.now();
  await until("the patient's page says so", async () => (await shown(patient, "slow")) !== null, 25_000);
  await until("the clinician's page says so", async () => (await shown(clinician, "slow-other")) !== null, 25_000);
  t.diagnostic(`told after ${Date.now() - slowFrom} ms`);
  assert.match(await shown(patient, "slow"), /Your connection is slow/);
  assert.match(await shown(clinician, "slow-other"), /Sam Lindqvist/);
  assert.equal(await shown(clinician, "slow"), null, "the clinician's own line is good");
  for (const { page, role } of [clinician, patient])
    await page.screenshot({ path: path.join(pictures, `${role}.png`) });

  await until(
    "both pictures are smaller than the line",
    async () => (await Promise.all([clinician, patient].map(stats))).every((it) => it.videoTargetBps < SLOW.bps),
    20_000,
  );
  const before = await Promise.all([clinician, patient].map(stats));
  await patient.page.waitForTimeout(8_000);
  const after = await Promise.all([clinician, patient].map(stats));
  for (const [index, role] of ["clinician", "patient"].entries()) {
    const gained = (name) => after[index][name] - before[index][name];
    const concealed = gained("concealed") / gained("samples");
    const loudness = Math.sqrt(gained("energy") / gained("seconds"));
    t.diagnostic(`${role}: ${(concealed * 100).toFixed(1)} % concealed, loudness ${loudness.toFixed(3)}`);
    assert.ok(gained("decrypted") > 8 * 50 * 0.85, `${role}: ${gained("decrypted")} frames decrypted in 8 s`);
    assert.ok(gained("packets") > 8 * 50 * 0.85, `${role}: ${gained("packets")} packets of sound in 8 s`);
    assert.ok(concealed < 0.15, `${role}: ${concealed} of what was heard was made up`);
    assert.ok(loudness > 0.02, `${role}: loudness ${loudness}`);
    assert.ok(after[index].videoBytes > before[index].videoBytes, `${role}: pictures go on`);
  }
  assert.ok(line.stats.lost > 10 && line.statsUp.lost > 10, "both directions went over the bad line");

  line.set(FAST);
  await until("the messages go", async () => (await shown(patient, "slow")) === null, 60_000);
  await until("at the clinician's, too", async () => (await shown(clinician, "slow-other")) === null, 60_000);
  t.diagnostic(`taken back after all, ${Date.now() - slowFrom} ms`);
  for (const { browser } of [clinician, patient]) assert.deepEqual(browser.problems, []);
});

async function shown({ page }, name) {
  const notice = page.getByTestId(`notice-${name}`);
  return (await notice.count()) > 0 ? notice.textContent() : null;
}

/** What a page's two connections say of its sound and picture. */
function stats({ page }) {
  return page.evaluate(async () => {
    const { media, visit } = globalThis.sealedVisit;
    const { publish, subscribe } = await media.rtcStats();
    const only = (report, type, kind) =>
      [...(report?.values() ?? [])].filter((it) => it.type === type && it.kind === kind);
    const [sound] = only(subscribe, "inbound-rtp", "audio");
    const [seen] = only(subscribe, "inbound-rtp", "video");
    const [sent] = only(publish, "outbound-rtp", "video");
    return {
      videoTargetBps: sent?.targetBitrate ?? 0,
      videoBytes: seen?.bytesReceived ?? 0,
      packets: sound?.packetsReceived ?? 0,
      concealed: sound?.concealedSamples ?? 0,
      samples: sound?.totalSamplesReceived ?? 0,
      energy: sound?.totalAudioEnergy ?? 0,
      seconds: sound?.totalSamplesDuration ?? 0,
      decrypted: (await visit.stats()).decrypted,
    };
  });
}
