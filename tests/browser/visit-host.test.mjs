/**
 * What a host does besides recording, in the real pages, with two clinicians: locks, unlocks, hands over, confirms where
 * someone is; and what an interpreter's signature is for.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { admitAll, agree, answerRest, indicator, join, openPerson } from "../../scripts/lib/demo-visit.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";

const timeout = 60_000;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-host-"));
const picture = { fps: 5, width: 160, height: 90 };
const people = [
  { role: "clinician", page: "clinician", name: "Dr. Ada Reyes" },
  { role: "clinician", page: "clinician", name: "Dr. Noor Haddad" },
  { role: "patient", page: "patient", name: "Sam Lindqvist" },
  { role: "interpreter", page: "guest", name: "Inés Vega" },
  { role: "guest", page: "guest", name: "Robin Lindqvist" },
];
const actors = [];
let stack;
let made;
let ada;
let noor;
let patient;
let interpreter;

before(async () => {
  stack = await startStack({ directory: path.join(directory, "clinic"), logDirectory: path.join(directory, "logs") });
  made = await stack.makeVisit(people.map(({ role }) => role));
  // The first clinician who comes opens the visit, and is its host.
  ada = await arrive(0);
  await ada.page.getByTestId("controls").waitFor({ timeout });
  noor = await arrive(1);
  [patient, interpreter] = [await arrive(2), await arrive(3)];
  await admitAll(ada, [noor, patient, interpreter]);
  for (const { page } of actors) await page.getByTestId("controls").waitFor({ timeout });
});

after(async () => {
  await Promise.all(actors.map(({ browser }) => browser.close()));
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function open(index) {
  const actor = await openPerson(stack, made.visit, made.links[index], people[index], index, { picture });
  actors.push(actor);
  return actor;
}

async function arrive(index) {
  const actor = await open(index);
  await join(actor);
  return actor;
}

const locked = ({ page }, is) =>
  page.locator(`[data-testid="lock-state"][data-locked="${is}"]`).waitFor({ state: "attached", timeout });
const stateOf = ({ page }) => page.evaluate(() => globalThis.sealedVisit.visit.state);
/** The code with which a command is refused. */
const refused = ({ page }, name, ...args) =>
  page.evaluate(
    ([command, given]) =>
      globalThis.sealedVisit.visit[command](...given).then(
        () => null,
        ({ code }) => code,
      ),
    [name, args],
  );
const claims = (jws) => JSON.parse(Buffer.from(jws.split(".")[1], "base64url").toString());
const count = ({ page }, testid) => page.getByTestId(testid).count();

test("a locked visit refuses a link that was not used, and tells the host who came; a member's reload goes on", async () => {
  await ada.page.getByTestId("lock-visit").click();
  for (const actor of [ada, noor, patient, interpreter]) await locked(actor, true);
  const late = await open(4);
  await late.page.getByTestId("join-name").fill(late.name);
  await late.page.getByTestId("join-button").click();
  await late.page.getByTestId("join-held").filter({ hasText: "The visit is locked." }).waitFor({ timeout });
  const told = ada.page.getByTestId("notice-turned-away");
  await told.waitFor({ timeout });
  assert.match(await told.textContent(), /someone new tried to join: Guest/);
  assert.equal(await count(noor, "notice-turned-away"), 0, "only the host is told");
  const { me, epoch } = await stateOf(patient);
  await patient.page.reload();
  await join(patient);
  await patient.page.getByTestId("controls").waitFor({ timeout });
  const back = await stateOf(patient);
  assert.deepEqual([back.me.participant, back.locked], [me.participant, true]);
  assert.ok(back.epoch > epoch);
});

test("who waits at a locked door is told so, and comes in when the host unlocks it", async () => {
  const late = actors.at(-1);
  await ada.page.getByTestId("lock-visit").click();
  for (const actor of [ada, noor, patient, interpreter]) await locked(actor, false);
  // The page asks again by itself.
  const waiting = ada.page.getByTestId(`waiting-${late.participant}`);
  await waiting.waitFor({ timeout });
  await ada.page.getByTestId("lock-visit").click();
  await late.page.getByText("The visit is locked. The host can see that you are here").waitFor({ timeout });
  // The group's rule, not the button's.
  assert.equal(await refused(ada, "admit", late.participant), "visit-locked");
  assert.equal(await count(late, "controls"), 0);
  await ada.page.getByTestId(`unlock-admit-${late.participant}`).click();
  await late.page.getByTestId("controls").waitFor({ timeout });
  await locked(late, false);
});

test("the host hands over to the other clinician, who then has the powers, and the first has them no more", async () => {
  assert.equal((await stateOf(noor)).me.host, false);
  for (const power of ["lock-visit", "end-visit", "record-button"]) assert.equal(await count(noor, power), 0, power);
  assert.equal(await refused(noor, "lock", true), "visit-not-the-host");
  assert.equal(await refused(ada, "handOver", patient.participant), "visit-unknown-participant", "not to a patient");
  await ada.page.getByTestId(`hand-${noor.participant}`).click();
  await ada.page.getByTestId(`hand-yes-${noor.participant}`).click();
  await noor.page.getByText("You are now the host.").waitFor({ timeout });
  for (const { page } of [ada, patient]) await page.getByText("Dr. Noor Haddad is now the host.").waitFor({ timeout });
  for (const actor of actors) {
    assert.equal((await stateOf(actor)).host, noor.participant);
    assert.match(await actor.page.getByTestId(`member-${noor.participant}`).textContent(), /Host/);
  }
  for (const power of ["lock-visit", "end-visit", "record-button", `remove-${patient.participant}`]) {
    assert.equal(await count(ada, power), 0, power);
    assert.equal(await count(noor, power), 1, power);
  }
  assert.equal(await refused(ada, "remove", patient.participant), "visit-not-the-host");
});

test("no recording before an interpreter has signed for whom the words are not in the language of", async () => {
  await noor.page.getByTestId("record-button").click();
  await noor.page.getByTestId("purpose-medical_record").check();
  for (const tick of await noor.page.locator('[data-testid^="tick-"]').all()) await tick.check();
  await noor.page.getByTestId("request-emergency").fill("+1 415 555 0136");
  await noor.page.getByTestId("request-consent").click();
  for (const actor of actors.filter((one) => one !== patient)) await agree(actor);
  const { page } = patient;
  await page.getByTestId("consent-other-language").check();
  await page.getByTestId("consent-spoken").selectOption("vi");
  await page.getByTestId("consent-information-agree").check();
  await page.getByTestId("consent-recording-agree").check();
  await page.getByTestId("consent-country").selectOption("US");
  await page.getByTestId("consent-state").selectOption("US-CA");
  await answerRest(page);
  await page.getByTestId("consent-submit").click();
  const again = interpreter.page.getByTestId("interpreter-again");
  await again.waitFor({ timeout });
  assert.match(await again.textContent(), /Sam Lindqvist agreed in another language/);
  await ada.page.getByText("An interpreter must sign too.").waitFor({ timeout });
  assert.doesNotMatch(
    await ada.page.getByTestId("consent-status").textContent(),
    /Sam Lindqvist/,
    "for whom is not said",
  );
  assert.match(await noor.page.getByTestId("interpreter-needed").textContent(), /Sam Lindqvist/);
  assert.equal(await count(noor, "start-recording"), 0);
  assert.equal(await refused(noor, "startRecorder"), "visit-not-agreed");
  for (const actor of actors) await indicator(actor, "not_recorded");
});

test("with the interpreter's signature it is recorded", async () => {
  await interpreter.page.getByTestId(`consent-interpreted-${patient.participant}`).check();
  await agree(interpreter);
  await noor.page.getByTestId("start-recording").click({ timeout });
  for (const actor of actors) await indicator(actor, "recording");
});

test("where the patient says to be is confirmed by the host; the number is for clinicians", async () => {
  const place = noor.page.getByTestId(`place-${patient.participant}`);
  assert.match(await place.textContent(), /Sam Lindqvist says: California, United States/);
  await noor.page.getByTestId(`confirm-place-${patient.participant}`).click();
  await place.getByText("Confirmed").waitFor({ timeout });
  const answers = (await stateOf(noor)).consent.by_participant;
  const answer = answers.find(({ participant }) => participant === patient.participant);
  assert.deepEqual([answer.place, answer.place_confirmed], ["US-CA", true]);
  for (const actor of [ada, noor])
    assert.match(await actor.page.getByTestId("emergency-number").textContent(), /\+1 415 555 0136/);
  for (const actor of [patient, interpreter]) {
    const state = await stateOf(actor);
    assert.equal(state.consent.emergency, "");
    assert.deepEqual(state.consent.by_participant, []);
    assert.doesNotMatch(JSON.stringify(state), /555 0136/);
  }
  await indicator(patient, "recording");
  await noor.page.getByTestId("stop-recording").click();
  await noor.page.locator('[data-testid="progress"][data-safety="safe"]').waitFor({ timeout });
  const [{ recording }] = await stack.recordings();
  const { parts } = await stack.fetchRecording(recording, path.join(directory, "fetched"));
  // A recorder that starts anew makes another part.
  const [confirmed, ...others] = parts.flatMap(({ manifest }) => claims(manifest).places ?? []).map(claims);
  assert.deepEqual([confirmed.participant, confirmed.place, others.length], [patient.participant, "US-CA", 0]);
  assert.equal(claims(confirmed.pass).sub, noor.participant, "signed by the host of now");
  // The browser logs that the locked door stayed shut.
  const unexpected = ({ browser }) => browser.problems.filter(({ text }) => !text.includes("423 (Locked)"));
  for (const actor of actors) assert.deepEqual(unexpected(actor), []);
});
