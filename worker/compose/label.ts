/** A name as it is laid over a picture: drawn with a canvas once, whenever it changes. */
import { shortened } from "./layout.js";
import type { Overlay } from "./planes.js";

const SHADE = "rgba(0, 0, 0, 0.6)";
const TEXT = "#f4f6f8";

/** Enough for everybody at every size, with and without a note. */
const MOST_LABELS = 200;
const labels = new Map<string, Overlay>();
let context: OffscreenCanvasRenderingContext2D | null = null;

/** `maxWidth` and `pictureHeight` in pixels of the composed picture. */
export function labelFor(text: string, maxWidth: number, pictureHeight: number): Overlay {
  const key = `${maxWidth} ${pictureHeight} ${text}`;
  const known = labels.get(key);
  if (known) return known;
  if (labels.size >= MOST_LABELS) labels.clear();
  const label = drawLabel(text, maxWidth, pictureHeight);
  labels.set(key, label);
  return label;
}

function drawLabel(whole: string, maxWidth: number, pictureHeight: number): Overlay {
  const size = Math.max(12, Math.round(pictureHeight / 36));
  const height = Math.ceil(size * 1.6);
  // One for all labels: making a context has a busy page's worker wait for the page.
  context ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no 2d context for an OffscreenCanvas");
  const { canvas } = context;
  Object.assign(canvas, { width: Math.max(1, Math.floor(maxWidth)), height });
  context.font = `${size}px sans-serif`;
  context.textBaseline = "bottom";
  const room = canvas.width - size;
  const text = shortened(whole, (part) => (context?.measureText(part).width ?? 0) <= room);
  const width = Math.max(1, Math.min(Math.ceil(context.measureText(text).width + size), canvas.width));
  context.fillStyle = SHADE;
  context.fillRect(0, 0, width, height);
  context.fillStyle = TEXT;
  context.fillText(text, size / 2, height - size * 0.3, canvas.width - size);
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = Array.from({ length: width * height }, (_, index) => index * 4);
  return {
    width,
    height,
    alpha: Uint8Array.from(pixels, (at) => data[at + 3] ?? 0),
    // Black, gray and white only: any of the three colours is the brightness, which is 16 to 235 in a plane.
    luma: Uint8Array.from(pixels, (at) => 16 + Math.round(((data[at + 1] ?? 0) * 219) / 255)),
  };
}
