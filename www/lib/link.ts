/**
 * The link a person got: visit and secret stand in the fragment, which no server sees.
 *
 * Redeeming it leaves a credential in this browser, so that a reload is the same participant; the secret itself works once.
 * The address bar shows neither: this tab keeps the link for a reload. Both go when the person leaves or the visit is over.
 */
import { fragmentText, onNewFragment } from "./fragment.js";
import type { PassRequest } from "sealed-visit";
import { claimsOf, type Config, type VisitTemplate } from "./config.js";
import { type VisitLink as Link, visitLinkIn } from "./repair.js";

export type { VisitLink as Link } from "./repair.js";

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

/** The link of this tab, for a reload of the page that it was opened with. */
const STORED_LINK = "sealed-visit:link";
const CREDENTIALS = "sealed-visit:credential:";

/** The link that this page was opened with, before this load or an earlier one; `"damaged"` when it was beyond repair. */
export function linkFromLocation(): Link | "damaged" | null {
  sweepCredentials();
  onNewFragment((next) => {
    const link = visitLinkIn(next);
    if (link === null || link === "damaged") return;
    remember(link);
    location.reload();
  });
  const given = visitLinkIn(fragmentText);
  if (given !== null && given !== "damaged") remember(given);
  return given ?? remembered();
}

function remember({ visit, secret }: Link): void {
  try {
    sessionStorage.setItem(STORED_LINK, JSON.stringify({ page: location.pathname, visit, secret }));
  } catch {
    // Storage is refused: a reload needs the link again.
  }
}

function remembered(): Link | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORED_LINK) ?? "null") as (Link & { page: string }) | null;
    return kept?.page === location.pathname ? { visit: kept.visit, secret: kept.secret } : null;
  } catch {
    return null;
  }
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
      // A credential of a visit that is over is of no use anymore; the answer to the link says why.
      if (!(error instanceof AuthorityError) || error.status >= 500 || error.status === 429) throw error;
    }
  }
  const redeemed = await post<Redeemed>(config, link, "redeem", {
    secret: link.secret,
    jwk,
    name_commitment,
    ...(passcode !== "" && { passcode }),
  });
  const { exp } = claimsOf(redeemed.pass) as { exp: number };
  writeStored(key, { credential: redeemed.credential, until_ms: exp * 1_000 });
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

/** What the authority tells everyone about a visit. */
export interface VisitInfo {
  template?: string | null;
  /** When it is booked to end, and when it closes automatically, on the authority's clock (`now_ms`). */
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

/** While locked, the authority refuses unused links. Participants who were in the visit can come back. */
export async function lockLinks(config: Config, link: Link, locked: boolean): Promise<void> {
  await post(config, link, "lock", { credential: readStored(await storageKey(link)), locked });
}

/** After the visit link and credential have nothing left to open. */
export async function forget(link: Link): Promise<void> {
  const key = await storageKey(link);
  kept.delete(key);
  try {
    localStorage.removeItem(key);
    sessionStorage.removeItem(STORED_LINK);
  } catch {
    // Storage is refused: nothing was kept.
  }
}

/** A person who left can come back with what this returns, from the page that offers it and no other. */
export async function takeAway(link: Link): Promise<() => void> {
  const key = await storageKey(link);
  let stored = readEntry(key);
  await forget(link);
  let isHere = true;
  window.addEventListener("pagehide", () => {
    isHere = false;
    stored = null;
  });
  return () => {
    if (!isHere) return;
    if (stored) writeStored(key, stored);
    remember(link);
    location.reload();
  };
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
  return `${CREDENTIALS}${btoa(String.fromCharCode(...new Uint8Array(hash))).slice(0, 22)}`;
}

interface StoredCredential {
  credential: string;
  /** When passes for this visit expire. */
  until_ms: number;
}

/** In this page only, where the browser refuses storage. */
const kept = new Map<string, StoredCredential>();

function readStored(key: string): string | null {
  return readEntry(key)?.credential ?? null;
}

function readEntry(key: string): StoredCredential | null {
  try {
    return kept.get(key) ?? (JSON.parse(localStorage.getItem(key) ?? "null") as StoredCredential | null);
  } catch {
    return kept.get(key) ?? null;
  }
}

function writeStored(key: string, entry: StoredCredential): void {
  kept.set(key, entry);
  try {
    localStorage.setItem(key, JSON.stringify(entry));
  } catch {
    // Storage is refused: a reload needs a new link.
  }
}

/** Of visits whose page was closed, or died, without leaving. */
function sweepCredentials(): void {
  try {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(CREDENTIALS)) continue;
      const entry = readEntry(key);
      if (!entry || !(entry.until_ms > Date.now())) localStorage.removeItem(key);
    }
  } catch {
    // Storage is refused: nothing was kept.
  }
}
