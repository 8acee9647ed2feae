/** The layering of the sources, as ARCHITECTURE.md states it, read from their imports. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { filesUnder } from "../../scripts/lib/fingerprint.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";

/** Rust files of a module of the core, whether it is a file or a directory. */
function moduleFiles(name) {
  return [`src/${name}.rs`, `src/${name}`].flatMap(filesUnder).filter((file) => file.endsWith(".rs"));
}

/** Source without comments and without its test module, line by line. */
function codeOf(file) {
  const text = readFileSync(inRoot(file), "utf8").split(/^#\[cfg\(test\)\]\nmod \w+ \{/m)[0];
  return text.split("\n").filter((line) => !/^\s*\/\//.test(line));
}

const isTest = (file) => /(^|\/)tests?(\/|\.rs$)/.test(file.replace(/^src\//, ""));

function assertNoImport(name, forbidden) {
  const files = moduleFiles(name).filter((file) => !isTest(file));
  assert.ok(files.length > 0, `src/${name} exists`);
  const pattern = new RegExp(
    `\\b(?:crate|super)::(?:${forbidden.join("|")})\\b|\\buse crate::\\{[^}]*\\b(?:${forbidden.join("|")})::`,
  );
  for (const file of files) {
    for (const line of codeOf(file)) assert.ok(!pattern.test(line), `${file}: ${line.trim()}`);
  }
}

const concepts = ["sframe", "group", "seal", "codec"];
for (const name of concepts) {
  test(`${name} imports none of ${concepts.filter((other) => other !== name).join(", ")}`, () => {
    assertNoImport(name, [...concepts.filter((other) => other !== name), "visit", "wasm"]);
  });
}

test("recording builds on seal and protocol, not on the visit", () => {
  assertNoImport("recording", ["sframe", "group", "visit", "wasm"]);
});

test("the core reads no clock, opens no socket and no file", () => {
  const forbidden = /\b(SystemTime|Instant::now|std::(net|fs|process|env)::|Date::now|MlsTime::now)\b/;
  for (const file of filesUnder("src").filter((name) => name.endsWith(".rs") && !isTest(name))) {
    for (const line of codeOf(file)) assert.ok(!forbidden.test(line), `${file}: ${line.trim()}`);
  }
});

test("bindings are in src/wasm only", () => {
  const files = filesUnder("src").filter((name) => name.endsWith(".rs") && !name.startsWith("src/wasm"));
  for (const file of files) {
    for (const line of codeOf(file)) assert.ok(!/#\[wasm_bindgen\b/.test(line), `${file}: ${line.trim()}`);
  }
});

test("each WebAssembly module is imported by one file of the worker", () => {
  const importers = new Map();
  for (const file of ["worker", "js", "www"].flatMap(filesUnder).filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(inRoot(file), "utf8");
    for (const [, module] of text.matchAll(/^import (?!type)[^;]*?from "[^"]*\/wasm\/(\w+)\.js"/gms)) {
      importers.set(module, [...(importers.get(module) ?? []), file]);
    }
  }
  assert.ok(importers.has("visit"), `found only ${[...importers.keys()]}`);
  for (const [module, files] of importers) {
    assert.ok(
      files.every((file) => file.startsWith("worker/")),
      `${module} is imported by ${files}`,
    );
  }
});

test("the page's side imports nothing but types from the worker, and no WebAssembly", () => {
  for (const file of filesUnder("js").filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(inRoot(file), "utf8");
    for (const [statement, source] of text.matchAll(/^(?:import|export) [^;]*?from "([^"]+)"/gms)) {
      if (source.includes("/wasm/")) assert.fail(`${file} imports ${source}`);
      if (source.includes("worker/") && source.startsWith("../"))
        assert.match(statement, /^(import|export) type /, `${file}: ${source}`);
    }
  }
});

test("the pages import the package by its public name only", () => {
  const files = filesUnder("www").filter((name) => name.endsWith(".ts"));
  assert.ok(files.length > 0, "www/ has pages");
  for (const file of files) {
    for (const [, source] of readFileSync(inRoot(file), "utf8").matchAll(/from "([^"]+)"/g)) {
      const isOwn = source.startsWith("./") || (source.startsWith("../") && !/\b(js|worker|src|dist)\//.test(source));
      assert.ok(isOwn || /^sealed-visit(\/[\w-]+)?$/.test(source), `${file} imports ${source}`);
    }
  }
});
