//! All visits of one authority: what the API does, each call one read or one transaction.
//!
//! A call reads its visit without a lock and applies the rule ([`crate::visit`]). Only if that changes something does it
//! take the write lock, read again, apply the rule to what it finds then, and write the rows that differ. So whoever asks
//! about a visit that does not exist, or shows a secret that is not one, costs a read and nothing else.

use crate::import;
use crate::limit::{Limiter, Rate};
use crate::passcode;
use crate::secrets::Hasher;
use crate::store::{self, Store};
use crate::visit::{Helper, OtherBrowser, Redemption, StoredParticipant, StoredVisit};
use anyhow::bail;
use sealed_visit_protocol::bytes::from_base64url;
use sealed_visit_protocol::limits::MAX_MEMBERS;
use sealed_visit_protocol::pass::{Confirmation, PassClaims};
use sealed_visit_protocol::{
    Hash32, Jws, ParticipantId, PublicKey, Role, SigningKey, VERSION, VisitId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Numbers in signed documents go up to here.
const MAX_TIME_MS: u64 = (1 << 53) - 1;

/// Attempts with one link that are refused and noted: another browser's, or with a wrong passcode.
const LINK_RATE: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(10),
};
/// Changes that one host makes to a visit: each is a write to the disk.
const HOST_RATE: Rate = Rate {
    burst: 60,
    every: Duration::from_secs(1),
};
const LIMITER_TABLE: usize = 65_536;

/// Whose keyed hashes the database holds.
const HASH_KEY: &str = "hash_key";

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
    /// Asked for when the link is redeemed; at least four characters. Case, spaces, hyphens and the script of digits make
    /// no difference.
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
    /// From when on links work.
    pub opens_ms: u64,
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
    /// How many other browsers tried the link after it was used, and when one did last.
    pub second_browser: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_browser_ms: Option<u64>,
    /// Those of them that can be approved, oldest first.
    #[serde(default)]
    pub browsers: Vec<Browser>,
    /// The link is locked after too many wrong passcodes.
    pub locked: bool,
    /// Somebody came with the link while the visit was locked, and not since it was unlocked.
    #[serde(default)]
    pub turned_away: bool,
    /// What the clinic did for this person, oldest first.
    #[serde(default)]
    pub help: Vec<Help>,
}

/// Another browser that came with a used link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Browser {
    /// Its screen shows it. The approver asks the person for it outside the visit.
    pub code: String,
    pub at_ms: u64,
    pub approved: bool,
}

impl From<&OtherBrowser> for Browser {
    fn from(other: &OtherBrowser) -> Self {
        Self {
            code: other.code.clone(),
            at_ms: other.at_ms,
            approved: other.approved,
        }
    }
}

/// What the clinic did for somebody who was locked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Help {
    pub what: HelpKind,
    pub by: HelpBy,
    pub at_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HelpKind {
    NewLink,
    Approved,
    PasscodeUnlocked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HelpBy {
    Host,
    Scheduler,
}

/// Who asks for help for somebody who is locked out.
#[derive(Clone, Copy)]
pub enum Asker<'a> {
    /// With the credential of a clinician of the visit.
    Host(&'a str),
    Scheduler,
}

impl std::fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Asker::Host(_) => "host",
            Asker::Scheduler => "scheduler",
        })
    }
}

/// What a browser shows with a link.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub secret: &'a str,
    /// 32 random bytes in base64url, made and kept by this browser before it asks. Only this browser has it.
    pub credential: &'a str,
    pub passcode: Option<&'a str>,
}

/// A pass for a browser.
#[derive(Clone, Serialize, Deserialize)]
pub struct Admission {
    pub pass: Jws<PassClaims>,
    pub participant: ParticipantId,
    pub role: Role,
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
    #[error("the link can be used from 24 hours before the visit on")]
    TooEarly,
    #[error("the time for this visit is over")]
    Over,
    #[error("this link needs the passcode that the clinic gave out with it")]
    PasscodeNeeded,
    #[error("the passcode is wrong")]
    WrongPasscode,
    #[error("this link was locked after too many wrong passcodes")]
    LinkLocked,
    #[error("this browser is not known for this visit")]
    UnknownCredential,
    #[error("only a clinician of this visit may do that")]
    NotTheHost,
    #[error("only the scheduler makes a new link for a clinician")]
    SchedulerOnly,
    #[error("nobody with this id was invited")]
    UnknownParticipant,
    #[error("no browser with this code asks for the link")]
    UnknownBrowser,
    #[error("a browser's credential is 32 bytes in base64url")]
    BadCredential,
    #[error("the visit is locked: nobody else can join")]
    Locked,
    #[error("the visit has ended")]
    Ended,
    #[error(
        "a visit has from 1 to {MAX_MEMBERS} participants, ends after it starts, and has a clinician and at most one recorder"
    )]
    BadVisit,
    #[error("a passcode needs at least 4 characters")]
    BadPasscode,
    #[error("too many attempts; wait a moment")]
    TooManyAttempts,
    #[error("the visit could not be read or saved; try again")]
    Storage,
}

impl BookError {
    /// A stable code for pages.
    pub fn code(self) -> &'static str {
        match self {
            BookError::UnknownVisit => "unknown_visit",
            BookError::UnknownLink => "unknown_link",
            BookError::LinkUsed => "link_used",
            BookError::TooEarly => "too_early",
            BookError::Over => "over",
            BookError::PasscodeNeeded => "passcode_needed",
            BookError::WrongPasscode => "wrong_passcode",
            BookError::LinkLocked => "link_locked",
            BookError::UnknownCredential => "unknown_credential",
            BookError::NotTheHost => "not_the_host",
            BookError::SchedulerOnly => "scheduler_only",
            BookError::UnknownParticipant => "unknown_participant",
            BookError::UnknownBrowser => "unknown_browser",
            BookError::BadCredential => "bad_credential",
            BookError::Locked => "locked",
            BookError::Ended => "ended",
            BookError::BadVisit => "bad_visit",
            BookError::BadPasscode => "bad_passcode",
            BookError::TooManyAttempts => "too_many_attempts",
            BookError::Storage => "storage",
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
    store: Store,
    hasher: Hasher,
    randomness: Randomness,
    /// By the hash of a link's secret.
    attempts: Mutex<Limiter<Hash32>>,
    /// By the hash of a host's credential.
    host_changes: Mutex<Limiter<Hash32>>,
}

impl Book {
    /// Visits that end with this value.
    pub async fn in_memory(key: SigningKey, randomness: Randomness) -> anyhow::Result<Self> {
        let store = Store::in_memory().await?;
        let mut hash_key = [0; 32];
        randomness(&mut hash_key);
        Ok(Self::with(key, store, Hasher::new(hash_key), randomness))
    }

    /// Visits in a database, `NAME.sqlite`, and the key of its hashes beside it, `NAME.hashkey`. Visits that an earlier
    /// version kept in `path` or `NAME.json` are imported.
    pub async fn open(
        path: &Path,
        key: SigningKey,
        randomness: Randomness,
    ) -> anyhow::Result<Self> {
        let database = path.with_extension("sqlite");
        let store = Store::open(&database).await?;
        let known = store.meta(HASH_KEY).await?;
        let hasher = Hasher::open(&path.with_extension("hashkey"), known.is_none(), || {
            let mut bytes = [0; 32];
            randomness(&mut bytes);
            bytes
        })?;
        let fingerprint = hasher.fingerprint().to_string();
        match known {
            None => store.set_meta(HASH_KEY, &fingerprint).await?,
            Some(known) if known == fingerprint => {}
            Some(_) => bail!(
                "{} is not the key that {} was written with",
                path.with_extension("hashkey").display(),
                database.display()
            ),
        }
        for old in [path.to_owned(), path.with_extension("json")] {
            if old != database {
                import::import(&old, &store, &hasher).await?;
            }
        }
        Ok(Self::with(key, store, hasher, randomness))
    }

    fn with(key: SigningKey, store: Store, hasher: Hasher, randomness: Randomness) -> Self {
        Self {
            key,
            store,
            hasher,
            randomness,
            attempts: Mutex::new(Limiter::new(LINK_RATE, LIMITER_TABLE)),
            host_changes: Mutex::new(Limiter::new(HOST_RATE, LIMITER_TABLE)),
        }
    }

    pub async fn create(&self, asked: &NewVisit) -> Result<VisitLinks, BookError> {
        check_new(asked)?;
        let visit = VisitId::from_bytes(self.random());
        let mut stored = StoredVisit {
            appointment: asked.appointment.clone(),
            starts_ms: asked.starts_ms,
            ends_ms: asked.ends_ms,
            template: asked.template.clone(),
            participants: BTreeMap::new(),
            recorder: None,
            locked: false,
            ended: false,
        };
        let mut links = Vec::with_capacity(asked.participants.len());
        for asked in &asked.participants {
            let participant = ParticipantId::from_bytes(self.random());
            let secret = self.fresh_secret();
            let passcode = asked.passcode.as_ref();
            let passcode = passcode.map(|passcode| self.hasher.passcode(participant, passcode));
            let entry = StoredParticipant::new(asked.role, self.hasher.secret(&secret), passcode);
            if asked.role == Role::Recorder {
                stored.recorder = Some(participant);
            }
            stored.participants.insert(participant, entry);
            links.push(Link {
                participant,
                role: asked.role,
                secret,
            });
        }
        let written = async {
            let mut tx = self.store.write().await?;
            store::insert(&mut tx, visit, &stored).await?;
            tx.commit().await
        };
        written.await.map_err(storage)?;
        Ok(VisitLinks { visit, links })
    }

    pub async fn info(&self, visit: VisitId, now_ms: u64) -> Result<VisitInfo, BookError> {
        let stored = self.read(visit).await?;
        Ok(VisitInfo {
            visit,
            now_ms,
            opens_ms: stored.opens_ms(),
            starts_ms: stored.starts_ms,
            ends_ms: stored.ends_ms,
            closes_ms: stored.closes_ms(),
            template: stored.template,
            locked: stored.locked,
            ended: stored.ended,
        })
    }

    /// Redeems a link's secret for one browser, for a pass bound to the browser's key.
    pub async fn redeem(
        &self,
        visit: VisitId,
        shown: Shown<'_>,
        holder: Holder,
        now_ms: u64,
    ) -> Result<Admission, BookError> {
        let Shown {
            secret,
            credential,
            passcode,
        } = shown;
        // A guessable one would give the place away.
        if from_base64url(credential).is_none_or(|bytes| bytes.len() != 32) {
            return Err(BookError::BadCredential);
        }
        let code = self.fresh_code();
        let redemption = Redemption {
            link: self.hasher.secret(secret),
            credential: self.hasher.secret(credential),
            code: &code,
        };
        let given = |participant| self.hasher.given(participant, passcode.unwrap_or_default());
        let rule = |stored: &mut StoredVisit| {
            let redeemed = stored.redeem(redemption, given, now_ms);
            redeemed.map(|who| (who, stored.closes_ms()))
        };
        // What is refused and noted is limited, so that a link cannot be used to keep the database busy.
        let may_write = |outcome: &Result<_, BookError>| match outcome {
            Err(BookError::LinkUsed | BookError::WrongPasscode) => {
                take(&self.attempts, redemption.link)
            }
            _ => Ok(()),
        };
        let ((participant, role), closes_ms) = self.change(visit, rule, may_write).await?;
        Ok(Admission {
            pass: self.issue(visit, participant, role, holder, closes_ms, now_ms),
            participant,
            role,
        })
    }

    /// What the screen of a browser shows that came with a used link: its code, by which the clinic can approve it.
    pub async fn browser_code(
        &self,
        visit: VisitId,
        shown: Shown<'_>,
    ) -> Result<Option<String>, BookError> {
        let (link, credential) = (
            self.hasher.secret(shown.secret),
            self.hasher.secret(shown.credential),
        );
        let stored = self.read(visit).await?;
        Ok(stored.code_of(link, credential).map(str::to_owned))
    }

    /// A new link for somebody who is locked out. The one before no longer works, nor does the browser that used it.
    pub async fn renew_link(
        &self,
        visit: VisitId,
        asker: Asker<'_>,
        participant: ParticipantId,
        now_ms: u64,
    ) -> Result<Link, BookError> {
        let secret = self.fresh_secret();
        let (helper, link) = (self.helper(asker), self.hasher.secret(&secret));
        let rule = |stored: &mut StoredVisit| stored.renew_link(helper, participant, link, now_ms);
        let role = self.help(visit, helper, rule).await?;
        tracing::info!(%visit, %participant, ?asker, "made a new link");
        Ok(Link {
            participant,
            role,
            secret,
        })
    }

    /// Lets the browser that shows this code take over the link that another one had used.
    pub async fn approve(
        &self,
        visit: VisitId,
        asker: Asker<'_>,
        participant: ParticipantId,
        code: &str,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let helper = self.helper(asker);
        let rule = |stored: &mut StoredVisit| stored.approve(helper, participant, code, now_ms);
        self.help(visit, helper, rule).await?;
        tracing::info!(%visit, %participant, ?asker, "approved another browser");
        Ok(())
    }

    /// After too many wrong passcodes: the person may try again.
    pub async fn unlock_passcode(
        &self,
        visit: VisitId,
        asker: Asker<'_>,
        participant: ParticipantId,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let helper = self.helper(asker);
        let rule = |stored: &mut StoredVisit| stored.unlock_passcode(helper, participant, now_ms);
        self.help(visit, helper, rule).await?;
        tracing::info!(%visit, %participant, ?asker, "unlocked a passcode");
        Ok(())
    }

    fn helper(&self, asker: Asker<'_>) -> Helper {
        match asker {
            Asker::Host(credential) => Helper::Host(self.hasher.secret(credential)),
            Asker::Scheduler => Helper::Scheduler,
        }
    }

    async fn help<T>(
        &self,
        visit: VisitId,
        helper: Helper,
        rule: impl Fn(&mut StoredVisit) -> Result<T, BookError>,
    ) -> Result<T, BookError> {
        let may_write = |_: &_| match helper {
            Helper::Host(credential) => take(&self.host_changes, credential),
            Helper::Scheduler => Ok(()),
        };
        self.change(visit, rule, may_write).await
    }

    /// A new pass for the browser that redeemed the link.
    pub async fn renew(
        &self,
        visit: VisitId,
        credential: &str,
        holder: Holder,
        now_ms: u64,
    ) -> Result<Admission, BookError> {
        let stored = self.read(visit).await?;
        let credential = self.hasher.secret(credential);
        let (participant, role) = stored.by_credential(credential, now_ms)?;
        Ok(Admission {
            pass: self.issue(visit, participant, role, holder, stored.closes_ms(), now_ms),
            participant,
            role,
        })
    }

    /// The host's recorder: one participant id for the whole visit, so that a replacement joins under the same grants.
    pub async fn recorder_pass(
        &self,
        visit: VisitId,
        credential: &str,
        holder: Holder,
        now_ms: u64,
    ) -> Result<Admission, BookError> {
        let credential = self.hasher.secret(credential);
        let fresh = ParticipantId::from_bytes(self.random());
        let rule = |stored: &mut StoredVisit| {
            let recorder = stored.recorder_of(credential, fresh, now_ms)?;
            Ok((recorder, stored.closes_ms()))
        };
        let (participant, closes_ms) = self.change(visit, rule, |_| Ok(())).await?;
        Ok(Admission {
            pass: self.issue(
                visit,
                participant,
                Role::Recorder,
                holder,
                closes_ms,
                now_ms,
            ),
            participant,
            role: Role::Recorder,
        })
    }

    /// A link for the visit's recorder, on another device or in another browser than the host's. Only the last one that
    /// was made works, and only the page that came with it can be let in again after a reload.
    pub async fn recorder_link(
        &self,
        visit: VisitId,
        credential: &str,
        now_ms: u64,
    ) -> Result<Link, BookError> {
        let credential = self.hasher.secret(credential);
        let fresh = ParticipantId::from_bytes(self.random());
        let secret = self.fresh_secret();
        let link = self.hasher.secret(&secret);
        let rule =
            |stored: &mut StoredVisit| stored.renew_recorder_link(credential, fresh, link, now_ms);
        let may_write = |_: &_| take(&self.host_changes, credential);
        Ok(Link {
            participant: self.change(visit, rule, may_write).await?,
            role: Role::Recorder,
            secret,
        })
    }

    /// For the host and the scheduler: who was invited, who came, whose link another browser tried, what was done about it.
    pub async fn overview(
        &self,
        visit: VisitId,
        asker: Asker<'_>,
        now_ms: u64,
    ) -> Result<Overview, BookError> {
        let stored = self.read(visit).await?;
        stored.overview(self.helper(asker), now_ms)
    }

    /// While a visit is locked, links that were not redeemed yet are refused; whoever was in may come back.
    pub async fn lock(
        &self,
        visit: VisitId,
        credential: &str,
        locked: bool,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let credential = self.hasher.secret(credential);
        let rule = |stored: &mut StoredVisit| stored.lock(credential, locked, now_ms);
        let may_write = |_: &_| take(&self.host_changes, credential);
        self.change(visit, rule, may_write).await
    }

    /// The host ends the visit: no more passes.
    pub async fn end(
        &self,
        visit: VisitId,
        credential: &str,
        now_ms: u64,
    ) -> Result<(), BookError> {
        let credential = self.hasher.secret(credential);
        let rule = |stored: &mut StoredVisit| stored.end(credential, now_ms);
        self.change(visit, rule, |_| Ok(())).await
    }

    /// Forgets visits that were booked to end before this; returns how many.
    pub async fn purge(&self, ended_before_ms: u64) -> Result<u64, BookError> {
        self.store.purge(ended_before_ms).await.map_err(storage)
    }

    async fn read(&self, visit: VisitId) -> Result<StoredVisit, BookError> {
        let found = self.store.read(visit).await.map_err(storage)?;
        found.ok_or(BookError::UnknownVisit)
    }

    /// Applies a rule that may change a visit. `may_write` can refuse before anything is locked.
    async fn change<T>(
        &self,
        visit: VisitId,
        rule: impl Fn(&mut StoredVisit) -> Result<T, BookError>,
        may_write: impl Fn(&Result<T, BookError>) -> Result<(), BookError>,
    ) -> Result<T, BookError> {
        let before = self.read(visit).await?;
        let mut after = before.clone();
        let outcome = rule(&mut after);
        if after == before {
            return outcome;
        }
        may_write(&outcome)?;
        let written = async {
            let mut tx = self.store.write().await?;
            let Some(before) = store::read(&mut tx, visit).await? else {
                return Ok(Err(BookError::UnknownVisit));
            };
            let mut after = before.clone();
            let outcome = rule(&mut after);
            store::update(&mut tx, visit, &before, &after).await?;
            tx.commit().await?;
            Ok(outcome)
        };
        written.await.map_err(storage)?
    }

    fn issue(
        &self,
        visit: VisitId,
        participant: ParticipantId,
        role: Role,
        holder: Holder,
        closes_ms: u64,
        now_ms: u64,
    ) -> Jws<PassClaims> {
        self.key.sign(&PassClaims {
            v: VERSION,
            visit,
            sub: participant,
            role,
            cnf: Confirmation { jwk: holder.key },
            name: holder.name,
            iat: now_ms / 1000,
            exp: closes_ms / 1000,
        })
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        (self.randomness)(&mut bytes);
        bytes
    }

    /// Four digits: to be read out on the phone.
    fn fresh_code(&self) -> String {
        let mut bytes = [0; 8];
        (self.randomness)(&mut bytes);
        format!("{:04}", u64::from_le_bytes(bytes) % 10_000)
    }

    fn fresh_secret(&self) -> String {
        let mut bytes = [0; 32];
        (self.randomness)(&mut bytes);
        Hash32(bytes).to_string()
    }
}

fn take(limiter: &Mutex<Limiter<Hash32>>, who: Hash32) -> Result<(), BookError> {
    let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = limiter.take(who, Instant::now());
    taken.map_err(|_| BookError::TooManyAttempts)
}

fn check_new(asked: &NewVisit) -> Result<(), BookError> {
    let count = |role: Role| {
        let all = asked.participants.iter();
        all.filter(|participant| participant.role == role).count()
    };
    if count(Role::Clinician) == 0
        || count(Role::Recorder) > 1
        || asked.participants.len() > MAX_MEMBERS
        || asked.ends_ms <= asked.starts_ms
        // Passes could not say when they expire.
        || asked.ends_ms > MAX_TIME_MS
    {
        return Err(BookError::BadVisit);
    }
    let is_short = |code: &String| passcode::normalized(code).chars().count() < passcode::MIN_CHARS;
    let mut passcodes = asked
        .participants
        .iter()
        .filter_map(|it| it.passcode.as_ref());
    if passcodes.any(is_short) {
        return Err(BookError::BadPasscode);
    }
    Ok(())
}

/// What went wrong is for the log; it may name files.
fn storage(error: sqlx::Error) -> BookError {
    tracing::error!(%error, "the database failed");
    BookError::Storage
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod durable;
