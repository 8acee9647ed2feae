//! The waiting room: key packages, what is sealed to them, and door 4: joining by Welcome.

use super::client::{SUITE, client, mls_error, no_time, suite, timestamp};
use super::context::VisitContext;
use super::error::{GateError, GroupError};
use super::rules::{leaf_index, traced, verified_pass, verified_roster};
use super::{Group, Identity, Policy, gate};
use mls_rs::crypto::{HpkeCiphertext, HpkePublicKey};
use mls_rs::error::MlsError;
use mls_rs::mls_rs_codec::{MlsDecode, MlsEncode, MlsSize, byte_vec};
use mls_rs::{CipherSuiteProvider, KeyPackage, MlsMessage, ProtocolVersion};
use mls_rs_core::key_package::KeyPackageData;
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::{Hash32, ParticipantId, Pass, Role};
use std::fmt;
use zeroize::Zeroizing;

/// HPKE `info` for the waiting room. MLS's own uses begin with a length byte and "MLS 1.0 ".
const SEAL_LABEL: &[u8] = b"sealed-visit waiting room v1\0";

/// Somebody who waits with a key package. Holds its private keys until dropped.
#[derive(Clone)]
pub struct Joiner {
    identity: Identity,
    policy: Policy,
    key_package: Vec<u8>,
    init_public_key: HpkePublicKey,
    /// What `mls-rs` needs to open the Welcome: the key package's reference and private keys.
    stored: (Vec<u8>, KeyPackageData),
}

impl fmt::Debug for Joiner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Joiner({})", self.identity.pass().participant())
    }
}

impl Joiner {
    /// Makes a key package for the waiting room.
    pub fn new(identity: Identity, policy: Policy) -> Result<(Self, Vec<u8>), GroupError> {
        let client = client(&identity, &policy);
        let (message, _) = traced(|| {
            client.generate_key_package_message(
                Default::default(),
                Default::default(),
                Some(timestamp()),
            )
        });
        let message = message.map_err(mls_error)?;
        let stored = client
            .key_package_store()
            .take()
            .ok_or(GroupError::KeyPackage("its private keys are missing"))?;
        let init_public_key = message
            .as_key_package()
            .ok_or(GroupError::KeyPackage("it is another message"))?
            .hpke_init_key
            .clone();
        let key_package = message.to_bytes().map_err(mls_error)?;
        let joiner = Self {
            identity,
            policy,
            key_package: key_package.clone(),
            init_public_key,
            stored,
        };
        Ok((joiner, key_package))
    }

    /// Door 4: verifies roster, passes, roles and grants before anybody can ask the group for a key. Drop the joiner
    /// afterwards; after a refusal it can go on waiting.
    ///
    /// The joiner must not use the keys before another member than the inviter has proved the same epoch inside the
    /// encryption: a welcome may come from a fork.
    pub fn join(&self, welcome: &[u8]) -> Result<Group, GroupError> {
        let message = MlsMessage::from_bytes(welcome)
            .map_err(|_| GroupError::Welcome("it cannot be read"))?;
        if message.cipher_suite() != Some(SUITE) {
            return Err(GroupError::Welcome(
                "it is another message, or of another suite",
            ));
        }
        let client = client(&self.identity, &self.policy);
        let store = client.key_package_store();
        let (reference, keys) = &self.stored;
        store.put(reference.clone(), keys.clone());
        let (joined, trace) = traced(|| client.join_group(None, &message, Some(no_time())));
        store.take();
        let (mls, info) = match (joined, trace.error) {
            (Ok(joined), None) => joined,
            (_, Some(gate)) => return Err(gate.into()),
            (Err(MlsError::WelcomeKeyPackageNotFound), None) => {
                return Err(GroupError::OtherKeyPackage);
            }
            (Err(error), None) => return Err(mls_error(error)),
        };

        let roster = verified_roster(&self.policy, &mls.roster())?;
        let context = VisitContext::from_extensions(&mls.context().extensions)?;
        let me = self.identity.pass().participant();
        gate::judge_state(&self.policy, mls.group_id(), &roster, &context, me)?;
        let inviter = leaf_index(info.sender)?;
        let inviter = roster
            .iter()
            .find(|member| member.leaf == inviter)
            .ok_or(GateError::Context("its inviter is not a member"))?;
        gate::may_commit(inviter.role)?;
        Group::from_parts(mls, self.policy.clone(), self.identity.pass().clone())
    }

    /// Opens what [`seal_to_key_package`] sealed to this joiner.
    pub fn open_sealed(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, GroupError> {
        let ciphertext = decode_exactly(sealed).ok_or(GroupError::Open)?;
        suite()?
            .hpke_open(
                &ciphertext,
                &self.stored.1.init_key,
                &self.init_public_key,
                &seal_info(&self.key_package),
                None,
            )
            .map_err(|_| GroupError::Open)
    }

    /// The joiner's own identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The key package that was made.
    pub fn key_package(&self) -> &[u8] {
        &self.key_package
    }
}

/// Who is behind a key package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageInfo {
    /// Opaque id, from the pass.
    pub participant: ParticipantId,
    /// Role, from the pass.
    pub role: Role,
    /// The verified pass.
    pub pass: Pass,
    /// Names the key package: each serves once.
    pub id: Hash32,
}

/// Verifies a key package and the pass in it; not the pass's expiry.
pub fn inspect_key_package(
    policy: &Policy,
    key_package: &[u8],
) -> Result<KeyPackageInfo, GroupError> {
    verified_key_package(policy, key_package).map(|(info, _)| info)
}

/// Seals a message to somebody who waits: HPKE base mode (RFC 9180) with MLS's suite, to the key package's init key,
/// under a label of its own and the key package's hash. Only who holds the pass key can have made that key package.
pub fn seal_to_key_package(
    policy: &Policy,
    key_package: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, GroupError> {
    let (_, verified) = verified_key_package(policy, key_package)?;
    suite()?
        .hpke_seal(
            &verified.hpke_init_key,
            &seal_info(key_package),
            None,
            plaintext,
        )
        .ok()
        .and_then(|ciphertext| ciphertext.mls_encode_to_vec().ok())
        .ok_or(GroupError::KeyPackage("nothing can be sealed to it"))
}

/// The message, its key package and pass, all signatures checked.
pub(super) fn verified_key_package(
    policy: &Policy,
    bytes: &[u8],
) -> Result<(KeyPackageInfo, KeyPackage), GroupError> {
    // The message's own version, the only bytes that the signature does not cover.
    if !bytes.starts_with(&ProtocolVersion::MLS_10.raw_value().to_be_bytes()) {
        return Err(GroupError::KeyPackage("it is of another version"));
    }
    let message =
        MlsMessage::from_bytes(bytes).map_err(|_| GroupError::KeyPackage("it cannot be read"))?;
    let key_package = message
        .into_key_package()
        .ok_or(GroupError::KeyPackage("it is another message"))?;
    if key_package.cipher_suite != SUITE || key_package.version != ProtocolVersion::MLS_10 {
        return Err(GroupError::KeyPackage("it is of another suite or version"));
    }
    let pass = verified_pass(policy, key_package.signing_identity())?;
    verify_signature(&key_package)?;
    let info = KeyPackageInfo {
        participant: pass.participant(),
        role: pass.role(),
        pass,
        id: key_package_id(&key_package)?,
    };
    Ok((info, key_package))
}

/// RFC 9420 section 10: the signature covers everything before it, as SignWithLabel(., "KeyPackageTBS", KeyPackageTBS)
/// of section 5.1.2. `mls-rs` checks the same when the key package is added.
fn verify_signature(key_package: &KeyPackage) -> Result<(), GroupError> {
    let unreadable = |_| GroupError::KeyPackage("it cannot be written");
    let encoded = key_package.mls_encode_to_vec().map_err(unreadable)?;
    let signed = &encoded[..encoded.len() - byte_vec::mls_encoded_len(&key_package.signature)];
    let mut content = Vec::with_capacity(encoded.len() + 32);
    byte_vec::mls_encode(b"MLS 1.0 KeyPackageTBS", &mut content).map_err(unreadable)?;
    byte_vec::mls_encode(&signed, &mut content).map_err(unreadable)?;
    suite()?
        .verify(
            &key_package.signing_identity().signature_key,
            &key_package.signature,
            &content,
        )
        .map_err(|_| GroupError::KeyPackage("its signature does not verify"))
}

/// SHA-256 of a key package as MLS encodes it.
pub(super) fn key_package_id(key_package: &KeyPackage) -> Result<Hash32, GroupError> {
    let encoded = key_package.mls_encode_to_vec();
    let encoded = encoded.map_err(|_| GroupError::KeyPackage("it cannot be written"))?;
    Ok(sha256(&encoded))
}

fn seal_info(key_package: &[u8]) -> Vec<u8> {
    [SEAL_LABEL, sha256(key_package).as_slice()].concat()
}

fn decode_exactly(bytes: &[u8]) -> Option<HpkeCiphertext> {
    let mut rest = bytes;
    let ciphertext = HpkeCiphertext::mls_decode(&mut rest).ok()?;
    (rest.is_empty() && ciphertext.mls_encoded_len() == bytes.len()).then_some(ciphertext)
}
