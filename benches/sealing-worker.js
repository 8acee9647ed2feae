/**
 * Sealing of a recording against WebCrypto's AES-256-GCM, in one worker.
 *
 * Ours is what a recorder does with a slice: Cobblestone-256 with a fresh salt, the chain's hash over the sealed bytes,
 * a signed checkpoint. WebCrypto only encrypts, with one await for each slice. Both take turns from run to run, in
 * batches of about 50 ms.
 *
 * The page hands in a clinic document and signs the open statement: `{ type: "sign", input }` is answered by the text.
 */
import initRecording, { PartDraft } from "/wasm/recording.js";

/** 250 ms at 2 Mbit/s, and what a burst of key frames may be. */
const SIZES_BYTES = [64_000, 1_000_000];
const RUNS = 15;
const BATCH_MS = 50;
const WARM_UP_MS = 1_500;
const STARTED_MS = 1_000;

async function main({ rootKey, clinicDocument, visit, recipients }) {
  if (!globalThis.crossOriginIsolated)
    throw new Error("the page is not cross-origin isolated: its clock is too coarse");
  await initRecording({ module_or_path: "/wasm/recording_bg.wasm" });
  const recording = PartDraft.newRecordingId();
  const plan = {
    ...{ visit, recording, part: 0, recipients, share_required: true },
    tracks: [{ content: { kind: "mixed" }, media_type: "video/webm" }],
  };
  const draft = new PartDraft(rootKey, clinicDocument, plan);
  const input = draft.openInput();
  const [{ track }] = input.tracks;
  const open = await ask({ type: "sign", input: { recording, part: 0, ...input } });
  const share = btoa(String.fromCharCode(...new Uint8Array(32)))
    .replaceAll("=", "")
    .replaceAll("/", "_");
  const part = draft.start(open, [{ track, share, create_url: "/tracks" }], STARTED_MS);
  let slices = 0;
  const seal = (slice) => {
    slices += 1;
    return part.seal(track, slice, slices * 250_000, STARTED_MS + slices * 250)[1];
  };
  const end = performance.now() + WARM_UP_MS;
  while (performance.now() < end) seal(new Uint8Array(64_000));
  const rows = [];
  for (const size of SIZES_BYTES) rows.push(await measure(size, seal));
  postMessage({ runs: RUNS, rows });
}

async function measure(size, seal) {
  const slice = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(slice.subarray(at, at + 65_536));
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt"]);
  const iv = new Uint8Array(12);
  const cases = {
    ours: async (count) => {
      for (let n = 0; n < count; n++) if (seal(slice).length <= size) throw new Error("nothing was sealed");
    },
    webcrypto: async (count) => {
      for (let n = 0; n < count; n++) {
        iv[0] = (iv[0] + 1) & 255;
        await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, slice);
      }
    },
  };
  const names = Object.keys(cases);
  const counts = {};
  for (const name of names) counts[name] = await batchFor(cases[name]);
  const msPerMb = { ours: [], webcrypto: [] };
  for (let run = 0; run < RUNS; run++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(run + turn) % names.length];
      msPerMb[name].push((await timed(cases[name], counts[name])) / ((counts[name] * size) / 1e6));
    }
  }
  const ratios = msPerMb.ours.map((ms, run) => ms / msPerMb.webcrypto[run]).toSorted((left, right) => left - right);
  return {
    size_bytes: size,
    ours_ms_per_mb: round(median(msPerMb.ours)),
    webcrypto_ms_per_mb: round(median(msPerMb.webcrypto)),
    ratio: round(median(ratios)),
    ratio_range: [round(ratios[0]), round(ratios.at(-1))],
  };
}

async function batchFor(work) {
  let count = 1;
  while ((await timed(work, count)) < BATCH_MS) count *= 2;
  return count;
}

async function timed(work, count) {
  const began = performance.now();
  await work(count);
  return performance.now() - began;
}

function ask(question) {
  postMessage(question);
  return new Promise((resolve) => {
    globalThis.onmessage = ({ data }) => resolve(data);
  });
}

const median = (values) => values.toSorted((left, right) => left - right)[values.length >> 1];
const round = (value) => Number(value.toPrecision(3));

globalThis.onmessage = ({ data }) => {
  main(data).catch((error) => postMessage({ error: String(error) }));
};
