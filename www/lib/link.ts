/**
 * The link a person got: visit and secret stand in the fragment, which no server sees.
 *
 * Redeeming it leaves a credential in this browser, so that a reload is the same participant; the
 * secret itself works once.
 */
import type { PassRequest } from "sealed-visit";
import type { Config, VisitTemplate } from "./config.js";

export interface Link {
  visit: string;
  secret: string;
}

export interface Redeemed {
  pass: string;
  credential: string;
  participant: string;
  role: string;
}

/** An answer of the authority other than success; `code` is the authority's. */
export class AuthorityError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function linkFromLocation(): Link | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [visit, secret] = [fragment.get("visit"), fragment.get("secret")];
  return visit && secret ? { visit, secret } : null;
}

export function linkFor(page: string, { visit, secret }: Link): string {
  const url = new URL(`${page}.html`, document.baseURI);
  url.hash = new URLSearchParams({ visit, secret }).toString();
  return url.href;
}

/** A pass for this participant: by the credential of an earlier load, or by redeeming the link. */
export async function passFor(config: Config, link: Link, request: PassRequest, passcode = ""): Promise<string> {
  const { jwk, nameCommitment: name_commitment } = request;
  const key = await storageKey(link);
  const credential = readStored(key);
  if (credential !== null) {
    try {
      const { pass } = await post<{ pass: string }>(config, link, "pass", { credential, jwk, name_commitment });
      return pass;
    } catch (error) {
      // A credential of a visit that is over is of no use any more; the answer to the link says why.
      if (!(error instanceof AuthorityError) || error.status >= 500) throw error;
    }
  }
  const redeemed = await post<Redeemed>(config, link, "redeem", {
    secret: link.secret,
    jwk,
    name_commitment,
    ...(passcode !== "" && { passcode }),
  });
  writeStored(key, redeemed.credential);
  return redeemed.pass;
}

/** A pass for the recorder in this page, in the host's name. */
export async function recorderPassFor(
  config: Config,
  link: Link,
  request: PassRequest,
  participant?: string,
): Promise<string> {
  const credential = readStored(await storageKey(link));
  const { pass } = await post<{ pass: string }>(config, link, "recorder-pass", {
    credential,
    jwk: request.jwk,
    name_commitment: request.nameCommitment,
    ...(participant !== undefined && { participant }),
  });
  return pass;
}

/** Host: the address at which the visit's recorder is opened in another browser. It works once; earlier ones are void. */
export async function recorderLinkFor(config: Config, link: Link): Promise<string> {
  const credential = readStored(await storageKey(link));
  const { secret } = await post<{ secret: string }>(config, link, "recorder-link", { credential });
  return linkFor("recorder", { visit: link.visit, secret });
}

/** What the authority tells everybody about a visit. */
export interface VisitInfo {
  template?: string | null;
  /** When it is booked to end, and when it closes by itself; on the authority's clock, which says `now_ms`. */
  ends_ms: number;
  closes_ms: number;
  now_ms: number;
  /** Nobody else can join. */
  locked: boolean;
}

/** Null when the authority is away. */
export async function infoFor(config: Config, link: Link): Promise<VisitInfo | null> {
  try {
    const url = new URL(`v1/visits/${encodeURIComponent(link.visit)}`, base(config));
    return await answerOf<VisitInfo>(await fetch(url, { cache: "no-store" }));
  } catch {
    return null;
  }
}

/** What the visit's template means for these pages; nothing, when it has none or the authority is away. */
export function templateOf({ templates }: Pick<Config, "templates">, info: VisitInfo | null): VisitTemplate {
  return (info?.template && templates?.[info.template]) || {};
}

/** What the host may know of the invitations. */
export interface Overview {
  ends_ms: number;
  /** Whether the authority refuses links that were not used yet. */
  locked: boolean;
  participants: {
    participant: string;
    role: string;
    redeemed: boolean;
    /** How often another browser tried a link that was used already. */
    second_browser: number;
    locked: boolean;
    /** Came while the visit was locked. */
    turned_away: boolean;
  }[];
}

export async function overviewFor(config: Config, link: Link): Promise<Overview> {
  return post<Overview>(config, link, "overview", { credential: readStored(await storageKey(link)) });
}

/** While locked, the authority refuses links that were not used yet. Whoever was in may come back. */
export async function lockLinks(config: Config, link: Link, locked: boolean): Promise<void> {
  await post(config, link, "lock", { credential: readStored(await storageKey(link)), locked });
}

/** After the visit the credential has nothing left to open. */
export async function forget(link: Link): Promise<void> {
  try {
    localStorage.removeItem(await storageKey(link));
  } catch {
    // Storage is refused: nothing was kept.
  }
}

/** How long the authority takes to answer at all. */
export async function pingAuthority(config: Config, link: Link, signal: AbortSignal): Promise<void> {
  await fetch(new URL(`v1/visits/${encodeURIComponent(link.visit)}`, base(config)), { signal, cache: "no-store" });
}

async function post<T>(config: Config, { visit }: Link, action: string, body: unknown): Promise<T> {
  return answerOf<T>(
    await fetch(new URL(`v1/visits/${encodeURIComponent(visit)}/${action}`, base(config)), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

export async function answerOf<T>(response: Response): Promise<T> {
  const body: unknown = await response.json().catch(() => ({}));
  if (response.ok) return body as T;
  const { code = `http-${response.status}`, message = response.statusText } = body as {
    code?: string;
    message?: string;
  };
  throw new AuthorityError(response.status, code, message);
}

function base({ authority_url }: Config): URL {
  return new URL(authority_url.endsWith("/") ? authority_url : `${authority_url}/`, document.baseURI);
}

/** Neither the visit's id nor the secret stands in storage: their hash does. */
async function storageKey({ visit, secret }: Link): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${visit} ${secret}`));
  return `sealed-visit:credential:${btoa(String.fromCharCode(...new Uint8Array(hash))).slice(0, 22)}`;
}

/** In this page only, where the browser refuses storage. */
const kept = new Map<string, string>();

function readStored(key: string): string | null {
  try {
    return kept.get(key) ?? localStorage.getItem(key);
  } catch {
    return kept.get(key) ?? null;
  }
}

function writeStored(key: string, value: string): void {
  kept.set(key, value);
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is refused: a reload needs a new link.
  }
}
