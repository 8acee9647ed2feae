/** Sends a signed withdrawal to the vault, directly from the page of the person who withdrew. */
import type { CompactJws } from "../worker/protocol.js";
import { SealedVisitError } from "./errors.js";

const LONGEST_WAIT_MS = 30_000;

/** What the vault did with a withdrawal. */
export interface WithdrawalOutcome {
  /**
   * `deleted`: the keys' other half is destroyed, nobody can open the recordings of this round anymore. `requested`: nobody
   * can open them until the clinic has decided. `none`: they are kept, by the terms or because the clinic declined to delete
   * them, or the vault knows none.
   */
  readonly deletion: "none" | "requested" | "deleted";
}

/**
 * Resolves when the vault has recorded the statement, and says what that did; needs no sign-in, the signature is the authority. `keepalive` lets
 * it arrive although the page is closed meanwhile. While the vault is not reachable it is tried again, for as long as
 * the page lives.
 *
 * @throws SealedVisitError `vault-refused`, or `aborted`.
 */
export async function postWithdrawal(
  vaultUrl: string | URL,
  statement: CompactJws,
  { signal }: { signal?: AbortSignal } = {},
): Promise<WithdrawalOutcome> {
  const base = new URL(vaultUrl, document.baseURI).href;
  const url = new URL("v1/withdrawals", base.endsWith("/") ? base : `${base}/`);
  for (let wait_ms = 500; ; wait_ms = Math.min(2 * wait_ms, LONGEST_WAIT_MS)) {
    if (signal?.aborted) throw new SealedVisitError("aborted", "the withdrawal was not handed over");
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: statement,
      keepalive: true,
      ...(signal && { signal }),
    }).catch(() => null);
    if (response?.ok) return outcomeOf(await response.json().catch(() => null));
    if (response && response.status < 500 && response.status !== 408 && response.status !== 429) {
      const { code } = (await response.json().catch(() => ({}))) as { code?: unknown };
      throw new SealedVisitError("vault-refused", "the vault does not take the withdrawal", {
        detail: { http_status: response.status, vault_code: code },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
  }
}

/** The least that is true of all recordings: "deleted" is said only when all of them are. */
function outcomeOf(answer: unknown): WithdrawalOutcome {
  const { recordings } = (answer ?? {}) as { recordings?: readonly { deletion?: unknown }[] };
  const states = Array.isArray(recordings) ? recordings.map(({ deletion }) => deletion) : [];
  if (states.length === 0 || states.includes("none") || states.includes("declined")) return { deletion: "none" };
  const isGone = states.every((state) => state === "shares_destroyed" || state === "deleted");
  return { deletion: isGone ? "deleted" : "requested" };
}
