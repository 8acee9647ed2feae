//! Sixteen bytes at once: WebAssembly's `v128`, and the same operations in plain Rust so that
//! everything built on them is tested natively too.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm::V128;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub use portable::V128;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use core::{
        arch::wasm32::{
            i8x16_shuffle, i8x16_swizzle, u8x16_shr, u8x16_splat, u32x4, u64x2_shl, u64x2_shr,
            v128, v128_and, v128_load, v128_store, v128_xor,
        },
        ops::{BitAnd, BitXor},
    };

    /// Sixteen bytes.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    pub struct V128(pub v128);

    impl V128 {
        #[inline(always)]
        pub fn zero() -> Self {
            Self(u8x16_splat(0))
        }

        #[inline(always)]
        pub fn splat(byte: u8) -> Self {
            Self(u8x16_splat(byte))
        }

        #[inline(always)]
        pub fn load(bytes: &[u8; 16]) -> Self {
            // SAFETY: the reference is to 16 readable bytes, and Wasm loads need no alignment.
            Self(unsafe { v128_load(bytes.as_ptr().cast()) })
        }

        #[inline(always)]
        pub fn store(self, bytes: &mut [u8; 16]) {
            // SAFETY: the reference is to 16 writable bytes, and Wasm stores need no alignment.
            unsafe { v128_store(bytes.as_mut_ptr().cast(), self.0) }
        }

        /// Bytes 12 to 15 hold `word`, least significant byte first; the others are zero.
        #[inline(always)]
        pub fn last_word(word: u32) -> Self {
            Self(u32x4(0, 0, 0, word))
        }

        /// Each half shifted left as a little-endian number.
        #[inline(always)]
        pub fn shl64<const BITS: u32>(self) -> Self {
            Self(u64x2_shl(self.0, BITS))
        }

        /// Each half shifted right as a little-endian number.
        #[inline(always)]
        pub fn shr64<const BITS: u32>(self) -> Self {
            Self(u64x2_shr(self.0, BITS))
        }

        /// Each byte's upper four bits.
        #[inline(always)]
        pub fn high_nibbles(self) -> Self {
            Self(u8x16_shr(self.0, 4))
        }

        /// For each byte of `indices`, all below 16, that byte of `self`.
        #[inline(always)]
        pub fn look_up(self, indices: Self) -> Self {
            Self(i8x16_swizzle(self.0, indices.0))
        }

        /// All bytes one place up, `below`'s last one in the first place.
        #[inline(always)]
        pub fn shift_in(self, below: Self) -> Self {
            Self(i8x16_shuffle::<
                15,
                16,
                17,
                18,
                19,
                20,
                21,
                22,
                23,
                24,
                25,
                26,
                27,
                28,
                29,
                30,
            >(below.0, self.0))
        }
    }

    impl BitXor for V128 {
        type Output = Self;

        #[inline(always)]
        fn bitxor(self, other: Self) -> Self {
            Self(v128_xor(self.0, other.0))
        }
    }

    impl BitAnd for V128 {
        type Output = Self;

        #[inline(always)]
        fn bitand(self, other: Self) -> Self {
            Self(v128_and(self.0, other.0))
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable {
    use std::ops::{BitAnd, BitXor};

    /// Sixteen bytes, the first one least significant.
    #[derive(Clone, Copy)]
    pub struct V128(u128);

    impl V128 {
        pub fn zero() -> Self {
            Self(0)
        }

        pub fn splat(byte: u8) -> Self {
            Self(u128::from_le_bytes([byte; 16]))
        }

        pub fn load(bytes: &[u8; 16]) -> Self {
            Self(u128::from_le_bytes(*bytes))
        }

        pub fn store(self, bytes: &mut [u8; 16]) {
            *bytes = self.0.to_le_bytes();
        }

        pub fn last_word(word: u32) -> Self {
            Self(u128::from(word) << 96)
        }

        pub fn shl64<const BITS: u32>(self) -> Self {
            self.halves(|half| half << BITS)
        }

        pub fn shr64<const BITS: u32>(self) -> Self {
            self.halves(|half| half >> BITS)
        }

        pub fn high_nibbles(self) -> Self {
            Self(self.0 >> 4) & Self::splat(0x0f)
        }

        pub fn look_up(self, indices: Self) -> Self {
            let bytes = self.0.to_le_bytes();
            Self(u128::from_le_bytes(
                indices
                    .0
                    .to_le_bytes()
                    .map(|index| bytes[usize::from(index)]),
            ))
        }

        pub fn shift_in(self, below: Self) -> Self {
            Self(self.0 << 8 | below.0 >> 120)
        }

        fn halves(self, shift: impl Fn(u64) -> u64) -> Self {
            let (low, high) = (self.0 as u64, (self.0 >> 64) as u64);
            Self(u128::from(shift(high)) << 64 | u128::from(shift(low)))
        }
    }

    impl BitXor for V128 {
        type Output = Self;

        fn bitxor(self, other: Self) -> Self {
            Self(self.0 ^ other.0)
        }
    }

    impl BitAnd for V128 {
        type Output = Self;

        fn bitand(self, other: Self) -> Self {
            Self(self.0 & other.0)
        }
    }
}
