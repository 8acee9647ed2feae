/**
 * What people download, measured in a browser.
 *
 *     npm run size
 *
 * Opens the patient's page, and lets it begin to join: that loads page, package, worker, and the
 * WebAssembly that a member needs. Then the same for the recorder. Every file that the browser
 * asked for counts once, as it is, gzipped (level 9), and in Brotli (quality 11).
 *
 * The last line is `{"ok":..,"join_gzip_bytes":..,"recorder_gzip_bytes":..,...}`; `ok` is false when a
 * patient's join is over the limit.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { openBrowser } from "./lib/browser.mjs";
import { result, say } from "./lib/log.mjs";
import { wwwDir } from "./lib/paths.mjs";
import { serve } from "./lib/static-server.mjs";

/**
 * 350,000 until members began to remember what must not come back, and to sign a withdrawal while rejoining: 10 KB. Another
 * 5 KB are too much and to be won back: half of them came with the core's split into crates, half with names, links and time.
 */
const JOIN_LIMIT_GZIP_BYTES = 364_000;

/** `needs`: files that must have been loaded, or the measurement missed something. */
const people = () => [
  { name: "join", page: "/patient.html", enter: "joinVisit", needs: ["visit_bg.wasm"], later: [] },
  {
    name: "recorder",
    page: "/recorder.html",
    enter: "joinAsRecorder",
    needs: ["visit_bg.wasm", "recording_bg.wasm", "compose-worker.js"],
    // Loaded when capturing begins, which needs a visit; with everything that they load in turn.
    later: ["compose-worker.js", "wasm/recording_bg.wasm", ...laterChunks()],
  },
];

async function main() {
  const report = {
    ok: true,
    join_limit_gzip_bytes: JOIN_LIMIT_GZIP_BYTES,
  };
  for (const person of people()) {
    const files = (await filesLoadedBy(person)).map(measure);
    const missing = person.needs.filter((name) => !files.some((file) => file.path.endsWith(name)));
    if (missing.length > 0) throw new Error(`${person.page} did not load ${missing.join(", ")}`);
    say(`${person.name}: ${person.page}`);
    for (const file of files.toSorted((left, right) => right.gzip - left.gzip)) {
      say(
        `  ${String(file.gzip).padStart(8)} gzip ${String(file.brotli).padStart(8)} brotli ${String(file.raw).padStart(8)} raw  ${file.path}`,
      );
    }
    for (const kind of ["raw", "gzip", "brotli"]) {
      report[`${person.name}_${kind}_bytes`] = files.reduce((sum, file) => sum + file[kind], 0);
    }
  }
  if (report.join_gzip_bytes > JOIN_LIMIT_GZIP_BYTES) {
    say(`a patient downloads ${report.join_gzip_bytes} bytes to join; the limit is ${JOIN_LIMIT_GZIP_BYTES}`);
    report.ok = false;
  }
  result(report);
}

/** The paths, each once, that the browser fetched for this person's page. */
async function filesLoadedBy({ page: pathname, enter, later }) {
  const site = await serve();
  const browser = await openBrowser({ name: "size" });
  try {
    const page = await browser.newPage();
    const answer = await page.goto(site.url(pathname), { waitUntil: "load" });
    if (!answer.ok()) throw new Error(`${pathname}: ${answer.status()}`);
    await requestsSettled(site);
    await page.evaluate(beginToJoin, { enter, later });
    await requestsSettled(site);
    const failed = site.requests.filter(({ status, path: wanted }) => status >= 400 && /\.(js|css|wasm)$/.test(wanted));
    if (failed.length > 0) throw new Error(`not served: ${failed.map((request) => request.path).join(", ")}`);
    return [...new Set(site.requests.filter(({ status }) => status === 200).map((request) => request.path))];
  } finally {
    await browser.close();
    await site.close();
  }
}

/** A second without a file that was not asked for before. Pages may poll for their clinic's settings. */
async function requestsSettled(site) {
  const distinct = () => new Set(site.requests.map((request) => request.path)).size;
  for (let before = -1; before !== distinct(); ) {
    before = distinct();
    await sleep(1_000);
  }
}

/** In the page: as far as joining goes without a clinic. Everything is loaded before it is refused. */
async function beginToJoin({ enter, later }) {
  const visit = await import(new URL("./sealed-visit/index.js", location.href).href);
  const error = await visit[enter]({
    relayUrl: new URL("/relay", location.href).href.replace(/^http/, "ws"),
    rootKey: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    clinicDocument: "eyJhbGciOiJFZERTQSJ9.e30.AAAA",
    displayName: "Visitor",
    getPass: () => Promise.reject(new Error("nobody gives passes here")),
  }).then(
    () => null,
    (refusal) => refusal,
  );
  if (error === null) throw new Error(`${enter} went through without a clinic`);
  await Promise.all(later.map((name) => fetch(new URL(`./sealed-visit/${name}`, location.href))));
}

/** What package and workers import beside themselves, whenever. An upper bound for a recorder. */
function laterChunks() {
  const directory = path.join(wwwDir, "sealed-visit");
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const starts = ["index.js", "visit-worker.js", "compose-worker.js"];
  const reached = new Set();
  while (starts.length > 0) {
    const text = readFileSync(path.join(directory, starts.pop()), "utf8");
    for (const name of names) {
      if (!/^(worker-)?chunk-.*\.js$/.test(name) || reached.has(name) || !text.includes(name)) continue;
      reached.add(name);
      starts.push(name);
    }
  }
  return [...reached];
}

function measure(pathname) {
  const file = path.join(wwwDir, pathname.endsWith("/") ? `${pathname}index.html` : pathname);
  if (!existsSync(file)) return { path: pathname, raw: 0, gzip: 0, brotli: 0 };
  const bytes = readFileSync(file);
  return {
    path: pathname,
    raw: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    brotli: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length,
  };
}

main().catch((error) => {
  say(error.message);
  result({ ok: false, error: error.message });
});
