/** The page that opens recordings, with a real vault that holds more of them than it lists at once. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { program } from "../../scripts/lib/paths.mjs";
import { ProcessGroup } from "../../scripts/lib/processes.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";
import { Clinic, RecorderRun } from "../interop/tus-recorder.mjs";

/** As many as the vault lists where nobody says how many. */
const LISTED_AT_ONCE = 100;
const RECORDINGS = 2 * LISTED_AT_ONCE + 3;

const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-list-"));
const processes = new ProcessGroup();
const token = "reader-of-the-listing-tests";
/** Newest first. */
const recordings = [];
let site;
let browser;
let page;

before(async () => {
  const clinic = new Clinic(directory);
  const readers = path.join(directory, "readers");
  writeFileSync(readers, `tests ${token}\n`, { mode: 0o600 });
  const started = await processes.start({
    name: "vault",
    command: process.env.SEALED_VISIT_VAULT ?? program("sealed-visit-vault"),
    args: ["--listen", "127.0.0.1:0", "--token-file", readers, ...clinic.vaultArguments],
    listening: /^listening (http:\S+)$/,
  });
  const [, vault] = started.match;
  for (let count = 0; count < RECORDINGS; count += 1) {
    const run = new RecorderRun(clinic);
    await run.begin(vault);
    recordings.unshift(run.recording);
  }
  const config = { root_key: clinic.root.x, clinic_document: clinic.document, vault_url: "/vault", languages: ["en"] };
  site = await serve({ documents: { "/config.json": config }, proxies: { "/vault": vault } });
  browser = await openBrowser({ name: "playback-list" });
  page = await browser.newPage();
});

after(async () => {
  await browser?.close();
  await site?.close();
  await processes.stop();
  rmSync(directory, { recursive: true, force: true });
});

test("every recording can be reached from the list, and what is chosen stays chosen", {
  timeout: 120_000,
}, async () => {
  await page.goto(site.url(`/playback.html#token=${token}`));
  await page.getByTestId("list-recordings").click();
  const older = page.getByTestId("older-recordings");
  const radios = page.getByTestId("recordings").getByRole("radio");
  await older.waitFor();
  assert.equal(await radios.count(), LISTED_AT_ONCE);

  const [, second] = recordings;
  await page.getByTestId(`recording-${second}`).check();
  await older.click();
  await page.getByTestId(`recording-${recordings[LISTED_AT_ONCE]}`).waitFor();
  assert.equal(await radios.count(), 2 * LISTED_AT_ONCE);
  assert.ok(await page.getByTestId(`recording-${second}`).isChecked());

  await older.click();
  await page.getByTestId(`recording-${recordings.at(-1)}`).waitFor();
  const listed = await radios.evaluateAll((all) => all.map((one) => one.value));
  assert.equal(await older.count(), 0, "nothing is older");
  assert.deepEqual([...listed].sort(), [...recordings].sort());
});
