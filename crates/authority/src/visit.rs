//! One visit and its rules: who comes in with which link, when, and what the host may do. Without clock, socket or disk.

use sealed_visit_protocol::{Hash32, ParticipantId, Role};
use std::collections::BTreeMap;

use crate::book::{BookError, Invited, Overview};

/// Wrong passcodes after which a link is dead.
pub(crate) const MAX_WRONG_PASSCODES: u32 = 5;

/// A pass outlives the booked end by this long.
const GRACE_MS: u64 = 2 * 60 * 60 * 1000;

/// Links work from this long before the visit.
const EARLY_MS: u64 = 24 * 60 * 60 * 1000;

/// As it is kept: hashes of secrets, never secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredVisit {
    pub(crate) appointment: String,
    pub(crate) starts_ms: u64,
    pub(crate) ends_ms: u64,
    pub(crate) template: Option<String>,
    pub(crate) participants: BTreeMap<ParticipantId, StoredParticipant>,
    /// The one recorder of the visit, on whatever device it runs.
    pub(crate) recorder: Option<ParticipantId>,
    pub(crate) locked: bool,
    pub(crate) ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredParticipant {
    pub(crate) role: Role,
    pub(crate) link: Option<Hash32>,
    pub(crate) passcode: Option<Hash32>,
    pub(crate) wrong_passcodes: u32,
    /// Of the browser that redeemed the link.
    pub(crate) credential: Option<Hash32>,
    /// Tries of other browsers after the link was used.
    pub(crate) second_browser: u32,
    pub(crate) second_browser_ms: Option<u64>,
    /// Somebody came with the link while the visit was locked.
    pub(crate) turned_away: bool,
}

impl StoredParticipant {
    pub(crate) fn new(role: Role, link: Hash32, passcode: Option<Hash32>) -> Self {
        Self {
            role,
            link: Some(link),
            passcode,
            wrong_passcodes: 0,
            credential: None,
            second_browser: 0,
            second_browser_ms: None,
            turned_away: false,
        }
    }
}

impl StoredVisit {
    /// When its passes expire, and with them the visit.
    pub(crate) fn closes_ms(&self) -> u64 {
        self.ends_ms.saturating_add(GRACE_MS)
    }

    pub(crate) fn check_open(&self, now_ms: u64) -> Result<(), BookError> {
        if self.ended {
            return Err(BookError::Ended);
        }
        if now_ms.saturating_add(EARLY_MS) < self.starts_ms || now_ms >= self.closes_ms() {
            return Err(BookError::OutsideTime);
        }
        Ok(())
    }

    /// Whose link it is.
    pub(crate) fn by_link(&self, link: Hash32) -> Option<ParticipantId> {
        let mut all = self.participants.iter();
        all.find(|(_, entry)| entry.link == Some(link))
            .map(|(participant, _)| *participant)
    }

    /// Uses a link up for a browser, which gets the credential. `passcode` hashes what was given for a participant.
    pub(crate) fn redeem(
        &mut self,
        link: Hash32,
        credential: Hash32,
        passcode: impl Fn(ParticipantId) -> Option<Hash32>,
        now_ms: u64,
    ) -> Result<(ParticipantId, Role), BookError> {
        self.check_open(now_ms)?;
        let participant = self.by_link(link).ok_or(BookError::UnknownLink)?;
        let locked = self.locked;
        let entry = self.participants.get_mut(&participant);
        let entry = entry.ok_or(BookError::UnknownLink)?;
        if entry.wrong_passcodes >= MAX_WRONG_PASSCODES {
            return Err(BookError::LinkLocked);
        }
        if entry.credential.is_some() {
            // The host is told: a link may have gone to somebody else.
            entry.second_browser = entry.second_browser.saturating_add(1);
            entry.second_browser_ms = Some(now_ms);
            return Err(BookError::LinkUsed);
        }
        // A recorder is let in by everybody's consent; the lock is about people.
        if locked && entry.role != Role::Recorder {
            entry.turned_away = true;
            return Err(BookError::Locked);
        }
        if entry.passcode.is_some() && passcode(participant) != entry.passcode {
            entry.wrong_passcodes += 1;
            return Err(BookError::WrongPasscode);
        }
        entry.credential = Some(credential);
        Ok((participant, entry.role))
    }

    pub(crate) fn by_credential(
        &self,
        credential: Hash32,
        now_ms: u64,
    ) -> Result<(ParticipantId, Role), BookError> {
        self.check_open(now_ms)?;
        self.participants
            .iter()
            .find(|(_, entry)| entry.credential == Some(credential))
            .map(|(participant, entry)| (*participant, entry.role))
            .ok_or(BookError::UnknownCredential)
    }

    /// Host powers may be handed over inside the group, which this server does not see: any clinician of the visit
    /// has them here.
    pub(crate) fn check_clinician(&self, credential: Hash32, now_ms: u64) -> Result<(), BookError> {
        let (_, role) = self.by_credential(credential, now_ms)?;
        if role == Role::Clinician {
            Ok(())
        } else {
            Err(BookError::NotTheHost)
        }
    }

    /// The one recorder of the visit, for a clinician of it; `fresh` is its id if there was none.
    pub(crate) fn recorder_of(
        &mut self,
        credential: Hash32,
        fresh: ParticipantId,
        now_ms: u64,
    ) -> Result<ParticipantId, BookError> {
        self.check_clinician(credential, now_ms)?;
        Ok(*self.recorder.get_or_insert(fresh))
    }

    /// Voids earlier links and credentials of the recorder; its passcode stays.
    pub(crate) fn renew_recorder_link(
        &mut self,
        credential: Hash32,
        fresh: ParticipantId,
        link: Hash32,
        now_ms: u64,
    ) -> Result<ParticipantId, BookError> {
        let participant = self.recorder_of(credential, fresh, now_ms)?;
        let known = self.participants.get(&participant);
        let passcode = known.and_then(|entry| entry.passcode);
        let entry = StoredParticipant::new(Role::Recorder, link, passcode);
        self.participants.insert(participant, entry);
        Ok(participant)
    }

    pub(crate) fn overview(&self, credential: Hash32, now_ms: u64) -> Result<Overview, BookError> {
        self.check_clinician(credential, now_ms)?;
        Ok(Overview {
            starts_ms: self.starts_ms,
            ends_ms: self.ends_ms,
            closes_ms: self.closes_ms(),
            template: self.template.clone(),
            locked: self.locked,
            participants: self
                .participants
                .iter()
                .filter(|(_, entry)| entry.role != Role::Recorder)
                .map(|(participant, entry)| Invited {
                    participant: *participant,
                    role: entry.role,
                    redeemed: entry.credential.is_some(),
                    second_browser: entry.second_browser,
                    second_browser_ms: entry.second_browser_ms,
                    locked: entry.wrong_passcodes >= MAX_WRONG_PASSCODES,
                    turned_away: entry.turned_away,
                })
                .collect(),
        })
    }

    /// While a visit is locked, links that were not redeemed yet are refused; whoever was in may come back.
    pub(crate) fn lock(
        &mut self,
        credential: Hash32,
        locked: bool,
        now_ms: u64,
    ) -> Result<(), BookError> {
        self.check_clinician(credential, now_ms)?;
        self.locked = locked;
        if !locked {
            for entry in self.participants.values_mut() {
                entry.turned_away = false;
            }
        }
        Ok(())
    }

    /// The host ends the visit: no more passes.
    pub(crate) fn end(&mut self, credential: Hash32, now_ms: u64) -> Result<(), BookError> {
        self.check_clinician(credential, now_ms)?;
        self.ended = true;
        Ok(())
    }
}
