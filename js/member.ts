/**
 * A member of a visit: a worker of its own, prepared, with a pass, connected. What is the same for
 * a person and for the declared recorder.
 */
import type { CompactJws, PublicJwk, VisitState, WorkerRole } from "../worker/protocol.js";
import { type AssetOptions, newVisitWorker, wasmUrlOf } from "./assets.js";
import { SealedVisitError, throwIfAborted } from "./errors.js";
import { WorkerClient } from "./worker-client.js";

/** What the issuer must put into a pass. */
export interface PassRequest {
  /** Goes into the pass as `cnf.jwk` (RFC 7800). */
  readonly jwk: PublicJwk;
  /** Goes into the pass as `name`: a salted hash of the display name. */
  readonly nameCommitment: string;
}

/** Gets a pass (a compact JWS) from the visit authority. Called once, and not after a reload while the pass is good. */
export type GetPass = (request: PassRequest, options: { signal?: AbortSignal }) => Promise<CompactJws>;

/** What every member needs, person or recorder. */
export interface MemberOptions extends AssetOptions {
  /** `wss://...` of the relay. */
  readonly relayUrl: string | URL;
  /** The clinic's root key: the `x` of its JWK. Pin it in your page; never fetch it from a server of the visit. */
  readonly rootKey: string;
  /** The clinic document (JWS). It may come from anywhere: the root key decides. */
  readonly clinicDocument: CompactJws;
  /** Shown to the other members. Travels inside the encryption only. */
  readonly displayName: string;
  /** 16 random bytes in base64url, when the name commitment was made elsewhere. */
  readonly nameSalt?: string;
  readonly getPass: GetPass;
  /**
   * Names this visit in this tab, e.g. the visit's id: a reload is then the same participant. The
   * signature key is kept in IndexedDB, wrapped by a key that cannot be extracted, until the visit
   * ends. Without it a reload is a new participant.
   */
  readonly storageKey?: string;
  readonly signal?: AbortSignal;
}

/**
 * How long the relay may take to accept a member that has its pass, every attempt to connect included. Whoever was accepted
 * once is connected again without end.
 */
const CONNECT_LIMIT_MS = 20_000;

/** Workers that {@link preload} started and that nobody has taken yet, by what they were loaded from. */
const preloaded = new Map<string, WorkerClient>();

/**
 * Starts a worker and has it load WebAssembly, for the next `joinVisit` of this page with the same asset
 * URLs: call it where someone is about to join, who then need not wait for it. It contacts nobody but
 * the page's own origin. That it failed shows when joining, which tries again.
 */
export function preload(options: AssetOptions = {}): void {
  const key = assetKey(options);
  if (preloaded.has(key)) return;
  const client = new WorkerClient(newVisitWorker(options));
  preloaded.set(key, client);
  client.request<"load">({ r: "load", wasm_url: wasmUrlOf(options) }).catch(() => {
    // A member that has taken it meets the same failure, and ends it.
    if (preloaded.get(key) !== client) return;
    preloaded.delete(key);
    client.terminate();
  });
}

function takeWorker(options: AssetOptions): WorkerClient {
  const key = assetKey(options);
  const client = preloaded.get(key);
  preloaded.delete(key);
  return client ?? new WorkerClient(newVisitWorker(options));
}

function assetKey(options: AssetOptions): string {
  return JSON.stringify([options.workerUrl?.toString() ?? null, wasmUrlOf(options)]);
}

/** @internal A connected member. */
export interface Member {
  readonly client: WorkerClient;
  readonly state: VisitState;
}

/** @internal Resolves when the relay has accepted the member: it waits to be let in, or is in. */
export async function connectMember(role: WorkerRole, options: MemberOptions): Promise<Member> {
  const { signal } = options;
  throwIfAborted(signal);
  const client = takeWorker(options);
  const request = signal ? { signal } : {};
  try {
    const prepared = await client.request<"prepare">(
      {
        r: "prepare",
        role,
        wasm_url: wasmUrlOf(options),
        relay_url: websocketUrl(options.relayUrl),
        root_key: options.rootKey,
        clinic_document: options.clinicDocument,
        display_name: options.displayName,
        name_salt: options.nameSalt ?? null,
        storage_key: options.storageKey === undefined ? null : tabKey(`${role}:${options.storageKey}`),
      },
      request,
    );
    const pass =
      prepared.pass ??
      (await options.getPass({ jwk: prepared.jwk, nameCommitment: prepared.name_commitment }, request));
    throwIfAborted(signal);
    const accepted = firstAcceptedState(client, signal);
    // Whichever fails first is thrown; the other must not become an unhandled rejection.
    accepted.catch(() => undefined);
    await client.request<"join">({ r: "join", pass }, request);
    return { client, state: await accepted };
  } catch (error) {
    client.terminate();
    throw error;
  }
}

function firstAcceptedState(client: WorkerClient, signal: AbortSignal | undefined): Promise<VisitState> {
  return new Promise((resolve, reject) => {
    const stop: (() => void)[] = [];
    const finish = (act: () => void) => {
      for (const end of stop) end();
      act();
    };
    stop.push(
      client.on("state", ({ state }) => {
        if (state.phase !== "connecting" && state.phase !== "ended") finish(() => resolve(state));
      }),
      client.on("relay_refused", ({ error }) => finish(() => reject(SealedVisitError.fromFailure(error)))),
      client.on("fatal", ({ error }) => finish(() => reject(SealedVisitError.fromFailure(error)))),
    );
    const timer = setTimeout(() => {
      const message = `the relay did not accept this member within ${CONNECT_LIMIT_MS} ms`;
      finish(() => reject(new SealedVisitError("relay-unreachable", message)));
    }, CONNECT_LIMIT_MS);
    stop.push(() => clearTimeout(timer));
    const onAbort = () => finish(() => reject(new SealedVisitError("aborted", "joining was aborted")));
    signal?.addEventListener("abort", onAbort, { once: true });
    stop.push(() => signal?.removeEventListener("abort", onAbort));
  });
}

function websocketUrl(url: string | URL): string {
  const parsed = new URL(url, document.baseURI);
  if (parsed.protocol === "https:") parsed.protocol = "wss:";
  if (parsed.protocol === "http:") parsed.protocol = "ws:";
  if (parsed.protocol !== "wss:" && parsed.protocol !== "ws:") {
    throw new SealedVisitError("bad-argument", `relayUrl must be a WebSocket URL, got ${parsed.protocol}`);
  }
  return parsed.href;
}

/** Each tab has its own identity: a mark in sessionStorage distinguishes two tabs of one visit. */
function tabKey(name: string): string | null {
  try {
    const item = `sealed-visit:${name}`;
    const kept = sessionStorage.getItem(item);
    if (kept !== null) return kept;
    const made = `${name}:${crypto.randomUUID()}`;
    sessionStorage.setItem(item, made);
    return made;
  } catch {
    // Storage is refused (private windows, embedded frames): the identity lives as long as the page.
    return null;
  }
}
