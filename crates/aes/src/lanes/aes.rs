//! AES-128 and AES-256 on eight blocks at a time, bitsliced: FIPS 197 without tables or branches on secrets.
//!
//! Plane `b` holds bit `b` of every byte of all eight blocks: its byte `p` is the blocks' byte `p`,
//! and that byte's bit `j` belongs to block `j` (Käsper and Schwabe, CHES 2009). ShiftRows is never
//! carried out: the state stays where it is, and MixColumns and the round keys of round `n` look for
//! its bytes where `n` omitted ShiftRows left them (fixslicing, Adomnicai and Peyrin, CHES 2021).

use zeroize::Zeroize;

use super::{
    sbox::{AFFINE_CONSTANT, sub_bytes, sub_word},
    vector::V128,
};

/// Blocks per call.
pub const BATCH_BLOCKS: usize = 8;
/// Bytes per call.
pub const BATCH_BYTES: usize = 16 * BATCH_BLOCKS;

type Planes = [V128; 8];

/// A key schedule, spread over planes: one round key more than there are rounds.
pub struct Aes<const ROUND_KEYS: usize> {
    round_keys: [Planes; ROUND_KEYS],
}

/// Ten rounds.
pub const ROUND_KEYS_128: usize = 11;
/// Fourteen rounds.
pub const ROUND_KEYS_256: usize = 15;

/// What one nonce adds to the first round key.
pub struct NoncePlanes(Planes);

impl<const ROUND_KEYS: usize> Aes<ROUND_KEYS> {
    const ROUNDS: usize = {
        // Four times ShiftRows is none at all, and both ten and fourteen times are twice.
        assert!(ROUND_KEYS == ROUND_KEYS_128 || ROUND_KEYS == ROUND_KEYS_256);
        ROUND_KEYS - 1
    };

    /// Expands the key (FIPS 197, section 5.2), of four words for ten rounds and eight for fourteen.
    pub fn new<const KEY_BYTES: usize>(key: &[u8; KEY_BYTES]) -> Self {
        const { assert!(KEY_BYTES / 4 + 6 == Self::ROUNDS) };
        let key_words = KEY_BYTES / 4;
        let mut schedule = [[[0u8; 4]; 4]; ROUND_KEYS];
        let words = schedule.as_flattened_mut();
        words[..key_words].copy_from_slice(key.as_chunks::<4>().0);
        let mut round_constant = 1u8;
        for i in key_words..words.len() {
            let mut word = words[i - 1];
            if i % key_words == 0 {
                word.rotate_left(1);
                word = sub_word(word);
                word[0] ^= round_constant;
                round_constant = (round_constant << 1) ^ ((round_constant >> 7) * 0x1b);
            } else if key_words > 6 && i % key_words == 4 {
                word = sub_word(word);
            }
            words[i] = std::array::from_fn(|at| word[at] ^ words[i - key_words][at]);
        }

        let mut round_keys = [[V128::zero(); 8]; ROUND_KEYS];
        for (round, (planes, key)) in round_keys.iter_mut().zip(&schedule).enumerate() {
            let flat = key.as_flattened();
            // The S-box circuit leaves its constant to the next round key; MixColumns keeps it.
            let constant = if round == 0 { 0 } else { AFFINE_CONSTANT };
            let mut moved = [0; 16];
            for (at, byte) in moved.iter_mut().enumerate() {
                *byte = flat[unshifted(at, round)] ^ constant;
            }
            *planes = broadcast(&moved);
            moved.zeroize();
        }
        schedule.as_flattened_mut().as_flattened_mut().zeroize();
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
        self.rounds(state)
    }

    /// From planes to encrypted blocks.
    #[inline(always)]
    fn rounds(&self, mut state: Planes) -> [V128; BATCH_BLOCKS] {
        let permutations = std::hint::black_box(&PERMUTATIONS);
        for round in 1..Self::ROUNDS {
            sub_bytes(&mut state);
            mix_columns(&mut state, &permutations.down[round % 4]);
            add(&mut state, &self.round_keys[round]);
        }
        sub_bytes(&mut state);
        add(&mut state, &self.round_keys[Self::ROUNDS]);
        let home = V128::load(&permutations.home);
        for plane in &mut state {
            *plane = plane.look_up(home);
        }
        transpose(&mut state);
        state
    }

    /// One block, for what is done once per key.
    pub fn encrypt_zero_block(&self) -> [u8; 16] {
        // Counter mode without its counter: the all-zero block in every lane.
        let state = self.rounds(self.round_keys[0]);
        let mut block = [0; 16];
        state[0].store(&mut block);
        block
    }
}

impl<const ROUND_KEYS: usize> Drop for Aes<ROUND_KEYS> {
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

/// Where each byte of a plane comes from.
type Permutation = [u8; 16];

/// What is done to planes by looking up, by number of omitted ShiftRows modulo 4.
struct Permutations {
    /// Takes to each byte the one a row further down its column, and the one two rows.
    down: [[Permutation; 2]; 4],
    /// Carries out what was omitted.
    home: Permutation,
}

static PERMUTATIONS: Permutations = Permutations {
    down: [
        [down(1, 0), down(2, 0)],
        [down(1, 1), down(2, 1)],
        [down(1, 2), down(2, 2)],
        [down(1, 3), down(2, 3)],
    ],
    home: {
        let mut permutation = [0; 16];
        let mut at = 0;
        while at < 16 {
            permutation[at] = shifted(at, 2) as u8;
            at += 1;
        }
        permutation
    },
};

/// Takes to each byte the one `rows` further down its column, after `times` omitted ShiftRows.
const fn down(rows: usize, times: usize) -> Permutation {
    let mut permutation = [0; 16];
    let mut at = 0;
    while at < 16 {
        let home = unshifted(at, times);
        permutation[at] = shifted(home / 4 * 4 + (home + rows) % 4, times) as u8;
        at += 1;
    }
    permutation
}

/// MixColumns.
#[inline(always)]
fn mix_columns(state: &mut Planes, [by_1, by_2]: &[Permutation; 2]) {
    let (by_1, by_2) = (V128::load(by_1), V128::load(by_2));
    let down_1 = state.map(|plane| plane.look_up(by_1));
    let sum: Planes = std::array::from_fn(|bit| state[bit] ^ down_1[bit]);
    let down_2 = sum.map(|plane| plane.look_up(by_2));
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
