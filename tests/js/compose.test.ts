/** What the composing worker decides and computes: how large, when a frame was due, and pictures as planes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { scaled, scaleFor } from "../../worker/compose/canvas-size.js";
import { FrameClock } from "../../worker/compose/frame-clock.js";
import {
  blend,
  colorOf,
  draw,
  fill,
  newPlanes,
  planesOf,
  planesOfRgba,
  sampleOf,
} from "../../worker/compose/planes.js";

const full = { width: 960, height: 540 };
const people = (count: number, width: number, height: number) =>
  Array.from({ length: count }, (_, index) => ({ id: `${index}`, isScreen: false, size: { width, height } }));

test("the picture is no larger than what arrives fills", () => {
  assert.equal(scaleFor(people(3, 256, 144), full, 1), 1 / 2);
  assert.equal(scaleFor(people(3, 320, 180), full, 1), 2 / 3);
  assert.equal(scaleFor(people(3, 640, 360), full, 1), 1);
  assert.equal(scaleFor(people(1, 640, 360), full, 1), 2 / 3);
  assert.equal(scaleFor([{ id: "screen", isScreen: true, size: { width: 1920, height: 1080 } }], full, 1), 1);
});

test("the picture is no larger than the device can encode, and a camera that is off asks for nothing", () => {
  assert.equal(scaleFor(people(3, 640, 360), full, 1 / 2), 1 / 2);
  assert.equal(scaleFor([{ id: "0", isScreen: false, size: null }], full, 1), 1 / 2);
});

test("every size is even and of the full size's shape", () => {
  assert.deepEqual(scaled(full, 1 / 2), { width: 480, height: 270 });
  assert.deepEqual(scaled(full, 2 / 3), { width: 640, height: 360 });
  assert.deepEqual(scaled({ width: 641, height: 359 }, 1), { width: 642, height: 360 });
});

test("a frame that comes late keeps the time at which it was due", () => {
  const clock = new FrameClock();
  const start = 5_000;
  for (let index = 0; index < 200; index++) {
    const lateMs = index % 3 === 0 ? 0 : index % 7 === 0 ? 180 : 40;
    const due = start + index * 66;
    const said = clock.dueAt(index * 66_000, due + lateMs);
    assert.ok(said <= due + lateMs);
    // The first frames may all have been late.
    if (index > 1) assert.ok(Math.abs(said - due) < 1, `${index}: ${said - due}`);
  }
});

test("timestamps that begin again, or a delay that grows for good, are followed", () => {
  const clock = new FrameClock();
  clock.dueAt(90_000_000, 1_000);
  assert.equal(clock.dueAt(0, 2_000), 2_000);
  const grown = new FrameClock();
  for (let at = 0; at < 3_000; at += 100) grown.dueAt(at * 1_000, at);
  let said = 0;
  for (let at = 3_000; at < 20_000; at += 100) said = grown.dueAt(at * 1_000, at + 300);
  assert.equal(said, 19_900 + 300);
});

const gray = (planes: ReturnType<typeof newPlanes>, x: number, y: number) => planes.y.data[y * planes.width + x];

test("a picture is scaled into its place and nowhere else, in all three planes", () => {
  for (const [width, height] of [
    [64, 36],
    [16, 9],
    [31, 17],
    [2, 2],
  ] as const) {
    const source = newPlanes({ width: width * 2, height: height * 2 });
    fill(source, { x: 0, y: 0, width: width * 2, height: height * 2 }, { y: 200, u: 90, v: 160 });
    const target = newPlanes({ width: 64, height: 48 });
    fill(target, { x: 0, y: 0, width: 64, height: 48 }, { y: 16, u: 128, v: 128 });
    draw(target, source, { x: 8, y: 4, width: 40, height: 20 });
    for (let y = 0; y < 48; y++) {
      for (let x = 0; x < 64; x++) {
        const isInside = x >= 8 && x < 48 && y >= 4 && y < 24;
        assert.equal(gray(target, x, y), isInside ? 200 : 16);
        const chromaAt = (y >> 1) * 32 + (x >> 1);
        assert.equal(target.u.data[chromaAt], isInside ? 90 : 128);
        assert.equal(target.v.data[chromaAt], isInside ? 160 : 128);
      }
    }
  }
});

test("scaling keeps a slope a slope", () => {
  const source = newPlanes({ width: 256, height: 2 });
  source.y.data.forEach((_, index, data) => {
    data[index] = index % 256;
  });
  const target = newPlanes({ width: 64, height: 2 });
  draw(target, source, { x: 0, y: 0, width: 64, height: 2 });
  for (let x = 0; x < 64; x++) assert.ok(Math.abs((gray(target, x, 0) ?? 0) - (x * 4 + 1.5)) <= 1);
});

test("a decoder's planes are read with their strides, U and V side by side or in turn", () => {
  const data = Uint8Array.from({ length: 200 }, (_, index) => index);
  const i420 = planesOf("I420", { width: 4, height: 4 }, data, [
    { offset: 0, stride: 8 },
    { offset: 40, stride: 4 },
    { offset: 60, stride: 4 },
  ]);
  const nv12 = planesOf("NV12", { width: 4, height: 4 }, data, [
    { offset: 0, stride: 8 },
    { offset: 40, stride: 8 },
  ]);
  assert.ok(i420 && nv12);
  const copyOf = (planes: typeof i420) => {
    const target = newPlanes({ width: 4, height: 4 });
    draw(target, planes, { x: 0, y: 0, width: 4, height: 4 });
    return target;
  };
  assert.deepEqual([...copyOf(i420).y.data.slice(4, 8)], [8, 9, 10, 11]);
  assert.deepEqual([...copyOf(i420).u.data], [40, 41, 44, 45]);
  assert.deepEqual([...copyOf(i420).v.data], [60, 61, 64, 65]);
  assert.deepEqual([...copyOf(nv12).u.data], [40, 42, 48, 50]);
  assert.deepEqual([...copyOf(nv12).v.data], [41, 43, 49, 51]);
  assert.equal(planesOf("RGBA", { width: 4, height: 4 }, data, [{ offset: 0, stride: 16 }]), null);
});

test("colours come back as they were, within what eight bits lose", () => {
  for (const [red, green, blue] of [
    [0, 0, 0],
    [255, 255, 255],
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [0x24, 0x2a, 0x31],
  ] as const) {
    const { y, u, v } = colorOf(red, green, blue);
    const back = [
      1.164 * (y - 16) + 1.596 * (v - 128),
      1.164 * (y - 16) - 0.392 * (u - 128) - 0.813 * (v - 128),
      1.164 * (y - 16) + 2.017 * (u - 128),
    ];
    for (const [index, value] of [red, green, blue].entries()) assert.ok(Math.abs((back[index] ?? 0) - value) <= 4);
  }
  const data = new Uint8ClampedArray(4 * 4 * 2).fill(255);
  const white = planesOfRgba({ data, width: 4, height: 2 } as ImageData);
  assert.deepEqual([...white.y.data], Array(8).fill(colorOf(255, 255, 255).y));
});

test("a label lies over the picture as much as it is opaque", () => {
  const target = newPlanes({ width: 8, height: 8 });
  fill(target, { x: 0, y: 0, width: 8, height: 8 }, { y: 100, u: 60, v: 200 });
  const alpha = Uint8Array.from([255, 255, 0, 0, 255, 255, 0, 0]);
  blend(target, { width: 4, height: 2, alpha, luma: new Uint8Array(8).fill(235) }, 2, 4);
  assert.deepEqual([...target.y.data.slice(4 * 8, 5 * 8)], [100, 100, 235, 235, 100, 100, 100, 100]);
  assert.deepEqual([...target.u.data.slice(2 * 4, 3 * 4)], [60, 128, 60, 60]);
});

test("a picture that changed anywhere that is looked at gives another sample, the same picture the same", () => {
  const picture = newPlanes({ width: 64, height: 36 });
  const before = sampleOf(picture, 16, 9);
  assert.deepEqual(sampleOf(picture, 16, 9), before);
  fill(picture, { x: 20, y: 10, width: 8, height: 8 }, { y: 99, u: 0, v: 0 });
  assert.notDeepEqual(sampleOf(picture, 16, 9), before);
});
