/** Everything we ship or build with may be used by anyone. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { dependencyGraph } from "./metadata.mjs";

const permissive = new Set([
  ...["MIT", "MIT-0", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause"],
  ...["0BSD", "ISC", "BSL-1.0", "CC0-1.0", "Unlicense", "Zlib", "Unicode-3.0", "BlueOak-1.0.0", "Python-2.0"],
]);
/** Packages that state their licence elsewhere than in package.json, and where. */
const statedElsewhere = new Map([
  ["combine-errors", { license: "MIT", where: "Readme.md", text: /## License\s+MIT\b/ }],
]);
/** Copyleft on its own files only: fine, also shipped unchanged. */
const weakCopyleft = new Set(["MPL-2.0"]);

test("the SPDX reader understands OR, AND, WITH, brackets, and the old slash", () => {
  const only = (...names) => new Set(names);
  assert.ok(isAllowed("GPL-3.0 OR MIT", only("MIT")));
  assert.ok(!isAllowed("GPL-3.0 AND MIT", only("MIT")));
  assert.ok(isAllowed("(MIT OR GPL-3.0) AND ISC", only("MIT", "ISC")));
  assert.ok(!isAllowed("Apache-2.0 WITH LLVM-exception", only("Apache-2.0")));
  assert.ok(isAllowed("MIT/Apache-2.0", only("MIT")));
  assert.ok(!isAllowed("", only("MIT")));
});

test("every Rust crate has a permissive licence", async () => {
  const { packages } = await dependencyGraph();
  assert.ok(packages.length > 100, `${packages.length} crates`);
  const allowed = new Set([...permissive, ...weakCopyleft]);
  const refused = packages.filter(({ license }) => !isAllowed(license ?? "", allowed));
  assert.deepEqual(
    refused.map(({ name, license }) => `${name}: ${license}`),
    [],
  );
});

test("every npm package has a permissive licence, what users install a permissive one without conditions on files", () => {
  const lock = JSON.parse(readFileSync(inRoot("package-lock.json"), "utf8"));
  const entries = Object.entries(lock.packages).filter(([where]) => where !== "");
  assert.ok(
    entries.some(([, entry]) => !entry.dev),
    "there are runtime dependencies",
  );
  const refused = entries.flatMap(([where, entry]) => {
    const allowed = entry.dev ? new Set([...permissive, ...weakCopyleft]) : permissive;
    return isAllowed(entry.license ?? licenceElsewhere(where), allowed) ? [] : [`${where}: ${entry.license}`];
  });
  assert.deepEqual(refused, []);
});

test("our own packages say MIT OR Apache-2.0, and carry both texts", async () => {
  const { packages } = await dependencyGraph();
  for (const { name, license } of packages.filter(({ source }) => source === null)) {
    assert.equal(license, "MIT OR Apache-2.0", name);
  }
  assert.equal(JSON.parse(readFileSync(inRoot("package.json"), "utf8")).license, "MIT OR Apache-2.0");
  assert.match(readFileSync(inRoot("LICENSE-MIT"), "utf8"), /Permission is hereby granted/);
  assert.match(readFileSync(inRoot("LICENSE-APACHE"), "utf8"), /Version 2\.0, January 2004/);
});

function licenceElsewhere(where) {
  const stated = statedElsewhere.get(where.replace("node_modules/", ""));
  if (!stated?.text.test(readFileSync(inRoot(where, stated.where), "utf8"))) return "";
  return stated.license;
}

/** Whether an SPDX expression can be met with the allowed licences. */
function isAllowed(expression, allowed) {
  const tokens = expression.replaceAll("/", " OR ").match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const value = either();
  return value && at === tokens.length;

  function either() {
    let met = both();
    while (tokens[at] === "OR") {
      at += 1;
      met = both() || met;
    }
    return met;
  }
  function both() {
    let met = single();
    while (tokens[at] === "AND") {
      at += 1;
      met = single() && met;
    }
    return met;
  }
  function single() {
    if (tokens[at] === "(") {
      at += 1;
      const met = either();
      at += 1;
      return met;
    }
    let name = tokens[at] ?? "";
    at += 1;
    if (tokens[at] === "WITH") {
      name = `${name} WITH ${tokens[at + 1]}`;
      at += 2;
    }
    return allowed.has(name);
  }
}
