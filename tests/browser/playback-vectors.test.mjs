/**
 * The player in a real browser judges every test vector of tests/vectors/recording/ as the clinic tool does: it downloads each
 * track, opens what it can, and reports.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { openBrowser } from "../../scripts/lib/browser.mjs";
import { serve } from "../../scripts/lib/static-server.mjs";
import {
  differing,
  filesOf,
  judged,
  keyFileOf,
  readVectors,
  refusedByBrowser,
  rootKey,
  secrets,
  writeFiles,
} from "../lib/recording-vectors.mjs";

// A page receives the answer as an object, so it cannot see faults that are gone once the text is parsed.
const vectors = readVectors().filter((vector) => !vector.only_as_text);
const scratch = mkdtempSync(path.join(tmpdir(), "sealed-visit-vectors-"));
let site;
let browser;
let page;

before(async () => {
  const files = {};
  for (const vector of vectors) {
    const made = filesOf(vector);
    writeFiles(made, path.join(scratch, vector.name));
    for (const name of made.keys()) files[`/vectors/${vector.name}/${name}`] = path.join(scratch, vector.name, name);
  }
  site = await serve({ files });
  browser = await openBrowser({ name: "playback-vectors" });
  page = await browser.newPage();
  await page.goto(site.url("/playback.html"));
});

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(scratch, { recursive: true, force: true });
});

test("the player judges every vector as expected", { timeout: 600_000 }, async () => {
  const passphrase = "a passphrase of the tests";
  const keyFile = keyFileOf(secrets.opening_keys.x25519, passphrase);
  const recordings = vectors.map((vector) => asAnswered(vector, filesOf(vector)));
  const said = await page.evaluate(playAll, { recordings, rootKey, keyFile, passphrase });
  const outcomes = said.map(({ report, error }) => (report ? judged(report) : refusedByBrowser(error)));
  assert.deepEqual(
    differing(vectors, outcomes, (vector) => vector.expected_with_key ?? vector.expected),
    [],
  );
});

/** The vault's answer, with links, and the clinic document. */
function asAnswered({ name }, files) {
  const clinicDocument = files.get("clinic.jws").toString().trim();
  let recording;
  try {
    recording = JSON.parse(files.get("recording.json").toString());
  } catch {
    return null;
  }
  for (const track of recording.parts.flatMap((part) => part.tracks)) {
    const bytes = files.get(`${track.track}.track`);
    track.url = bytes ? `/vectors/${name}/${track.track}.track` : null;
    track.size_bytes = bytes?.length ?? 0;
  }
  return { clinicDocument, recording };
}

/** In the page. */
async function playAll({ recordings, rootKey, keyFile, passphrase }) {
  // @ts-expect-error the page's address of it
  const { unlockPlayer } = await import("/sealed-visit/index.js");
  const player = await unlockPlayer({ keyFile, passphrase });
  const said = [];
  for (const answered of recordings) {
    if (answered === null) {
      // A page that cannot parse the answer has none.
      said.push({ error: { code: "recording-invalid" } });
      continue;
    }
    const { clinicDocument, recording } = answered;
    try {
      await player.load({ rootKey, clinicDocument, recording });
      for (const part of recording.parts) {
        for (const { track } of part.tracks) {
          const slices = await player.read(part.part, track).catch(() => null);
          const reader = slices?.getReader();
          try {
            while (reader && !(await reader.read()).done);
          } catch {
            // The report tells what is wrong.
          }
        }
      }
      said.push({ report: await player.report() });
    } catch ({ code, message }) {
      said.push({ error: { code, message } });
    }
  }
  player.close();
  return said;
}
