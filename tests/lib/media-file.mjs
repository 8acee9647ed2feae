/**
 * What a recording holds: ffmpeg decodes it, code-reader.mjs and audio.mjs look.
 *
 *     const media = await measureMedia("opened.webm");
 *     media.duration_s, media.video_frames, media.audio_peak, media.av_offset_ms
 *     media.sources;   // Map: source -> { frames, firstMs, lastMs, wallMs, gapMaxMs, toneShare, beeps, offsetsMs }
 *
 * `av_offset_ms` is how much later the sound comes than the picture (negative: earlier), the median
 * over all beeps whose second is seen in the picture; null when there is none.
 *
 * - `decodeVideo(file, onFrame)` calls back with `{ index, width, height, luma }`; resolves with the
 *   frames' times in seconds
 * - `decodeAudio(file, rateHz)` gives samples that begin at time 0 of the file, gaps as silence
 * - `longestSoundHoleMs(file)`: the longest time without a packet of sound
 * - `decodeStrictly(file)` rejects with ffmpeg's words at anything that does not decode, up to the last byte
 * - `probe(file)` gives ffprobe's format and streams
 */
import { spawn } from "node:child_process";
import { ensure } from "../../scripts/setup.mjs";
import { capture, captureBytes } from "../../scripts/lib/run.mjs";
import { findBeeps, peak, toneShare } from "./audio.mjs";
import { readCodes } from "./code-reader.mjs";
import { wallClockMs } from "./media-code.mjs";

const AUDIO_RATE_HZ = 16_000;

/**
 * @param {string} file
 * @param {{aroundMs?: number}} [options] when the recording was made, to within three weeks
 */
export async function measureMedia(file, { aroundMs = Date.now() } = {}) {
  const info = await probe(file);
  const frames = info.streams.some((stream) => stream.codec_type === "video") ? await readCodesOf(file) : [];
  const hasAudio = info.streams.some((stream) => stream.codec_type === "audio");
  const samples = hasAudio ? await decodeAudio(file, AUDIO_RATE_HZ) : new Float32Array(0);
  const sources = new Map();
  for (const source of new Set(frames.flatMap(({ codes }) => codes.map((code) => code.source)))) {
    sources.set(source, measureSource(frames, samples, source, aroundMs));
  }
  const offsets = [...sources.values()].flatMap((source) => source.offsetsMs);
  const lastFrameS = frames.at(-1)?.ptsS ?? 0;
  return {
    duration_s: Math.max(lastFrameS, samples.length / AUDIO_RATE_HZ),
    video_frames: frames.length,
    audio_peak: peak(samples),
    av_offset_ms: offsets.length === 0 ? null : median(offsets),
    sources,
  };
}

function measureSource(frames, samples, source, aroundMs) {
  const seen = frames.flatMap(({ ptsS, codes }) => {
    const code = codes.find((candidate) => candidate.source === source);
    return code ? [{ ptsS, wallMs: wallClockMs(code.timeMs, aroundMs) }] : [];
  });
  const beeps = findBeeps(samples, AUDIO_RATE_HZ, source);
  const offsetsMs = beeps.flatMap((beepS) => {
    const wallMs = interpolate(seen, beepS);
    // Beeps are sent at whole seconds: what the picture shows at that moment should be one.
    return wallMs === null ? [] : [wallMs - Math.round(wallMs / 1_000) * 1_000];
  });
  let gapMaxMs = 0;
  for (let index = 1; index < seen.length; index++)
    gapMaxMs = Math.max(gapMaxMs, seen[index].wallMs - seen[index - 1].wallMs);
  return {
    frames: seen.length,
    firstMs: seen[0].wallMs,
    lastMs: seen.at(-1).wallMs,
    wallMs: seen.map(({ wallMs }) => wallMs),
    gapMaxMs,
    toneShare: toneShare(samples, AUDIO_RATE_HZ, source),
    beeps,
    offsetsMs,
  };
}

/** The wall clock that the picture shows at a time of the file; null outside of it. */
function interpolate(seen, atS) {
  const after = seen.findIndex(({ ptsS }) => ptsS >= atS);
  if (after <= 0) return null;
  const [left, right] = [seen[after - 1], seen[after]];
  if (right.ptsS - left.ptsS > 0.5) return null;
  return left.wallMs + ((atS - left.ptsS) / (right.ptsS - left.ptsS)) * (right.wallMs - left.wallMs);
}

/** `[{ ptsS, codes }]` */
async function readCodesOf(file) {
  const frames = [];
  const times = await decodeVideo(file, (picture) => frames.push(readCodes(picture)));
  return frames.map((codes, index) => ({ ptsS: times[index] ?? 0, codes }));
}

export async function decodeVideo(file, onFrame) {
  const { media } = await ensure("media");
  const { streams } = await probe(file);
  const { width, height } = streams.find((stream) => stream.codec_type === "video") ?? {};
  if (!width) throw new Error(`${file} has no picture`);
  const frameBytes = width * height;
  const args = ["-v", "info", "-nostdin", "-i", file, "-an", "-vf", `showinfo=checksum=0,scale=${width}:${height}`];
  const child = spawn(
    media.ffmpeg,
    [...args, "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  const closed = new Promise((resolve) => child.on("close", resolve));
  let index = 0;
  let pending = [];
  let pendingBytes = 0;
  for await (const chunk of child.stdout) {
    pending.push(chunk);
    pendingBytes += chunk.length;
    if (pendingBytes < frameBytes) continue;
    const bytes = Buffer.concat(pending);
    let at = 0;
    for (; at + frameBytes <= bytes.length; at += frameBytes) {
      onFrame({ index, width, height, luma: bytes.subarray(at, at + frameBytes) });
      index += 1;
    }
    pending = [bytes.subarray(at)];
    pendingBytes = bytes.length - at;
  }
  const status = await closed;
  if (status !== 0)
    throw new Error(`ffmpeg could not decode ${file} (${status}):\n${log.split("\n").slice(-8).join("\n")}`);
  return [...log.matchAll(/Parsed_showinfo\S* [^\n]*?pts_time:(-?[\d.]+)/g)].map((match) => Number(match[1]));
}

export async function decodeAudio(file, rateHz) {
  const { media } = await ensure("media");
  const bytes = await captureBytes(media.ffmpeg, [
    ...["-v", "error", "-nostdin", "-i", file, "-vn", "-af", `aresample=${rateHz}:async=1:first_pts=0`],
    ...["-ac", "1", "-f", "f32le", "pipe:1"],
  ]);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length - (bytes.length % 4)));
}

export async function longestSoundHoleMs(file) {
  const { media } = await ensure("media");
  const csv = await capture(media.ffprobe, [
    ...["-v", "error", "-select_streams", "a", "-show_entries", "packet=pts_time", "-of", "csv=p=0", file],
  ]);
  const times = csv.split("\n").map(Number.parseFloat).filter(Number.isFinite);
  let hole = 0;
  for (let index = 1; index < times.length; index++) hole = Math.max(hole, times[index] - times[index - 1]);
  return hole * 1_000;
}

export async function decodeStrictly(file) {
  const { media } = await ensure("media");
  await capture(media.ffmpeg, [
    ...["-v", "error", "-nostdin", "-xerror", "-err_detect", "explode", "-i", file, "-f", "null", "-"],
  ]);
}

export async function probe(file) {
  const { media } = await ensure("media");
  return JSON.parse(
    await capture(media.ffprobe, ["-v", "error", "-show_format", "-show_streams", "-of", "json", file]),
  );
}

export function median(values) {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
