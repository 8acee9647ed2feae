/**
 * What protecting a frame costs, and sealing a recording, against WebCrypto in the same worker of the same browser.
 *
 *     npm run bench              # measures, prints the table
 *     npm run bench -- --write   # and writes it into docs/BENCHMARKS.md
 *
 * One run of Chromium on a cross-origin isolated page. The last line is
 * `{"ok":..,"frames":[{"size_bytes":..,"encrypt":{"ours_us":..,"webcrypto_us":..,"ratio":..,"ratio_range":[..]},"decrypt":{..}},..],"sealing":[{"size_bytes":..,"ours_ms_per_mb":..,"webcrypto_ms_per_mb":..,"ratio":..,"ratio_range":[..]},..]}`;
 * `ok` is false when a frame of at most 1,200 bytes, which most of a visit's are, costs more than
 * WebCrypto takes.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { openBrowser } from "../scripts/lib/browser.mjs";
import { result, say } from "../scripts/lib/log.mjs";
import { inRoot } from "../scripts/lib/paths.mjs";
import { serve } from "../scripts/lib/static-server.mjs";
import { Clinic, Consent } from "../tests/interop/tus-recorder.mjs";

const MUST_WIN_UP_TO_BYTES = 1_200;
const DOCUMENT = inRoot("docs", "BENCHMARKS.md");

async function main() {
  const site = await serve({
    isolated: true,
    files: {
      "/bench/index.html": inRoot("benches", "index.html"),
      "/bench/page.js": inRoot("benches", "page.js"),
      "/bench/frames-worker.js": inRoot("benches", "frames-worker.js"),
      "/wasm/visit.js": inRoot("dist", "wasm-test", "visit.js"),
      "/wasm/visit_bg.wasm": inRoot("dist", "wasm-test", "visit_bg.wasm"),
      "/bench/sealing-worker.js": inRoot("benches", "sealing-worker.js"),
      "/wasm/recording.js": inRoot("dist", "wasm", "recording.js"),
      "/wasm/recording_bg.wasm": inRoot("dist", "wasm", "recording_bg.wasm"),
    },
  });
  const browser = await openBrowser({ name: "bench" });
  try {
    const page = await browser.newPage();
    await page.goto(site.url("/bench/index.html"));
    await page.waitForFunction(() => globalThis.isReady);
    say("measuring frames ...");
    const { runs, sizes } = await page.evaluate(() => globalThis.runWorker("/bench/frames-worker.js"));
    say("measuring sealing ...");
    const sealing = await measureSealing(page);
    const version = browser.context.browser()?.version() ?? "";
    const table = tableOf(sizes);
    const sealingTable = sealingTableOf(sealing.rows);
    for (const line of [...table, ...sealingTable]) say(line);
    if (process.argv.includes("--write")) {
      write("frames", table, runs, version);
      write("sealing", sealingTable, sealing.runs, version);
    }
    const lost = sizes
      .filter((row) => row.size_bytes <= MUST_WIN_UP_TO_BYTES)
      .filter((row) => row.encrypt.ratio > 1 || row.decrypt.ratio > 1);
    for (const row of lost) say(`slower than WebCrypto at ${row.size_bytes} bytes`);
    result({ ok: lost.length === 0, runs, frames: sizes, sealing: sealing.rows });
  } finally {
    await browser.close();
    await site.close();
  }
}

/** The worker's part is a real one: its open statement carries every grant. */
async function measureSealing(page) {
  const folder = mkdtempSync(path.join(tmpdir(), "sealed-visit-bench-"));
  try {
    const clinic = new Clinic(folder);
    const consent = new Consent(clinic);
    await page.exposeFunction("signOpen", (input) => consent.sign(input));
    return await page.evaluate((given) => globalThis.runWorker("/bench/sealing-worker.js", given), {
      rootKey: clinic.root.x,
      clinicDocument: clinic.document,
      visit: consent.visit,
      recipients: consent.recipients,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sealingTableOf(rows) {
  return [
    "| slice | sealing, ms a MB | WebCrypto | ratio |",
    "|---:|---:|---:|---:|",
    ...rows.map(({ size_bytes, ours_ms_per_mb, webcrypto_ms_per_mb, ratio, ratio_range: [least, most] }) => {
      const cells = [`${size_bytes.toLocaleString("en")} B`, ours_ms_per_mb, webcrypto_ms_per_mb];
      return `| ${[...cells, `${ratio} (${least}-${most})`].join(" | ")} |`;
    }),
  ];
}

function tableOf(sizes) {
  const cells = ({ ours_us, webcrypto_us, ratio, ratio_range: [least, most] }) =>
    `${ours_us} | ${webcrypto_us} | ${ratio} (${least}-${most})`;
  return [
    "| frame | encrypt, us | WebCrypto | ratio | decrypt, us | WebCrypto | ratio |",
    "|---:|---:|---:|---:|---:|---:|---:|",
    ...sizes.map(
      (row) => `| ${row.size_bytes.toLocaleString("en")} B | ${cells(row.encrypt)} | ${cells(row.decrypt)} |`,
    ),
  ];
}

function write(name, table, runs, version) {
  const [BEGIN, END] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const context = `Chromium ${version}, ${cpus().length} x ${cpus()[0]?.model.trim()}; medians of ${runs} runs, ranges in brackets.`;
  const section = [BEGIN, context, "", ...table, END].join("\n");
  const text = readFileSync(DOCUMENT, "utf8");
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < 0) throw new Error(`${DOCUMENT} lacks ${BEGIN} ${END}`);
  writeFileSync(DOCUMENT, text.slice(0, from) + section + text.slice(to + END.length));
}

await main();
