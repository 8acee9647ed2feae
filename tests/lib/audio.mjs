/**
 * Finds the tones and beeps of media-code.mjs in sound.
 *
 * Samples are Float32Arrays in -1..1, one channel, `rateHz` samples a second.
 *
 * - `goertzelAmplitude(samples, rateHz, hz, start, count)`: amplitude of one pitch in a window
 * - `peak(samples)`, `rms(samples)`
 * - `toneShare(samples, rateHz, source)`: in how much of the sound (0..1) the source's tone is heard
 * - `longestSilenceMs(samples, rateHz, sources)`: the longest time in which none of these sources' tones is heard
 * - `sequenceMatch(samples, rateHz, source, wallAtStartMs)`: how well the hops follow the plan (0..1)
 * - `findBeeps(samples, rateHz, source)`: when the source's beeps begin, in seconds
 */
import { bandHz, beepGain, beepHz, beepMs, toneGain, toneHz } from "./media-code.mjs";

const TONE_WINDOW_S = 0.2;
const BEEP_WINDOW_S = 0.02;
const BEEP_STEP_S = 0.0025;
/** A tone counts as heard at a quarter of the amplitude it was sent with. */
const HEARD = 0.25;

/** Amplitude of the pitch `hz`, with a Hann window so that neighbouring pitches stay apart. */
export function goertzelAmplitude(samples, rateHz, hz, start = 0, count = samples.length - start) {
  const coefficient = 2 * Math.cos((2 * Math.PI * hz) / rateHz);
  let [previous, beforePrevious, windowSum] = [0, 0, 0];
  for (let index = 0; index < count; index++) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (index + 0.5)) / count);
    const current = (samples[start + index] ?? 0) * window + coefficient * previous - beforePrevious;
    beforePrevious = previous;
    previous = current;
    windowSum += window;
  }
  const power = previous ** 2 + beforePrevious ** 2 - coefficient * previous * beforePrevious;
  return (2 * Math.sqrt(Math.max(0, power))) / windowSum;
}

export function peak(samples) {
  let highest = 0;
  for (const sample of samples) highest = Math.max(highest, Math.abs(sample));
  return highest;
}

export function rms(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length);
}

/** The part of all windows in which one of the source's four pitches is heard. */
export function toneShare(samples, rateHz, source) {
  let [heard, windows] = [0, 0];
  for (const { start, count } of windowsOf(samples, rateHz, TONE_WINDOW_S)) {
    windows += 1;
    if (isHeard(samples, rateHz, source, start, count)) heard += 1;
  }
  return windows === 0 ? 0 : heard / windows;
}

/** In whole windows; sound without any is one silence. */
export function longestSilenceMs(samples, rateHz, sources) {
  let [silence, longest] = [0, 0];
  for (const { start, count } of windowsOf(samples, rateHz, TONE_WINDOW_S)) {
    const heard = sources.some((source) => isHeard(samples, rateHz, source, start, count));
    silence = heard ? 0 : silence + count;
    longest = Math.max(longest, silence);
  }
  return (longest / rateHz) * 1_000;
}

function isHeard(samples, rateHz, source, start, count) {
  const loudest = Math.max(...bandHz(source).map((hz) => goertzelAmplitude(samples, rateHz, hz, start, count)));
  return loudest > toneGain * HEARD;
}

/**
 * The part of the windows whose loudest pitch of the source's band is the planned one, when sample
 * 0 was sent at `wallAtStartMs`. Windows in which the plan hops are left out. Chance gives 0.25.
 */
export function sequenceMatch(samples, rateHz, source, wallAtStartMs) {
  let [right, windows] = [0, 0];
  for (const { start, count } of windowsOf(samples, rateHz, TONE_WINDOW_S)) {
    const fromMs = wallAtStartMs + (start / rateHz) * 1_000;
    const planned = toneHz(source, fromMs);
    if (planned !== toneHz(source, fromMs + TONE_WINDOW_S * 1_000)) continue;
    windows += 1;
    const amplitudes = bandHz(source).map((hz) => [goertzelAmplitude(samples, rateHz, hz, start, count), hz]);
    const [loudest, hz] = amplitudes.reduce((best, next) => (next[0] > best[0] ? next : best));
    if (loudest > 0 && hz === planned) right += 1;
  }
  return windows === 0 ? 0 : right / windows;
}

/** Seconds at which the source's beeps begin: where the beep's envelope passes half its height. */
export function findBeeps(samples, rateHz, source) {
  const hz = beepHz(source);
  const count = Math.round(BEEP_WINDOW_S * rateHz);
  const step = Math.round(BEEP_STEP_S * rateHz);
  const envelope = [];
  for (let start = 0; start + count <= samples.length; start += step) {
    envelope.push(goertzelAmplitude(samples, rateHz, hz, start, count));
  }
  const threshold = beepGain * HEARD;
  const beeps = [];
  for (let index = 1; index < envelope.length; index++) {
    if (envelope[index] < threshold || envelope[index - 1] >= threshold) continue;
    const length = Math.round(beepMs / 1_000 / BEEP_STEP_S);
    const body = envelope.slice(index, index + length);
    const half = Math.max(...body) / 2;
    // A beep that began before the first sample has no onset, and a click is no beep.
    const loudSteps = body.filter((amplitude) => amplitude > threshold).length;
    if (loudSteps < length / 2) continue;
    let onset = index;
    while (onset > 0 && envelope[onset - 1] >= half) onset -= 1;
    while (onset < envelope.length && envelope[onset] < half) onset += 1;
    // At half height the window is half inside the beep.
    beeps.push((onset * step + count / 2) / rateHz);
    index += length;
  }
  return beeps;
}

function* windowsOf(samples, rateHz, seconds) {
  const count = Math.round(seconds * rateHz);
  for (let start = 0; start + count <= samples.length; start += count) yield { start, count };
}
