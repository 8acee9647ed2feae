/**
 * `npm run model`: explores the visit's state machine and group, real ones, through every schedule that fits into
 * the budget. Progress on stderr, one line of JSON last; exits with 1 when a promise was broken.
 *
 *   --projections N   distinct states to see (1,000,000)
 *   --seconds N       at most (14,400)
 *   --setting NAME,NAME    only there
 *   --seed N          (1)
 *   --open N          open states kept (2,000)
 *   --heal-one-in N   how many new states are healed to the end (200)
 *   --replay "SETTING STEP STEP"   takes a schedule that a violation printed
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { root, targetDir } from "./lib/paths.mjs";

const string = /** @type {const} */ ({ type: "string" });
const { values } = parseArgs({
  options: {
    projections: string,
    seconds: string,
    setting: string,
    seed: string,
    open: string,
    "heal-one-in": string,
    replay: string,
  },
});

const env = { ...process.env, CARGO_TARGET_DIR: targetDir };
for (const [name, value] of Object.entries(values)) {
  env[`SEALED_VISIT_MODEL_${name.toUpperCase().replaceAll("-", "_")}`] = value;
}

// Long runs are worth the time that full optimization takes to compile.
const cargo = spawn(
  "cargo",
  [
    ...["test", "--release", "--package", "sealed-visit-visit", "--lib"],
    ...["--", "--ignored", "--exact", "visit::tests::model::long", "--nocapture"],
  ],
  { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] },
);

let result = "";
createInterface({ input: cargo.stdout }).on("line", (line) => {
  if (line.startsWith("{")) result = line;
  else if (line) process.stderr.write(`${line}\n`);
});
cargo.on("close", (code) => {
  console.log(result || JSON.stringify({ ok: false, error: `cargo ended with ${code}` }));
  process.exitCode = code === 0 && result ? 0 : 1;
});
