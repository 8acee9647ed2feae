/** Where each picture goes: a grid, or a large screen with the people in a strip beside it. Pure. */

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Tile {
  readonly id: string;
  readonly isScreen: boolean;
}

/** How much of the width a strip of people takes beside a screen. */
const STRIP = 0.22;
const GAP = 4;

/** Rectangles inside `width` x `height`, in the order of `tiles`. */
export function layOut(tiles: readonly Tile[], width: number, height: number): ReadonlyMap<string, Rectangle> {
  const screens = tiles.filter(({ isScreen }) => isScreen);
  const people = tiles.filter(({ isScreen }) => !isScreen);
  const whole = { x: 0, y: 0, width, height };
  if (screens.length === 0) return grid(people, whole);
  if (people.length === 0) return grid(screens, whole);
  const strip = Math.round(width * STRIP);
  const main = grid(screens, { x: 0, y: 0, width: width - strip, height });
  const side = column(people, { x: width - strip, y: 0, width: strip, height });
  return new Map([...main, ...side]);
}

/** As square as it gets: the number of columns that makes 16:9 pictures largest. */
function grid(tiles: readonly Tile[], area: Rectangle): Map<string, Rectangle> {
  let best = { columns: 1, size: 0 };
  for (let columns = 1; columns <= tiles.length; columns++) {
    const rows = Math.ceil(tiles.length / columns);
    const size = Math.min(area.width / columns, (area.height / rows) * (16 / 9));
    // Side by side rather than one above the other, where it makes no difference.
    if (size >= best.size) best = { columns, size };
  }
  const { columns } = best;
  const rows = Math.ceil(tiles.length / columns);
  const rectangles = new Map<string, Rectangle>();
  tiles.forEach(({ id }, index) => {
    const row = Math.floor(index / columns);
    // A last row with fewer pictures is centred.
    const inRow = row === rows - 1 ? tiles.length - row * columns : columns;
    const left = ((columns - inRow) / 2 + (index % columns)) / columns;
    rectangles.set(id, {
      x: Math.round(area.x + left * area.width) + GAP / 2,
      y: Math.round(area.y + (row / rows) * area.height) + GAP / 2,
      width: Math.max(1, Math.floor(area.width / columns) - GAP),
      height: Math.max(1, Math.floor(area.height / rows) - GAP),
    });
  });
  return rectangles;
}

function column(tiles: readonly Tile[], area: Rectangle): Map<string, Rectangle> {
  const height = Math.min(area.height / tiles.length, (area.width * 9) / 16);
  const top = area.y + (area.height - height * tiles.length) / 2;
  return new Map(
    tiles.map(({ id }, index) => [
      id,
      {
        x: area.x + GAP / 2,
        y: Math.round(top + index * height) + GAP / 2,
        width: Math.max(1, area.width - GAP),
        height: Math.max(1, Math.floor(height) - GAP),
      },
    ]),
  );
}

/** The largest rectangle of a picture's shape inside another: nothing is cut off. */
export function fit(width: number, height: number, area: Rectangle): Rectangle {
  const scale = Math.min(area.width / width, area.height / height);
  const [w, h] = [width * scale, height * scale];
  return { x: area.x + (area.width - w) / 2, y: area.y + (area.height - h) / 2, width: w, height: h };
}

/** A label that fits: a name (before the last dot) loses its end, and what the clinic says of the person stays. */
export function shortened(label: string, fits: (text: string) => boolean): string {
  if (fits(label)) return label;
  const at = label.lastIndexOf(" · ");
  const [name, rest] = at < 0 ? [label, ""] : [label.slice(0, at), label.slice(at)];
  const letters = [...name];
  while (letters.length > 0 && !fits(`${letters.join("")}…${rest}`)) letters.pop();
  return `${letters.join("").trimEnd()}…${rest}`;
}
