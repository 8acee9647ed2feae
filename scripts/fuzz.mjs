/**
 * Runs every cargo-fuzz target for a while: `npm run fuzz [-- --seconds N] [-- TARGET ..]`.
 *
 * Needs a nightly toolchain and `cargo install cargo-fuzz`; without them it says so and ends with 1. Corpora grow in
 * `fuzz/corpus/`, an input that breaks something is kept in `fuzz/artifacts/`: `cargo +nightly fuzz run TARGET FILE`
 * runs it again. Coverage guides the fuzzer; without a sanitizer, because the core has no unsafe code of its own
 * outside of SIMD intrinsics, and a sanitizer needs the standard library's source.
 *
 * The last line on stdout: `{"ok":..,"seconds":..,"targets":[{"name":..,"runs":..,"covered":..,"failed":..}]}`.
 */
import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { result, say, timed } from "./lib/log.mjs";
import { inRoot, targetDir } from "./lib/paths.mjs";
import { CommandError, capture, run } from "./lib/run.mjs";

const { values, positionals } = parseArgs({
  options: { seconds: { type: "string", default: "20" } },
  allowPositionals: true,
});
const seconds = Number(values.seconds);
if (!(seconds >= 1)) throw new Error("--seconds takes a number from 1");
const known = readdirSync(inRoot("fuzz", "fuzz_targets")).map((file) => file.replace(/\.rs$/, ""));
const names = positionals.length > 0 ? positionals : known;
const unknown = names.find((name) => !known.includes(name));
if (unknown) throw new Error(`no target ${unknown}; there are ${known.join(", ")}`);

const env = { CARGO_TARGET_DIR: `${targetDir}/fuzz` };
const missing = await missingTool();
if (missing) {
  say(missing);
  result({ ok: false, error: missing });
} else {
  await timed("writing genuine inputs", () =>
    run(
      "cargo",
      [
        ...["run", "--quiet", "--package", "sealed-visit-fuzz-targets", "--example", "seeds"],
        ...["--", inRoot("fuzz", "corpus")],
      ],
      { env: { CARGO_TARGET_DIR: targetDir } },
    ),
  );
  const targets = [];
  for (const name of names) targets.push(await timed(`${name} for ${seconds} s`, () => fuzz(name)));
  for (const { name, runs, covered, failed } of targets)
    say(`${name}: ${failed ? `FAILED: ${failed}` : `${runs} inputs, ${covered} edges covered`}`);
  result({ ok: targets.every(({ failed }) => !failed), seconds, targets });
}

async function missingTool() {
  try {
    await capture("cargo", ["+nightly", "fuzz", "--version"]);
    return null;
  } catch {
    return "fuzzing needs a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz (cargo install cargo-fuzz)";
  }
}

async function fuzz(name) {
  // libFuzzer writes to stderr: its last lines hold the counts, or what went wrong.
  const command = [
    ...["-c", 'cargo +nightly fuzz run --fuzz-dir fuzz --sanitizer none "$0" -- -max_total_time="$1" 2>&1'],
    ...[name, String(seconds)],
  ];
  try {
    const log = await capture("sh", command, { env });
    const [, runs] = /Done (\d+) runs/.exec(log) ?? [];
    const covered = [...log.matchAll(/cov: (\d+)/g)].at(-1)?.[1];
    return { name, runs: Number(runs), covered: Number(covered), failed: runs ? null : "no count of runs" };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    say(error.stderr.split("\n").slice(-40).join("\n"));
    return { name, runs: null, covered: null, failed: /panicked at .*/.exec(error.stderr)?.[0] ?? "see the log" };
  }
}
