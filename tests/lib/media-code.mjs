/**
 * The test signal that synthetic cameras and microphones send, so that a program can tell from any
 * recording which participant's which frame it sees, and when that frame was made.
 *
 * Pure functions without imports: the page that draws and the reader that looks share them.
 *
 * **Picture.** A panel of 9 x 8 black or white cells, one 72-bit word:
 *
 *     magic 2 | source 5 | flash 1 | frame counter 16 | wall clock in ms, mod 2^32, 32 | CRC-16 16
 *
 * Counter and clock are Gray coded, so few cells change between frames and a low bit rate suffices.
 * Around the cells lie, each one cell wide: a black gap, a white ring by which readers find the
 * panel, and a black margin. The panel is nearly square and 80 % of the picture's height, so that
 * it survives a crop to a square tile. What is left of the picture is tinted by source, and white
 * for the first 100 ms of every second of the wall clock: the flash.
 *
 * **Sound.** A quiet tone that hops every 500 ms through four pitches of the source's own band,
 * and a loud beep of 80 ms at every second of the wall clock, at the source's own pitch.
 */

export const columns = 9;
export const rows = 8;
/** Cells from the panel's outer edge to the first bit: margin, ring, gap. */
export const border = 3;
export const panelColumns = columns + 2 * border;
export const panelRows = rows + 2 * border;
/** The part of the picture's height that the panel takes. */
export const panelHeightRatio = 0.8;

export const flashMs = 100;
export const beepMs = 80;
export const hopMs = 500;
export const beepGain = 0.4;
export const toneGain = 0.1;

const magic = 0b10;
const hops = [0, 1, 3, 2, 0, 2, 1, 3];

/** The 72 cells, row by row, true for white. */
export function encodeCells({ source, flash, frame, timeMs }) {
  const clock = timeMs >>> 0;
  const counter = frame & 0xffff;
  const head = (magic << 6) | ((source & 31) << 1) | (flash ? 1 : 0);
  const body = [head, ...bytesOf(toGray(counter), 2), ...bytesOf(toGray(clock), 4)];
  return [...body, ...bytesOf(crc16(body), 2)].flatMap((byte) =>
    [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => ((byte >> bit) & 1) === 1),
  );
}

/** The word of 72 cells, or null when its checksum is wrong. `timeMs` is modulo 2^32. */
export function decodeCells(cells) {
  const bytes = [];
  for (let index = 0; index < cells.length; index += 8) {
    bytes.push(cells.slice(index, index + 8).reduce((value, cell) => (value << 1) | (cell ? 1 : 0), 0));
  }
  const body = bytes.slice(0, 7);
  if (((bytes[7] << 8) | bytes[8]) !== crc16(body) || body[0] >> 6 !== magic) return null;
  return {
    source: (body[0] >> 1) & 31,
    flash: (body[0] & 1) === 1,
    frame: fromGray((body[1] << 8) | body[2]),
    timeMs: fromGray(((body[3] << 24) | (body[4] << 16) | (body[5] << 8) | body[6]) >>> 0),
  };
}

/** The wall clock (ms since 1970) of a reading, which is the one nearest to `aroundMs`. */
export function wallClockMs(timeMs, aroundMs = Date.now()) {
  const span = 2 ** 32;
  return timeMs + Math.round((aroundMs - timeMs) / span) * span;
}

/** The pitch of a source's tone at a time of the wall clock. 16 sources can be told apart. */
export function toneHz(source, wallMs) {
  const hop = Math.floor(wallMs / hopMs) + source;
  return bandHz(source)[hops[((hop % hops.length) + hops.length) % hops.length]];
}

/** The four pitches of a source's band. */
export function bandHz(source) {
  const lowest = 300 + 100 * (source % 16);
  return [0, 1, 2, 3].map((step) => lowest + 20 * step);
}

export function beepHz(source) {
  return 2200 + 100 * (source % 16);
}

function bytesOf(value, count) {
  return Array.from({ length: count }, (_, index) => (value >>> (8 * (count - 1 - index))) & 0xff);
}

function toGray(value) {
  return (value ^ (value >>> 1)) >>> 0;
}

function fromGray(gray) {
  let value = gray;
  for (let shift = 1; shift < 32; shift *= 2) value = (value ^ (value >>> shift)) >>> 0;
  return value;
}

/** CRC-16/CCITT-FALSE. */
function crc16(bytes) {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}
