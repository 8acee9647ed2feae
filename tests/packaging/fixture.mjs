/** The packed package, installed into a folder of its own as a user would, and pages that use it. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { inRoot, root } from "../../scripts/lib/paths.mjs";
import { capture } from "../../scripts/lib/run.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";

/** What `npm pack` puts into the tarball: `{ file, files: [path], unpackedBytes }`. */
export async function packInto(directory) {
  const [answer] = JSON.parse(await capture("npm", ["pack", "--json", "--pack-destination", directory], { cwd: root }));
  return {
    file: path.join(directory, answer.filename),
    files: answer.files.map((entry) => entry.path),
    unpackedBytes: answer.unpackedSize,
  };
}

/** A project with the tarball installed. */
export async function installedProject() {
  const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-packaging-"));
  const tarball = await packInto(directory);
  writeFileSync(path.join(directory, "package.json"), JSON.stringify({ name: "user", private: true, type: "module" }));
  await capture("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error", tarball.file], {
    cwd: directory,
  });
  const installed = path.join(directory, "node_modules", "sealed-visit");
  return { directory, tarball, installed, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** The user's program; what it finds out it leaves in `globalThis.outcome`. */
export const userProgram = readFileSync(inRoot("tests", "packaging", "page.js"), "utf8");

export function writePage(directory, script) {
  mkdirSync(directory, { recursive: true });
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>user's page</title><script type="module" src="${script}"></script></html>`;
  writeFileSync(path.join(directory, "index.html"), html);
}

/** Copies workers and WebAssembly beside a bundle, as docs say for bundlers that do not do it. */
export function copyAssets(installed, directory) {
  const names = readdirSync(path.join(installed, "dist")).filter((name) => /worker.*\.js$/.test(name));
  for (const name of [...names, "wasm"]) {
    cpSync(path.join(installed, "dist", name), path.join(directory, name), { recursive: true });
  }
}

/** Opens a folder's page under the strict policy and checks that the package ran in it, worker and WebAssembly included. */
export async function assertPageWorks(directory) {
  const site = await serve({ directory });
  const browser = await openBrowser({ name: "packaging" });
  try {
    const page = await browser.newPage();
    await page.goto(site.url("/"));
    await page.waitForFunction(() => globalThis.outcome !== undefined, undefined, { timeout: 30_000 });
    const outcome = await page.evaluate(() => globalThis.outcome);
    const context = JSON.stringify({ outcome, problems: browser.problems, requests: site.requests }, null, 1);
    assert.deepEqual(outcome.visitSupport, { supported: true }, context);
    assert.equal(outcome.isSealedVisitError, true, context);
    assert.ok(outcome.code && outcome.knownCode, context);
    const loaded = (pattern) => site.requests.filter((request) => pattern.test(request.path));
    assert.ok(
      loaded(/visit-worker.*\.js$/).some(({ status }) => status === 200),
      context,
    );
    assert.ok(
      loaded(/visit_bg.*\.wasm$/).some(({ status }) => status === 200),
      context,
    );
    assert.ok(
      loaded(/./).every(({ status }) => status < 400),
      context,
    );
    assert.deepEqual(browser.problems, [], context);
    return outcome;
  } finally {
    await browser.close();
    await site.close();
  }
}
