/**
 * Hands the vault's answer to the core: every document of every part, and each track that can be opened. Separate from the
 * worker, so that tests in Node run the same code.
 */
import { fromBase64url } from "../base64url.js";
import type { CompactJws } from "../core-types.js";
import { WorkerError } from "../failure.js";
import type { OpenedPart, OpenedRecording, OpenedTrack } from "../open-protocol.js";
import type { RecordingModule, RecordingReader, TrackReader } from "../wasm.js";

export type OpeningKey = InstanceType<RecordingModule["OpeningKey"]>;
type PartInfo = ReturnType<RecordingReader["addPart"]>;

/**
 * Adds the parts in their order, so that a part's position in the answer is its position in the reader. Throws
 * `recording-invalid` at anything that is not the vault's answer.
 */
export function addParts(
  reader: RecordingReader,
  clinicDocument: CompactJws,
  opened: OpenedRecording,
): readonly PartInfo[] {
  if (!isAnswer(opened)) throw new WorkerError("recording-invalid", "this is not a vault's answer for a recording");
  return opened.parts.map((part, position) => {
    const info = reader.addPart(clinicDocument, part.open, opened.recording, part.part);
    if (isText(part.manifest)) reader.addManifest(position, part.manifest);
    if (isText(part.closing)) reader.addClosing(position, part.closing);
    if (isText(part.receipt)) reader.addReceipt(position, part.receipt);
    for (const { track, envelopes } of part.tracks) {
      for (const envelope of envelopes) reader.addEnvelope(position, track, envelope);
    }
    return info;
  });
}

/** The newest envelope is the one made for today's recipients; older ones may still fit an older key. */
export function openTrack(
  reader: RecordingReader,
  position: number,
  { track, share, envelopes }: OpenedTrack,
  key: OpeningKey,
): TrackReader {
  let failure: unknown = new WorkerError("recording-invalid", "the vault has no envelope for this track");
  for (const envelope of envelopes.toReversed()) {
    try {
      return reader.openTrack(position, track, envelope, key, share === "" ? undefined : fromBase64url(share));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** The answer is JSON from a server, so its type promises nothing. */
export function isAnswer(answer: unknown): answer is OpenedRecording {
  const opened = answer as Loose<OpenedRecording> | null | undefined;
  return typeof opened === "object" && opened !== null && isText(opened.recording) && isListOf(opened.parts, isPart);
}

function isPart({ part, open, manifest, closing, receipt, tracks }: Loose<OpenedPart>): boolean {
  return (
    Number.isInteger(part) &&
    Number(part) >= 0 &&
    Number(part) < 2 ** 32 &&
    isText(open) &&
    [manifest, closing, receipt].every((document) => (document ?? null) === null || isText(document)) &&
    isListOf(tracks, isTrack)
  );
}

function isTrack({ track, share, envelopes }: Loose<OpenedTrack>): boolean {
  return isTrackId(track) && isText(share) && isListOf(envelopes, (envelope) => isText(envelope));
}

type Loose<T> = { readonly [name in keyof T]: unknown };

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** 16 bytes. */
function isTrackId(value: unknown): boolean {
  return isText(value) && /^[\w-]{21}[AQgw]$/.test(value);
}

function isListOf<T>(value: unknown, isOne: (one: T) => boolean): boolean {
  return Array.isArray(value) && value.every((one) => one !== null && one !== undefined && isOne(one as T));
}
