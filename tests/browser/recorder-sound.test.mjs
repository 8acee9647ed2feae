/**
 * The recorder's own sound stands still, as when an output device disappears: it goes on by itself or in a new part, the
 * page is told, and the manifest says what is missing. The browser's sound is suspended and closed by its own methods.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { cameraFor } from "../../scripts/lib/machine.mjs";
import { longestSoundHoleMs } from "../lib/media-file.mjs";
import { claims, meet, record, startVisits } from "../lib/visit-people.mjs";

/** Small: what is tried is not how much this machine can encode. */
const CAMERA = await cameraFor(2);
const CAPTURE = { width: 480, height: 270, maxFps: 10, videoBitsPerSecond: 500_000 };
let visits;
let clinician;
let patient;

before(async () => {
  visits = await startVisits("sound");
  const { visit, links } = await visits.stack.makeVisit(["clinician", "patient"]);
  clinician = await visits.person("clinician", { media: { participant: 0, ...CAMERA } });
  patient = await visits.person("patient", { media: { participant: 1, ...CAMERA } });
  for (const [index, one] of [clinician, patient].entries()) await one.join({ visit, secret: links[index].secret });
  await meet([clinician, patient]);
  await clinician.do((page) => {
    page.contexts = [];
    const Native = AudioContext;
    globalThis.AudioContext = class extends Native {
      constructor(...options) {
        super(...options);
        page.contexts.push(this);
      }
    };
  });
  await record(clinician, [clinician, patient], CAPTURE);
  await clinician.do((page) => {
    page.gaps = [];
    page.recorder.on("gap", (gap) => page.gaps.push(gap));
  });
  await clinician.until((page) => page.recorder.state.sealed_media_us > 3_000_000);
});

after(() => visits?.stop());

test("sound that is suspended for a moment goes on in the same part, and the gap is reported", async () => {
  const { sealed_media_us } = await clinician.do((page) => {
    const context = page.contexts.at(-1);
    const resume = context.resume.bind(context);
    // The device is away for the first attempts.
    let refused = 4;
    context.resume = () => (refused-- > 0 ? Promise.resolve() : resume());
    void context.suspend();
    return page.recorder.state;
  });
  await clinician.until((page) => page.gaps.length > 0);
  await clinician.until((page, from) => page.recorder.state.sealed_media_us > from + 3_000_000, sealed_media_us);
  const [gap, ...more] = await clinician.do((page) => page.gaps);
  assert.deepEqual([gap.part, gap.reason, more], [0, "no_sound", []]);
  const missingMs = (gap.to_us - gap.from_us) / 1_000;
  assert.ok(missingMs >= 300 && missingMs < 3_000, `${missingMs} ms`);
  assert.equal(await clinician.do((page) => page.recorder.state.part), 0);
});

test("sound that was closed goes on in a new part, and both say so", async () => {
  await clinician.do((page) => page.contexts.at(-1).close());
  await clinician.until((page) => page.recorder.state.part === 1 && page.recorder.state.sealed_media_us > 2_000_000);
  const last = await clinician.do((page) => page.gaps.at(-1));
  assert.deepEqual([last.part, last.reason], [0, "no_sound"]);
  assert.equal(await patient.do((page) => page.visit.state.indicator.kind), "recording");
});

test("the recording is genuine and complete, states both gaps, and its sound lacks nothing else", async () => {
  const { stack, directory } = visits;
  await clinician.do((page) => page.visit.stopRecording());
  await clinician.until((page) => page.spools().every(({ state }) => state === "safe"));
  const [{ recording }] = await stack.recordings();
  const [folder, out] = ["fetched", "opened"].map((name) => path.join(directory, name));
  const { parts } = await stack.fetchRecording(recording, folder);
  assert.deepEqual(
    parts.map(({ manifest }) => claims(manifest).reason),
    ["failed", "stopped"],
  );
  const gaps = parts.map(({ manifest }) => claims(manifest).tracks.flatMap((track) => track.gaps ?? []));
  assert.deepEqual(
    gaps.map((those) => those.map(({ reason }) => reason)),
    [["no_sound", "no_sound"], []],
  );
  const report = await stack.tool([
    ...["open", folder, "--root", stack.path("clinic", "root.pub"), "--key", stack.path("clinician.jwe")],
    ...["--passphrase-file", stack.path("passphrase"), "--out", out],
  ]);
  assert.equal(report.ok, true, JSON.stringify(report));
  const files = readdirSync(out).filter((name) => name.includes("mixed"));
  const [first, second] = files.toSorted().map((name) => path.join(out, name));
  const heldMs = (gaps[0][0].to_us - gaps[0][0].from_us) / 1_000;
  const holeMs = await longestSoundHoleMs(first);
  assert.ok(Math.abs(holeMs - heldMs) < 500, `a hole of ${holeMs} ms, where the manifest says ${heldMs} ms`);
  assert.ok((await longestSoundHoleMs(second)) < 300);
});
