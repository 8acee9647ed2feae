//! HPKE ([RFC 9180](https://www.rfc-editor.org/rfc/rfc9180)) base mode, single shot: small secrets, wrapped to a
//! public key.
//!
//! Two suites, both with HKDF-SHA256 and AES-256-GCM: X-Wing (MLKEM768-X25519, the default, against a later
//! quantum computer) and DHKEM(X25519). A wrap is `enc || ciphertext`, the layout that other libraries' single
//! calls use. The `aad` is always empty: all that is bound goes into `info`, because some public APIs (Python's
//! `cryptography`) offer nothing else.
//!
//! Inputs: keys, `info`, plaintext, a CSPRNG. Outputs: wraps, or the plaintext. Invariant: a private key is
//! wiped when dropped and never printed.

use std::fmt;

use ::hpke::aead::{Aead, AesGcm256};
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::{X25519HkdfSha256, XWing};
use ::hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open,
    single_shot_seal_with_rng,
};
use sealed_visit_protocol::clinic::{Recipient, WrapSuite};
use thiserror::Error;
use zeroize::Zeroizing;

/// The trait of the randomness that is handed in; [`SystemRng`] is what production uses.
pub use ::hpke::rand_core::CryptoRng;

/// The operating system's (or the browser's) randomness. Panics when that fails: there is no going on without.
pub type SystemRng = ::hpke::rand_core::UnwrapErr<getrandom::SysRng>;

/// [`SystemRng`], ready to use.
pub fn system_rng() -> SystemRng {
    ::hpke::rand_core::UnwrapErr(getrandom::SysRng)
}

/// Bytes of a serialized private key, in either suite.
pub const PRIVATE_KEY_BYTES: usize = 32;
/// Longest `info`: the library's limit is 65,530 bytes, and nothing of ours comes near.
const MAX_INFO_BYTES: usize = 8 * 1024;

/// Why a wrap, an unwrap or a key was refused.
#[non_exhaustive]
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HpkeError {
    /// A name that is none of [`Suite::name`].
    #[error("unknown HPKE suite {0:?}")]
    UnknownSuite(String),
    /// The bytes are no public key of the suite.
    #[error(
        "not a public key of suite {suite}: {have_bytes} bytes, {want_bytes} expected, or not a valid encoding"
    )]
    InvalidPublicKey {
        /// Of the key that was expected.
        suite: Suite,
        /// Length given.
        have_bytes: usize,
        /// Length of the suite's keys.
        want_bytes: usize,
    },
    /// The bytes are no private key.
    #[error("a private key has 32 bytes, these are {have_bytes}")]
    InvalidPrivateKey {
        /// Length given.
        have_bytes: usize,
    },
    /// The public key leads to no usable shared secret (a small-order point).
    #[error("cannot wrap to this {0} public key: it yields no usable shared secret")]
    UnusablePublicKey(Suite),
    /// The wrap is shorter than its encapsulated key and tag.
    #[error(
        "wrap is too short for suite {suite}: {have_bytes} bytes, at least {min_bytes} expected"
    )]
    WrapTooShort {
        /// Of the key that was to open it.
        suite: Suite,
        /// Length given.
        have_bytes: usize,
        /// Shortest possible wrap.
        min_bytes: usize,
    },
    /// Another key, another `info`, or altered bytes.
    #[error("wrap does not open with this {0} key: wrong key, wrong binding, or altered bytes")]
    DoesNotOpen(Suite),
    /// `info` is longer than this module takes.
    #[error("info of {have_bytes} bytes is longer than {max_bytes}")]
    InfoTooLong {
        /// Length given.
        have_bytes: usize,
        /// Longest one taken.
        max_bytes: usize,
    },
}

/// A KEM with HKDF-SHA256 and AES-256-GCM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Suite {
    /// X-Wing (MLKEM768-X25519), KEM id 0x647a.
    #[default]
    XWing,
    /// DHKEM(X25519, HKDF-SHA256), KEM id 0x0020.
    X25519,
}

const HKDF_SHA256_ID: u16 = 0x0001;
const AES_256_GCM_ID: u16 = 0x0002;
const TAG_BYTES: usize = 16;

impl Suite {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::XWing, Self::X25519];

    /// The name that formats and the command line use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XWing => "x-wing",
            Self::X25519 => "x25519",
        }
    }

    /// The suite called `name`.
    pub fn from_name(name: &str) -> Result<Self, HpkeError> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name() == name)
            .ok_or_else(|| HpkeError::UnknownSuite(name.to_owned()))
    }

    /// RFC 9180, section 5.1: `"HPKE" || kem_id || kdf_id || aead_id`.
    pub fn id(self) -> [u8; 10] {
        let kem_id = match self {
            Self::XWing => XWing::KEM_ID,
            Self::X25519 => X25519HkdfSha256::KEM_ID,
        };
        let mut id = *b"HPKE\0\0\0\0\0\0";
        id[4..6].copy_from_slice(&kem_id.to_be_bytes());
        id[6..8].copy_from_slice(&HKDF_SHA256_ID.to_be_bytes());
        id[8..10].copy_from_slice(&AES_256_GCM_ID.to_be_bytes());
        id
    }

    /// Bytes of a serialized public key.
    pub const fn public_key_bytes(self) -> usize {
        match self {
            Self::XWing => 1216,
            Self::X25519 => 32,
        }
    }

    /// Bytes of the encapsulated key at the head of a wrap.
    pub const fn enc_bytes(self) -> usize {
        match self {
            Self::XWing => 1120,
            Self::X25519 => 32,
        }
    }
}

impl From<Suite> for WrapSuite {
    fn from(suite: Suite) -> Self {
        match suite {
            Suite::XWing => Self::XWing,
            Suite::X25519 => Self::X25519,
        }
    }
}

impl TryFrom<WrapSuite> for Suite {
    type Error = HpkeError;

    fn try_from(suite: WrapSuite) -> Result<Self, HpkeError> {
        match suite {
            WrapSuite::XWing => Ok(Self::XWing),
            WrapSuite::X25519 => Ok(Self::X25519),
            newer => Err(HpkeError::UnknownSuite(format!("{newer:?}"))),
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A validated public key with its suite.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    suite: Suite,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Parses a serialized key (RFC 9180 `DeserializePublicKey`).
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, HpkeError> {
        let valid = match suite {
            Suite::XWing => <XWing as Kem>::PublicKey::from_bytes(bytes).is_ok(),
            Suite::X25519 => <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(bytes).is_ok(),
        };
        if !valid {
            return Err(HpkeError::InvalidPublicKey {
                suite,
                have_bytes: bytes.len(),
                want_bytes: suite.public_key_bytes(),
            });
        }
        Ok(Self {
            suite,
            bytes: bytes.to_vec(),
        })
    }

    /// Which suite the key belongs to.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The serialized key (RFC 9180 `SerializePublicKey`).
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key's name in clinic documents, requests and envelopes: [`Recipient::fingerprint_of`].
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Recipient::fingerprint_of(self.suite.into(), &self.bytes).0)
    }

    /// Wraps `plaintext` to this key: `enc || ciphertext`, with `info` bound.
    pub fn wrap(
        &self,
        info: &[u8],
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, HpkeError> {
        match self.suite {
            Suite::XWing => seal::<XWing, AesGcm256>(self, info, &[], plaintext, rng),
            Suite::X25519 => seal::<X25519HkdfSha256, AesGcm256>(self, info, &[], plaintext, rng),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.suite, self.fingerprint())
    }
}

/// A private key with its suite. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct PrivateKey {
    suite: Suite,
    bytes: Zeroizing<[u8; PRIVATE_KEY_BYTES]>,
}

impl PrivateKey {
    /// A fresh key.
    pub fn generate(suite: Suite, rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::derive(suite, seed.as_slice())
    }

    /// RFC 9180 `DeriveKeyPair` (for X-Wing as in draft-ietf-hpke-pq): the same seed gives the same key. The
    /// seed must have at least 32 bytes of entropy.
    pub fn derive(suite: Suite, seed: &[u8]) -> Self {
        match suite {
            Suite::XWing => Self::of::<XWing>(suite, &XWing::derive_keypair(seed).0),
            Suite::X25519 => {
                Self::of::<X25519HkdfSha256>(suite, &X25519HkdfSha256::derive_keypair(seed).0)
            }
        }
    }

    /// Parses a serialized key: 32 bytes, X-Wing's being its seed.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, HpkeError> {
        let bytes = bytes.try_into().map_err(|_| HpkeError::InvalidPrivateKey {
            have_bytes: bytes.len(),
        })?;
        Ok(Self {
            suite,
            bytes: Zeroizing::new(bytes),
        })
    }

    /// Which suite the key belongs to.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The serialized key, for a protected key file.
    pub fn expose(&self) -> &[u8; PRIVATE_KEY_BYTES] {
        &self.bytes
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> PublicKey {
        fn public<K: Kem>(bytes: &[u8]) -> Vec<u8> {
            let private = K::PrivateKey::from_bytes(bytes).expect("32 bytes are a private key");
            K::sk_to_pk(&private).to_bytes().to_vec()
        }
        let bytes = match self.suite {
            Suite::XWing => public::<XWing>(self.bytes.as_slice()),
            Suite::X25519 => public::<X25519HkdfSha256>(self.bytes.as_slice()),
        };
        PublicKey {
            suite: self.suite,
            bytes,
        }
    }

    /// Opens a wrap made for this key with the same `info`.
    pub fn unwrap(&self, info: &[u8], wrap: &[u8]) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
        match self.suite {
            Suite::XWing => open::<XWing, AesGcm256>(self, info, &[], wrap),
            Suite::X25519 => open::<X25519HkdfSha256, AesGcm256>(self, info, &[], wrap),
        }
    }

    fn of<K: Kem>(suite: Suite, private: &K::PrivateKey) -> Self {
        let mut bytes = Zeroizing::new([0; PRIVATE_KEY_BYTES]);
        private.write_exact(bytes.as_mut());
        Self { suite, bytes }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, redacted)", self.suite)
    }
}

/// What names a public key: a hash over suite and key.
///
/// `Display` is the form to read aloud: six groups of five digits, 99 bits of the hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.chunks_exact(5).take(6).enumerate() {
            let value = group
                .iter()
                .fold(0u64, |acc, byte| acc << 8 | u64::from(*byte));
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{:05}", value % 100_000)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

// RFC 9180, section 6.1, base mode:
//   def SealBase(pkR, info, aad, pt): enc, ctx = SetupBaseS(pkR, info); ct = ctx.Seal(aad, pt); return enc, ct
pub(crate) fn seal<K: Kem, A: Aead>(
    public: &PublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, HpkeError> {
    check_info(info)?;
    let unusable = || HpkeError::UnusablePublicKey(public.suite);
    let key = K::PublicKey::from_bytes(&public.bytes).map_err(|_| unusable())?;
    let (enc, ciphertext) = single_shot_seal_with_rng::<A, HkdfSha256, K>(
        &OpModeS::Base,
        &key,
        info,
        plaintext,
        aad,
        rng,
    )
    .map_err(|_| unusable())?;
    let mut wrap = enc.to_bytes().to_vec();
    wrap.extend_from_slice(&ciphertext);
    Ok(wrap)
}

//   def OpenBase(enc, skR, info, aad, ct): ctx = SetupBaseR(enc, skR, info); return ctx.Open(aad, ct)
pub(crate) fn open<K: Kem, A: Aead>(
    private: &PrivateKey,
    info: &[u8],
    aad: &[u8],
    wrap: &[u8],
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    check_info(info)?;
    let suite = private.suite;
    let does_not_open = || HpkeError::DoesNotOpen(suite);
    let min_bytes = suite.enc_bytes() + TAG_BYTES;
    if wrap.len() < min_bytes {
        return Err(HpkeError::WrapTooShort {
            suite,
            have_bytes: wrap.len(),
            min_bytes,
        });
    }
    let (enc, ciphertext) = wrap.split_at(suite.enc_bytes());
    let enc = K::EncappedKey::from_bytes(enc).map_err(|_| does_not_open())?;
    let key = K::PrivateKey::from_bytes(private.bytes.as_slice()).map_err(|_| does_not_open())?;
    single_shot_open::<A, HkdfSha256, K>(&OpModeR::Base, &key, &enc, info, ciphertext, aad)
        .map(Zeroizing::new)
        .map_err(|_| does_not_open())
}

fn check_info(info: &[u8]) -> Result<(), HpkeError> {
    if info.len() > MAX_INFO_BYTES {
        return Err(HpkeError::InfoTooLong {
            have_bytes: info.len(),
            max_bytes: MAX_INFO_BYTES,
        });
    }
    Ok(())
}
