/**
 * Frame encryption and decryption against WebCrypto, in one worker.
 *
 * Both do the same work for a frame: 16 byte tag, a header as additional data, a fresh nonce, the
 * result in a buffer of its own that could be given to `frame.data`. WebCrypto is awaited frame by
 * frame, as a transform must. All four cases of a size are timed in batches of about 10 ms, one after
 * another, in an order that rotates from run to run, so that what slows the machine slows all.
 */
import initFrames, { FrameEngine, wasmMemory } from "/wasm/visit.js";

const SIZES_BYTES = [100, 1_200, 8_192, 30_000, 120_000];
const RUNS = 15;
const BATCH_MS = 10;
/** Long enough for the browser's optimising compiler to have finished with the module. */
const WARM_UP_MS = 1_500;

async function main() {
  if (!globalThis.crossOriginIsolated)
    throw new Error("the page is not cross-origin isolated: its clock is too coarse");
  await initFrames({ module_or_path: "/wasm/visit_bg.wasm" });
  const memory = wasmMemory();
  const rig = makeRig(memory);
  await warmUp(rig);
  const sizes = [];
  for (const size of SIZES_BYTES) sizes.push(await measure(rig, size));
  postMessage({ runs: RUNS, sizes });
}

/** A sender and a receiver of one track, and the same key for WebCrypto. */
function makeRig(memory) {
  const [sender, receiver] = [new FrameEngine(), new FrameEngine()];
  const leaves = Uint8Array.of(0, 1);
  sender.installEpoch(1n, new Uint8Array(16).fill(1), 0, leaves);
  receiver.installEpoch(1n, new Uint8Array(16).fill(1), 1, leaves);
  sender.sendInEpoch(1n);
  const outgoing = sender.openSendTrack("camera", 0, "video/VP9");
  const incoming = receiver.openReceiveTrack("camera", 0, "video/VP9");

  const pass = (engine, data, call) => {
    const at = engine.prepare(data.byteLength);
    new Uint8Array(memory.buffer, at, data.byteLength).set(new Uint8Array(data));
    const length = call();
    if (length < 0) throw new Error(`dropped: ${length}`);
    return memory.buffer.slice(engine.framePointer(), engine.framePointer() + length);
  };
  return {
    encrypt: (data) => pass(sender, data, () => sender.encrypt(outgoing, 1e15)),
    decrypt: (data) => pass(receiver, data, () => receiver.decrypt(incoming, 1)),
  };
}

async function warmUp(rig) {
  const end = performance.now() + WARM_UP_MS;
  const frame = new Uint8Array(5_000).buffer;
  while (performance.now() < end) {
    for (let n = 0; n < 100; n++) rig.decrypt(rig.encrypt(frame));
    await new Promise((resolve) => setTimeout(resolve));
  }
}

async function measure(rig, size) {
  const plaintext = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
  const frame = new Uint8Array(size);
  for (let at = 0; at < size; at += plaintext.length) frame.set(plaintext.subarray(0, size - at), at);
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"]);
  const additionalData = new Uint8Array(5);
  const iv = new Uint8Array(12);
  const webcryptoEncrypt = () => {
    iv[0] = (iv[0] + 1) & 255;
    return crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, frame);
  };
  const sealedIv = new Uint8Array(12);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: sealedIv, additionalData }, key, frame);

  const opened = new Uint8Array(rig.decrypt(rig.encrypt(frame.buffer)));
  if (opened.length !== size || opened.some((byte, at) => byte !== frame[at])) throw new Error("the frame changed");

  // A frame opens once: each batch to decrypt is encrypted just before, untimed.
  const cases = {
    oursEncrypt: async (count) => time(count, () => rig.encrypt(frame.buffer)),
    oursDecrypt: async (count) => {
      const frames = Array.from({ length: count }, () => rig.encrypt(frame.buffer));
      return time(count, (n) => rig.decrypt(frames[n]));
    },
    webcryptoEncrypt: (count) => timeAwaited(count, webcryptoEncrypt),
    webcryptoDecrypt: (count) =>
      timeAwaited(count, () => crypto.subtle.decrypt({ name: "AES-GCM", iv: sealedIv, additionalData }, key, sealed)),
  };
  const names = Object.keys(cases);
  const counts = {};
  for (const name of names) counts[name] = await batchFor(cases[name], size);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let run = 0; run < RUNS; run++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(run + turn) % names.length];
      times[name].push((1_000 * (await cases[name](counts[name]))) / counts[name]);
    }
  }
  return {
    size_bytes: size,
    encrypt: compared(times.oursEncrypt, times.webcryptoEncrypt),
    decrypt: compared(times.oursDecrypt, times.webcryptoDecrypt),
  };
}

/** How many frames make a batch: enough time for the clock, not so many that memory fills. */
async function batchFor(work, size) {
  let count = 4;
  const most = Math.max(4, Math.floor(32e6 / size));
  while (count < most && (await work(count)) < BATCH_MS) count *= 2;
  return Math.min(count, most);
}

function time(count, work) {
  const began = performance.now();
  for (let n = 0; n < count; n++) work(n);
  return performance.now() - began;
}

async function timeAwaited(count, work) {
  const began = performance.now();
  for (let n = 0; n < count; n++) await work(n);
  return performance.now() - began;
}

/** Medians in microseconds a frame, and the ratio's median with its range over the runs. */
function compared(ours, webcrypto) {
  const ratios = ours.map((value, run) => value / webcrypto[run]).toSorted((left, right) => left - right);
  return {
    ours_us: round(median(ours)),
    webcrypto_us: round(median(webcrypto)),
    ratio: round(median(ratios)),
    ratio_range: [round(ratios[0]), round(ratios.at(-1))],
  };
}

const median = (values) => values.toSorted((left, right) => left - right)[values.length >> 1];
const round = (value) => Number(value.toPrecision(3));

main().catch((error) => postMessage({ error: String(error) }));
