/** Bytes framed as a track file is, with nonsense inside: for code that looks at the framing alone. */

export const MAGIC = new Uint8Array([...new TextEncoder().encode("SVTRACK"), 1]);

export function record(type: "H" | "S" | "C", body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + body.byteLength);
  bytes[0] = type.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, body.byteLength);
  bytes.set(body, 5);
  return bytes;
}

export function trackStart(): Uint8Array {
  return concat(MAGIC, record("H", new TextEncoder().encode('{"v":1}')));
}

/** A segment of `size` bytes, filled with `fill`, and its checkpoint. */
export function segment(size: number, fill: number): Uint8Array {
  return concat(
    record("S", new Uint8Array(size).fill(fill)),
    record("C", new TextEncoder().encode(`checkpoint ${fill}`)),
  );
}

export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.byteLength;
  }
  return joined;
}
