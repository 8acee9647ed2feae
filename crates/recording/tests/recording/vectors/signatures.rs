//! Signatures that some verifiers of Ed25519 accept and others refuse (RFC 8032, section 5.1.7). Just enough arithmetic for that.

use super::signed::Seed;
use ed25519_dalek::SigningKey;
use sealed_visit_protocol::bytes::{from_base64url, to_base64url};
use sha2::{Digest as _, Sha512};

/// The order of the group, 2^252 + 27742317777372353535851937790883648493, from its least significant word on.
const ORDER: [u64; 4] = [
    0x5812_631a_5cf5_d3ed,
    0x14de_f9de_a2f7_9cd6,
    0,
    0x1000_0000_0000_0000,
];

/// The same signature with *S* + the group's order in place of *S*.
pub fn with_larger_s(jws: &str) -> String {
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    let signature = from_base64url(signature).unwrap();
    let larger = add(words(&signature[32..]), ORDER);
    let signature = [&signature[..32], &bytes(larger)].concat();
    format!("{signed}.{}", to_base64url(&signature))
}

/// Signs so that *R* is off by the point of order 2: eight times both sides of the equation are the same, once they are not.
pub fn sign_for_cofactored_verifiers(jws: &str, seed: &Seed) -> String {
    let (signed, _) = jws.rsplit_once('.').unwrap();
    let own = SigningKey::from_bytes(seed);
    let nonce = SigningKey::from_bytes(&[0x5a; 32]);
    let r = minus(nonce.verifying_key().to_bytes());
    let challenge = Sha512::new()
        .chain_update(r)
        .chain_update(own.verifying_key().as_bytes())
        .chain_update(signed)
        .finalize();
    let s = sum(
        secret_of(&nonce),
        product(reduce(&challenge), secret_of(&own)),
    );
    format!("{signed}.{}", to_base64url(&[r, bytes(s)].concat()))
}

/// A point plus (0, -1): both its coordinates change their sign.
fn minus(point: [u8; 32]) -> [u8; 32] {
    let sign = point[31] & 0x80;
    let mut y = point;
    y[31] &= 0x7f;
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let mut negative = bytes(subtract(words(&prime), words(&y)));
    negative[31] |= sign ^ 0x80;
    negative
}

fn secret_of(key: &SigningKey) -> [u64; 4] {
    let mut scalar: [u8; 32] = Sha512::digest(key.to_bytes())[..32].try_into().unwrap();
    scalar[0] &= 248;
    scalar[31] = scalar[31] & 63 | 64;
    reduce(&scalar)
}

/// Any number of bytes, little-endian, modulo the order.
fn reduce(little_endian: &[u8]) -> [u64; 4] {
    let bits = little_endian
        .iter()
        .rev()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    bits.fold([0; 4], |value, bit| {
        sum(sum(value, value), [u64::from(bit), 0, 0, 0])
    })
}

fn product(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let bits = (0..256).rev().map(|bit| a[bit / 64] >> (bit % 64) & 1);
    bits.fold([0; 4], |value, bit| {
        let doubled = sum(value, value);
        if bit == 1 { sum(doubled, b) } else { doubled }
    })
}

/// Of two numbers below the order.
fn sum(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let sum = add(a, b);
    let is_below = sum.iter().rev().lt(ORDER.iter().rev());
    if is_below { sum } else { subtract(sum, ORDER) }
}

fn add(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut carry = false;
    std::array::from_fn(|index| {
        let (sum, first) = a[index].overflowing_add(b[index]);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        sum
    })
}

fn subtract(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut borrow = false;
    std::array::from_fn(|index| {
        let (difference, first) = a[index].overflowing_sub(b[index]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        difference
    })
}

fn words(bytes: &[u8]) -> [u64; 4] {
    std::array::from_fn(|index| {
        u64::from_le_bytes(bytes[8 * index..8 * index + 8].try_into().unwrap())
    })
}

fn bytes(words: [u64; 4]) -> [u8; 32] {
    std::array::from_fn(|index| words[index / 8].to_le_bytes()[index % 8])
}

/// The arithmetic, against signatures that every verifier accepts.
#[test]
fn signs_as_everybody_does_where_the_point_of_order_2_is_left_out() {
    use ed25519_dalek::Signer as _;
    let own = SigningKey::from_bytes(&[7; 32]);
    let expected = own.sign(b"message").to_bytes();
    let prefix = &Sha512::digest(own.to_bytes())[32..];
    let nonce = reduce(
        &Sha512::new()
            .chain_update(prefix)
            .chain_update(b"message")
            .finalize(),
    );
    let challenge = Sha512::new()
        .chain_update(&expected[..32])
        .chain_update(own.verifying_key().as_bytes())
        .chain_update(b"message")
        .finalize();
    let s = sum(nonce, product(reduce(&challenge), secret_of(&own)));
    assert_eq!(bytes(s), expected[32..]);
}
