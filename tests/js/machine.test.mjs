/** What the machine is measured to do decides what it is given to do, and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { picturesPerSecond } from "../../scripts/lib/demo-recording.mjs";
import { cameras, fitCamera, machineOf } from "../../scripts/lib/machine.mjs";

test("a machine that does twice as much has twice the cores", () => {
  const slow = machineOf([100_000, 200_000], 1_000);
  const fast = machineOf([200_000, 400_000], 1_000);
  assert.ok(Math.abs(fast.cores - 2 * slow.cores) <= 0.02, `${slow.cores}, ${fast.cores}`);
});

test("fewer cores or more people never give a larger camera", () => {
  const pixels = (cores, people) => {
    const { width, height, fps } = fitCamera({ cores }, { people });
    return width * height * fps;
  };
  for (let cores = 0; cores < 8; cores += 0.05) {
    assert.ok(pixels(cores, 3) <= pixels(cores + 0.05, 3), `${cores} cores`);
    assert.ok(pixels(cores, 4) <= pixels(cores, 3), `${cores} cores`);
  }
});

test("an idle machine gets the best camera, a busy one still a camera", () => {
  assert.equal(fitCamera({ cores: 8 }, { people: 3 }).width, cameras[0].width);
  assert.equal(fitCamera({ cores: 0 }, { people: 3 }).width, cameras.at(-1).width);
});

test("every camera sends twice the five pictures a second that a recording must hold", () => {
  for (const { fps } of cameras) assert.ok(fps >= 10);
});

test("a picture that stands still counts once", () => {
  assert.equal(picturesPerSecond({ wallMs: [1, 1, 1, 1, 2, 2] }, 1), 2);
});
