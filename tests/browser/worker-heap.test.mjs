/**
 * The keys of a visit's epochs are not on the JavaScript heap of a member's worker: neither as text, in a heap snapshot, nor as
 * bytes, in the arrays and buffers that its objects hold.
 *
 * What this shows: while frames flow, no epoch's base key, and no sender's key made from it, is in a string, in an array, or in
 * a buffer that is a property, a private field, an element or an entry of anything that lives on after a collection. What it
 * does not show: WebAssembly's own memory, where the keys are, is left out on purpose; a buffer that only a variable holds
 * cannot be reached by a debugger's query; and what was on the heap for an instant between two looks is not seen. The keys come
 * from the host's module, which logs them in its own memory (src/test_hooks.rs) and is never shipped; nobody reads the log
 * before the search. The patient's module is the one that is shipped.
 */
import assert from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import { after, before, test } from "node:test";
import { codesShown, startCalls, until } from "../lib/calls.mjs";

let calls;

before(async () => {
  // Otherwise a snapshot has the first 1,024 characters of each text.
  calls = await startCalls({ browserArgs: ["--js-flags=--heap-snapshot-string-limit=100000000"] });
});

after(() => calls?.stop());

test("no key of a visit's epochs is on the heap of its members' workers while frames flow", async () => {
  const visit = calls.newVisit();
  const host = await calls.member(visit, { role: "clinician", source: 0, testModule: true });
  const patient = await calls.member(visit, { role: "patient", source: 1, admittedBy: host });
  // Somebody comes and goes: epochs that add, and one that removes.
  const guest = await calls.member(visit, { role: "guest", source: 2, admittedBy: host });
  await host.run("publish");
  await patient.run("publish");
  for (const person of [host, patient]) await seesPicture(person);
  await guest.run("leave");
  await until("the guest has left", async () => (await patient.run("state")).roster.length === 2);
  await until("frames flow in the last epoch", async () => {
    const { encrypted_per_epoch } = await patient.run("stats");
    return Object.keys(encrypted_per_epoch).length > 1 && Object.values(encrypted_per_epoch).at(-1) > 5;
  });

  const workers = await Promise.all([host, patient].map(({ page }) => attachToWorker(page, "visit-worker.js")));
  const heaps = [];
  for (const worker of workers) heaps.push(await worker.heap());

  const [hostWorker, patientWorker] = workers;
  const epochs = await hostWorker.loggedKeys();
  assert.ok(epochs.length >= 4, `${epochs.length} epochs`);
  const keys = epochs.flatMap(({ baseKey, epoch, leaves }) => [
    { name: `the base key of epoch ${epoch}`, bytes: baseKey },
    ...leaves.map((leaf) => ({ name: `leaf ${leaf}'s key in epoch ${epoch}`, bytes: senderKey(baseKey, leaf, epoch) })),
  ]);
  const { encrypted_per_epoch } = await patient.run("stats");
  const known = new Set(epochs.map(({ epoch }) => epoch));
  assert.ok(
    Object.keys(encrypted_per_epoch).every((epoch) => known.has(Number(epoch))),
    `the log has the keys that the patient sends with: ${JSON.stringify(encrypted_per_epoch)}`,
  );
  for (const heap of heaps) assert.deepEqual(found(keys, heap), []);

  // The control: keys of this visit that are on this heap are found there, in each way that the search knows.
  const planted = keys.slice(-5);
  // In disguise: this text is on the heap too.
  await patientWorker.evaluate(`{
    const disguised = ${JSON.stringify(planted.map(({ bytes }) => [...bytes].map((byte) => byte ^ 0x55)))};
    const keys = disguised.map((key) => key.map((byte) => byte ^ 0x55));
    class Holder { #key; constructor(key) { this.#key = key; } get first() { return this.#key[0]; } }
    self.planted = [
      { key: Uint8Array.from(keys[0]) },
      new Holder(Uint8Array.from(keys[1])),
      keys[2],
      "x".repeat(5_000) + keys[3].map((byte) => byte.toString(16).padStart(2, "0")).join("") + "y",
      "a text with " + btoa(String.fromCharCode(...keys[4])) + " in it",
    ];
  } 0`);
  assert.deepEqual(found(keys, await patientWorker.heap()), [
    ...planted.slice(0, 2).map(({ name }) => `${name}: in a buffer`),
    `${planted[2].name}: in an array`,
    ...planted.slice(3).map(({ name }) => `${name}: in a text`),
  ]);
  for (const worker of workers) await worker.detach();
  for (const person of [host, patient]) assert.deepEqual(await person.run("problems"), []);
});

test("the pass key's seed is stored as bytes and in no text, and is off the worker's heap once it has joined", async () => {
  const host = await calls.member(calls.newVisit(), { role: "clinician", source: 0, stored: true });
  const worker = await attachToWorker(host.page, "visit-worker.js");
  await until("the seed is off the heap", async () => {
    const heap = await worker.heap();
    const { seed, text } = await host.page.evaluate(storedIdentity);
    assert.deepEqual(Object.keys(JSON.parse(text)).sort(), ["correction_ms", "name_salt", "pass"]);
    return found([{ name: "the seed", bytes: Buffer.from(seed) }], heap).length === 0;
  });

  const { seed } = await host.page.evaluate(storedIdentity);
  const disguised = JSON.stringify(seed.map((byte) => byte ^ 0x55));
  await worker.evaluate(`self.planted = { seed: Uint8Array.from(${disguised}, (byte) => byte ^ 0x55) }; 0`);
  const planted = found([{ name: "the seed", bytes: Buffer.from(seed) }], await worker.heap());
  assert.deepEqual(planted, ["the seed: in a buffer"], "the control: a seed on the heap is found");
  await worker.detach();
});

/** Runs in the page: the seed and the rest of the one identity that is stored (worker/identity-store.ts). */
async function storedIdentity() {
  const resultOf = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const database = await resultOf(indexedDB.open("sealed-visit"));
  const store = database.transaction("identities").objectStore("identities");
  const [[name], [{ key, iv, sealed }]] = await Promise.all([resultOf(store.getAllKeys()), resultOf(store.getAll())]);
  database.close();
  const additionalData = new TextEncoder().encode(`sealed-visit identity v2\0${name}`);
  const bytes = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, sealed));
  return { seed: [...bytes.slice(0, 32)], text: new TextDecoder().decode(bytes.slice(32)) };
}

async function seesPicture(person) {
  let index = -1;
  await until("a video track arrives", async () => {
    index = (await person.run("measure")).findIndex(({ kind }) => kind === "video");
    return index >= 0;
  });
  await until("a picture is seen", async () => (await codesShown(person, index)).length > 0);
}

// --- What is searched for ---------------------------------------------------------------------------

/** RFC 9605, section 4.4.2, for AES_128_GCM_SHA256_128, with key ids from MLS (section 5.2). */
function senderKey(baseKey, leaf, epoch) {
  const kid = Buffer.alloc(8);
  kid.writeBigUInt64BE((BigInt(leaf) << BigInt(EPOCH_BITS)) | (BigInt(epoch) & ((1n << BigInt(EPOCH_BITS)) - 1n)));
  const info = Buffer.concat([Buffer.from("SFrame 1.0 Secret key "), kid, Buffer.from([0, 4])]);
  return Buffer.from(hkdfSync("sha256", baseKey, Buffer.alloc(0), info, 16));
}

const EPOCH_BITS = 8;

/** How bytes may stand in a text. */
function textsOf(bytes) {
  const hex = bytes.toString("hex");
  // Without the padding and what depends on it.
  const [base64, base64url] = ["base64", /** @type {const} */ ("base64url")].map((encoding) =>
    bytes.toString(encoding),
  );
  return [hex, hex.toUpperCase(), base64.replace(/=+$/, ""), base64url, [...bytes].join(","), [...bytes].join(", ")];
}

function found(keys, { snapshot, buffers, arrays }) {
  return keys.flatMap(({ name, bytes }) => [
    ...(textsOf(bytes).some((text) => snapshot.includes(text)) ? [`${name}: in a text`] : []),
    ...(buffers.some((buffer) => buffer.includes(bytes)) ? [`${name}: in a buffer`] : []),
    ...(arrays.includes(`,${[...bytes].join(",")},`) ? [`${name}: in an array`] : []),
  ]);
}

// --- The debugger's view of a page's worker ---------------------------------------------------------

async function attachToWorker(page, name) {
  const session = await page.context().newCDPSession(page);
  const waiting = new Map();
  let chunks = [];
  let next = 1;
  session.on("Target.receivedMessageFromTarget", ({ message }) => {
    const { id, method, params, result, error } = JSON.parse(message);
    if (method === "HeapProfiler.addHeapSnapshotChunk") chunks.push(params.chunk);
    if (id === undefined) return;
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(error.message));
    else resolve(result);
  });
  const attached = new Promise((resolve) => {
    session.on("Target.attachedToTarget", ({ sessionId, targetInfo }) => {
      if (targetInfo.url.includes(name)) resolve(sessionId);
    });
  });
  await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const sessionId = await attached;
  const send = (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve, reject });
      session
        .send("Target.sendMessageToTarget", { sessionId, message: JSON.stringify({ id, method, params }) })
        .catch(reject);
    });
  const resultOf = async (method, params) => {
    const { result, exceptionDetails } = await send(method, params);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result;
  };
  const evaluate = (expression) => resultOf("Runtime.evaluate", { expression });
  /** All objects, anywhere on the heap, that have this prototype; a collection comes first. */
  const all = async (type) => {
    const { objectId } = await evaluate(`${type}.prototype`);
    return (await send("Runtime.queryObjects", { prototypeObjectId: objectId })).objects.objectId;
  };
  /** Calls a function, given as text, on one object with others. */
  const call = async (objectId, functionDeclaration, ...others) => {
    const given = { objectId, functionDeclaration, arguments: others.map((other) => ({ objectId: other })) };
    return (await resultOf("Runtime.callFunctionOn", { ...given, returnByValue: true })).value;
  };

  return {
    evaluate,
    /** Texts, buffers but WebAssembly's memory, and arrays of numbers. */
    async heap() {
      chunks = [];
      await send("HeapProfiler.enable");
      await send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
      const snapshot = chunks.join("");
      chunks = [];
      const objects = await all("Object");
      const memories = await all("WebAssembly.Memory");
      const held = await call(objects, HELD_BYTES, memories);
      const instances = await send("Runtime.callFunctionOn", { objectId: objects, functionDeclaration: INSTANCES });
      const listed = await send("Runtime.getProperties", { objectId: instances.result.objectId, ownProperties: true });
      for (const { value } of listed.result.filter(({ value }) => value?.objectId)) {
        const of = { objectId: value.objectId, ownProperties: true };
        const { privateProperties = [] } = await send("Runtime.getProperties", of);
        for (const { value: field } of privateProperties)
          if (["typedarray", "arraybuffer", "dataview"].includes(field?.subtype))
            held.push(
              ...(await call(
                field.objectId,
                `function (memories) { return (${HELD_BYTES}).call([[this]], memories); }`,
                memories,
              )),
            );
      }
      const arrays = await call(
        await all("Array"),
        `function () {
          const lists = this.filter((list) => list !== this && list.length >= 16 && typeof list[0] === "number");
          return lists.map((list) => "," + list.join(",") + ",").join(" ");
        }`,
      );
      return { snapshot, arrays, buffers: held.map((text) => Buffer.from(text, "hex")) };
    },
    /** The log of src/test_hooks.rs, from the module's memory. */
    async loggedKeys() {
      const log = await call(
        await all("WebAssembly.Instance"),
        `function () {
          const { memory, keyLogPointer, keyLogLength } = this[0].exports;
          return [...new Uint8Array(memory.buffer, keyLogPointer(), keyLogLength())];
        }`,
      );
      return entriesOf(Buffer.from(log));
    },
    detach: () => session.detach(),
  };
}

/** Each entry: epoch (8 bytes, little-endian), base key (16), own leaf, number of leaves, leaves. */
function entriesOf(log) {
  const entries = [];
  for (let at = 0; at < log.length; ) {
    const leaves = [...log.subarray(at + 26, at + 26 + log[at + 25])];
    entries.push({ epoch: Number(log.readBigUInt64LE(at)), baseKey: log.subarray(at + 8, at + 24), leaves });
    at += 26 + leaves.length;
  }
  return entries;
}

/** Of a list of objects: every buffer, in hexadecimal, that is a property, an element or an entry of one of them. */
const HELD_BYTES = `function (memories) {
  const found = new Set();
  const note = (value) => {
    if (ArrayBuffer.isView(value)) found.add(value.buffer);
    else if (value instanceof ArrayBuffer) found.add(value);
  };
  for (const object of this) {
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(object))) note(value);
    if (object instanceof Map && object !== Map.prototype) for (const entry of object) entry.forEach(note);
    if (object instanceof Set && object !== Set.prototype) object.forEach(note);
  }
  for (const { buffer } of memories.filter((memory) => memory !== WebAssembly.Memory.prototype)) found.delete(buffer);
  const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [...found].filter(({ byteLength }) => byteLength > 0).map(hex);
}`;

/** Of a list of objects: those of classes, which may have private fields. */
const INSTANCES = `function () {
  const isClass = (made) => typeof made === "function" && Function.prototype.toString.call(made).startsWith("class");
  return this.filter((object) => isClass(Object.getPrototypeOf(object)?.constructor));
}`;
