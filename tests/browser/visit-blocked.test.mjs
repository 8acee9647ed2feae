/**
 * Networks that let a visit through only in part, on the real pages: a relay that never answers, one whose WebSocket is
 * refused, and a line without UDP. Each is said in words, with a way on, in both languages, and nothing is lost.
 *
 * Screenshots: `test-out/blocked/`.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import {
  admitAll,
  agree,
  indicator,
  join,
  openPerson,
  remoteVideos,
  requestConsent,
} from "../../scripts/lib/demo-visit.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";
import { openGate } from "../lib/gate.mjs";
import { slowLine } from "../lib/slow-line.mjs";

const timeout = 90_000;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-blocked-"));
const pictures = inRoot("test-out", "blocked");
const opened = [];
let gate;
let stack;

before(async () => {
  mkdirSync(pictures, { recursive: true });
  gate = await openGate();
  stack = await startStack({
    directory: path.join(directory, "clinic"),
    serveOptions: { connect: [`ws://127.0.0.1:${gate.port}`] },
  });
});

after(async () => {
  for (const { browser } of opened) await browser.close();
  await stack?.stop();
  await gate?.close();
  rmSync(directory, { recursive: true, force: true });
});

/**
 * @param {string} visit
 * @param {{ participant: string, secret: string }[]} links
 * @param {0 | 1} index
 * @param {string} role
 * @param {{ via?: number, throughGate?: boolean }} [options]
 */
async function come(visit, links, index, role, { via, throughGate = false } = {}) {
  const name = ["Dr. Ada Reyes", "Sam Lindqvist"][index];
  const person = await openPerson(stack, visit, links[index], { role, page: role, name }, index, { via });
  opened.push(person);
  if (throughGate) {
    await person.page.route("**/config.json", async (route) => {
      const response = await route.fetch();
      const relay_url = `ws://127.0.0.1:${gate.port}/v1/visit`;
      await route.fulfill({ response, json: { ...(await response.json()), relay_url } });
    });
    await person.page.reload();
  }
  return person;
}

const isEnglishAndSpanish = [
  ["en", /could not connect.*VPN.*another network.*try again/i],
  ["es", /no pudo conectarse.*VPN.*otra red.*inténtelo de nuevo/i],
];

async function shot({ page }, name) {
  await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
}

for (const [how, network] of /** @type {const} */ ([
  ["silent", "takes connections and never answers"],
  ["refuses", "refuses the WebSocket"],
]))
  test(`a network that ${network} ends joining with words and a way back, which lets the person in`, {
    timeout: 180_000,
  }, async () => {
    gate[how]();
    const before = gate.asked;
    const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
    const patient = await come(visit, links, 1, "patient", { throughGate: true });
    const { page } = patient;
    const button = page.getByTestId("join-button");
    const waits = await button.textContent();
    await join(patient);
    await page.getByTestId("why").waitFor({ timeout });
    assert.ok(gate.asked > before, "the page never asked");
    for (const [language, said] of isEnglishAndSpanish) {
      await page.getByTestId(`language-${language}`).click();
      await page.getByTestId("join-error").filter({ hasText: said }).waitFor({ timeout });
      await shot(patient, `${how}-${language}`);
    }
    await page.getByTestId("language-en").click();
    assert.equal(await page.getByTestId("join-name").inputValue(), patient.name, "the name is lost");
    assert.equal(await button.textContent(), waits);
    gate.through(stack.urls.relay);
    await button.click();
    await page.getByTestId("waiting-room").waitFor({ timeout });
    assert.equal(await page.getByTestId("why").count(), 0);
  });

test("without UDP both are told why, recording cannot start, and it all goes on by itself when media gets through", {
  timeout: 300_000,
}, async (t) => {
  // Media of both goes through a line that loses everything.
  const line = await slowLine(stack.mediaPort, { lossShare: 1, bothWays: true });
  t.after(() => line.close());
  const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
  const clinician = await come(visit, links, 0, "clinician", { via: line.port });
  const patient = await come(visit, links, 1, "patient", { via: line.port });
  const everyone = [clinician, patient];
  for (const person of everyone) await join(person);
  await clinician.page.getByTestId("controls").waitFor({ timeout });
  await admitAll(clinician, [patient]);
  for (const { page } of everyone) await page.getByTestId("notice-blocked").waitFor({ timeout });
  assert.match((await patient.page.getByTestId("notice-blocked").textContent()) ?? "", /VPN.*another network/);
  await shot(patient, "udp-patient");
  await requestConsent(clinician);
  for (const person of everyone) await agree(person);
  const start = clinician.page.getByTestId("start-recording");
  await start.waitFor({ timeout });
  assert.equal(await start.isDisabled(), true, "a recording of nothing can be started");
  await clinician.page.getByTestId("cannot-record").waitFor({ timeout });
  await shot(clinician, "udp-clinician");
  const refused = await clinician.page.evaluate(() =>
    globalThis.sealedVisit.visit.startRecorder().then(
      () => "started",
      (error) => error.code,
    ),
  );
  assert.equal(refused, "media-blocked");

  line.set({ lossShare: 0 });
  for (const person of everyone) await remoteVideos(person, 1);
  for (const { page } of everyone) await page.getByTestId("notice-blocked").waitFor({ state: "detached", timeout });
  await start.click({ timeout });
  for (const person of everyone) await indicator(person, "recording");
});
