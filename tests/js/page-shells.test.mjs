/** The pages come from one shell, whose data must fit what is in www/. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { pageShells, pages } from "../../scripts/lib/page-shells.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";

test("every script and style sheet that a page loads exists", () => {
  for (const [name, html] of pageShells()) {
    const linked = [...html.matchAll(/(?:src|href)="\.?\/([^"]+)"/g)].map(([, file]) => file);
    assert.ok(linked.length >= 4, name);
    for (const file of linked) assert.ok(existsSync(inRoot("www", file.replace(/\.js$/, ".ts"))), `${name}: ${file}`);
  }
});

test("every page forbids what a leaked link needs: referrers and search engines", () => {
  for (const [name, html] of pageShells()) {
    assert.match(html, /<meta name="referrer" content="no-referrer">/, name);
    assert.match(html, /<meta name="robots" content="noindex">/, name);
    assert.doesNotMatch(html, /<script(?! type="module" src=)|<style|\son\w+=|\sstyle=/, `${name}: nothing inline`);
  }
});

test("every script of www/ belongs to a page, and no page is written by hand beside the shell", () => {
  const files = readdirSync(inRoot("www"));
  const scripts = files.filter((name) => name.endsWith(".ts")).map((name) => name.replace(".ts", ""));
  const used = new Set(Object.values(pages).map(({ script }) => script));
  assert.deepEqual(new Set(scripts), used, "add the page to scripts/lib/page-shells.mjs");
  assert.deepEqual(
    files.filter((name) => name.endsWith(".html")),
    ["index.html"],
  );
});
