/** One registry of commands: package.json, the suites and the documents follow it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { commandLine, packageScripts } from "../../scripts/lib/commands.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { suites } from "../../scripts/lib/suites.mjs";

const scripts = packageScripts(suites.map(({ name }) => name));

test("package.json has exactly the registry's commands", () => {
  const { scripts: written } = JSON.parse(readFileSync(inRoot("package.json"), "utf8"));
  assert.deepEqual(written, scripts, "change scripts/lib/commands.mjs or scripts/lib/suites.mjs, then package.json");
});

test("every command runs a file that exists", () => {
  for (const [name, script] of Object.entries(scripts)) {
    const [, file] = script.split(" ");
    assert.ok(existsSync(inRoot(file)), `${name}: ${file}`);
    if (!name.startsWith("test:")) {
      const program = commandLine(name).find((part) => /\.mjs$/.test(part));
      assert.ok(program && existsSync(inRoot(program)), `${name}: ${program}`);
    }
  }
});

test("an unknown command is named, with those that exist", () => {
  assert.throws(() => commandLine("tortures"), /no command "tortures"; there are: .*torture/);
});

test("the documents name no command that does not exist", () => {
  const documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/BENCHMARKS.md", "docs/RECORDING.md"];
  for (const document of documents.filter((file) => existsSync(inRoot(file)))) {
    for (const [, name] of readFileSync(inRoot(document), "utf8").matchAll(/npm run ([a-z][\w:]*)/g))
      assert.ok(name in scripts, `${document}: npm run ${name}`);
  }
});
