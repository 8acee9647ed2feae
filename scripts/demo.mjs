/**
 * The main job, whole and on real parts: `npm run demo [-- --seconds N] [-- --recorder separate]`.
 *
 * Makes a clinic, starts authority, relay and vault, opens clinician, patient and a relative in
 * browser profiles of their own, holds a visit, asks for consent in the real prompt, is refused, asks
 * again, records, stops; records once more, and the patient withdraws. Then it fetches the recordings,
 * opens them with the clinic's key and share, and checks every step.
 *
 * Writes `demo-out/`: the sealed recording, the opened media, screenshots, logs, `report.json`.
 * Progress on stderr; the report is the last line on stdout; exit 0 only if every check held.
 */
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { holdVisit } from "./lib/demo-visit.mjs";
import { checkNothingAfter, checkOpened, openRecording } from "./lib/demo-recording.mjs";
import { allDone, result, say, sayTimes, timed } from "./lib/log.mjs";
import { cameraFor } from "./lib/machine.mjs";
import { inRoot } from "./lib/paths.mjs";
import { startStack } from "./lib/stack.mjs";
import { searchTap } from "./lib/tap.mjs";
import { ensure } from "./setup.mjs";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    recorder: { type: "string", default: "in-page" },
    out: { type: "string", default: inRoot("demo-out") },
    "no-build": { type: "boolean", default: false },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  process.stderr.write("npm run demo -- [--seconds N] [--recorder in-page|separate] [--out FOLDER] [--no-build]\n");
  process.exit(0);
}
const seconds = Number(values.seconds);
if (!(seconds >= 5 && seconds <= 3_600)) throw new Error("--seconds takes a number from 5 to 3600");
if (!["in-page", "separate"].includes(values.recorder)) throw new Error("--recorder takes in-page or separate");

const out = path.resolve(values.out);
for (const name of [
  ...["clinic", "logs", "pictures", "sealed", "sealed-withdrawn", "opened", "opened-withdrawn"],
  ...["report.json", "tap.bin"],
])
  rmSync(path.join(out, name), { recursive: true, force: true });
mkdirSync(path.join(out, "pictures"), { recursive: true });

const programs = ensure("node", "rust", "browser", "media");
await (values["no-build"] ? programs : allDone([programs, build()]));

const tap = path.join(out, "tap.bin");
const checks = [];
const check = (what, holds, detail = "") => {
  checks.push({ what, holds, detail });
  say(`${holds ? "ok  " : "FAIL"} ${what}${detail === "" ? "" : ` (${detail})`}`);
};

// Three browsers and a recorder: what they send is as much as this machine carries now. What is checked stays the same.
const camera = await cameraFor(3);
say(`cameras of ${camera.width}x${camera.height}, ${camera.fps} pictures a second`);

const stack = await startStack({ directory: path.join(out, "clinic"), logDirectory: path.join(out, "logs"), tap });
const report = { ok: false, camera };
try {
  const visit = await timed(`a visit of ${seconds} s with clinician, patient and a relative`, () =>
    holdVisit(stack, { seconds, recorder: values.recorder, camera, pictures: path.join(out, "pictures"), check }),
  );
  Object.assign(report, {
    visit_s: visit.visit_s,
    members: visit.members,
    consents: visit.consents,
    frames: visit.frames,
  });

  const stats = await stack.relayStats();
  const searched = await timed("searching what the relay forwarded for pictures and tones", () => searchTap(tap));
  report.sfu = { packets: searched.packets, plaintext_found: searched.plaintext_found };
  check("the relay forwarded media", searched.packets > 100, `${searched.packets} packets`);
  check("nothing readable in what the relay forwarded", !searched.plaintext_found, JSON.stringify(searched.found));
  say(`relay: ${JSON.stringify(stats)}`);

  // Newest first: the withdrawn one, then the main one.
  const [withdrawn, main, ...more] = await stack.recordings();
  check("two recordings in the vault, none of the refused request", !!main && more.length === 0);
  const opened = await timed("fetching, verifying and opening the recording", () =>
    openRecording(stack, main.recording, { sealed: path.join(out, "sealed"), opened: path.join(out, "opened") }),
  );
  const second = await timed("the same for the recording that was withdrawn from", () =>
    openRecording(stack, withdrawn.recording, {
      sealed: path.join(out, "sealed-withdrawn"),
      opened: path.join(out, "opened-withdrawn"),
    }),
  );
  check("the second recording ended by withdrawal", second.reasons.at(-1) === "withdrawn", second.reasons.join());
  await checkNothingAfter(second.media, { untilMs: visit.withdrawn.clickedMs, source: visit.withdrawn.source, check });
  Object.assign(report, {
    recording: opened.recording,
    opened: await checkOpened(opened.media, { recordedS: opened.recorded_s, shown: visit.recorded, check }),
    verified: opened.verified && second.verified,
    receipt: opened.receipt && second.receipt,
    refusal: visit.refusal,
    withdrawal: visit.withdrawal,
  });
  check("the recording verifies", opened.verified);
  check("the vault gave a signed receipt", opened.receipt);
  check("no server stopped by itself", stack.servers.unexpectedExits.length === 0);
  report.ok = checks.every(({ holds }) => holds);
} catch (error) {
  report.error = error instanceof Error ? error.message : String(error);
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await stack.stop();
}
const failed = checks.filter(({ holds }) => !holds).map(({ what, detail }) => (detail ? `${what}: ${detail}` : what));
if (failed.length > 0) report.failed = failed;
writeFileSync(path.join(out, "report.json"), `${JSON.stringify({ ...report, checks }, null, 2)}\n`);
say(
  `written to ${out}: ${readdirSync(out)
    .filter((name) => statSync(path.join(out, name)))
    .join(", ")}`,
);
sayTimes();
result(report);
