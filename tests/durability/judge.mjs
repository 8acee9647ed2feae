/** Whether a recording, as the vault has it now, is what was captured: opened with the clinic's key and share. */
import assert from "node:assert/strict";

const SALT_BYTES = 24;

/**
 * `{bytesLost, lossMs}`; throws at anything that must not be. `salts` collects every salt that was ever seen.
 *
 * - every slice that the recorder acknowledged is there, and every byte that the vault did
 * - hashes, signatures, the receipt verify; no segment number occurs twice, no salt ever
 * - the opened media is exactly the first slices of what was captured
 */
/** @param {any} scenario @param {{ vault?: any, proxy?: any, module: any }} world @param {Set<string>} salts */
export async function judge(scenario, { vault, proxy, module }, salts) {
  const bytesLost = { byVault: 0, byRecorder: 0 };
  let lossMs = null;
  for (const part of scenario.parts) {
    const opened = JSON.parse(await vault.reads(`/v1/recordings/${part.recording}/open`, { method: "POST" }));
    const stored = opened.parts.find((candidate) => candidate.part === part.part);
    assert.ok(stored, `part ${part.part} of ${part.recording} has not ended in the vault`);
    const read = await readPart(stored, part.recording, { vault, module });
    for (const track of read.tracks) {
      for (const salt of track.salts) {
        assert.ok(!salts.has(salt), `a salt occurs twice in track ${track.track}`);
        salts.add(salt);
      }
      bytesLost.byVault += Math.max(0, (proxy.acknowledged.get(track.track) ?? 0) - track.sizeBytes);
    }
    const mixed = read.tracks.find(({ track }) => track === part.mixed);
    const events = read.tracks.find(({ track }) => track === part.events);
    const missing = part.slices.slice(mixed.slices.length, part.acknowledged);
    bytesLost.byRecorder += missing.reduce((sum, { bytes }) => sum + bytes.length, 0);
    assert.ok(mixed.slices.length <= part.slices.length, "more slices than were captured");
    const wanted = Buffer.concat(part.slices.slice(0, mixed.slices.length).map(({ bytes }) => bytes));
    const got = Buffer.concat(mixed.slices.map(({ bytes }) => bytes));
    assert.ok(wanted.equals(got), "the opened media is no prefix of what was captured");
    const lines = Buffer.concat(events.slices.map(({ bytes }) => bytes))
      .toString()
      .trim()
      .split("\n")
      .filter(Boolean);
    assert.ok(lines.length >= part.lines && lines.length <= part.lines + 1, `${lines.length} of ${part.lines} lines`);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).text),
      [...lines.keys()].map(String),
    );
    const isLast = part === scenario.parts.at(-1);
    if (isLast && !part.hasEnded && !part.failed && typeof scenario.diedAt === "number") {
      const playable_ms = (mixed.slices.at(-1)?.media_end_us ?? 0) / 1_000;
      lossMs = scenario.diedAt - part.startedAt - playable_ms;
    }
  }
  assert.deepEqual(bytesLost, { byVault: 0, byRecorder: 0 });
  assert.deepEqual(scenario.disk.folders(), [], "something was left on the device after the receipt");
  return { lossMs };
}

async function readPart(stored, recording, { vault, module }) {
  const { clinic } = vault;
  const reader = new module.RecordingReader(clinic.root.x);
  const key = new module.OpeningKey(clinic.openingKey);
  const info = reader.addPart(clinic.document, stored.open, recording, stored.part);
  // The reader has this part and no other.
  const position = 0;
  if (stored.manifest) reader.addManifest(position, stored.manifest);
  if (stored.closing) reader.addClosing(position, stored.closing);
  reader.addReceipt(position, stored.receipt);
  const tracks = [];
  for (const { track } of info.tracks) {
    const about = stored.tracks.find((candidate) => candidate.track === track);
    const [envelope] = about.envelopes;
    if (envelope === undefined) {
      assert.equal(about.size_bytes, 0, "bytes without an envelope");
      tracks.push({ track, sizeBytes: 0, slices: [], salts: [] });
      continue;
    }
    const share = Buffer.from(about.share, "base64url");
    reader.addEnvelope(position, track, envelope);
    const trackReader = reader.openTrack(position, track, envelope, key, share);
    const bytes = about.url === null ? Buffer.alloc(0) : await vault.reads(about.url);
    assert.equal(bytes.length, about.size_bytes);
    const slices = trackReader.feed(bytes);
    const numbers = slices.map(({ index }) => index);
    assert.deepEqual(numbers, [...slices.keys()], "a segment number is missing, or there twice");
    reader.closeTrack(trackReader);
    tracks.push({ track, sizeBytes: bytes.length, slices, salts: saltsOf(bytes) });
  }
  key.free();
  const report = reader.report();
  const [part] = report.parts;
  assert.equal(report.ok, true, JSON.stringify(part.problems));
  assert.equal(part.receipt, "valid", JSON.stringify(part));
  return { report, tracks };
}

/** Of every segment, from the framing alone (docs/FORMAT.md). */
function saltsOf(bytes) {
  const salts = [];
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    if (bytes[at] === 0x53) salts.push(bytes.toString("base64", at + 5, at + 5 + SALT_BYTES));
    at += 5 + length;
  }
  return salts;
}
