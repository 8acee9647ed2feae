/**
 * `npm run torture`: what `npm test` does to a recording, for longer.
 *
 *     npm run torture                                    10,000 faults, 200 kills, seven minutes hidden
 *     npm run torture -- --faults 500 --kills 12 --hidden-seconds 90     as in `npm test`
 *     npm run torture -- --seed 17                       one run of seeded faults again, with its log
 *
 * The last line is JSON: {"ok":true,"faults":..,"acknowledged_bytes_lost":0,"loss_ms":{"p50":..,"max":..},..}, where
 * `faults` counts the kills too, and `loss_ms` is theirs.
 */
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { result, say } from "./lib/log.mjs";
import { inRoot } from "./lib/paths.mjs";

const { values: options } = parseArgs({
  options: {
    faults: { type: "string", default: "10000" },
    kills: { type: "string", default: "200" },
    "hidden-seconds": { type: "string", default: "420" },
    seed: { type: "string" },
  },
});

const seeded =
  options.faults === "0"
    ? null
    : await layer("seeded faults", "faults.mjs", [
        ...["--faults", options.faults],
        ...(options.seed === undefined ? [] : ["--seed", options.seed]),
      ]);
const killed =
  options.seed === undefined && (options.kills !== "0" || options["hidden-seconds"] !== "0")
    ? await layer("real browsers, killed and hidden", "kills.mjs", [
        ...["--kills", options.kills, "--hidden-seconds", options["hidden-seconds"]],
      ])
    : null;
const layers = [seeded, killed].filter((told) => told !== null);
const noneLost = layers.every((told) => told.acknowledged_bytes_lost === 0);
result({
  ok: layers.length > 0 && layers.every((told) => told.ok),
  faults: layers.reduce((sum, told) => sum + (told.faults ?? 0) + (told.kills ?? 0), 0),
  acknowledged_bytes_lost: noneLost ? 0 : null,
  // Of a real page's death; where none was killed, of a simulated one's.
  loss_ms: (killed?.kills ? killed : seeded)?.loss_ms ?? null,
  seeded,
  killed,
});

/** Runs one layer to its end; what its last line says. */
async function layer(name, file, args) {
  say(name);
  const child = spawn(process.execPath, ["--import", "tsx", inRoot("tests", "durability", file), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  const status = await new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code)));
  const last = output.trim().split("\n").at(-1);
  if (!last?.startsWith("{")) throw new Error(`${name}: ended (${status}) without a result`);
  const told = JSON.parse(last);
  return { ...told, ok: told.ok === true && status === 0 };
}
