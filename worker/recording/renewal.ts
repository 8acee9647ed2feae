/** Proves to the vault, once the part's recording key is gone, that this device made the part. */
import type { CompactJws } from "../core-types.js";
import type { RecordingModule } from "../wasm.js";
import type { PartEntry } from "./journal.js";

/** A fresh proof for this time, milliseconds since the Unix epoch. */
export type Prove = (at_ms: number) => Promise<CompactJws>;

/** Null for a spool that an earlier version made: its capability is renewed by the clinic's sign-in. */
export function renewalProofOf(about: PartEntry, load: () => Promise<RecordingModule>): Prove | null {
  const { renewal, open } = about;
  if (!renewal) return null;
  return async (at_ms) => (await load()).proveRenewal(renewal.key, renewal.vault, open, at_ms);
}
