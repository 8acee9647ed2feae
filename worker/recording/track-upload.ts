/**
 * Uploads one track by tus 1.0 (tus-js-client), for as long as it takes.
 *
 * tus-js-client's own retries end after a few, and not at all after 401 and 403; so each attempt is
 * one of its uploads, and what follows a failure is decided here:
 *
 * | answer | what follows |
 * |---|---|
 * | none, 5xx, 429 | the same URL again, after capped exponential backoff with jitter or `Retry-After` |
 * | 401, 403 | a new capability is asked for |
 * | 404, 410 | a new upload from the spool; none when the recording is deleted |
 * | 409, 423, 460 | the offset is asked for again, soon |
 * | other 4xx | as 5xx; the reason is reported |
 * | nothing for nine seconds | the request is aborted, and made again |
 */
import { type DetailedError, type HttpRequest, type HttpResponse, type HttpStack, Upload } from "tus-js-client";
import { Backoff } from "../backoff.js";
import type { TrackId } from "../core-types.js";
import type { UploadWait } from "../protocol.js";
import type { TrackSpool } from "./track-spool.js";
import type { Courtesy } from "./courtesy.js";
import { SpoolReader } from "./tus-reader.js";
import { RECORDING_DELETED, retryAfterMs } from "./vault-client.js";

/** One request's body at most: what a lost connection costs. */
const CHUNK_BYTES = 4 << 20;
const STALLED_AFTER_MS = 9_000;
const STALL_CHECK_MS = 1_000;

export interface UploadTarget {
  readonly track: TrackId;
  /** Absolute. */
  readonly createUrl: string;
  /** Where an earlier attempt left off; null: create. */
  readonly url: string | null;
}

export interface UploadHooks {
  readonly capability: () => string;
  /** Resolves when there is a newer capability than `used`. */
  readonly renewCapability: (used: string, signal: AbortSignal) => Promise<void>;
  /** The vault takes nothing more of the recording; throws. */
  readonly onDeleted: () => never;
  /** To be remembered before a byte is sent; null: forget it. */
  readonly onUrl: (url: string | null) => void;
  readonly onAcknowledged: (offset: number) => void;
  readonly onWait: (wait: UploadWait | null) => void;
}

/** What tests bring along. */
export interface UploadPlatform {
  readonly httpStack?: HttpStack;
  readonly random?: () => number;
  /** Without one, the upload takes what the line gives. */
  readonly courtesy?: Courtesy;
}

type Outcome = { readonly kind: "done" } | { readonly kind: "failed"; readonly failure: AttemptFailure };

interface AttemptFailure {
  readonly status: number;
  readonly isStalled: boolean;
  readonly isDeleted: boolean;
  readonly retryAfterMs: number | null;
  /** The capability that was used. */
  readonly capability: string;
}

export class TrackUpload {
  readonly #spool: TrackSpool;
  readonly #target: UploadTarget;
  readonly #hooks: UploadHooks;
  readonly #platform: UploadPlatform;
  readonly #backoff: Backoff;
  #url: string | null;
  #acknowledged = 0;
  #wake: () => void = () => undefined;

  constructor(spool: TrackSpool, target: UploadTarget, hooks: UploadHooks, platform: UploadPlatform = {}) {
    this.#spool = spool;
    this.#target = target;
    this.#hooks = hooks;
    this.#platform = platform;
    this.#backoff = new Backoff({ firstMs: 500, capMs: 30_000 }, platform.random);
    this.#url = target.url;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Resolves when the server holds the whole track, whose length it knows; rejects only when aborted. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const outcome = await this.#attempt(signal);
      if (outcome.kind === "done") {
        this.#hooks.onWait(null);
        return;
      }
      signal.throwIfAborted();
      await this.#recover(outcome.failure, signal);
    }
  }

  /** The device is online again: do not wait for the timer. */
  retryNow(): void {
    this.#backoff.reset();
    this.#wake();
  }

  async #recover(failure: AttemptFailure, signal: AbortSignal): Promise<void> {
    const { status } = failure;
    if (failure.isDeleted) this.#hooks.onDeleted();
    if (status === 401 || status === 403) {
      this.#hooks.onWait({ why: "capability", http_status: status });
      // Whoever renews it may be away: try the old one now and then.
      const either = new AbortController();
      const stop = () => either.abort();
      signal.addEventListener("abort", stop, { once: true });
      const renewed = this.#hooks.renewCapability(failure.capability, either.signal);
      try {
        await Promise.race([renewed, this.#pause(this.#backoff.nextMs() + 5_000, either.signal)]);
      } finally {
        either.abort();
        signal.removeEventListener("abort", stop);
      }
      return;
    }
    if (status === 404 || status === 410) {
      this.#url = null;
      this.#acknowledged = 0;
      this.#hooks.onUrl(null);
      this.#hooks.onAcknowledged(0);
    }
    const retryInMs = failure.retryAfterMs ?? this.#backoff.nextMs();
    this.#hooks.onWait({ why: whyOf(failure), http_status: status, retry_in_ms: retryInMs });
    await this.#pause(retryInMs, signal);
  }

  #attempt(signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve) => {
      const abort = new AbortController();
      const capability = this.#hooks.capability();
      let inFlightSince: number | null = null;
      let isOver = false;
      const finish = (outcome: Outcome) => {
        if (isOver) return;
        isOver = true;
        clearInterval(watch);
        signal.removeEventListener("abort", onAbort);
        abort.abort();
        resolve(outcome);
      };
      const fail = (status: number, facts: Partial<AttemptFailure> = {}) =>
        finish({
          kind: "failed",
          failure: { status, isStalled: false, isDeleted: false, retryAfterMs: null, capability, ...facts },
        });
      const heard = (offset: number) => {
        inFlightSince = inFlightSince === null ? null : performance.now();
        if (offset <= this.#acknowledged) return;
        this.#acknowledged = offset;
        this.#backoff.reset();
        this.#hooks.onAcknowledged(offset);
        this.#hooks.onWait(null);
      };
      const stack = this.#platform.httpStack;
      const upload = new Upload(PLACEHOLDER, {
        ...(this.#url === null ? { endpoint: this.#target.createUrl } : { uploadUrl: this.#url }),
        ...(stack ? { httpStack: stack } : {}),
        fileReader: new SpoolReader(this.#spool, abort.signal, this.#platform.courtesy),
        fingerprint: async () => "",
        metadata: { track: this.#target.track },
        chunkSize: CHUNK_BYTES,
        uploadLengthDeferred: true,
        storeFingerprintForResuming: false,
        retryDelays: null,
        onBeforeRequest: (request: HttpRequest) => {
          request.setHeader("Authorization", `Bearer ${capability}`);
          inFlightSince = performance.now();
        },
        onAfterResponse: (_request: HttpRequest, response: HttpResponse) => {
          inFlightSince = null;
          const offset = Number(response.getHeader("Upload-Offset") ?? Number.NaN);
          if (response.getStatus() < 300 && Number.isInteger(offset)) heard(offset);
        },
        onProgress: () => {
          if (inFlightSince !== null) inFlightSince = performance.now();
        },
        onUploadUrlAvailable: () => {
          if (upload.url === null || upload.url === this.#url) return;
          this.#url = upload.url;
          this.#hooks.onUrl(upload.url);
        },
        onSuccess: () => finish({ kind: "done" }),
        onError: (error) => {
          const response = (error as Partial<DetailedError>).originalResponse ?? null;
          const isDeleted = response?.getHeader("Error-Code") === RECORDING_DELETED;
          const status = response?.getStatus() ?? 0;
          fail(status, { isDeleted, retryAfterMs: retryAfterMs(response?.getHeader("Retry-After")) });
        },
      });
      const onAbort = () => {
        void upload.abort();
        fail(0);
      };
      const watch = setInterval(() => {
        if (inFlightSince === null || performance.now() - inFlightSince < STALLED_AFTER_MS) return;
        void upload.abort();
        fail(0, { isStalled: true });
      }, STALL_CHECK_MS);
      signal.addEventListener("abort", onAbort, { once: true });
      upload.start();
    });
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      this.#wake = finish;
      signal.addEventListener("abort", finish, { once: true });
    });
  }
}

/** tus-js-client wants a file; what it reads is the reader's. */
const PLACEHOLDER = new Blob();

function whyOf({ status, isStalled }: AttemptFailure): UploadWait["why"] {
  if (isStalled) return "stalled";
  if (status === 0) return "offline";
  if (status === 409 || status === 423 || status === 460) return "locked";
  return status >= 500 || status === 429 ? "server_error" : "refused";
}
