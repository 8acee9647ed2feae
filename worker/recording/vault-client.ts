/** The vault's HTTP interface for recorders: open, envelopes, finish or close, receipt. Bytes go by tus. */
import type { CompactJws, RecordingId, TrackId, VaultAnswer } from "../core-types.js";
import { WorkerError } from "../failure.js";
import { retryAfterMs } from "../retry-after.js";
import type { Prove } from "./renewal.js";

const TIMEOUT_MS = 10_000;
/** Ours, for a vault's URL that leads elsewhere: no capability follows it there. */
export const REDIRECTED = "redirected";
/** Ours, for a method that something between page and vault does not take. */
export const METHOD_REFUSED = "method_refused";
/** The vault's code for a recording whose deletion was granted. */
export const RECORDING_DELETED = "recording_deleted";

/** A refusal, with the vault's own code and words; `status` 0: no answer. */
export class VaultError extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterMs: number | null;
  /** The vault's clock, where it says that this device's is wrong. */
  readonly vaultTimeMs: number | null;

  constructor(
    status: number,
    code: string,
    message: string,
    {
      retryAfterMs = null,
      vaultTimeMs = null,
      cause,
    }: { retryAfterMs?: number | null; vaultTimeMs?: number | null; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "VaultError";
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.vaultTimeMs = vaultTimeMs;
  }

  /** Deletion of the recording was granted: the vault accepts and serves nothing more. */
  get isDeleted(): boolean {
    return this.status === 410 && this.code === RECORDING_DELETED;
  }

  /** As the page hears of it. */
  toWorkerError(): WorkerError {
    const code = this.status === 0 && this.code !== REDIRECTED ? "vault-unreachable" : "vault-refused";
    return new WorkerError(code, this.message, { detail: { http_status: this.status, vault_code: this.code } });
  }
}

export class VaultClient {
  readonly #base: string;
  readonly #fetch: typeof fetch;

  constructor(baseUrl: string, fetcher: typeof fetch = (input, init) => fetch(input, init)) {
    this.#base = baseUrl.endsWith("/") ? baseUrl : `${baseUrl}/`;
    this.#fetch = fetcher;
  }

  get baseUrl(): string {
    return this.#base;
  }

  /** Shows the statement, and that this device holds a key of its part. A clock that is wrong does not matter. */
  async beginPart(statement: CompactJws, prove: Prove): Promise<VaultAnswer> {
    const show = async (at_ms: number) => {
      const headers = { "Vault-Proof": await prove(at_ms) };
      return (await this.#send("POST", "v1/recordings", null, statement, headers)) as VaultAnswer;
    };
    try {
      return await show(Date.now());
    } catch (error) {
      const vaultTimeMs = error instanceof VaultError && error.code === "proof_time" ? error.vaultTimeMs : null;
      if (vaultTimeMs === null) throw error;
      return await show(vaultTimeMs);
    }
  }

  /** The vault's signed deletion record; the capability may have expired. */
  async deletion({ recording }: PartRef, capability: string): Promise<CompactJws> {
    const answer = await this.#send("GET", `v1/recordings/${recording}/deletion`, capability, null);
    const record = (answer as { deletion?: unknown } | null)?.deletion;
    if (typeof record !== "string") throw new VaultError(0, "malformed", "the vault shows no deletion record");
    return record;
  }

  async storeEnvelope(part: PartRef, capability: string, track: TrackId, envelope: CompactJws): Promise<void> {
    await this.#send("PUT", `${partPath(part)}/envelopes/${track}`, capability, envelope);
  }

  /** The signed receipt, or null from a server that gives none. */
  async finish(part: PartRef, capability: string, manifest: CompactJws): Promise<CompactJws | null> {
    return receiptOf(await this.#send("POST", `${partPath(part)}/finish`, capability, manifest));
  }

  /** Closes a part whose manifest is lost, not before the vault holds these lengths. */
  async close(
    part: PartRef,
    capability: string,
    lengths: Readonly<Record<TrackId, number>>,
  ): Promise<CompactJws | null> {
    const body = JSON.stringify({ tracks: lengths });
    return receiptOf(await this.#send("POST", `${partPath(part)}/close`, capability, body));
  }

  /** Reports that this device has obeyed the clinic's wipe order. */
  async reportWiped(part: PartRef, capability: string, order: CompactJws): Promise<void> {
    await this.#send("POST", `${partPath(part)}/wiped`, capability, order);
  }

  async #send(
    method: string,
    path: string,
    capability: string | null,
    body: string | null,
    more: Readonly<Record<string, string>> = {},
  ): Promise<unknown> {
    try {
      return await this.#request(method, path, capability, body, more);
    } catch (error) {
      if (!(error instanceof VaultError) || !isMethodRefused(error, method)) throw error;
    }
    // Application firewalls may know no method but GET and POST.
    try {
      return await this.#request("POST", path, capability, body, { ...more, "X-HTTP-Method-Override": method });
    } catch (error) {
      // The vault's own words, or none: those count.
      if (!(error instanceof VaultError) || !(error.status === 404 || isMethodRefused(error, method))) throw error;
      const message = `something between this page and the vault refuses the HTTP method ${method}`;
      throw new VaultError(405, METHOD_REFUSED, message, { cause: error });
    }
  }

  async #request(
    method: string,
    path: string,
    capability: string | null,
    body: string | null,
    more: Readonly<Record<string, string>>,
  ): Promise<unknown> {
    let response: Response;
    try {
      response = await this.#fetch(new URL(path, this.#base), {
        method,
        ...(body === null ? {} : { body }),
        headers: {
          ...(body === null ? {} : { "Content-Type": "text/plain" }),
          ...more,
          ...(capability === null ? {} : { Authorization: `Bearer ${capability}` }),
        },
        credentials: "omit",
        cache: "no-store",
        redirect: "manual",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (response.ok) return response.status === 204 ? null : await response.json();
    } catch (cause) {
      throw new VaultError(0, "unreachable", "the vault does not answer", { cause });
    }
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) {
      const message = `the vault's URL ${this.#base} is redirected; configure the URL that it leads to`;
      throw new VaultError(0, REDIRECTED, message);
    }
    throw await refusal(response);
  }
}

/** By something on the way: the vault itself would say so with a code of its own. */
function isMethodRefused({ status, code }: VaultError, method: string): boolean {
  return method !== "POST" && method !== "GET" && code.startsWith("http_") && (status === 405 || status === 501);
}

interface PartRef {
  readonly recording: RecordingId;
  readonly part: number;
}

function partPath({ recording, part }: PartRef): string {
  return `v1/recordings/${recording}/parts/${part}`;
}

function receiptOf(answer: unknown): CompactJws | null {
  const receipt = (answer as { receipt?: unknown } | null)?.receipt;
  return typeof receipt === "string" ? receipt : null;
}

async function refusal(response: Response): Promise<VaultError> {
  const body = (await response.json().catch(() => null)) as { code?: unknown; message?: unknown } | null;
  const code = typeof body?.code === "string" ? body.code : `http_${response.status}`;
  const message = typeof body?.message === "string" ? body.message : `the vault answered ${response.status}`;
  return new VaultError(response.status, code, message, {
    retryAfterMs: retryAfterMs(response.headers.get("Retry-After")),
    vaultTimeMs: wholeOrNull(response.headers.get("Vault-Time")),
  });
}

function wholeOrNull(header: string | null): number | null {
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : null;
}
