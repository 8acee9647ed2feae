/** Lists that several languages or folders keep: a test names the one that an addition missed. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { CODECS } from "../../generated/codecs.js";
import { PURPOSES } from "../../js/components/view.js";

const root = path.join(import.meta.dirname, "..", "..");
const read = (...parts: string[]) => readFileSync(path.join(root, ...parts), "utf8");

test("every purpose of the core is offered by the pages, and no other", () => {
  const variants = /pub enum Purpose \{([\s\S]*?)\n\}/.exec(
    read("crates", "protocol", "src", "consent", "request.rs"),
  )?.[1];
  const names = [...(variants ?? "").matchAll(/^ {4}([A-Z]\w+),/gm)].map(([, name]) =>
    (name ?? "").replace(/(?!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase(),
  );
  assert.ok(names.length >= 7);
  assert.deepEqual([...PURPOSES], names);
});

test("every codec that the core protects is the list that page and worker use", () => {
  const codecs = [...read("crates", "frames", "src", "codec", "mod.rs").matchAll(/=> "((?:audio|video)\/\w+)"/g)].map(
    ([, type]) => (type ?? "").toLowerCase(),
  );
  assert.ok(codecs.length >= 3);
  assert.deepEqual([...CODECS], codecs);
  for (const file of ["js/sdp.ts", "worker/frames/frame-crypto.ts"]) {
    const text = read(file);
    assert.match(text, /import \{ CODECS \} from "[./]+\/generated\/codecs\.js"/, file);
    assert.doesNotMatch(text, /"(?:audio|video)\/(?!rtx)\w+"/, `${file} lists codecs by hand`);
  }
});

test("components, consent texts and pages come in the same languages", () => {
  const languagesIn = (folder: string) =>
    readdirSync(path.join(root, folder)).filter((name) => /^[a-z]{2}\.ts$/.test(name));
  const languages = languagesIn("js/components/strings");
  assert.deepEqual(languagesIn("js/consent-texts"), languages);
  assert.deepEqual(languagesIn("www/strings"), languages);
});

test("CONTRIBUTING.md names files that exist", () => {
  const text = read("CONTRIBUTING.md");
  for (const [, file = ""] of text.matchAll(/`((?:crates|js|worker|www|tests|docs|scripts|src)\/[\w./-]+)`/g)) {
    if (!file.includes("CODE")) assert.ok(existsSync(path.join(root, file)), file);
  }
});
