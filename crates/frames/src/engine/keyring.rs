//! The live epochs' keys, found by key id alone.
//!
//! Invariants: at most [`MAX_LIVE_EPOCHS`], no two with the same low bits, in ascending order; no
//! base key is ever installed twice; a retired epoch's keys die when their time is over, a removed
//! leaf's at once.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::sframe::{BASE_KEY_BYTES, DecryptionKey, EncryptionKey, Epoch, Kid, Leaf, MAX_LEAVES};

use super::FramesError;

/// How many epochs' keys live side by side.
pub const MAX_LIVE_EPOCHS: usize = 3;

/// All keys there are.
#[derive(Default)]
pub(super) struct Keyring {
    /// Ascending by epoch.
    live: Vec<LiveEpoch>,
    sending: Option<Epoch>,
    installed_key_hashes: HashSet<[u8; 32]>,
    encrypted_per_epoch: BTreeMap<Epoch, u64>,
}

struct LiveEpoch {
    epoch: Epoch,
    own_leaf: Leaf,
    own_key: EncryptionKey,
    /// By leaf index: everybody's but our own.
    others: [Option<Box<DecryptionKey>>; MAX_LEAVES],
    dies_at_ms: Option<u64>,
}

/// What a key id stands for.
pub(super) enum Lookup<'a> {
    /// A live key.
    Key(&'a mut DecryptionKey),
    /// The sending key of our own leaf.
    Own,
    /// A present leaf's key in the epoch that comes next.
    Next,
    /// Nothing that we know.
    Unknown,
}

impl Keyring {
    /// Derives the keys of `epoch`. Returns the epochs that had to make room.
    pub fn install(
        &mut self,
        epoch: Epoch,
        base_key: &[u8; BASE_KEY_BYTES],
        own_leaf: Leaf,
        leaves: &[Leaf],
    ) -> Result<Vec<Epoch>, FramesError> {
        if let Some(newest) = self.live.last().map(|live| live.epoch)
            && epoch <= newest
        {
            return Err(FramesError::EpochOrder { epoch, newest });
        }
        if !leaves.contains(&own_leaf) {
            return Err(FramesError::NotAMember {
                epoch,
                leaf: own_leaf,
            });
        }
        if !self
            .installed_key_hashes
            .insert(Sha256::digest(base_key).into())
        {
            return Err(FramesError::BaseKeyReused { epoch });
        }

        let mut evicted = self.evict(|live| live.epoch.low_bits() == epoch.low_bits());
        if self.live.len() == MAX_LIVE_EPOCHS {
            let oldest = self.live[0].epoch;
            evicted.extend(self.evict(|live| live.epoch == oldest));
        }
        let mut others = [const { None }; MAX_LEAVES];
        for leaf in leaves.iter().filter(|leaf| **leaf != own_leaf) {
            let key = DecryptionKey::derive(base_key, Kid::new(*leaf, epoch));
            others[usize::from(leaf.index())] = Some(Box::new(key));
        }
        let own_key = EncryptionKey::derive(base_key, Kid::new(own_leaf, epoch));
        self.live.push(LiveEpoch {
            epoch,
            own_leaf,
            own_key,
            others,
            dies_at_ms: None,
        });
        Ok(evicted)
    }

    /// Chooses the epoch to send in. A retired epoch cannot be chosen.
    pub fn send_in(&mut self, epoch: Epoch) -> Result<(), FramesError> {
        let usable = |live: &LiveEpoch| live.epoch == epoch && live.dies_at_ms.is_none();
        if !self.live.iter().any(usable) {
            return Err(FramesError::UnknownEpoch { epoch });
        }
        self.sending = Some(epoch);
        Ok(())
    }

    /// Ends sending in `epoch` at once, and receiving at `dies_at_ms`.
    pub fn retire(&mut self, epoch: Epoch, dies_at_ms: u64) -> Result<(), FramesError> {
        let live = self
            .live
            .iter_mut()
            .find(|live| live.epoch == epoch)
            .ok_or(FramesError::UnknownEpoch { epoch })?;
        // Retiring again does not prolong a life.
        live.dies_at_ms = Some(live.dies_at_ms.map_or(dies_at_ms, |at| at.min(dies_at_ms)));
        if self.sending == Some(epoch) {
            self.sending = None;
        }
        Ok(())
    }

    /// Destroys the keys of `leaf` in every epoch before `removed_in`.
    pub fn remove_leaf(&mut self, leaf: Leaf, removed_in: Epoch) {
        for live in self.live.iter_mut().filter(|live| live.epoch < removed_in) {
            live.others[usize::from(leaf.index())] = None;
        }
    }

    /// Destroys the keys whose time is over.
    pub fn expire(&mut self, now_ms: u64) {
        if self.live.iter().any(|live| live.is_over(now_ms)) {
            self.evict(|live| live.is_over(now_ms));
        }
    }

    /// Destroys all keys. Base keys that were installed stay refused.
    pub fn clear(&mut self) {
        self.live.clear();
        self.sending = None;
    }

    /// The epoch that is sent in.
    pub fn sending_epoch(&self) -> Option<Epoch> {
        self.sending
    }

    /// The key to send with.
    pub fn sending_key(&mut self) -> Option<&mut EncryptionKey> {
        let epoch = self.sending?;
        self.live
            .iter_mut()
            .find(|live| live.epoch == epoch)
            .map(|live| &mut live.own_key)
    }

    /// Counts one more frame encrypted in the sending epoch.
    pub fn count_encrypted(&mut self) {
        if let Some(epoch) = self.sending {
            *self.encrypted_per_epoch.entry(epoch).or_default() += 1;
        }
    }

    /// Frames encrypted, by epoch, those of past epochs included.
    pub fn encrypted_per_epoch(&self) -> &BTreeMap<Epoch, u64> {
        &self.encrypted_per_epoch
    }

    /// The live epochs, oldest first.
    pub fn live_epochs(&self) -> impl Iterator<Item = Epoch> {
        self.live.iter().map(|live| live.epoch)
    }

    /// What `kid` stands for now.
    pub fn look_up(&mut self, kid: Kid) -> Lookup<'_> {
        let leaf_index = usize::from(kid.leaf().index());
        let is_next = self.live.last().is_some_and(|newest| {
            newest.epoch.low_bits().wrapping_add(1) == kid.epoch_low_bits()
                && newest.others[leaf_index].is_some()
        });
        let epoch = self
            .live
            .iter_mut()
            .find(|live| live.epoch.low_bits() == kid.epoch_low_bits());
        match epoch {
            Some(live) if live.own_leaf == kid.leaf() => Lookup::Own,
            Some(live) => live.others[leaf_index]
                .as_deref_mut()
                .map_or(Lookup::Unknown, Lookup::Key),
            None if is_next => Lookup::Next,
            None => Lookup::Unknown,
        }
    }

    fn evict(&mut self, goes: impl Fn(&LiveEpoch) -> bool) -> Vec<Epoch> {
        let evicted: Vec<_> = self
            .live
            .extract_if(.., |live| goes(live))
            .map(|live| live.epoch)
            .collect();
        if self
            .sending
            .is_some_and(|sending| evicted.contains(&sending))
        {
            self.sending = None;
        }
        evicted
    }
}

impl LiveEpoch {
    fn is_over(&self, now_ms: u64) -> bool {
        self.dies_at_ms.is_some_and(|at| at <= now_ms)
    }
}
