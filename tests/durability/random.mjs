/** Seeded pseudo-random numbers (xoshiro128**, seeded by SplitMix32): the same seed makes the same run. */
export class Random {
  #state;

  constructor(seed) {
    let mix = seed >>> 0;
    const next = () => {
      mix = (mix + 0x9e3779b9) >>> 0;
      let z = mix;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    this.#state = [next(), next(), next(), next()];
  }

  /** From 0 to 2^32 - 1. */
  uint32() {
    const s = this.#state;
    const rotate = (x, k) => ((x << k) | (x >>> (32 - k))) >>> 0;
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** From 0 up to, and without, 1. */
  fraction() {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from `from` to `to`, both included. */
  between(from, to) {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  chance(probability) {
    return this.fraction() < probability;
  }

  pick(list) {
    return list[this.between(0, list.length - 1)];
  }

  bytes(length) {
    const bytes = new Uint8Array(length);
    const words = new DataView(bytes.buffer);
    let at = 0;
    for (; at + 4 <= length; at += 4) words.setUint32(at, this.uint32());
    for (; at < length; at++) bytes[at] = this.uint32();
    return bytes;
  }
}
