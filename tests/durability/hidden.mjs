/**
 * A recorder that stays behind another tab, with the browser's throttling on: what it recorded meanwhile, and what
 * its browser held.
 *
 *     const stay = await stayHidden(recorder, 420);
 *     const told = await judgeHidden(stay, openedFile, { gapLimitMs: 200 });
 *
 * Picture at 90 % or more of the rate that it had in front, no gap in it, no hole in the sound, and sound and picture as
 * far from each other at the end as in the first seconds. What all the browser's processes hold is told: memory, open
 * files, and over a long time how both grow.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { wallClockMs } from "../lib/media-code.mjs";
import { longestSoundHoleMs, measureMedia, readCodesOf } from "../lib/media-file.mjs";

const FRONT_MS = 12_000;
const SAMPLE_EVERY_S = 10;
const SHARE_LIMIT = 0.9;
/** From so long on, the slope of memory says something. */
const LONG_S = 400;
/** Sound against picture, at the end against the beginning. Short runs are for machines that do other work, too. */
const DRIFT_LIMIT_MS = 40;
const SHORT_DRIFT_LIMIT_MS = 80;
/** There is one each second. */
const BEEPS = 8;
const HOUR_MS = 3_600_000;

/** In front for a while, as a measure; then behind another tab. Wall clock times. */
export async function stayHidden(recorder, seconds) {
  await recorder.tab.bringToFront();
  const frontFrom = Date.now() + 2_000;
  await sleep(FRONT_MS);
  const frontTo = Date.now();
  await recorder.front.bringToFront();
  const from = Date.now() + 1_000;
  const samples = [];
  for (let second = 0; second < seconds; second += SAMPLE_EVERY_S) {
    samples.push(await sampleOf(recorder.browser));
    await sleep(Math.min(SAMPLE_EVERY_S, seconds - second) * 1_000);
  }
  const { hidden } = await recorder.do((page) => page.status());
  const to = Date.now() - 1_000;
  return { seconds, frontFrom, frontTo, from, to, wasHidden: hidden, samples };
}

export async function judgeHidden({ seconds, frontFrom, frontTo, from, to, wasHidden, samples }, file, { gapLimitMs }) {
  const isLong = seconds >= LONG_S;
  const told = { ok: wasHidden, seconds, sources: [] };
  const { sources: measured } = await measureMedia(file, { aroundMs: from });
  const pictures = picturesBySource(await readCodesOf(file), from);
  told.ok &&= pictures.size === 2;
  for (const [source, seen] of pictures) {
    const rate = (begin, end) => (seen.filter((at) => at >= begin && at < end).length * 1_000) / (end - begin);
    const inside = seen.filter((at) => at >= from && at <= to);
    const gapMs = Math.max(...inside.slice(1).map((at, index) => at - inside[index]));
    const share = rate(from, to) / rate(frontFrom, frontTo);
    const { offsetsMs } = measured.get(source);
    // Of the first seconds, and of the last.
    const ends = [offsetsMs.slice(0, BEEPS), offsetsMs.slice(-BEEPS)];
    told.ok &&= offsetsMs.length >= 2 * BEEPS;
    told.sources.push({
      source,
      fps: round(rate(from, to)),
      share: round(share),
      gap_ms: Math.round(gapMs),
      av_offset_ms: ends.map((some) => Math.round(median(some))),
    });
    told.ok &&= share >= SHARE_LIMIT && gapMs <= gapLimitMs;
  }
  told.sound_hole_ms = Math.round(await longestSoundHoleMs(file));
  told.ok &&= told.sound_hole_ms <= gapLimitMs;
  told.drift_ms = Math.max(...told.sources.map(({ av_offset_ms: [begin, end] }) => Math.abs(end - begin)));
  told.ok &&= told.drift_ms <= (isLong ? DRIFT_LIMIT_MS : SHORT_DRIFT_LIMIT_MS);
  return { ...told, ...holdings(samples, isLong) };
}

/** The wall clock times that each participant's picture shows. The same picture again is no new one. */
function picturesBySource(frames, aroundMs) {
  const sources = new Map();
  for (const { codes } of frames) {
    for (const { source, timeMs } of codes) {
      const seen = sources.get(source) ?? [];
      const at = wallClockMs(timeMs, aroundMs);
      if (seen.at(-1) !== at) seen.push(at);
      sources.set(source, seen);
    }
  }
  return sources;
}

/** Of each of the browser's processes, by its type: resident megabytes, open files. */
async function sampleOf(browser) {
  const sample = { hour: Date.now() / HOUR_MS, megabytes: 0, files: 0, byType: {} };
  for (const { id, type } of await browser.processes()) {
    try {
      const megabytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0) / 1_024;
      sample.files += readdirSync(`/proc/${id}/fd`).length;
      sample.megabytes += megabytes;
      sample.byType[type] = (sample.byType[type] ?? 0) + megabytes;
    } catch {
      // Ended meanwhile.
    }
  }
  return sample;
}

function holdings(samples, isLong) {
  const files = samples.map((sample) => sample.files);
  const told = {
    memory_mb: Math.round(samples.at(-1)?.megabytes ?? 0),
    files: { least: Math.min(...files), most: Math.max(...files) },
  };
  if (!isLong) return told;
  // Of the second half: before it, caches fill.
  const half = samples.slice(samples.length >> 1);
  const growth = (of) => round(slope(half.map((sample) => [sample.hour, of(sample)])));
  return {
    ...told,
    memory_growth_mb_per_h: growth(({ megabytes }) => megabytes),
    memory_growth_by_type: Object.fromEntries(
      Object.keys(half[0].byType).map((type) => [type, growth(({ byType }) => byType[type] ?? 0)]),
    ),
    files_growth_per_h: growth((sample) => sample.files),
  };
}

/** Of the straight line that is nearest to the points, by least squares. */
function slope(points) {
  const mean = (index) => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const sum = (of) => points.reduce((total, point) => total + of(point), 0);
  return sum(([x, y]) => (x - meanX) * (y - meanY)) / sum(([x]) => (x - meanX) ** 2);
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

function round(value) {
  return Math.round(value * 100) / 100;
}
