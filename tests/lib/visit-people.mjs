/**
 * People in a visit, each in a browser of their own, on a page that has nothing but the package
 * (tests/browser/visit-page.js), with the real relay, authority and vault.
 *
 *     const visits = await startVisits("turns");
 *     const { visit, links } = await visits.stack.makeVisit(["clinician", "patient"]);
 *     const clinician = await visits.person("clinician");    // { media } for synthetic devices
 *     await clinician.join({ visit, secret: links[0].secret });
 *     await meet([clinician, patient]);                       // both are in, with sound and picture
 *     await record(clinician, [clinician, patient]);          // everyone grants, the recorder begins
 *     await clinician.do((page, text) => page.recorder.mark(text), "a mark");
 *     await clinician.until((page) => page.recorder.state.sealed_media_us > 1_000_000);
 *     await visits.stop();                                    // closes everyone's browser too
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";
import { installSyntheticMedia } from "./synthetic-media.mjs";

/** A shared machine may be slow: what is waited for comes, or the test fails. */
const PATIENCE_MS = 60_000;

export async function startVisits(name) {
  const directory = mkdtempSync(path.join(tmpdir(), `sealed-visit-${name}-`));
  const file = (page) => inRoot("tests", "browser", page);
  const stack = await startStack({
    directory: path.join(directory, "clinic"),
    logDirectory: path.join(directory, "logs"),
    serveOptions: {
      files: { "/test/visit.html": file("visit-page.html"), "/test/visit-page.js": file("visit-page.js") },
    },
  });
  const people = [];
  return {
    directory,
    stack,
    async person(personName, options) {
      const person = await openPerson(stack, personName, options);
      people.push(person);
      return person;
    },
    async stop() {
      for (const { browser } of people) await browser.close();
      await stack.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/**
 * `media`: options of the synthetic devices; without them Chromium's own are there.
 *
 * @param {import("../../scripts/lib/stack.mjs").Stack} stack
 * @param {string} name
 * @param {{ profileDirectory?: string, media?: import("./synthetic-media.mjs").SyntheticOptions }} [options]
 */
async function openPerson(stack, name, { profileDirectory, media } = {}) {
  const browser = await openBrowser({ name, profileDirectory });
  if (media) await installSyntheticMedia(browser.context, { label: name, ...media });
  const tab = await browser.newPage();
  await tab.goto(stack.site.url("/test/visit.html"));
  const isLoaded = () => tab.waitForFunction(() => window.page !== undefined, undefined, { timeout: PATIENCE_MS });
  await isLoaded();
  const evaluate = (act, argument) => tab.evaluate(`(${act})(window.page, ${JSON.stringify(argument)})`);
  const person = {
    name,
    browser,
    tab,
    participant: null,
    do: evaluate,
    /** Resolves when the page is there, after a navigation. */
    loaded: isLoaded,
    async join({ visit, secret }) {
      await isLoaded();
      person.participant = await evaluate((page, details) => page.join(details), { visit, secret, name });
    },
    // Not waitForFunction: it evaluates in the page, which the page's policy forbids.
    async until(holds, argument) {
      const giveUpAt = Date.now() + PATIENCE_MS;
      while (!(await evaluate(holds, argument))) {
        if (Date.now() > giveUpAt) {
          const log = await evaluate((page) => [page.log, page.recorderLog?.slice(-20), page.visit?.state]);
          assert.fail(`${name}: did not come: ${holds}\n${JSON.stringify(log)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  };
  return person;
}

/** Waits until everyone who has joined is in, and has them send and receive. */
export async function meet(people) {
  for (const one of people) {
    await one.until((page) => page.visit.state.phase === "live");
    await one.do((page) => page.connect());
  }
}

/** The clinician's page makes a recorder, everyone grants, and it begins. `capture`: see CaptureOptions. */
export async function record(clinician, people, capture = {}) {
  await clinician.do((page, options) => page.prepareRecorder(options), capture);
  await agree(clinician, people);
}

/** Everyone grants what is asked for the recorder that is there, and it begins. */
export async function agree(clinician, people) {
  await clinician.do((page) => page.ask());
  for (const one of people) {
    // Not what was answered of an earlier recording.
    await one.until((page) => page.visit.state.consent && !page.visit.state.consent.my_answer);
    await one.do((page) => page.grant());
  }
  await clinician.until((page) => page.visit.state.consent?.all_agreed);
  await clinician.until((page) => (page.media?.flow ?? "flowing") === "flowing");
  await clinician.do((page) => page.visit.startRecorder());
}

/** What a signed statement says. */
export const claims = (jws) => JSON.parse(Buffer.from(jws.split(".")[1], "base64url").toString());
