//! AES-128 on eight blocks at a time, bitsliced: FIPS 197 without tables or branches on secrets.
//!
//! Plane `b` holds bit `b` of every byte of all eight blocks: its byte `p` is the blocks' byte `p`,
//! and that byte's bit `j` belongs to block `j` (Käsper and Schwabe, CHES 2009). ShiftRows is never
//! carried out: the state stays where it is, and MixColumns and the round keys of round `n` look for
//! its bytes where `n` omitted ShiftRows left them (fixslicing, Adomnicai and Peyrin, CHES 2021).

use zeroize::Zeroize;

use super::{
    sbox::{AFFINE_CONSTANT, sub_bytes, sub_word},
    vector::{Permutation, V128, permute},
};

/// Blocks per call.
pub const BATCH_BLOCKS: usize = 8;
/// Bytes per call.
pub const BATCH_BYTES: usize = 16 * BATCH_BLOCKS;

const ROUNDS: usize = 10;
type Planes = [V128; 8];

/// A key schedule, spread over planes.
pub struct Aes128 {
    round_keys: [Planes; ROUNDS + 1],
}

/// What one nonce adds to the first round key.
pub struct NoncePlanes(Planes);

impl Aes128 {
    /// Expands the key (FIPS 197, section 5.2).
    pub fn new(key: &[u8; 16]) -> Self {
        let mut words: [[u8; 4]; 4 * (ROUNDS + 1)] = [[0; 4]; 44];
        let (key_words, _) = key.as_chunks::<4>();
        words[..4].copy_from_slice(key_words);
        let mut round_constant = 1u8;
        for i in 4..words.len() {
            let mut word = words[i - 1];
            if i % 4 == 0 {
                word.rotate_left(1);
                word = sub_word(word);
                word[0] ^= round_constant;
                round_constant = (round_constant << 1) ^ ((round_constant >> 7) * 0x1b);
            }
            words[i] = std::array::from_fn(|at| word[at] ^ words[i - 4][at]);
        }

        let mut round_keys = [[V128::zero(); 8]; ROUNDS + 1];
        for (round, planes) in round_keys.iter_mut().enumerate() {
            let flat = words[4 * round..4 * round + 4].as_flattened();
            // The S-box circuit leaves its constant to the next round key; MixColumns keeps it.
            let constant = if round == 0 { 0 } else { AFFINE_CONSTANT };
            let mut moved = [0; 16];
            for (at, byte) in moved.iter_mut().enumerate() {
                *byte = flat[unshifted(at, round)] ^ constant;
            }
            *planes = broadcast(&moved);
            moved.zeroize();
        }
        words.as_flattened_mut().zeroize();
        Self { round_keys }
    }

    /// Prepares a 96 bit nonce for counter mode.
    pub fn nonce(&self, nonce: &[u8; 12]) -> NoncePlanes {
        let mut block = [0; 16];
        block[..12].copy_from_slice(nonce);
        let mut planes = broadcast(&block);
        add(&mut planes, &self.round_keys[0]);
        NoncePlanes(planes)
    }

    /// Eight blocks of keystream: of the counters `8 * batch + 1` to `8 * batch + 8`.
    #[inline]
    pub fn keystream(&self, nonce: &NoncePlanes, batch: u32) -> [V128; BATCH_BLOCKS] {
        let mut state = nonce.0;
        add_counters(&mut state, batch);
        for round in (1..ROUNDS).step_by(4) {
            // Rounds 1 to 8 in two turns; round 9 begins a third one.
            sub_bytes(&mut state);
            mix_columns_1(&mut state);
            add(&mut state, &self.round_keys[round]);
            if round == 9 {
                break;
            }
            sub_bytes(&mut state);
            mix_columns_2(&mut state);
            add(&mut state, &self.round_keys[round + 1]);
            sub_bytes(&mut state);
            mix_columns_3(&mut state);
            add(&mut state, &self.round_keys[round + 2]);
            sub_bytes(&mut state);
            mix_columns_0(&mut state);
            add(&mut state, &self.round_keys[round + 3]);
        }
        sub_bytes(&mut state);
        add(&mut state, &self.round_keys[ROUNDS]);
        for plane in &mut state {
            *plane = permute!(*plane, SHIFT_ROWS_10_TIMES);
        }
        transpose(&mut state);
        state
    }

    /// One block, for what is done once per key.
    pub fn encrypt_zero_block(&self) -> [u8; 16] {
        // Counter mode without its counter: the all-zero block in every lane.
        let mut state = self.round_keys[0];
        let mix = [mix_columns_0, mix_columns_1, mix_columns_2, mix_columns_3];
        for round in 1..ROUNDS {
            sub_bytes(&mut state);
            mix[round % 4](&mut state);
            add(&mut state, &self.round_keys[round]);
        }
        sub_bytes(&mut state);
        add(&mut state, &self.round_keys[ROUNDS]);
        for plane in &mut state {
            *plane = permute!(*plane, SHIFT_ROWS_10_TIMES);
        }
        transpose(&mut state);
        let mut block = [0; 16];
        state[0].store(&mut block);
        block
    }
}

impl Drop for Aes128 {
    fn drop(&mut self) {
        for plane in self.round_keys.as_flattened_mut() {
            *plane = V128::zero();
        }
        // Keeps the stores above from being seen as dead.
        std::hint::black_box(&self.round_keys);
    }
}

/// Where the byte that belongs at `at` lay before `times` times ShiftRows.
const fn shifted(at: usize, times: usize) -> usize {
    let (column, row) = (at / 4, at % 4);
    4 * ((column + row * times) % 4) + row
}

/// The inverse of [`shifted`].
const fn unshifted(at: usize, times: usize) -> usize {
    let (column, row) = (at / 4, at % 4);
    4 * ((column + 4 * times - row * (times % 4)) % 4) + row
}

const SHIFT_ROWS_10_TIMES: Permutation = {
    let mut permutation = [0; 16];
    let mut at = 0;
    while at < 16 {
        permutation[at] = shifted(at, 10);
        at += 1;
    }
    permutation
};

/// Takes to each byte the one `rows` further down its column, after `times` omitted ShiftRows.
const fn down(rows: usize, times: usize) -> Permutation {
    let mut permutation = [0; 16];
    let mut at = 0;
    while at < 16 {
        let home = unshifted(at, times);
        permutation[at] = shifted(home / 4 * 4 + (home + rows) % 4, times);
        at += 1;
    }
    permutation
}

macro_rules! mix_columns {
    ($name:ident, $times:literal) => {
        /// MixColumns after this number, modulo 4, of omitted ShiftRows.
        #[inline(always)]
        fn $name(state: &mut Planes) {
            let down_1 = state.map(|plane| permute!(plane, down(1, $times)));
            let sum: Planes = std::array::from_fn(|bit| state[bit] ^ down_1[bit]);
            let down_2 = sum.map(|plane| permute!(plane, down(2, $times)));
            // 2a + 3b + c + d = 2(a + b) + b + (c + d); doubling moves planes up and folds x^8.
            let double = [
                sum[7],
                sum[0] ^ sum[7],
                sum[1],
                sum[2] ^ sum[7],
                sum[3] ^ sum[7],
                sum[4],
                sum[5],
                sum[6],
            ];
            *state = std::array::from_fn(|bit| double[bit] ^ down_1[bit] ^ down_2[bit]);
        }
    };
}

mix_columns!(mix_columns_0, 0);
mix_columns!(mix_columns_1, 1);
mix_columns!(mix_columns_2, 2);
mix_columns!(mix_columns_3, 3);

#[inline(always)]
fn add(state: &mut Planes, round_key: &Planes) {
    for (plane, key) in state.iter_mut().zip(round_key) {
        *plane = *plane ^ *key;
    }
}

/// The same block in all eight places.
fn broadcast(block: &[u8; 16]) -> Planes {
    std::array::from_fn(|bit| V128::load(&block.map(|byte| (byte >> bit & 1).wrapping_neg())))
}

/// Adds the eight counters of a batch, big-endian, to bytes 12 to 15.
#[inline(always)]
fn add_counters(state: &mut Planes, batch: u32) {
    // Counters 8n + 1 to 8n + 7 share all bits but the lowest three; the eighth is 8(n + 1).
    let first_seven = (batch << 3).swap_bytes();
    let eighth = (batch << 3).wrapping_add(8).swap_bytes();
    // Bit j: the lowest three bits of 1 2 3 4 5 6 7 0, in the last byte.
    const LOWEST_BITS: [u32; 8] = [0x55 << 24, 0x66 << 24, 0x78 << 24, 0, 0, 0, 0, 0];
    for (bit, plane) in state.iter_mut().enumerate() {
        let seven = first_seven >> bit & 0x0101_0101;
        let one = eighth >> bit & 0x0101_0101;
        let lanes = (seven << 7).wrapping_sub(seven) ^ one << 7 ^ LOWEST_BITS[bit];
        *plane = *plane ^ V128::last_word(lanes);
    }
}

/// From planes to blocks and back: an 8 by 8 transposition of bits in each byte place.
#[inline(always)]
fn transpose(rows: &mut Planes) {
    macro_rules! swap {
        ($a:literal, $b:literal, $bits:literal, $mask:literal) => {
            let moved = (rows[$a].shr64::<$bits>() ^ rows[$b]) & V128::splat($mask);
            rows[$b] = rows[$b] ^ moved;
            rows[$a] = rows[$a] ^ moved.shl64::<$bits>();
        };
    }
    swap!(0, 1, 1, 0x55);
    swap!(2, 3, 1, 0x55);
    swap!(4, 5, 1, 0x55);
    swap!(6, 7, 1, 0x55);
    swap!(0, 2, 2, 0x33);
    swap!(1, 3, 2, 0x33);
    swap!(4, 6, 2, 0x33);
    swap!(5, 7, 2, 0x33);
    swap!(0, 4, 4, 0x0f);
    swap!(1, 5, 4, 0x0f);
    swap!(2, 6, 4, 0x0f);
    swap!(3, 7, 4, 0x0f);
}
