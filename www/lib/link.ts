/**
 * The link a person got: visit and secret stand in the fragment, which no server sees.
 *
 * This browser makes a credential for it and keeps it before it redeems the link, which is its own from then on: an answer
 * that got lost, a request that was sent twice and a reload all get the same participant. The address bar shows neither:
 * this tab keeps the link for a reload. Both go when the person leaves or the visit is over.
 */
import { fragmentText, onNewFragment } from "./fragment.js";
import type { PassRequest } from "sealed-visit";
import { claimsOf, type Config, type VisitTemplate } from "./config.js";
import { type VisitLink as Link, visitLinkIn } from "./repair.js";

export type { VisitLink as Link } from "./repair.js";

/** An answer of the authority other than success; `code` is the authority's. */
export class AuthorityError extends Error {
  readonly code: string;
  readonly status: number;
  /** With `link_used`: the code by which the clinic can let this browser in. */
  readonly browser: string | undefined;

  constructor(status: number, code: string, message: string, browser?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.browser = browser;
  }
}

/** The link of this tab, for a reload of the page that it was opened with. */
const STORED_LINK = "sealed-visit:link";
const CREDENTIALS = "sealed-visit:credential:";
/** A credential whose link was never redeemed, as far as this browser knows, is kept for so long. */
const UNREDEEMED_MS = 48 * 3_600_000;

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

/** A pass for this participant. The same browser gets one again and again. */
export async function passFor(config: Config, link: Link, request: PassRequest, passcode = ""): Promise<string> {
  const { jwk, nameCommitment: name_commitment } = request;
  const key = await storageKey(link);
  const credential = readStored(key) ?? makeCredential(key);
  const { secret } = link;
  const asked = { secret, credential, jwk, name_commitment, ...(passcode !== "" && { passcode }) };
  const pass = await passIn(() => post(config, link, "redeem", asked));
  const { iat, exp } = claimsOf(pass) as { iat: number; exp: number };
  writeStored(key, { credential, until_ms: Date.now() + (exp - iat) * 1_000 });
  return pass;
}

const TRIES = 3;
const TRY_AGAIN_MS = 1_000;

/** The answer's pass. Asking again does no harm, where the answer got lost or lost its end. */
async function passIn(ask: () => Promise<{ pass?: unknown }>): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      const { pass } = await ask();
      if (typeof pass === "string" && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(pass)) return pass;
      throw new AuthorityError(502, "bad_answer", "the answer holds no pass");
    } catch (error) {
      if (tries === TRIES || (error instanceof AuthorityError && error.status < 500)) throw error;
      await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
    }
  }
}

/** Before the link is redeemed: an answer that gets lost must not take it along. Of two tabs, both take one. */
function makeCredential(key: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const credential = btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace("=", "");
  writeStored(key, { credential, until_ms: Date.now() + UNREDEEMED_MS });
  return credential;
}

/** A pass for the recorder in this page, in the host's name. */
export async function recorderPassFor(
  config: Config,
  link: Link,
  request: PassRequest,
  participant?: string,
): Promise<string> {
  const credential = readStored(await storageKey(link));
  const asked = { credential, jwk: request.jwk, name_commitment: request.nameCommitment };
  return passIn(() =>
    post(config, link, "recorder-pass", { ...asked, ...(participant !== undefined && { participant }) }),
  );
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
  /** From when on its links work, and when it is booked; on the authority's clock, which says `now_ms`. */
  opens_ms: number;
  starts_ms: number;
  ends_ms: number;
  /** When it closes by itself. */
  closes_ms: number;
  now_ms: number;
  /** Nobody else can join. */
  locked: boolean;
  ended: boolean;
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
  participants: Invited[];
}

export interface Invited {
  participant: string;
  role: string;
  redeemed: boolean;
  /** How many other browsers tried a link that was used already. */
  second_browser: number;
  /** Those that can be let in. */
  browsers: { code: string; at_ms: number; approved: boolean }[];
  locked: boolean;
  /** Came while the visit was locked. */
  turned_away: boolean;
  /** What the clinic did for this person. */
  help: { what: "new_link" | "approved" | "passcode_unlocked"; by: "host" | "scheduler"; at_ms: number }[];
}

export async function overviewFor(config: Config, link: Link): Promise<Overview> {
  return post<Overview>(config, link, "overview", { credential: readStored(await storageKey(link)) });
}

/** Host: what is done for somebody who is locked out. */
export interface LinkHelp {
  look(): Promise<Overview>;
  /** The address of the new link. */
  newLink(invited: Invited): Promise<string>;
  approve(participant: string, browser: string): Promise<void>;
  unlockPasscode(participant: string): Promise<void>;
}

export function helpFor(config: Config, link: Link): LinkHelp {
  const ask = async <T>(call: string, more: object) =>
    post<T>(config, link, call, { credential: readStored(await storageKey(link)), ...more });
  return {
    look: () => overviewFor(config, link),
    newLink: async ({ participant, role }) => {
      const { secret } = await ask<{ secret: string }>("link", { participant });
      const page = role === "patient" || role === "clinician" ? role : "guest";
      return linkFor(page, { visit: link.visit, secret });
    },
    approve: (participant, browser) => ask("approve", { participant, browser }),
    unlockPasscode: (participant) => ask("unlock-passcode", { participant }),
  };
}

/** While locked, the authority refuses links that were not used yet. Whoever was in may come back. */
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
  const { ok, status } = response;
  const body = (await response.json().catch(() => null)) as {
    code?: string;
    message?: string;
    browser?: string;
  } | null;
  // What was cut off on its way is no answer.
  if (ok && (body !== null || status === 204)) return body as T;
  const { code, message = response.statusText, browser } = body ?? {};
  throw new AuthorityError(ok ? 502 : status, code ?? (ok ? "bad_answer" : `http-${status}`), message, browser);
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
