//! The `mls-rs` client of this protocol: suite, capabilities, gate.

use super::context::{CHANGE_PROPOSAL, CONTEXT_EXTENSION, MEETING_PROPOSAL};
use super::crypto::Crypto;
use super::error::GroupError;
use super::rules::{Passes, Rules, signing_identity};
use super::stores::{NoStore, OneKeyPackage};
use super::{Identity, Policy};
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider,
    WithKeyPackageRepo, WithMlsRules, WithPskStore,
};
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::error::MlsError;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider};
use std::time::Duration;

/// MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, RFC 9420 section 17.1.
pub(super) const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

/// Key packages live from 1970 for longer than any visit, and everybody judges them at the same made-up moment:
/// passes expire, key packages do not, and members whose clocks differ agree.
const LIFETIME: Duration = Duration::from_secs(u32::MAX as u64);

/// The made-up moment.
pub(super) fn no_time() -> MlsTime {
    MlsTime::from(1)
}

pub(super) type Config =
    WithMlsRules<Rules, WithIdentityProvider<Passes, WithCryptoProvider<Crypto, Stores>>>;

type Stores = WithGroupStateStorage<
    NoStore,
    WithPskStore<NoStore, WithKeyPackageRepo<OneKeyPackage, BaseConfig>>,
>;

/// A client with a key package store of its own: nothing outlives the [`Client`] and the groups made with it.
pub(super) fn client(identity: &Identity, policy: &Policy) -> Client<Config> {
    Client::builder()
        .key_package_repo(OneKeyPackage::default())
        .psk_store(NoStore)
        .group_state_storage(NoStore)
        .crypto_provider(crypto_provider())
        .identity_provider(Passes(policy.clone()))
        .mls_rules(Rules(policy.clone()))
        .extension_type(CONTEXT_EXTENSION)
        .custom_proposal_type(CHANGE_PROPOSAL)
        .custom_proposal_type(MEETING_PROPOSAL)
        .key_package_lifetime(LIFETIME)
        .signing_identity(
            signing_identity(identity.pass()),
            signature_key(identity),
            SUITE,
        )
        .build()
}

pub(super) fn crypto_provider() -> Crypto {
    Crypto
}

pub(super) fn suite() -> Result<impl CipherSuiteProvider, GroupError> {
    crypto_provider()
        .cipher_suite_provider(SUITE)
        .ok_or_else(|| GroupError::Mls("the cipher suite is missing".into()))
}

/// The pass key as `mls-rs` takes it: seed, then public key.
pub(super) fn signature_key(identity: &Identity) -> SignatureSecretKey {
    let mut keypair = Vec::with_capacity(64);
    keypair.extend_from_slice(&*identity.key().seed());
    keypair.extend_from_slice(identity.key().public().as_bytes());
    SignatureSecretKey::from(keypair)
}

pub(super) fn timestamp() -> MlsTime {
    MlsTime::from(0)
}

/// The library's words without their payloads' bytes: its errors hold indices, types and numbers only.
pub(super) fn mls_error(error: MlsError) -> GroupError {
    GroupError::Mls(format!("{error:?}"))
}
