/**
 * A recorder for tests of the vault's tus server, from the published formats alone (no code of ours): a clinic with its
 * keys, an open statement with every grant, track files of any size. To the vault a segment is any bytes.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
export const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const labelled = (label, ...parts) => sha256(Buffer.concat([Buffer.from(`${label}\0`), ...parts]));
const newId = () => base64url(randomBytes(16));

/** An Ed25519 key that signs compact JWS. */
class SigningKey {
  constructor(seed = randomBytes(32)) {
    this.seed = seed;
    const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
    this.key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    this.x = createPublicKey(this.key).export({ format: "jwk" }).x;
    this.jwk = { kty: "OKP", crv: "Ed25519", x: this.x };
    this.kid = base64url(sha256(`{"crv":"Ed25519","kty":"OKP","x":"${this.x}"}`));
  }

  jws(typ, claims) {
    const part = (value) => base64url(JSON.stringify(value));
    const signed = `${part({ alg: "EdDSA", typ, kid: this.kid })}.${part({ v: 1, ...claims })}`;
    return `${signed}.${base64url(sign(null, Buffer.from(signed), this.key))}`;
  }

  /** The claims of a JWS by this key; throws for any other. */
  claims(jws) {
    const [header, payload, signature] = jws.split(".");
    const good = verify(null, Buffer.from(`${header}.${payload}`), this.key, Buffer.from(signature, "base64url"));
    if (!good) throw new Error("the signature does not verify");
    return JSON.parse(Buffer.from(payload, "base64url").toString());
  }
}

/** A clinic whose vault can be started with the files in `directory`. */
export class Clinic {
  constructor(directory) {
    this.root = new SigningKey();
    this.authority = new SigningKey();
    this.vault = new SigningKey();
    const { x, d } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
    const publicKey = Buffer.from(x, "base64url");
    /** What a key file holds once its passphrase has opened it. */
    this.openingKey = Buffer.from(JSON.stringify({ v: 1, suite: "x25519", private_key: d }));
    const fingerprint = labelled("sealed-visit recipient v1", Buffer.from("x25519\0"), publicKey);
    this.recipient = { fingerprint: base64url(fingerprint), role: "archive" };
    const now = Date.now();
    const documentOf = (vault) => ({
      number: 1,
      not_before_ms: now - 3_600_000,
      not_after_ms: now + 10 * 365 * 86_400_000,
      name: "A clinic",
      contact: "records@clinic.example",
      authorities: [this.authority.jwk],
      vault: vault.jwk,
      recipients: [{ ...this.recipient, suite: "x25519", public_key: base64url(publicKey) }],
      retired: [],
    });
    this.document = this.root.jws("sv-clinic+jwt", documentOf(this.vault));
    /** As signed by this clinic, for a vault with another key. */
    this.documentOfAnotherVault = () => this.root.jws("sv-clinic+jwt", documentOf(new SigningKey()));
    const write = (name, text) => {
      writeFileSync(path.join(directory, name), text, { mode: 0o600 });
      return path.join(directory, name);
    };
    this.vaultArguments = [
      ...["--root-key", this.root.x, "--clinic-document", write("clinic.jws", this.document)],
      ...["--key", write("vault.key", base64url(this.vault.seed)), "--data", path.join(directory, "data")],
    ];
  }

  person(role, visit) {
    const key = new SigningKey();
    const now = Math.floor(Date.now() / 1000);
    const pass = this.authority.jws("sv-pass+jwt", {
      visit,
      sub: newId(),
      role,
      cnf: { jwk: key.jwk },
      name: base64url(randomBytes(32)),
      iat: now,
      exp: now + 3600,
    });
    return { key, pass, id: JSON.parse(Buffer.from(pass.split(".")[1], "base64url").toString()).sub };
  }
}

/** What a clinician and a patient have granted to a recorder: it may open parts. */
export class Consent {
  constructor(clinic) {
    const visit = newId();
    const [host, patient, recorder] = ["clinician", "patient", "recorder"].map((role) => clinic.person(role, visit));
    const at = Date.now();
    const group_id = base64url(randomBytes(16));
    const texts = ["information", "recording"].map((layer) => ({
      layer,
      language: "en",
      version: "1",
      hash: base64url(sha256(layer)),
    }));
    const round = newId();
    const request = host.key.jws("sv-request+jwt", {
      round,
      visit,
      group_id,
      recorder: recorder.id,
      purpose: "medical_record",
      recipients: [clinic.recipient],
      texts,
      terms: { retention_days: 30, on_withdrawal: "keep" },
      checklist: [],
      at_ms: at,
      pass: host.pass,
    });
    const grant = (person) =>
      person.key.jws("sv-statement+jwt", {
        visit,
        group_id,
        round,
        request: base64url(sha256(request)),
        seq: 1,
        kind: "grant",
        answers: [{ person: "self", on_behalf_of: { kind: "myself" }, information: true, recording: true }],
        texts: texts.map(({ hash }) => hash),
        language: "en",
        place: "US-CA",
        at_ms: at,
        pass: person.pass,
      });
    this.visit = visit;
    this.round = round;
    this.recipients = [clinic.recipient];
    this.claims = {
      visit,
      group_id,
      epoch: 3,
      recipients: [clinic.recipient],
      request,
      grants: [grant(host), grant(patient)],
      roster: [host.pass, patient.pass, recorder.pass],
      clinic: base64url(sha256(clinic.document)),
      at_ms: at,
      pass: recorder.pass,
    };
    this.recorder = recorder;
  }

  /** The open statement of a part; `open` is `{recording, part, recording_key, tracks, previous?}`. */
  sign(open) {
    return this.recorder.key.jws("sv-open+jwt", { ...this.claims, ...open });
  }
}

/** One recorder run with one track, granted by a clinician and a patient. */
export class RecorderRun {
  constructor(clinic) {
    this.clinic = clinic;
    this.recording = newId();
    this.track = newId();
    this.recordingKey = new SigningKey();
    const consent = new Consent(clinic);
    const { visit } = consent;
    this.header = Buffer.from(
      JSON.stringify({
        v: 1,
        visit,
        recording: this.recording,
        part: 0,
        track: this.track,
        content: { kind: "mixed" },
        media_type: 'video/webm;codecs="vp8,opus"',
        suite: "cobblestone-256",
        recipients: [clinic.recipient.fingerprint],
        share_required: true,
        recording_key: this.recordingKey.jwk,
      }),
    );
    this.open = consent.sign({
      recording: this.recording,
      part: 0,
      recording_key: this.recordingKey.jwk,
      tracks: [{ track: this.track, header: base64url(this.header) }],
    });
  }

  /** Opens the part at the vault and stores the envelope; then tus may begin. */
  async begin(vaultUrl) {
    this.vaultUrl = vaultUrl.endsWith("/") ? vaultUrl : `${vaultUrl}/`;
    const proof = this.recordingKey.jws("sv-vault-proof+jwt", {
      aud: this.clinic.vault.kid,
      open: base64url(sha256(this.open)),
      id: newId(),
      at_ms: Date.now(),
    });
    this.headers = { "Vault-Proof": proof };
    const answer = await this.send("POST", "v1/recordings", this.open);
    this.answer = answer;
    this.headers = { Authorization: `Bearer ${answer.capability}` };
    const [{ share, create_url }] = answer.tracks;
    this.endpoint = new URL(create_url, this.vaultUrl).href;
    const envelope = this.recordingKey.jws("sv-envelope+jwt", {
      recording: this.recording,
      part: 0,
      track: this.track,
      header_hash: base64url(sha256(this.header)),
      share_hash: base64url(sha256(Buffer.from(share, "base64url"))),
      keys: [
        {
          recipient: this.clinic.recipient.fingerprint,
          suite: "x25519",
          enc: base64url(randomBytes(32)),
          ciphertext: base64url(randomBytes(48)),
        },
      ],
    });
    await this.send("PUT", `${this.partPath}/envelopes/${this.track}`, envelope);
  }

  /** A track file with segments of these sizes, and what a manifest says about it. */
  trackFile(sizes) {
    const record = (type, body) => {
      const prefix = Buffer.alloc(5);
      prefix.write(type, "latin1");
      prefix.writeUInt32BE(body.length, 1);
      return Buffer.concat([prefix, body]);
    };
    const pieces = [Buffer.from("SVTRACK\x01", "latin1"), record("H", this.header)];
    let length = pieces[0].length + pieces[1].length;
    let head = labelled("sealed-visit chain v1", sha256(this.header));
    const index = createHash("sha256");
    for (const [number, size] of sizes.entries()) {
      const segment = randomBytes(size);
      const hash = sha256(segment);
      const sealed = record("S", segment);
      length += sealed.length;
      head = labelled("sealed-visit chain v1", head, hash);
      const end = Buffer.alloc(8);
      end.writeBigUInt64BE(BigInt(length));
      index.update(end).update(hash);
      const checkpoint = this.recordingKey.jws("sv-checkpoint+jwt", {
        track: this.track,
        index: number,
        end: length,
        head: base64url(head),
        media_end_us: (number + 1) * 250_000,
        at_ms: Date.now(),
      });
      const signed = record("C", Buffer.from(checkpoint));
      length += signed.length;
      pieces.push(sealed, signed);
    }
    const summary = {
      track: this.track,
      header_hash: base64url(sha256(this.header)),
      segments: sizes.length,
      length_bytes: length,
      head: base64url(head),
      index_hash: base64url(index.digest()),
      media_end_us: sizes.length * 250_000,
      gaps: [],
    };
    return { bytes: Buffer.concat(pieces), summary };
  }

  /** Finishes the part; the claims of the vault's receipt. */
  async finish({ summary }) {
    const manifest = this.recordingKey.jws("sv-manifest+jwt", {
      recording: this.recording,
      part: 0,
      open: base64url(sha256(this.open)),
      tracks: [summary],
      started_ms: Date.now(),
      ended_ms: Date.now(),
      reason: "stopped",
      marks: 0,
    });
    const { receipt } = await this.send("POST", `${this.partPath}/finish`, manifest);
    return this.clinic.vault.claims(receipt);
  }

  get partPath() {
    return `v1/recordings/${this.recording}/parts/0`;
  }

  async send(method, where, body) {
    const response = await fetch(new URL(where, this.vaultUrl), { method, body, headers: this.headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${where}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  }
}
