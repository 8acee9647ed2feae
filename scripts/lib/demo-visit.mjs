/**
 * A visit as people hold it, driven through the real pages: join, admit, ask, agree, record, end.
 *
 * Every step is a click or a key in a page; nothing is reached into but `data-testid`s and counters.
 */
import path from "node:path";
import { installSyntheticMedia } from "../../tests/lib/synthetic-media.mjs";
import { openBrowser } from "./browser.mjs";
import { say } from "./log.mjs";

const STEP_TIMEOUT_MS = 45_000;

const LAPTOP = { width: 1280, height: 800 };
const PHONE = { width: 412, height: 915 };

/** Participants, in the order of their synthetic sources, and what they sit in front of. */
const people = [
  { role: "clinician", page: "clinician", name: "Dr. Ada Reyes", viewport: LAPTOP },
  { role: "patient", page: "patient", name: "Sam Lindqvist", viewport: PHONE },
  { role: "guest", page: "guest", name: "Robin Lindqvist", viewport: PHONE },
];

export async function holdVisit(stack, { seconds, recorder, camera, pictures, check }) {
  const roles = [...people.map(({ role }) => role), ...(recorder === "separate" ? ["recorder"] : [])];
  const { visit, links } = await stack.makeVisit(roles);
  const browsers = [];
  try {
    const open = async (index, person) => {
      const actor = await openPerson(stack, visit, links[index], person, index, { picture: camera });
      browsers.push(actor.browser);
      return actor;
    };
    const [clinician, patient, guest] = [await open(0, people[0]), await open(1, people[1]), await open(2, people[2])];
    const everyone = [clinician, patient, guest];
    const photograph = (name, actors = everyone) =>
      Promise.all(
        actors.map(({ page, role }) => page.screenshot({ path: path.join(pictures, `${name}-${role}.png`) })),
      );

    for (const actor of everyone) await join(actor);
    await clinician.page.getByTestId("controls").waitFor({ timeout: STEP_TIMEOUT_MS });
    await photograph("1-waiting");
    await admitAll(clinician, [patient, guest]);
    for (const actor of everyone) await remoteVideos(actor, 2);
    const beganMs = Date.now();
    say("three people see and hear each other");
    await photograph("2-call");

    let device;
    if (recorder === "separate") {
      device = await open(3, { role: "recorder", page: "recorder", name: "Recorder" });
      await joinRecorder(device);
    }
    const refusal = await refuseOnce({ clinician, others: [patient, guest], photograph, check });
    await askAgain(clinician);
    for (const actor of everyone) await actor.page.getByTestId("consent-prompt").waitFor({ timeout: STEP_TIMEOUT_MS });
    await photograph("3-consent");
    let consents = 0;
    for (const actor of everyone) {
      await agree(actor);
      consents += 1;
    }
    await clinician.page.getByTestId("start-recording").click({ timeout: STEP_TIMEOUT_MS });
    for (const actor of everyone) await indicator(actor, "recording");
    const recordedFromMs = Date.now();
    say("everyone's page says that it is recorded");
    await clinician.page.waitForTimeout(Math.min(6_000, (seconds * 1_000) / 2));
    await photograph("4-recording", device ? [...everyone, device] : everyone);

    const members = await clinician.page.locator('[data-testid^="member-"]').count();
    check("four members in the roster", members === 4, `${members}`);
    const leftMs = seconds * 1_000 - (Date.now() - recordedFromMs);
    if (leftMs > 0) await clinician.page.waitForTimeout(leftMs);
    const frames = await countFrames(everyone);
    const recordedUntilMs = Date.now();
    await clinician.page.getByTestId("stop-recording").click();
    for (const actor of everyone) await indicator(actor, "stopped");
    await photograph("5-stopped");
    const keeper = device ?? clinician;
    await keeper.page.locator('[data-testid="progress"][data-safety="safe"]').waitFor({ timeout: STEP_TIMEOUT_MS });
    say("the recorder's page says that the recording is safe");
    await photograph("6-safe", [keeper]);
    const { withdrawal, withdrawn } = await withdrawOnce({ clinician, patient, everyone, keeper, photograph, check });
    await clinician.page.getByTestId("end-visit").click();
    await clinician.page.getByTestId("end-confirm").click();
    for (const actor of everyone) await actor.page.getByTestId("after").waitFor({ timeout: STEP_TIMEOUT_MS });
    await photograph("7-after");
    for (const actor of [...everyone, ...(device ? [device] : [])]) {
      const { problems } = actor.browser;
      check(
        `no error in the ${actor.role}'s page`,
        problems.length === 0,
        problems.map(({ text }) => text).join(" | "),
      );
    }
    check("frames were encrypted and decrypted", frames.encrypted > 0 && frames.decrypted > 0);
    return {
      visit_s: Math.round((Date.now() - beganMs) / 100) / 10,
      members,
      consents,
      frames,
      refusal,
      withdrawal,
      withdrawn,
      recorded: { fromMs: recordedFromMs, untilMs: recordedUntilMs, sources: people.map((_, index) => index) },
    };
  } catch (error) {
    for (const [index, browser] of browsers.entries()) {
      for (const page of browser.context.pages())
        await page.screenshot({ path: path.join(pictures, `failed-${index}.png`) }).catch(() => {});
      for (const { kind, text } of browser.problems) say(`page ${index}: ${kind}: ${text}`);
    }
    throw error;
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()));
  }
}

/** The first request is refused by one: the visit goes on, and nobody is recorded. */
async function refuseOnce({ clinician, others: [patient, guest], photograph, check }) {
  await requestConsent(clinician);
  await agree(clinician);
  await agree(patient);
  await refuse(guest);
  await clinician.page.getByTestId("ask-again").waitFor({ timeout: STEP_TIMEOUT_MS });
  await photograph("3-refused");
  const startButtons = await clinician.page.getByTestId("start-recording").count();
  check("after a refusal nothing can be started", startButtons === 0);
  for (const actor of [clinician, patient, guest]) await indicator(actor, "not_recorded");
  return { recorded: false };
}

async function askAgain({ page }) {
  await page.getByTestId("ask-again").click();
  await page.getByTestId("request-again-reason").fill("It would spare you telling it twice.");
  await fillRequest({ page }, "medical_record");
}

/** A second recording, which the patient leaves by one click. */
async function withdrawOnce({ clinician, patient, everyone, keeper, photograph, check }) {
  await requestConsent(clinician);
  for (const actor of everyone) await agree(actor);
  await clinician.page.getByTestId("start-recording").click({ timeout: STEP_TIMEOUT_MS });
  for (const actor of everyone) await indicator(actor, "recording");
  await clinician.page.waitForTimeout(5_000);
  await patient.page.evaluate(watchWithdrawal);
  await patient.page.getByTestId("withdraw").click();
  await patient.page.getByTestId("withdraw-keep").click();
  await indicator(patient, "stopped_by_you");
  await indicator(clinician, "stopped");
  await photograph("8-withdrawn");
  const measured = await patient.page.evaluate(() => globalThis.sealedVisit.measured);
  const { clickedMs, ...withdrawal } = measured;
  check(
    "no frame under a key of the recorder after the stop",
    withdrawal.frames_after === 0,
    JSON.stringify(withdrawal),
  );
  await keeper.page.locator('[data-testid="progress"][data-safety="safe"]').waitFor({ timeout: STEP_TIMEOUT_MS });
  return {
    withdrawal,
    withdrawn: { clickedMs, source: people.indexOf(people.find(({ role }) => role === patient.role)) },
  };
}

/** Runs in the page, before the click: measures what the click on "Stop being recorded" does. */
export function watchWithdrawal() {
  const { visit } = globalThis.sealedVisit;
  const before = visit.state.epoch;
  let clickedMs = 0;
  addEventListener(
    "click",
    (event) => {
      const pressed = event
        .composedPath()
        .find((node) => /** @type {HTMLElement} */ (node).dataset?.testid === "withdraw");
      if (pressed) clickedMs ||= performance.timeOrigin + event.timeStamp;
    },
    { capture: true },
  );
  globalThis.sealedVisit.measured = new Promise((resolve) => {
    visit.on("withdrawal_measured", async ({ gate_ms, last_frame_ms }) => {
      const underOldKeys = async () =>
        Object.entries((await visit.stats()).encrypted_per_epoch)
          .filter(([epoch]) => Number(epoch) <= before)
          .reduce((sum, [, frames]) => sum + frames, 0);
      const atStop = await underOldKeys();
      while (!(visit.state.sending.open && visit.state.epoch > before))
        await new Promise((next) => setTimeout(next, 5));
      const resumed_ms = Math.round(performance.timeOrigin + performance.now() - clickedMs);
      await new Promise((next) => setTimeout(next, 1_000));
      const frames_after =
        (await underOldKeys()) - atStop + (last_frame_ms !== null && last_frame_ms > gate_ms ? 1 : 0);
      resolve({ clickedMs, frames_after, click_to_stop_ms: Math.round(gate_ms), resumed_ms });
    });
  });
}

/** Enough to see that pictures move, and whose they are. */
const SMALL_PICTURE = { fps: 8, width: 320, height: 180 };

/**
 * `picture`: what the camera gives. `via`: a port of this machine through which media goes instead of the relay's own.
 *
 * @param {import("./stack.mjs").Stack} stack
 * @param {string} visit
 * @param {{ participant: string, secret: string }} link
 * @param {{ role: string, page: string, name: string, viewport?: { width: number, height: number } }} person
 * @param {number} source
 * @param {{ picture?: { fps: number, width: number, height: number }, via?: number }} [options]
 */
export async function openPerson(
  stack,
  visit,
  link,
  { role, page: pageName, name, viewport = LAPTOP },
  source,
  { picture = SMALL_PICTURE, via } = {},
) {
  const browser = await openBrowser({ name: role, context: { viewport } });
  await installSyntheticMedia(browser.context, { participant: source, label: role, ...picture });
  if (via !== undefined) await browser.context.addInitScript(sendMediaVia, via);
  const page = await browser.newPage();
  await page.goto(stack.link(pageName, { visit, secret: link.secret }));
  return { browser, page, role, name, participant: link.participant };
}

/** Runs in the page: the relay's candidates get another port. */
function sendMediaVia(port) {
  const { setRemoteDescription } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
    const changed = sdp.replaceAll(/^(a=candidate:\S+ \d+ udp \d+ \S+) \d+/gim, `$1 ${port}`);
    return Reflect.apply(setRemoteDescription, this, [{ type, sdp: changed }]);
  };
}

export async function join({ page, name }) {
  await page.getByTestId("join-name").fill(name);
  await page.getByTestId("join-button").click({ timeout: STEP_TIMEOUT_MS });
}

export async function joinRecorder(device) {
  await join(device);
}

export async function admitAll({ page }, actors) {
  for (const { participant } of actors) {
    await page.getByTestId(`admit-${participant}`).click({ timeout: STEP_TIMEOUT_MS });
    await page.getByTestId(`member-${participant}`).waitFor({ timeout: STEP_TIMEOUT_MS });
  }
}

/** Waits until so many other people's pictures move in this page. */
export async function remoteVideos({ page }, count) {
  await page.waitForFunction(
    (wanted) => {
      const moving = [...document.querySelectorAll("video")].filter(
        (video) => video.videoWidth > 0 && video.currentTime > 0.5 && !video.paused,
      );
      return moving.length > wanted;
    },
    count,
    { timeout: STEP_TIMEOUT_MS },
  );
}

export async function requestConsent({ page }, purpose = "medical_record") {
  await page.getByTestId("record-button").click({ timeout: STEP_TIMEOUT_MS });
  await fillRequest({ page }, purpose);
}

async function fillRequest({ page }, purpose) {
  await page.getByTestId(`purpose-${purpose}`).check();
  for (const tick of await page.locator('[data-testid^="tick-"]').all()) await tick.check();
  await page.getByTestId("request-consent").click();
}

export async function agree({ page }) {
  await page.getByTestId("consent-information-agree").check({ timeout: STEP_TIMEOUT_MS });
  await page.getByTestId("consent-recording-agree").check();
  await answerRest(page);
  await page.getByTestId("consent-submit").click();
  await page.getByTestId("consent-prompt").waitFor({ state: "hidden", timeout: STEP_TIMEOUT_MS });
}

/** Brings the whole of the consent texts on the screen, a part at a time. */
export async function readTexts(page) {
  const next = page.getByTestId("consent-show-unread");
  // Without a pointer: scrolling to the button may show the last part, and the button goes.
  while (await next.isVisible()) await next.evaluate((button) => button.click());
}

/** One no to either layer is enough. */
export async function refuse({ page }) {
  await page.getByTestId("consent-recording-refuse").check({ timeout: STEP_TIMEOUT_MS });
  await page.getByTestId("consent-submit").click();
  await page.getByTestId("consent-prompt").waitFor({ state: "hidden", timeout: STEP_TIMEOUT_MS });
}

/** What the prompt asks besides the two layers; and the texts, read as somebody without a pointer would. */
export async function answerRest(page) {
  await readTexts(page);
  await page.getByTestId("consent-people-none").check();
}

/** Waits until the indicator is of this kind; "recording" needs a fresh heartbeat too. */
export async function indicator({ page, role }, kind) {
  await page
    .locator(`[data-testid="indicator"][data-kind="${kind}"]`)
    .waitFor({ timeout: STEP_TIMEOUT_MS })
    .catch(async (error) => {
      const shown = await page.getByTestId("indicator").textContent();
      throw new Error(`the ${role}'s indicator says "${shown}" instead of ${kind}`, { cause: error });
    });
}

/** Sums every page's counters. */
export async function countFrames(actors) {
  const sum = { encrypted: 0, decrypted: 0, dropped: 0 };
  for (const { page } of actors) {
    // The page's own handle on the visit, which it offers to the console.
    const counts = await page.evaluate(() => globalThis.sealedVisit.visit.stats());
    for (const key of Object.keys(sum)) sum[key] += counts[key];
  }
  return sum;
}
