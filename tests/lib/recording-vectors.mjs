/**
 * The test vectors of tests/vectors/recording/: a base recording and edits make each vector's recording, as its README.md says.
 */
import { createCipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { inRoot } from "../../scripts/lib/paths.mjs";

const folder = inRoot("tests", "vectors", "recording");
const bases = new Map();

export const rootKey = readFileSync(path.join(folder, "root.pub"), "utf8").trim();
export const secrets = JSON.parse(readFileSync(path.join(folder, "secrets.json"), "utf8"));

export function readVectors() {
  return readdirSync(path.join(folder, "vectors"))
    .sort()
    .map((name) => JSON.parse(readFileSync(path.join(folder, "vectors", name), "utf8")));
}

/** A vector's files, by name. */
export function filesOf({ base, edits }) {
  const files = new Map(baseFiles(base));
  let recording = null;
  for (const edit of edits) {
    if (edit.file !== undefined) editFile(files, base, edit);
    else {
      recording ??= JSON.parse(files.get("recording.json").toString());
      editMember(recording, base, edit);
    }
  }
  if (recording !== null) files.set("recording.json", Buffer.from(`${JSON.stringify(recording, null, 2)}\n`));
  return files;
}

export function writeFiles(files, into) {
  mkdirSync(into, { recursive: true });
  for (const [name, bytes] of files) writeFileSync(path.join(into, name), bytes);
}

function baseFiles(base) {
  if (!bases.has(base)) {
    const at = path.join(folder, "bases", base);
    bases.set(base, new Map(readdirSync(at).map((name) => [name, readFileSync(path.join(at, name))])));
  }
  return bases.get(base);
}

function editFile(files, base, edit) {
  const before = files.get(edit.file) ?? Buffer.alloc(0);
  switch (edit.op) {
    case "delete":
      files.delete(edit.file);
      break;
    case "copy-file":
      files.set(edit.file, baseFiles(base).get(edit.from));
      break;
    case "splice":
      files.set(edit.file, spliced(before, edit, Buffer.from(edit.insert, "base64url")));
      break;
    default:
      files.set(edit.file, Buffer.from(`${changed(before.toString().trim(), edit)}\n`));
  }
}

function editMember(recording, base, edit) {
  const names = edit.path.split("/").slice(1);
  const last = names.pop();
  const parent = names.reduce((value, name) => value[name], recording);
  switch (edit.op) {
    case "remove":
      if (Array.isArray(parent)) parent.splice(Number(last), 1);
      else delete parent[last];
      return;
    case "sign":
    case "alter":
      parent[last] = changed(parent[last], edit);
      return;
    case "copy":
      put(parent, last, valueAt(JSON.parse(baseFiles(base).get("recording.json").toString()), edit.from));
      return;
    case "add":
    case "replace":
      put(parent, last, edit.value);
      return;
    default:
      throw new Error(`unknown edit ${edit.op}`);
  }
}

function put(parent, name, value) {
  if (Array.isArray(parent) && name === "-") parent.push(value);
  else parent[name] = value;
}

function valueAt(value, pointer) {
  return pointer
    .split("/")
    .slice(1)
    .reduce((inside, name) => inside[name], value);
}

/** A document signed anew, or its text altered. */
function changed(text, edit) {
  const insert = Buffer.from(edit.insert);
  if (edit.op === "alter") return spliced(Buffer.from(text), edit, insert).toString();
  const [header, payload] = text.split(".");
  const newHeader = edit.header === undefined ? header : Buffer.from(edit.header).toString("base64url");
  const newPayload = spliced(Buffer.from(payload, "base64url"), edit, insert).toString("base64url");
  return `${newHeader}.${newPayload}.${edit.signature}`;
}

function spliced(bytes, { at, remove }, insert) {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

/** A report of ours as a verdict and codes, each once. */
export function judged({ ok, complete, parts, problems }) {
  const all = [...parts.flatMap((part) => part.problems), ...problems].map(({ code }) => code);
  const verdict = !ok ? "altered" : complete ? "complete" : "incomplete";
  return { verdict, problems: [...new Set(all)].sort() };
}

const REFUSED_BY_BROWSER = {
  "recording-clinic-refused": "clinic-document-refused",
  "recording-open-refused": "open-statement-refused",
  "recording-invalid": "recording-unreadable",
};

/** What the browser throws where nothing can be judged. Anything else is thrown again. */
export function refusedByBrowser(error) {
  const code = REFUSED_BY_BROWSER[error.code];
  if (code === undefined) throw error;
  return { verdict: "refused", problems: [code] };
}

/** Which vectors a verifier judges otherwise than expected, in words. */
export function differing(list, said, expected = (vector) => vector.expected) {
  const pairs = list.map((vector, index) => [vector.name, inWords(expected(vector)), inWords(said[index])]);
  return pairs.filter(([, wanted, is]) => wanted !== is).map(([name, wanted, is]) => `${name}: ${is}, not ${wanted}`);
}

function inWords({ verdict, problems }) {
  return [verdict, ...problems.toSorted()].join(" ");
}

/** A key file, as docs/FORMAT.md describes it. */
export function keyFileOf(key, passphrase) {
  const alg = "PBES2-HS512+A256KW";
  const [salt, iv, contentKey] = [16, 12, 32].map((size) => randomBytes(size));
  const said = { alg, enc: "A256GCM", cty: "sealed-visit-key+json", p2s: salt.toString("base64url"), p2c: 1_000 };
  const header = Buffer.from(JSON.stringify(said)).toString("base64url");
  const wrapping = pbkdf2Sync(passphrase, Buffer.concat([Buffer.from(`${alg}\0`), salt]), said.p2c, 32, "sha512");
  const wrap = createCipheriv("id-aes256-wrap", wrapping, Buffer.alloc(8, 0xa6));
  const cipher = createCipheriv("aes-256-gcm", contentKey, iv).setAAD(Buffer.from(header));
  const wrapped = Buffer.concat([wrap.update(contentKey), wrap.final()]);
  const text = Buffer.concat([cipher.update(JSON.stringify(key)), cipher.final()]);
  return [header, ...[wrapped, iv, text, cipher.getAuthTag()].map((part) => part.toString("base64url"))].join(".");
}
