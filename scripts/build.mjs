/**
 * Builds everything into `dist/`; what is up to date is left alone.
 *
 *     npm run build                  everything
 *     npm run build:wasm             the core as WebAssembly     dist/wasm/
 *     npm run build:js               the npm package and pages   dist/*.js, dist/types/, dist/www/
 *     npm run build:servers          servers and clinic tool     dist/bin/, release builds
 *
 * From other scripts: `import { build } from "./build.mjs"; await build("wasm", "js", "servers")`.
 * What is built is listed in lib/artifacts.mjs.
 *
 * A step is skipped when the contents of its inputs are those of the last build. WebAssembly
 * modules are kept in the cache by that hash too, so that a fresh clone need not compile them.
 *
 * The pages in `dist/www/` import the package as a plain page of a user would: by URL, from the
 * copy of its files in `dist/www/sealed-visit/`. So does a worker with its WebAssembly: nothing is
 * inline, and `script-src 'self' 'wasm-unsafe-eval'` is enough.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import {
  bundles,
  serverInputs,
  servers,
  testModules,
  wasmInputs,
  wasmModules,
  wasmOptFeatures,
} from "./lib/artifacts.mjs";
import { filesUnder, fingerprint } from "./lib/fingerprint.mjs";
import { withLock } from "./lib/lock.mjs";
import { allDone, say, sayTimes, timed } from "./lib/log.mjs";
import { pageShells } from "./lib/page-shells.mjs";
import { binDir, cacheDir, distDir, inRoot, targetDir, wwwDir } from "./lib/paths.mjs";
import { capture, run } from "./lib/run.mjs";
import { ensure } from "./setup.mjs";

const steps = {
  wasm: () => buildWasm(),
  "wasm:test": () => buildWasm(testModules, "wasm-test"),
  js: buildJs,
  servers: buildServers,
  "servers:release": () => buildServers("release"),
};

/**
 * Builds the named steps, in the order given. None named: everything, with servers for demos and tests, which take a
 * tenth of the time to compile; what compiles WebAssembly and what compiles servers run side by side.
 */
export async function build(...names) {
  const unknown = names.find((name) => !Object.hasOwn(steps, name));
  if (unknown) throw new Error(`no build step "${unknown}"; there are: ${Object.keys(steps).join(", ")}`);
  const wanted = names.length > 0 ? names : ["wasm", "js", "servers"];
  const inOrder = async (some) => {
    for (const name of some) await steps[name]();
  };
  await allDone([
    inOrder(wanted.filter((name) => !name.startsWith("servers"))),
    inOrder(wanted.filter((name) => name.startsWith("servers"))),
  ]);
}

// --- WebAssembly --------------------------------------------------------------------------------

async function buildWasm(modules = wasmModules, folder = "wasm") {
  const tools = await ensure("node", "wasm");
  const rustc = await capture(tools.wasm.env.RUSTC ?? "rustc", ["--version"]);
  const binaryen = JSON.parse(readFileSync(inRoot("node_modules", "binaryen", "package.json"), "utf8")).version;
  for (const module of modules) {
    const hash = fingerprint(wasmInputs, [rustc, binaryen, JSON.stringify(module), wasmOptFeatures.join(" ")]);
    if (isCurrent(`${folder}-${module.name}`, hash, [`${folder}/${module.name}_bg.wasm`])) continue;
    const kept = path.join(cacheDir, "wasm", `${module.name}-${hash}`);
    if (!existsSync(kept)) {
      await withLock("cargo-wasm", async () => {
        if (!existsSync(kept))
          await timed(`building WebAssembly module "${module.name}"`, () => compileModule(module, tools.wasm, kept));
      });
    }
    cpSync(kept, path.join(distDir, folder), { recursive: true });
    markCurrent(`${folder}-${module.name}`, hash);
  }
}

/** Panic messages name a crate's file, not where this machine keeps it. */
const withoutMachinePaths = [
  `--remap-path-prefix=${path.join(process.env.CARGO_HOME ?? path.join(homedir(), ".cargo"), "registry", "src")}=crates`,
];

/** Cargo, wasm-bindgen, wasm-opt; the finished files move into `destination` in one step. */
async function compileModule({ name, features, profile, rustflags, optimize }, { cargo, env, bindgen }, destination) {
  const wasmTarget = "wasm32-unknown-unknown";
  await run(
    cargo,
    [
      "build",
      "--quiet",
      "--package",
      "sealed-visit",
      "--lib",
      "--target",
      wasmTarget,
      "--profile",
      profile,
      "--no-default-features",
      "--features",
      features.join(","),
    ],
    {
      env: {
        ...env,
        CARGO_TARGET_DIR: targetDir,
        CARGO_ENCODED_RUSTFLAGS: [...rustflags, ...withoutMachinePaths].join("\x1f"),
      },
    },
  );
  const scratch = `${destination}.${process.pid}`;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  // The worker names the module's URL itself: the default, relative to the glue, would be wrong
  // once the glue is bundled.
  await run(bindgen, [
    path.join(targetDir, wasmTarget, profile, "sealed_visit.wasm"),
    ...["--target", "web", "--omit-default-module-path", "--out-dir", scratch, "--out-name", name],
  ]);
  const wasm = path.join(scratch, `${name}_bg.wasm`);
  await run(process.execPath, [
    inRoot("node_modules", "binaryen", "bin", "wasm-opt"),
    ...[
      ...optimize,
      ...wasmOptFeatures,
      ...(rustflags.some((flag) => flag.endsWith("+simd128")) ? ["--enable-simd"] : []),
    ],
    ...[wasm, "-o", wasm],
  ]);
  renameSync(scratch, destination);
}

// --- The npm package and the pages --------------------------------------------------------------

async function buildJs() {
  if (!existsSync(path.join(distDir, "wasm", "visit_bg.wasm"))) await buildWasm();
  await ensure("node");
  const esbuild = await import("esbuild");
  await buildPackage(esbuild);
  await buildTypes();
  await buildPages(esbuild);
}

const esbuildOptions = {
  bundle: true,
  format: "esm",
  platform: "browser",
  target: ["es2022"],
  minify: true,
  sourcemap: "linked",
  legalComments: "linked",
  logLevel: "warning",
};

async function buildPackage(esbuild) {
  const hash = fingerprint(
    ["js", "worker", "dist/wasm", "package-lock.json"],
    [JSON.stringify(bundles), JSON.stringify(esbuildOptions)],
  );
  const outputs = bundles.map(({ output }) => output);
  if (isCurrent("package", hash, outputs)) return;
  await timed(`bundling ${outputs.join(", ")}`, async () => {
    for (const name of scriptsIn(distDir)) rmSync(path.join(distDir, name));
    await Promise.all([...new Set(bundles.map(({ group }) => group))].map((group) => bundleGroup(esbuild, group)));
  });
  markCurrent("package", hash);
}

/** Entries of one group share chunks; an entry alone is one file. */
function bundleGroup(esbuild, group) {
  const members = bundles.filter((bundle) => bundle.group === group);
  return esbuild.build({
    ...esbuildOptions,
    entryPoints: members.map(({ entry, output }) => ({ in: inRoot(entry), out: output.replace(/\.js$/, "") })),
    outdir: distDir,
    splitting: true,
    // Named so that whoever bundles the page copies `*worker*.js`, and has all that workers load.
    chunkNames: group === "workers" ? "worker-chunk-[hash]" : "chunk-[hash]",
    banner: { js: "/*! sealed-visit. MIT OR Apache-2.0 */" },
  });
}

/** Bundles, chunks, and what belongs to them. */
function scriptsIn(directory) {
  return readdirSync(directory).filter((name) => /\.(js|map|txt)$/.test(name));
}

async function buildTypes() {
  const hash = fingerprint(["js", "worker", "dist/wasm", "tsconfig.json", "tsconfig.types.json", "package-lock.json"]);
  if (isCurrent("types", hash, ["types/js/index.d.ts"])) return;
  rmSync(path.join(distDir, "types"), { recursive: true, force: true });
  await timed("writing type declarations", () =>
    run(inRoot("node_modules", ".bin", "tsc"), ["-p", "tsconfig.types.json"]),
  );
  markCurrent("types", hash);
}

/** Every `www/NAME.ts` becomes `dist/www/NAME.js`; every other file beside it is copied; the pages come from their one shell. */
async function buildPages(esbuild) {
  const sources = filesUnder("www");
  const entries = sources.filter((file) => /^www\/[^/]+\.ts$/.test(file) && !file.endsWith(".d.ts"));
  const packageFiles = scriptsIn(distDir);
  const hash = fingerprint(
    ["www", "package-lock.json", "dist/wasm", ...packageFiles.map((name) => `dist/${name}`)],
    [JSON.stringify(esbuildOptions), ...pageShells().values()],
  );
  if (isCurrent("www", hash, ["www/sealed-visit/index.js"])) return;
  await timed("building the pages", async () => {
    rmSync(wwwDir, { recursive: true, force: true });
    mkdirSync(wwwDir, { recursive: true });
    for (const file of sources.filter((name) => !name.endsWith(".ts"))) {
      const destination = path.join(distDir, file);
      mkdirSync(path.dirname(destination), { recursive: true });
      copyFileSync(inRoot(file), destination);
    }
    for (const [name, html] of pageShells()) writeFileSync(path.join(wwwDir, name), html);
    for (const name of packageFiles) {
      mkdirSync(path.join(wwwDir, "sealed-visit"), { recursive: true });
      copyFileSync(path.join(distDir, name), path.join(wwwDir, "sealed-visit", name));
    }
    mkdirSync(path.join(wwwDir, "sealed-visit", "wasm"), { recursive: true });
    for (const { name } of wasmModules) {
      const file = path.join("wasm", `${name}_bg.wasm`);
      copyFileSync(path.join(distDir, file), path.join(wwwDir, "sealed-visit", file));
    }
    if (entries.length === 0) return;
    await esbuild.build({
      ...esbuildOptions,
      // The package's promise to have no side effects is not the pages': they import modules for what they do.
      ignoreAnnotations: true,
      entryPoints: entries.map((file) => inRoot(file)),
      outdir: wwwDir,
      splitting: true,
      chunkNames: "chunk-[hash]",
      plugins: [packageByUrl],
    });
  });
  markCurrent("www", hash);
}

/** `sealed-visit` and its subpaths stay imports, by URL, of the package's own files. */
const packageByUrl = {
  name: "package-by-url",
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^sealed-visit(\/.*)?$/ }, ({ path: specifier }) => {
      const subpath = specifier.slice("sealed-visit/".length);
      return { path: `./sealed-visit/${subpath || "index"}.js`, external: true };
    });
  },
};

// --- Servers ------------------------------------------------------------------------------------

/** Where release builds are asked for, only those will do; elsewhere they will do as well. */
async function buildServers(profile = "quick") {
  const { rust } = await ensure("rust");
  const hashOf = (name) => fingerprint(serverInputs, [rust.version, name, JSON.stringify(servers)]);
  const outputs = servers.map(({ program, output = program }) => `bin/${output}`);
  const hash = hashOf(profile);
  if ([hash, hashOf("release")].some((acceptable) => isCurrent("servers", acceptable, outputs))) return;
  await withLock("cargo-servers", () =>
    timed(`building servers and clinic tool (${profile})`, async () => {
      mkdirSync(binDir, { recursive: true });
      // Always the same packages: another selection would unify other features, and build every dependency again.
      const packages = [...new Set(servers.map((server) => server.package))];
      const withFeatures = servers.filter(({ features }) => features);
      for (const server of withFeatures) {
        const features = server.features.map((feature) => `${server.package}/${feature}`).join();
        await buildPrograms(profile, packages, [server], ["--features", features]);
      }
      await buildPrograms(
        profile,
        packages,
        servers.filter(({ features }) => !features),
      );
    }),
  );
  markCurrent("servers", hash);
}

async function buildPrograms(profile, packages, wanted, options = []) {
  const selection = packages.flatMap((name) => ["--package", name]);
  await run("cargo", ["build", "--quiet", "--profile", profile, "--bins", ...selection, ...options], {
    env: { CARGO_TARGET_DIR: targetDir },
  });
  for (const { program, output = program } of wanted) {
    // By renaming: a running program's file cannot be written, but it can be replaced.
    const destination = path.join(binDir, output);
    copyFileSync(path.join(targetDir, profile, program), `${destination}.new`);
    chmodSync(`${destination}.new`, 0o755);
    renameSync(`${destination}.new`, destination);
  }
}

// --- What is up to date -------------------------------------------------------------------------

const stampFile = (step) => path.join(distDir, ".stamps", step);

/** Whether a step's last build had these inputs and its outputs (in dist/) are still there. */
function isCurrent(step, hash, outputs) {
  const stamped = existsSync(stampFile(step)) && readFileSync(stampFile(step), "utf8") === hash;
  return stamped && outputs.every((output) => statSync(path.join(distDir, output), { throwIfNoEntry: false }));
}

function markCurrent(step, hash) {
  mkdirSync(path.dirname(stampFile(step)), { recursive: true });
  writeFileSync(stampFile(step), hash);
}

// --- Command line -------------------------------------------------------------------------------

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    // What is built by name or for itself may be deployed: servers are release builds then.
    const named = process.argv.slice(2).map((name) => (name === "servers" ? "servers:release" : name));
    await build(...(named.length > 0 ? named : ["wasm", "js", "servers:release"]));
    say("built: dist/");
    sayTimes();
  } catch (error) {
    say(`build failed: ${error.message}`);
    process.exitCode = 1;
  }
}
