/**
 * A clinic, its authority and passes, made up for tests of the relay alone: no authority server needed.
 *
 *     const clinic = new TestClinic(directory);       // writes directory/clinic.jws
 *     clinic.rootKey; clinic.documentFile;
 *     const visit = randomId();
 *     clinic.pass({ visit, role: "patient" });        // { pass, jwk, kid, visit, participant }
 *     clinic.pass({ visit, role, holder: publicJwk, nameCommitment });   // for who has a key already
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";

export const randomId = () => randomBytes(16).toString("base64url");

export class TestClinic {
  constructor(directory) {
    const [root, authority, vault] = [newKey(), newKey(), newKey()];
    this.authority = authority;
    this.rootKey = root.jwk.x;
    this.documentFile = path.join(directory, "clinic.jws");
    const nowMs = Date.now();
    const claims = {
      v: 1,
      number: 1,
      not_before_ms: nowMs - 60_000,
      not_after_ms: nowMs + 86_400_000,
      name: "Test clinic",
      contact: "test@clinic.example",
      authorities: [authority.publicJwk],
      vault: vault.publicJwk,
      recipients: [],
      retired: [],
    };
    writeFileSync(this.documentFile, jws(root, "sv-clinic+jwt", claims));
  }

  /**
   * @param {object} wanted
   * @param {string} wanted.visit
   * @param {string} wanted.role
   * @param {string} [wanted.participant]
   * @param {number} [wanted.expiresInS]
   * @param {object} [wanted.holder]
   * @param {string} [wanted.nameCommitment]
   */
  pass({ visit, role, participant = randomId(), expiresInS = 7200, holder: given, nameCommitment }) {
    const holder = given ? { publicJwk: given } : newKey();
    const nowS = Math.floor(Date.now() / 1000);
    const claims = {
      v: 1,
      visit,
      sub: participant,
      role,
      cnf: { jwk: holder.publicJwk },
      name: nameCommitment ?? randomBytes(32).toString("base64url"),
      iat: nowS,
      exp: nowS + expiresInS,
    };
    const pass = jws(this.authority, "sv-pass+jwt", claims);
    return { pass, jwk: holder.jwk, kid: holder.kid, visit, participant };
  }
}

function newKey() {
  const { privateKey } = generateKeyPairSync("ed25519");
  const jwk = privateKey.export({ format: "jwk" });
  const publicJwk = { kty: jwk.kty, crv: jwk.crv, x: jwk.x };
  // RFC 7638: members in lexicographic order.
  const canonical = `{"crv":"Ed25519","kty":"OKP","x":"${jwk.x}"}`;
  const kid = createHash("sha256").update(canonical).digest("base64url");
  return { privateKey, jwk, publicJwk, kid };
}

function jws(key, typ, claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "EdDSA", typ, kid: key.kid })}.${part(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key.privateKey).toString("base64url")}`;
}
