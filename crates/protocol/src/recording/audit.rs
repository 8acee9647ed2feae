//! The vault's audit log as others see it: entries in a hash chain, and signed heads that pin how far it had come.
//!
//! Entry `n` is a JSON text that names its number and the hash of entry `n - 1`; its own hash is SHA-256 over
//! `sealed-visit vault audit v1`, a zero byte and that text. A chain alone shows no entry that was cut out before
//! everything after it was recomputed: anyone who kept a signed head can detect it.

use crate::bytes::Hash32;
use crate::hash::sha256;
use crate::json;
use crate::jws::{Claims, Jws, JwsError, PublicKey};
use serde::{Deserialize, Serialize};

/// Claims of a log head, signed by the vault's key: the log had `size` entries, and the last one this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHeadClaims {
    /// The format's major version, [`crate::VERSION`].
    pub v: u32,
    /// How many entries the log had.
    pub size: u64,
    /// All zero while the log is empty.
    pub head: Hash32,
    /// When the head was signed, by the vault's clock, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Claims for AuditHeadClaims {
    const TYP: &'static str = "sv-audit-head+jwt";
}

/// An entry as stored: the exact text, and the hash that the next entry names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry {
    /// The entry's exact JSON text. Never serialize it again to check it.
    pub entry: String,
    /// [`StoredEntry::hash_of`] the text.
    pub hash: Hash32,
}

impl StoredEntry {
    /// SHA-256 over `sealed-visit vault audit v1`, a zero byte, and an entry's text.
    pub fn hash_of(text: &str) -> Hash32 {
        sha256(&[b"sealed-visit vault audit v1\0", text.as_bytes()].concat())
    }
}

/// Why a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The text of this entry is not what its hash says.
    #[error("audit entry {0} is not the text that was hashed")]
    Changed(u64),
    /// This entry's number, or the hash it names, is not what follows: entries are missing, or in another order.
    #[error("audit entry {0} does not follow the entry before it")]
    Broken(u64),
    /// This entry is not JSON with a number and a hash.
    #[error("audit entry {0} cannot be read")]
    Unreadable(u64),
    /// The vault did not sign a head, or it cannot be read.
    #[error("a log head is refused: {0}")]
    Head(#[from] JwsError),
    /// Entries at the end are gone.
    #[error(
        "the log has {got} entries, but the vault signed a head over {signed}: entries are missing at its end"
    )]
    Shorter {
        /// How many entries the vault once signed for.
        signed: u64,
        /// How many there are.
        got: u64,
    },
    /// After this many entries the log differs from a head that the vault signed: it was rewritten.
    #[error("the log's first {0} entries are not the ones that the vault signed: it was rewritten")]
    Rewritten(u64),
    /// Two heads over this many entries differ. Together they prove it, without the log.
    #[error("the vault signed two different logs of {0} entries")]
    Forked(u64),
}

/// Follows a log, entry by entry, past the heads that were seen before.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    next: u64,
    head: Head,
    /// Sorted by size, the largest first: the next one is at the end.
    pending: Vec<AuditHeadClaims>,
}

#[derive(Debug, Clone, Copy)]
struct Head(Hash32);

impl Default for Head {
    fn default() -> Self {
        Self(Hash32([0; 32]))
    }
}

#[derive(Deserialize)]
struct Link {
    seq: u64,
    previous: Hash32,
}

impl Chain {
    /// A chain that must pass through every one of these heads.
    pub fn through<'a>(
        heads: impl IntoIterator<Item = &'a Jws<AuditHeadClaims>>,
        vault: &PublicKey,
    ) -> Result<Self, AuditError> {
        let mut pending = Vec::new();
        for head in heads {
            pending.push(head.verify(vault)?);
        }
        pending.sort_by_key(|head| std::cmp::Reverse(head.size));
        if let Some(pair) = pending
            .windows(2)
            .find(|pair| pair[0].size == pair[1].size && pair[0].head != pair[1].head)
        {
            return Err(AuditError::Forked(pair[0].size));
        }
        let mut chain = Self {
            pending,
            ..Self::default()
        };
        chain.pass()?;
        Ok(chain)
    }

    /// Checks that `stored` is the next entry.
    pub fn follow(&mut self, stored: &StoredEntry) -> Result<(), AuditError> {
        let seq = self.next;
        if StoredEntry::hash_of(&stored.entry) != stored.hash {
            return Err(AuditError::Changed(seq));
        }
        let link: Result<Link, _> =
            json::Tree::parse(stored.entry.as_bytes()).and_then(|tree| tree.read());
        let link = link.map_err(|_| AuditError::Unreadable(seq))?;
        if link.seq != seq || link.previous != self.head.0 {
            return Err(AuditError::Broken(seq));
        }
        self.next += 1;
        self.head = Head(stored.hash);
        self.pass()
    }

    /// The log ends here: no head may be beyond.
    pub fn end(&self) -> Result<(), AuditError> {
        match self.pending.first() {
            None => Ok(()),
            Some(head) => Err(AuditError::Shorter {
                signed: head.size,
                got: self.next,
            }),
        }
    }

    /// How many entries were followed.
    pub fn len(&self) -> u64 {
        self.next
    }

    /// Whether no entry was followed yet.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Hash of the last entry that was followed; all zero before the first.
    pub fn head(&self) -> Hash32 {
        self.head.0
    }

    fn pass(&mut self) -> Result<(), AuditError> {
        while let Some(head) = self.pending.last().filter(|head| head.size == self.next) {
            if head.head != self.head.0 {
                return Err(AuditError::Rewritten(self.next));
            }
            self.pending.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jws::SigningKey;

    /// A log of these words, linked as it should be.
    fn log(words: &[&str]) -> Vec<StoredEntry> {
        let mut previous = Hash32([0; 32]);
        let entries = words.iter().enumerate().map(|(seq, word)| {
            let entry = format!(r#"{{"seq":{seq},"word":"{word}","previous":"{previous}"}}"#);
            let hash = StoredEntry::hash_of(&entry);
            previous = hash;
            StoredEntry { entry, hash }
        });
        entries.collect()
    }

    fn head(key: &SigningKey, log: &[StoredEntry]) -> Jws<AuditHeadClaims> {
        key.sign(&AuditHeadClaims {
            v: 1,
            size: log.len() as u64,
            head: log.last().map_or(Hash32([0; 32]), |entry| entry.hash),
            at_ms: 1,
        })
    }

    fn check(
        log: &[StoredEntry],
        heads: &[Jws<AuditHeadClaims>],
        key: &PublicKey,
    ) -> Result<(), AuditError> {
        let mut chain = Chain::through(heads, key)?;
        for entry in log {
            chain.follow(entry)?;
        }
        chain.end()
    }

    #[test]
    fn an_entry_cut_out_of_a_recomputed_log_is_noticed_by_an_earlier_head() {
        let vault = SigningKey::from_seed(&[1; 32]);
        let key = vault.public();
        let whole = log(&["opened", "withdrawn", "opened", "deleted"]);
        for size in 0..=whole.len() {
            let heads = [head(&vault, &whole[..size]), head(&vault, &whole[..0])];
            assert_eq!(check(&whole, &heads, &key), Ok(()));
        }
        let cut = log(&["opened", "opened", "deleted"]);
        // The chain itself is fine.
        assert_eq!(check(&cut, &[], &key), Ok(()));
        assert_eq!(
            check(&cut, &[head(&vault, &whole[..2])], &key),
            Err(AuditError::Rewritten(2))
        );
        assert_eq!(
            check(&cut, &[head(&vault, &whole)], &key),
            Err(AuditError::Shorter { signed: 4, got: 3 })
        );
        assert_eq!(
            check(&[], &[head(&vault, &whole[..1])], &key),
            Err(AuditError::Shorter { signed: 1, got: 0 })
        );
    }

    #[test]
    fn heads_of_two_logs_and_of_another_signer_are_refused() {
        let [vault, other] = [1, 2].map(|byte| SigningKey::from_seed(&[byte; 32]));
        let [one, two] = [log(&["a", "b"]), log(&["a", "c"])];
        let heads = [head(&vault, &one), head(&vault, &two)];
        assert_eq!(
            check(&one, &heads, &vault.public()),
            Err(AuditError::Forked(2))
        );
        assert!(matches!(
            check(&one, &[head(&other, &one)], &vault.public()),
            Err(AuditError::Head(_))
        ));
    }

    #[test]
    fn changed_missing_and_misplaced_entries_are_noticed() {
        let key = SigningKey::from_seed(&[1; 32]).public();
        let whole = log(&["a", "b", "c"]);
        let mut changed = whole.clone();
        changed[1].entry = changed[1].entry.replace('b', "x");
        assert_eq!(check(&changed, &[], &key), Err(AuditError::Changed(1)));
        let missing = [whole[0].clone(), whole[2].clone()];
        assert_eq!(check(&missing, &[], &key), Err(AuditError::Broken(1)));
        let unreadable = StoredEntry {
            entry: "{}".into(),
            hash: StoredEntry::hash_of("{}"),
        };
        assert_eq!(
            check(&[unreadable], &[], &key),
            Err(AuditError::Unreadable(0))
        );
    }
}
