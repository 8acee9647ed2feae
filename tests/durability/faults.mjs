/**
 * Seeded faults against the recorder's core, spool and uploader, and a real vault, at virtual time.
 *
 *     node --import tsx tests/durability/faults.mjs --faults 500
 *     node --import tsx tests/durability/faults.mjs --seed 17         that run alone, with its log
 *
 * Each run records, with ten faults in its way, until the receipt is there; then it is judged (judge.mjs). Runs are
 * made until so many faults have happened. A run that fails prints its seed.
 *
 * The last line is JSON: {"ok":true,"faults":..,"acknowledged_bytes_lost":0,"loss_ms":{"p50":..,"max":..},..}
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { inRoot } from "../../scripts/lib/paths.mjs";
import * as module from "../../dist/wasm/recording.js";
import { FaultProxy } from "./fault-proxy.mjs";
import { judge } from "./judge.mjs";
import { Scenario } from "./scenario.mjs";
import { VaultProcess } from "./vault-process.mjs";
import { InFlight, realNowMs } from "./virtual-time.mjs";

/** A vault's small disk holds about so many runs. */
const RUNS_PER_VAULT = 40;

const { values: options } = parseArgs({
  options: {
    faults: { type: "string", default: "500" },
    seed: { type: "string" },
    "first-seed": { type: "string", default: "1" },
    "keep-going": { type: "boolean", default: false },
  },
});
const wanted = options.seed === undefined ? Number(options.faults) : 1;
const firstSeed = Number(options.seed ?? options["first-seed"]);

await module.default({ module_or_path: readFileSync(inRoot("dist", "wasm", "recording_bg.wasm")) });
const startedAt = realNowMs();
const total = { faults: 0, runs: 0, kinds: {}, losses: [], failures: [], vaultKills: 0, slices: 0, ownDisk: true };
const salts = new Set();
let world = null;
try {
  for (let seed = firstSeed; total.faults < wanted; seed++) {
    world ??= await newWorld();
    await oneRun(seed);
    if (total.failures.length > 0 && !options["keep-going"]) break;
    if (options.seed !== undefined) break;
    if (total.runs % RUNS_PER_VAULT === 0) await endWorld();
  }
} finally {
  await endWorld();
}
report();

async function newWorld() {
  const io = new InFlight();
  const proxy = new FaultProxy(io);
  const vault = new VaultProcess(io, proxy);
  await proxy.listen();
  await vault.start();
  total.ownDisk &&= vault.hasOwnDisk;
  return { io, proxy, vault, module };
}

async function endWorld() {
  if (!world) return;
  total.vaultKills += world.vault.kills;
  await world.proxy.close();
  await world.vault.stop();
  world = null;
}

async function oneRun(seed) {
  const scenario = new Scenario(seed, world);
  try {
    await scenario.run();
    const { lossMs } = await judge(scenario, world, salts);
    if (lossMs !== null) total.losses.push(Math.round(lossMs));
  } catch (error) {
    total.failures.push(seed);
    process.stderr.write(`\nseed ${seed} failed: ${error.stack}\n${scenario.log.join("\n")}\n`);
    process.stderr.write(`last requests:\n${scenario.requests.slice(-30).join("\n")}\n`);
    for (const status of scenario.statuses.values()) process.stderr.write(`${JSON.stringify(status)}\n`);
    process.stderr.write(`replay it: node --import tsx tests/durability/faults.mjs --seed ${seed}\n`);
    if (world) process.stderr.write(`${world.vault.log()}\n`);
    await endWorld();
  }
  if (options.seed !== undefined) process.stderr.write(`${scenario.log.join("\n")}\n`);
  total.runs += 1;
  for (const { acknowledged } of scenario.parts) total.slices += acknowledged;
  total.faults += scenario.hits.length;
  for (const { kind } of scenario.hits) total.kinds[kind] = (total.kinds[kind] ?? 0) + 1;
  if (total.runs % 10 === 0) process.stderr.write(`${total.runs} runs, ${total.faults} faults\n`);
}

function report() {
  const losses = total.losses.toSorted((a, b) => a - b);
  // Where hardly anything was recorded, nothing can be lost.
  const isTried = options.seed !== undefined || total.slices >= 5 * total.runs;
  const ok = total.failures.length === 0 && isTried;
  const line = {
    ok,
    faults: total.faults,
    acknowledged_bytes_lost: ok ? 0 : null,
    loss_ms: { p50: losses[Math.floor(losses.length / 2)] ?? null, max: losses.at(-1) ?? null },
    runs: total.runs,
    acknowledged_slices: total.slices,
    pages_killed: total.losses.length,
    vault_kills: total.vaultKills,
    vault_disk: total.ownDisk ? "tmpfs" : "shared: could not be filled",
    kinds: total.kinds,
    failed_seeds: total.failures,
    seconds: Math.round((realNowMs() - startedAt) / 1_000),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
  process.exitCode = ok ? 0 : 1;
}
