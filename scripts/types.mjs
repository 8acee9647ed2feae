/**
 * `npm run types` writes generated/ anew from the Rust sources: the types of everything that crosses between the core and
 * JavaScript, and the numbers and lists that both need. With `--check` it writes nothing, and fails when a file differs.
 *
 * The Rust types are the only place where these are defined. TypeScript sees JSON: times and counts are numbers, bytes are
 * base64url. All types are read-only, because a page is handed what the core decided.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { inRoot, targetDir } from "./lib/paths.mjs";
import { capture } from "./lib/run.mjs";

const folder = "generated";
const check = process.argv.includes("--check");

const printed = await capture(
  "cargo",
  [
    ...["run", "--quiet", "--profile", "quick", "--package", "sealed-visit"],
    ...["--features", "typescript", "--example", "typescript"],
  ],
  { env: { CARGO_TARGET_DIR: targetDir } },
);
const { types, constants } = JSON.parse(printed);

const head = "// Generated from the Rust sources by `npm run types`: change those, and run it again.\n\n";
const files = {
  "types.ts": types.map(readOnly).join("\n"),
  // By themselves: everyone who joins needs them, and a module shared with what is loaded later would be one more file to fetch.
  "codecs.ts": constants.filter(isOfCodecs).join("\n"),
  "constants.ts": constants.filter((text) => !isOfCodecs(text)).join("\n"),
};

const stale = [];
for (const [name, text] of Object.entries(files)) {
  const file = path.join(folder, name);
  const formatted = await capture(inRoot("node_modules", ".bin", "biome"), ["format", "--stdin-file-path", file], {
    input: head + text,
  });
  if (formatted === read(file)) continue;
  if (check) {
    stale.push(file);
  } else {
    mkdirSync(inRoot(folder), { recursive: true });
    writeFileSync(inRoot(file), formatted);
    process.stderr.write(`${file} written\n`);
  }
}
if (stale.length > 0) {
  process.stderr.write(
    `${stale.join(" and ")} differ from the Rust sources. Run \`npm run types\` and commit the result.\n`,
  );
  process.exitCode = 1;
}

function isOfCodecs(text) {
  return text.includes("const CODECS");
}

function read(file) {
  try {
    return readFileSync(inRoot(file), "utf8");
  } catch {
    return null;
  }
}

/** A declaration as the generator prints it, with every member and array read-only. Comments stay as they are. */
function readOnly(declaration) {
  return declaration
    .replaceAll(/\/\*\*\n \* (.*)\n \*\//g, "/** $1 */")
    .split(/(\/\*[\s\S]*?\*\/)/)
    .map((part, index) =>
      index % 2 === 1
        ? part
        : part
            .replaceAll("Array<", "ReadonlyArray<")
            .replaceAll("<[", "<readonly [")
            .replaceAll(/(^|[{,\n]\s*)("?\w+"?\??): /g, "$1readonly $2: "),
    )
    .join("");
}
