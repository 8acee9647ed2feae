/** Finds spools that a dead page left behind, and finishes their uploads. */
import { CAPABILITY_DAYS } from "../../generated/constants.js";
import type { CompactJws, RecordingId } from "../core-types.js";
import { toFailure } from "../failure.js";
import type { Event, SpoolStatus } from "../protocol.js";
import type { RecordingModule } from "../wasm.js";
import { PartSpool } from "./part-spool.js";
import { PartUpload } from "./part-upload.js";
import { verifyDeletion, verifyReceipt } from "./receipts.js";
import type { RecordingPlatform } from "./recorder-service.js";
import { renewalProofOf } from "./renewal.js";
import { openOpfsStorage } from "./spool-opfs.js";

const DAY_MS = 86_400_000;

export interface RecoveryContext {
  /** With all three a receipt is verified and the spool let go. */
  readonly trust: { readonly rootKey: string; readonly clinicDocument: CompactJws } | null;
  /** The clinic's, signed by its root key; obeyed only with `trust`. */
  readonly wipeOrders?: readonly CompactJws[];
  /** The embedding page says that what was uploaded without a receipt need not stay. */
  readonly releasesUnconfirmed?: boolean;
  /** The host's sign-in, for what the vault refuses even with the spool's own proof; null: not now. */
  readonly renewCapability?: (part: { recording: RecordingId; part: number }) => Promise<string | null>;
  readonly loadRecording: () => Promise<RecordingModule>;
  readonly emit: (event: Event) => void;
  readonly platform?: RecordingPlatform;
}

export async function recover(context: RecoveryContext, signal: AbortSignal): Promise<readonly SpoolStatus[]> {
  const disk = await openOpfsStorage(context.platform?.origin);
  if (!disk) return [];
  const found: PartSpool[] = [];
  for (const name of await disk.folders()) {
    const spool = await PartSpool.recover(disk, name, (status) => context.emit({ e: "spool", status })).catch(
      () => null,
    );
    if (spool) found.push(spool);
  }
  if (found.length === 0) return [];
  const module = context.trust ? await context.loadRecording() : null;
  if (module && context.trust) for (const spool of found) obey(spool, module, context.trust.rootKey, context);
  await Promise.all(found.map((spool) => recoverPart(spool, module, context, signal)));
  return found.map((spool) => spool.status());
}

/** Before anything is sent: an order that was given while the device was away counts from the first moment. */
function obey(spool: PartSpool, module: RecordingModule, rootKey: string, context: RecoveryContext): void {
  for (const order of context.wipeOrders ?? []) {
    try {
      if (spool.wipeOrder !== null || !module.wipeOrderCovers(rootKey, order, spool.recording)) continue;
      spool.wipe(order);
    } catch (error) {
      // Not the clinic's: a person should know that someone tried.
      context.emit({ e: "upload_problem", error: toFailure(error) });
    }
  }
  // The page that obeyed may have died before it deleted everything.
  if (spool.wipeOrder !== null) for (const track of spool.tracks) track.spool.wipe();
}

async function recoverPart(
  spool: PartSpool,
  module: RecordingModule | null,
  { trust, emit, platform, loadRecording, renewCapability, releasesUnconfirmed = false }: RecoveryContext,
  signal: AbortSignal,
): Promise<void> {
  const { recording, part } = spool;
  const ageDays = Math.floor((Date.now() - spool.about.created_ms) / DAY_MS);
  // Its upload capability has run out: a person has to know.
  if (ageDays >= CAPABILITY_DAYS) emit({ e: "spool_warning", warning: { kind: "old_spool", age_days: ageDays } });
  spool.publish();
  const hooks = {
    verifyReceipt:
      trust && module
        ? (receipt: CompactJws) => verifyReceipt({ module, ...trust, heads: new Map() }, receipt, spool)
        : null,
    verifyDeletion:
      trust && module ? (record: CompactJws) => verifyDeletion({ module, ...trust }, record, recording) : null,
    prove: renewalProofOf(spool.about, loadRecording),
    onCapabilityNeeded: () => void renew(),
    onReceipt: (receipt: CompactJws) => emit({ e: "receipt", recording, part, receipt }),
    onBadReceipt: (error: unknown) => emit({ e: "upload_problem", error: toFailure(error) }),
  };
  const upload = new PartUpload(spool, hooks, platform?.upload);
  let isAsked = false;
  const renew = async () => {
    // A person may take a while; the upload comes back here with every answer of 401 or 403.
    if (isAsked || !renewCapability) return;
    isAsked = true;
    const capability = await renewCapability({ recording, part }).catch(() => null);
    isAsked = false;
    if (capability !== null && !signal.aborted) upload.setCapability(capability);
  };
  try {
    await upload.run(signal);
    if (releasesUnconfirmed && spool.isUnconfirmed && spool.receipt === null) await spool.letGo();
  } catch (error) {
    if (!signal.aborted) emit({ e: "upload_problem", error: toFailure(error) });
  } finally {
    spool.close();
  }
}
