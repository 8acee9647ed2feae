//! What `mls-rs` wants to keep: nothing but one key package's private keys while somebody waits.
//!
//! Groups are never written anywhere ([`NoStore`]), so no past epoch's secrets stay; pre-shared keys are not used. The
//! library's own in-memory stores would also do, with more code.

use mls_rs_core::error::IntoAnyError;
use mls_rs_core::group::{EpochRecord, GroupState, GroupStateStorage};
use mls_rs_core::key_package::{KeyPackageData, KeyPackageStorage};
use mls_rs_core::psk::{ExternalPskId, PreSharedKey, PreSharedKeyStorage};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NoStore;

/// Nothing can be written to [`NoStore`].
#[derive(Debug)]
pub(super) struct NotKept;

impl IntoAnyError for NotKept {}

impl GroupStateStorage for NoStore {
    type Error = NotKept;

    fn state(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, NotKept> {
        Ok(None)
    }

    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<Zeroizing<Vec<u8>>>, NotKept> {
        Ok(None)
    }

    fn write(
        &mut self,
        _: GroupState,
        _: Vec<EpochRecord>,
        _: Vec<EpochRecord>,
    ) -> Result<(), NotKept> {
        Err(NotKept)
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, NotKept> {
        Ok(None)
    }
}

impl PreSharedKeyStorage for NoStore {
    type Error = NotKept;

    fn get(&self, _: &ExternalPskId) -> Result<Option<PreSharedKey>, NotKept> {
        Ok(None)
    }
}

/// One key package's reference and private keys; clones share it.
#[derive(Clone, Default)]
pub(super) struct OneKeyPackage(Arc<Mutex<Kept>>);

type Kept = Option<(Vec<u8>, KeyPackageData)>;

impl OneKeyPackage {
    /// What is kept, which is then kept no longer.
    pub fn take(&self) -> Option<(Vec<u8>, KeyPackageData)> {
        self.kept().take()
    }

    /// Keeps these keys in place of others.
    pub fn put(&self, reference: Vec<u8>, keys: KeyPackageData) {
        *self.kept() = Some((reference, keys));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A value is replaced or not; there is nothing in between for a panic to leave behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeping does not fail.
#[derive(Debug)]
pub(super) enum Never {}

impl IntoAnyError for Never {}

impl KeyPackageStorage for OneKeyPackage {
    type Error = Never;

    fn delete(&mut self, reference: &[u8]) -> Result<(), Never> {
        let mut kept = self.kept();
        if kept.as_ref().is_some_and(|(known, _)| known == reference) {
            *kept = None;
        }
        Ok(())
    }

    fn insert(&mut self, reference: Vec<u8>, keys: KeyPackageData) -> Result<(), Never> {
        self.put(reference, keys);
        Ok(())
    }

    fn get(&self, reference: &[u8]) -> Result<Option<KeyPackageData>, Never> {
        let kept = self.kept();
        let found = kept.as_ref().filter(|(known, _)| known == reference);
        Ok(found.map(|(_, keys)| keys.clone()))
    }
}
