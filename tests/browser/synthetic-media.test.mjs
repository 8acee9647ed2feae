/** The test signal itself: drawn and played in Chromium, recorded there, decoded by ffmpeg, read. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";
import { measureMedia } from "../lib/media-file.mjs";
import { installSyntheticMedia } from "../lib/synthetic-media.mjs";

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-media-"));
let site;
let browser;

before(async () => {
  writeFileSync(path.join(directory, "index.html"), "<!doctype html><title>synthetic media</title>");
  site = await serve({ directory });
  // With throttling as people have it: a hidden camera must go on.
  browser = await openBrowser({ name: "media", hideable: true });
  await installSyntheticMedia(browser.context, { participant: 3 });
});

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(directory, { recursive: true, force: true });
});

test("a recording at 150 kbit/s gives every frame's code, the tone, and beeps in time with the picture", async () => {
  const page = await browser.newPage();
  await page.goto(site.url("/"));
  const startedMs = Date.now();
  const file = await record(page, { seconds: 6, videoBitsPerSecond: 150_000 });
  const media = await measureMedia(file);
  const source = media.sources.get(3);
  assert.deepEqual([...media.sources.keys()], [3]);
  assert.ok(source.frames > 6 * 20, `${source.frames} codes read`);
  assert.ok(
    source.frames >= media.video_frames * 0.98,
    `${source.frames} of ${media.video_frames} frames are readable`,
  );
  assert.ok(source.firstMs >= startedMs - 100 && source.lastMs <= Date.now(), "codes carry the wall clock");
  assert.ok(source.toneShare > 0.95, `tone heard in ${source.toneShare} of the windows`);
  assert.ok(source.beeps.length >= 5, `${source.beeps.length} beeps`);
  assert.ok(Math.abs(media.av_offset_ms) < 60, `sound and picture are ${media.av_offset_ms} ms apart`);
  assert.ok(Math.abs(media.duration_s - 6) < 0.6, `${media.duration_s} s long`);
});

test("the picture goes on in a hidden tab", async () => {
  const page = await browser.newPage();
  await page.goto(site.url("/"));
  const recording = record(page, { seconds: 4 });
  const other = await browser.context.newPage();
  await other.bringToFront();
  assert.equal(await page.evaluate(() => document.visibilityState), "hidden");
  const source = (await measureMedia(await recording)).sources.get(3);
  await other.close();
  assert.ok(source.frames > 4 * 20, `${source.frames} frames`);
  assert.ok(source.gapMaxMs < 200, `a gap of ${source.gapMaxMs} ms`);
});

test("freeze stops the codes, silence the tone, and unplugging ends the track", async () => {
  const page = await browser.newPage();
  await page.goto(site.url("/"));
  const file = await record(page, {
    seconds: 4,
    midway: () => {
      globalThis.syntheticMedia.freeze(true);
      globalThis.syntheticMedia.silence(true);
    },
  });
  const source = (await measureMedia(file)).sources.get(3);
  assert.ok(source.lastMs - source.firstMs < 3_000, `codes went on for ${source.lastMs - source.firstMs} ms`);
  assert.ok(source.toneShare < 0.8 && source.toneShare > 0.2, `tone share ${source.toneShare}`);
  const ended = await page.evaluate(async () => {
    const [track] = (await navigator.mediaDevices.getUserMedia({ video: true })).getTracks();
    const event = new Promise((resolve) => track.addEventListener("ended", () => resolve(track.readyState)));
    globalThis.syntheticMedia.unplug("camera");
    return await event;
  });
  assert.equal(ended, "ended");
});

test("devices are listed, chosen by id, and an unknown one is refused", async () => {
  const page = await browser.newPage();
  await page.goto(site.url("/"));
  const answer = await page.evaluate(async () => {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const second = { deviceId: { exact: "synthetic-camera-2" } };
    const [track] = (await navigator.mediaDevices.getUserMedia({ video: second })).getTracks();
    const unknown = await navigator.mediaDevices
      .getUserMedia({ video: { deviceId: { exact: "none" } } })
      .catch((error) => error.name);
    return {
      kinds: devices.map((device) => device.kind).sort(),
      chosen: track.getSettings().deviceId,
      label: track.label,
      unknown,
    };
  });
  assert.deepEqual(answer, {
    kinds: ["audioinput", "audioinput", "audiooutput", "videoinput", "videoinput"],
    chosen: "synthetic-camera-2",
    label: "Synthetic camera 2",
    unknown: "OverconstrainedError",
  });
});

/**
 * Records camera and microphone in the page, as WebM; `midway` runs there after half the time.
 *
 * @param {import("playwright-core").Page} page
 * @param {{ seconds: number, videoBitsPerSecond?: number, midway?: () => void }} options
 */
async function record(page, { seconds, videoBitsPerSecond = 1_000_000, midway }) {
  if (midway) setTimeout(() => page.evaluate(midway), seconds * 500);
  const base64 = await page.evaluate(
    async ({ seconds, videoBitsPerSecond }) => {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      const recorder = new MediaRecorder(stream, { mimeType: "video/webm;codecs=vp8,opus", videoBitsPerSecond });
      const slices = [];
      recorder.ondataavailable = ({ data }) => slices.push(data);
      recorder.start(250);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
      const stopped = new Promise((resolve) => {
        recorder.onstop = resolve;
      });
      recorder.stop();
      await stopped;
      for (const track of stream.getTracks()) track.stop();
      const bytes = new Uint8Array(await new Blob(slices).arrayBuffer());
      let text = "";
      for (const byte of bytes) text += String.fromCharCode(byte);
      return btoa(text);
    },
    { seconds, videoBitsPerSecond },
  );
  const file = path.join(directory, `${process.hrtime.bigint()}.webm`);
  writeFileSync(file, Buffer.from(base64, "base64"));
  return file;
}
