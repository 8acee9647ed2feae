/**
 * People who are locked out, early, or whose clock is wrong, in the real pages at a real authority: they are told what is
 * going on, in both languages; the host helps; and the page continues by itself.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";

const timeout = 60_000;
const HOUR_MS = 3_600_000;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-links-"));
const shots = inRoot("test-out", "visit-links");
let stack;
let browser;

before(async () => {
  mkdirSync(shots, { recursive: true });
  stack = await startStack({ directory: path.join(directory, "clinic"), logDirectory: path.join(directory, "logs") });
  const devices = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  // A worker's script that the test has put a clock into came from no address, for Chromium: it then refuses it the relay
  // on this machine.
  const relay = ["--disable-features=LocalNetworkAccessChecks", "--allow-loopback-in-peer-connection"];
  const args = ["--no-sandbox", "--disable-gpu", ...relay, ...devices];
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args });
});

after(async () => {
  await browser?.close();
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/**
 * A page of a person's own browser.
 *
 * @param {string} address
 * @param {{ locale?: string, timezoneId?: string, prepare?: (page: import("playwright-core").Page) => Promise<unknown> }} [options]
 */
async function open(address, { locale = "en-US", timezoneId = "America/New_York", prepare } = {}) {
  const permissions = ["camera", "microphone"];
  const context = await browser.newContext({ permissions, locale, timezoneId, viewport: { width: 1100, height: 760 } });
  const page = await context.newPage();
  await prepare?.(page);
  await page.goto(address);
  return page;
}

async function join(page, name) {
  await page.getByTestId("join-name").fill(name, { timeout });
  await page.getByTestId("join-button").click({ timeout });
}

const waits = (page) => page.getByTestId("waiting-room").waitFor({ timeout });
const shot = (page, name) => page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });

/** In both languages: nobody who reads Spanish gets English. */
async function saysInBoth(page, testid, english, spanish, name) {
  for (const [language, words] of [
    ["es", spanish],
    ["en", english],
  ]) {
    await page.getByTestId(`language-${language}`).click({ timeout });
    await page.locator(`html[lang=${language}]`).waitFor({ timeout });
    await page.getByTestId(testid).filter({ hasText: words }).waitFor({ timeout });
    await shot(page, `${name}-${language}`);
  }
}

/** What another program of the person does with the link: it opens it, and is never seen again. */
async function openedByMailApp({ visit, links }, index) {
  const key = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
  const answer = await fetch(`${stack.urls.authority}/v1/visits/${visit}/redeem`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      secret: links[index].secret,
      credential: randomBytes(32).toString("base64url"),
      jwk: key,
      name_commitment: randomBytes(32).toString("base64url"),
    }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

const linkOf = ({ visit, links }, page, index) => stack.link(page, { visit, secret: links[index].secret });

async function hostOf(made) {
  const page = await open(linkOf(made, "clinician", 0));
  await join(page, "Dr. Ada Reyes");
  await page.getByTestId("controls").waitFor({ timeout });
  await page.getByTestId("invitations").locator("summary").click({ timeout });
  return page;
}

test("whoever is locked out reads a code to the host, who lets exactly this browser in, and the page continues", async () => {
  const made = await stack.makeVisit(["clinician", "patient"]);
  await openedByMailApp(made, 1);
  const patient = await open(linkOf(made, "patient", 1));
  const thief = await open(linkOf(made, "patient", 1));
  for (const page of [patient, thief]) await join(page, "Sam Lindqvist");
  await saysInBoth(patient, "join-held", /call the clinic/, /llame a la clínica/, "held");
  const code = await patient.getByTestId("browser-code").textContent();
  assert.match(code, /^\d{4}$/);
  assert.notEqual(await thief.getByTestId("browser-code").textContent({ timeout }), code);
  const host = await hostOf(made);
  await host.getByTestId("notice-second-browser").waitFor({ timeout });
  await host.getByTestId(`approve-${code}-${made.links[1].participant}`).click({ timeout });
  await shot(host, "approve");
  await host.getByTestId("help-yes").click();
  await waits(patient);
  assert.ok(await thief.getByTestId("browser-code").isVisible(), "the other one stays out");
  await Promise.all([patient, thief, host].map((page) => page.context().close()));
});

test("a new link lets the person in, and the old one no longer works", async () => {
  const made = await stack.makeVisit(["clinician", "patient"]);
  await openedByMailApp(made, 1);
  const host = await hostOf(made);
  await host.getByTestId(`new-link-${made.links[1].participant}`).click({ timeout });
  await host.getByTestId("help-yes").click();
  const address = await host.getByTestId("new-link-url").inputValue({ timeout });
  await host.getByText("the old one no longer works").first().waitFor({ timeout });
  await shot(host, "new-link");
  const old = await open(linkOf(made, "patient", 1));
  await join(old, "Sam Lindqvist");
  await saysInBoth(old, "join-error", /no longer works/, /ya no funciona/, "old-link");
  const patient = await open(address);
  await join(patient, "Sam Lindqvist");
  await waits(patient);
  await Promise.all([patient, old, host].map((page) => page.context().close()));
});

test("a passcode is asked for without an attempt, locks after five, is unlocked by the host, and may be typed anyhow", async () => {
  const made = await stack.makeVisit(["clinician", "patient"], { passcode: "ab 4711" });
  const patient = await open(linkOf(made, "patient", 1));
  await join(patient, "Sam Lindqvist");
  const field = patient.getByTestId("join-passcode");
  await field.waitFor({ timeout });
  assert.equal(await field.getAttribute("autocapitalize"), "none");
  const why = patient.getByTestId("why");
  const tries = async (passcode, words) => {
    await field.fill(passcode);
    await patient.getByTestId("join-button").click({ timeout });
    await why.filter({ hasText: words }).waitFor({ timeout });
  };
  for (const guess of ["0000", "1111", "2222", "3333", "4444"]) {
    await tries("", /Please enter the passcode/);
    await tries(guess, /That passcode is not right/);
  }
  await tries("ab4711", /link is locked/);
  await saysInBoth(patient, "join-error", /link is locked/, /está bloqueado/, "passcode-locked");
  const host = await hostOf(made);
  await host.getByTestId(`unlock-passcode-${made.links[1].participant}`).click({ timeout });
  await host.getByText("can try the passcode again").first().waitFor({ timeout });
  await field.fill("AB-٤٧١١");
  await patient.getByTestId("join-button").click();
  await waits(patient);
  await Promise.all([patient, host].map((page) => page.context().close()));
});

test("an answer that is lost or cut off locks nobody out, and alarms nobody", async () => {
  const made = await stack.makeVisit(["clinician", "patient"]);
  let seen = 0;
  const patient = await open(linkOf(made, "patient", 1), {
    prepare: (page) =>
      page.route("**/redeem", async (route) => {
        seen += 1;
        const response = await route.fetch();
        if (seen === 1) return route.abort("connectionreset");
        if (seen === 2) return route.fulfill({ response, body: (await response.text()).slice(0, 40) });
        return route.fulfill({ response });
      }),
  });
  await join(patient, "Sam Lindqvist");
  await waits(patient);
  await patient.reload();
  await join(patient, "Sam Lindqvist");
  await waits(patient);
  const asked = await fetch(`${stack.urls.authority}/v1/visits/${made.visit}/overview`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${stack.clinic.schedulerToken}` },
    body: "{}",
  });
  const { participants } = await asked.json();
  const entry = participants.find(({ role }) => role === "patient");
  assert.deepEqual([entry.redeemed, entry.second_browser], [true, 0]);
  assert.ok(seen >= 3);
  await patient.context().close();
});

test("before its time a link shows when the visit is, in the person's time zone and language", async () => {
  const made = await stack.makeVisit(["clinician", "patient"], { startsInMs: 72 * HOUR_MS });
  const page = await open(linkOf(made, "patient", 1), { timezoneId: "Asia/Kolkata" });
  await saysInBoth(page, "early", /India Standard Time/, /hora estándar de la India|India/, "early");
  const starts = new Intl.DateTimeFormat("en", { weekday: "long", timeZone: "Asia/Kolkata" });
  const day = starts.format(Date.now() + 72 * HOUR_MS);
  assert.match(await page.getByTestId("early").textContent(), new RegExp(`Your visit is on ${day}`));
  await page.context().close();
});

test("a link that is opened too early opens by itself", async () => {
  const made = await stack.makeVisit(["clinician", "patient"], { startsInMs: 24 * HOUR_MS + 15_000 });
  const page = await open(linkOf(made, "patient", 1));
  await page.getByTestId("early").waitFor({ timeout });
  await page.getByTestId("join-name").waitFor({ timeout });
  assert.match(await page.getByTestId("starts").textContent(), /Your visit starts on/);
  await shot(page, "opened-by-itself");
  await page.context().close();
});

test("a visit that is over says so, and what to do", async () => {
  const made = await stack.makeVisit(["clinician", "patient"], { closesInSeconds: -60 });
  const page = await open(linkOf(made, "patient", 1));
  await saysInBoth(page, "over", /contact the clinic/, /contacto con la clínica/, "over");
  await page.context().close();
});

/** As a device whose clock is off shows it to page and worker. */
async function withClock(page, off_ms) {
  const skew = `{ const D = Date; const now = D.now.bind(D);
    globalThis.Date = class extends D { constructor(...a) { a.length ? super(...a) : super(now() + (${off_ms})); }
    static now() { return now() + (${off_ms}); } }; }`;
  await page.addInitScript(skew);
  await page.route("**/visit-worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${skew}\n${await response.text()}` });
  });
}

for (const [what, off_ms] of [
  ["five hours ahead", 5 * HOUR_MS],
  ["three days behind", -72 * HOUR_MS],
]) {
  test(`a device whose clock is ${what} joins, and comes back after a reload`, async () => {
    const made = await stack.makeVisit(["clinician", "patient"]);
    const page = await open(linkOf(made, "clinician", 0), { prepare: (page) => withClock(page, off_ms) });
    await join(page, "Dr. Ada Reyes");
    await page.getByTestId("controls").waitFor({ timeout });
    await page.reload();
    await join(page, "Dr. Ada Reyes");
    await page.getByTestId("controls").waitFor({ timeout });
    await page.context().close();
  });
}

test("a device whose clock is weeks ahead is told so, and what time it is", async () => {
  const made = await stack.makeVisit(["clinician", "patient"]);
  const page = await open(linkOf(made, "patient", 1), { prepare: (page) => withClock(page, 30 * 24 * HOUR_MS) });
  await join(page, "Sam Lindqvist");
  const year = String(new Date().getFullYear());
  await saysInBoth(
    page,
    "join-error",
    new RegExp(`is wrong: it should be .*${year}.* clock-wrong`),
    new RegExp(`es incorrecta: debería ser .*${year}.* clock-wrong`),
    "clock-wrong",
  );
  await page.context().close();
});
