/**
 * Every state of the pages, wide and narrow, light and dark, in both languages: drawn without an error
 * under the strict content security policy, nothing serious for axe-core, the indicator always there.
 *
 * Screenshots go to `test-out/ui/`. The call page is shown with a visit that stands still in a state.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { servePages } from "./ui/pages.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = inRoot("test-out", "ui");

const states = [
  ...["alone", "live", "live-host", "waiting-people", "asked-patient", "asked-host", "asked-again", "asked-part2"],
  ...["text-missing", "answered-waiting", "answers-host", "all-agreed-host", "refused", "refused-host", "recording"],
  ...[
    "recording-host",
    "recording-late-joiner",
    "recording-late-asked",
    "recorder-silent",
    "paused-by-me",
    "paused-host",
    "stopped-by-me",
  ],
  ...["stopped", "withdrawing", "key-swapped", "server", "rekeying"],
  ...["outside-asked", "outside-granted", "outside-refused", "outside-locked"],
  ...["locked+people", "locked-host", "locked-recording-host", "two-clinicians-host+people+hand", "handed-over+people"],
  ...["host-away+people", "emergency-host+people", "live+closing", "live+closing-now"],
  ...["recording+phone-call", "live+taken-microphone"],
  ...["live+blocked", "all-agreed-host+blocked", "paused-host+connecting"],
  ...["asked-unshown", "asked-interpreter", "interpreter-again", "interpreter-missing", "interpreter-missing-host"],
  ...["after-left", "after-time_over", "after-empty"],
  ...["early", "over", "starts", "held", "held-locked", "live-host+people+links"],
  ...["trouble-wrong_passcode", "trouble-link_locked", "trouble-unknown_link", "trouble-clock-wrong"],
  "trouble-relay-unreachable",
  ...[
    "live-host+request",
    "live-host+elsewhere",
    "live-host+elsewhere+link",
    "live-host+elsewhere+link+no-link",
    "recording+wish",
    "live+safety",
    "progress-recording",
    "progress-uploading",
    "progress-safe",
  ],
];
const link = `#visit=${"v".repeat(22)}&secret=${"s".repeat(43)}`;
const pages = [
  "start.html",
  "lost.html",
  "patient.html",
  "patient.html#visit=v&secret=s",
  `patient.html${link}`,
  `clinician.html${link}`,
  "record.html",
  "withdraw.html",
  "recorder.html",
  "playback.html",
];
const signed = `h.${Buffer.from(JSON.stringify({ at_ms: 1.7e12, round: "q" })).toString("base64url")}.s`;
/** Pages with something to show, by the name of their picture. */
const filledPages = {
  "record-filled": "record.html",
  "withdraw-filled": `withdraw.html#${new URLSearchParams({ delete: signed, keep: signed, contact: "privacy@river.example" })}`,
};
/** What a visit leaves in its tab. */
const visitRecord = {
  v: 1,
  visit: "v".repeat(22),
  clinic: { name: "River Clinic", contact: "privacy@river.example" },
  me: { role: "patient", name: "Ben Okafor" },
  started_ms: 1.7e12,
  ended_ms: 1.7e12 + 36e5,
  people: [
    { name: "Dr. Ana Ruiz", role: "clinician" },
    { name: "Ben Okafor", role: "patient" },
  ],
  rounds: [
    {
      round: "q",
      asked_ms: 1.7e12,
      purpose: "medical_record",
      recipients: [{ fingerprint: "f", role: "archive" }],
      terms: { retention_days: 2555, on_withdrawal: "ask" },
      texts: [
        { layer: "recording", language: "en", version: "1", hash: "h".repeat(43), text: "# What\nYou are recorded." },
      ],
      answer: "grant",
      answered_ms: 1.7e12,
      signed: [signed],
      later: { delete: signed, keep: signed },
    },
  ],
  recorder_present: [{ from_ms: 1.7e12, to_ms: 1.7e12 + 1e6 }],
};
const variants = ["wide", "narrow"].flatMap((width) =>
  ["light", "dark"].flatMap((scheme) => ["en", "es"].map((language) => ({ width, scheme, language }))),
);

let server;
let browser;

before(async () => {
  mkdirSync(shots, { recursive: true });
  server = await servePages();
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

for (const variant of variants) {
  const named = Object.values(variant).join(" ");

  test(`every state is drawn and accessible: ${named}`, { timeout: 240_000 }, async () => {
    await inPage(variant, async (page, problems) => {
      for (const state of states) {
        await open(page, `/dev/states.html?lang=${variant.language}#${state}`);
        if (!/^(progress|outside|after|held|trouble)-|^(early|over|starts|held)$/.test(state))
          await indicatorIsSeen(page, state);
        await page.screenshot({ path: shotPath(state, variant) });
        await nothingSerious(page, state);
        assert.deepEqual(problems, [], state);
      }
    });
  });

  test(`every page is drawn and accessible: ${named}`, { timeout: 120_000 }, async () => {
    await inPage(variant, async (page, problems) => {
      for (const name of pages) {
        await open(page, `/${name.replace(/(#|$)/, `?lang=${variant.language}$1`)}`);
        await page.locator("h1").first().waitFor();
        await page.waitForTimeout(300);
        await page.screenshot({ path: shotPath(name, variant), fullPage: true });
        await nothingSerious(page, name);
        assert.deepEqual(problems, [], name);
      }
      await page.evaluate((text) => sessionStorage.setItem("sealed-visit:record", text), JSON.stringify(visitRecord));
      for (const [name, address] of Object.entries(filledPages)) {
        await page.goto(`${server.url}/${address.replace(/(#|$)/, `?lang=${variant.language}$1`)}`);
        await page.locator('[data-testid="record"], [data-testid="withdraw-later-delete"]').first().waitFor();
        await page.screenshot({ path: shotPath(name, variant), fullPage: true });
        await nothingSerious(page, name);
        assert.deepEqual(problems, [], name);
      }
      // A browser that cannot record, as Firefox and Safari.
      await page.addInitScript(() => delete globalThis.MediaStreamTrackProcessor);
      await page.goto(`${server.url}/recorder.html?lang=${variant.language}${link}`);
      await page.getByTestId("recorder-url").waitFor();
      await page.screenshot({ path: shotPath("recorder-elsewhere", variant), fullPage: true });
      await nothingSerious(page, "recorder-elsewhere");
      assert.deepEqual(problems, [], "recorder-elsewhere");
    });
  });
}

test("axe finds what it should find: a button without a name", async () => {
  await inPage(variants[0], async (page) => {
    await open(page, "/dev/states.html#live");
    await page.evaluate(() => document.body.append(document.createElement("button")));
    await assert.rejects(nothingSerious(page, "on purpose"), /button-name/);
  });
});

async function inPage({ width, scheme, language }, use) {
  const context = await browser.newContext({
    viewport: width === "wide" ? { width: 1280, height: 800 } : { width: 360, height: 740 },
    colorScheme: scheme,
    locale: language === "es" ? "es-US" : "en-US",
    // Transitions would be caught half way.
    reducedMotion: "reduce",
    permissions: ["camera", "microphone"],
    bypassCSP: false,
  });
  try {
    const page = await context.newPage();
    // No vault stands behind these pages: what the device check asks it is answered here.
    const answer = { status: 204, headers: { "tus-version": "1.0.0" } };
    await page.route("**/parts/0/uploads", (route) => route.fulfill(answer));
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => {
      // Chromium asks for a gesture before sound; a test has none. And no relay stands behind these pages: the device check
      // tries it, and says so.
      if (message.type() === "error" && !/AudioContext|WebSocket connection to .* failed/.test(message.text()))
        problems.push(message.text());
    });
    await use(page, problems);
  } finally {
    await context.close();
  }
}

async function open(page, path) {
  await page.goto("about:blank");
  await page.goto(`${server.url}${path}`);
  await page.locator("h1, .call").first().waitFor();
}

/** In the window, whole, above whatever else is there (a dialog's backdrop only dims it). */
async function indicatorIsSeen(page, state) {
  const indicator = page.getByTestId("indicator");
  await indicator.waitFor();
  const box = await indicator.boundingBox();
  const { width, height } = page.viewportSize();
  assert.ok(
    box && box.y >= 0 && box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height,
    `${state}: the indicator is not in view`,
  );
  for (const dialog of await page.locator("dialog[open]").all()) {
    const { x, y, width: wide, height: high } = await dialog.boundingBox();
    const isBeside = x >= box.x + box.width || x + wide <= box.x || y >= box.y + box.height || y + high <= box.y;
    assert.ok(isBeside, `${state}: a dialog covers the indicator`);
  }
  assert.notEqual(((await indicator.textContent()) ?? "").trim(), "", state);
  const scrolled = await page.evaluate(
    () => document.scrollingElement.scrollHeight - document.documentElement.clientHeight,
  );
  assert.ok(scrolled <= 0, `${state}: the page can scroll the indicator away`);
}

async function nothingSerious(page, name) {
  // `evaluate` runs outside the page's policy, as a browser's extension would.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map(({ html }) => html.slice(0, 160))
            .join(" | ")}`,
      );
  });
  assert.deepEqual(found, [], name);
}

function shotPath(name, { width, scheme, language }) {
  return `${shots}/${name.replace(/[^a-z0-9+-]+/gi, "_")}.${width}.${scheme}.${language}.png`;
}
