/**
 * Links as mail programs leave them, opened in a browser at the real page server: what is certain is repaired, the rest is
 * explained in both languages, and no secret stays in the address, in the tab's history, or in what the server keeps.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";
import { tabHistory } from "../lib/tab-history.mjs";

const timeout = 60_000;
const visit = "fPyrCzxqcjw-foK_ld5-Bg";
const secret = "kKkDjUY2waUgxEX1DB9G-AkKkDjUY2waUgxEX1DB9G-";
const fragment = `visit=${visit}&secret=${secret}`;
const shots = inRoot("test-out", "links");
let site;
let browser;
let page;

before(async () => {
  mkdirSync(shots, { recursive: true });
  site = await serve({
    documents: {
      // What `npm start` would say; nobody answers there, as for a moment on a bad line.
      "/config.json": { authority_url: "/none", relay_url: "/none", vault_url: "/none", clinic_document: "a.e30.b" },
    },
  });
  browser = await openBrowser({ name: "links" });
  page = await browser.newPage();
});

after(async () => {
  await browser?.close();
  await site?.close();
});

const certain = {
  "%23 for #": `/patient.html%23${fragment}`,
  "%23 for #, encoded as a whole": `/patient.html%23${encodeURIComponent(fragment)}`,
  "a capital": `/Patient.html#${fragment}`,
  "no ending": `/patient#${fragment}`,
  "a period": `/patient.html#${fragment}.`,
  "a bracket": `/patient.html#${fragment})`,
  "a quotation mark after %23": `/patient.html%23${fragment}%C2%BB`,
  "&amp;": `/patient.html#${fragment.replace("&", "&amp;")}`,
  "=3D": `/patient.html#${fragment.replaceAll("=", "=3D")}`,
  "a question mark for #": `/patient.html?${fragment}`,
  "two slashes": `//evil.example/patient.html%23${fragment}`,
};
for (const [what, address] of Object.entries(certain)) {
  test(`a link with ${what} opens its visit, and leaves its secret nowhere`, async () => {
    await page.goto("about:blank");
    await page.goto(`${site.origin}${address}`);
    await page.waitForURL(`${site.origin}/patient.html`, { timeout });
    await page.waitForFunction((kept) => sessionStorage.getItem("sealed-visit:link")?.includes(kept), secret, {
      timeout,
    });
    await nothingIsLeft();
  });
}

for (const [what, address, testid] of [
  ["whose secret lost a character", `/patient.html#${fragment.slice(0, -1)}`, "no-link"],
  ["whose secret lost a character, with %23", `/patient.html%23${fragment.slice(0, -1)}`, "lost"],
  ["to no page of ours", `/unknown.html%23${fragment}`, "lost"],
]) {
  test(`a link ${what} is explained, and leaves its secret nowhere`, async () => {
    for (const [language, words] of Object.entries({ en: /the clinic/, es: /la clínica/ })) {
      await page.goto("about:blank");
      await page.goto(`${site.origin}${address}`);
      await page.getByTestId(`language-${language}`).click({ timeout });
      await page.locator(`html[lang=${language}]`).waitFor({ timeout });
      assert.match(await page.getByTestId(testid).textContent({ timeout }), words);
      await page.screenshot({ path: path.join(shots, `${what.replaceAll(/\W+/g, "-")}-${language}.png`) });
    }
    await nothingIsLeft();
  });
}

async function nothingIsLeft() {
  const kept = JSON.stringify([await tabHistory(browser, page), site.requests]);
  assert.ok(!kept.includes(secret.slice(0, 20)), kept);
}
