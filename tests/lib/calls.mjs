/**
 * Calls between test pages through a real relay, encrypted by the package or (the control) not.
 *
 *     const calls = await startCalls({ tap: true });
 *     const visit = calls.newVisit();
 *     const host = await calls.member(visit, { role: "clinician", source: 0 });
 *     const guest = await calls.member(visit, { role: "patient", source: 1, admittedBy: host });
 *     await host.run("publish");                        // what the pages offer: tests/browser/calls/
 *     const plain = await calls.plain(visit, { .. });   // without encryption
 *     readTap(calls.tapFile);
 *     await calls.stop();
 *
 * `log: true` has a page keep what its encoders put out, and a member its keys. `testModule: true` has a member load the
 * module that logs keys, and leave the log alone; `stored: true` has it keep its pass key over a reload. `initScript` runs in a member's page before anything of its own.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { distDir, inRoot, program } from "../../scripts/lib/paths.mjs";
import { ProcessGroup } from "../../scripts/lib/processes.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";
import { sequenceMatch, toneShare } from "./audio.mjs";
import { readCodes } from "./code-reader.mjs";
import { randomId, TestClinic } from "./relay-fixture.mjs";
import { installSyntheticMedia } from "./synthetic-media.mjs";

const PICTURE = { width: 480, height: 270, fps: 15 };
const pageFiles = [
  ...["sealed.html", "sealed.js", "plain.html", "plain.js", "received.js", "encoder-log-client.js"],
  ...["encoder-log.js", "key-log.js", "plain-worker.js", "logging-worker.js"],
];

/** @param {{ tap?: boolean, browserArgs?: string[] }} [options] */
export async function startCalls({ tap = false, browserArgs = [] } = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-calls-"));
  const clinic = new TestClinic(directory);
  const tapFile = path.join(directory, "tap.bin");
  const servers = new ProcessGroup();
  const started = await servers.start({
    name: "relay",
    command: program(tap ? "sealed-visit-relay-tap" : "sealed-visit-relay"),
    args: [
      ...["--root-key", clinic.rootKey, "--clinic-document", clinic.documentFile],
      ...(tap ? ["--tap", tapFile] : []),
    ],
    listening: /^listening (http:\S+)/,
  });
  const relay = started.match[1].replace("http", "ws");
  const site = await serve({
    directory: distDir,
    files: {
      ...Object.fromEntries(pageFiles.map((name) => [`/calls/${name}`, inRoot("tests", "browser", "calls", name)])),
      "/calls/relay-media-page.js": inRoot("tests", "browser", "relay-media-page.js"),
    },
    connect: [relay],
  });
  const browser = await openBrowser({ name: "calls", args: browserArgs });
  return new Calls({ directory, clinic, tapFile, servers, relay, site, browser });
}

/** @typedef {{ participant: string, epoch?: number, run: (name: string, ...given: unknown[]) => Promise<any> }} Person */
/** @typedef {{ role: string, source: number, log?: boolean, testModule?: boolean, stored?: boolean, query?: Record<string, string>, initScript?: () => void }} Who */

class Calls {
  /** @type {string} */ directory;
  /** @type {TestClinic} */ clinic;
  /** @type {string} */ tapFile;
  /** @type {ProcessGroup} */ servers;
  /** @type {string} */ relay;
  /** @type {Awaited<ReturnType<typeof serve>>} */ site;
  /** @type {Awaited<ReturnType<typeof openBrowser>>} */ browser;

  constructor(parts) {
    Object.assign(this, parts);
    this.clinicDocument = readFileSync(this.clinic.documentFile, "utf8").trim();
  }

  newVisit() {
    return randomId();
  }

  /**
   * Someone who joins with the package; waits outside unless `admittedBy` is given or it is the host.
   * @param {string} visit
   * @param {Who & { admittedBy?: Person }} who
   */
  async member(visit, { admittedBy, ...who }) {
    const person = await this.memberPage(visit, who);
    const { participant } = person;
    await person.run("join", person.given);
    if (admittedBy) {
      await until("the host sees who waits", async () =>
        (await admittedBy.run("state")).waiting.some((waiting) => waiting.participant === participant),
      );
      await admittedBy.run("admit", participant);
    }
    if (admittedBy || who.role === "clinician")
      await until(`the ${who.role} is in`, async () => (await person.run("state")).phase === "live");
    return person;
  }

  /**
   * The page of someone who has not joined yet; `given` is what joining takes.
   * @param {string} visit
   * @param {Who} who
   */
  async memberPage(visit, { role, source, log = false, testModule = log, stored = false, query = {}, initScript }) {
    const participant = randomId();
    const page = await this.#open("sealed", source, { ...query, ...(log ? { log: participant } : {}) }, initScript);
    await page.exposeFunction("issuePass", (holder) => this.clinic.pass({ visit, role, participant, ...holder }).pass);
    await page.waitForFunction(() => window.call);
    const given = {
      relayUrl: `${this.relay}/v1/visit`,
      rootKey: this.clinic.rootKey,
      clinicDocument: this.clinicDocument,
      ...(log ? { workerUrl: `./logging-worker.js?log=${participant}` } : {}),
      ...(testModule ? { wasmUrl: "/wasm-test/" } : {}),
      ...(stored ? { storageKey: participant } : {}),
    };
    return { page, participant, source, given, run: runner(page, "call") };
  }

  /**
   * Someone in a call without encryption.
   * @param {string} visit
   * @param {Who & { admittedBy?: Person }} who
   */
  async plain(visit, { admittedBy, ...who }) {
    const person = await this.plainPage(visit, who);
    await person.run("connect", { url: this.relay, ...(await person.issuePass()) });
    await enterPlainGroup(person, admittedBy);
    return person;
  }

  /** The page of someone who is not in that call yet. */
  async plainPage(visit, { role, source, log = false }) {
    const participant = randomId();
    const page = await this.#open("plain", source, log ? { log: participant } : {});
    const issuePass = () => this.clinic.pass({ visit, role, participant });
    await page.exposeFunction("issuePass", issuePass);
    await page.waitForFunction(() => window.isReady);
    return { page, participant, source, issuePass, run: runner(page, "relayTest"), epoch: 0 };
  }

  async #open(name, source, query, initScript) {
    const page = await this.browser.context.newPage();
    if (initScript) await page.addInitScript(initScript);
    await installSyntheticMedia(page, { participant: source, ...PICTURE });
    await page.goto(this.#pageUrl(name, query));
    return page;
  }

  #pageUrl(name, query) {
    return this.site.url(`/calls/${name}.html?${new URLSearchParams(query)}`);
  }

  get problems() {
    return this.browser.problems;
  }

  async stop() {
    await this.browser.close();
    await this.site.close();
    await this.servers.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The relay takes for a member whoever made the group or was sent a welcome; it reads neither. */
async function enterPlainGroup(person, admittedBy) {
  const group_id = "Z3JvdXA";
  if (!admittedBy) {
    await person.run("send", { t: "create_group", group_id });
    await person.run("next", "group_created");
    return;
  }
  const epoch = admittedBy.epoch++;
  const welcomes = [{ to: person.participant, welcome: "d2VsY29tZQ" }];
  await admittedBy.run("send", { t: "commit", group_id, epoch, commit: "Y29tbWl0", welcomes });
  await person.run("next", "welcome");
}

function runner(page, object) {
  return (name, ...given) =>
    page.evaluate(
      ([target, method, args]) => /** @type {any} */ (window)[target][method](...args),
      [object, name, given],
    );
}

/** A connection of their own between two members' pages, beside the relay; `sealed` names its tracks. */
export async function connectPages(from, to, { name, sealed, expected = from.participant }) {
  const offer = await from.run("offer", { name, sealed });
  const answer = await to.run("accept", { name, offer, from: expected, sealed });
  await from.run("complete", { name, answer });
}

/** The codes in what a page shows of a received video track, now. */
export async function codesShown(person, index) {
  const picture = await person.run("grab", index);
  if (!picture) return [];
  return readCodes({ ...picture, luma: new Uint8Array(Buffer.from(picture.base64, "base64")) });
}

/**
 * What is heard of each source in a received audio track: `{ source: { share, follows } }`, the part of
 * the time in which its tones are loud enough, and how well they follow its sequence.
 */
export async function tonesHeard(person, index, sources, seconds = 3) {
  const { beganMs, rateHz, base64 } = await person.run("listen", index, seconds);
  const bytes = Buffer.from(base64, "base64");
  const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const best = (source) => {
    let share = 0;
    // Sound is heard up to a second after it was made.
    for (let delayMs = -100; delayMs <= 1_000; delayMs += 50)
      share = Math.max(share, sequenceMatch(samples, rateHz, source, beganMs - delayMs));
    return share;
  };
  const heard = (source) => ({ share: toneShare(samples, rateHz, source), follows: best(source) });
  return Object.fromEntries(sources.map((source) => [source, heard(source)]));
}

export async function until(what, isTrue, timeoutMs = 30_000) {
  const deadline = Date.now() + timeoutMs;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
