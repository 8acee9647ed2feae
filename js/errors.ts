/**
 * The one error class of the package, and its codes.
 *
 * Every code has a page of its own in docs/errors/. Codes that come from the core are passed
 * through; they begin with the name of their module (`frames-`, `visit-`, `recording-`, `opening-`).
 */
import type { Failure } from "../worker/protocol.js";

/** Codes that the page and its workers raise themselves. */
export const errorCodes = [
  "aborted",
  "closed",
  "worker-failed",
  "wasm-load-failed",
  "core-panicked",
  "not-prepared",
  "clock-wrong",
  "pass-refused",
  "relay-refused",
  "relay-unreachable",
  "replaced-by-another",
  "visit-over",
  "media-failed",
  "media-blocked",
  "codec-unsupported",
  "transform-attached-late",
  "transform-unsupported",
  "recorder-unsupported",
  "recorder-not-in-group",
  "recorder-busy",
  "capture-failed",
  "vault-unreachable",
  "vault-refused",
  "spool-full",
  "spool-busy",
  "receipt-invalid",
  "key-file-invalid",
  "wrong-passphrase",
  "download-failed",
  "recording-invalid",
  "bad-argument",
  "internal",
] as const;

export type OwnErrorCode = (typeof errorCodes)[number];

/** Codes of the core begin with its modules' names. */
export type CoreErrorCode = `frames-${string}` | `visit-${string}` | `recording-${string}` | `opening-${string}`;

export type ErrorCode = OwnErrorCode | CoreErrorCode;

/** Every error that this package throws or reports. `message` is for developers, never for logs of names or media. */
export class SealedVisitError extends Error {
  override readonly name = "SealedVisitError";
  readonly code: ErrorCode;
  /** Structured facts, depending on the code; see docs/errors/. */
  readonly detail: unknown;

  constructor(code: ErrorCode, message: string, options: { detail?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
  }

  /** @internal */
  static fromFailure(failure: Failure): SealedVisitError {
    // A worker speaks only codes of this list or of the core's.
    return new SealedVisitError(failure.code as ErrorCode, failure.message, { detail: failure.detail });
  }
}

/** @internal Throws when `signal` is aborted, with the code `aborted`. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}

/** @internal */
export function abortedError(signal: AbortSignal): SealedVisitError {
  return new SealedVisitError("aborted", "the operation was aborted", { cause: signal.reason });
}

/** @internal Rejects early when `signal` is aborted. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortedError(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** @internal For the end of a switch over a union. */
export function assertNever(value: never): never {
  throw new SealedVisitError("internal", `unexpected value ${JSON.stringify(value)}`);
}
