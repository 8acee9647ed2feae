/**
 * Every test suite, as data, in the order in which `npm test` runs them.
 *
 * A suite has a `name` (`npm run test:NAME`), what it is about, the parts of setup.mjs it `needs`,
 * the steps of build.mjs it `builds`, and its commands, made from what `ensure` found.
 *
 * A command has a title, a command line, and how its results are counted:
 * - `exit`: one check, passed when it exits with 0
 * - `cargo`, `node`, `plain`: the counts that cargo test, node's test runner, or a last line
 *   "N passed, N failed" give
 * - `json`: one check, passed when it exits with 0 and its last line is JSON with `"ok": true`
 *
 * A command that ran no test has failed. `skip` holds a reason not to run it. `attempts` is for real-time
 * media, which an overloaded machine can spoil: the summary tells when more than one was needed.
 */
import { commandLine } from "./commands.mjs";
import { filesUnder } from "./fingerprint.mjs";
import { inRoot, targetDir } from "./paths.mjs";
import { which } from "./run.mjs";

/** Compilers and test runners print more often than this, on any machine; only what hangs does not. */
const QUIET_MINUTES = 15;

const wasmTarget = "wasm32-unknown-unknown";
/** The two modules, by feature of the root package. */
const modules = ["visit", "recording"];
/** What runs its tests in WebAssembly, too. */
const testedInWasm = ["sealed-visit", "sealed-visit-frames", "sealed-visit-recording"];

export const suites = [
  {
    name: "lint",
    about: "formatting, lints, types",
    needs: ["node", "rust", "wasm"],
    builds: ["wasm", "wasm:test"],
    commands: ({ wasm }) => [
      cargo("cargo fmt", ["fmt", "--all", "--check"], { counts: "exit" }),
      cargo(
        "clippy",
        ["clippy", "--quiet", "--profile", "quick", "--workspace", "--all-targets", "--", "--deny", "warnings"],
        {
          counts: "exit",
        },
      ),
      ...modules.map((feature) =>
        cargo(
          `clippy for WebAssembly: ${feature}`,
          [
            ...[
              "clippy",
              "--quiet",
              "--profile",
              "quick",
              "--package",
              "sealed-visit",
              "--lib",
              "--target",
              wasmTarget,
            ],
            ...["--no-default-features", "--features", feature, "--", "--deny", "warnings"],
          ],
          {
            counts: "exit",
            skip: wasm.cargo === "cargo" ? undefined : "the toolchain in use here has clippy for this machine only",
          },
        ),
      ),
      ...["tsconfig.json", "tsconfig.worker.json", "tsconfig.tests.json", "tsconfig.scripts.json"].map((project) => ({
        title: `tsc ${project}`,
        command: inRoot("node_modules", ".bin", "tsc"),
        args: ["--noEmit", "--project", project],
        counts: "exit",
      })),
      {
        title: "generated/ is what the Rust sources say (npm run types)",
        command: process.execPath,
        args: commandLine("types", "--check"),
        counts: "exit",
        quietMinutes: QUIET_MINUTES,
      },
      {
        title: "docs/api-report.md is what the package offers (npm run api)",
        command: process.execPath,
        args: commandLine("api", "--check"),
        counts: "exit",
      },
      {
        title: "biome",
        command: inRoot("node_modules", ".bin", "biome"),
        args: ["ci", "--error-on-warnings", "--colors=off"],
        counts: "exit",
      },
    ],
  },
  {
    name: "deps",
    about: "what servers and package may depend on, licences, advisories",
    needs: ["node", "rust"],
    builds: [],
    commands: () => [
      nodeTests("deps"),
      {
        title: "cargo deny",
        command: "cargo",
        args: ["deny", "check", "licenses", "bans", "sources"],
        counts: "exit",
        skip: which("cargo-deny") ? undefined : "cargo-deny is not installed; tests/deps checks licences and bans",
      },
    ],
  },
  {
    name: "rust",
    about: "core, protocol, servers, clinic tool, natively",
    needs: ["rust"],
    builds: [],
    commands: () => [
      cargo("cargo test", ["test", "--profile", "quick", "--workspace", "--no-fail-fast"], {
        counts: "cargo",
        timeoutMinutes: 45,
        quietMinutes: QUIET_MINUTES,
      }),
    ],
  },
  {
    name: "wasm",
    about: "the core as WebAssembly, in a worker of headless Chromium",
    needs: ["wasm", "browser", "chromedriver"],
    builds: [],
    commands: ({ wasm, chromedriver }) => [
      {
        title: "wasm-bindgen-test",
        command: wasm.cargo,
        args: [
          ...[
            "test",
            "--profile",
            "quick",
            ...testedInWasm.flatMap((name) => ["--package", name]),
            "--lib",
            "--test",
            "recording",
            "--target",
            wasmTarget,
          ],
          ...["--features", "sealed-visit/test-hooks"],
        ],
        env: {
          ...wasm.env,
          CARGO_TARGET_DIR: targetDir,
          CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: "-Ctarget-feature=+simd128",
          CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: wasm.runner,
          CHROMEDRIVER: chromedriver.path,
          WASM_BINDGEN_TEST_WEBDRIVER_JSON: inRoot("tests", "wasm", "webdriver.json"),
          WASM_BINDGEN_USE_DEDICATED_WORKER: "1",
          WASM_BINDGEN_TEST_TIMEOUT: "600",
        },
        counts: "cargo",
        quietMinutes: QUIET_MINUTES,
      },
    ],
  },
  {
    name: "js",
    about: "TypeScript and JavaScript units, in Node",
    needs: ["node", "media"],
    builds: ["wasm"],
    commands: () => [nodeTests("js")],
  },
  {
    name: "durability",
    about: "a recording, its upload and its vault, with faults in every place",
    needs: ["node", "browser", "media"],
    builds: ["wasm", "js", "servers"],
    commands: () => [
      nodeTests("durability", { oneAtATime: true }),
      npmRun("torture", "--faults 500 --kills 0 --hidden-seconds 0"),
      npmRun("torture", "--faults 0 --kills 12 --hidden-seconds 0", { attempts: 2 }),
      npmRun("torture", "--faults 0 --kills 0 --hidden-seconds 90", { attempts: 2 }),
      npmRun("soak", "--hours 0.5"),
    ],
  },
  {
    name: "browser",
    about: "parts of the package in real browsers",
    needs: ["node", "browser", "media"],
    builds: ["wasm", "wasm:test", "js", "servers"],
    // A file at a time: real-time media gets a second attempt, pages do not need one.
    commands: () =>
      testFiles("browser").map((file) =>
        nodeTests("browser", { files: [file], oneAtATime: true, attempts: file.includes("/ui-") ? 1 : 2 }),
      ),
  },
  {
    name: "e2e",
    about: "a whole visit, recorded and opened",
    needs: ["node", "browser", "media"],
    builds: ["wasm", "js", "servers"],
    commands: () => [
      npmRun("demo", "", { attempts: 2 }),
      ...(testFiles("e2e").length > 0 ? [nodeTests("e2e", { oneAtATime: true, attempts: 2 })] : []),
    ],
  },
  {
    name: "interop",
    about:
      "strangers' code: Python opens the demo's recording, all verifiers judge the vectors alike, other servers take our uploads",
    needs: ["node", "python", "media"],
    builds: ["wasm", "servers"],
    commands: ({ python }) => [nodeTests("interop", { oneAtATime: true, env: { SEALED_VISIT_PYTHON: python.path } })],
  },
  {
    name: "packaging",
    about: "the packed npm package, as users install it; its size",
    needs: ["node", "browser"],
    builds: ["wasm", "js"],
    commands: () => [nodeTests("packaging", { oneAtATime: true }), npmRun("size")],
  },
];

function cargo(title, args, rest) {
  return { title, command: "cargo", args, env: { CARGO_TARGET_DIR: targetDir }, ...rest };
}

/** A command of the registry whose last line is JSON, once everything is built. */
function npmRun(name, options = "", rest = {}) {
  const given = options.split(" ").filter(Boolean);
  return {
    title: ["npm run", name, ...(options ? ["--", options] : [])].join(" "),
    command: process.execPath,
    args: commandLine(name, ...given),
    counts: "json",
    ...rest,
  };
}

/**
 * @param {string} name of the suite
 * @param {{ files?: string[], oneAtATime?: boolean, env?: Record<string, string>, attempts?: number }} [options]
 */
function nodeTests(name, { files = testFiles(name), oneAtATime = false, env = {}, attempts } = {}) {
  return {
    title: files.length === 1 ? files[0] : `tests/${name}`,
    command: process.execPath,
    args: [
      ...["--import", "tsx", "--test", "--test-reporter=spec"],
      ...(oneAtATime ? ["--test-concurrency=1"] : []),
      ...files,
    ],
    env,
    counts: "node",
    attempts,
    quietMinutes: QUIET_MINUTES,
    // Without files node would look for tests by itself, everywhere.
    missing: files.length === 0 ? `tests/${name} has no *.test.mjs or *.test.ts` : undefined,
  };
}

function testFiles(name) {
  return filesUnder(`tests/${name}`)
    .filter((file) => /\.test\.(mjs|ts)$/.test(file))
    .sort();
}
