/** Whether Chromium really lets go of a recording's Blobs: it keeps them until the collector runs. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import * as esbuild from "esbuild";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-blobs-"));
let site;
let browser;

before(async () => {
  writeFileSync(path.join(directory, "index.html"), "<!doctype html><title>blobs</title>");
  await esbuild.build({
    entryPoints: [inRoot("js", "blob-ledger.ts")],
    bundle: true,
    format: "esm",
    outfile: path.join(directory, "blob-ledger.js"),
  });
  site = await serve({ directory });
  browser = await openBrowser({ name: "blobs" });
});

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(directory, { recursive: true, force: true });
});

test("of a recording's Blobs, a few megabytes at most are waiting in the browser's process", async () => {
  const page = await browser.newPage();
  await page.goto(site.url("/index.html"));
  const before = await browserMegabytes();
  const megabytes = [];
  for (let part = 0; part < 4; part++) {
    await page.evaluate(readBlobs);
    megabytes.push((await browserMegabytes()) - before);
  }
  // Without the ledger: 50.
  assert.ok(Math.max(...megabytes) < 25, `${megabytes} MB more`);
});

async function browserMegabytes() {
  const { id } = (await browser.processes()).find(({ type }) => type === "browser");
  return Math.round(Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]) / 1_024);
}

/** In the page: a minute's slices of a recording, in four seconds, each read and handed on as a recorder does. */
async function readBlobs() {
  // @ts-expect-error the page's address of it
  const { BlobLedger } = await import("/blob-ledger.js");
  window.ledger ??= new BlobLedger();
  const { port1 } = new MessageChannel();
  for (let slice = 0; slice < 250; slice++) {
    const blob = new Blob([new Uint8Array(65_536)]);
    window.ledger.note(blob);
    const bytes = await blob.arrayBuffer();
    port1.postMessage(bytes, [bytes]);
    await new Promise((resolve) => setTimeout(resolve, 16));
  }
}
