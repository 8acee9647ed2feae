/**
 * Installs what this project needs and the machine lacks; says what it does; does nothing twice.
 *
 *     npm run setup                 everything that `npm test` needs
 *     npm run setup -- wasm browser only these parts
 *
 * Other scripts ask for what they need, and get its location back:
 *
 *     import { ensure } from "./setup.mjs";
 *     const { browser, media } = await ensure("node", "browser", "media");
 *     browser.path;   // Chromium
 *
 * | part           | what                                                  | gives                      |
 * |----------------|-------------------------------------------------------|----------------------------|
 * | `node`         | npm packages of package-lock.json                     | `{}`                       |
 * | `rust`         | checks that Rust is there and recent enough           | `{ version }`              |
 * | `wasm`         | Rust's wasm32 target and wasm-bindgen's tools         | `{ cargo, env, bindgen, runner }` |
 * | `browser`      | Chromium                                              | `{ path }`                 |
 * | `chromedriver` | Chromium's WebDriver                                  | `{ path }`                 |
 * | `firefox`      | Firefox (ESR will do)                                 | `{ path }`                 |
 * | `media`        | ffmpeg and ffprobe                                    | `{ ffmpeg, ffprobe }`      |
 * | `python`       | a virtual environment with `cryptography` 50 or later | `{ path }`                 |
 * | `openssl`      | openssl's command line                                | `{ path }`                 |
 *
 * Chromium, ffmpeg and the like come through apt-get on Debian as root; elsewhere a missing program
 * is an error that says what to install. `SEALED_VISIT_CHROMIUM` and `SEALED_VISIT_FIREFOX` name
 * browsers of your own.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { withLock } from "./lib/lock.mjs";
import { allDone, say, timed } from "./lib/log.mjs";
import { cacheDir, inRoot, root, toolsDir } from "./lib/paths.mjs";
import { capture, run, which } from "./lib/run.mjs";

const WASM_TARGET = "wasm32-unknown-unknown";
/** HPKE and Cobblestone are in `cryptography` from this release on. */
const PYTHON_REQUIREMENT = "cryptography>=50";

const parts = {
  node: ensureNode,
  rust: ensureRust,
  wasm: ensureWasm,
  browser: ensureBrowser,
  chromedriver: ensureChromedriver,
  firefox: ensureFirefox,
  media: ensureMedia,
  python: ensurePython,
  openssl: ensureOpenssl,
};

const found = new Map();

/**
 * Makes sure that the named parts are there. Each is looked at once a process.
 *
 * What downloads, what compiles and what installs run side by side; apt-get is called once for everything that is missing.
 */
export async function ensure(...names) {
  const unknown = names.find((name) => !Object.hasOwn(parts, name));
  if (unknown) throw new Error(`no part "${unknown}" to set up; there are: ${Object.keys(parts).join(", ")}`);
  const fresh = names.filter((name) => !found.has(name));
  const installed = installPrograms(fresh);
  for (const name of fresh) {
    found.set(name, Object.hasOwn(programs, name) ? installed.then(() => parts[name]()) : parts[name]());
  }
  const answers = await allDone(names.map((name) => found.get(name)));
  return Object.fromEntries(names.map((name, index) => [name, answers[index]]));
}

// --- npm packages -------------------------------------------------------------------------------

async function ensureNode() {
  const lock = createHash("sha256")
    .update(readFileSync(inRoot("package-lock.json")))
    .digest("hex");
  const stamp = inRoot("node_modules", ".sealed-visit-lock");
  const isCurrent = () => existsSync(stamp) && readFileSync(stamp, "utf8") === lock;
  if (!isCurrent()) {
    await withLock("npm", async () => {
      if (isCurrent()) return;
      await timed("installing npm packages", () => run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]));
      writeFileSync(stamp, lock);
    });
  }
  return {};
}

// --- Rust and WebAssembly -----------------------------------------------------------------------

async function ensureRust() {
  if (!which("cargo") || !which("rustc")) {
    throw new Error(
      "Rust is missing (cargo, rustc). Install it with rustup, from https://rustup.rs, and run this again.",
    );
  }
  const version = /^rustc (\d+)\.(\d+)\.(\d+)/.exec(await capture("rustc", ["--version"]));
  const wanted = /^rust-version = "(\d+)\.(\d+)"/m.exec(readFileSync(inRoot("Cargo.toml"), "utf8"));
  if (!version || !wanted)
    throw new Error("cannot tell which Rust is here, or which is wanted (rust-version in Cargo.toml)");
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < Number(wanted[1]) || (major === Number(wanted[1]) && minor < Number(wanted[2]))) {
    throw new Error(
      `Rust ${version[1]}.${version[2]} is too old: ${wanted[1]}.${wanted[2]} or later is needed (rustup update stable)`,
    );
  }
  return { version: version.slice(1, 4).join(".") };
}

/** `cargo` with `env` builds for wasm32; `bindgen` and `runner` are wasm-bindgen's programs. */
async function ensureWasm() {
  await ensure("rust");
  return { ...(await ensureWasmTarget()), ...(await ensureBindgen()) };
}

async function ensureWasmTarget() {
  const wantsDebian = process.env.SEALED_VISIT_WASM_TOOLCHAIN === "debian";
  if (!wantsDebian) {
    if (await toolchainHasWasm()) return { cargo: "cargo", env: {} };
    if (which("rustup")) {
      say(`adding Rust's ${WASM_TARGET} target`);
      try {
        await run("rustup", ["target", "add", WASM_TARGET]);
        if (await toolchainHasWasm()) return { cargo: "cargo", env: {} };
      } catch (error) {
        say(`rustup could not add the target: ${error.message.split("\n")[0]}`);
      }
    }
  }
  if (canUseApt()) return await debianWasmToolchain();
  throw new Error(`Rust's ${WASM_TARGET} target is missing. Install it with: rustup target add ${WASM_TARGET}`);
}

async function toolchainHasWasm() {
  const sysroot = (await capture("rustc", ["--print", "sysroot"])).trim();
  return hasStd(path.join(sysroot, "lib", "rustlib"));
}

/** Tests are built with libtest, which comes with std from rustup. */
function hasStd(rustlib) {
  const directory = path.join(rustlib, WASM_TARGET, "lib");
  return existsSync(directory) && readdirSync(directory).some((name) => /^libtest-.*\.rlib$/.test(name));
}

/**
 * Where rustup cannot download the target: Debian's rustc-web has std's source and may use
 * unstable flags through RUSTC_BOOTSTRAP, so std is built once and put where that rustc looks.
 */
async function debianWasmToolchain() {
  await aptInstall(["rustc-web", "cargo-web", "rust-web-src", "lld-22"]);
  const env = {
    RUSTC: "/usr/bin/rustc",
    RUSTDOC: "/usr/bin/rustdoc",
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: "wasm-ld-22",
  };
  if (!hasStd("/usr/lib/rustlib")) {
    await withLock("wasm-std", async () => {
      if (hasStd("/usr/lib/rustlib")) return;
      await timed("building Rust's standard library for WebAssembly", () => buildStd(env));
    });
  }
  return { cargo: "/usr/bin/cargo", env };
}

async function buildStd(env) {
  const project = path.join(cacheDir, "wasm-std");
  rmSync(project, { recursive: true, force: true });
  mkdirSync(path.join(project, "src"), { recursive: true });
  writeFileSync(
    path.join(project, "Cargo.toml"),
    '[package]\nname = "std-for-wasm"\nversion = "0.0.0"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n[workspace]\n',
  );
  writeFileSync(path.join(project, "src", "lib.rs"), "");
  // Without embed-bitcode, link-time optimisation later fails for lack of a .llvmbc section.
  await run(
    "/usr/bin/cargo",
    ["build", "--quiet", "--release", "--target", WASM_TARGET, "-Zbuild-std=std,panic_abort,test"],
    {
      cwd: project,
      env: {
        ...env,
        RUSTC_BOOTSTRAP: "1",
        RUSTFLAGS: "-Cembed-bitcode=yes",
        CARGO_TARGET_DIR: path.join(project, "target"),
      },
    },
  );
  const built = path.join(project, "target", WASM_TARGET, "release", "deps");
  const destination = path.join("/usr/lib/rustlib", WASM_TARGET, "lib");
  mkdirSync(destination, { recursive: true });
  for (const name of readdirSync(built)) {
    if (name.endsWith(".rlib")) cpSync(path.join(built, name), path.join(destination, name));
  }
  rmSync(project, { recursive: true, force: true });
}

/** Tools that run for a second or two are not worth minutes of optimization. */
const quickInstall = { CARGO_PROFILE_RELEASE_OPT_LEVEL: "0", CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "256" };

/** wasm-bindgen's tools must have exactly the version of the crate in Cargo.lock. */
async function ensureBindgen() {
  const version = lockedVersion("wasm-bindgen");
  const ownBin = path.join(toolsDir, `wasm-bindgen-${version}`, "bin");
  const find = async () => {
    for (const directory of [ownBin, path.dirname(which("wasm-bindgen") ?? ownBin)]) {
      const bindgen = path.join(directory, "wasm-bindgen");
      const runner = path.join(directory, "wasm-bindgen-test-runner");
      if (!existsSync(bindgen) || !existsSync(runner)) continue;
      const there = (await capture(bindgen, ["--version"])).trim();
      if (there === `wasm-bindgen ${version}`) return { bindgen, runner };
    }
    return null;
  };
  const present = await find();
  if (present) return present;
  await withLock("wasm-bindgen", async () => {
    if (await find()) return;
    await timed(
      `building wasm-bindgen's tools, version ${version}`,
      () =>
        // Without --locked: a registry view older than the crate's lock file would refuse it.
        run("cargo", ["install", "wasm-bindgen-cli", "--version", version, "--root", path.dirname(ownBin), "--quiet"], {
          env: { CARGO_TARGET_DIR: path.join(cacheDir, "wasm-bindgen-build"), ...quickInstall },
        }),
      { estimateS: 180 },
    );
    rmSync(path.join(cacheDir, "wasm-bindgen-build"), { recursive: true, force: true });
  });
  const installed = await find();
  if (!installed) throw new Error(`wasm-bindgen ${version} was installed and is not where it should be: ${ownBin}`);
  return installed;
}

function lockedVersion(name) {
  const match = new RegExp(`name = "${name}"\\nversion = "([^"]+)"`).exec(readFileSync(inRoot("Cargo.lock"), "utf8"));
  if (!match) throw new Error(`Cargo.lock has no package ${name}`);
  return match[1];
}

// --- Programs of the system ---------------------------------------------------------------------

const macChromium = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
const macFirefox = ["/Applications/Firefox.app/Contents/MacOS/firefox"];

/** Programs by the part that needs them: how to find one, Debian's packages, and what to call it. */
const programs = {
  browser: {
    find: () =>
      process.env.SEALED_VISIT_CHROMIUM ??
      ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].map(which).find(Boolean) ??
      macChromium.find((candidate) => existsSync(candidate)),
    packages: ["chromium", "fonts-dejavu-core"],
    what: "Chromium (or Chrome; SEALED_VISIT_CHROMIUM names one)",
  },
  chromedriver: { find: () => which("chromedriver"), packages: ["chromium-driver"], what: "chromedriver" },
  firefox: {
    find: () =>
      process.env.SEALED_VISIT_FIREFOX ??
      ["firefox-esr", "firefox"].map(which).find(Boolean) ??
      macFirefox.find((candidate) => existsSync(candidate)),
    packages: ["firefox-esr"],
    what: "Firefox (SEALED_VISIT_FIREFOX names one)",
  },
  media: { find: () => which("ffprobe") && which("ffmpeg"), packages: ["ffmpeg"], what: "ffmpeg" },
  openssl: { find: () => which("openssl"), packages: ["openssl"], what: "openssl" },
  python: { find: () => which("python3"), packages: ["python3", "python3-venv"], what: "Python 3" },
};

async function ensureBrowser() {
  return { path: namedBrowser("SEALED_VISIT_CHROMIUM") ?? (await findOrInstall("browser")) };
}

async function ensureChromedriver() {
  await ensure("browser");
  return { path: await findOrInstall("chromedriver") };
}

async function ensureFirefox() {
  return { path: namedBrowser("SEALED_VISIT_FIREFOX") ?? (await findOrInstall("firefox")) };
}

/** A browser that the environment names must be there. */
function namedBrowser(variable) {
  const named = process.env[variable];
  if (named && !existsSync(named)) throw new Error(`${variable} names ${named}, which does not exist`);
  return named || null;
}

async function ensureMedia() {
  return { ffmpeg: await findOrInstall("media"), ffprobe: which("ffprobe") };
}

async function ensureOpenssl() {
  return { path: await findOrInstall("openssl") };
}

async function ensurePython() {
  const system = await findOrInstall("python");
  const version = /Python (\d+\.\d+)/.exec(await capture(system, ["--version"]))?.[1] ?? "3";
  const venv = path.join(toolsDir, `python-${version}`);
  const python = path.join(venv, "bin", "python");
  const check = ["-c", "import sys, cryptography; sys.exit(int(cryptography.__version__.split('.')[0]) < 50)"];
  const works = async () => {
    if (!existsSync(python)) return false;
    return await capture(python, check).then(
      () => true,
      () => false,
    );
  };
  if (!(await works())) {
    await withLock("python", async () => {
      if (await works()) return;
      await timed("making a Python environment", async () => {
        rmSync(venv, { recursive: true, force: true });
        await capture(system, ["-m", "venv", venv]).catch(async () => {
          // Debian keeps venv's pip in a package of its own.
          rmSync(venv, { recursive: true, force: true });
          await aptInstall(["python3-venv"]);
          await capture(system, ["-m", "venv", venv]);
        });
        await run(python, ["-m", "pip", "install", "--quiet", PYTHON_REQUIREMENT]);
      });
    });
  }
  return { path: python };
}

/** One call of apt-get for everything that the named parts lack. */
async function installPrograms(parts) {
  const missing = parts.filter((name) => Object.hasOwn(programs, name) && !programs[name].find());
  if (missing.length > 0 && canUseApt()) await aptInstall(missing.flatMap((name) => programs[name].packages));
}

async function findOrInstall(name) {
  const { find, packages, what } = programs[name];
  const present = find();
  if (present) return present;
  if (!canUseApt()) throw new Error(`${what} is missing. On Debian and Ubuntu: apt-get install ${packages.join(" ")}`);
  await aptInstall(packages);
  const installed = find();
  if (!installed) throw new Error(`${what} is still missing after apt-get install ${packages.join(" ")}`);
  return installed;
}

function canUseApt() {
  return process.getuid?.() === 0 && which("apt-get") !== null;
}

async function aptInstall(packages) {
  const missing = [];
  for (const name of packages) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
    const status = await capture("dpkg-query", ["-W", "-f=${Status}", name]).catch(() => "");
    if (!status.startsWith("install ok installed")) missing.push(name);
  }
  if (missing.length === 0) return;
  await withLock("apt", () =>
    timed(`installing ${missing.join(", ")} with apt-get`, async () => {
      const install = () =>
        capture(
          "apt-get",
          ["install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", ...missing],
          {
            env: { DEBIAN_FRONTEND: "noninteractive" },
          },
        );
      // The package lists of a new machine are empty or old: fetch them when a first try fails.
      await install().catch(async () => {
        await capture("apt-get", ["update"]);
        await install();
      });
    }),
  );
}

// --- Command line -------------------------------------------------------------------------------

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const wanted = process.argv.slice(2);
  try {
    const answers = await ensure(...(wanted.length > 0 ? wanted : Object.keys(parts)));
    say(
      `everything is there: ${Object.keys(answers).join(", ")} (${path.relative(root, cacheDir).startsWith("..") ? cacheDir : "cache in the clone"})`,
    );
  } catch (error) {
    say(`setup failed: ${error.message}`);
    process.exitCode = 1;
  }
}
