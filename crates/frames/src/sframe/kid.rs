//! Key ids that name an MLS epoch and a leaf ([RFC 9605, section 5.2]).
//!
//! ```text
//!   64-14 bits   6 bits   8 bits
//!  +-----------+--------+--------+
//!  |  context  |  leaf  |  epoch |
//!  +-----------+--------+--------+
//! ```
//!
//! The context is always zero here: a leaf has one sending key per epoch.
//!
//! [RFC 9605, section 5.2]: https://www.rfc-editor.org/rfc/rfc9605.html#section-5.2

use std::fmt;

use ::sframe::mls::{MlsKeyId, MlsKeyIdBitRange};
use thiserror::Error;

/// How many leaves a key id can tell apart.
pub const MAX_LEAVES: usize = 1 << LEAF_BITS;

const LEAF_BITS: u8 = 6;
const EPOCH_BITS: u8 = 8;

/// A number of an MLS epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The bits of the epoch that a key id carries.
    pub fn low_bits(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An MLS leaf index that fits a key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leaf(u8);

impl Leaf {
    /// The leaf with this index.
    pub fn new(index: u32) -> Result<Self, LeafOutOfRange> {
        match u8::try_from(index) {
            Ok(small) if usize::from(small) < MAX_LEAVES => Ok(Self(small)),
            _ => Err(LeafOutOfRange { index }),
        }
    }

    /// The leaf's index, below [`MAX_LEAVES`].
    pub fn index(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A leaf index that no key id of ours can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("leaf {index} does not fit a key id: a visit has at most {MAX_LEAVES} leaves")]
pub struct LeafOutOfRange {
    /// The index in question.
    pub index: u32,
}

/// An SFrame key id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kid(u64);

impl Kid {
    /// The key id under which `leaf` sends in `epoch`.
    pub fn new(leaf: Leaf, epoch: Epoch) -> Self {
        Self(u64::from(leaf.0) << EPOCH_BITS | u64::from(epoch.low_bits()))
    }

    /// The key id that a frame's header shows, if it is one of ours (context zero).
    pub fn from_header(raw: u64) -> Option<Self> {
        (raw >> (LEAF_BITS + EPOCH_BITS) == 0).then_some(Self(raw))
    }

    /// Whose key it is.
    pub fn leaf(self) -> Leaf {
        let index = self.mls().member_index();
        Leaf(index as u8)
    }

    /// The low bits of the epoch that the key belongs to.
    pub fn epoch_low_bits(self) -> u8 {
        self.mls().epoch_lsb() as u8
    }

    /// The value in the header.
    pub fn value(self) -> u64 {
        self.0
    }

    fn mls(self) -> MlsKeyId {
        MlsKeyId::from_key_id(self.0, MlsKeyIdBitRange::new(EPOCH_BITS, LEAF_BITS))
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kid({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn packs_leaf_and_epoch_as_the_rfc_does() {
        for leaf in [0, 1, 5, 63] {
            for epoch in [0, 1, 255, 256, 0x1234, u64::MAX] {
                let kid = Kid::new(Leaf::new(leaf).unwrap(), Epoch(epoch));
                let range = MlsKeyIdBitRange::new(EPOCH_BITS, LEAF_BITS);
                let theirs = MlsKeyId::try_new(0u64, epoch, leaf, range).unwrap();
                assert_eq!(kid.value(), u64::from(theirs));
                assert_eq!(kid.leaf(), Leaf::new(leaf).unwrap());
                assert_eq!(kid.epoch_low_bits(), epoch as u8);
                assert_eq!(Kid::from_header(kid.value()), Some(kid));
            }
        }
    }

    #[test]
    fn refuses_leaves_beyond_six_bits() {
        for index in [64, 255, 256, 320, u32::MAX] {
            assert_eq!(Leaf::new(index), Err(LeafOutOfRange { index }));
        }
    }

    #[test]
    fn knows_no_key_id_with_a_context() {
        for raw in [1 << 14, 1 << 63, u64::MAX] {
            assert_eq!(Kid::from_header(raw), None);
        }
    }
}
