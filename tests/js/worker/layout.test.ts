import assert from "node:assert/strict";
import { test } from "node:test";
import { fit, layOut, type Rectangle } from "../../../worker/compose/layout.js";

const people = (count: number) => Array.from({ length: count }, (_, index) => ({ id: `p${index}`, isScreen: false }));

function overlap(a: Rectangle, b: Rectangle): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function check(rectangles: ReadonlyMap<string, Rectangle>, width: number, height: number): void {
  const all = [...rectangles.values()];
  for (const [index, one] of all.entries()) {
    assert.ok(one.x >= 0 && one.y >= 0 && one.x + one.width <= width && one.y + one.height <= height);
    assert.ok(one.width > 0 && one.height > 0);
    for (const other of all.slice(index + 1)) assert.ok(!overlap(one, other));
  }
}

test("nobody's picture leaves the frame or covers another, for one to twenty people, with and without a screen", () => {
  for (const [width, height] of [
    [1280, 720],
    [640, 360],
    [720, 1280],
  ] as const) {
    for (let count = 0; count <= 20; count++) {
      const alone = layOut(people(count), width, height);
      assert.equal(alone.size, count);
      check(alone, width, height);
      const withScreen = layOut([...people(count), { id: "screen", isScreen: true }], width, height);
      assert.equal(withScreen.size, count + 1);
      check(withScreen, width, height);
    }
  }
});

test("a screen gets more room than all people together", () => {
  const rectangles = layOut([...people(3), { id: "screen", isScreen: true }], 1280, 720);
  const area = ({ width, height }: Rectangle) => width * height;
  const screen = rectangles.get("screen");
  assert.ok(screen);
  const others = [...rectangles].filter(([id]) => id !== "screen").reduce((sum, [, place]) => sum + area(place), 0);
  assert.ok(area(screen) > others);
});

test("two people share the width of a wide frame", () => {
  const [first, second] = [...layOut(people(2), 1280, 720).values()];
  assert.ok(first && second);
  assert.equal(first.y, second.y);
});

test("a picture is shown whole, in its own shape", () => {
  const area = { x: 10, y: 20, width: 400, height: 300 };
  const placed = fit(1920, 1080, area);
  assert.ok(Math.abs(placed.width / placed.height - 16 / 9) < 1e-9);
  assert.ok(placed.x >= area.x && placed.y >= area.y);
  assert.ok(placed.x + placed.width <= area.x + area.width + 1e-9);
});
