/**
 * Everything that `npm run build` makes, as data. Add an entry here and nowhere else.
 */

const simd = ["-Ctarget-feature=+simd128"];
const smallCiphers = ['--cfg=sha2_backend_soft="compact"', '--cfg=aes_backend_soft="compact"'];
/** Functions that are alike stand side by side, where gzip finds them; inlining would make them differ. */
const compressible = [
  ...["--always-inline-max-function-size=0", "--one-caller-inline-max-function-size=0"],
  "--reorder-functions-by-name",
];

/**
 * The core, compiled to WebAssembly twice: whoever joins downloads `visit` (group, state machine,
 * frames), a recorder `recording` too. Each becomes `dist/wasm/NAME.js`, `NAME_bg.wasm` and `NAME.d.ts`.
 *
 * `simd`: fixslicing in 128-bit lanes needs it; every browser with encoded transforms has it.
 * `smallCiphers`: rounds of SHA-2 and AES as loops; a handshake needs few of them.
 * `optimize`: what wasm-opt is told; for what everyone downloads the size when compressed, else speed.
 */
export const wasmModules = [
  {
    name: "visit",
    features: ["visit"],
    profile: "wasm-size",
    rustflags: [...simd, ...smallCiphers],
    optimize: ["-Os", ...compressible],
  },
  { name: "recording", features: ["recording"], profile: "wasm-speed", rustflags: simd, optimize: ["-O3"] },
];

/** Never shipped: logs every key, takes keys from JavaScript. For tests that need either, and benchmarks; in `dist/wasm-test/`. */
export const testModules = [{ ...wasmModules[0], features: ["visit", "test-hooks"] }];

/** What the modules are made from. */
export const wasmInputs = [
  ...["Cargo.toml", "Cargo.lock", "src"],
  ...["aes", "protocol", "frames", "visit", "recording"].flatMap((name) => [
    `crates/${name}/Cargo.toml`,
    `crates/${name}/src`,
  ]),
];

/**
 * wasm-opt may use exactly what the compiler used already. `--all-features` would let it emit
 * instructions that browsers refuse.
 */
export const wasmOptFeatures = [
  "--enable-bulk-memory",
  "--enable-bulk-memory-opt",
  "--enable-reference-types",
  "--enable-mutable-globals",
  "--enable-sign-ext",
  "--enable-nontrapping-float-to-int",
  "--enable-multivalue",
];

/**
 * The npm package: ES modules for the page, and module workers. What they have in common, and
 * what they load later, is in `chunk-*.js` (workers: `worker-chunk-*.js`): a patient does not download the recorder's part.
 */
export const bundles = [
  { entry: "js/index.ts", output: "index.js", group: "page" },
  { entry: "js/components.ts", output: "components.js", group: "components" },
  { entry: "js/host.ts", output: "host.js", group: "components" },
  { entry: "worker/visit-worker.ts", output: "visit-worker.js", group: "workers" },
  { entry: "worker/compose-worker.ts", output: "compose-worker.js", group: "workers" },
  { entry: "worker/open-worker.ts", output: "open-worker.js", group: "workers" },
];

/** Rust programs, as `dist/bin/NAME` (or OUTPUT, for one built with other features). */
export const servers = [
  // For tests: writes what it forwards to a file, to be searched for plaintext.
  {
    package: "sealed-visit-relay",
    program: "sealed-visit-relay",
    features: ["tap"],
    output: "sealed-visit-relay-tap",
  },
  { package: "sealed-visit-relay", program: "sealed-visit-relay" },
  { package: "sealed-visit-authority", program: "sealed-visit-authority" },
  { package: "sealed-visit-vault", program: "sealed-visit-vault" },
  { package: "sealed-visit-cli", program: "sealed-visit" },
];

/** What the programs are made from. */
export const serverInputs = ["Cargo.toml", "Cargo.lock", "crates"];
