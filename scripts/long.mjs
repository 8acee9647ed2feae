/**
 * What takes longer than a test may, or measures: `npm run NAME [-- ARGUMENTS]`, each on a fresh clone too.
 *
 *     npm run torture                   installs and builds what it lacks, then runs
 *     npm run bench -- --no-build       with what was built before
 *     node scripts/long.mjs --list      what there is
 *
 * Progress on stderr. The last line on stdout is JSON with `ok`; `interop` ends with the counts of its tests instead.
 */
import { spawn } from "node:child_process";
import { build } from "./build.mjs";
import { longCommands as commands } from "./lib/commands.mjs";
import { result, say } from "./lib/log.mjs";
import { inRoot } from "./lib/paths.mjs";
import { ensure } from "./setup.mjs";

/** @param {string[]} given */
async function main([name, ...given]) {
  if (name === "--list") {
    for (const [known, { about }] of Object.entries(commands)) console.log(`${known.padEnd(14)} ${about}`);
    return 0;
  }
  const command = Object.hasOwn(commands, name ?? "") ? commands[name] : null;
  if (!command) throw new Error(`no command "${name ?? ""}"; there are: ${Object.keys(commands).join(", ")}`);
  await ensure(...command.needs);
  if (!given.includes("--no-build") && command.builds.length > 0) await build(...command.builds);
  const args = given.filter((argument) => argument !== "--no-build");
  const child = spawn(process.execPath, [...command.run, ...args], { cwd: inRoot(), stdio: "inherit" });
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    say(error.message);
    result({ ok: false, error: error.message.split("\n")[0] });
  },
);
