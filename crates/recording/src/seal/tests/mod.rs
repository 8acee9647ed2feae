//! Published vectors, sizes at their edges, and attacks. Every test runs natively and in a browser.

mod aead;
mod cobblestone;
mod hpke;
mod track_key;
mod wycheproof;

use ::hpke::rand_core::{Infallible, TryCryptoRng, TryRng};

/// "Randomness" that hands out given bytes, as the vectors want; it panics when they are used up.
pub(super) struct FixedRng<'a>(pub &'a [u8]);

impl TryRng for FixedRng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let (head, tail) = self.0.split_at(dst.len());
        dst.copy_from_slice(head);
        self.0 = tail;
        Ok(())
    }
}

impl TryCryptoRng for FixedRng<'_> {}
