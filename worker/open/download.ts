/**
 * Downloads a track by ranges, and goes on where a broken connection left off (RFC 9110, section 14).
 *
 * | answer | then |
 * |---|---|
 * | none, 5xx, 408, 429 | the same range again, after capped exponential backoff or as `Retry-After` says |
 * | 401, 403 | a new link, once for each piece of progress: links are signed, and good for minutes |
 * | any other 4xx | the end |
 */
import { Backoff } from "../backoff.js";
import { WorkerError } from "../failure.js";
import { retryAfterMs } from "../retry-after.js";

const MAX_FAILURES = 8;

export interface Source {
  readonly url: string;
  readonly sizeBytes: number;
  /** A link in place of one that was refused; null when there is none. */
  readonly renew: (refused: string) => Promise<string | null>;
}

export interface DownloadPlatform {
  readonly fetch: typeof fetch;
  readonly wait: (ms: number) => Promise<void>;
}

const BROWSER: DownloadPlatform = {
  fetch: (url, init) => fetch(url, init),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** The server answered, and not with the bytes. */
class Refused extends Error {
  readonly status: number;
  readonly retryAfterMs: number | null;

  constructor({ status, headers }: Response) {
    super(`the vault answered ${status}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs(headers.get("Retry-After"));
  }

  get wantsNewLink(): boolean {
    return this.status === 401 || this.status === 403;
  }

  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
  }
}

/** All bytes from 0 on, in pieces of whatever size the network makes. */
export async function* download(
  { url: first, sizeBytes, renew }: Source,
  signal: AbortSignal,
  platform: DownloadPlatform = BROWSER,
): AsyncGenerator<Uint8Array> {
  const backoff = new Backoff({ firstMs: 300, capMs: 5_000 });
  let url = first;
  let offset = 0;
  let failures = 0;
  let isRenewed = false;
  while (offset < sizeBytes) {
    try {
      for await (const piece of range(platform, url, offset, sizeBytes, signal)) {
        failures = 0;
        isRenewed = false;
        backoff.reset();
        offset += piece.byteLength;
        yield piece;
      }
    } catch (error) {
      signal.throwIfAborted();
      const refused = error instanceof Refused ? error : null;
      const renewed = refused?.wantsNewLink && !isRenewed ? await renew(url) : null;
      if (renewed !== null) {
        url = renewed;
        isRenewed = true;
        continue;
      }
      failures += 1;
      if (refused?.isFinal || failures > MAX_FAILURES) throw broken(error);
      await platform.wait(refused?.retryAfterMs ?? backoff.nextMs());
    }
  }
}

function broken(cause: unknown): WorkerError {
  if (!(cause instanceof Refused)) return new WorkerError("download-failed", "the download broke off", { cause });
  const { status, wantsNewLink } = cause;
  const why = wantsNewLink ? ": the link has expired, or nobody may open the recording any more" : "";
  return new WorkerError("download-failed", `${cause.message}${why}`, { cause, detail: { http_status: status } });
}

async function* range(
  platform: DownloadPlatform,
  url: string,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const response = await platform.fetch(url, {
    headers: { Range: `bytes=${from}-${to - 1}` },
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    signal,
  });
  const isWhole = response.status === 200 && from === 0;
  if (!response.body || (response.status !== 206 && !isWhole)) {
    response.body?.cancel().catch(() => undefined);
    throw new Refused(response);
  }
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
