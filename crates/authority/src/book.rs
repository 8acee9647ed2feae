//! Visits, participants, link secrets and credentials: the rules, without clock, socket or disk.

use crate::persist::{StoredParticipant, StoredVisit};
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::pass::{Confirmation, PassClaims};
use sealed_visit_protocol::{
    Hash32, Jws, ParticipantId, PublicKey, Role, SigningKey, VERSION, VisitId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Wrong passcodes after which a link is dead.
const MAX_WRONG_PASSCODES: u32 = 5;

/// More people do not fit into a group.
const MAX_PARTICIPANTS: usize = 32;

/// What a scheduler asks for.
#[derive(Debug, Clone, Deserialize)]
pub struct NewVisit {
    /// Opaque to this server; no names, no reasons.
    #[serde(default)]
    pub appointment: String,
    pub starts_ms: u64,
    pub ends_ms: u64,
    #[serde(default)]
    pub template: Option<String>,
    pub participants: Vec<NewParticipant>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct NewParticipant {
    pub role: Role,
    /// Asked for when the link is redeemed; at least four characters.
    #[serde(default)]
    pub passcode: Option<String>,
}

/// A visit as its scheduler gets it back: the only time that link secrets are seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VisitLinks {
    pub visit: VisitId,
    pub links: Vec<Link>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Link {
    pub participant: ParticipantId,
    pub role: Role,
    /// For the URL's fragment, which no server sees.
    pub secret: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Link({} {:?}, secret redacted)",
            self.participant, self.role
        )
    }
}

/// What anybody who has the visit's id may know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VisitInfo {
    pub visit: VisitId,
    /// This server's clock, for pages whose own is wrong.
    pub now_ms: u64,
    pub starts_ms: u64,
    pub ends_ms: u64,
    /// When it is over for everybody: the passes expire.
    pub closes_ms: u64,
    pub template: Option<String>,
    /// The host lets nobody else in.
    pub locked: bool,
    pub ended: bool,
}

/// What the host may know besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    pub starts_ms: u64,
    pub ends_ms: u64,
    pub closes_ms: u64,
    pub template: Option<String>,
    pub locked: bool,
    /// Everybody who was invited; recorders are not people.
    pub participants: Vec<Invited>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    pub participant: ParticipantId,
    pub role: Role,
    /// Somebody came with the link.
    pub redeemed: bool,
    /// How often another browser tried a link that was used already, and when it did last.
    pub second_browser: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_browser_ms: Option<u64>,
    /// The link is dead after too many wrong passcodes.
    pub locked: bool,
    /// Somebody came with the link while the visit was locked, and not since it was unlocked.
    #[serde(default)]
    pub turned_away: bool,
}

/// A pass, and the credential by which the same browser gets another after a reload.
#[derive(Clone, Serialize, Deserialize)]
pub struct Admission {
    pub pass: Jws<PassClaims>,
    pub participant: ParticipantId,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Why somebody was not admitted. The texts name nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    #[error("there is no such visit")]
    UnknownVisit,
    #[error("this link is not valid")]
    UnknownLink,
    #[error("this link was used already, in another browser")]
    LinkUsed,
    #[error("the link can be used from 24 hours before the visit until its end")]
    OutsideTime,
    #[error("the passcode is wrong")]
    WrongPasscode,
    #[error("this link was locked after too many wrong passcodes")]
    LinkLocked,
    #[error("this browser is not known for this visit")]
    UnknownCredential,
    #[error("only a clinician of this visit may do that")]
    NotTheHost,
    #[error("the visit is locked: nobody else can join")]
    Locked,
    #[error("the visit has ended")]
    Ended,
    #[error(
        "a visit has from 1 to 32 participants, ends after it starts, and has a clinician and at most one recorder"
    )]
    BadVisit,
    #[error("a passcode needs at least 4 characters")]
    BadPasscode,
}

impl BookError {
    /// A stable code for pages.
    pub fn code(self) -> &'static str {
        match self {
            BookError::UnknownVisit => "unknown_visit",
            BookError::UnknownLink => "unknown_link",
            BookError::LinkUsed => "link_used",
            BookError::OutsideTime => "outside_time",
            BookError::WrongPasscode => "wrong_passcode",
            BookError::LinkLocked => "link_locked",
            BookError::UnknownCredential => "unknown_credential",
            BookError::NotTheHost => "not_the_host",
            BookError::Locked => "locked",
            BookError::Ended => "ended",
            BookError::BadVisit => "bad_visit",
            BookError::BadPasscode => "bad_passcode",
        }
    }
}

/// What a browser shows when it asks for a pass.
#[derive(Debug, Clone, Copy)]
pub struct Holder {
    pub key: PublicKey,
    pub name: Hash32,
}

/// Source of fresh secrets; the operating system's in production.
pub type Randomness = fn(&mut [u8]);

/// All visits of one authority.
pub struct Book {
    key: SigningKey,
    visits: BTreeMap<VisitId, StoredVisit>,
    randomness: Randomness,
}

impl Book {
    pub fn new(key: SigningKey, randomness: Randomness) -> Self {
        Self {
            key,
            visits: BTreeMap::new(),
            randomness,
        }
    }

    pub(crate) fn restore(&mut self, visits: BTreeMap<VisitId, StoredVisit>) {
        self.visits = visits;
    }

    pub(crate) fn visits(&self) -> &BTreeMap<VisitId, StoredVisit> {
        &self.visits
    }

    pub fn create(&mut self, asked: &NewVisit) -> Result<VisitLinks, BookError> {
        let has_host = asked
            .participants
            .iter()
            .any(|participant| participant.role == Role::Clinician);
        let people = asked.participants.len();
        let recorders = asked
            .participants
            .iter()
            .filter(|participant| participant.role == Role::Recorder)
            .count();
        if !has_host
            || recorders > 1
            || people > MAX_PARTICIPANTS
            || asked.ends_ms <= asked.starts_ms
        {
            return Err(BookError::BadVisit);
        }
        let short = |passcode: &String| passcode.chars().count() < 4;
        if asked
            .participants
            .iter()
            .any(|participant| participant.passcode.as_ref().is_some_and(short))
        {
            return Err(BookError::BadPasscode);
        }
        let visit = VisitId::from_bytes(self.random());
        let mut stored = StoredVisit::new(asked);
        let mut links = Vec::with_capacity(people);
        for asked in &asked.participants {
            let participant = ParticipantId::from_bytes(self.random());
            let secret = self.secret();
            let passcode = asked
                .passcode
                .as_ref()
                .map(|passcode| passcode_hash(participant, passcode));
            let entry = StoredParticipant::new(asked.role, secret_hash(&secret), passcode);
            if asked.role == Role::Recorder {
                // The one recorder of the visit, on whatever device it runs.
                stored.recorder = Some(participant);
            }
            stored.participants.insert(participant, entry);
            links.push(Link {
                participant,
                role: asked.role,
                secret,
            });
        }
        self.visits.insert(visit, stored);
        Ok(VisitLinks { visit, links })
    }

    pub fn info(&self, visit: VisitId, now_ms: u64) -> Result<VisitInfo, BookError> {
        let stored = self.visits.get(&visit).ok_or(BookError::UnknownVisit)?;
        Ok(VisitInfo {
            visit,
            now_ms,
            starts_ms: stored.starts_ms,
            ends_ms: stored.ends_ms,
            closes_ms: stored.closes_ms(),
            template: stored.template.clone(),
            locked: stored.locked,
            ended: stored.ended,
        })
    }

    /// Redeems a link's secret, once, for a pass bound to the browser's key.
    pub fn redeem(
        &mut self,
        visit: VisitId,
        secret: &str,
        passcode: Option<&str>,
        holder: Holder,
        now_ms: u64,
    ) -> Result<Admission, BookError> {
        let credential = self.secret();
        let wanted = secret_hash(secret);
        let stored = self.open_visit(visit, now_ms)?;
        let locked = stored.locked;
        let (participant, entry) = stored
            .participants
            .iter_mut()
            .find(|(_, entry)| entry.link == Some(wanted))
            .ok_or(BookError::UnknownLink)?;
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
        let given = passcode.map(|passcode| passcode_hash(*participant, passcode));
        if entry.passcode.is_some() && given != entry.passcode {
            entry.wrong_passcodes += 1;
            return Err(BookError::WrongPasscode);
        }
        entry.credential = Some(secret_hash(&credential));
        let (participant, role) = (*participant, entry.role);
        let pass = self.issue(visit, participant, role, holder, now_ms)?;
        Ok(Admission {
            pass,
            participant,
            role,
            credential: Some(credential),
        })
    }

    /// A new pass for the browser that redeemed the link.
    pub fn renew(
        &mut self,
        visit: VisitId,
        credential: &str,
        holder: Holder,
        now_ms: u64,
    ) -> Result<Admission, BookError> {
        let (participant, role) = self.by_credential(visit, credential, now_ms)?;
        let pass = self.issue(visit, participant, role, holder, now_ms)?;
        Ok(Admission {
            pass,
            participant,
            role,
            credential: None,
        })
    }

    /// The host's recorder: one participant id for the whole visit, so that a replacement joins under the same grants.
    pub fn recorder_pass(
        &mut self,
        visit: VisitId,
        credential: &str,
        holder: Holder,
        now_ms: u64,
    ) -> Result<Admission, BookError> {
        let participant = self.recorder_of(visit, credential, now_ms)?;
        let pass = self.issue(visit, participant, Role::Recorder, holder, now_ms)?;
        Ok(Admission {
            pass,
            participant,
            role: Role::Recorder,
            credential: None,
        })
    }

    /// A link for the visit's recorder, on another device or in another browser than the host's. Only the last one that
    /// was made works, and only the page that came with it can be let in again after a reload.
    pub fn recorder_link(
        &mut self,
        visit: VisitId,
        credential: &str,
        now_ms: u64,
    ) -> Result<Link, BookError> {
        let participant = self.recorder_of(visit, credential, now_ms)?;
        let secret = self.secret();
        let stored = self.open_visit(visit, now_ms)?;
        let passcode = stored
            .participants
            .get(&participant)
            .and_then(|entry| entry.passcode);
        let entry = StoredParticipant::new(Role::Recorder, secret_hash(&secret), passcode);
        stored.participants.insert(participant, entry);
        Ok(Link {
            participant,
            role: Role::Recorder,
            secret,
        })
    }

    /// For the host: who was invited, who came, and whose link another browser tried.
    pub fn overview(
        &mut self,
        visit: VisitId,
        credential: &str,
        now_ms: u64,
    ) -> Result<Overview, BookError> {
        self.clinician(visit, credential, now_ms)?;
        let stored = self.open_visit(visit, now_ms)?;
        Ok(Overview {
            starts_ms: stored.starts_ms,
            ends_ms: stored.ends_ms,
            closes_ms: stored.closes_ms(),
            template: stored.template.clone(),
            locked: stored.locked,
            participants: stored
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
    pub fn lock(
        &mut self,
        visit: VisitId,
        credential: &str,
        locked: bool,
        now_ms: u64,
    ) -> Result<(), BookError> {
        self.clinician(visit, credential, now_ms)?;
        let stored = self.open_visit(visit, now_ms)?;
        stored.locked = locked;
        if !locked {
            for entry in stored.participants.values_mut() {
                entry.turned_away = false;
            }
        }
        Ok(())
    }

    /// The host ends the visit: no more passes.
    pub fn end(&mut self, visit: VisitId, credential: &str, now_ms: u64) -> Result<(), BookError> {
        self.clinician(visit, credential, now_ms)?;
        self.open_visit(visit, now_ms)?.ended = true;
        Ok(())
    }

    /// Host powers may be handed over inside the group, which this server does not see: any clinician of the visit
    /// has them here.
    fn clinician(
        &mut self,
        visit: VisitId,
        credential: &str,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let (_, role) = self.by_credential(visit, credential, now_ms)?;
        if role == Role::Clinician {
            Ok(())
        } else {
            Err(BookError::NotTheHost)
        }
    }

    /// The one recorder of the visit, for a clinician of it.
    fn recorder_of(
        &mut self,
        visit: VisitId,
        credential: &str,
        now_ms: u64,
    ) -> Result<ParticipantId, BookError> {
        self.clinician(visit, credential, now_ms)?;
        let fresh = ParticipantId::from_bytes(self.random());
        let stored = self.open_visit(visit, now_ms)?;
        Ok(*stored.recorder.get_or_insert(fresh))
    }

    fn by_credential(
        &mut self,
        visit: VisitId,
        credential: &str,
        now_ms: u64,
    ) -> Result<(ParticipantId, Role), BookError> {
        let wanted = secret_hash(credential);
        self.open_visit(visit, now_ms)?
            .participants
            .iter()
            .find(|(_, entry)| entry.credential == Some(wanted))
            .map(|(participant, entry)| (*participant, entry.role))
            .ok_or(BookError::UnknownCredential)
    }

    fn open_visit(&mut self, visit: VisitId, now_ms: u64) -> Result<&mut StoredVisit, BookError> {
        let stored = self.visits.get_mut(&visit).ok_or(BookError::UnknownVisit)?;
        if stored.ended {
            return Err(BookError::Ended);
        }
        let day_ms = 24 * 60 * 60 * 1000;
        if now_ms + day_ms < stored.starts_ms || now_ms >= stored.closes_ms() {
            return Err(BookError::OutsideTime);
        }
        Ok(stored)
    }

    fn issue(
        &self,
        visit: VisitId,
        participant: ParticipantId,
        role: Role,
        holder: Holder,
        now_ms: u64,
    ) -> Result<Jws<PassClaims>, BookError> {
        let stored = self.visits.get(&visit).ok_or(BookError::UnknownVisit)?;
        Ok(self.key.sign(&PassClaims {
            v: VERSION,
            visit,
            sub: participant,
            role,
            cnf: Confirmation { jwk: holder.key },
            name: holder.name,
            iat: now_ms / 1000,
            exp: stored.closes_ms() / 1000,
        }))
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        (self.randomness)(&mut bytes);
        bytes
    }

    fn secret(&self) -> String {
        let mut bytes = [0; 32];
        (self.randomness)(&mut bytes);
        Hash32(bytes).to_string()
    }
}

/// Secrets are 32 random bytes: a plain hash hides them as well as a slow one would.
fn secret_hash(secret: &str) -> Hash32 {
    sha256(format!("sealed-visit secret v1\0{secret}").as_bytes())
}

/// A passcode is short; what protects it is the link's secret, which is needed first, and the count of tries.
fn passcode_hash(participant: ParticipantId, passcode: &str) -> Hash32 {
    sha256(format!("sealed-visit passcode v1\0{participant}\0{passcode}").as_bytes())
}

#[cfg(test)]
mod tests;
