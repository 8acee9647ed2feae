/**
 * Someone comes late while a recording is under way, in the real pages: asked in the waiting room, let in with the
 * grant while the recording goes on; who says no stays outside, until the host takes the recorder out by one click.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import {
  admitAll,
  agree,
  indicator,
  join,
  openPerson,
  refuse,
  remoteVideos,
  requestConsent,
} from "../../scripts/lib/demo-visit.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";

const timeout = 60_000;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-late-"));
const actors = [];
let stack;
let made;
let clinician;
let patient;

before(async () => {
  stack = await startStack({ directory: path.join(directory, "clinic"), logDirectory: path.join(directory, "logs") });
  made = await stack.makeVisit(["clinician", "patient", "guest", "guest"]);
  [clinician, patient] = [
    await arrive(0, { role: "clinician", page: "clinician", name: "Dr. Ada Reyes" }),
    await arrive(1, { role: "patient", page: "patient", name: "Sam Lindqvist" }),
  ];
  await clinician.page.getByTestId("controls").waitFor({ timeout });
  await admitAll(clinician, [patient]);
  for (const actor of [clinician, patient]) await remoteVideos(actor, 1);
  await requestConsent(clinician);
  for (const actor of [clinician, patient]) await agree(actor);
  await clinician.page.getByTestId("start-recording").click({ timeout });
  for (const actor of [clinician, patient]) await indicator(actor, "recording");
});

after(async () => {
  await Promise.all(actors.map(({ browser }) => browser.close()));
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function arrive(index, person) {
  const actor = await openPerson(stack, made.visit, made.links[index], person, index);
  actors.push(actor);
  await join(actor);
  return actor;
}

const members = ({ page }) => page.locator('[data-testid^="member-"]').count();
const epochOf = ({ page }) => page.evaluate(() => globalThis.sealedVisit.visit.state.epoch);

test("a late joiner who agrees outside comes in, and the same recording goes on with every grant", async () => {
  const late = await arrive(2, { role: "guest", page: "guest", name: "Robin Lindqvist" });
  const waiting = clinician.page.getByTestId(`waiting-${late.participant}`);
  await waiting.waitFor({ timeout });
  assert.equal(await late.page.getByTestId("consent-prompt").count(), 0, "asked before the host asks");
  const epoch = await epochOf(clinician);
  await clinician.page.getByTestId(`ask-${late.participant}`).click();
  await late.page.getByTestId("consent-prompt").waitFor({ timeout });
  assert.equal(await late.page.getByTestId("waiting-room").count(), 1);
  assert.match(
    await late.page.getByTestId("consent-prompt").textContent(),
    /Dr\. Ada Reyes is asking you before you join/,
  );
  await indicator(patient, "recording");
  await agree(late);
  await late.page.getByTestId("controls").waitFor({ timeout });
  for (const actor of [clinician, patient, late]) await indicator(actor, "recording");
  await remoteVideos(late, 2);
  // One commit let in and took the grant; the recorder never left.
  assert.equal(await epochOf(clinician), epoch + 1);
  assert.equal(await members(clinician), 4);
  const [{ parts }] = await stack.recordings();
  assert.deepEqual(
    parts.map(({ part, state }) => [part, state]),
    [[0, "open"]],
  );
  assert.deepEqual(late.browser.problems, []);
});

test("who says no outside stays outside; one click takes the recorder out and lets the person in", async () => {
  const late = await arrive(3, { role: "guest", page: "guest", name: "Kim Osei" });
  await clinician.page.getByTestId(`ask-${late.participant}`).click({ timeout });
  await refuse(late);
  const waiting = clinician.page.getByTestId(`waiting-${late.participant}`);
  await waiting.getByText("Does not agree to be recorded.").waitFor({ timeout });
  assert.equal(await late.page.getByTestId("controls").count(), 0);
  for (const actor of [clinician, patient]) {
    await indicator(actor, "recording");
    assert.equal(await actor.page.getByText("Not everyone agreed").count(), 0);
  }
  await clinician.page.getByTestId(`admit-${late.participant}`).click();
  await late.page.getByTestId("controls").waitFor({ timeout });
  for (const actor of [clinician, patient]) await indicator(actor, "paused");
  await remoteVideos(late, 3);
  const roles = await late.page.evaluate(() => globalThis.sealedVisit.visit.state.roster.map(({ role }) => role));
  assert.deepEqual(roles.toSorted(), ["clinician", "guest", "guest", "patient"]);
  // Asked inside too: under the same round, and nothing is recorded before the answer.
  await late.page.getByTestId("consent-prompt").waitFor({ timeout });
  for (const actor of [clinician, patient, late]) assert.deepEqual(actor.browser.problems, []);
});
