/**
 * Keeps a participant's identity over a reload: signature seed, pass, name salt, in IndexedDB,
 * encrypted with AES-GCM under a WebCrypto key that cannot be extracted; and beside it, in the same
 * record, what the core must remember of the visit. So key and memory are lost together or not at
 * all: an old grant counts only for the key that signed it.
 *
 * What a stolen copy of the profile's files holds is therefore only as good as the browser's own
 * protection of that key. It is deleted at the end of the visit, and when its pass has expired. MLS
 * state and frame counters are never kept: a reload is a new leaf.
 */
import type { CompactJws, RecordingId, TrackId, VisitMemory } from "./core-types.js";

export interface Identity {
  /** 32 bytes. */
  readonly seed: Uint8Array<ArrayBuffer>;
  readonly pass: CompactJws | null;
  readonly name_salt: string;
  /** What the device's clock lacked when the pass was fresh (`clock-evidence.ts`). */
  readonly correction_ms: number;
  /** What each earlier run remembered, the latest last; opaque ids and signed statements, and no secret. */
  readonly memories: readonly VisitMemory[];
}

interface StoredIdentity {
  readonly key: CryptoKey;
  readonly iv: Uint8Array<ArrayBuffer>;
  readonly sealed: ArrayBuffer;
  readonly savedAtMs: number;
  /** By run: of two pages with one identity, neither overwrites what the other has to remember. */
  readonly memories?: Readonly<Record<string, VisitMemory>>;
}

const SEED_BYTES = 32;
const DATABASE = "sealed-visit";
const STORE = "identities";
/** An identity that nobody deleted, as after a crash, goes after so long. */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000;

export async function loadIdentity(storageKey: string): Promise<Identity | null> {
  const stored = await inStore<StoredIdentity | undefined>("readonly", (store) => store.get(storageKey));
  if (!stored) return null;
  if (Date.now() - stored.savedAtMs > FORGOTTEN_AFTER_MS) {
    await deleteIdentity(storageKey);
    return null;
  }
  const { key, iv, sealed, memories = {} } = stored;
  const additionalData = label(storageKey);
  const bytes = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, sealed));
  const seed = bytes.slice(0, SEED_BYTES);
  bytes.fill(0, 0, SEED_BYTES);
  const rest = JSON.parse(new TextDecoder().decode(bytes.subarray(SEED_BYTES))) as {
    pass: string | null;
    name_salt: string;
    correction_ms: number;
  };
  return { ...rest, seed, memories: Object.values(memories) };
}

/** Stores an identity with its pass; the memory stored with the same key stays. */
export async function saveIdentity(
  storageKey: string,
  identity: Identity,
  pass: CompactJws,
  correction_ms: number,
): Promise<void> {
  const { seed, name_salt } = identity;
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  // The seed stands before the text, not in it: a text cannot be wiped.
  const text = new TextEncoder().encode(JSON.stringify({ pass, name_salt, correction_ms }));
  const bytes = new Uint8Array(SEED_BYTES + text.length);
  bytes.set(seed);
  bytes.set(text, SEED_BYTES);
  const additionalData = label(storageKey);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, bytes);
  bytes.fill(0);
  const made: StoredIdentity = { key, iv, sealed, savedAtMs: Date.now() };
  const wasKept = identity.pass !== null;
  await changeRecord(storageKey, (stored) => (wasKept ? { ...made, memories: stored?.memories ?? {} } : made));
}

/**
 * Keeps what a run remembers, beside the key, and drops what it took over from earlier runs. Where the
 * key is gone nothing is kept.
 */
export async function saveMemory(
  storageKey: string,
  run: string,
  memory: VisitMemory,
  takenOver: readonly VisitMemory[],
): Promise<void> {
  const old = new Set(takenOver);
  await changeRecord(storageKey, (stored) => {
    if (!stored) return null;
    // A text that has changed since is of a page that is still open.
    const others = Object.entries(stored.memories ?? {}).filter(([of, text]) => of !== run && !old.has(text));
    return { ...stored, memories: { ...Object.fromEntries(others), [run]: memory } };
  });
}

/** The part that a recorder made last, by its consent round: a page that comes back goes on with the next. */
export interface LastPart {
  readonly round: string;
  readonly recording: RecordingId;
  readonly part: number;
  /** Each track's chain head, as far as it was known. */
  readonly heads: readonly (readonly [TrackId, string])[];
}

interface StoredLastPart {
  readonly last: LastPart;
  readonly savedAtMs: number;
}

/** Opaque ids and hashes: nothing of them needs to be kept secret. */
export async function saveLastPart(storageKey: string, last: LastPart): Promise<void> {
  const stored: StoredLastPart = { last, savedAtMs: Date.now() };
  await inStore("readwrite", (store) => store.put(stored, lastPartKey(storageKey)));
}

export async function loadLastPart(storageKey: string): Promise<LastPart | null> {
  const stored = await inStore<StoredLastPart | undefined>("readonly", (store) => store.get(lastPartKey(storageKey)));
  return stored && Date.now() - stored.savedAtMs <= FORGOTTEN_AFTER_MS ? stored.last : null;
}

function lastPartKey(storageKey: string): string {
  return `${storageKey}:last-part`;
}

export async function deleteIdentity(storageKey: string): Promise<void> {
  await inStore("readwrite", (store) => store.delete(lastPartKey(storageKey)));
  await inStore("readwrite", (store) => store.delete(storageKey));
}

/** Reads and writes in one transaction: no other page comes in between. Null: nothing is written. */
async function changeRecord(
  storageKey: string,
  change: (stored: StoredIdentity | undefined) => StoredIdentity | null,
): Promise<void> {
  const database = await openDatabase();
  try {
    const transaction = database.transaction(STORE, "readwrite", { durability: "strict" });
    const store = transaction.objectStore(STORE);
    const done = committed(transaction);
    const next = change(await resultOf<StoredIdentity | undefined>(store.get(storageKey)));
    if (next) store.put(next, storageKey);
    await done;
  } finally {
    database.close();
  }
}

function label(storageKey: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`sealed-visit identity v2\0${storageKey}`);
}

async function inStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  const database = await openDatabase();
  try {
    const transaction = database.transaction(STORE, mode);
    const result = await resultOf(act(transaction.objectStore(STORE)));
    if (mode === "readwrite") await committed(transaction);
    return result as T;
  } finally {
    database.close();
  }
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE));
  return resultOf(request);
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error ?? new Error("IndexedDB failed")));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener("complete", () => resolve());
    transaction.addEventListener("abort", () => reject(transaction.error ?? new Error("IndexedDB aborted")));
  });
}
