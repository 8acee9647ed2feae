/**
 * Uploads one track by tus 1.0 (tus-js-client), for as long as it takes.
 *
 * tus-js-client's own retries end after a few, and not at all after 401 and 403; so each attempt is
 * one of its uploads, and what follows a failure is decided here:
 *
 * | answer | what follows |
 * |---|---|
 * | none, 5xx, 429 | the same URL again, after capped exponential backoff with jitter or `Retry-After` |
 * | 401, 403 | a new capability is asked for; the old one is tried again ever more seldom |
 * | 404, 410 | a new upload from the spool; none when the recording is deleted |
 * | 405, 501 to PATCH | POST with `X-HTTP-Method-Override`; if that is refused too, the page names the method |
 * | 408, 504 | a body of half the size |
 * | 409, 423, 460 | the offset is asked for again, soon; no body before the lock is free |
 * | 412 `envelope_missing` | the envelope is sent again |
 * | 413 | a body of half the size, and for a while none as large |
 * | other 4xx | as 5xx; the reason is reported |
 * | none in time ({@link Pace}) | the request is aborted, and made again with half the size |
 *
 * Progress is what the server acknowledged, nothing else.
 */
import { type DetailedError, type HttpRequest, type HttpResponse, type HttpStack, Upload } from "tus-js-client";
import { Backoff } from "../backoff.js";
import type { TrackId } from "../core-types.js";
import type { UploadWait } from "../protocol.js";
import type { TrackSpool } from "./track-spool.js";
import type { Courtesy } from "./courtesy.js";
import { LARGEST_BYTES, Pace } from "./pace.js";
import { SpoolReader } from "./tus-reader.js";
import { retryAfterMs } from "../retry-after.js";
import { RECORDING_DELETED } from "./vault-client.js";

const STALL_CHECK_MS = 1_000;
/** How often a refused capability is tried again, at most, while nobody has a better one. */
const CAPABILITY_CAP_MS = 300_000;

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
  /** The vault took this capability. */
  readonly onWorks: (capability: string) => void;
  /** The vault has no envelope of this track; resolves when it has. */
  readonly onEnvelopeMissing: (signal: AbortSignal) => Promise<void>;
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
  /** The vault's own code; null: something else answered. */
  readonly code: string | null;
  readonly method: string;
  readonly bodyBytes: number;
  /** By something on the way: the vault knows the method. */
  readonly isMethodRefused: boolean;
  readonly wasOverridden: boolean;
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
  readonly #capabilityBackoff: Backoff;
  readonly #pace: Pace;
  /** PATCH was refused on the way: POST says that it means PATCH. */
  #overridesMethod = false;
  /** The last request may still hold the upload. */
  #mayBeLocked = false;
  #url: string | null;
  #acknowledged = 0;
  #wake: () => void = () => undefined;

  constructor(spool: TrackSpool, target: UploadTarget, hooks: UploadHooks, platform: UploadPlatform = {}) {
    this.#spool = spool;
    this.#target = target;
    this.#hooks = hooks;
    this.#platform = platform;
    this.#backoff = new Backoff({ firstMs: 500, capMs: 30_000 }, platform.random);
    this.#capabilityBackoff = new Backoff({ firstMs: 1_000, capMs: CAPABILITY_CAP_MS }, platform.random);
    this.#pace = new Pace();
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
    this.#capabilityBackoff.reset();
    this.#wake();
  }

  async #recover(failure: AttemptFailure, signal: AbortSignal): Promise<void> {
    const { status } = failure;
    if (status === 410 && failure.code === RECORDING_DELETED) this.#hooks.onDeleted();
    if (status === 412 && failure.code === "envelope_missing") {
      await this.#hooks.onEnvelopeMissing(signal);
      signal.throwIfAborted();
      // A vault that takes it and still has none is in trouble.
      await this.#pause(this.#backoff.nextMs(), signal);
      return;
    }
    this.#adapt(failure);
    if (status === 401 || status === 403) {
      this.#hooks.onWait({ why: "capability", http_status: status });
      // The person who renews it may be away: retry the old one now and then.
      const either = new AbortController();
      const stop = () => either.abort();
      signal.addEventListener("abort", stop, { once: true });
      const renewed = this.#hooks.renewCapability(failure.capability, either.signal);
      try {
        await Promise.race([renewed, this.#pause(this.#capabilityBackoff.nextMs() + 5_000, either.signal)]);
      } finally {
        either.abort();
        signal.removeEventListener("abort", stop);
      }
      return;
    }
    if (failure.isMethodRefused && this.#overridesMethod && failure.wasOverridden === false) {
      // The same at once, by the other way.
      return;
    }
    if (status === 404 || status === 410) {
      this.#url = null;
      this.#acknowledged = 0;
      this.#hooks.onUrl(null);
      this.#hooks.onAcknowledged(0);
    }
    const retryInMs = failure.retryAfterMs ?? this.#backoff.nextMs();
    const why = status === 413 && this.#pace.isSmallest ? "too_large" : whyOf(failure);
    const method = why === "method_refused" ? { method: failure.method } : {};
    // A smaller body is no reason to worry anyone.
    if (status !== 413 || why === "too_large")
      this.#hooks.onWait({ why, http_status: status, retry_in_ms: retryInMs, ...method });
    await this.#pause(retryInMs, signal);
  }

  /** Learns from a failure what the line, or something on it, does not take. */
  #adapt({ status, isStalled, bodyBytes, isMethodRefused }: AttemptFailure): void {
    if (status === 413) this.#pace.refused(bodyBytes);
    if ((isStalled || status === 408 || status === 504) && bodyBytes > 0) this.#pace.stalled();
    this.#mayBeLocked = isStalled || status === 0 || status === 423 || status === 408 || status === 504;
    // What refuses both may be gone tomorrow: they take turns.
    if (isMethodRefused) this.#overridesMethod = !this.#overridesMethod;
  }

  #attempt(signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve) => {
      const abort = new AbortController();
      const capability = this.#hooks.capability();
      const wasOverridden = this.#overridesMethod;
      /** The request that has no answer yet. */
      let sent: { readonly at: number; readonly from: number; readonly bytes: number; readonly method: string } | null =
        null;
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
          failure: {
            status,
            isStalled: false,
            code: null,
            method: "",
            bodyBytes: 0,
            isMethodRefused: false,
            wasOverridden,
            retryAfterMs: null,
            capability,
            ...facts,
          },
        });
      /** What the server has now; after a restored backup that is less than it once acknowledged. */
      let held = 0;
      const heard = (offset: number) => {
        held = offset;
        if (offset <= this.#acknowledged) return;
        this.#acknowledged = offset;
        this.#backoff.reset();
        this.#capabilityBackoff.reset();
        this.#mayBeLocked = false;
        this.#hooks.onAcknowledged(offset);
        this.#hooks.onWait(null);
      };
      const stack = this.#platform.httpStack;
      const reader = new SpoolReader(this.#spool, abort.signal, {
        courtesy: this.#platform.courtesy,
        most: () => this.#pace.bytes,
        asksFirst: this.#mayBeLocked && this.#url !== null,
      });
      const upload = new Upload(PLACEHOLDER, {
        ...(this.#url === null ? { endpoint: this.#target.createUrl } : { uploadUrl: this.#url }),
        ...(stack ? { httpStack: stack } : {}),
        fileReader: reader,
        overridePatchMethod: wasOverridden,
        fingerprint: async () => "",
        metadata: { track: this.#target.track },
        chunkSize: LARGEST_BYTES,
        uploadLengthDeferred: true,
        storeFingerprintForResuming: false,
        retryDelays: null,
        onBeforeRequest: (request: HttpRequest) => {
          request.setHeader("Authorization", `Bearer ${capability}`);
          const from = Number(request.getHeader("Upload-Offset") ?? Number.NaN);
          const isAppend = Number.isInteger(from);
          const bytes = isAppend ? reader.bodyBytes : 0;
          const method = isAppend ? "PATCH" : request.getMethod();
          sent = { at: performance.now(), from: isAppend ? from : 0, bytes, method };
        },
        onAfterResponse: (_request: HttpRequest, response: HttpResponse) => {
          const offset = Number(response.getHeader("Upload-Offset") ?? Number.NaN);
          if (response.getStatus() >= 300) return;
          this.#hooks.onWorks(capability);
          if (wasOverridden && sent?.method === "PATCH" && response.getStatus() === 201) {
            // It heard POST alone, and made another upload: nothing was appended to ours.
            void upload.abort();
            fail(405, { method: "PATCH", isMethodRefused: true });
            return;
          }
          const answered = sent;
          sent = null;
          if (!Number.isInteger(offset)) return;
          if (answered && answered.bytes > 0)
            this.#pace.acknowledged(offset - answered.from, performance.now() - answered.at);
          heard(offset);
        },
        onUploadUrlAvailable: () => {
          if (upload.url === null || upload.url === this.#url) return;
          this.#url = upload.url;
          this.#hooks.onUrl(upload.url);
        },
        // A server that thinks it has everything, and has less than there is here, has not.
        onSuccess: () => (held >= this.#spool.size ? finish({ kind: "done" }) : fail(409)),
        onError: (error) => {
          const response = (error as Partial<DetailedError>).originalResponse ?? null;
          const code = response?.getHeader("Error-Code") ?? null;
          const status = response?.getStatus() ?? 0;
          const method = sent?.method ?? "";
          fail(status, {
            code,
            method,
            bodyBytes: sent?.bytes ?? 0,
            isMethodRefused: method === "PATCH" && code === null && (status === 405 || status === 501),
            retryAfterMs: retryAfterMs(response?.getHeader("Retry-After")),
          });
        },
      });
      const onAbort = () => {
        void upload.abort();
        fail(0);
      };
      const watch = setInterval(() => {
        if (sent === null || performance.now() - sent.at < this.#pace.patienceMs(sent.bytes)) return;
        const { method, bytes: bodyBytes } = sent;
        void upload.abort();
        fail(0, { isStalled: true, method, bodyBytes });
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

function whyOf({ status, isStalled, isMethodRefused }: AttemptFailure): UploadWait["why"] {
  if (isMethodRefused) return "method_refused";
  if (isStalled || status === 408) return "stalled";
  if (status === 0) return "offline";
  if (status === 409 || status === 423 || status === 460) return "locked";
  return status >= 500 || status === 429 ? "server_error" : "refused";
}
