/** `npm start -- --host` as people use it: HTTPS with a certificate of its own, from another address than loopback. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { localAddresses } from "../../scripts/lib/certificate.mjs";
import { admitAll, join, remoteVideos } from "../../scripts/lib/demo-visit.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { ProcessGroup } from "../../scripts/lib/processes.mjs";
import { installSyntheticMedia } from "../lib/synthetic-media.mjs";

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-start-"));
const servers = new ProcessGroup();
const browsers = [];
const [address] = localAddresses();
let startPage;

before(async () => {
  if (!address) return;
  const started = await servers.start({
    name: "npm start",
    command: process.execPath,
    args: [
      inRoot("scripts", "start.mjs"),
      "--no-build",
      "--host",
      "--port",
      "0",
      "--data",
      path.join(directory, "clinic"),
    ],
    listening: /^(https:\S+start\.html#\S+)$/m,
  });
  startPage = started.match[1];
});

after(async () => {
  for (const browser of browsers) await browser.close();
  await servers.stop();
  rmSync(directory, { recursive: true, force: true });
});

test("two people meet over HTTPS at this machine's address", {
  skip: address ? false : "no network address",
}, async () => {
  assert.equal(new URL(startPage).hostname, address);
  const open = async (source, url) => {
    const browser = await openBrowser({ name: `start-${source}`, args: ["--ignore-certificate-errors"] });
    browsers.push(browser);
    await installSyntheticMedia(browser.context, { participant: source, width: 480, height: 270, fps: 15 });
    const page = await browser.newPage();
    await page.goto(url);
    return { browser, page };
  };
  const start = await open(0, startPage);
  assert.equal(await start.page.evaluate(() => isSecureContext), true);
  await start.page.getByTestId("make-visit").click();
  const [forClinician, forPatient] = await Promise.all(
    ["clinician", "patient"].map((role) => start.page.getByTestId(`url-${role}`).inputValue()),
  );
  await start.page.goto(forClinician);
  const clinician = { ...start, role: "clinician", name: "Dr. Ada Reyes" };
  const patient = { ...(await open(1, forPatient)), role: "patient", name: "Sam Lindqvist" };
  for (const person of [clinician, patient]) await join(person);
  await clinician.page.getByTestId("controls").waitFor();
  const waiting = clinician.page.locator('[data-testid^="admit-"]').first();
  await waiting.waitFor();
  const participant = (await waiting.getAttribute("data-testid")).slice("admit-".length);
  await admitAll(clinician, [{ participant }]);
  for (const person of [clinician, patient]) await remoteVideos(person, 1);
});
