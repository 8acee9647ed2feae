/** How large the composed picture is: no larger than what arrives can fill, and than this device can encode. Pure. */
import { layOut, type Tile } from "./layout.js";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A picture that arrives, and its own size; null before its first frame. */
export interface SizedTile extends Tile {
  readonly size: Size | null;
}

/** Parts of the full size. Few, since each change costs a key frame; the smallest still has legible names. */
export const SCALES = [1 / 2, 2 / 3, 1] as const;
/** A picture that is drawn a tenth smaller than it arrives loses nothing that a viewer would miss. */
const SMALL_LOSS = 0.9;

/** The smallest scale at which everybody's picture is drawn about as large as it arrives, `atMost` at the most. */
export function scaleFor(tiles: readonly SizedTile[], full: Size, atMost: number): number {
  const fills = (scale: number) => {
    const { width, height } = scaled(full, scale);
    const layout = layOut(tiles, width, height);
    return tiles.every(({ id, size }) => {
      const area = layout.get(id);
      if (!size || !area) return true;
      return Math.min(area.width / size.width, area.height / size.height) >= SMALL_LOSS;
    });
  };
  return Math.min(SCALES.find(fills) ?? 1, atMost);
}

/** Even, as VP8's chroma wants it. */
export function scaled({ width, height }: Size, scale: number): Size {
  return { width: even(width * scale), height: even(height * scale) };
}

function even(length: number): number {
  return Math.max(2, Math.round(length / 2) * 2);
}
