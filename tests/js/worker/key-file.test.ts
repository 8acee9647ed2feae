import assert from "node:assert/strict";
import { createCipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decryptKeyFile } from "../../../worker/open/key-file.js";
import { formsOf } from "../../../worker/open/passphrase.js";

interface PassphraseVectors {
  readonly forms: readonly { readonly typed: string; readonly forms: readonly string[] }[];
  readonly key_files: readonly {
    readonly made_with: string;
    readonly typed: readonly string[];
    readonly jwe: string;
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../../vectors/passphrases.json", import.meta.url), "utf8"),
) as PassphraseVectors;

const ALG = "PBES2-HS512+A256KW";

/** A JWE made with Node's OpenSSL, not with WebCrypto. */
function keyFile(passphrase: string, plaintext: string, header: object = {}): string {
  const salt = randomBytes(16);
  const claims = {
    alg: ALG,
    enc: "A256GCM",
    cty: "sealed-visit-key+json",
    p2s: salt.toString("base64url"),
    p2c: 1_000,
    ...header,
  };
  const protectedHeader = Buffer.from(JSON.stringify(claims)).toString("base64url");
  const wrapping = pbkdf2Sync(passphrase, Buffer.concat([Buffer.from(`${ALG}\0`), salt]), 1_000, 32, "sha512");
  const contentKey = randomBytes(32);
  const wrap = createCipheriv("id-aes256-wrap", wrapping, Buffer.alloc(8, 0xa6));
  const wrapped = Buffer.concat([wrap.update(contentKey), wrap.final()]);
  const iv = randomBytes(12);
  const seal = createCipheriv("aes-256-gcm", contentKey, iv).setAAD(Buffer.from(protectedHeader));
  const ciphertext = Buffer.concat([seal.update(plaintext), seal.final()]);
  return [
    protectedHeader,
    ...[wrapped, iv, ciphertext, seal.getAuthTag()].map((part) => part.toString("base64url")),
  ].join(".");
}

const codeOf = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

test("opens a key file with its passphrase", async () => {
  const file = keyFile("correct horse", '{"v":1}');
  assert.equal(new TextDecoder().decode(await decryptKeyFile(`${file}\n`, "correct horse")), '{"v":1}');
});

test("says that a passphrase is wrong", async () => {
  await assert.rejects(decryptKeyFile(keyFile("right", "{}"), "wrong"), codeOf("wrong-passphrase"));
});

test("refuses an altered file, part by part", async () => {
  const parts = keyFile("right", "{}").split(".");
  for (const index of [2, 3, 4]) {
    const bytes = Buffer.from(parts[index] ?? "", "base64url");
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    const altered = parts.with(index, bytes.toString("base64url")).join(".");
    await assert.rejects(decryptKeyFile(altered, "right"), codeOf("key-file-invalid"), `part ${index}`);
  }
});

test("refuses other algorithms, other files, and iteration counts that would hang the page", async () => {
  for (const file of [
    keyFile("right", "{}", { enc: "A128GCM" }),
    keyFile("right", "{}", { alg: "dir" }),
    keyFile("right", "{}", { cty: "sealed-visit-root+json" }),
    keyFile("right", "{}", { cty: undefined }),
    keyFile("right", "{}", { p2c: 2 ** 40 }),
    keyFile("right", "{}", { p2c: 1 }),
    "not a key file",
    "a.b.c.d.e",
  ]) {
    await assert.rejects(decryptKeyFile(file, "right"), codeOf("key-file-invalid"));
  }
});

test("tries every older form of a passphrase once, and the present one first", () => {
  for (const { typed, forms } of vectors.forms) assert.deepEqual(formsOf(typed), forms, JSON.stringify(typed));
});

test("a key made with an older form opens with what a person types today", async () => {
  for (const { made_with, typed, jwe } of vectors.key_files) {
    for (const passphrase of typed) {
      const opened = new TextDecoder().decode(await decryptKeyFile(jwe, passphrase, "test+json"));
      assert.equal(opened, '{"v":1}', `made with ${JSON.stringify(made_with)}, typed ${JSON.stringify(passphrase)}`);
    }
    await assert.rejects(decryptKeyFile(jwe, "another passphrase", "test+json"), codeOf("wrong-passphrase"));
  }
});
