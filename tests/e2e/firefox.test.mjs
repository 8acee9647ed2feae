/**
 * Firefox and Chromium in one visit, on the real pages: both see, hear and are recorded; Firefox stops being recorded
 * with one click; and where the host has Firefox, which cannot record, the recorder is opened in Chromium by a link.
 *
 * Skipped, with the reason, where there is no Firefox, or no address but loopback, which Firefox offers to nobody.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { localAddresses } from "../../scripts/lib/certificate.mjs";
import { checkNothingAfter, openRecording } from "../../scripts/lib/demo-recording.mjs";
import {
  admitAll,
  agree,
  indicator,
  join,
  joinRecorder,
  openPerson,
  remoteVideos,
  requestConsent,
  watchWithdrawal,
} from "../../scripts/lib/demo-visit.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";
import { ensure } from "../../scripts/setup.mjs";
import { goertzelAmplitude } from "../lib/audio.mjs";
import { readCodes } from "../lib/code-reader.mjs";
import { FIREFOX_TONE_HZ, openFirefox } from "../lib/firefox.mjs";
import { decodeAudio, measureMedia } from "../lib/media-file.mjs";
import { syntheticMediaScript } from "../lib/synthetic-media.mjs";

const [address] = localAddresses();
const AUDIO_RATE_HZ = 16_000;
const PICTURE = { width: 480, height: 270, fps: 15 };
const shots = inRoot("test-out", "firefox");
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-firefox-"));
const skip = await reasonToSkip();
const open = [];
let stack;

before(async () => {
  if (skip) return;
  mkdirSync(shots, { recursive: true });
  stack = await startStack({
    directory: path.join(directory, "clinic"),
    logDirectory: path.join(directory, "logs"),
    announce: address,
  });
});

after(async () => {
  await closeAll();
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function reasonToSkip() {
  if (!address) return "no network address";
  // Who names a Firefox wants it tried.
  if (process.env.SEALED_VISIT_FIREFOX) await ensure("firefox");
  return await ensure("firefox").then(
    () => false,
    (error) => error.message,
  );
}

/** A test whose browsers are closed after it, with pictures of Firefox where it failed. */
function visitTest(name, run) {
  test(name, { skip, timeout: 240_000 }, async () => {
    try {
      await run();
    } catch (error) {
      for (const [index, page] of open.entries())
        await page.screenshot?.(path.join(shots, `failed-${index}.png`)).catch(() => {});
      throw error;
    } finally {
      await closeAll();
    }
  });
}

async function closeAll() {
  for (const one of open.splice(0)) await one.close();
}

visitTest("a patient in Firefox is seen and heard, consents, is recorded, and stops it with one click", async () => {
  const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
  const clinician = await inChromium(visit, links[0], { role: "clinician", name: "Dr. Ada Reyes" }, 0);
  const patient = await inFirefox("patient", { visit, secret: links[1].secret }, 1);
  await join(clinician);
  await patient.fill("join-name", "Sam Lindqvist");
  await patient.click("join-button");
  await clinician.page.getByTestId("controls").waitFor();
  await admitAll(clinician, [links[1]]);
  await remoteVideos(clinician, 1);
  await seesSource(patient, 0);
  await hears(patient);
  assert.equal((await patient.evaluate(() => globalThis.sealedVisit.visit.state)).phase, "live");

  await requestConsent(clinician);
  await agree(clinician);
  await patient.screenshot(path.join(shots, "asked.png"));
  await agreeInFirefox(patient);
  await clinician.page.getByTestId("start-recording").click();
  await indicator(clinician, "recording");
  await shows(patient, "recording");
  await clinician.page.waitForTimeout(8_000);
  await patient.screenshot(path.join(shots, "recording.png"));
  await patient.evaluate(watchWithdrawal);
  await patient.click("withdraw");
  await patient.click("withdraw-keep");
  await shows(patient, "stopped_by_you");
  const { clickedMs, ...withdrawal } = await patient.evaluate(() => globalThis.sealedVisit.measured);
  assert.equal(withdrawal.frames_after, 0, JSON.stringify(withdrawal));
  await safe(clinician);
  await picturesGoOn(clinician, 2);

  const file = await openedRecording();
  const media = await measureMedia(file);
  for (const source of [0, 1]) assert.ok(media.sources.get(source)?.frames > 20, `source ${source}`);
  const samples = await decodeAudio(file, AUDIO_RATE_HZ);
  const tone = goertzelAmplitude(samples, AUDIO_RATE_HZ, FIREFOX_TONE_HZ);
  const beside = goertzelAmplitude(samples, AUDIO_RATE_HZ, FIREFOX_TONE_HZ * 1.37);
  assert.ok(tone > 10 * beside, `Firefox's tone: ${tone}, beside it ${beside}`);
  await checkNothingAfter(file, {
    untilMs: clickedMs,
    source: 1,
    check: (what, holds, detail) => assert.ok(holds, `${what}: ${detail}`),
  });
  assert.deepEqual(patient.problems, []);
});

visitTest("a host in Firefox, which cannot record, opens the recorder in Chromium by a link", async () => {
  const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
  const clinician = await inFirefox("clinician", { visit, secret: links[0].secret }, 0);
  const patient = await inChromium(visit, links[1], { role: "patient", name: "Sam Lindqvist" }, 1);
  await clinician.fill("join-name", "Dr. Ada Reyes");
  await clinician.click("join-button");
  await join(patient);
  await clinician.click(`admit-${links[1].participant}`);
  await remoteVideos(patient, 1);
  await seesSource(clinician, 1);

  await clinician.click("record-button");
  await clinician.click("recorder-link-get");
  await clinician.waitFor('[data-testid="recorder-url"]');
  await clinician.screenshot(path.join(shots, "elsewhere.png"));
  assert.match(await clinician.text("elsewhere-dialog"), /This browser cannot record/);
  const url = await clinician.evaluate(shownLink);

  // Opened in Firefox it says the same, and is not used up.
  const wrong = await openFirefox({ name: "wrong-recorder" });
  open.push(wrong);
  await wrong.goto(url);
  await wrong.waitFor('[data-testid="elsewhere"]');
  await wrong.screenshot(path.join(shots, "recorder.png"));
  assert.equal(await wrong.evaluate(shownLink), url);

  const fragment = new URLSearchParams(new URL(url).hash.slice(1));
  const link = { secret: fragment.get("secret") };
  assert.equal(fragment.get("visit"), visit);
  const recorder = await inChromium(visit, link, { role: "recorder", name: "Recorder" }, 3);
  await joinRecorder(recorder);
  await clinician.waitFor('[data-testid="elsewhere-dialog"]', { gone: true });
  await requestInFirefox(clinician);
  await agreeInFirefox(clinician);
  await agree(patient);
  await clinician.click("start-recording");
  await indicator(patient, "recording");
  await shows(clinician, "recording");
  await patient.page.waitForTimeout(6_000);
  await clinician.screenshot(path.join(shots, "host-recording.png"));
  await clinician.click("stop-recording");
  await indicator(patient, "stopped");
  await safe(recorder);
  const media = await measureMedia(await openedRecording());
  for (const source of [0, 1]) assert.ok(media.sources.get(source)?.frames > 20, `source ${source}`);
  assert.deepEqual(clinician.problems, []);
});

async function inChromium(visit, link, person, source) {
  const actor = await openPerson(stack, visit, link, { page: person.role, ...person }, source, { picture: PICTURE });
  open.push(actor.browser);
  return actor;
}

async function inFirefox(role, link, source) {
  const camera = await syntheticMediaScript({ participant: source, label: role, ...PICTURE });
  const page = await openFirefox({ name: role, initScript: `${camera}\n(${keepConnections})();` });
  open.push(page);
  await page.goto(stack.link(role, link));
  return page;
}

/** Runs in the page before its scripts: what the connections say is asked later. */
function keepConnections() {
  const Native = globalThis.RTCPeerConnection;
  globalThis.connections = [];
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...given) {
      super(...given);
      globalThis.connections.push(this);
    }
  };
}

/** Firefox decrypts and decodes what Chromium's camera shows. */
async function seesSource(firefox, source) {
  const giveUpAt = Date.now() + 45_000;
  for (;;) {
    const pictures = await firefox.evaluate(picturesShown);
    const seen = pictures.flatMap(({ width, height, luma }) =>
      readCodes({ width, height, luma: Buffer.from(luma, "base64") }),
    );
    if (seen.some((code) => code.source === source)) return;
    assert.ok(Date.now() < giveUpAt, `Firefox does not see source ${source}: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Runs in the page: every video's picture, grey. */
function picturesShown() {
  return [...document.querySelectorAll("video")]
    .filter((video) => video.videoWidth > 0)
    .map((video) => {
      const { videoWidth: width, videoHeight: height } = video;
      const painter = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
      painter.drawImage(video, 0, 0, width, height);
      const { data } = painter.getImageData(0, 0, width, height);
      let luma = "";
      for (let at = 0; at < data.length; at += 4) luma += String.fromCharCode(data[at + 1]);
      return { width, height, luma: btoa(luma) };
    });
}

/** Without a recorder everyone is seen again: so many pictures, the own one among them, move in this Chromium. */
async function picturesGoOn({ page }, count) {
  const framesShown = () =>
    [...document.querySelectorAll("video")].map((video) => video.getVideoPlaybackQuality().totalVideoFrames);
  const before = await page.evaluate(framesShown);
  assert.equal(before.length, count);
  const isMoving = (after) => after.length === count && after.every((frames, index) => frames > before[index] + 10);
  const giveUpAt = Date.now() + 45_000;
  while (!isMoving(await page.evaluate(framesShown))) {
    assert.ok(Date.now() < giveUpAt, "a picture stands still after the withdrawal");
    await page.waitForTimeout(100);
  }
}

/** Sound arrives, is decrypted and decoded, and is not silence. */
async function hears(firefox) {
  await firefox.until(async () => {
    const reports = await Promise.all(globalThis.connections.map((connection) => connection.getStats()));
    const inbound = reports.flatMap((report) => [...report.values()]).filter(({ type }) => type === "inbound-rtp");
    return inbound.some(({ kind, totalAudioEnergy }) => kind === "audio" && totalAudioEnergy > 0.001);
  });
}

/** Runs in the page. */
function shownLink() {
  return /** @type {HTMLInputElement} */ (document.querySelector('[data-testid="recorder-url"]')).value;
}

async function agreeInFirefox(firefox) {
  for (const choice of ["consent-information-agree", "consent-recording-agree", "consent-people-none"])
    await firefox.click(choice);
  // Until the whole text has been on the screen.
  while ((await firefox.text("consent-show-unread")) !== "")
    await firefox.evaluate(() =>
      /** @type {HTMLElement} */ (
        document.querySelector("visit-consent").shadowRoot.querySelector('[data-testid="consent-show-unread"]')
      ).click(),
    );
  await firefox.click("consent-submit");
  await firefox.waitFor('[data-testid="consent-prompt"]', { gone: true });
}

async function requestInFirefox(firefox) {
  await firefox.click("purpose-medical_record");
  for (const tick of ["identity_verified", "emergency_place_known", "private_setting"])
    await firefox.click(`tick-${tick}`);
  await firefox.click("request-consent");
}

const shows = (firefox, kind) => firefox.waitFor(`[data-testid="indicator"][data-kind="${kind}"]`);

async function safe({ page }) {
  await page.locator('[data-testid="progress"][data-safety="safe"]').waitFor({ timeout: 45_000 });
}

/** The newest recording, opened with the clinic's key. */
async function openedRecording() {
  const { recording } = (await stack.recordings())[0];
  const folder = (name) => path.join(directory, `${name}-${recording}`);
  const opened = await openRecording(stack, recording, { sealed: folder("sealed"), opened: folder("opened") });
  assert.equal(opened.verified, true);
  return opened.media;
}
