/**
 * Opens a clinic key file: a compact JWE (RFC 7516) with PBES2-HS512+A256KW (RFC 7518, section 4.8)
 * and A256GCM, by WebCrypto. The plaintext goes straight into the core, and is wiped by the caller.
 */
import { fromBase64url } from "../base64url.js";
import { WorkerError } from "../failure.js";
import { formsOf } from "./passphrase.js";

const ALG = "PBES2-HS512+A256KW";
/** A clinic's root key file is protected in the same way, and is not for a browser. */
const CONTENT_TYPE = "sealed-visit-key+json";
/** A file that asks for more is meant to keep the browser busy, not to keep a key safe. */
const MAX_ITERATIONS = 10_000_000;
const MIN_ITERATIONS = 1_000;

interface JweHeader {
  readonly alg?: unknown;
  readonly enc?: unknown;
  readonly cty?: unknown;
  readonly p2s?: unknown;
  readonly p2c?: unknown;
}

export async function decryptKeyFile(
  keyFile: string,
  passphrase: string,
  contentType = CONTENT_TYPE,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts = keyFile.trim().split(".");
  const [protectedHeader, wrappedKey, iv, ciphertext, tag] = parts;
  if (parts.length !== 5 || !protectedHeader || !wrappedKey || !iv || ciphertext === undefined || !tag) {
    throw new WorkerError("key-file-invalid", "this is not a key file: expected a compact JWE of five parts");
  }
  const { salt, iterations } = parametersOf(protectedHeader, contentType);
  const wrapped = decoded(wrappedKey, "encrypted key");
  const contentKey = await unwrapContentKey(wrapped, formsOf(passphrase), salt, iterations);
  try {
    const sealed = concat(fromBase64url(ciphertext), fromBase64url(tag));
    const additionalData = new TextEncoder().encode(protectedHeader);
    const algorithm = { name: "AES-GCM", iv: fromBase64url(iv), additionalData, tagLength: 128 };
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, contentKey, sealed));
  } catch (cause) {
    throw new WorkerError("key-file-invalid", "the key file was altered", { cause });
  }
}

/** With the first form of the passphrase that fits. */
async function unwrapContentKey(
  wrapped: Uint8Array<ArrayBuffer>,
  forms: readonly string[],
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<CryptoKey> {
  let cause: unknown;
  for (const form of forms) {
    const wrapping = await wrappingKey(form, salt, iterations);
    try {
      return await crypto.subtle.unwrapKey("raw", wrapped, wrapping, "AES-KW", "AES-GCM", false, ["decrypt"]);
    } catch (error) {
      cause ??= error;
    }
  }
  throw new WorkerError("wrong-passphrase", "the passphrase does not open this key file", { cause });
}

function decoded(text: string, what: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64url(text);
  } catch (cause) {
    throw new WorkerError("key-file-invalid", `the key file's ${what} cannot be read`, { cause });
  }
}

function parametersOf(
  protectedHeader: string,
  contentType: string,
): { salt: Uint8Array<ArrayBuffer>; iterations: number } {
  let header: JweHeader;
  let p2s: Uint8Array<ArrayBuffer>;
  try {
    header = JSON.parse(new TextDecoder().decode(fromBase64url(protectedHeader))) as JweHeader;
    p2s = fromBase64url(String(header.p2s ?? ""));
  } catch (cause) {
    throw new WorkerError("key-file-invalid", "the key file's header cannot be read", { cause });
  }
  if (header.alg !== ALG || header.enc !== "A256GCM") {
    throw new WorkerError("key-file-invalid", `expected ${ALG} and A256GCM, got ${String(header.alg)}`);
  }
  if (header.cty !== contentType) {
    throw new WorkerError("key-file-invalid", "this file does not hold a recipient's key");
  }
  const { p2c } = header;
  const isCount = typeof p2c === "number" && Number.isInteger(p2c);
  if (!isCount || p2c < MIN_ITERATIONS || p2c > MAX_ITERATIONS || p2s.byteLength < 8) {
    throw new WorkerError("key-file-invalid", "the key file's passphrase parameters are out of range");
  }
  // RFC 7518, section 4.8.1.1: UTF8(alg) || 0x00 || salt input.
  return { salt: concat(new TextEncoder().encode(`${ALG}\0`), p2s), iterations: p2c };
}

async function wrappingKey(passphrase: string, salt: Uint8Array<ArrayBuffer>, iterations: number): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(passphrase);
  const material = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveKey"]);
  bytes.fill(0);
  return await crypto.subtle.deriveKey(
    { name: "PBKDF2", hash: "SHA-512", salt, iterations },
    material,
    { name: "AES-KW", length: 256 },
    false,
    ["unwrapKey"],
  );
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.byteLength + b.byteLength);
  joined.set(a);
  joined.set(b, a.byteLength);
  return joined;
}
