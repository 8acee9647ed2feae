/**
 * `npm run torture`: what `npm test` does to a recording, for longer.
 *
 *     npm run torture                                    10,000 faults, 200 kills
 *     npm run torture -- --faults 500 --kills 12         as in `npm test`
 *     npm run torture -- --seed 17                       one run of seeded faults again, with its log
 *
 * The last line is JSON: {"ok":true,"faults":..,"acknowledged_bytes_lost":0,"loss_ms":{"p50":..,"max":..},..}, where
 * `faults` counts the kills, too, and `loss_ms` is theirs.
 */
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { result, say } from "./lib/log.mjs";
import { inRoot } from "./lib/paths.mjs";

const { values: options } = parseArgs({
  options: {
    faults: { type: "string", default: "10000" },
    seed: { type: "string" },
  },
});

const seeded = await layer("seeded faults", "faults.mjs", [
  ...["--faults", options.faults],
  ...(options.seed === undefined ? [] : ["--seed", options.seed]),
]);
result(seeded);

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
