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
import type { Prove } from "./renewal.js";
import { TrackUpload, type UploadPlatform } from "./track-upload.js";
import { METHOD_REFUSED, REDIRECTED, VaultClient, VaultError } from "./vault-client.js";

export interface PartUploadHooks {
  /** Proves that this device made the part; null: only a sign-in renews the capability. */
  readonly prove: Prove | null;
  /** Throws unless the record is the vault's, for this recording. */
  readonly verifyDeletion: ((record: CompactJws, part: PartSpool) => void) | null;
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
/** A vault that refuses even a fresh capability is asked for another this often, at most. */
const RENEWAL_CAP_MS = 300_000;
/** How often a part that is still recorded is looked at, when its recording is deleted meanwhile. */
const STILL_RECORDED_MS = 1_000;
/** So many answers that there is no such route are believed, for now and in this page only. */
const BELIEVED_ABSENT = 5;
/** The vault has bytes missing that it acknowledged once, as after a restored backup; or it never had the envelope. */
const BYTES_MISSING = new Set(["track_incomplete", "envelope_missing"]);

export class PartUpload {
  readonly #part: PartSpool;
  readonly #vault: VaultClient;
  readonly #hooks: PartUploadHooks;
  readonly #platform: PartUploadPlatform;
  readonly #uploads = new Map<string, TrackUpload>();
  #capabilityWaiters: (() => void)[] = [];
  #renewal: Promise<void> | null = null;
  #isDeleted = false;
  /** A renewed capability that the vault has not taken yet. */
  #untried: string | null = null;
  readonly #renewalBackoff: Backoff;
  readonly #resendBackoff: Backoff;
  #signal: AbortSignal | null = null;
  #wakes = new Set<() => void>();

  constructor(part: PartSpool, hooks: PartUploadHooks, platform: PartUploadPlatform = {}) {
    this.#part = part;
    this.#vault = new VaultClient(part.about.vault_url, platform.fetch);
    this.#hooks = hooks;
    this.#platform = platform;
    this.#renewalBackoff = new Backoff({ firstMs: 2_000, capMs: RENEWAL_CAP_MS }, platform.random);
    this.#resendBackoff = new Backoff({ firstMs: 1_000, capMs: FINISH_CAP_MS }, platform.random);
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    if (this.#part.receipt !== null || this.#part.deletion !== null) {
      await this.#part.letGo();
      return;
    }
    try {
      await this.#bring(signal);
    } catch (error) {
      if (!(error instanceof RecordingDeleted)) throw error;
      await this.#obeyDeletion(signal);
    }
  }

  async #bring(signal: AbortSignal): Promise<void> {
    const { wipeOrder } = this.#part;
    if (wipeOrder !== null) {
      await this.#insist(signal, () => this.#vault.reportWiped(this.#ref, this.#part.capability, wipeOrder));
      await this.#part.letGo();
      return;
    }
    for (;;) {
      await this.#uploadTracks(signal);
      this.#part.noteAllUploaded();
      if (await this.#finish(signal)) return;
    }
  }

  /** From someone who signed in. */
  setCapability(capability: string): void {
    this.#renewalBackoff.reset();
    this.#take(capability);
  }

  #take(capability: string): void {
    this.#part.setCapability(capability);
    this.#wakeWaiters();
  }

  /** The vault took this capability. */
  #works(capability: string): void {
    this.#part.noteCapabilityWorks(capability);
    this.#untried = null;
    this.#renewalBackoff.reset();
  }

  #wakeWaiters(): void {
    const waiters = this.#capabilityWaiters;
    this.#capabilityWaiters = [];
    for (const wake of waiters) wake();
  }

  /** The device is online again. */
  retryNow(): void {
    for (const upload of this.#uploads.values()) upload.retryNow();
    for (const wake of this.#wakes) wake();
  }

  /** Rejects when none of them runs anymore. */
  async #uploadTracks(signal: AbortSignal): Promise<void> {
    const all = new AbortController();
    const stop = () => all.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const uploads = this.#part.tracks.map((track) =>
      this.#uploadTrack(track, all.signal).catch((error: unknown) => {
        all.abort(error);
        throw error;
      }),
    );
    await Promise.allSettled(uploads);
    signal.removeEventListener("abort", stop);
    all.signal.throwIfAborted();
  }

  /** The recording is deleted: what is here goes too, once the vault has said so with its signature. */
  async #obeyDeletion(signal: AbortSignal): Promise<void> {
    const { verifyDeletion, onBadReceipt } = this.#hooks;
    if (verifyDeletion === null) return;
    const record = await this.#insist(signal, () => this.#vault.deletion(this.#ref, this.#part.capability));
    try {
      verifyDeletion(record, this.#part);
    } catch (error) {
      onBadReceipt(error);
      return;
    }
    // The withdrawal also ends the part; do not remove files under its last slices.
    while (!this.#part.tracks.every(({ spool }) => spool.isComplete)) {
      await this.#pause(STILL_RECORDED_MS, signal);
      signal.throwIfAborted();
    }
    this.#part.noteDeleted(record);
    await this.#part.letGo();
  }

  async #uploadTrack(track: SpooledTrack, signal: AbortSignal): Promise<void> {
    if (track.isUploaded) return;
    const id = track.about.track;
    const { envelope } = track;
    // A page that died before it had spooled the envelope had sealed nothing yet.
    if (envelope === null) return;
    const store = () => this.#vault.storeEnvelope(this.#ref, this.#part.capability, id, envelope);
    if (!track.isEnvelopeStored) {
      // A plain tus server has no place for it. A vault that was hidden for a while says so when the bytes come.
      const stored = await this.#insistUnlessAbsent(signal, store);
      if (stored !== ABSENT) this.#part.noteEnvelopeStored(id);
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
        onDeleted: () => {
          throw new RecordingDeleted();
        },
        onEnvelopeMissing: async () => {
          this.#part.noteEnvelopeMissing(id);
          await this.#insist(signal, store);
          this.#part.noteEnvelopeStored(id);
        },
        onWorks: (capability) => this.#works(capability),
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

  /** False: the vault misses bytes that it had acknowledged, and they are sent again. */
  async #finish(signal: AbortSignal): Promise<boolean> {
    const { tracks } = this.#part;
    const end = async () => {
      const { manifest, capability } = this.#part;
      try {
        if (manifest !== null) return await this.#vault.finish(this.#ref, capability, manifest);
        const lengths = Object.fromEntries(tracks.map(({ about, spool }) => [about.track, spool.size]));
        return await this.#vault.close(this.#ref, capability, lengths);
      } catch (error) {
        if (error instanceof VaultError && BYTES_MISSING.has(error.code)) return BYTES_ARE_MISSING;
        throw error;
      }
    };
    // A server that took an envelope is a vault, and a vault gives receipts, whatever a proxy says meanwhile.
    const isVault = tracks.some(({ isEnvelopeStored }) => isEnvelopeStored);
    const receipt = isVault ? await this.#insist(signal, end) : await this.#insistUnlessAbsent(signal, end);
    if (receipt === BYTES_ARE_MISSING) {
      for (const { about } of tracks) this.#part.noteBytesMissing(about.track);
      await this.#pause(this.#resendBackoff.nextMs(), signal);
      return false;
    }
    if (receipt === null || receipt === ABSENT) {
      this.#part.noteUnconfirmed();
      return true;
    }
    if (this.#hooks.verifyReceipt === null) return true;
    try {
      this.#hooks.verifyReceipt(receipt, this.#part);
    } catch (error) {
      this.#hooks.onBadReceipt(error);
      return true;
    }
    this.#part.noteReceipt(receipt);
    this.#hooks.onReceipt(receipt);
    await this.#part.letGo();
    return true;
  }

  /** Tries until it works or `signal` is aborted. */
  async #insist<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    return (await this.#attempts(signal, act, Number.POSITIVE_INFINITY)) as T;
  }

  /** A server without this route keeps answering 404 or 405: then nothing was done, and nobody may note that it was. */
  #insistUnlessAbsent<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T | typeof ABSENT> {
    return this.#attempts(signal, act, BELIEVED_ABSENT);
  }

  async #attempts<T>(signal: AbortSignal, act: () => Promise<T>, believedAbsent: number): Promise<T | typeof ABSENT> {
    const backoff = new Backoff({ firstMs: 500, capMs: FINISH_CAP_MS }, this.#platform.random);
    let absent = 0;
    for (;;) {
      signal.throwIfAborted();
      const { capability } = this.#part;
      try {
        const result = await act();
        this.#works(capability);
        this.#part.noteWait(null);
        return result;
      } catch (error) {
        if (!(error instanceof VaultError)) throw error;
        if (error.isDeleted) throw new RecordingDeleted();
        // Not the vault's own words. Once, it may come from something in between.
        const isAbsent =
          (error.code.startsWith("http_") && (error.status === 404 || error.status === 405)) ||
          error.code === METHOD_REFUSED;
        absent = isAbsent ? absent + 1 : 0;
        if (absent >= believedAbsent) return ABSENT;
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
    try {
      await this.#capabilityOtherThan(used, either.signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  /** Resolves at once when it was renewed meanwhile, else when it is, or `until` is aborted. */
  #capabilityOtherThan(used: string, until: AbortSignal): Promise<void> {
    if (this.#part.capability !== used || until.aborted) return Promise.resolve();
    this.#renewal ??= this.#renewCapability().finally(() => {
      this.#renewal = null;
    });
    return new Promise((resolve, reject) => {
      const wake = () => (this.#isDeleted ? reject(new RecordingDeleted()) : resolve());
      this.#capabilityWaiters.push(wake);
      const giveUp = () => {
        this.#capabilityWaiters = this.#capabilityWaiters.filter((waiter) => waiter !== wake);
        resolve();
      };
      until.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** The vault gives a new one to the device that made the part; a sign-in before it may want more. */
  async #renewCapability(): Promise<void> {
    const { prove } = this.#hooks;
    if (prove === null) {
      this.#hooks.onCapabilityNeeded();
      return;
    }
    // The one before was fresh too, and refused: it is not the capability.
    if (this.#untried !== null) {
      await this.#pause(this.#renewalBackoff.nextMs(), this.#signal ?? new AbortController().signal);
      if (this.#signal?.aborted) return;
    }
    try {
      const { capability } = await this.#vault.beginPart(this.#part.about.open, prove);
      this.#untried = capability;
      this.#take(capability);
    } catch (error) {
      if (error instanceof VaultError && error.isDeleted) {
        this.#isDeleted = true;
        this.#wakeWaiters();
        return;
      }
      const { status } = error instanceof VaultError ? error : { status: 400 };
      // No answer, or a vault in trouble: the upload tries the old capability again, then comes back here.
      if (status >= 400 && status < 500 && status !== 429) this.#hooks.onCapabilityNeeded();
    }
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        this.#wakes.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      this.#wakes.add(finish);
      signal.addEventListener("abort", finish, { once: true });
    });
  }

  get #ref(): { recording: string; part: number } {
    return { recording: this.#part.recording, part: this.#part.part };
  }
}

const ABSENT = Symbol("no such route");
const BYTES_ARE_MISSING = Symbol("the vault misses bytes");

/** The vault takes nothing more of this recording. */
class RecordingDeleted extends Error {
  override readonly name = "RecordingDeleted";
}

function waitFor(error: VaultError, retryInMs: number): UploadWait {
  const { status } = error;
  const facts = { http_status: status, retry_in_ms: Math.round(retryInMs) };
  if (error.code === REDIRECTED) return { why: "redirected", ...facts };
  // Only PUT is one that a firewall may not know.
  if (error.code === METHOD_REFUSED) return { why: "method_refused", method: "PUT", ...facts };
  if (status === 0) return { why: "offline", ...facts };
  if (status === 401 || status === 403) return { why: "capability", ...facts };
  if (status === 409 || status === 423) return { why: "locked", ...facts };
  return { why: status >= 500 || status === 429 ? "server_error" : "refused", ...facts };
}
