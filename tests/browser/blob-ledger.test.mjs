/** Whether Chromium really lets go of a recording's Blobs: it keeps them until the collector runs. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
    entryPoints: [inRoot("worker", "blob-ledger.ts")],
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

test("of a recording's Blobs, a few megabytes at most are waiting to be collected", async () => {
  const page = await browser.newPage();
  await page.goto(site.url("/index.html"));
  const { madeBytes, mostHeldBytes, lastHeldBytes } = await page.evaluate(readBlobs);
  assert.ok(madeBytes > 30e6);
  assert.ok(mostHeldBytes < 12e6, `held at most ${mostHeldBytes}`);
  assert.ok(lastHeldBytes < 6e6, `held in the end ${lastHeldBytes}`);
});

/** In the page: slices as of a recording of two minutes, in eight seconds. */
async function readBlobs() {
  const { BlobLedger } = await import("/blob-ledger.js");
  const ledger = new BlobLedger();
  let [madeBytes, mostHeldBytes] = [0, 0];
  for (let slice = 0; slice < 500; slice++) {
    const blob = new Blob([new Uint8Array(65_536)]);
    await blob.arrayBuffer();
    ledger.note(blob);
    madeBytes += blob.size;
    mostHeldBytes = Math.max(mostHeldBytes, ledger.heldBytes);
    await new Promise((resolve) => setTimeout(resolve, 16));
  }
  return { madeBytes, mostHeldBytes, lastHeldBytes: ledger.heldBytes };
}
