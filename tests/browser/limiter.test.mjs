/** What the recorder's limiter does to sound, rendered by Chromium's own WebAudio. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import * as esbuild from "esbuild";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";

const RATE_HZ = 48_000;
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-limiter-"));
let site;
let browser;
let page;

before(async () => {
  writeFileSync(path.join(directory, "index.html"), "<!doctype html><title>limiter</title>");
  await esbuild.build({
    entryPoints: [inRoot("js", "limiter.ts")],
    bundle: true,
    format: "esm",
    outfile: path.join(directory, "limiter.js"),
  });
  site = await serve({ directory });
  browser = await openBrowser({ name: "limiter" });
  page = await browser.newPage();
  await page.goto(site.url("/index.html"));
});

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(directory, { recursive: true, force: true });
});

test("what one person says quietly or normally passes as it is", async () => {
  for (const gain of [0.01, 0.1, 0.3]) {
    const { peak } = await limited([{ hz: 440, gain }]);
    const changeDb = 20 * Math.log10(peak / gain);
    assert.ok(Math.abs(changeDb) < 0.5, `${gain}: changed by ${changeDb.toFixed(2)} dB`);
  }
});

test("three loud people at once stay below full scale, from the first sample on", async () => {
  const loud = [310, 443, 571].map((hz) => ({ hz, gain: 1 }));
  const { peak, rms } = await limited(loud);
  assert.ok(peak <= 0.92, `peak ${peak}`);
  assert.ok(rms > 0.2, `still loud: ${rms}`);
  const { peak: unlimited } = await limited(loud, { bypassed: true });
  assert.ok(unlimited > 2, `without it: ${unlimited}`);
});

test("nobody is turned down for long after someone else was loud: no pumping", async () => {
  // A quiet voice all along, a loud one from 1.0 to 1.2 s.
  const voices = [
    { hz: 440, gain: 0.1 },
    { hz: 1_500, gain: 1, fromS: 1, toS: 1.2 },
  ];
  const { levels } = await limited(voices, { seconds: 3, levelHz: 440 });
  const at = (seconds) => levels[Math.round(seconds * 20)];
  const before = at(0.8);
  assert.ok(at(1.1) > before * 0.35, `while the other is loud: ${at(1.1)} of ${before}`);
  assert.ok(at(2.2) > before * 0.9, `a second later: ${at(2.2)} of ${before}`);
  // Never faster than can be heard as a jump: 3 dB between two twentieths of a second, once the loud one has ended.
  for (let index = 25; index < levels.length - 1; index++)
    assert.ok(levels[index + 1] < levels[index] * 1.42, `a jump at ${index / 20} s`);
});

test("sound comes out no later than 10 ms", async () => {
  const { firstS } = await limited([{ hz: 1_000, gain: 0.3, fromS: 0.5 }], { seconds: 1 });
  assert.ok(firstS - 0.5 < 0.01, `${(firstS - 0.5) * 1_000} ms`);
});

/** Renders voices through the limiter. `levelHz`: also the level of that pitch, twenty times a second. */
function limited(voices, options = {}) {
  return page.evaluate(render, { voices, rateHz: RATE_HZ, ...options });
}

async function render({ voices, rateHz, seconds = 2, bypassed = false, levelHz }) {
  // @ts-expect-error the page's address of it
  const { makeLimiter } = await import("/limiter.js");
  const context = new OfflineAudioContext(1, seconds * rateHz, rateHz);
  const limiter = makeLimiter(context);
  limiter.output.connect(context.destination);
  for (const { hz, gain, fromS = 0, toS = seconds } of voices) {
    const voice = new OscillatorNode(context, { frequency: hz });
    const level = new GainNode(context, { gain });
    voice.connect(level).connect(bypassed ? context.destination : limiter.input);
    voice.start(fromS);
    voice.stop(toS);
  }
  const samples = (await context.startRendering()).getChannelData(0);
  const sum = samples.reduce((total, sample) => total + sample * sample, 0);
  const levelOf = (from) => {
    let [cosine, sine] = [0, 0];
    for (let n = from; n < from + rateHz / 20; n++) {
      cosine += samples[n] * Math.cos((2 * Math.PI * levelHz * n) / rateHz);
      sine += samples[n] * Math.sin((2 * Math.PI * levelHz * n) / rateHz);
    }
    return Math.hypot(cosine, sine);
  };
  const steps = levelHz ? Math.floor((samples.length * 20) / rateHz) : 0;
  return {
    peak: samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0),
    rms: Math.sqrt(sum / samples.length),
    firstS: samples.findIndex((sample) => Math.abs(sample) > 0.01) / rateHz,
    levels: Array.from({ length: steps }, (_, step) => levelOf((step * rateHz) / 20)),
  };
}
