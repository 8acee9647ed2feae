/**
 * A recorder that stays behind another tab, with the browser's throttling on: what it recorded meanwhile, and what
 * its browser held.
 *
 *     const stay = await stayHidden(recorder, 420);
 *     const told = await judgeHidden(stay, openedFile);
 *
 * Picture at 90 % or more of the rate that it had in front, no gap in it, no hole in the sound, and sound and picture as
 * far from each other at the end as in the first seconds. What all the browser's processes hold is told, memory and open
 * files, and over a long time neither may grow.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { longestSoundHoleMs, measureMedia, median } from "../lib/media-file.mjs";

const FRONT_MS = 12_000;
const SAMPLE_EVERY_S = 10;
const SHARE_LIMIT = 0.9;
/** A tab behind another may not make gaps that one in front does not. */
const GAP_LIMIT_MS = 200;
const GAP_LIMIT_OF_FRONT = 2;
/** Long enough for the stricter limits. */
const LONG_S = 400;
/** From so long on, the slopes of memory and files say something, once caches are filled. */
const SLOPE_S = 800;
const FILLED_S = 120;
/** Garbage of 15 MB comes and goes: over a quarter of an hour, that is a slope too. */
const MEMORY_LIMIT_MB_PER_H = 60;
const FILES_LIMIT_PER_H = 60;
/** Sound against picture, at the end against the beginning. Short runs are for machines that do other work too. */
const DRIFT_LIMIT_MS = 40;
const SHORT_DRIFT_LIMIT_MS = 80;
/** There is one each second; the picture beside it is up to two frames old. */
const BEEPS = 30;
const SHORT_BEEPS = 8;
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
  // As people's browsers are: one that is watched would keep everything that was uploaded.
  await recorder.unwatched(async () => {
    for (let second = 0; second < seconds; second += SAMPLE_EVERY_S) {
      samples.push(await sampleOf(recorder.browser));
      await sleep(Math.min(SAMPLE_EVERY_S, seconds - second) * 1_000);
    }
  });
  const { hidden } = await recorder.do((page) => page.status());
  const to = Date.now() - 1_000;
  return { seconds, frontFrom, frontTo, from, to, wasHidden: hidden, samples };
}

export async function judgeHidden({ seconds, frontFrom, frontTo, from, to, wasHidden, samples }, file) {
  const isLong = seconds >= LONG_S;
  const told = { ok: wasHidden, seconds, sources: [], gap_limit_ms: GAP_LIMIT_MS };
  const { sources } = await measureMedia(file, { aroundMs: from });
  told.ok &&= sources.size === 2;
  for (const [source, { wallMs, offsetsMs }] of sources) {
    // The same picture again is no new one.
    const seen = wallMs.filter((at, index) => at !== wallMs[index - 1]);
    const rate = (begin, end) => (seen.filter((at) => at >= begin && at < end).length * 1_000) / (end - begin);
    const longestGap = (begin, end) => {
      const inside = seen.filter((at) => at >= begin && at <= end);
      return Math.max(...inside.slice(1).map((at, index) => at - inside[index]));
    };
    const [gapMs, frontGapMs] = [longestGap(from, to), longestGap(frontFrom, frontTo)];
    const share = rate(from, to) / rate(frontFrom, frontTo);
    // Of the first seconds, and of the last.
    const beeps = isLong ? BEEPS : SHORT_BEEPS;
    const ends = [offsetsMs.slice(0, beeps), offsetsMs.slice(-beeps)];
    told.ok &&= offsetsMs.length >= 2 * beeps;
    told.sources.push({
      source,
      fps: round(rate(from, to)),
      share: round(share),
      gap_ms: Math.round(gapMs),
      front_gap_ms: Math.round(frontGapMs),
      av_offset_ms: ends.map((some) => Math.round(median(some))),
    });
    const limitMs = Math.max(GAP_LIMIT_MS, GAP_LIMIT_OF_FRONT * frontGapMs);
    told.gap_limit_ms = Math.max(told.gap_limit_ms, Math.round(limitMs));
    told.ok &&= share >= SHARE_LIMIT && gapMs <= limitMs;
  }
  told.sound_hole_ms = Math.round(await longestSoundHoleMs(file));
  told.ok &&= told.sound_hole_ms <= told.gap_limit_ms;
  told.drift_ms = Math.max(...told.sources.map(({ av_offset_ms: [begin, end] }) => Math.abs(end - begin)));
  told.ok &&= told.drift_ms <= (isLong ? DRIFT_LIMIT_MS : SHORT_DRIFT_LIMIT_MS);
  const held = holdings(samples);
  if (seconds < SLOPE_S) return { ...told, ...held };
  const grown = growths(samples);
  told.ok &&= grown.memory_growth_mb_per_h <= MEMORY_LIMIT_MB_PER_H && grown.files_growth_per_h <= FILES_LIMIT_PER_H;
  return { ...told, ...held, ...grown };
}

/** Of each of the browser's processes, by its type: megabytes of its own, that is, not of its program's files; open files. */
async function sampleOf(browser) {
  const sample = { hour: Date.now() / HOUR_MS, files: 0, byType: {} };
  for (const { id, type } of await browser.processes()) {
    try {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      const kilobytes = [...status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+)/gm)].map((match) => Number(match[1]));
      sample.files += readdirSync(`/proc/${id}/fd`).length;
      sample.byType[type] = (sample.byType[type] ?? 0) + sum(kilobytes) / 1_024;
    } catch {
      // Ended meanwhile.
    }
  }
  return sample;
}

function holdings(samples) {
  const files = samples.map((sample) => sample.files);
  return {
    memory_mb: Math.round(sum(Object.values(samples.at(-1)?.byType ?? {}))),
    files: { least: Math.min(...files), most: Math.max(...files) },
  };
}

function growths(samples) {
  const filled = samples.slice(FILLED_S / SAMPLE_EVERY_S);
  const growth = (of) => round(slope(filled.map((sample) => [sample.hour, of(sample)])));
  // Of what was there then: browsers start services of their own in between.
  const types = Object.keys(filled[0].byType);
  const grown = Object.fromEntries(types.map((type) => [type, growth(({ byType }) => byType[type] ?? 0)]));
  return {
    memory_growth_mb_per_h: round(sum(Object.values(grown))),
    memory_growth_by_type: grown,
    files_growth_per_h: growth((sample) => sample.files),
  };
}

/** Of the straight line that is nearest to the points, by least squares. */
function slope(points) {
  const mean = (index) => sum(points.map((point) => point[index])) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  return sum(points.map(([x, y]) => (x - meanX) * (y - meanY))) / sum(points.map(([x]) => (x - meanX) ** 2));
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function round(value) {
  return Math.round(value * 100) / 100;
}
