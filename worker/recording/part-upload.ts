/**
 * Brings one part to the vault: envelopes, tracks by tus, manifest (or closing), receipt.
 *
 * Works the same for a part that is still growing and for one that a dead page left behind. It
 * rests only when the part is safe, or at a server without receipts, or `signal` is aborted.
 */
import { Backoff } from "../backoff.js";
import type { CompactJws } from "../core-types.js";
import type { UploadWait } from "../protocol.js";
import type { PartSpool, SpooledTrack } from "./part-spool.js";
import { TrackUpload, type UploadPlatform } from "./track-upload.js";
import { VaultClient, VaultError } from "./vault-client.js";

export interface PartUploadHooks {
  /** Throws unless the receipt is the vault's, over exactly what is here. */
  readonly verifyReceipt: ((receipt: CompactJws, part: PartSpool) => void) | null;
  readonly onCapabilityNeeded: () => void;
  readonly onReceipt: (receipt: CompactJws) => void;
  /** A receipt that does not verify: the spool stays, and a person must know. */
  readonly onBadReceipt: (error: unknown) => void;
}

export interface PartUploadPlatform extends UploadPlatform {
  readonly fetch?: typeof fetch;
}

/** A vault that refuses a receipt or manifest is asked again this often, at most. */
const FINISH_CAP_MS = 60_000;
/** So many answers that there is no such route are believed. */
const BELIEVED_ABSENT = 5;

export class PartUpload {
  readonly #part: PartSpool;
  readonly #vault: VaultClient;
  readonly #hooks: PartUploadHooks;
  readonly #platform: PartUploadPlatform;
  readonly #uploads = new Map<string, TrackUpload>();
  #capabilityWaiters: (() => void)[] = [];
  #renewal: Promise<void> | null = null;
  #wake: () => void = () => undefined;

  constructor(part: PartSpool, hooks: PartUploadHooks, platform: PartUploadPlatform = {}) {
    this.#part = part;
    this.#vault = new VaultClient(part.about.vault_url, platform.fetch);
    this.#hooks = hooks;
    this.#platform = platform;
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#part.receipt !== null) {
      await this.#part.letGo();
      return;
    }
    const { wipeOrder } = this.#part;
    if (wipeOrder !== null) {
      await this.#insist(signal, () => this.#vault.reportWiped(this.#ref, this.#part.capability, wipeOrder));
      await this.#part.letGo();
      return;
    }
    await Promise.all(this.#part.tracks.map((track) => this.#uploadTrack(track, signal)));
    this.#part.noteAllUploaded();
    await this.#finish(signal);
  }

  setCapability(capability: string): void {
    this.#part.setCapability(capability);
    const waiters = this.#capabilityWaiters;
    this.#capabilityWaiters = [];
    for (const wake of waiters) wake();
  }

  /** The device is online again. */
  retryNow(): void {
    for (const upload of this.#uploads.values()) upload.retryNow();
    this.#wake();
  }

  async #uploadTrack(track: SpooledTrack, signal: AbortSignal): Promise<void> {
    if (track.isUploaded) return;
    const id = track.about.track;
    if (!track.isEnvelopeStored) {
      const { envelope } = track;
      // A page that died before it had spooled the envelope had sealed nothing yet.
      if (envelope === null) return;
      await this.#insist(signal, () => this.#vault.storeEnvelope(this.#ref, this.#part.capability, id, envelope));
      this.#part.noteEnvelopeStored(id);
    }
    // Not even the header survived: there is nothing to send, and the vault names it with length 0.
    if (track.spool.isComplete && track.spool.size === 0) return;
    const createUrl = new URL(track.about.create_url, this.#vault.baseUrl).href;
    const upload = new TrackUpload(
      track.spool,
      { track: id, createUrl, url: track.uploadUrl },
      {
        capability: () => this.#part.capability,
        renewCapability: (used, until) => this.#capabilityOtherThan(used, until),
        onUrl: (url) => this.#part.noteUploadUrl(id, url),
        onAcknowledged: (offset) => this.#part.noteAcknowledged(id, offset),
        onWait: (wait) => this.#part.noteWait(wait),
      },
      this.#platform,
    );
    this.#uploads.set(id, upload);
    await upload.run(signal);
    this.#uploads.delete(id);
    this.#part.noteUploaded(id);
  }

  async #finish(signal: AbortSignal): Promise<void> {
    const receipt = await this.#insist(signal, () => {
      const { manifest, capability, tracks } = this.#part;
      if (manifest !== null) return this.#vault.finish(this.#ref, capability, manifest);
      const lengths = Object.fromEntries(tracks.map(({ about, spool }) => [about.track, spool.size]));
      return this.#vault.close(this.#ref, capability, lengths);
    });
    if (receipt === null || this.#hooks.verifyReceipt === null) {
      if (receipt === null) this.#part.noteUnconfirmed();
      return;
    }
    try {
      this.#hooks.verifyReceipt(receipt, this.#part);
    } catch (error) {
      this.#hooks.onBadReceipt(error);
      return;
    }
    this.#part.noteReceipt(receipt);
    this.#hooks.onReceipt(receipt);
    await this.#part.letGo();
  }

  /** Tries until it works or `signal` is aborted. A tus server without these routes keeps answering 404 or 405: null. */
  async #insist<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T | null> {
    const backoff = new Backoff({ firstMs: 500, capMs: FINISH_CAP_MS }, this.#platform.random);
    let absent = 0;
    for (;;) {
      signal.throwIfAborted();
      const { capability } = this.#part;
      try {
        const result = await act();
        this.#part.noteWait(null);
        return result;
      } catch (error) {
        if (!(error instanceof VaultError)) throw error;
        // Not the vault's own words. Once, it may come from something in between.
        const isAbsent = error.code.startsWith("http_") && (error.status === 404 || error.status === 405);
        absent = isAbsent ? absent + 1 : 0;
        if (absent >= BELIEVED_ABSENT) return null;
        const retryInMs = error.retryAfterMs ?? backoff.nextMs();
        this.#part.noteWait(waitFor(error, retryInMs));
        if (error.status === 401 || error.status === 403) {
          await this.#renewedWithin(retryInMs + 5_000, capability, signal);
        } else {
          await this.#pause(retryInMs, signal);
        }
      }
    }
  }

  /** Resolves when there is a newer capability than `used`, or after `ms`, or when `signal` is aborted. */
  async #renewedWithin(ms: number, used: string, signal: AbortSignal): Promise<void> {
    const either = new AbortController();
    const stop = () => either.abort();
    const timer = setTimeout(stop, ms);
    signal.addEventListener("abort", stop, { once: true });
    await this.#capabilityOtherThan(used, either.signal);
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }

  /** Resolves at once when it was renewed meanwhile, else when it is, or `until` is aborted. */
  #capabilityOtherThan(used: string, until: AbortSignal): Promise<void> {
    if (this.#part.capability !== used || until.aborted) return Promise.resolve();
    this.#renewal ??= this.#renewCapability().finally(() => {
      this.#renewal = null;
    });
    return new Promise((resolve) => {
      this.#capabilityWaiters.push(resolve);
      const giveUp = () => {
        this.#capabilityWaiters = this.#capabilityWaiters.filter((waiter) => waiter !== resolve);
        resolve();
      };
      until.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** The vault gives a new one for the statement by which the part was opened; a sign-in before it may want more. */
  async #renewCapability(): Promise<void> {
    try {
      const { capability } = await this.#vault.open(this.#part.about.open);
      this.setCapability(capability);
    } catch (error) {
      const { status } = error instanceof VaultError ? error : { status: 400 };
      // No answer, or a vault in trouble: whoever waits tries the old one again, and then comes back here.
      if (status >= 400 && status < 500 && status !== 429) this.#hooks.onCapabilityNeeded();
    }
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

  get #ref(): { recording: string; part: number } {
    return { recording: this.#part.recording, part: this.#part.part };
  }
}

function waitFor(error: VaultError, retryInMs: number): UploadWait {
  const { status } = error;
  const facts = { http_status: status, retry_in_ms: Math.round(retryInMs) };
  if (status === 0) return { why: "offline", ...facts };
  if (status === 401 || status === 403) return { why: "capability", ...facts };
  if (status === 409 || status === 423) return { why: "locked", ...facts };
  return { why: status >= 500 || status === 429 ? "server_error" : "refused", ...facts };
}
