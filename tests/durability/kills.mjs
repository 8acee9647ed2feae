/**
 * Real browsers killed while they record, left hidden, and searched for anything in the clear.
 *
 *     node --import tsx tests/durability/kills.mjs --kills 12 --hidden-seconds 90
 *
 * One visit: clinician and patient in one browser, the recorder in another, hidden behind another tab every other
 * time. Again and again the recorder's renderer, and every sixth time its whole browser, is killed with -9; a new page
 * finishes what was left and goes on with the next part. In the end everything is opened with the clinic's key.
 *
 * The last part goes on for so many seconds behind another tab (hidden.mjs). Before every kill, and after the last
 * receipt, everything that the recorder's browser has on disk is searched for media in the clear; in the end, as a
 * control, some is put there.
 *
 * Loss is the wall clock of the kill minus the last moment that can be played: the clock that the participants'
 * pictures show. The last line is JSON: {"ok":true,"kills":..,"acknowledged_bytes_lost":0,"loss_ms":{"p50":..,"max":..},..}
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { result, say } from "../../scripts/lib/log.mjs";
import { cameraFor } from "../../scripts/lib/machine.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";
import { measureMedia } from "../lib/media-file.mjs";
import { installSyntheticMedia } from "../lib/synthetic-media.mjs";
import { judgeHidden, stayHidden } from "./hidden.mjs";
import { scanForPlaintext } from "./plaintext-scan.mjs";
import { Random } from "./random.mjs";

/** A shared machine may be slow: what is waited for comes, or the run fails. */
const PATIENCE_MS = 60_000;
/** What a crash may cost. */
const LOSS_LIMIT_MS = 1_000;
const BROWSER_EVERY = 6;
/** Small: what is tried is not how much this machine can encode. */
const CAMERA = await cameraFor(4);
const CAPTURE = { width: 480, height: 270, maxFps: 24, videoBitsPerSecond: 600_000 };

const { values: options } = parseArgs({
  options: {
    kills: { type: "string", default: "12" },
    seed: { type: "string", default: "1" },
    "hidden-seconds": { type: "string", default: "90" },
  },
});
const hiddenSeconds = Number(options["hidden-seconds"]);
const scans = { count: 0, bytes: 0, found: [] };
const kills = Number(options.kills);
const random = new Random(Number(options.seed));
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-kills-"));
const profile = path.join(directory, "recorder-profile");
const startedAt = Date.now();
let stack;
let people;
let recorder;
try {
  const told = await main();
  result(told);
} finally {
  await recorder?.browser.close();
  await people?.browser.close();
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function main() {
  const file = (...parts) => inRoot("tests", ...parts);
  stack = await startStack({
    directory: path.join(directory, "clinic"),
    logDirectory: path.join(directory, "logs"),
    serveOptions: {
      files: {
        "/test/visit.html": file("browser", "visit-page.html"),
        "/test/visit-page.js": file("browser", "visit-page.js"),
        "/test/recorder.html": file("durability", "recorder-page.html"),
        "/test/recorder-page.js": file("durability", "recorder-page.js"),
      },
    },
  });
  const { visit, links } = await stack.makeVisit(["clinician", "patient", "recorder"]);
  people = await openPeople(visit, links);
  say("clinician and patient see each other");
  const deaths = [];
  let round = await openRecorder(visit, links[2], null);
  await consent(round.participant);
  for (let kill = 0; kill < kills; kill++) {
    const isBrowser = kill % BROWSER_EVERY === BROWSER_EVERY - 1;
    const isHidden = kill % 2 === 1;
    deaths.push(await recordAndKill({ isBrowser, isHidden }));
    const before = round.participant;
    if (isBrowser) {
      await recorder.browser.close();
      recorder = null;
    }
    round = await openRecorder(visit, links[2], round.mark);
    if (round.participant !== before) await consent(round.participant);
    say(`killed ${kill + 1} of ${kills}`);
  }
  const last = await recording();
  const hidden = hiddenSeconds > 0 ? await stayHidden(recorder, hiddenSeconds) : null;
  await end();
  await search();
  const control = await leakAndSearch();
  const told = await judge(deaths);
  if (hidden) {
    const file = fileOf(path.join(directory, `opened-${last.recording}`), last.part);
    Object.assign(told, { hidden: await judgeHidden(hidden, file) });
  }
  const isClean = scans.found.length === 0 && control;
  return {
    ...told,
    ok: told.ok && isClean && (told.hidden?.ok ?? true),
    in_the_clear: { scans: scans.count, megabytes: Math.round(scans.bytes / 2 ** 20), found: scans.found, control },
    seconds: Math.round((Date.now() - startedAt) / 1_000),
  };
}

async function search() {
  const pids = (await recorder.browser.processes()).map(({ id }) => id);
  const { found, bytes } = scanForPlaintext(profile, pids);
  scans.count += 1;
  scans.bytes += bytes;
  scans.found.push(...found);
}

/** The control: what the search is there to find, it finds. */
async function leakAndSearch() {
  await recorder.tab.bringToFront();
  await recorder.do((page) => page.leak());
  const { found } = scanForPlaintext(profile, []);
  return found.some(({ file }) => file.startsWith(profile));
}

async function openPeople(visit, links) {
  const browser = await openBrowser({ name: "people" });
  const tabs = [];
  for (const [index, name] of ["clinician", "patient"].entries()) {
    const tab = await browser.context.newPage();
    await installSyntheticMedia(tab, { participant: index, label: name, ...CAMERA });
    await tab.goto(stack.site.url("/test/visit.html"));
    const one = driver(name, () => tab);
    await one.until(() => window.page !== undefined);
    await one.do((page, details) => page.join(details), { visit, secret: links[index].secret, name });
    tabs.push(one);
  }
  for (const one of tabs) {
    await one.until((page) => page.visit.state.phase === "live");
    await one.do((page) => page.connect());
  }
  for (const one of tabs) await one.until((page) => page.shown().some((frames) => frames > 10));
  return { browser, clinician: tabs[0], patient: tabs[1] };
}

/** The recorder's page, on what an earlier one left; `mark` is what a browser restores of a tab that it lost. */
async function openRecorder(visit, { secret }, mark) {
  const browser =
    recorder?.browser ?? (await openBrowser({ name: "recorder", profileDirectory: profile, hideable: true }));
  const dead = recorder ? browser.context.pages() : [];
  const [tab, front] = [await newTab(browser), await newTab(browser)];
  if (mark) {
    // As a browser does that opens a crashed tab again.
    const script = `for (const [k, v] of ${JSON.stringify(mark)}) sessionStorage.setItem(k, v);`;
    await tab.addInitScript({ content: script });
  }
  for (const page of dead) await page.close().catch(() => {});
  await tab.bringToFront();
  await tab.goto(stack.site.url("/test/recorder.html"));
  recorder = recorderOf(browser, tab, front);
  await recorder.until(() => window.page !== undefined);
  const recovered = await recorder.do((page) => page.recover());
  for (const { state } of recovered) if (state !== "safe") throw new Error(`a recovered part is ${state}`);
  const participant = await recorder.do((page, details) => page.join(details), { visit, secret, capture: CAPTURE });
  const kept = await tab.evaluate("Object.entries(sessionStorage)");
  return { participant, mark: kept };
}

function recorderOf(browser, tab, front) {
  const one = {
    ...{ browser, tab, front, ...driver("recorder", () => one.tab) },
    /** Afterwards its pages are other objects, of the same pages. */
    async unwatched(during) {
      const url = one.tab.url();
      await browser.unwatched(during);
      const pages = browser.context.pages();
      one.tab = pages.find((page) => page.url() === url);
      one.front = pages.find((page) => page.url() !== url);
    },
  };
  return one;
}

/** A browser whose renderers were just killed may hand out one that was. */
async function newTab({ context }) {
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await context.newPage();
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function consent(participant) {
  const { clinician, patient } = people;
  await clinician.do((page, id) => {
    page.recorder = { participant: id };
    return page.ask();
  }, participant);
  for (const one of [clinician, patient]) {
    await one.until((page) => page.visit.state.consent && !page.visit.state.consent.my_answer);
    await one.do((page) => page.grant());
  }
  await clinician.until((page) => page.visit.state.consent?.all_agreed);
}

/** The host lets the recorder in as soon as it waits. */
async function recording() {
  const { clinician } = people;
  const giveUpAt = Date.now() + PATIENCE_MS;
  let refusal = null;
  for (;;) {
    const { state } = await recorder.do((page) => page.status());
    if (state?.phase === "recording" && state.sealed_media_us > 0) return state;
    if (Date.now() > giveUpAt) {
      const seen = await clinician.do((page) => page.visit.state);
      throw new Error(`not recording: ${JSON.stringify({ state, refusal, seen })}`);
    }
    if (state?.phase === "waiting") {
      refusal = await clinician.do((page) => page.visit.startRecorder().then(String, (error) => error.code));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function recordAndKill({ isBrowser, isHidden }) {
  await recording();
  const media_us = random.between(1_500, 3_500) * 1_000;
  if (isHidden) await recorder.front.bringToFront();
  await recorder.until((page, wanted) => page.status().state.sealed_media_us > wanted, media_us);
  const processes = await recorder.browser.processes();
  await search();
  const isVictim = ({ type }) => (isBrowser ? type === "browser" : type === "renderer");
  const id = await recorder.do((page) => page.recorder.state.recording);
  const last = await recorder.do((page) => page.status());
  const at = Date.now();
  for (const victim of processes.filter(isVictim)) kill(victim.id);
  return {
    at,
    isBrowser,
    isHidden: last.hidden,
    recording: id,
    part: last.state.part,
    sealedUs: last.state.sealed_media_us,
    tailMs: last.state.unsealed_tail_ms,
    lagMs: last.state.picture_lag_ms,
  };
}

function kill(id) {
  try {
    process.kill(id, "SIGKILL");
  } catch {
    // Gone already, with the others.
  }
}

async function end() {
  await people.clinician.do((page) => page.visit.stopRecording());
  await recorder.until((page) => page.status().spools.every(({ state }) => state === "safe"));
}

async function judge(deaths) {
  const losses = [];
  const problems = [];
  let sealedUsLost = 0;
  const { recordings } = await stack.reads("/v1/recordings");
  // Whoever comes back goes on with the same recording, under the same grants.
  if (recordings.length !== 1) problems.push(`${recordings.length} recordings instead of one`);
  for (const { recording: id } of recordings) {
    const folder = path.join(directory, `fetched-${id}`);
    const opened = path.join(directory, `opened-${id}`);
    const fetched = await stack.fetchRecording(id, folder);
    const report = await stack.tool([
      ...["open", folder, "--root", stack.path("clinic", "root.pub"), "--key", stack.path("clinician.jwe")],
      ...["--passphrase-file", stack.path("passphrase"), "--out", opened],
    ]);
    if (report.ok !== true) problems.push(`${id}: ${JSON.stringify(report.problems)}`);
    for (const death of deaths.filter(({ recording: one }) => one === id)) {
      const part = (report.report ?? report).parts.find((candidate) => candidate.part === death.part);
      const mixed = part.tracks.find(({ content }) => content.kind === "mixed");
      sealedUsLost += Math.max(0, death.sealedUs - mixed.media_end_us);
      if (fetched.parts.find(({ part: number }) => number === death.part).state !== "unfinished") {
        problems.push(`${id} part ${death.part} is not closed as unfinished`);
      }
      const media = await measureMedia(fileOf(opened, death.part), { aroundMs: death.at });
      const seen = [...media.sources.values()].map(({ lastMs }) => lastMs);
      const loss = death.at - Math.max(...seen);
      losses.push({ loss, ...death });
      say(
        `part ${death.part}: ${Math.round(loss)} ms lost${death.isHidden ? ", hidden" : ""}${death.isBrowser ? ", browser" : ""}`,
      );
      if (!(loss <= LOSS_LIMIT_MS))
        problems.push(`part ${death.part}: ${Math.round(loss)} ms lost: ${JSON.stringify(death)}`);
    }
  }
  return {
    ok: problems.length === 0 && sealedUsLost === 0,
    kills: deaths.length,
    browsers_killed: deaths.filter(({ isBrowser }) => isBrowser).length,
    acknowledged_bytes_lost: sealedUsLost === 0 ? 0 : null,
    loss_ms: quantiles(losses.map(({ loss }) => loss)),
    loss_hidden_ms: quantiles(losses.filter(({ isHidden }) => isHidden).map(({ loss }) => loss)),
    problems,
  };
}

function quantiles(values) {
  const sorted = values.map(Math.round).sort((a, b) => a - b);
  return { p50: sorted[Math.floor(sorted.length / 2)] ?? null, max: sorted.at(-1) ?? null };
}

function fileOf(opened, part) {
  const name = readdirSync(opened).find((file) => file.startsWith(`part-${part}-mixed`) && file.endsWith(".webm"));
  if (!name) throw new Error(`no opened file of part ${part} in ${readdirSync(opened)}`);
  return path.join(opened, name);
}

function driver(name, tabOf) {
  const evaluate = (act, argument) => tabOf().evaluate(`(${act})(window.page, ${JSON.stringify(argument)})`);
  return {
    name,
    do: evaluate,
    // Not waitForFunction: it evaluates in the page, which the page's policy forbids.
    async until(holds, argument) {
      const giveUpAt = Date.now() + PATIENCE_MS;
      while (!(await evaluate(holds, argument).catch(() => false))) {
        if (Date.now() > giveUpAt) throw new Error(`${name}: did not come: ${holds}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  };
}
