/**
 * What takes longer than a test may, or measures: `npm run NAME [-- ARGUMENTS]`, each on a fresh clone, too.
 *
 *     npm run torture                   installs and builds what it lacks, then runs
 *     npm run bench -- --no-build       with what was built before
 *     node scripts/long.mjs --list      what there is
 *
 * Progress on stderr. The last line on stdout is JSON with `ok`; `interop` ends with the counts of its tests instead.
 */
import { spawn } from "node:child_process";
import { build } from "./build.mjs";
import { result, say } from "./lib/log.mjs";
import { inRoot } from "./lib/paths.mjs";
import { ensure } from "./setup.mjs";

const all = ["wasm", "js", "servers"];

/** `needs`: parts of setup.mjs; `builds`: steps of build.mjs; `run`: node's arguments. */
const commands = {
  torture: {
    about: "10,000 faults, 200 kills, seven minutes hidden",
    needs: ["node", "browser", "media"],
    builds: all,
    run: ["scripts/torture.mjs"],
  },
  soak: {
    about: "four hours of visit at accelerated time",
    needs: ["node", "media"],
    builds: ["wasm", "servers"],
    run: ["--expose-gc", "--import", "tsx", "tests/durability/soak.mjs"],
  },
  "soak:browser": {
    about: "fifteen minutes in a real browser, hidden",
    needs: ["node", "browser", "media"],
    builds: all,
    run: ["--import", "tsx", "tests/durability/kills.mjs", "--kills", "0", "--hidden-seconds", "900"],
  },
  model: { about: "schedules of the state machine", needs: ["rust"], builds: [], run: ["scripts/model.mjs"] },
  fuzz: { about: "every parser under cargo-fuzz", needs: ["rust"], builds: [], run: ["scripts/fuzz.mjs"] },
  interop: {
    about: "tusd, and the interop suite of npm test",
    needs: ["node"],
    builds: ["wasm", "js"],
    run: ["scripts/interop.mjs"],
  },
  distribution: {
    about: "what a withdrawal's click does, fifty times",
    needs: ["node", "browser"],
    builds: all,
    run: ["benches/withdrawals.mjs"],
  },
  bench: {
    about: "frames and sealing against WebCrypto",
    needs: ["node", "browser"],
    builds: ["wasm"],
    run: ["benches/bench.mjs"],
  },
  "bench:join": {
    about: "joining, with and without encryption",
    needs: ["node", "browser"],
    builds: all,
    run: ["benches/join.mjs"],
  },
  "bench:spool": {
    about: "sealed against clear, ten tracks",
    needs: ["node", "browser"],
    builds: ["wasm"],
    run: ["benches/spool.mjs"],
  },
  size: {
    about: "what people download",
    needs: ["node", "browser"],
    builds: ["wasm", "js"],
    run: ["scripts/size.mjs"],
  },
};

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
