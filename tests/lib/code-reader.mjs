/**
 * Finds and reads the panels of media-code.mjs in grey pictures, whole or composed of tiles.
 *
 *     readCodes({ width, height, luma })
 *       -> [{ source, frame, timeMs, flash, backgroundLevel, box: { left, top, width, height } }]
 *
 * `luma` holds width x height bytes, row by row. Only panels whose checksum is right are returned;
 * a picture of noise gives none. `backgroundLevel` is the brightness beside the panel between its
 * own black (0) and white (1): the flash as it can be seen, independent of the `flash` bit.
 */
import { border, columns, decodeCells, panelColumns, panelRows, rows } from "./media-code.mjs";

const RING_COLUMNS = panelColumns - 2;
const RING_ROWS = panelRows - 2;
/** A ring smaller than this has cells of less than 2 pixels: nothing to be read. */
const MIN_RING_PX = 2 * RING_COLUMNS;
const WHITE = 128;

export function readCodes(picture) {
  const codes = [];
  for (const ring of findRings(picture)) {
    const code = readPanel(picture, ring);
    if (code) codes.push(code);
  }
  return codes;
}

/** Bounding boxes of connected white areas that have the proportions and the emptiness of a ring. */
function findRings({ width, height, luma }) {
  const seen = new Uint8Array(width * height);
  const stack = [];
  const rings = [];
  for (let start = 0; start < luma.length; start++) {
    if (seen[start] || luma[start] < WHITE) continue;
    let [left, right, top, bottom, area] = [width, 0, height, 0, 0];
    stack.push(start);
    seen[start] = 1;
    while (stack.length > 0) {
      const at = stack.pop();
      const x = at % width;
      const y = (at - x) / width;
      area += 1;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
      if (x > 0) visit(at - 1);
      if (x < width - 1) visit(at + 1);
      if (y > 0) visit(at - width);
      if (y < height - 1) visit(at + width);
    }
    const box = { left, top, width: right - left + 1, height: bottom - top + 1 };
    if (looksLikeRing(box, area)) rings.push(box);
  }
  return rings;

  function visit(at) {
    if (seen[at] || luma[at] < WHITE) return;
    seen[at] = 1;
    stack.push(at);
  }
}

function looksLikeRing(box, area) {
  if (box.width < MIN_RING_PX) return false;
  const proportion = (box.width / box.height) * (RING_ROWS / RING_COLUMNS);
  const whole = RING_COLUMNS * RING_ROWS;
  const filled = area / (box.width * box.height);
  const expected = (whole - (RING_COLUMNS - 2) * (RING_ROWS - 2)) / whole;
  return proportion > 0.8 && proportion < 1.25 && filled > expected * 0.5 && filled < expected * 1.7;
}

function readPanel(picture, ring) {
  const cellWidth = ring.width / RING_COLUMNS;
  const cellHeight = ring.height / RING_ROWS;
  /** Mean brightness of the middle of a cell; coordinates count from the ring's outer corner. */
  const level = (column, row) => {
    const left = ring.left + (column + 0.25) * cellWidth;
    const top = ring.top + (row + 0.25) * cellHeight;
    return meanLuma(picture, left, top, cellWidth / 2, cellHeight / 2);
  };
  const white = (level(0, RING_ROWS / 2) + level(RING_COLUMNS - 1, RING_ROWS / 2)) / 2;
  const black = (level(1, RING_ROWS / 2) + level(RING_COLUMNS - 2, RING_ROWS / 2)) / 2;
  if (white - black < 32) return null;
  const threshold = (white + black) / 2;
  const cells = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      cells.push(level(border - 1 + column, border - 1 + row) > threshold);
  }
  const code = decodeCells(cells);
  if (!code) return null;
  return { ...code, backgroundLevel: (level(-2, RING_ROWS / 2) - black) / (white - black), box: ring };
}

function meanLuma({ width, height, luma }, left, top, boxWidth, boxHeight) {
  const x0 = clamp(Math.round(left), width);
  const x1 = Math.max(x0 + 1, clamp(Math.round(left + boxWidth), width + 1));
  const y0 = clamp(Math.round(top), height);
  const y1 = Math.max(y0 + 1, clamp(Math.round(top + boxHeight), height + 1));
  let sum = 0;
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += luma[y * width + x];
  return sum / ((x1 - x0) * (y1 - y0));
}

function clamp(value, limit) {
  return Math.min(Math.max(value, 0), limit - 1);
}
