/**
 * What the next person at a computer finds of a link: nothing in the address bar, in the tab's history, or in storage
 * beyond what this tab needs for a reload.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { tabHistory } from "../lib/tab-history.mjs";
import { servePages } from "./ui/pages.mjs";

const visit = "fPyrCzxqcjw-foK_ld5-Bg";
const secret = "kKkDjUY2waUgxEX1DB9G-AkKkDjUY2waUgxEX1DB9G-";
let server;
let browser;
let page;

before(async () => {
  server = await servePages();
  browser = await openBrowser({ name: "shared-computer" });
  page = await browser.newPage();
});

after(async () => {
  await browser?.close();
  server?.close();
});

test("a page takes its secret out of the address bar and the history before it shows anything", async () => {
  for (const address of [
    `patient.html#visit=${visit}&secret=${secret}`,
    `clinician.html#visit=${visit}&secret=${secret}`,
    `recorder.html#visit=${visit}&secret=${secret}`,
    `playback.html#token=${secret}`,
    `start.html#start=${secret}`,
    `withdraw.html#contact=desk&delete=${secret}`,
  ]) {
    await page.goto(`${server.url}/${address}`, { waitUntil: "commit" });
    await page.waitForFunction(() => location.hash === "");
    assert.ok(!(await history()).includes(secret), address);
  }
});

test("a reload still knows the link, in this tab and on this page only", async () => {
  await page.goto(`${server.url}/patient.html#visit=${visit}&secret=${secret}`);
  await page.getByTestId("join-button").waitFor();
  await page.reload();
  await page.getByTestId("join-button").waitFor();
  await page.goto(`${server.url}/clinician.html`);
  await page.getByTestId("no-link").waitFor();
  const other = await browser.context.newPage();
  await other.goto(`${server.url}/patient.html`);
  await other.getByTestId("no-link").waitFor();
  await other.close();
});

test("a link pasted over an open page's address is opened, and leaves the address as well", async () => {
  await page.goto(`${server.url}/patient.html#visit=${visit}&secret=${secret}`);
  await page.getByTestId("join-button").waitFor();
  const other = secret.replaceAll("k", "o");
  const loaded = page.waitForEvent("load");
  await page.evaluate((link) => {
    location.hash = link;
  }, `#visit=${visit}&secret=${other}`);
  await loaded;
  await page.getByTestId("join-button").waitFor();
  assert.ok(!(await history()).includes(other));
});

test("a withdrawal's link and a reader's token are stored nowhere", async () => {
  for (const address of [`playback.html#token=${secret}`, `withdraw.html#contact=desk&delete=a.e30.${secret}`]) {
    await page.evaluate(() => sessionStorage.clear());
    await page.goto(`${server.url}/${address}`);
    await page.locator("h1").waitFor();
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert.ok(!stored.includes(secret), address);
  }
});

async function history() {
  return (await tabHistory(browser, page)).join(" ");
}
