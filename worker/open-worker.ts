/**
 * Entry of the opening worker: the only place where a playback page's key exists.
 *
 * Tracks are downloaded as ciphertext, verified and opened slice by slice; a slice reaches the page
 * when its signature, its place in the chain, and all its bytes were authenticated.
 */
import type { CompactJws, TrackId } from "./core-types.js";
import { toFailure, WorkerError } from "./failure.js";
import { download, type Source } from "./open/download.js";
import { decryptKeyFile } from "./open/key-file.js";
import { Links } from "./open/links.js";
import { addParts, openTrack, type OpeningKey } from "./open/reading.js";
import type {
  FromOpener,
  OpenedRecording,
  OpenedTrack,
  OpenEnvelope,
  OpenRequest,
  TrackAbout,
} from "./open-protocol.js";
import { loadRecording, type RecordingModule, type RecordingReader, type TrackReader } from "./wasm.js";

interface Stream {
  readonly abort: AbortController;
  credit: number;
  wake: () => void;
}

const worker = self as unknown as DedicatedWorkerGlobalScope;
let wasm: RecordingModule | null = null;
let key: OpeningKey | null = null;
let reader: RecordingReader | null = null;
let recording: OpenedRecording | null = null;
/** Listed tracks that were read, or are being read. */
let followed = new Set<OpenedTrack>();
/** Listed tracks that were asked for and could not be opened. */
let unopened = new Set<OpenedTrack>();
let links = new Links(askForLinks);
const streams = new Map<number, Stream>();
let nextStream = 1;

worker.addEventListener("message", ({ data }: MessageEvent<OpenEnvelope>) => {
  void answer(data);
});

async function answer({ id, request }: OpenEnvelope): Promise<void> {
  try {
    post({ id, ok: true, value: await handle(request) });
  } catch (error) {
    post({ id, ok: false, error: toFailure(error) });
  }
}

async function handle(request: OpenRequest): Promise<unknown> {
  switch (request.r) {
    case "unlock": {
      wasm ??= await loadRecording(request.wasm_url, () => undefined);
      const plaintext = await decryptKeyFile(request.key_file, request.passphrase);
      key?.free();
      key = null;
      try {
        key = new wasm.OpeningKey(plaintext);
      } finally {
        plaintext.fill(0);
      }
      return { fingerprint: key.fingerprint(), spoken: key.spoken() };
    }
    case "load":
      return load(request.root_key, request.clinic_document, request.recording);
    case "read":
      return { stream: read(request.part, request.track) };
    case "more": {
      const stream = streams.get(request.stream);
      if (stream) {
        stream.credit += request.count;
        stream.wake();
      }
      return null;
    }
    case "cancel":
      streams.get(request.stream)?.abort.abort();
      return null;
    case "links":
      links.take(request.links);
      return null;
    case "report":
      return report();
    case "lock":
      for (const { abort } of streams.values()) abort.abort();
      key?.free();
      key = null;
      return null;
    default:
      return request satisfies never;
  }
}

function load(rootKey: string, clinicDocument: CompactJws, opened: OpenedRecording): readonly TrackAbout[] {
  const module = unlocked().module;
  const made = new module.RecordingReader(rootKey);
  const tracks: TrackAbout[] = [];
  for (const [position, info] of addParts(made, clinicDocument, opened).entries()) {
    const part = opened.parts[position];
    for (const header of info.tracks) {
      const stored = part?.tracks.find(({ track }) => track === header.track);
      tracks.push({
        part: part?.part ?? info.part,
        track: header.track,
        content: header.content.kind as TrackAbout["content"],
        media_type: header.media_type,
        size_bytes: stored?.size_bytes ?? 0,
      });
    }
  }
  reader?.free();
  reader = made;
  recording = opened;
  // Streams of the previous recording stop waiting for links.
  links.take(null);
  links = new Links(askForLinks);
  followed = new Set();
  unopened = new Set();
  return tracks;
}

function read(part: number, track: TrackId): number {
  const { key: opening } = unlocked();
  const { reader: source, position, track: stored } = find(part, track);
  let trackReader: TrackReader;
  try {
    trackReader = openTrack(source, position, stored, opening);
  } catch (error) {
    unopened.add(stored);
    throw error;
  }
  followed.add(stored);
  const id = nextStream++;
  const stream: Stream = { abort: new AbortController(), credit: 0, wake: () => undefined };
  streams.set(id, stream);
  void pump(id, stream, source, trackReader, part, stored);
  return id;
}

async function pump(
  id: number,
  stream: Stream,
  source: RecordingReader,
  trackReader: TrackReader,
  part: number,
  stored: OpenedTrack,
): Promise<void> {
  const { signal } = stream.abort;
  let error: unknown = null;
  try {
    if (stored.url !== null) {
      for await (const piece of download(sourceOf(part, stored, stored.url), signal)) {
        for (const slice of trackReader.feed(piece)) {
          await credit(stream);
          signal.throwIfAborted();
          send(id, slice.bytes, slice.media_end_us);
        }
      }
    }
  } catch (caught) {
    error = caught;
    // Slices that were good before the fault come with it.
    const { detail } = toFailure(caught);
    if (Array.isArray(detail)) {
      for (const slice of detail as { bytes: Uint8Array; media_end_us: number }[]) {
        send(id, slice.bytes, slice.media_end_us);
      }
    }
  }
  streams.delete(id);
  if (stored.url === null) {
    // No file is not an empty file.
    followed.delete(stored);
    trackReader.free();
  } else source.closeTrack(trackReader);
  const failure = error === null || signal.aborted ? null : toFailure(error);
  post({ e: "end", stream: id, error: failure && { code: failure.code, message: failure.message } });
}

function send(stream: number, bytes: Uint8Array, media_end_us: number): void {
  const buffer = bytes.slice().buffer;
  post({ e: "slice", stream, bytes: buffer, media_end_us }, [buffer]);
}

async function credit(stream: Stream): Promise<void> {
  while (stream.credit === 0 && !stream.abort.signal.aborted) {
    await new Promise<void>((resolve) => {
      stream.wake = resolve;
      stream.abort.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
  stream.credit -= 1;
}

/** Uses the reader up: load again to read again. */
async function report(): Promise<unknown> {
  if (!reader || !recording) throw new WorkerError("bad-argument", "load a recording first");
  const source = reader;
  reader = null;
  for (const [position, { part, tracks }] of recording.parts.entries()) {
    for (const stored of tracks) {
      if (unopened.has(stored) && stored.url !== null) {
        await check(source, position, stored.track, sourceOf(part, stored, stored.url));
      }
      // A listed track is judged even if nobody read it: it may be listed twice, or belong to no track of the part.
      else if (!followed.has(stored)) source.trackNotHere(position, stored.track);
    }
  }
  return source.report();
}

/** Verifies a track that could not be opened, so that the report says the same about it as `sealed-visit verify`. */
async function check(reading: RecordingReader, position: number, track: TrackId, source: Source): Promise<void> {
  const checker = reading.checkTrack(position, track);
  try {
    const { signal } = new AbortController();
    for await (const piece of download(source, signal)) checker.feed(piece);
  } catch (error) {
    // The report is about refused bytes. A lost connection must not look like a truncated track.
    if (toFailure(error).code !== "opening-track-altered") throw error;
  }
  reading.closeTrack(checker);
}

function sourceOf(part: number, { track, size_bytes }: OpenedTrack, url: string): Source {
  return { url, sizeBytes: size_bytes, renew: (refused) => links.renew(part, track, refused) };
}

function askForLinks(): void {
  post({ e: "links_needed" });
}

/** If a part or track is listed twice, the first one that has not been read yet. */
function find(part: number, track: TrackId): { reader: RecordingReader; position: number; track: OpenedTrack } {
  const listed = (recording?.parts ?? []).flatMap((candidate, position) =>
    candidate.tracks
      .filter((stored) => candidate.part === part && stored.track === track)
      .map((stored) => ({ position, track: stored })),
  );
  const found = listed.find((one) => !followed.has(one.track) && !unopened.has(one.track)) ?? listed[0];
  if (!reader || !found) throw new WorkerError("bad-argument", "no such track was loaded");
  return { reader, ...found };
}

function unlocked(): { module: RecordingModule; key: OpeningKey } {
  if (!wasm || !key) throw new WorkerError("bad-argument", "unlock a key file first");
  return { module: wasm, key };
}

function post(message: FromOpener, transfer: Transferable[] = []): void {
  worker.postMessage(message, transfer);
}
