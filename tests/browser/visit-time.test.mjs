/**
 * A visit whose time runs out while it is recorded, in the real pages: it locks by itself when everyone is there, and
 * only once; it warns; it ends for all, says why, lets nobody in again; and the recording is finished as it should be.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { admitAll, agree, indicator, join, openPerson, requestConsent } from "../../scripts/lib/demo-visit.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";

const timeout = 60_000;
const CLOSES_IN_S = 75;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-time-"));
const picture = { fps: 8, width: 320, height: 180 };
const actors = [];
let stack;
let made;
let closesAtMs;
let clinician;
let patient;

before(async () => {
  stack = await startStack({ directory: path.join(directory, "clinic"), logDirectory: path.join(directory, "logs") });
  made = await stack.makeVisit(["clinician", "patient"], { closesInSeconds: CLOSES_IN_S });
  closesAtMs = Date.now() + CLOSES_IN_S * 1_000;
  const people = [
    { role: "clinician", page: "clinician", name: "Dr. Ada Reyes" },
    { role: "patient", page: "patient", name: "Sam Lindqvist" },
  ];
  for (const [index, person] of people.entries()) {
    const actor = await openPerson(stack, made.visit, made.links[index], person, index, { picture });
    actors.push(actor);
    await join(actor);
  }
  [clinician, patient] = actors;
  await clinician.page.getByTestId("controls").waitFor({ timeout });
});

after(async () => {
  await Promise.all(actors.map(({ browser }) => browser.close()));
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const locked = ({ page }, is) =>
  page.locator(`[data-testid="lock-state"][data-locked="${is}"]`).waitFor({ state: "attached", timeout });
const atAuthority = async () => (await (await fetch(`${stack.urls.authority}/v1/visits/${made.visit}`)).json()).locked;

test("locks by itself when everyone who was invited is there; unlocked by hand, it stays so", async () => {
  await locked(clinician, false);
  await admitAll(clinician, [patient]);
  for (const actor of actors) await locked(actor, true);
  assert.equal(await atAuthority(), true);
  await clinician.page.getByTestId("lock-visit").click();
  for (const actor of actors) await locked(actor, false);
  // Longer than the page looks who is there.
  await clinician.page.waitForTimeout(11_000);
  for (const actor of actors) await locked(actor, false);
  assert.equal(await atAuthority(), false);
});

test("warns before its time is over, then ends for all and says why; the recording is finished and safe", async () => {
  for (const { page } of actors)
    assert.match(
      await page.getByTestId("notice-closing").textContent(),
      /closes automatically at .* in 2 minutes or less/,
    );
  await requestConsent(clinician);
  for (const actor of actors) await agree(actor);
  await clinician.page.getByTestId("start-recording").click({ timeout });
  for (const actor of actors) await indicator(actor, "recording");
  assert.ok(Date.now() < closesAtMs - 3_000, "too slow: nothing was recorded before the visit's time was over");
  await patient.page.getByTestId("after").waitFor({ timeout: closesAtMs + 10_000 - Date.now() });
  assert.ok(Date.now() >= closesAtMs - 1_000, "it ended early");
  assert.match(await patient.page.getByTestId("after").textContent(), /The time for this visit is over/);
  // The clinician's page stays until the clinic has it all.
  await clinician.page.getByTestId("after").waitFor({ timeout });
  assert.match(await clinician.page.getByTestId("after").textContent(), /The time for this visit is over/);
  const [{ parts }] = await stack.recordings();
  assert.deepEqual(
    parts.map(({ part, state }) => [part, state]),
    [[0, "finished"]],
  );
  for (const actor of actors) assert.deepEqual(actor.browser.problems, []);
});

test("nobody comes in again", async () => {
  await patient.page.goto("about:blank");
  await patient.page.goto(stack.link("patient", { visit: made.visit, secret: made.links[1].secret }));
  await patient.page.getByTestId("over").waitFor({ timeout });
  assert.equal(await patient.page.getByTestId("join-button").count(), 0);
});
