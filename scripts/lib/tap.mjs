/**
 * Looks for plaintext in what a relay of test builds forwarded (`--tap FILE`; the format stands in
 * crates/relay/src/media/tap.rs).
 *
 *     const { packets, plaintext_found, found } = await searchTap("demo-out/tap.bin");
 *
 * Every track is put together again as a receiver without keys would: VP8 and VP9 into IVF, Opus into
 * Ogg. What ffmpeg makes of it is searched for the moving codes and the tone sequences that synthetic
 * cameras and microphones send. A decoder makes pictures and sound of noise too: so codes must pass
 * their checksum, and tones are compared with random payloads of the same sizes.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { sequenceMatch } from "../../tests/lib/audio.mjs";
import { readCodes } from "../../tests/lib/code-reader.mjs";
import { decodeAudio, decodeVideo } from "../../tests/lib/media-file.mjs";

const AUDIO_RATE_HZ = 16_000;
const SOURCES = [0, 1, 2];
/** One reading may be chance (a checksum of 16 bits over many frames); a picture gives many. */
const MIN_CODES = 3;
/** Of windows with the right pitch: chance gives 0.25, a tone that is there more than 0.9. */
const TONE_MARGIN = 0.25;

export async function searchTap(file) {
  const packets = readTap(file);
  const found = [];
  let searched = 0;
  const scratch = mkdtempSync(path.join(tmpdir(), "sealed-visit-tap-"));
  try {
    for (const [name, track] of tracksOf(packets)) {
      searched += 1;
      const at = path.join(scratch, `${searched}`);
      if (track[0].isVideo) {
        for (const codec of ["VP80", "VP90"]) {
          const codes = await codesIn(track, codec, `${at}.${codec}.ivf`);
          if (codes >= MIN_CODES) found.push({ track: name, codec, codes });
        }
      } else {
        const tones = await tonesIn(track, `${at}.ogg`);
        const chance = await tonesIn(
          track.map((packet) => ({ ...packet, payload: randomBytes(packet.payload.length) })),
          `${at}.random.ogg`,
        );
        if (tones > chance + TONE_MARGIN) found.push({ track: name, codec: "opus", tones, chance });
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return { packets: packets.length, tracks: searched, plaintext_found: found.length > 0, found };
}

/** The records of a tap file, in the order written. */
export function readTap(file) {
  const bytes = readFileSync(file);
  if (bytes.subarray(0, 8).toString("latin1") !== "svtap\0\0\x01") throw new Error(`${file} is not a tap file`);
  const packets = [];
  for (let at = 8; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    // The last record may be cut off when the relay was stopped.
    if (end > bytes.length) break;
    const publisher = bytes.subarray(at + 4, at + 20).toString("base64url");
    const nameEnd = at + 21 + bytes[at + 20];
    packets.push({
      /** Where the record begins in the file. */
      offset: at,
      publisher,
      track: bytes.subarray(at + 21, nameEnd).toString("utf8"),
      isVideo: bytes[nameEnd] === 1,
      payloadType: bytes[nameEnd + 1],
      marker: bytes[nameEnd + 2] === 1,
      seq: Number(bytes.readBigUInt64BE(nameEnd + 3)),
      timestamp: bytes.readUInt32BE(nameEnd + 11),
      payload: bytes.subarray(nameEnd + 15, end),
    });
    at = end;
  }
  return packets;
}

function tracksOf(packets) {
  const tracks = new Map();
  for (const packet of packets) {
    const name = `${packet.publisher}/${packet.track}`;
    tracks.set(name, [...(tracks.get(name) ?? []), packet]);
  }
  for (const track of tracks.values()) track.sort((a, b) => a.seq - b.seq);
  return tracks;
}

async function codesIn(track, codec, file) {
  const frames = framesOf(track, codec === "VP80" ? vp8DescriptorBytes : vp9DescriptorBytes);
  writeFileSync(file, ivf(frames, codec));
  const perSource = new Map();
  await decodeVideo(file, (picture) => {
    for (const { source } of readCodes(picture)) perSource.set(source, (perSource.get(source) ?? 0) + 1);
    // A decoder that refuses the stream leaves what it had shown: that counts.
  }).catch(() => {});
  return Math.max(0, ...perSource.values());
}

/** The encoder's frames: payloads without their descriptors, joined by timestamp. */
export function framesOf(track, descriptorBytes) {
  const frames = [];
  for (const { timestamp, payload } of track) {
    const skip = descriptorBytes(payload);
    if (skip === null || skip > payload.length) continue;
    const last = frames.at(-1);
    if (last?.timestamp === timestamp) last.parts.push(payload.subarray(skip));
    else frames.push({ timestamp, parts: [payload.subarray(skip)] });
  }
  return frames.map(({ timestamp, parts }) => ({ timestamp, bytes: Buffer.concat(parts) }));
}

/** RFC 7741 section 4.2. */
export function vp8DescriptorBytes(payload) {
  if (payload.length < 1) return null;
  if (!(payload[0] & 0x80)) return 1;
  const extension = payload[1];
  let at = 2;
  if (extension & 0x80) at += payload[at] & 0x80 ? 2 : 1;
  if (extension & 0x40) at += 1;
  if (extension & 0x30) at += 1;
  return at;
}

/** RFC 9628 section 4.2. */
export function vp9DescriptorBytes(payload) {
  if (payload.length < 1) return null;
  const [hasPictureId, isPredicted, hasLayers, isFlexible] = [0x80, 0x40, 0x20, 0x10].map((bit) => payload[0] & bit);
  let at = 1;
  if (hasPictureId) at += payload[at] & 0x80 ? 2 : 1;
  if (hasLayers) at += isFlexible ? 1 : 2;
  if (isFlexible && isPredicted) {
    while (payload[at] & 1) at += 1;
    at += 1;
  }
  if (payload[0] & 0x02) {
    const structure = payload[at];
    at += 1;
    if (structure & 0x10) at += ((structure >> 5) + 1) * 4;
    if (structure & 0x08) {
      const pictures = payload[at];
      at += 1;
      for (let picture = 0; picture < pictures; picture++) at += 1 + ((payload[at] >> 2) & 3);
    }
  }
  return at;
}

function ivf(frames, codec) {
  const head = Buffer.alloc(32);
  head.write("DKIF", 0, "latin1");
  head.writeUInt16LE(32, 6);
  head.write(codec, 8, "latin1");
  head.writeUInt16LE(640, 12);
  head.writeUInt16LE(360, 14);
  head.writeUInt32LE(90_000, 16);
  head.writeUInt32LE(1, 20);
  head.writeUInt32LE(frames.length, 24);
  const first = frames[0]?.timestamp ?? 0;
  return Buffer.concat([
    head,
    ...frames.flatMap(({ timestamp, bytes }) => {
      const frame = Buffer.alloc(12);
      frame.writeUInt32LE(bytes.length, 0);
      frame.writeBigUInt64LE(BigInt((timestamp - first) >>> 0), 4);
      return [frame, bytes];
    }),
  ]);
}

/** The best share of windows with a source's planned pitch, over all moments at which it may have begun. */
async function tonesIn(track, file) {
  writeFileSync(file, ogg(track.map(({ payload }) => payload)));
  const samples = await decodeAudio(file, AUDIO_RATE_HZ).catch(() => new Float32Array(0));
  const some = samples.subarray(0, AUDIO_RATE_HZ * 12);
  let best = 0;
  for (const source of SOURCES)
    for (let beganMs = 0; beganMs < 4_000; beganMs += 100)
      best = Math.max(best, sequenceMatch(some, AUDIO_RATE_HZ, source, beganMs));
  return best;
}

/** Opus packets of 20 ms in Ogg (RFC 7845), a page each. */
function ogg(payloads) {
  const head = Buffer.from("OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0", "latin1");
  const tags = Buffer.concat([
    Buffer.from("OpusTags"),
    Buffer.from([4, 0, 0, 0]),
    Buffer.from("test"),
    Buffer.alloc(4),
  ]);
  const packets = [head, tags, ...payloads.filter(({ length }) => length > 0 && length < 255 * 255)];
  return Buffer.concat(
    packets.map((packet, index) => {
      const lacing = [...Array(Math.floor(packet.length / 255)).fill(255), packet.length % 255];
      const page = Buffer.alloc(27 + lacing.length + packet.length);
      page.write("OggS", 0, "latin1");
      page[5] = index === 0 ? 2 : index === packets.length - 1 ? 4 : 0;
      page.writeBigUInt64LE(BigInt(Math.max(0, index - 1) * 960), 6);
      page.writeUInt32LE(1, 14);
      page.writeUInt32LE(index, 18);
      page[26] = lacing.length;
      page.set(lacing, 27);
      page.set(packet, 27 + lacing.length);
      page.writeUInt32LE(oggChecksum(page), 22);
      return page;
    }),
  );
}

function oggChecksum(page) {
  let crc = 0;
  for (const byte of page) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}
