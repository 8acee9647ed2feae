/**
 * The layering that neither the compiler nor `cargo tree` shows: modules within a crate, the clock, and TypeScript. Which crate
 * uses which is in trees.test.mjs.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { filesUnder } from "../../scripts/lib/fingerprint.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";

/** A module's own Rust files, without those of its tests. */
function sourcesOf(folder) {
  const files = filesUnder(folder).filter((file) => file.endsWith(".rs") && !/\/tests?(\/|\.rs$)/.test(file));
  assert.ok(files.length > 0, `${folder} has sources`);
  return files;
}

/** Source without comments and without its test module, line by line. */
function codeOf(file) {
  const text = readFileSync(inRoot(file), "utf8").split(/^#\[cfg\(test\)\]\nmod \w+ \{/m)[0];
  return text.split("\n").filter((line) => !/^\s*\/\//.test(line));
}

for (const [folder, others] of /** @type {[string, string[]][]} */ ([
  ["crates/frames/src/codec", ["sframe", "engine"]],
  ["crates/frames/src/sframe", ["codec", "engine"]],
  ["crates/visit/src/group", ["visit"]],
])) {
  test(`${folder} imports nothing of ${others.join(" or ")}`, () => {
    const pattern = new RegExp(
      `\\b(?:crate|super)::(?:${others.join("|")})\\b|\\buse crate::\\{[^}]*\\b(?:${others.join("|")})::`,
    );
    for (const file of sourcesOf(folder)) {
      for (const line of codeOf(file)) assert.ok(!pattern.test(line), `${file}: ${line.trim()}`);
    }
  });
}

test("seal imports nothing of the recordings that are built on it", () => {
  for (const file of sourcesOf("crates/recording/src/seal")) {
    for (const line of codeOf(file)) assert.ok(!/\bcrate::(?!seal\b)/.test(line), `${file}: ${line.trim()}`);
  }
});

test("the core reads no clock, opens no socket and no file", () => {
  const forbidden = /\b(SystemTime|Instant::now|std::(net|fs|process|env)::|Date::now|MlsTime::now)\b/;
  for (const file of [
    "src",
    ...["aes", "protocol", "frames", "visit", "recording"].map((name) => `crates/${name}/src`),
  ].flatMap(sourcesOf)) {
    for (const line of codeOf(file)) assert.ok(!forbidden.test(line), `${file}: ${line.trim()}`);
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
