/** Downloads a track by ranges, and goes on where a broken connection left off (RFC 9110, section 14). */
import { Backoff } from "../backoff.js";
import { WorkerError } from "../failure.js";

const MAX_FAILURES = 8;

/** The bytes from 0 to `sizeBytes`, in pieces of whatever size the network makes. */
export async function* download(url: string, sizeBytes: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const backoff = new Backoff({ firstMs: 300, capMs: 5_000 });
  let offset = 0;
  let failures = 0;
  while (offset < sizeBytes) {
    try {
      for await (const piece of range(url, offset, sizeBytes, signal)) {
        failures = 0;
        backoff.reset();
        offset += piece.byteLength;
        yield piece;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WorkerError) throw error;
      failures += 1;
      if (failures > MAX_FAILURES) throw new WorkerError("download-failed", "the download broke off", { cause: error });
      await new Promise((resolve) => setTimeout(resolve, backoff.nextMs()));
    }
  }
}

async function* range(url: string, from: number, to: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const response = await fetch(url, {
    headers: { Range: `bytes=${from}-${to - 1}` },
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    signal,
  });
  if (response.status >= 400 && response.status < 500) {
    throw new WorkerError("download-failed", `the vault answered ${response.status}: the link may have expired`, {
      detail: { http_status: response.status },
    });
  }
  const isWhole = response.status === 200 && from === 0;
  if (!response.body || (response.status !== 206 && !isWhole)) throw new Error(`unexpected answer ${response.status}`);
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
