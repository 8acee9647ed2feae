/**
 * Pictures as planes of brightness and colour (I420), as decoders give and encoders take them: drawn, scaled and labeled
 * without a canvas.
 *
 * A canvas converts every picture to RGB, and the encoder converts it back: twice the time of what is done here. On a busy
 * machine without a graphics processor drawing one took 100 to 250 ms, though this worker used little of the processor.
 */
import type { Size } from "./canvas-size.js";
import type { Rectangle } from "./layout.js";

/** One picture in one buffer: Y in full size, then U and V in half. */
export interface Planes extends Size {
  readonly y: Plane;
  readonly u: Plane;
  readonly v: Plane;
}

export interface Plane {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  /** From one sample to the next: 2 where U and V alternate (NV12). */
  readonly step: number;
}

export interface Color {
  readonly y: number;
  readonly u: number;
  readonly v: number;
}

/** What is laid over a picture: for each pixel how much of it, 0 to 255, and how bright it is. Without colour. */
export interface Overlay extends Size {
  readonly alpha: Uint8Array;
  readonly luma: Uint8Array;
}

/** Even sizes. `bytes` is all of it, as `VideoFrame` takes it. */
export function newPlanes({ width, height }: Size): Planes & { readonly bytes: Uint8Array<ArrayBuffer> } {
  const [halfWidth, halfHeight] = [width / 2, height / 2];
  const bytes = new Uint8Array((width * height * 3) / 2);
  const plane = (from: number, w: number, h: number): Plane => {
    return { data: bytes.subarray(from, from + w * h), width: w, height: h, stride: w, step: 1 };
  };
  return {
    width,
    height,
    bytes,
    y: plane(0, width, height),
    u: plane(width * height, halfWidth, halfHeight),
    v: plane(width * height + halfWidth * halfHeight, halfWidth, halfHeight),
  };
}

/** What `VideoFrame.copyTo` wrote, as planes; null for formats that have none of this kind. */
export function planesOf(
  format: VideoPixelFormat | null,
  { width, height }: Size,
  data: Uint8Array,
  layout: readonly PlaneLayout[],
): Planes | null {
  const [y, u, v] = layout;
  if (!y || !u) return null;
  const [halfWidth, halfHeight] = [(width + 1) >> 1, (height + 1) >> 1];
  const plane = ({ offset, stride }: PlaneLayout, w: number, h: number, step = 1, shift = 0): Plane => {
    return { data: data.subarray(offset + shift), width: w, height: h, stride, step };
  };
  const luma = plane(y, width, height);
  if ((format === "I420" || format === "I420A") && v) {
    return { width, height, y: luma, u: plane(u, halfWidth, halfHeight), v: plane(v, halfWidth, halfHeight) };
  }
  if (format !== "NV12") return null;
  return { width, height, y: luma, u: plane(u, halfWidth, halfHeight, 2), v: plane(u, halfWidth, halfHeight, 2, 1) };
}

/** BT.601, limited range, as WebRTC's decoders give it. From 0 to 255 each. */
export function colorOf(red: number, green: number, blue: number): Color {
  return {
    y: Math.round(16 + 0.257 * red + 0.504 * green + 0.098 * blue),
    u: Math.round(128 - 0.148 * red - 0.291 * green + 0.439 * blue),
    v: Math.round(128 + 0.439 * red - 0.368 * green - 0.071 * blue),
  };
}

/** Rectangles have even edges here and below. */
export function fill(target: Planes, area: Rectangle, { y, u, v }: Color): void {
  fillPlane(target.y, area, y);
  fillPlane(target.u, halved(area), u);
  fillPlane(target.v, halved(area), v);
}

/** Scales `source` into the rectangle. */
export function draw(target: Planes, source: Planes, area: Rectangle): void {
  scalePlane(target.y, source.y, area);
  scalePlane(target.u, source.u, halved(area));
  scalePlane(target.v, source.v, halved(area));
}

/** Lays `overlay` over the picture, its upper left corner at an even (x, y). */
export function blend(target: Planes, { width, height, alpha, luma }: Overlay, x: number, y: number): void {
  const mix = (plane: Plane, at: number, value: number, share: number) => {
    const before = plane.data[at] ?? 0;
    plane.data[at] = before + Math.round(((value - before) * share) / 255);
  };
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      mix(target.y, (y + row) * target.y.stride + x + column, luma[at] ?? 0, alpha[at] ?? 0);
      if (row % 2 || column % 2) continue;
      const chromaAt = ((y + row) >> 1) * target.u.stride + ((x + column) >> 1);
      mix(target.u, chromaAt, 128, alpha[at] ?? 0);
      mix(target.v, chromaAt, 128, alpha[at] ?? 0);
    }
  }
}

/** Brightness at a few places, each the mean of four pixels: tells a changing picture from a frozen one. */
export function sampleOf({ y: { data, width, height, stride } }: Planes, columns: number, rows: number): Uint16Array {
  const sample = new Uint16Array(columns * rows);
  for (let index = 0; index < sample.length; index++) {
    const x = Math.min(Math.floor((((index % columns) + 0.5) / columns) * width), width - 2);
    const row = Math.min(Math.floor(((Math.floor(index / columns) + 0.5) / rows) * height), height - 2);
    const at = row * stride + x;
    sample[index] = (data[at] ?? 0) + (data[at + 1] ?? 0) + (data[at + stride] ?? 0) + (data[at + stride + 1] ?? 0);
  }
  return sample;
}

/** RGBA, as canvases give it, into planes of the same size. */
export function planesOfRgba({ data, width, height }: ImageData): Planes {
  const planes = newPlanes({ width: width & ~1, height: height & ~1 });
  for (let row = 0; row < planes.height; row++) {
    for (let column = 0; column < planes.width; column++) {
      const at = (row * width + column) * 4;
      const color = colorOf(data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0);
      planes.y.data[row * planes.width + column] = color.y;
      if (row % 2 || column % 2) continue;
      const chromaAt = (row >> 1) * planes.u.stride + (column >> 1);
      planes.u.data[chromaAt] = color.u;
      planes.v.data[chromaAt] = color.v;
    }
  }
  return planes;
}

function halved({ x, y, width, height }: Rectangle): Rectangle {
  return { x: x >> 1, y: y >> 1, width: width >> 1, height: height >> 1 };
}

function fillPlane({ data, stride }: Plane, { x, y, width, height }: Rectangle, value: number): void {
  for (let row = y; row < y + height; row++) data.fill(value, row * stride + x, row * stride + x + width);
}

/** Bilinear, in steps of 1/256; where the picture shrinks to less than half, of every second pixel or fewer. */
function scalePlane(target: Plane, source: Plane, { x, y, width, height }: Rectangle): void {
  const from = source.data;
  const to = target.data;
  const { step, stride } = source;
  const [lastColumn, lastRow] = [source.width - 1, source.height - 1];
  if (step === 1 && source.width === width && source.height === height) {
    for (let row = 0; row < height; row++)
      to.set(from.subarray(row * stride, row * stride + width), (y + row) * target.stride + x);
    return;
  }
  const lefts = new Int32Array(width);
  const rights = new Int32Array(width);
  const shares = new Int32Array(width);
  for (let column = 0; column < width; column++) {
    const at = Math.min(Math.max(((column + 0.5) * source.width) / width - 0.5, 0), lastColumn);
    const left = Math.floor(at);
    lefts[column] = left * step;
    rights[column] = Math.min(left + 1, lastColumn) * step;
    shares[column] = Math.round((at - left) * 256);
  }
  for (let row = 0; row < height; row++) {
    const at = Math.min(Math.max(((row + 0.5) * source.height) / height - 0.5, 0), lastRow);
    const above = Math.floor(at);
    const share = Math.round((at - above) * 256);
    const upper = above * stride;
    const lower = Math.min(above + 1, lastRow) * stride;
    const out = (y + row) * target.stride + x;
    for (let column = 0; column < width; column++) {
      const left = lefts[column] as number;
      const right = rights[column] as number;
      const across = shares[column] as number;
      const top = (from[upper + left] as number) * (256 - across) + (from[upper + right] as number) * across;
      const bottom = (from[lower + left] as number) * (256 - across) + (from[lower + right] as number) * across;
      to[out + column] = (top * (256 - share) + bottom * share + 32_768) >> 16;
    }
  }
}
