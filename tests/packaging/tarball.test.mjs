/** What is published, how it installs, and how it builds where users build. */
import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { capture } from "../../scripts/lib/run.mjs";
import { assertPageWorks, copyAssets, installedProject, userProgram, writePage } from "./fixture.mjs";

/** Source maps and declarations included. */
const UNPACKED_LIMIT_BYTES = 8_000_000;

let project;

before(async () => {
  project = await installedProject();
});

after(() => project?.remove());

test("the tarball holds package, workers, WebAssembly, types and licences, and nothing else", () => {
  const { files, unpackedBytes } = project.tarball;
  const wanted = [
    ...["package.json", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"],
    ...["dist/index.js", "dist/components.js", "dist/host.js"],
    ...["dist/types/js/index.d.ts", "dist/types/js/components.d.ts", "dist/types/js/host.d.ts"],
    ...["dist/visit-worker.js", "dist/compose-worker.js", "dist/open-worker.js"],
    ...["visit", "recording"].map((name) => `dist/wasm/${name}_bg.wasm`),
  ];
  assert.deepEqual(
    wanted.filter((file) => !files.includes(file)),
    [],
    "missing",
  );
  const isExpected = (file) =>
    !file.includes("/") || /^dist\/([\w-]+\.(js|js\.map|js\.LEGAL\.txt)|wasm\/|types\/)/.test(file);
  assert.deepEqual(
    files.filter((file) => !isExpected(file)),
    [],
    "unexpected",
  );
  assert.ok(unpackedBytes < UNPACKED_LIMIT_BYTES, `${unpackedBytes} bytes unpacked`);
});

test("no shipped file takes keys from JavaScript or gives them to it: the hooks for tests stay at home", () => {
  const source = readFileSync(inRoot("src", "test_hooks.rs"), "utf8");
  const hooks = [...source.matchAll(/js_name = (\w+)/g)].map(([, name]) => name);
  assert.ok(hooks.includes("installEpoch") && hooks.includes("keyLogPointer"), hooks.join(", "));
  const code = project.tarball.files.filter((file) => /\.(wasm|js|d\.ts)$/.test(file));
  assert.ok(code.length > 40, `${code.length} files`);
  for (const file of code) {
    const text = readFileSync(path.join(project.installed, file), "latin1");
    for (const hook of hooks) assert.ok(!text.includes(hook), `${file} has ${hook}`);
  }
  const module = readFileSync(path.join(project.installed, "dist", "wasm", "visit_bg.wasm"), "latin1");
  assert.ok(module.includes("visitcore_handle"), "the names of exports are readable: the search can find something");
});

test("every file that package.json names exists in the installed package", async () => {
  const manifest = JSON.parse(await capture("cat", [path.join(project.installed, "package.json")]));
  const named = [
    manifest.main,
    manifest.types,
    ...Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry))),
  ];
  for (const file of named.filter((name) => !name.includes("*")))
    assert.ok(existsSync(path.join(project.installed, file)), file);
});

test("the published types hold nothing internal, and nobody can make what only the package makes", async () => {
  const types = project.tarball.files.filter((file) => file.endsWith(".d.ts"));
  assert.ok(types.length > 40, `${types.length} files`);
  for (const file of types)
    assert.doesNotMatch(readFileSync(path.join(project.installed, file), "utf8"), /@internal/, file);
  const file = path.join(project.directory, "use-internal.ts");
  const lines = [
    'import { SealedVisitError, Visit } from "sealed-visit";',
    "// @ts-expect-error only joinVisit makes a visit",
    "new Visit();",
    "// @ts-expect-error internal",
    "export const made = Visit.of;",
    "// @ts-expect-error internal",
    "export const failure = SealedVisitError.fromFailure;",
  ];
  writeFileSync(file, lines.join("\n"));
  await typeCheck(file, "esnext", "bundler");
});

test("a plain page without bundler works under a strict policy", async () => {
  const directory = path.join(project.directory, "plain");
  writePage(directory, "./page.js");
  writeFileSync(path.join(directory, "page.js"), userProgram.replace('"sealed-visit"', '"./sealed-visit/index.js"'));
  cpSync(path.join(project.installed, "dist"), path.join(directory, "sealed-visit"), { recursive: true });
  await assertPageWorks(directory);
});

test("a bundle made by esbuild works under a strict policy, with the assets copied beside it", async () => {
  const { build } = await import("esbuild");
  const directory = path.join(project.directory, "esbuild");
  writeFileSync(path.join(project.directory, "page.js"), userProgram);
  writePage(directory, "./bundle.js");
  await build({
    entryPoints: [path.join(project.directory, "page.js")],
    outfile: path.join(directory, "bundle.js"),
    bundle: true,
    format: "esm",
    target: ["es2022"],
    logLevel: "error",
  });
  copyAssets(project.installed, directory);
  await assertPageWorks(directory);
});

test("a bundle made by vite works under a strict policy, without further steps", async () => {
  const { build } = await import("vite");
  const directory = path.join(project.directory, "vite");
  writePage(directory, "/page.js");
  writeFileSync(path.join(directory, "page.js"), userProgram);
  await build({
    root: directory,
    logLevel: "error",
    configFile: false,
    // Module workers: vite's default for workers is a classic script.
    worker: { format: "es" },
    build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  });
  await assertPageWorks(path.join(directory, "dist"));
});

for (const [resolution, module] of [
  ["bundler", "esnext"],
  ["nodenext", "nodenext"],
]) {
  test(`the types serve a strict project with module resolution ${resolution}`, async () => {
    const file = path.join(project.directory, `use-${resolution}.ts`);
    writeFileSync(
      file,
      [
        'import { joinVisit, SealedVisitError, support, type Visit, type VisitState } from "sealed-visit";',
        'import { defineVisitElements } from "sealed-visit/components";',
        "export async function join(options: Parameters<typeof joinVisit>[0]): Promise<Visit | string> {",
        "  const { visit } = await support();",
        "  if (!visit.supported) return visit.reason;",
        "  defineVisitElements();",
        "  try {",
        "    return await joinVisit(options);",
        "  } catch (error) {",
        "    if (error instanceof SealedVisitError) return error.code;",
        "    throw error;",
        "  }",
        "}",
        "export const phaseOf = (state: VisitState): string => state.phase;",
        "// @ts-expect-error a state has no such field: the types are not `any`",
        "export const wrong = (state: VisitState): string => state.noSuchField;",
      ].join("\n"),
    );
    await typeCheck(file, module, resolution);
  });
}

/** As a strict user does, who also checks the declarations of packages. */
async function typeCheck(file, module, resolution) {
  const options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--types", ""];
  const lib = "es2023,esnext.disposable,dom,dom.iterable,dom.asynciterable";
  const where = ["--module", module, "--moduleResolution", resolution, file];
  await capture(inRoot("node_modules", ".bin", "tsc"), [...options, "--lib", lib, ...where], {
    cwd: project.directory,
  });
}
