/**
 * Ten tracks at 2.5 Mbit/s, in slices of 250 ms, into the origin private file system: in the clear, or sealed by the
 * recorder's core and spooled by its spool. `{seconds, isSealed}` in, `{slices, busy_ms, late_ms}` out.
 */
import initRecording, { PartDraft, type PartRecorder, type PartPlan } from "../dist/wasm/recording.js";
import type { SpoolFile } from "../worker/recording/spool-storage.js";
import { openOpfsStorage } from "../worker/recording/spool-opfs.js";
import { TrackSpool } from "../worker/recording/track-spool.js";

const TRACKS = 10;
const SLICE_MS = 250;
const SLICE_BYTES = (2_500_000 / 8) * (SLICE_MS / 1_000);
const STARTED_MS = 1_000;

interface Given {
  readonly rootKey: string;
  readonly clinicDocument: string;
  readonly visit: string;
  readonly recipients: PartPlan["recipients"];
}

const slice = new Uint8Array(SLICE_BYTES);
for (let at = 0; at < SLICE_BYTES; at += 65_536) crypto.getRandomValues(slice.subarray(at, at + 65_536));
const clear: SpoolFile[] = [];
const sealed: { readonly track: string; readonly spool: TrackSpool; slices: number }[] = [];
let part: PartRecorder;

async function prepare({ rootKey, clinicDocument, visit, recipients }: Given): Promise<void> {
  await initRecording({ module_or_path: "/wasm/recording_bg.wasm" });
  const storage = await openOpfsStorage();
  if (!storage) throw new Error("no origin private file system");
  const folder = await storage.folder("bench");
  for (let index = 0; index < TRACKS; index++) clear.push(await folder.open(`clear-${index}`));
  const recording = PartDraft.newRecordingId();
  const tracks = Array.from({ length: TRACKS }, () => ({
    content: { kind: "mixed" as const },
    media_type: "video/webm",
  }));
  const plan = { visit, recording, part: 0, recipients, share_required: true, tracks };
  const draft = new PartDraft(rootKey, clinicDocument, plan);
  const input = draft.openInput();
  const open = (await ask({ type: "sign", input: { recording, part: 0, ...input } })) as string;
  const share = "A".repeat(43);
  part = draft.start(
    open,
    input.tracks.map(({ track }) => ({ track, share, create_url: "/tracks" })),
    STARTED_MS,
  );
  for (const { track } of input.tracks) {
    const spool = TrackSpool.create(await folder.open(track), part.trackStart(track));
    sealed.push({ track, spool, slices: 0 });
  }
}

function writeClear(file: SpoolFile): void {
  file.append(slice);
}

function writeSealed(one: (typeof sealed)[number]): void {
  one.slices += 1;
  const [offset, bytes] = part.seal(one.track, slice, one.slices * SLICE_MS * 1_000, STARTED_MS + one.slices);
  one.spool.appendSegment(bytes, offset);
}

/** Each track has its slice at its own moment of the 250 ms, as recorders do. */
async function run(seconds: number, isSealed: boolean): Promise<{ slices: number; busy_ms: number; late_ms: number }> {
  const began = performance.now();
  const total = (seconds * 1_000 * TRACKS) / SLICE_MS;
  let busy_ms = 0;
  let late_ms = 0;
  for (let count = 0; count < total; count++) {
    const due = began + (count * SLICE_MS) / TRACKS;
    const early = due - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    const from = performance.now();
    late_ms = Math.max(late_ms, from - due);
    const index = count % TRACKS;
    const [file, spool] = [clear[index], sealed[index]];
    if (!file || !spool) throw new Error("no such track");
    if (isSealed) writeSealed(spool);
    else writeClear(file);
    busy_ms += performance.now() - from;
  }
  return { slices: total, busy_ms, late_ms };
}

function ask(question: object): Promise<unknown> {
  postMessage(question);
  return new Promise((resolve) => {
    globalThis.onmessage = ({ data }) => resolve(data);
  });
}

function listen(): void {
  globalThis.onmessage = ({ data }) => {
    run(data.seconds, data.isSealed).then(postMessage, (error) => postMessage({ error: String(error) }));
  };
}

globalThis.onmessage = ({ data }) => {
  prepare(data)
    .then(() => {
      listen();
      postMessage({ ready: true });
    })
    .catch((error) => postMessage({ error: String(error) }));
};
