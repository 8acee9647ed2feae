/**
 * A long visit at accelerated time, through the recorder's own service, core, spool and uploader, to a real vault.
 *
 *     node --expose-gc --import tsx tests/durability/soak.mjs --hours 4
 *
 * A slice every 250 ms of virtual time, sealed, spooled in a real file, uploaded at once. Memory, after garbage
 * collection, and file handles are sampled over the whole time, of this process and of the vault's; both must stay
 * flat. In the end the part is finished, confirmed, and opened.
 *
 * The last line is JSON: {"ok":true,"hours":4,"slices":..,"heap_slope_mb_per_h":..,"handles":{..},..}
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import * as module from "../../dist/wasm/recording.js";
import { result, say } from "../../scripts/lib/log.mjs";
import { inRoot } from "../../scripts/lib/paths.mjs";
import { RecorderService } from "../../worker/recording/recorder-service.ts";
import { Consent } from "../interop/tus-recorder.mjs";
import { PageNetwork } from "./client-http.mjs";
import { FaultProxy } from "./fault-proxy.mjs";
import { Folder } from "./folder-opfs.mjs";
import { judge } from "./judge.mjs";
import { VaultProcess } from "./vault-process.mjs";
import { InFlight, realNowMs, VirtualTime } from "./virtual-time.mjs";

const SLICE_MS = 250;
/** Of a slice: the rate matters less than how many there are. */
const SLICE_BYTES = 2_000;
/** What memory may grow by in an hour of visit: four slices a second, each leaving 70 bytes behind, would be one. */
const SLOPE_LIMIT_MB_PER_H = 1;
/** In a short run compiled code and caches weigh more. */
const SHORT_SLOPE_LIMIT_MB_PER_H = 10;

const { values: options } = parseArgs({ options: { hours: { type: "string", default: "4" } } });
const hours = Number(options.hours);
const slices = Math.round((hours * 3_600_000) / SLICE_MS);
await module.default({ module_or_path: readFileSync(inRoot("dist", "wasm", "recording_bg.wasm")) });

const startedAt = realNowMs();
const directory = mkdtempSync(path.join(tmpdir(), "sealed-visit-soak-"));
const io = new InFlight();
const proxy = new FaultProxy(io);
const vault = new VaultProcess(io, proxy, { diskBytes: 1 << 30 });
try {
  await proxy.listen();
  await vault.start();
  result(await main());
} finally {
  await proxy.close();
  await vault.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function main() {
  const time = new VirtualTime(io);
  proxy.reset(time);
  time.install();
  const samples = [];
  const part = { slices: [], acknowledged: 0, lines: 0, startedAt: 0 };
  const disk = { folders: () => readdirSync(path.join(directory, "sealed-visit-spool")) };
  let outcome = null;
  try {
    record(time, part, samples).then(
      () => {
        outcome = {};
      },
      (error) => {
        outcome = { error };
      },
    );
    await time.run(() => outcome !== null, { limitMs: hours * 3_600_000 + 600_000, limitRealMs: 60 * 60_000 });
  } finally {
    time.uninstall();
  }
  if (outcome.error) throw outcome.error;
  // Captured slices are all alike, so that keeping them for the judge is no growth of memory.
  await judge({ parts: [part], diedAt: null, disk }, { vault, proxy, module }, new Set());
  return report(samples);
}

async function record(time, part, samples) {
  const consent = new Consent(vault.clinic);
  const network = new PageNetwork(io);
  const failures = [];
  const service = new RecorderService({
    rootKey: vault.clinic.root.x,
    clinicDocument: vault.clinic.document,
    driver: {
      // What the recorder reads of it.
      state: /** @type {any} */ ({
        phase: "live",
        visit: consent.visit,
        consent: { round: consent.round, recipients: consent.recipients },
      }),
      command: async (command) => (command.c === "sign_open" ? consent.sign(command.open) : null),
      now: () => Date.now(),
    },
    loadRecording: async () => module,
    emit: (event) => {
      if (event.e === "part_failed" || event.e === "upload_problem") failures.push(event.error);
    },
    onFatal: (error) => failures.push(error),
    // A folder of this disk instead of the browser's.
    platform: /** @type {any} */ ({
      origin: { getDirectory: async () => new Folder(directory), estimate: async () => ({}) },
      upload: { fetch: network.fetch, httpStack: network.httpStack, random: () => 0.5 },
    }),
  });
  const begun = await service.begin({
    r: "begin_part",
    vault_url: proxy.url,
    recording: null,
    part: 0,
    media_type: 'video/webm;codecs="vp8,opus"',
    share_required: true,
  });
  Object.assign(part, begun);
  const bytes = new Uint8Array(SLICE_BYTES).fill(7);
  const sampleEvery = Math.max(1, Math.floor(slices / 24));
  for (let index = 0; index < slices; index++) {
    await time.delay(SLICE_MS);
    service.slice(bytes.slice().buffer, (index + 1) * SLICE_MS * 1_000);
    if (index % 400 === 0) {
      service.eventLine({ at_us: (index + 1) * SLICE_MS * 1_000, event: "mark", text: `${part.lines}` });
      part.lines += 1;
    }
    if (index % sampleEvery === sampleEvery - 1) samples.push(sample(time));
    if (failures.length > 0) throw failures[0];
  }
  const one = { bytes };
  part.slices = Array.from({ length: slices }, () => one);
  part.acknowledged = slices;
  service.endPart("stopped");
  const { state } = await service.untilUploaded(begun.recording, 0);
  if (state !== "safe") throw new Error(`the part is ${state}`);
}

function sample(time) {
  global.gc();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  const hour = time.elapsed / 3_600_000;
  const taken = {
    hour,
    heapMb: (heapUsed + external) / 2 ** 20,
    buffersMb: arrayBuffers / 2 ** 20,
    handles: handlesOf("self"),
    vaultMb: residentMb(vault.process.pid),
    vaultHandles: handlesOf(vault.process.pid),
  };
  say(
    `${hour.toFixed(2)} h: heap ${taken.heapMb.toFixed(1)} MB, ${taken.handles} handles; vault ${taken.vaultMb.toFixed(1)} MB, ${taken.vaultHandles} handles`,
  );
  return taken;
}

function report(samples) {
  // The first third is warming up: caches, compiled code.
  const steady = samples.slice(Math.floor(samples.length / 3));
  const slope = slopeOf(steady.map(({ hour, heapMb }) => [hour, heapMb]));
  const vaultSlope = slopeOf(steady.map(({ hour, vaultMb }) => [hour, vaultMb]));
  const span = (of) => [Math.min(...steady.map(of)), Math.max(...steady.map(of))];
  const handles = span(({ handles: count }) => count);
  const vaultHandles = span(({ vaultHandles: count }) => count);
  const isFlat = slope <= (hours < 1 ? SHORT_SLOPE_LIMIT_MB_PER_H : SLOPE_LIMIT_MB_PER_H);
  // Sockets that are just closing come and go.
  const areHandlesFlat = handles[1] - handles[0] <= 8 && vaultHandles[1] - vaultHandles[0] <= 16;
  return {
    ok: isFlat && areHandlesFlat,
    hours,
    slices,
    heap_slope_mb_per_h: round(slope),
    heap_mb: round(steady.at(-1).heapMb),
    handles: { least: handles[0], most: handles[1] },
    vault_slope_mb_per_h: round(vaultSlope),
    vault_handles: { least: vaultHandles[0], most: vaultHandles[1] },
    acknowledged_bytes_lost: 0,
    seconds: Math.round((realNowMs() - startedAt) / 1_000),
  };
}

/** Of the line of least squares. */
function slopeOf(points) {
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const meanX = mean(points.map(([x]) => x));
  const meanY = mean(points.map(([, y]) => y));
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const under = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return under === 0 ? 0 : over / under;
}

function handlesOf(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function residentMb(pid) {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(kilobytes) / 1_024;
}

function round(value) {
  return Math.round(value * 100) / 100;
}
