/** Plain media between real browsers through the relay's SFU: two peer connections for each page. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { program } from "../../scripts/lib/paths.mjs";
import { ProcessGroup } from "../../scripts/lib/processes.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";
import { randomId, TestClinic } from "../lib/relay-fixture.mjs";
import { slowLine } from "../lib/slow-line.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-relay-"));
const servers = new ProcessGroup();
const clinic = new TestClinic(directory);
const browsers = [];
let relay;
let mediaPort;
let site;

before(async () => {
  const started = await servers.start({
    name: "relay",
    command: process.env.SEALED_VISIT_RELAY ?? program("sealed-visit-relay"),
    args: ["--root-key", clinic.rootKey, "--clinic-document", clinic.documentFile],
    listening: /^listening (http:\S+)/,
  });
  relay = started.match[1];
  mediaPort = Number(/^media udp:.*:(\d+)$/m.exec(started.log())[1]);
  const page = (name) => path.join(here, `relay-media-page.${name}`);
  site = await serve({
    directory,
    files: { "/test.html": page("html"), "/relay-media-page.js": page("js") },
    connect: [relay.replace("http", "ws")],
  });
});

after(async () => {
  for (const browser of browsers) await browser.close();
  await site?.close();
  await servers.stop();
  rmSync(directory, { recursive: true, force: true });
});

test("two pages see and hear each other, a third comes later, a screen is added and goes", async () => {
  const visit = randomId();
  const clinician = await join(visit, "clinician");
  const patient = await join(visit, "patient", { admittedBy: clinician });
  await clinician.run("publish", {});
  await patient.run("publish", {});
  await clinician.run("subscribe");
  await patient.run("subscribe");

  for (const person of [clinician, patient]) {
    await flows(person, { audio: 1, video: 1 });
  }
  const [sound, picture] = ["audio", "video"].map((kind) => (of) => of.find((track) => track.kind === kind));
  const seen = await patient.run("measure");
  assert.equal(sound(seen).participant, clinician.participant);
  assert.equal(sound(seen).stream, picture(seen).stream, "sound and picture of one person are one stream");

  const relative = await join(visit, "guest", { admittedBy: clinician });
  await relative.run("subscribe");
  await flows(relative, { audio: 2, video: 2 });

  await clinician.run("publish", { screen: true });
  await flows(patient, { audio: 1, video: 2 });
  const screen = (await patient.run("measure")).find(({ source }) => source === "screen");
  assert.equal(screen.track, "screen-1");

  await patient.page.close();
  await until(async () => (await relative.run("measure")).every((it) => it.participant === clinician.participant));
  await flows(relative, { audio: 1, video: 2 });
  assert.deepEqual(clinician.problems(), []);
});

test("a receiver knows within seconds which sound belongs to which picture", async (t) => {
  const visit = randomId();
  const clinician = await join(visit, "clinician");
  const patient = await join(visit, "patient", { admittedBy: clinician });
  // The relay's sender reports begin before there is anything to report.
  await patient.run("subscribe");
  await clinician.run("publish", {});
  await flows(patient, { audio: 1, video: 1 });
  const beganMs = Date.now();
  // WebRTC states what of the sender's time it plays only while it keeps sound and picture together.
  let apartMs = null;
  await until(async () => {
    const [sound, picture] = ["audio", "video"].map((kind) => (of) => of.find((track) => track.kind === kind));
    const seen = await patient.run("measure");
    apartMs = picture(seen).estimatedPlayoutTimestamp - sound(seen).estimatedPlayoutTimestamp;
    return Number.isFinite(apartMs);
  }, 8_000);
  t.diagnostic(`after ${Date.now() - beganMs} ms; picture ${Math.round(apartMs)} ms ahead of sound`);
  assert.ok(Math.abs(apartMs) < 1_000, `${apartMs} ms apart`);
});

test("VP9 passes as VP8 does", async () => {
  const visit = randomId();
  const clinician = await join(visit, "clinician");
  const patient = await join(visit, "patient", { admittedBy: clinician });
  await clinician.run("publish", { codec: "video/VP9" });
  await patient.run("subscribe");
  await flows(patient, { audio: 1, video: 1 });
  const video = (await patient.run("measure")).find(({ kind }) => kind === "video");
  assert.equal(video.codec, "video/VP9");
});

test("a page that reloads receives again, and is received again", async () => {
  const visit = randomId();
  const clinician = await join(visit, "clinician");
  const patient = await join(visit, "patient", { admittedBy: clinician });
  for (const person of [clinician, patient]) {
    await person.run("publish", {});
    await person.run("subscribe");
  }
  await flows(clinician, { audio: 1, video: 1 });
  await patient.page.reload();
  await connect(patient);
  await patient.run("publish", {});
  await patient.run("subscribe");
  await flows(patient, { audio: 1, video: 1 });
  await flows(clinician, { audio: 1, video: 1 });
});

test("a slow line keeps sound, lowers the sender's picture, says so, and recovers", async (t) => {
  const visit = randomId();
  const clinician = await join(visit, "clinician");
  const patient = await join(visit, "patient", { admittedBy: clinician });
  const line = await slowLine(mediaPort, { bps: 10_000_000, lossShare: 0, jitterMs: 0 });
  t.after(() => line.close());
  await clinician.run("publish", {});
  await patient.run("subscribe", { via: line.port });
  await flows(patient, { audio: 1, video: 1 });
  await until(async () => (await videoBps(clinician)) > 300_000);

  line.set({ bps: 400_000, lossShare: 0.03, jitterMs: 50 });
  await until(async () => (await videoTarget(clinician)) < 400_000, 30_000);
  const soundBefore = (await patient.run("measure")).find(({ kind }) => kind === "audio");
  await patient.page.waitForTimeout(5000);
  const soundAfter = (await patient.run("measure")).find(({ kind }) => kind === "audio");
  const arrived = soundAfter.packetsReceived - soundBefore.packetsReceived;
  assert.ok(arrived > 5 * 50 * 0.85, `${arrived} packets of sound in 5 s`);
  const told = (await patient.run("messages")).filter(({ t }) => t === "line_quality").at(-1);
  assert.ok(told.down_bps < 600_000, `told ${told.down_bps} bit/s`);

  line.set({ bps: 10_000_000, lossShare: 0, jitterMs: 0 });
  // More than the slow line could carry.
  await until(async () => (await videoTarget(clinician)) > 450_000, 90_000);
  await flows(patient, { audio: 1, video: 1 });
});

async function videoTarget(person) {
  return (await person.run("outgoing")).tracks.find(({ kind }) => kind === "video").targetBitrate;
}

async function videoBps(person) {
  const sent = async () => (await person.run("outgoing")).tracks.find(({ kind }) => kind === "video").bytesSent;
  const before = await sent();
  await person.page.waitForTimeout(1000);
  return ((await sent()) - before) * 8;
}

/** @typedef {{ participant: string, run: (name: string, ...given: unknown[]) => Promise<any> }} Person */

// --- People -------------------------------------------------------------------------------------

/** @param {string} visit @param {string} role @param {{ admittedBy?: Person }} [options] */
async function join(visit, role, { admittedBy } = {}) {
  const browser = browsers[browsers.length - 1] ?? (await openBrowser({ name: "relay" }));
  if (!browsers.includes(browser)) browsers.push(browser);
  const page = await browser.context.newPage();
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  const run = (name, ...given) => page.evaluate(([method, args]) => window.relayTest[method](...args), [name, given]);
  /** @type {Person & Record<string, any>} */
  const person = { participant: "", page, run, problems: () => problems, pass: clinic.pass({ visit, role }) };
  person.participant = person.pass.participant;
  await page.goto(site.url("/test.html"));
  await connect(person);
  await enterGroup(person, admittedBy);
  return person;
}

async function connect(person) {
  await person.page.waitForFunction(() => window.relayTest);
  await person.run("connect", { url: relay.replace("http", "ws"), ...person.pass });
}

/** The relay takes for a member whoever made the group or was sent a welcome; it reads neither. */
async function enterGroup(person, admittedBy) {
  const group_id = "Z3JvdXA";
  if (!admittedBy) {
    await person.run("send", { t: "create_group", group_id });
    await person.run("next", "group_created");
    person.epoch = 0;
    return;
  }
  const epoch = admittedBy.epoch++;
  const welcomes = [{ to: person.participant, welcome: "d2VsY29tZQ" }];
  await admittedBy.run("send", { t: "commit", group_id, epoch, commit: "Y29tbWl0", welcomes });
  await person.run("next", "welcome");
}

/** Waits until the person receives so many tracks, and all of them go on. */
async function flows(person, counts) {
  let last = [];
  const isFlowing = async () => {
    const first = await person.run("measure");
    await person.page.waitForTimeout(1200);
    last = await person.run("measure");
    const advancing = last.filter((track) => {
      const before = first.find(({ mid }) => mid === track.mid);
      if (!before) return false;
      return track.kind === "video"
        ? track.videoWidth > 0 && track.framesDecoded > before.framesDecoded + 4
        : track.packetsReceived > before.packetsReceived && track.peak > 0.01;
    });
    const count = (kind) => advancing.filter((track) => track.kind === kind).length;
    return (
      count("audio") === counts.audio && count("video") === counts.video && last.length === counts.audio + counts.video
    );
  };
  try {
    await until(isFlowing);
  } catch {
    assert.fail(
      `expected ${JSON.stringify(counts)} to flow, got ${JSON.stringify(last, null, 1)} ${person.problems()}`,
    );
  }
}

async function until(isTrue, timeoutMs = 20_000) {
  const deadline = Date.now() + timeoutMs;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`not so within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
