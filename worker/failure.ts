/** Errors inside a worker, and how they cross to the page. */
import type { Failure } from "./protocol.js";

/** An error with a code of js/errors.ts. */
export class WorkerError extends Error {
  readonly code: string;
  readonly detail: unknown;

  constructor(code: string, message: string, options: { detail?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "WorkerError";
    this.code = code;
    this.detail = options.detail;
  }
}

/** What the core throws: an Error with `code` and `detail` (src/error.rs). */
interface CodedError extends Error {
  readonly code?: unknown;
  readonly detail?: unknown;
}

export function toFailure(error: unknown): Failure {
  if (error instanceof Error) {
    const { code, detail, message } = error as CodedError;
    if (typeof code === "string") return detail === undefined ? { code, message } : { code, message, detail };
    return { code: "internal", message };
  }
  return { code: "internal", message: String(error) };
}
