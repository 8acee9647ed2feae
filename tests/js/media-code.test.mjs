import assert from "node:assert/strict";
import { test } from "node:test";
import { findBeeps, goertzelAmplitude, peak, sequenceMatch, toneShare } from "../lib/audio.mjs";
import { readCodes } from "../lib/code-reader.mjs";
import {
  bandHz,
  beepGain,
  beepHz,
  beepMs,
  border,
  columns,
  decodeCells,
  encodeCells,
  panelColumns,
  panelRows,
  toneGain,
  toneHz,
  wallClockMs,
} from "../lib/media-code.mjs";

const RATE_HZ = 16_000;
const words = [
  { source: 0, flash: false, frame: 0, timeMs: 0 },
  { source: 5, flash: true, frame: 65_535, timeMs: 2 ** 32 - 1 },
  { source: 31, flash: false, frame: 4_660, timeMs: 1_700_000_000_123 % 2 ** 32 },
];

test("a word survives encoding and decoding", () => {
  for (const word of words) assert.deepEqual(decodeCells(encodeCells(word)), word);
});

test("a word with any one or two cells wrong is refused", () => {
  const cells = encodeCells(words[1]);
  for (let first = 0; first < cells.length; first++) {
    for (let second = first; second < cells.length; second++) {
      const bad = cells.map((cell, index) => (index === first || index === second ? !cell : cell));
      assert.equal(decodeCells(bad), null, `cells ${first} and ${second}`);
    }
  }
});

test("the wall clock is unwrapped to the time nearest to the one given", () => {
  const now = 1_790_000_000_000;
  assert.equal(wallClockMs(now % 2 ** 32, now + 5_000), now);
  assert.equal(wallClockMs(now % 2 ** 32, now - 5_000), now);
});

test("reads two panels of different sizes from one picture, by their boxes", () => {
  const picture = grey(640, 360, 70);
  drawPanel(picture, words[0], 10, 20, 18);
  drawPanel(picture, words[2], 400, 100, 6);
  const codes = readCodes(picture).toSorted((left, right) => left.source - right.source);
  assert.deepEqual(
    codes.map(({ source, frame, timeMs }) => ({ source, frame, timeMs })),
    [words[0], words[2]].map(({ source, frame, timeMs }) => ({ source, frame, timeMs })),
  );
  assert.equal(codes[1].box.left, 406);
});

test("reads nothing from noise, from black, or from a panel with one cell painted over", () => {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
  for (let round = 0; round < 20; round++) {
    const noise = grey(320, 180, 0);
    for (let index = 0; index < noise.luma.length; index++) noise.luma[index] = random();
    assert.deepEqual(readCodes(noise), []);
  }
  assert.deepEqual(readCodes(grey(320, 180, 0)), []);
  const spoiled = grey(320, 240, 70);
  drawPanel(spoiled, words[0], 10, 10, 14);
  const white = encodeCells(words[0])[0];
  fill(spoiled, 10 + border * 14, 10 + border * 14, 14, 14, white ? 0 : 255);
  assert.deepEqual(readCodes(spoiled), []);
});

test("the Goertzel filter measures one pitch and not its neighbour's", () => {
  const samples = Float32Array.from(
    { length: RATE_HZ / 5 },
    (_, index) => 0.1 * Math.sin((2 * Math.PI * 400 * index) / RATE_HZ),
  );
  assert.ok(Math.abs(goertzelAmplitude(samples, RATE_HZ, 400) - 0.1) < 0.002);
  assert.ok(goertzelAmplitude(samples, RATE_HZ, 420) < 0.005);
  assert.ok(Math.abs(peak(samples) - 0.1) < 0.001);
});

test("no two sources of sixteen share a pitch", () => {
  const pitches = Array.from({ length: 16 }, (_, source) => [...bandHz(source), beepHz(source)]).flat();
  assert.equal(new Set(pitches).size, pitches.length);
});

test("finds a source's tone, its plan and its beeps in a mix, and not those of an absent one", () => {
  const startMs = 1_790_000_000_250;
  const mix = new Float32Array(RATE_HZ * 10);
  for (const source of [1, 2]) addSound(mix, source, startMs);
  for (const source of [1, 2]) {
    assert.equal(toneShare(mix, RATE_HZ, source), 1);
    assert.ok(sequenceMatch(mix, RATE_HZ, source, startMs) > 0.95);
    assert.ok(sequenceMatch(mix, RATE_HZ, source, startMs + 1_500) < 0.7);
    const beeps = findBeeps(mix, RATE_HZ, source);
    assert.equal(beeps.length, 10);
    for (const [index, beepS] of beeps.entries())
      assert.ok(Math.abs(beepS - (index + 0.75)) < 0.006, `beep ${index} at ${beepS}`);
  }
  assert.ok(toneShare(mix, RATE_HZ, 4) < 0.05);
  assert.deepEqual(findBeeps(mix, RATE_HZ, 5), []);
});

function addSound(samples, source, startMs) {
  let phase = 0;
  for (let index = 0; index < samples.length; index++) {
    const wallMs = startMs + (index / RATE_HZ) * 1_000;
    phase += (2 * Math.PI * toneHz(source, wallMs)) / RATE_HZ;
    samples[index] += toneGain * Math.sin(phase);
    if (wallMs % 1_000 < beepMs)
      samples[index] += beepGain * Math.sin((2 * Math.PI * beepHz(source) * index) / RATE_HZ);
  }
}

function grey(width, height, level) {
  return { width, height, luma: new Uint8Array(width * height).fill(level) };
}

function fill(picture, left, top, width, height, level) {
  for (let y = top; y < top + height; y++)
    picture.luma.fill(level, y * picture.width + left, y * picture.width + left + width);
}

function drawPanel(picture, word, left, top, cell) {
  for (const [inset, level] of [0, 255, 0].entries()) {
    const [width, height] = [(panelColumns - 2 * inset) * cell, (panelRows - 2 * inset) * cell];
    fill(picture, left + inset * cell, top + inset * cell, width, height, level);
  }
  encodeCells(word).forEach((white, index) => {
    const [column, row] = [index % columns, Math.floor(index / columns)];
    if (white) fill(picture, left + (border + column) * cell, top + (border + row) * cell, cell, cell, 255);
  });
}
