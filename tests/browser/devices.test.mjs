/**
 * A clinician's own devices on the real pages: the devices dialog turns nothing on and is no other choice of its own; a
 * camera that was off is off after a reload; a camera that comes late is stopped. Chromium has two cameras here, and says of
 * every track that it opens whether it is still live.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { join } from "../../scripts/lib/demo-visit.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { startStack } from "../../scripts/lib/stack.mjs";
import { until as comes } from "../lib/calls.mjs";

const timeout = 60_000;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-devices-"));
const shots = inRoot("test-out", "devices");
let stack;
let browser;
let page;

before(async () => {
  mkdirSync(shots, { recursive: true });
  stack = await startStack({ directory: path.join(directory, "clinic"), logDirectory: path.join(directory, "logs") });
  const { visit, links } = await stack.makeVisit(["clinician"]);
  browser = await openBrowser({
    name: "devices",
    fakeDevices: false,
    args: ["--use-fake-device-for-media-stream=device-count=2"],
  });
  await browser.context.addInitScript(watchDevices);
  page = await browser.newPage();
  await page.goto(stack.link("clinician", { visit, secret: links[0].secret }));
  await enter();
});

after(async () => {
  await browser?.close();
  await stack?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** In the page: every track that the browser gives, clones included. `delayMs` keeps a camera back. */
function watchDevices() {
  const tracks = [];
  const { getUserMedia } = MediaDevices.prototype;
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    if (constraints.video && globalThis.delayMs)
      await new Promise((resolve) => setTimeout(resolve, globalThis.delayMs));
    const stream = await getUserMedia.call(this, constraints);
    if (globalThis.endsEarlierOnes)
      for (const track of tracks)
        if (track.readyState === "live" && stream.getTracks().some(({ kind }) => kind === track.kind)) {
          track.stop();
          track.dispatchEvent(new Event("ended"));
        }
    tracks.push(...stream.getTracks());
    return stream;
  };
  const { clone } = MediaStreamTrack.prototype;
  MediaStreamTrack.prototype.clone = function () {
    const copy = clone.call(this);
    tracks.push(copy);
    return copy;
  };
  globalThis.liveCameras = () =>
    tracks
      .filter(({ kind, readyState }) => kind === "video" && readyState === "live")
      .map((track) => track.getSettings().deviceId);
}

async function enter() {
  await join({ page, name: "Dr. Ada Reyes" });
  await page.getByTestId("controls").waitFor({ timeout });
}

const liveCameras = () => page.evaluate(() => globalThis.liveCameras());
const until = (what, holds) => comes(what, holds, timeout);
const click = (testid) => page.getByTestId(testid).click({ timeout });
const isOff = async () => (await page.getByTestId("camera").getAttribute("class"))?.includes("off") ?? false;
/** What is sent: the id of the camera, or null. */
const sent = () =>
  page.evaluate(() => {
    const { media } = globalThis.sealedVisit;
    return media.local.find(({ source }) => source === "camera")?.mediaTrack?.getSettings().deviceId ?? null;
  });

test("the dialog shows the camera that is on, and changes nothing by being looked at", async () => {
  const [first] = await liveCameras();
  await until("the camera that is on is sent", async () => first && (await sent()) === first);
  await click("devices-button");
  await page.getByTestId("preview").waitFor({ timeout });
  await page.screenshot({ path: path.join(shots, "on.png") });
  await click("devices-close");
  await until("only the one that is sent is live", async () => (await liveCameras()).length === 1);
  assert.equal(await sent(), first);
});

test("another camera is sent once it was chosen, and stays the choice when it is turned off and on", async () => {
  const before = await sent();
  await click("devices-button");
  const ids = await page
    .getByTestId("choose-camera")
    .locator("option")
    .evaluateAll((all) => all.map(({ value }) => value));
  const other = ids.find((id) => id !== before);
  await page.getByTestId("choose-camera").selectOption(other, { timeout });
  await until("it is tried", async () => (await liveCameras()).includes(other));
  assert.equal(await sent(), before, "what is sent is the same while another one is tried");
  await click("devices-close");
  await until("it is sent", async () => (await sent()) === other);
  await until("and nothing else is on", async () => (await liveCameras()).join() === other);
  await click("camera");
  await until("the light is out", async () => (await liveCameras()).length === 0);
  await click("camera");
  await until("the same one is back", async () => (await liveCameras()).join() === other);
});

test("with the camera off, the dialog turns none on, and leaves none on", async () => {
  await click("camera");
  await until("the light is out", async () => (await liveCameras()).length === 0);
  await click("devices-button");
  await page.getByTestId("try-camera").waitFor({ timeout });
  await page.screenshot({ path: path.join(shots, "off.png") });
  assert.deepEqual(await liveCameras(), []);
  await click("try-camera");
  await page.getByTestId("preview").waitFor({ timeout });
  assert.equal(await sent(), null, "what is tried is not sent");
  await click("devices-close");
  await until("the light is out again", async () => (await liveCameras()).length === 0);
  assert.deepEqual([await isOff(), await sent()], [true, null]);
});

test("a camera that comes late, after it was turned off again, is stopped", async () => {
  await page.evaluate(() => {
    globalThis.delayMs = 2_000;
  });
  await click("camera");
  await click("camera");
  await page.waitForTimeout(4_000);
  assert.deepEqual([await liveCameras(), await isOff()], [[], true]);
  await page.evaluate(() => {
    globalThis.delayMs = 0;
  });
});

test("after a reload the camera is off as before, on the way in too; turned on, it is the chosen one", async () => {
  await page.reload();
  await page.getByTestId("try-camera").waitFor({ timeout });
  await page.screenshot({ path: path.join(shots, "join.png"), fullPage: true });
  assert.deepEqual(await liveCameras(), []);
  await enter();
  assert.deepEqual([await liveCameras(), await isOff()], [[], true]);
  await click("camera");
  await until("it is on", async () => (await liveCameras()).length === 1);
});

test("where trying a camera ends the one before, that one is sent again afterwards", async () => {
  const before = await sent();
  await page.evaluate(() => {
    globalThis.endsEarlierOnes = true;
  });
  await click("devices-button");
  const ids = await page
    .getByTestId("choose-camera")
    .locator("option")
    .evaluateAll((all) => all.map(({ value }) => value));
  await page.getByTestId("choose-camera").selectOption(
    ids.find((id) => id !== before),
    { timeout },
  );
  await until("the other is tried", async () => (await liveCameras()).some((id) => id !== before));
  await page.getByTestId("choose-camera").selectOption(before, { timeout });
  await until("the first is tried again", async () => (await liveCameras()).join() === before);
  await click("devices-close");
  await until(
    "one is sent, and live",
    async () => (await liveCameras()).join() === before && (await sent()) === before,
  );
  assert.equal(await isOff(), false);
});
