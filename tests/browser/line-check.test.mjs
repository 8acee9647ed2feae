/**
 * The device check on the real pages tries what the visit will use: the relay's WebSocket, UDP to its media server, and for
 * the clinician the vault. Each that does not work has a line of its own that says what to do, in both languages.
 *
 * Screenshots: `test-out/line-check/`.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";
import { openGate } from "../lib/gate.mjs";
import { slowLine } from "../lib/slow-line.mjs";

const timeout = 60_000;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-line-"));
const pictures = inRoot("test-out", "line-check");
const looks = [
  { width: 1280, colorScheme: "light" },
  { width: 320, colorScheme: "dark" },
];
let gate;
let line;
let stack;
let browser;
let page;

before(async () => {
  mkdirSync(pictures, { recursive: true });
  gate = await openGate();
  stack = await startStack({
    directory: path.join(directory, "clinic"),
    serveOptions: {
      connect: [`ws://127.0.0.1:${gate.port}`],
      proxies: { "/no-vault": { target: `http://127.0.0.1:${gate.port}` } },
    },
  });
  line = await slowLine(stack.mediaPort, { bothWays: true });
  browser = await openBrowser({ name: "line" });
  // Media goes through the line; what the page says of it is the page's own.
  await browser.context.addInitScript((port) => {
    const { setRemoteDescription } = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
      const changed = sdp.replaceAll(/^(a=candidate:\S+ \d+ udp \d+ \S+) \d+/gim, `$1 ${port}`);
      return Reflect.apply(setRemoteDescription, this, [{ type, sdp: changed }]);
    };
  }, line.port);
  page = await browser.newPage();
  await page.route("**/config.json", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), ...given } });
  });
});

after(async () => {
  await browser?.close();
  await line?.close();
  await stack?.stop();
  await gate?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What the page's settings say instead. */
let given = {};

async function come(role, settings = {}) {
  given = settings;
  const { visit, links } = await stack.makeVisit(["clinician", "patient"]);
  await page.goto("about:blank");
  await page.goto(stack.link(role, { visit, secret: links[role === "clinician" ? 0 : 1].secret }));
}

async function becomes(name, outcome) {
  const found = page.locator(`[data-testid="check-${name}"][data-outcome="${outcome}"]`);
  await found.waitFor({ timeout });
  return found;
}

/** In every look, and in Spanish the words are Spanish. */
async function photograph(name) {
  for (const { width, colorScheme } of looks) {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    for (const language of ["es", "en"]) {
      await page.getByTestId(`language-${language}`).click();
      const browserLine = page.getByTestId("check-browser");
      await browserLine.filter({ hasText: language === "es" ? "Este navegador" : "This browser" }).waitFor({ timeout });
      if (language === "es")
        assert.doesNotMatch(
          (await page.getByTestId("device-check").textContent()) ?? "",
          /The clinic|another network|Your /,
        );
      await page.screenshot({ path: path.join(pictures, `${name}-${width}-${language}.png`), fullPage: true });
    }
  }
}

const throughGate = () => ({ relay_url: `ws://127.0.0.1:${gate.port}/v1/visit` });

test("a clinician's line is tried as the visit will use it: relay, media and vault", { timeout: 120_000 }, async () => {
  const before = line.statsUp.passed;
  await come("clinician");
  for (const name of ["relay", "media", "vault"]) await becomes(name, "good");
  assert.ok(line.statsUp.passed > before, "no UDP was sent");
  await photograph("good");
});

test("a patient's vault is not tried: patients record nothing", { timeout: 120_000 }, async () => {
  await come("patient");
  for (const name of ["relay", "media"]) await becomes(name, "good");
  assert.equal(await page.getByTestId("check-vault").count(), 0);
});

test("UDP that is lost is said, and once it gets through, checking again says so", { timeout: 120_000 }, async () => {
  line.set({ lossShare: 1 });
  await come("patient");
  await becomes("relay", "good");
  const media = await becomes("media", "bad");
  assert.match((await media.textContent()) ?? "", /firewall.*VPN.*another network/);
  await photograph("udp");
  line.set({ lossShare: 0 });
  await page.getByTestId("check-again").click();
  await becomes("media", "good");
  assert.equal(await page.getByTestId("check-again").count(), 0);
});

for (const how of /** @type {const} */ (["silent", "refuses"]))
  test(`a relay whose WebSocket ${how === "silent" ? "never answers" : "is refused"} is said, and nobody is kept out`, {
    timeout: 120_000,
  }, async () => {
    gate[how]();
    await come("patient", throughGate());
    const relay = await becomes("relay", "bad");
    assert.match((await relay.textContent()) ?? "", /VPN.*another network/);
    await becomes("media", "unknown");
    await photograph(`relay-${how}`);
    assert.equal(await page.getByTestId("join-button").isEnabled(), true);
    gate.through(stack.urls.relay);
    await page.getByTestId("check-again").click();
    for (const name of ["relay", "media"]) await becomes(name, "good");
  });

test("a vault that is down is said to who will record, and the visit goes on without it", {
  timeout: 120_000,
}, async () => {
  gate.refuses();
  await come("clinician", { vault_url: "/no-vault" });
  for (const name of ["relay", "media"]) await becomes(name, "good");
  const vault = await becomes("vault", "bad");
  assert.match((await vault.textContent()) ?? "", /no recording can start/);
  await photograph("vault");
});
