/**
 * Reads from MediaRecorder's WebM, as it comes, how far each kind of media got (RFC 8794, RFC 9559):
 * block times and nothing else. So it is known whether picture and sound are in what is sealed, and
 * how far the encoder is behind.
 */

const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
const TIMESTAMP = 0xe7;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const SIMPLE_BLOCK = 0xa3;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const VIDEO_TYPE = 1;

/** Their contents are elements to be looked at; a size is of no interest then, and may be unknown. */
const MASTERS: ReadonlySet<number> = new Set([SEGMENT, CLUSTER, BLOCK_GROUP, TRACKS, TRACK_ENTRY]);
/** Enough of a block to know its track and time. */
const BLOCK_HEAD_BYTES = 11;

/** Of a file's time. */
export interface EmptySpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** @internal */
export class WebmClock {
  /** Milliseconds of media; the newest block of each kind. */
  videoMs = 0;
  audioMs = 0;
  videoFrames = 0;
  /** The longest time in the bytes that were fed last in which there is nothing of either kind. */
  empty: EmptySpan = { fromMs: 0, toMs: 0 };
  #clusterMs = 0;
  #entryNumber = 0;
  readonly #videoTracks = new Set<number>();
  /** Bytes of an element's head that is not whole yet. */
  #rest = new Uint8Array();
  #skipBytes = 0;
  #isLost = false;

  /** Takes the next bytes of the file. Never throws; after something unexpected the times stay. */
  feed(slice: Uint8Array): void {
    this.empty = { fromMs: 0, toMs: 0 };
    if (this.#isLost) return;
    const skipped = Math.min(this.#skipBytes, slice.byteLength);
    this.#skipBytes -= skipped;
    if (skipped === slice.byteLength) return;
    const bytes = joined(this.#rest, slice.subarray(skipped));
    let offset = 0;
    while (offset < bytes.byteLength) {
      const taken = this.#element(bytes, offset);
      if (taken === null) break;
      offset += taken;
    }
    if (this.#isLost) return;
    this.#skipBytes = Math.max(0, offset - bytes.byteLength);
    this.#rest = bytes.slice(Math.min(offset, bytes.byteLength));
  }

  /** How far the picture is behind the sound; 0 until there is sound. */
  get videoLagMs(): number {
    return Math.max(0, this.audioMs - this.videoMs);
  }

  /** How many bytes the element (or the head of a master) takes; null: more bytes are needed. */
  #element(bytes: Uint8Array, offset: number): number | null {
    const idLength = vintLength(bytes[offset]);
    const sizeLength = vintLength(bytes[offset + idLength]);
    if (idLength > 4 || sizeLength > 8) {
      this.#isLost = bytes[offset] === 0 || bytes[offset + idLength] === 0;
      return null;
    }
    const dataAt = offset + idLength + sizeLength;
    if (dataAt > bytes.byteLength) return null;
    const id = number(bytes.subarray(offset, offset + idLength));
    if (MASTERS.has(id)) return idLength + sizeLength;
    const size = vint(bytes.subarray(offset + idLength, dataAt));
    const wanted = id === BLOCK || id === SIMPLE_BLOCK ? Math.min(size, BLOCK_HEAD_BYTES) : isSmall(id) ? size : 0;
    if (dataAt + wanted > bytes.byteLength) return null;
    this.#take(id, bytes.subarray(dataAt, dataAt + wanted));
    return idLength + sizeLength + size;
  }

  #take(id: number, data: Uint8Array): void {
    switch (id) {
      case TIMESTAMP:
        this.#clusterMs = number(data);
        break;
      case TRACK_NUMBER:
        this.#entryNumber = number(data);
        break;
      case TRACK_TYPE:
        if (number(data) === VIDEO_TYPE) this.#videoTracks.add(this.#entryNumber);
        break;
      case BLOCK:
      case SIMPLE_BLOCK:
        this.#takeBlock(data);
        break;
      default:
        break;
    }
  }

  #takeBlock(data: Uint8Array): void {
    const trackLength = vintLength(data[0]);
    if (data.byteLength < trackLength + 2) return;
    const track = vint(data.subarray(0, trackLength));
    const view = new DataView(data.buffer, data.byteOffset + trackLength, 2);
    const atMs = this.#clusterMs + view.getInt16(0);
    const newestMs = Math.max(this.videoMs, this.audioMs);
    if (newestMs > 0 && atMs - newestMs > this.empty.toMs - this.empty.fromMs) {
      this.empty = { fromMs: newestMs, toMs: atMs };
    }
    if (this.#videoTracks.has(track)) {
      this.videoMs = Math.max(this.videoMs, atMs);
      this.videoFrames += 1;
    } else {
      this.audioMs = Math.max(this.audioMs, atMs);
    }
  }
}

function isSmall(id: number): boolean {
  return id === TIMESTAMP || id === TRACK_NUMBER || id === TRACK_TYPE;
}

/** Length of a variable-size integer by its first byte; 9 when there is none. */
function vintLength(first: number | undefined): number {
  return first === undefined ? 9 : Math.clz32(first) - 23;
}

/** Without its length marker, which is taken off first: eight bytes with it are more than a number holds exactly. */
function vint(bytes: Uint8Array): number {
  const marker = 1 << (8 - bytes.byteLength);
  return bytes.reduce((value, byte, index) => value * 256 + (index === 0 ? byte & (marker - 1) : byte), 0);
}

function number(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

function joined(before: Uint8Array, after: Uint8Array): Uint8Array {
  if (before.byteLength === 0) return after;
  const bytes = new Uint8Array(before.byteLength + after.byteLength);
  bytes.set(before);
  bytes.set(after, before.byteLength);
  return bytes;
}
