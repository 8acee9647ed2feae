/**
 * The framing of a track file (crates/protocol/src/track.rs), as far as the spool needs it: where
 * the last whole checkpoint ends. Whether it is genuine is for the vault, and the core, to say.
 */
import { RECORD_PREFIX_BYTES } from "../../generated/constants.js";
import type { SpoolFile } from "./spool-storage.js";

const MAGIC_BYTES = 8;
const HEADER = 0x48;
const SEGMENT = 0x53;
const CHECKPOINT = 0x43;

export interface TrackExtent {
  /** Up to the end of the header, or of the last checkpoint; 0 if even the header is not whole. */
  readonly goodBytes: number;
  readonly segments: number;
}

/** Walks the records of a file; only their prefixes are read. */
export function trackExtent(file: SpoolFile): TrackExtent {
  let goodBytes = 0;
  let segments = 0;
  let offset = MAGIC_BYTES;
  let expected = HEADER;
  for (;;) {
    const prefix = file.read(offset, RECORD_PREFIX_BYTES);
    if (prefix.byteLength < RECORD_PREFIX_BYTES || prefix[0] !== expected) return { goodBytes, segments };
    const end = offset + RECORD_PREFIX_BYTES + new DataView(prefix.buffer, prefix.byteOffset).getUint32(1);
    if (end > file.size) return { goodBytes, segments };
    offset = end;
    if (expected === SEGMENT) {
      expected = CHECKPOINT;
      continue;
    }
    if (expected === CHECKPOINT) segments += 1;
    goodBytes = end;
    expected = SEGMENT;
  }
}
