/**
 * Every command of the project, as data. package.json's scripts, scripts/long.mjs, and the suites of `npm test` follow it.
 *
 * To add one: an entry here; tests/js/commands.test.mjs then names the script that package.json lacks.
 */

const all = ["wasm", "js", "servers"];

/**
 * What takes longer than a test may, or measures; scripts/long.mjs runs it.
 * `needs`: parts of setup.mjs; `builds`: steps of build.mjs; `run`: node's arguments.
 */
export const longCommands = {
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
    builds: ["wasm", "wasm:test"],
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
  api: {
    about: "writes docs/api-report.md, the report on the npm package's API",
    needs: ["node"],
    builds: [],
    run: ["scripts/api.mjs"],
  },
  types: {
    about: "writes generated/, the TypeScript made from the Rust types",
    needs: ["node", "rust"],
    builds: [],
    run: ["scripts/types.mjs"],
  },
};

/** Commands with a program of their own. */
const programs = {
  setup: ["scripts/setup.mjs"],
  build: ["scripts/build.mjs"],
  "build:wasm": ["scripts/build.mjs", "wasm"],
  "build:js": ["scripts/build.mjs", "js"],
  "build:servers": ["scripts/build.mjs", "servers"],
  demo: ["scripts/demo.mjs"],
  start: ["scripts/start.mjs"],
  test: ["scripts/test.mjs"],
};

/** Node's arguments for a command, as `npm run NAME -- ARGUMENTS` runs it once everything is built. */
export function commandLine(name, ...given) {
  const args = programs[name] ?? longCommands[name]?.run;
  if (!args)
    throw new Error(`no command "${name}"; there are: ${Object.keys({ ...programs, ...longCommands }).join(", ")}`);
  return [...args, ...given];
}

/** The `scripts` of package.json, given the names of the test suites. */
export function packageScripts(suiteNames) {
  return Object.fromEntries([
    ...Object.entries(programs).map(([name, args]) => [name, `node ${args.join(" ")}`]),
    ...Object.keys(longCommands).map((name) => [name, `node scripts/long.mjs ${name}`]),
    ...suiteNames.map((name) => [`test:${name}`, `node scripts/test.mjs ${name}`]),
  ]);
}
