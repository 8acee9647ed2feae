/** A signed withdrawal on its way to the vault, straight from the page of whoever withdrew. */
import type { CompactJws } from "../worker/protocol.js";
import { SealedVisitError } from "./errors.js";

const LONGEST_WAIT_MS = 30_000;

/**
 * Resolves when the vault has recorded the statement; needs no sign-in, the signature is the authority. `keepalive` lets
 * it arrive although the page is closed meanwhile. While the vault is not reachable it is tried again, for as long as
 * the page lives.
 *
 * @throws SealedVisitError `vault-refused`, or `aborted`.
 */
export async function postWithdrawal(
  vaultUrl: string | URL,
  statement: CompactJws,
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
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
    if (response?.ok) return;
    if (response && response.status < 500 && response.status !== 408 && response.status !== 429) {
      const { code } = (await response.json().catch(() => ({}))) as { code?: unknown };
      throw new SealedVisitError("vault-refused", "the vault does not take the withdrawal", {
        detail: { http_status: response.status, vault_code: code },
      });
    }
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
  }
}
