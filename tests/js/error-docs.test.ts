/** Every code that this package can raise has a page, and every page is of such a code. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { errorCodes } from "../../js/errors.js";

const root = path.join(import.meta.dirname, "..", "..");
const read = (...parts: string[]) => readFileSync(path.join(root, ...parts), "utf8");
const others = new Set(["README", "drop-reasons", "problems"]);

/** Codes of the core, as its source writes them. */
function coreCodes(): string[] {
  const quoted = (source: string, pattern: RegExp) => [...source.matchAll(pattern)].map(([, code]) => code ?? "");
  const commands =
    /pub enum ErrorCode \{([\s\S]*?)\n\}/.exec(read("crates", "visit", "src", "visit", "output.rs"))?.[1] ?? "";
  return [
    ...quoted(commands, /^ {4}([A-Z]\w+),/gm).map(
      (name) => `visit${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    ),
    ...quoted(read("crates", "frames", "src", "engine", "error.rs"), /"(frames-[a-z-]+)"/g),
    ...quoted(read("src", "recording", "types.d.ts"), /\| "((?:recording|opening|receipt|wipe)-[a-z-]+)"/g),
  ];
}

test("every code has a page, and every page a code", () => {
  const codes = new Set<string>([...errorCodes, ...coreCodes()]);
  assert.ok(codes.size > errorCodes.length + 30, "the core's codes were not found where they were");
  const pages = readdirSync(path.join(root, "docs", "errors")).map((name) => name.replace(/\.md$/, ""));
  assert.deepEqual(pages.filter((page) => !others.has(page)).sort(), [...codes].sort());
});

test("every page is listed, and says what it means, what happens to the visit, and what to do", () => {
  const list = read("docs", "errors", "README.md");
  for (const code of [...errorCodes, ...coreCodes()]) {
    const page = read("docs", "errors", `${code}.md`);
    for (const part of ["What it means", "What happens to the visit", "What to do"])
      assert.match(page, new RegExp(part), code);
    assert.ok(list.includes(`[\`${code}\`](${code}.md)`), code);
  }
});

test("every drop reason of the engine, and every problem of the core, is explained", () => {
  const reasons = [...read("crates", "frames", "src", "engine", "outcome.rs").matchAll(/= \d+ "([a-z-]+)"/g)].map(
    ([, reason]) => reason,
  );
  assert.ok(reasons.length >= 16);
  for (const reason of reasons) assert.ok(read("docs", "errors", "drop-reasons.md").includes(`\`${reason}\``), reason);
  const problems =
    /pub enum ProblemCode \{([\s\S]*?)\n\}/.exec(read("crates", "visit", "src", "visit", "state.rs"))?.[1] ?? "";
  const names = [...problems.matchAll(/^ {4}([A-Z]\w+),/gm)].map(([, name]) =>
    (name ?? "").replace(/(?!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase(),
  );
  assert.ok(names.length >= 8);
  for (const name of names) {
    assert.ok(read("docs", "errors", "problems.md").includes(`\`${name}\``), name);
    assert.ok(read("generated", "types.ts").includes(`"${name}"`), name);
    for (const language of ["en", "es"])
      assert.match(
        read("www", "strings", `${language}.ts`),
        new RegExp(`\\b${name}:\\s+"[A-Z¿¡]`),
        `${language} ${name}`,
      );
  }
});
