/**
 * Spools that an earlier page left behind: their upload is finished with the capability in their
 * journal. Call it on any page of the origin; pages that record call it by themselves.
 */
import type { CompactJws, RecordingId, SpoolStatus, SpoolWarning } from "../worker/protocol.js";
import { type AssetOptions, newVisitWorker, wasmUrlOf } from "./assets.js";
import { SealedVisitError } from "./errors.js";
import { UnloadGuard } from "./unload-guard.js";
import { WorkerClient } from "./worker-client.js";

export interface RecoveryOptions extends AssetOptions {
  /** With both, receipts are verified and the spools let go; without, parts stay `uploaded`. */
  readonly rootKey?: string;
  readonly clinicDocument?: CompactJws;
  /**
   * The clinic's orders (JWS by its root key, made by `sealed-visit clinic wipe`) to let go of recordings on this
   * device before they are safe. Obeyed first and reported to the vault; needs `rootKey` and `clinicDocument`.
   */
  readonly wipeOrders?: readonly CompactJws[];
  /**
   * Lets go of what was uploaded to a server that gives no receipts (state `uploaded`), as `recorder.release()` does in
   * the page that recorded it. Default false: it stays, and the next page reports it again.
   */
  readonly releaseUnconfirmed?: boolean;
  /**
   * Asked when the vault takes neither the journal's upload capability (401, 403) nor the open statement for a new
   * one: sign the host in again and give a capability for this part, or null to be asked again later.
   */
  readonly renewCapability?: (part: { recording: RecordingId; part: number }) => Promise<string | null>;
  readonly onProgress?: (status: SpoolStatus) => void;
  /** E.g. a spool older than 14 days. */
  readonly onWarning?: (warning: SpoolWarning) => void;
  /** E.g. a receipt that does not verify, or a wipe order that is not the clinic's. The spool stays. */
  readonly onProblem?: (error: SealedVisitError) => void;
  readonly signal?: AbortSignal;
}

/** Resolves with the spools found, once each is as safe as it can be for now. Leaves a live recorder's spools alone. */
export async function recoverSpools(options: RecoveryOptions = {}): Promise<readonly SpoolStatus[]> {
  const { onProgress, onWarning, onProblem, renewCapability, signal } = options;
  const client = new WorkerClient(newVisitWorker(options));
  const request = signal ? { signal } : {};
  const unsent = new Map<string, boolean>();
  const guard = new UnloadGuard(() => [...unsent.values()].includes(true));
  client.on("spool", ({ status }) => {
    unsent.set(`${status.recording}/${status.part}`, status.state === "sealed");
    onProgress?.(status);
  });
  client.on("spool_warning", ({ warning }) => onWarning?.(warning));
  client.on("capability_needed", async ({ recording, part }) => {
    const capability = (await renewCapability?.({ recording, part }).catch(() => null)) ?? null;
    await client.request<"capability">({ r: "capability", recording, part, capability }).catch(() => undefined);
  });
  client.on("upload_problem", ({ error }) => onProblem?.(SealedVisitError.fromFailure(error)));
  try {
    return await client.request<"recover">(
      {
        r: "recover",
        wasm_url: wasmUrlOf(options),
        root_key: options.rootKey ?? null,
        clinic_document: options.clinicDocument ?? null,
        wipe_orders: options.wipeOrders ?? [],
        release_unconfirmed: options.releaseUnconfirmed ?? false,
      },
      request,
    );
  } finally {
    guard.dispose();
    client.terminate();
  }
}
