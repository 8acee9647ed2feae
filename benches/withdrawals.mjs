/**
 * What a withdrawal's click does, over many of them, in a real visit in the real pages.
 *
 *     npm run distribution                 # [-- --runs N]
 *
 * A clinician whose page records and a patient. In every run both grant, the recorder joins and records, and the
 * patient's page gets a real click on "Stop being recorded". Measured: from the click to the worker's shut gate
 * (`click_to_stop_ms`) and to the last frame that still left; how many left in between (captured before the click, still
 * in the encoder); how many were encrypted after the stop under a key that the recorder has (must be none); from the
 * click until the patient's picture, and sound, arrive again at the clinician's (`picture_back_ms`, `sound_back_ms`).
 *
 * The last line is `{"ok":..,"runs":..,"click_to_stop_ms":{"p50":..,"p99":..,"max":..},"frames_in_flight":{..},
 * "frames_after":0,"picture_back_ms":{..},"sound_back_ms":{..}}`. `ok` is false when p99 of click to stop is above
 * 50 ms, a frame followed under the recorder's keys, or picture or sound took longer than a second (p99).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  admitAll,
  agree,
  indicator,
  join,
  openPerson,
  remoteVideos,
  requestConsent,
} from "../scripts/lib/demo-visit.mjs";
import { result, say } from "../scripts/lib/log.mjs";
import { startStack } from "../scripts/lib/stack.mjs";

const STOP_LIMIT_MS = 50;
const BACK_LIMIT_MS = 1_000;
const DEFAULT_RUNS = 50;
const TIMEOUT_MS = 45_000;

async function main(args) {
  const runs = args.includes("--runs") ? Number(args[args.indexOf("--runs") + 1]) : DEFAULT_RUNS;
  const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-withdrawals-"));
  const stack = await startStack({
    directory: path.join(directory, "clinic"),
    logDirectory: path.join(directory, "logs"),
    // Nothing is asked after the click: the terms say what becomes of the recording.
    purposes: [{ purpose: "medical_record", on_withdrawal: "keep" }],
  });
  const actors = [];
  try {
    const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
    const people = [
      { role: "clinician", page: "clinician", name: "Dr. Ada Reyes" },
      { role: "patient", page: "patient", name: "Sam Lindqvist" },
    ];
    for (const [index, person] of people.entries()) {
      actors.push(await openPerson(stack, visit, links[index], person, index));
      await join(actors[index]);
    }
    const [clinician, patient] = actors;
    await clinician.page.getByTestId("controls").waitFor({ timeout: TIMEOUT_MS });
    await admitAll(clinician, [patient]);
    for (const actor of actors) await remoteVideos(actor, 1);
    const measured = [];
    for (let run = 1; run <= runs; run++) {
      measured.push(await withdraw(clinician, patient, run === 1));
      say(`run ${run}: ${JSON.stringify(measured.at(-1))}`);
    }
    report(measured);
  } finally {
    await Promise.all(actors.map(({ browser }) => browser.close()));
    await stack.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function withdraw(clinician, patient, isFirst) {
  await requestConsent(clinician);
  // Once by hand, as people do; then by the same calls that the form makes.
  if (isFirst) for (const actor of [clinician, patient]) await agree(actor);
  else for (const { page } of [clinician, patient]) await page.evaluate(grant);
  await clinician.page.getByTestId("start-recording").click({ timeout: TIMEOUT_MS });
  for (const actor of [clinician, patient]) await indicator(actor, "recording");
  await clinician.page.waitForTimeout(700 + Math.random() * 500);
  await patient.page.evaluate(watchStop);
  await clinician.page.evaluate(watchReturn, patient.participant);
  await patient.page.getByTestId("withdraw").click({ timeout: TIMEOUT_MS });
  const stop = await patient.page.evaluate(() => globalThis.measuredStop);
  const back = await clinician.page.evaluate((resumedMs) => globalThis.measureReturn(resumedMs), stop.resumedMs);
  for (const actor of [clinician, patient]) await indicator(actor, actor === patient ? "stopped_by_you" : "stopped");
  const { clickedMs, resumedMs, ...counted } = stop;
  const since = (atMs) => Math.round((atMs - clickedMs) * 10) / 10;
  return {
    ...counted,
    resumed_ms: since(resumedMs),
    picture_back_ms: since(back.pictureMs),
    sound_back_ms: since(back.soundMs),
  };
}

/** Runs in a page: grants as the form does. */
async function grant() {
  const { visit } = globalThis.sealedVisit;
  while (!visit.state.consent || visit.state.consent.my_answer) await new Promise((next) => setTimeout(next, 10));
  const answer = { person: "self", on_behalf_of: { kind: "myself" }, information: true, recording: true };
  await visit.grant({ answers: [answer], language: "en", place: "" });
}

/** Runs in the patient's page: what the click did, when sending went on, and what was sent under the old keys. */
function watchStop() {
  const { visit } = globalThis.sealedVisit;
  const before = visit.state.epoch;
  const clicked = new Promise((resolve) => {
    addEventListener("click", (event) => resolve(performance.timeOrigin + event.timeStamp), {
      capture: true,
      once: true,
    });
  });
  const stopped = new Promise((resolve) => {
    const end = visit.on("withdrawal_measured", (measured) => {
      end();
      resolve(measured);
    });
  });
  const resumed = new Promise((resolve) => {
    const end = visit.on("state", ({ sending, epoch }) => {
      if (!sending.open || epoch <= before) return;
      end();
      resolve(performance.timeOrigin + performance.now());
    });
  });
  const underOldKeys = async () =>
    Object.entries((await visit.stats()).encrypted_per_epoch)
      .filter(([epoch]) => Number(epoch) <= before)
      .reduce((sum, [, frames]) => sum + frames, 0);
  globalThis.measuredStop = (async () => {
    const { gate_ms, last_frame_ms, frames_in_flight, frames_after } = await stopped;
    const atStop = await underOldKeys();
    const resumedMs = await resumed;
    await new Promise((next) => setTimeout(next, 1_000));
    return {
      clickedMs: await clicked,
      resumedMs,
      click_to_stop_ms: Math.round(gate_ms * 10) / 10,
      last_frame_ms,
      frames_in_flight,
      frames_after: frames_after + (await underOldKeys()) - atStop,
    };
  })();
}

/** Runs in the clinician's page: notes when the patient's frames were shown, and when sound was decrypted. */
function watchReturn(participant) {
  const { visit, media } = globalThis.sealedVisit;
  const { mediaTrack } = media.remotes.find(({ kind, participant: of }) => kind === "video" && of === participant);
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  video.srcObject = new MediaStream([mediaTrack]);
  const pictures = [];
  const sounds = [];
  let isOver = false;
  const now = () => performance.timeOrigin + performance.now();
  const onFrame = () => {
    pictures.push(now());
    if (!isOver) video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
  const heard = async () => {
    const { tracks } = await visit.stats();
    const track = tracks.find(({ kind, participant: of }) => kind === "audio" && of === participant);
    return track?.decrypted ?? 0;
  };
  const listen = async () => {
    for (let last = await heard(); !isOver; await new Promise((next) => setTimeout(next, 15))) {
      const count = await heard();
      if (count > last) sounds.push(now());
      last = count;
    }
  };
  void listen();
  globalThis.measureReturn = async (resumedMs) => {
    const after = (times) => times.find((at) => at >= resumedMs);
    const giveUpAt = now() + 10_000;
    while ((!after(pictures) || !after(sounds)) && now() < giveUpAt) await new Promise((next) => setTimeout(next, 20));
    isOver = true;
    video.srcObject = null;
    return { pictureMs: after(pictures) ?? Infinity, soundMs: after(sounds) ?? Infinity };
  };
}

function report(measured) {
  const of = (name) => distribution(measured.map((run) => run[name]));
  const framesAfter = measured.reduce((sum, { frames_after }) => sum + frames_after, 0);
  const summary = {
    runs: measured.length,
    click_to_stop_ms: of("click_to_stop_ms"),
    last_frame_ms: distribution(measured.map(({ last_frame_ms }) => last_frame_ms ?? 0)),
    frames_in_flight: of("frames_in_flight"),
    frames_after: framesAfter,
    resumed_ms: of("resumed_ms"),
    picture_back_ms: of("picture_back_ms"),
    sound_back_ms: of("sound_back_ms"),
  };
  const ok =
    framesAfter === 0 &&
    summary.click_to_stop_ms.p99 <= STOP_LIMIT_MS &&
    summary.picture_back_ms.p99 <= BACK_LIMIT_MS &&
    summary.sound_back_ms.p99 <= BACK_LIMIT_MS;
  result({ ok, ...summary });
}

/** Nearest rank: with 50 runs the 99th percentile is the slowest of them. */
function distribution(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] * 10) / 10;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

await main(process.argv.slice(2));
