//! One visit and its rules: who comes in with which link, when, and what the host may do. Without clock, socket or disk.

use crate::book::{BookError, Browser, Help, HelpBy, HelpKind, Invited, Overview};
use sealed_visit_protocol::{Hash32, ParticipantId, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Wrong passcodes after which a link is locked, until somebody of the clinic unlocks it.
pub(crate) const MAX_WRONG_PASSCODES: u32 = 5;

/// A pass outlives the booked end by this long.
const GRACE_MS: u64 = 2 * 60 * 60 * 1000;

/// Links work from this long before the visit.
const EARLY_MS: u64 = 24 * 60 * 60 * 1000;

/// Other browsers that may ask for one link. Later ones are not listed: nobody pushes out a person whose code is
/// being read to the clinic on the phone.
const MAX_BROWSERS: usize = 8;

/// What the clinic did last for one person.
const MAX_HELP: usize = 16;

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
    /// Other browsers that tried the link after it was used.
    pub(crate) second_browser: u32,
    pub(crate) second_browser_ms: Option<u64>,
    /// Those of them that may be let in, oldest first.
    pub(crate) browsers: Vec<OtherBrowser>,
    /// What the clinic did for this person, oldest first.
    pub(crate) help: Vec<Help>,
    /// Somebody came with the link while the visit was locked.
    pub(crate) turned_away: bool,
}

/// A browser that came with a link that another one had used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OtherBrowser {
    /// Of the credential that it made for itself.
    pub(crate) credential: Hash32,
    /// What its screen shows and the host sees. This server chooses it, so that nobody can come with somebody else's.
    pub(crate) code: String,
    pub(crate) at_ms: u64,
    pub(crate) approved: bool,
}

/// Who helps somebody who is locked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Helper {
    /// By the hash of a credential; any clinician of the visit.
    Host(Hash32),
    Scheduler,
}

/// What a browser shows of itself with a link, as hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Redemption<'a> {
    pub(crate) link: Hash32,
    pub(crate) credential: Hash32,
    /// The code of this browser, should it have to wait for an approval.
    pub(crate) code: &'a str,
}

/// A passcode as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenPasscode {
    /// Nothing, or nothing but spaces: that is no attempt.
    None,
    /// As hashes: however it was typed, and as earlier versions took it.
    Typed([Hash32; 2]),
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
            browsers: Vec::new(),
            help: Vec::new(),
            turned_away: false,
        }
    }

    fn check_passcode(&mut self, given: GivenPasscode) -> Result<(), BookError> {
        let Some(passcode) = self.passcode else {
            return Ok(());
        };
        match given {
            GivenPasscode::None => Err(BookError::PasscodeNeeded),
            GivenPasscode::Typed(hashes) if hashes.contains(&passcode) => Ok(()),
            GivenPasscode::Typed(_) => {
                self.wrong_passcodes += 1;
                Err(BookError::WrongPasscode)
            }
        }
    }

    /// Another browser than the one that used the link: it comes in if the clinic approved exactly this one.
    fn take_over(
        &mut self,
        Redemption {
            credential, code, ..
        }: Redemption<'_>,
        passcode: GivenPasscode,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let mut known = self.browsers.iter();
        match known.find(|browser| browser.credential == credential) {
            Some(OtherBrowser { approved: true, .. }) => {
                self.check_passcode(passcode)?;
                self.credential = Some(credential);
                self.browsers.retain(|other| other.credential != credential);
                Ok(())
            }
            Some(_) => Err(BookError::LinkUsed),
            None => {
                // The host is told: a link may have gone to somebody else.
                self.second_browser = self.second_browser.saturating_add(1);
                self.second_browser_ms = Some(now_ms);
                let is_taken = self.browsers.iter().any(|other| other.code == code);
                if self.browsers.len() < MAX_BROWSERS && !is_taken {
                    self.browsers.push(OtherBrowser {
                        credential,
                        code: code.to_owned(),
                        at_ms: now_ms,
                        approved: false,
                    });
                }
                Err(BookError::LinkUsed)
            }
        }
    }

    fn note(&mut self, what: HelpKind, by: HelpBy, at_ms: u64) {
        if self.help.len() == MAX_HELP {
            self.help.remove(0);
        }
        self.help.push(Help { what, by, at_ms });
    }
}

impl StoredVisit {
    /// When its passes expire, and with them the visit.
    pub(crate) fn closes_ms(&self) -> u64 {
        self.ends_ms.saturating_add(GRACE_MS)
    }

    /// From when on links work.
    pub(crate) fn opens_ms(&self) -> u64 {
        self.starts_ms.saturating_sub(EARLY_MS)
    }

    pub(crate) fn check_open(&self, now_ms: u64) -> Result<(), BookError> {
        if self.ended {
            return Err(BookError::Ended);
        }
        if now_ms >= self.closes_ms() {
            return Err(BookError::Over);
        }
        if now_ms < self.opens_ms() {
            return Err(BookError::TooEarly);
        }
        Ok(())
    }

    /// Whose link it is.
    pub(crate) fn by_link(&self, link: Hash32) -> Option<ParticipantId> {
        let mut all = self.participants.iter();
        all.find(|(_, entry)| entry.link == Some(link))
            .map(|(participant, _)| *participant)
    }

    /// Uses a link up for a browser, which comes with a credential that it made and keeps. The same browser gets the same
    /// answer again: after a lost answer, a request that was sent twice, a reload. `passcode` hashes what was given for a
    /// participant.
    pub(crate) fn redeem(
        &mut self,
        shown: Redemption<'_>,
        passcode: impl Fn(ParticipantId) -> GivenPasscode,
        now_ms: u64,
    ) -> Result<(ParticipantId, Role), BookError> {
        self.check_open(now_ms)?;
        let participant = self.by_link(shown.link).ok_or(BookError::UnknownLink)?;
        // One browser that opens two links has a credential for each: one for both would be either person's.
        let mut others = self.participants.iter();
        if others
            .any(|(id, other)| *id != participant && other.credential == Some(shown.credential))
        {
            return Err(BookError::BadCredential);
        }
        let locked = self.locked;
        let entry = self.participants.get_mut(&participant);
        let entry = entry.ok_or(BookError::UnknownLink)?;
        if entry.credential == Some(shown.credential) {
            return Ok((participant, entry.role));
        }
        if entry.wrong_passcodes >= MAX_WRONG_PASSCODES {
            return Err(BookError::LinkLocked);
        }
        if entry.credential.is_some() {
            entry.take_over(shown, passcode(participant), now_ms)?;
            return Ok((participant, entry.role));
        }
        // A recorder is let in by everybody's consent; the lock is about people.
        if locked && entry.role != Role::Recorder {
            entry.turned_away = true;
            return Err(BookError::Locked);
        }
        entry.check_passcode(passcode(participant))?;
        entry.credential = Some(shown.credential);
        Ok((participant, entry.role))
    }

    /// The code that a browser shows while it waits for an approval.
    pub(crate) fn code_of(&self, link: Hash32, credential: Hash32) -> Option<&str> {
        let entry = self.participants.get(&self.by_link(link)?)?;
        let mut browsers = entry.browsers.iter();
        let browser = browsers.find(|browser| browser.credential == credential)?;
        Some(&browser.code)
    }

    fn check_helper(&self, helper: Helper, now_ms: u64) -> Result<HelpBy, BookError> {
        match helper {
            Helper::Host(credential) => {
                self.check_clinician(credential, now_ms)?;
                Ok(HelpBy::Host)
            }
            // Long before a visit a scheduler may find that a link went astray.
            Helper::Scheduler if self.ended => Err(BookError::Ended),
            Helper::Scheduler if now_ms >= self.closes_ms() => Err(BookError::Over),
            Helper::Scheduler => Ok(HelpBy::Scheduler),
        }
    }

    /// Somebody who was invited; recorders have links of their own.
    fn person(&mut self, participant: ParticipantId) -> Result<&mut StoredParticipant, BookError> {
        let entry = self.participants.get_mut(&participant);
        let person = entry.filter(|entry| entry.role != Role::Recorder);
        person.ok_or(BookError::UnknownParticipant)
    }

    /// A new link for somebody. Earlier links, the browser that used one, and those that ask are void; the passcode stays,
    /// and may be tried again. A host never gets a colleague's link: it carries that clinician's powers.
    pub(crate) fn renew_link(
        &mut self,
        helper: Helper,
        participant: ParticipantId,
        link: Hash32,
        now_ms: u64,
    ) -> Result<Role, BookError> {
        let by = self.check_helper(helper, now_ms)?;
        let entry = self.person(participant)?;
        if by == HelpBy::Host && entry.role == Role::Clinician {
            return Err(BookError::SchedulerOnly);
        }
        let help = std::mem::take(&mut entry.help);
        *entry = StoredParticipant::new(entry.role, link, entry.passcode);
        entry.help = help;
        entry.note(HelpKind::NewLink, by, now_ms);
        Ok(entry.role)
    }

    /// Lets one browser, named by the code that it shows, take a link over from the one that used it.
    pub(crate) fn approve(
        &mut self,
        helper: Helper,
        participant: ParticipantId,
        code: &str,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let by = self.check_helper(helper, now_ms)?;
        let entry = self.person(participant)?;
        let mut browsers = entry.browsers.iter_mut();
        let browser = browsers.find(|browser| browser.code == code);
        let browser = browser.ok_or(BookError::UnknownBrowser)?;
        if browser.approved {
            return Ok(());
        }
        browser.approved = true;
        // Of several, the last word counts.
        for other in &mut entry.browsers {
            other.approved = other.code == code;
        }
        entry.note(HelpKind::Approved, by, now_ms);
        Ok(())
    }

    /// A passcode may be tried again.
    pub(crate) fn unlock_passcode(
        &mut self,
        helper: Helper,
        participant: ParticipantId,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let by = self.check_helper(helper, now_ms)?;
        let entry = self.person(participant)?;
        if entry.wrong_passcodes > 0 {
            entry.wrong_passcodes = 0;
            entry.note(HelpKind::PasscodeUnlocked, by, now_ms);
        }
        Ok(())
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

    pub(crate) fn overview(&self, helper: Helper, now_ms: u64) -> Result<Overview, BookError> {
        self.check_helper(helper, now_ms)?;
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
                    browsers: entry.browsers.iter().map(Browser::from).collect(),
                    locked: entry.wrong_passcodes >= MAX_WRONG_PASSCODES,
                    turned_away: entry.turned_away,
                    help: entry.help.clone(),
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
