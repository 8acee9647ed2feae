/** Checks a vault's receipt against what this device has, or its deletion record; only then may the spool let go. */
import type { CompactJws, RecordingId, TrackId } from "../core-types.js";
import { WorkerError } from "../failure.js";
import type { RecordingModule } from "../wasm.js";
import type { PartSpool, SpooledTrack } from "./part-spool.js";

const READ_BYTES = 4 << 20;

export interface ReceiptCheck {
  readonly module: RecordingModule;
  readonly rootKey: string;
  readonly clinicDocument: CompactJws;
  /** Chain heads reported by the sealer; others are read from the file. */
  readonly heads: ReadonlyMap<TrackId, string>;
}

/** Throws when the receipt is not the vault's, or not for these bytes. */
export function verifyReceipt(check: ReceiptCheck, receipt: CompactJws, part: PartSpool): void {
  const { module, rootKey, clinicDocument } = check;
  const { manifest } = part;
  const tracks = part.tracks.map((track) => {
    const { about, spool, envelope } = track;
    const head = check.heads.get(about.track) ?? headOf(module, track);
    // A page that died while the spool was made has no envelope for a track without a byte.
    return { track: about.track, length_bytes: spool.size, head, ...(envelope === null ? {} : { envelope }) };
  });
  try {
    const expected = { open: part.about.open, tracks, ...(manifest === null ? {} : { manifest }) };
    module.verifyReceipt(rootKey, clinicDocument, receipt, expected);
  } catch (cause) {
    throw new WorkerError("receipt-invalid", cause instanceof Error ? cause.message : "the receipt is refused", {
      cause,
    });
  }
}

/** Throws when the record is not the vault's, or for another recording. */
export function verifyDeletion(
  { module, rootKey, clinicDocument }: Omit<ReceiptCheck, "heads">,
  record: CompactJws,
  recording: RecordingId,
): void {
  try {
    module.verifyDeletion(rootKey, clinicDocument, record, recording);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : "the deletion record is refused";
    throw new WorkerError("receipt-invalid", message, { cause });
  }
}

/** Reads the whole file: a track that was recovered has nobody who remembers its chain. */
function headOf(module: RecordingModule, { spool }: SpooledTrack): string {
  const checker = new module.TrackChecker();
  try {
    for (let offset = 0; offset < spool.size; offset += READ_BYTES) checker.feed(spool.read(offset, READ_BYTES));
    return checker.state().head;
  } finally {
    checker.free();
  }
}
