/**
 * The journal of one part's spool: what must be known to finish its upload after a crash.
 *
 * Append-only lines `CRC-32 in hex, space, JSON, newline`. A torn or altered end is cut off at the
 * last good line. It holds the upload capability, and the key that renews it and signs nothing else;
 * never one that seals, opens, or signs for the recording.
 *
 * It records what a server acknowledged, never what this device gave up on, and it does not grow without bound: past
 * {@link ROUTINE_BYTES} it is written only if a later page cannot get it by asking.
 */
import type { CompactJws, RecordingId, TrackId } from "../core-types.js";
import type { SpoolFile } from "./spool-storage.js";

export interface JournalTrack {
  readonly track: TrackId;
  readonly content: "mixed" | "events";
  /** tus creation URL, absolute or relative to the vault. */
  readonly create_url: string;
}

export type JournalEntry =
  | {
      readonly k: "part";
      readonly v: 1;
      readonly recording: RecordingId;
      readonly part: number;
      readonly vault_url: string;
      readonly created_ms: number;
      readonly open: CompactJws;
      readonly tracks: readonly JournalTrack[];
      readonly capability: string;
      readonly capability_expires_ms: number;
      /** Renews the capability: the key's seed, and the public key of the vault it is for. */
      readonly renewal?: { readonly key: string; readonly vault: string };
    }
  | { readonly k: "capability"; readonly capability: string }
  | { readonly k: "envelope"; readonly track: TrackId; readonly envelope: CompactJws }
  | { readonly k: "envelope_acknowledged"; readonly track: TrackId }
  /** Written by earlier versions, also when nothing was stored. Not believed: the envelope is sent again. */
  | { readonly k: "envelope_stored"; readonly track: TrackId }
  /** Where a track's bytes go. Earlier versions wrote null when the server had forgotten the upload. */
  | { readonly k: "upload"; readonly track: TrackId; readonly url: string | null }
  | { readonly k: "uploaded"; readonly track: TrackId }
  | { readonly k: "manifest"; readonly manifest: CompactJws }
  | { readonly k: "receipt"; readonly receipt: CompactJws }
  /** The clinic's order to let go: from here on there is nothing to upload. */
  | { readonly k: "wipe"; readonly order: CompactJws }
  /** The vault's record that the recording is deleted: from here on there is nothing to upload. */
  | { readonly k: "deleted"; readonly record: CompactJws }
  /** Written by earlier versions when a server seemed to give no receipts. Not believed: each page asks again. */
  | { readonly k: "unconfirmed" };

export type PartEntry = Extract<JournalEntry, { readonly k: "part" }>;

export interface JournalContents {
  readonly entries: readonly JournalEntry[];
  /** Length up to the end of the last good line. */
  readonly goodBytes: number;
}

/** Opens a journal, cutting off a torn end. */
export function openJournal(file: SpoolFile): { entries: readonly JournalEntry[]; journal: Journal } {
  const { entries, goodBytes } = parseJournal(file.read(0, file.size));
  if (goodBytes < file.size) file.truncate(goodBytes);
  return { entries, journal: new Journal(file) };
}

/** Lines that only save a later page a request stop here. */
export const ROUTINE_BYTES = 1 << 20;
const ROUTINE: ReadonlySet<JournalEntry["k"]> = new Set(["capability", "upload", "envelope_acknowledged"]);

export class Journal {
  readonly #file: SpoolFile;

  constructor(file: SpoolFile) {
    this.#file = file;
  }

  /** Durable when it returns, except for routine entries past the bound. */
  append(entry: JournalEntry): void {
    if (ROUTINE.has(entry.k) && this.#file.size > ROUTINE_BYTES) return;
    this.#file.append(encodeLine(entry));
  }

  close(): void {
    this.#file.close();
  }
}

export function encodeLine(entry: JournalEntry): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(entry));
  const prefix = new TextEncoder().encode(`${crc32(json).toString(16).padStart(8, "0")} `);
  const line = new Uint8Array(prefix.byteLength + json.byteLength + 1);
  line.set(prefix);
  line.set(json, prefix.byteLength);
  line[line.byteLength - 1] = NEWLINE;
  return line;
}

export function parseJournal(bytes: Uint8Array): JournalContents {
  const entries: JournalEntry[] = [];
  let goodBytes = 0;
  while (goodBytes < bytes.byteLength) {
    const end = bytes.indexOf(NEWLINE, goodBytes);
    const entry = end < 0 ? null : parseLine(bytes.subarray(goodBytes, end));
    if (!entry) break;
    entries.push(entry);
    goodBytes = end + 1;
  }
  return { entries, goodBytes };
}

function parseLine(line: Uint8Array): JournalEntry | null {
  const prefix = new TextDecoder().decode(line.subarray(0, PREFIX_BYTES));
  const json = line.subarray(PREFIX_BYTES);
  if (!/^[0-9a-f]{8} $/.test(prefix) || Number.parseInt(prefix, 16) !== crc32(json)) return null;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json)) as JournalEntry;
  } catch {
    return null;
  }
}

const NEWLINE = 10;
const PREFIX_BYTES = 9;

/** CRC-32 (ISO 3309), reflected polynomial 0xEDB88320: finds torn lines; it is no protection against people. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
