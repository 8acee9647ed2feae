/**
 * Runs the tests.
 *
 *     npm test                          every suite; the last line is "N passed, N failed, N skipped"
 *     npm run test:rust                 one suite
 *     node scripts/test.mjs js browser  some
 *     node scripts/test.mjs --list      what there is
 *
 * The suites are data in lib/suites.mjs. What a suite lacks is installed and built first. Output is
 * streamed, and kept in `test-out/SUITE.log`. Everything runs even when something failed; the exit
 * code is 0 only if nothing did.
 */
import { createWriteStream, mkdirSync } from "node:fs";
import { build } from "./build.mjs";
import { runToItsEnd } from "./lib/command.mjs";
import { CountReader } from "./lib/counts.mjs";
import { allDone, say, sayTimes, timed } from "./lib/log.mjs";
import { inRoot } from "./lib/paths.mjs";
import { suites } from "./lib/suites.mjs";
import { ensure } from "./setup.mjs";

async function main(names) {
  if (names.includes("--list")) {
    for (const { name, about } of suites) console.log(`${name.padEnd(10)} ${about}`);
    return;
  }
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0)
    throw new Error(`no suite "${unknown[0]}"; there are: ${suites.map(({ name }) => name).join(", ")}`);
  const chosen = suites.filter(({ name }) => names.length === 0 || names.includes(name));
  await prepare(chosen);
  const outcomes = [];
  for (const suite of chosen) outcomes.push(await runSuite(suite));
  report(outcomes);
}

/** Everything that the suites lack, side by side. What fails here fails again in each suite that needs it, and counts there. */
async function prepare(chosen) {
  const union = (key) => [...new Set(chosen.flatMap((suite) => suite[key]))];
  const builds = union("builds");
  try {
    await allDone([ensure(...union("needs")), ...(builds.length > 0 ? [build(...builds)] : [])]);
  } catch (error) {
    say(`not everything could be prepared: ${error.message.split("\n")[0]}`);
  }
}

async function runSuite(suite) {
  const beganMs = Date.now();
  const outcome = { name: suite.name, passed: 0, failed: 0, skipped: 0, seconds: 0, notes: [] };
  mkdirSync(inRoot("test-out"), { recursive: true });
  const log = createWriteStream(inRoot("test-out", `${suite.name}.log`));
  const print = (text) => {
    process.stdout.write(text);
    log.write(text);
  };
  print(`\n===== ${suite.name}: ${suite.about}\n`);
  try {
    const tools = await ensure(...suite.needs);
    if (suite.builds.length > 0) await build(...suite.builds);
    for (const command of suite.commands(tools)) await runCommand(command, outcome, print);
  } catch (error) {
    // Setting up or building failed: that is one failure, and the other suites still run.
    print(`${error.stack}\n`);
    outcome.failed += 1;
    outcome.notes.push(`not set up: ${error.message.split("\n")[0]}`);
  }
  outcome.seconds = (Date.now() - beganMs) / 1000;
  print(`===== ${summary(outcome)}\n`);
  log.end();
  return outcome;
}

async function runCommand(command, outcome, print) {
  print(`\n--- ${command.title}\n`);
  if (command.skip) {
    print(`skipped: ${command.skip}\n`);
    outcome.skipped += 1;
    outcome.notes.push(`skipped ${command.title}: ${command.skip}`);
    return;
  }
  if (command.missing) {
    print(`${command.missing}\n`);
    outcome.failed += 1;
    outcome.notes.push(command.missing);
    return;
  }
  const counts = await timed(command.title, () => tried(command, outcome, print));
  outcome.passed += counts.passed;
  outcome.failed += counts.failed;
  outcome.skipped += counts.skipped;
  outcome.notes.push(...counts.notes.map((note) => `${command.title}: ${note}`));
}

/**
 * Real-time media on a machine that something else may load can miss a limit by chance: such commands
 * have more than one attempt, and a summary that says when one was needed.
 */
async function tried(command, outcome, print) {
  const { attempts = 1 } = command;
  for (let attempt = 1; ; attempt++) {
    const reader = new CountReader(command.counts);
    const status = await runToItsEnd(command, (text) => {
      print(text);
      reader.add(text);
    });
    const counts = reader.finish(status);
    if (counts.failed === 0 || attempt === attempts) return counts;
    print(`\n--- ${command.title}: attempt ${attempt} failed, trying again\n`);
    outcome.notes.push(`${command.title}: attempt ${attempt} of ${attempts} failed`);
  }
}

function report(outcomes) {
  sayTimes();
  console.log("\n===== summary");
  for (const outcome of outcomes) {
    console.log(summary(outcome));
    for (const note of outcome.notes) console.log(`    ${note}`);
  }
  const total = (key) => outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
  const [passed, failed, skipped] = ["passed", "failed", "skipped"].map(total);
  console.log(`${outcomes.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(0)} s in all`);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  if (failed > 0 || passed === 0) process.exitCode = 1;
}

function summary({ name, passed, failed, skipped, seconds }) {
  const counts = `${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed ${String(skipped).padStart(4)} skipped`;
  return `${failed === 0 ? "ok    " : "FAILED"} ${name.padEnd(10)} ${counts} ${seconds.toFixed(1).padStart(8)} s`;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
