/**
 * `npm run bench:spool`: what sealing and spooling costs beside writing the same bytes in the clear.
 *
 * Ten tracks of 2.5 Mbit/s at once, in a worker of Chromium, in real time, both ways in turns. CPU is that of all of
 * the browser's processes, by the kernel's count. The last line is
 * `{"ok":..,"cpu_ratio":..,"sealed_core_share":..,"clear_core_share":..,"late_ms":..}`; `ok` is false when sealed costs
 * more than 1.5 times as much as clear, or 15 % of a core, or a slice waited longer than the next one took to come.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { build as bundle } from "esbuild";
import { openBrowser } from "../scripts/lib/browser.mjs";
import { result, say } from "../scripts/lib/log.mjs";
import { inRoot } from "../scripts/lib/paths.mjs";
import { serve } from "../scripts/lib/static-server.mjs";
import { Clinic, Consent } from "../tests/interop/tus-recorder.mjs";

const RATIO_LIMIT = 1.5;
const CORE_SHARE_LIMIT = 0.15;
const LATE_LIMIT_MS = 250;
/** The kernel counts in these. */
const TICKS_PER_S = 100;

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "6" } },
});
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];
const folder = mkdtempSync(path.join(tmpdir(), "sealed-visit-spool-bench-"));
const page = path.join(folder, "index.html");
writeFileSync(page, '<!doctype html><script type="module" src="/bench/spool-page.js"></script>');
const worker = path.join(folder, "spool-worker.js");
await bundle({ entryPoints: [inRoot("benches", "spool-worker.ts")], outfile: worker, bundle: true, format: "esm" });
const site = await serve({
  isolated: true,
  files: {
    "/bench/spool.html": page,
    "/bench/spool-page.js": inRoot("benches", "spool-page.js"),
    "/bench/spool-worker.js": worker,
    "/wasm/recording_bg.wasm": inRoot("dist", "wasm", "recording_bg.wasm"),
  },
});
const browser = await openBrowser({ name: "bench-spool" });
try {
  result(await main());
} finally {
  await browser.close();
  await site.close();
  rmSync(folder, { recursive: true, force: true });
}

async function main() {
  const clinic = new Clinic(folder);
  const consent = new Consent(clinic);
  const tab = await browser.newPage();
  await tab.exposeFunction("signOpen", (input) => consent.sign(input));
  await tab.goto(site.url("/bench/spool.html"));
  await tab.waitForFunction(() => globalThis.isReady);
  await tab.evaluate((given) => globalThis.spool(given), {
    rootKey: clinic.root.x,
    clinicDocument: clinic.document,
    visit: consent.visit,
    recipients: consent.recipients,
  });
  const block = async (isSealed) => {
    const before = await cpuSeconds();
    const told = await tab.evaluate((what) => globalThis.spool(what), { seconds, isSealed });
    return { ...told, cpu: (await cpuSeconds()) - before };
  };
  await block(true);
  await block(false);
  const blocks = { clear: [], sealed: [] };
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? ["clear", "sealed"] : ["sealed", "clear"]) {
      const told = await block(kind === "sealed");
      blocks[kind].push(told);
      say(
        `${kind}: ${((100 * told.cpu) / seconds).toFixed(1)} % of a core, ${told.busy_ms.toFixed(0)} ms in the worker`,
      );
    }
  }
  const share = (list) => list.reduce((sum, { cpu }) => sum + cpu, 0) / (list.length * seconds);
  const busy = (list) => list.reduce((sum, { busy_ms }) => sum + busy_ms, 0) / (list.length * seconds * 1_000);
  const [sealed, clear] = [share(blocks.sealed), share(blocks.clear)];
  const late_ms = Math.max(...blocks.sealed.map((told) => told.late_ms));
  return {
    ok: sealed / clear <= RATIO_LIMIT && sealed <= CORE_SHARE_LIMIT && late_ms <= LATE_LIMIT_MS,
    cpu_ratio: round(sealed / clear),
    sealed_core_share: round(sealed),
    clear_core_share: round(clear),
    sealed_worker_share: round(busy(blocks.sealed)),
    clear_worker_share: round(busy(blocks.clear)),
    late_ms: Math.round(late_ms),
    megabytes_a_second: 3.125,
  };
}

/** Of the browser and all its children, living or ended. */
async function cpuSeconds() {
  const processes = await browser.processes();
  let ticks = 0;
  for (const { id } of processes) {
    try {
      const fields = readFileSync(`/proc/${id}/stat`, "utf8").split(") ").at(-1).split(" ");
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // Ended meanwhile.
    }
  }
  return ticks / TICKS_PER_S;
}

function round(value) {
  return Number(value.toPrecision(3));
}
