/**
 * What this machine can do now, with whatever else runs on it, and what real-time media fits.
 *
 *     const camera = await cameraFor(3);   // of three people: { width, height, fps }
 *
 * The measurement, a second and a half, drives as many workers as there are cores with arithmetic of a known amount
 * and counts how much of it they got done. 1 core is what one undisturbed core of the machine did on which the limits
 * below were found. Only the load is fitted, never what is checked.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { say } from "./log.mjs";

const MEASURE_MS = 1_500;
/** Rounds in a millisecond on the core of reference. */
const ROUNDS_PER_MS_OF_REFERENCE = 470;

/**
 * Sizes and rates of synthetic cameras, best first, and the cores that each person in a visit costs with them: a browser,
 * its encoder, everyone else's decoders, and a share of the recorder. Even the smallest has codes that can be read in
 * a tile of the recording, and twice the pictures a second that the demo wants.
 */
export const cameras = [
  { width: 480, height: 270, fps: 15, coresPerPerson: 1 },
  { width: 384, height: 216, fps: 15, coresPerPerson: 0.8 },
  { width: 320, height: 180, fps: 12, coresPerPerson: 0.6 },
  { width: 256, height: 144, fps: 10, coresPerPerson: 0 },
];

/** `{ cores }`: in cores of reference, under the load that is there. */
async function measureMachine() {
  const count = Math.max(1, availableParallelism());
  const rounds = await Promise.all(Array.from({ length: count }, () => measureCore()));
  const machine = machineOf(rounds, MEASURE_MS);
  say(`this machine does now what ${machine.cores} cores of reference do (${count} of its own)`);
  return machine;
}

let measured;

/** The camera that fits this machine as it was when this process first asked. */
export async function cameraFor(people) {
  measured ??= measureMachine();
  return fitCamera(await measured, { people });
}

/** From how many rounds each core did in so many milliseconds. */
export function machineOf(rounds, ms) {
  const cores = rounds.reduce((sum, done) => sum + done / ms / ROUNDS_PER_MS_OF_REFERENCE, 0);
  return { cores: Math.round(cores * 100) / 100 };
}

/** The best camera that the machine carries for so many people; the smallest where none does. */
export function fitCamera({ cores }, { people }) {
  const fitting = cameras.find(({ coresPerPerson }) => coresPerPerson * people <= cores) ?? cameras.at(-1);
  const { width, height, fps } = fitting;
  return { width, height, fps };
}

function measureCore() {
  const source = `(async () => {
    const { parentPort, workerData } = await import("node:worker_threads");
    const numbers = new Uint32Array(1024).fill(1);
    const until = performance.now() + workerData;
    let rounds = 0;
    while (performance.now() < until) {
      for (let index = 1; index < numbers.length; index++)
        numbers[index] = (Math.imul(numbers[index], 1664525) + numbers[index - 1]) >>> 0;
      rounds += 1;
    }
    parentPort.postMessage(rounds);
  })()`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(source, { eval: true, workerData: MEASURE_MS });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}
