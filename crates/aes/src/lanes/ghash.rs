//! GHASH (SP 800-38D, section 6.4) on up to eight blocks at a time, without tables that are indexed
//! in memory: four bits of sixteen bytes at once look up one vector's bytes.
//!
//! A block is a polynomial over GF(2), the first byte's highest bit its constant term. For a power
//! of the key, a row holds one byte of each of its sixteen multiples by a nibble; looking up all of
//! a block's nibbles in that row gives, for every byte of the block at once, that byte of its
//! product. Sixteen rows, each a byte further up, sum to the product of the whole block. Blocks of a
//! batch are multiplied by descending powers, so that they share this sum and its reduction.

use super::vector::V128;

/// Blocks that share one reduction.
pub const BATCH_BLOCKS: usize = 8;

const BLOCK_BYTES: usize = 16;

/// The multiples of the key's powers.
pub struct GhashKey {
    /// By byte of the product, then by power from the first, then high and low nibbles.
    rows: Box<[[[V128; 2]; BATCH_BLOCKS]; BLOCK_BYTES]>,
}

/// A hash that is under way.
pub struct Ghash<'a> {
    key: &'a GhashKey,
    sum: V128,
    /// Blocks not multiplied yet, fewer than a batch.
    pending: [V128; BATCH_BLOCKS],
    pending_len: usize,
}

impl GhashKey {
    /// Prepares the powers of `h`, the encrypted zero block.
    pub fn new(h: &[u8; BLOCK_BYTES]) -> Self {
        let mut key = Self {
            rows: Box::new([[[V128::zero(); 2]; BATCH_BLOCKS]; BLOCK_BYTES]),
        };
        let mut power = *h;
        for exponent in 1..=BATCH_BLOCKS {
            key.fill(exponent, u128::from_be_bytes(power));
            // The first power's rows are complete by now.
            key.multiply_and_add(&[V128::load(&power)])
                .store(&mut power);
        }
        key
    }

    fn fill(&mut self, exponent: usize, power: u128) {
        let mut shifted = power;
        let by_bit: [u128; 8] = std::array::from_fn(|_| {
            let this = shifted;
            shifted = times_x(shifted);
            this
        });
        for (half, bits) in by_bit.chunks_exact(4).enumerate() {
            // A nibble's highest bit has the lowest degree.
            let multiples: [[u8; BLOCK_BYTES]; 16] = std::array::from_fn(|nibble| {
                let chosen = |(bit, value): (usize, u128)| {
                    value & (nibble as u128 >> (3 - bit) & 1u128).wrapping_neg()
                };
                bits.iter()
                    .copied()
                    .enumerate()
                    .map(chosen)
                    .fold(0, |a, b| a ^ b)
                    .to_be_bytes()
            });
            for (at, row) in self.rows.iter_mut().enumerate() {
                row[exponent - 1][half] = V128::load(&multiples.map(|multiple| multiple[at]));
            }
        }
    }

    /// The sum of the blocks' products, the last one with the first power, the one before it with
    /// the second, and so on. At most a batch of them.
    #[inline(always)]
    fn multiply_and_add(&self, blocks: &[V128]) -> V128 {
        let mut nibbles = [[V128::zero(); 2]; BATCH_BLOCKS];
        for (block, nibbles) in blocks.iter().rev().zip(&mut nibbles) {
            *nibbles = [block.high_nibbles(), *block & V128::splat(0x0f)];
        }
        let nibbles = &nibbles[..blocks.len()];

        let (mut low, mut high) = (V128::zero(), V128::zero());
        for row in self.rows.iter().rev() {
            let mut products = V128::zero();
            for ([row_high, row_low], [high, low]) in row.iter().zip(nibbles) {
                products = products ^ row_high.look_up(*high) ^ row_low.look_up(*low);
            }
            high = high.shift_in(low);
            low = low.shift_in(V128::zero()) ^ products;
        }
        low ^ reduced(high)
    }
}

impl Drop for GhashKey {
    fn drop(&mut self) {
        for vector in self.rows.as_flattened_mut().as_flattened_mut() {
            *vector = V128::zero();
        }
        // Keeps the stores above from being seen as dead.
        std::hint::black_box(&self.rows);
    }
}

impl<'a> Ghash<'a> {
    /// Begins a hash.
    pub fn new(key: &'a GhashKey) -> Self {
        let pending = [V128::zero(); BATCH_BLOCKS];
        Self {
            key,
            sum: V128::zero(),
            pending,
            pending_len: 0,
        }
    }

    /// Adds `bytes`, filled up with zeros to whole blocks.
    #[inline]
    pub fn update_padded(&mut self, bytes: &[u8]) {
        let (blocks, tail) = bytes.as_chunks::<BLOCK_BYTES>();
        // First fill the batch that is under way, then go by whole ones.
        let fill = (BATCH_BLOCKS - self.pending_len) % BATCH_BLOCKS;
        let (first, rest) = blocks.split_at(fill.min(blocks.len()));
        first.iter().for_each(|block| self.push(block));
        let (batches, last) = rest.as_chunks::<BATCH_BLOCKS>();
        for batch in batches {
            let mut blocks = batch.each_ref().map(V128::load);
            blocks[0] = blocks[0] ^ self.sum;
            self.sum = self.key.multiply_and_add(&blocks);
        }
        last.iter().for_each(|block| self.push(block));
        if !tail.is_empty() {
            let mut block = [0; BLOCK_BYTES];
            block[..tail.len()].copy_from_slice(tail);
            self.push(&block);
        }
    }

    /// Ends the hash with the lengths of what went in.
    #[inline]
    pub fn finish(mut self, aad_len: usize, data_len: usize) -> V128 {
        let bits = |len: usize| (len as u128) << 3;
        self.push(&(bits(aad_len) << 64 | bits(data_len)).to_be_bytes());
        self.flush();
        self.sum
    }

    #[inline]
    fn push(&mut self, block: &[u8; BLOCK_BYTES]) {
        self.pending[self.pending_len] = V128::load(block);
        self.pending_len += 1;
        if self.pending_len == BATCH_BLOCKS {
            self.flush();
        }
    }

    #[inline]
    fn flush(&mut self) {
        if self.pending_len > 0 {
            self.pending[0] = self.pending[0] ^ self.sum;
            self.sum = self.key.multiply_and_add(&self.pending[..self.pending_len]);
            self.pending_len = 0;
        }
    }
}

/// `high * x^128`, of a polynomial whose last byte is zero: `x^128 = x^7 + x^2 + x + 1`.
#[inline(always)]
fn reduced(high: V128) -> V128 {
    // Towards higher degrees is to the right in a byte, and on into the next byte's left.
    let within = high
        ^ high.shr64::<1>() & V128::splat(0x7f)
        ^ high.shr64::<2>() & V128::splat(0x3f)
        ^ high.shr64::<7>() & V128::splat(0x01);
    let beyond = high.shl64::<7>() & V128::splat(0x80)
        ^ high.shl64::<6>() & V128::splat(0xc0)
        ^ high.shl64::<1>() & V128::splat(0xfe);
    within ^ beyond.shift_in(V128::zero())
}

/// The product with `x`.
fn times_x(value: u128) -> u128 {
    value >> 1 ^ (value & 1).wrapping_neg() & 0xe1 << 120
}
