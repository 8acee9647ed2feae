//! What the model knows and no machine does: who clicked what, who could ever derive which key, which epochs there ever were,
//! and what each page was told and must not have forgotten.

use super::scene::Tag;
use super::step::What;
use sealed_visit_protocol::wire::RelayMessage;
use sealed_visit_protocol::{B64, Hash32, ParticipantId, PublicKey, RoundId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// By group and number: the authenticator's hash, and the pages that used it. Several, where the relay forked.
pub type Epochs = BTreeMap<(Vec<u8>, u64), Vec<([u8; 32], u16)>>;

/// Everyone who ever clicked "I agree", by the pass key that signed it, and in which round.
pub type Granted = Arc<BTreeSet<(PublicKey, RoundId)>>;

#[derive(Clone, Default)]
pub struct Ghost {
    pub(super) granted: Granted,
    /// Withdrew or refused, and did not agree to anything since.
    pub(super) withdrawn: u16,
    /// Left by a click.
    pub(super) left: u16,
    /// Turned away by the host's click.
    pub(super) denied: u16,
    /// Every key that a recorder's page ever could derive.
    pub(super) recorder_keys: Arc<BTreeSet<[u8; 16]>>,
    /// Every epoch that an honest member ever used: its authenticator's hash, and by whom.
    pub(super) epochs: Arc<Epochs>,
    /// The newest heartbeat that reached a page, and when.
    pub(super) beats: BTreeMap<usize, ((u32, u32), u64)>,
    /// Rounds in the order in which they were opened.
    pub rounds: Vec<RoundId>,
    /// Groups in the order in which the relay opened them.
    pub groups: Vec<B64>,
    pub relay_epoch: u64,
    pub last_seq: u64,
    /// Who waits at the relay.
    pub waiting: BTreeMap<ParticipantId, B64>,
    tags: Arc<BTreeMap<u64, Tag>>,
    /// The relay told members different things.
    pub forked: bool,
    /// What each page was told.
    pub(super) seen: BTreeMap<usize, Seen>,
    /// Counts commands.
    pub commands: u32,
    /// The last one that was refused.
    pub failed: Option<u32>,
}

/// What a page was told and must not forget.
#[derive(Clone, Default)]
pub struct Seen {
    /// Where it saw the visit locked: in which group, and who had been in it by then.
    pub(super) locked: Option<(Vec<u8>, u16)>,
    /// Groups that it was live in, the last one last.
    pub(super) lived: Vec<Vec<u8>>,
    /// Clinicians that it was live with.
    pub(super) met: BTreeSet<ParticipantId>,
    /// The round that is open where it is live, and rounds that it saw end while it was.
    pub(super) open: Option<RoundId>,
    pub(super) over: BTreeSet<RoundId>,
    /// What it signed, by number.
    pub(super) signed: BTreeSet<(u64, Hash32)>,
}

/// What is known of one page at one time.
#[derive(Clone)]
pub struct Known {
    has_withdrawn: bool,
    seen: Seen,
}

/// What people decided.
pub type Decisions = (Granted, u16, u16);

impl Ghost {
    /// What the relay says; entries of its log keep what the model knows about their inside.
    pub fn relay_says(&mut self, message: &RelayMessage, tag: Tag) -> Tag {
        match message {
            RelayMessage::GroupCreated { seq, group, .. } => {
                if *seq > self.last_seq {
                    self.groups.push(group.group_id.clone());
                    self.relay_epoch = 0;
                    self.last_seq = *seq;
                }
                Tag::None
            }
            RelayMessage::Commit { seq, .. } => {
                if *seq > self.last_seq {
                    self.relay_epoch += 1;
                    self.last_seq = *seq;
                }
                Tag::None
            }
            RelayMessage::Refusal { seq, .. } => {
                self.last_seq = self.last_seq.max(*seq);
                Tag::None
            }
            RelayMessage::App { seq, .. } => {
                self.last_seq = self.last_seq.max(*seq);
                *Arc::make_mut(&mut self.tags).entry(*seq).or_insert(tag)
            }
            _ => Tag::None,
        }
    }

    /// The relay has lost its log, and with it the count of those who follow it.
    pub fn relay_forgot(&mut self) {
        (self.relay_epoch, self.last_seq) = (0, 0);
        self.waiting.clear();
        self.tags = Arc::default();
        // The next group may have an old one's id: two epochs of one number.
        self.forked = true;
    }

    /// The one without rules is in this epoch, and said so.
    pub fn proved(&mut self, group_id: Vec<u8>, epoch: u64, proof: [u8; 32]) {
        let ways = Arc::make_mut(&mut self.epochs)
            .entry((group_id, epoch))
            .or_default();
        ways.push((proof, 1 << 15));
    }

    pub fn heard_beat(&mut self, page: usize, beat: (u32, u32), now_ms: u64) {
        let newest = self.beats.entry(page).or_insert((beat, now_ms));
        if beat > newest.0 {
            *newest = (beat, now_ms);
        }
    }

    pub fn decides(&mut self, what: What, page: usize, key: PublicKey, round: Option<RoundId>) {
        match (what, round) {
            (What::Grant, Some(round)) => {
                Arc::make_mut(&mut self.granted).insert((key, round));
                self.withdrawn &= !(1 << page);
            }
            (What::Withdraw | What::Refuse, _) => self.withdrawn |= 1 << page,
            (What::Leave, _) => self.left |= 1 << page,
            _ => {}
        }
    }

    /// The host turned somebody away, or took it out: it need not be live.
    pub fn sent_away(&mut self, page: Option<usize>) {
        self.left |= page.map_or(0, |page| 1 << page);
    }

    pub fn denied(&mut self, page: Option<usize>) {
        self.denied |= page.map_or(0, |page| 1 << page);
    }

    pub fn decisions(&self) -> Decisions {
        (self.granted.clone(), self.withdrawn, self.left)
    }

    pub fn undo(&mut self, before: Decisions) {
        (self.granted, self.withdrawn, self.left) = before;
    }

    /// A new pass key has agreed to nothing, and nothing that the page was told before is known to it.
    pub fn lost_key(&mut self, page: usize) {
        self.withdrawn |= 1 << page;
        self.seen.remove(&page);
    }

    pub fn known_to(&self, page: usize) -> Known {
        Known {
            has_withdrawn: self.withdrawn & 1 << page != 0,
            seen: self.seen.get(&page).cloned().unwrap_or_default(),
        }
    }

    /// The page has an older memory now.
    pub fn knows_only(&mut self, page: usize, known: &Known) {
        self.withdrawn &= !(1 << page);
        self.withdrawn |= u16::from(known.has_withdrawn) << page;
        self.seen.insert(page, known.seen.clone());
    }

    /// The memory of another page of the same participant is read as well.
    pub fn learns_again(&mut self, page: usize, known: &Known) {
        let Seen {
            lived,
            met,
            over,
            signed,
            ..
        } = known.seen.clone();
        let seen = self.seen.entry(page).or_default();
        // The group that the other page was live in last is one that it never left.
        let left = lived.split_last().map_or(&[][..], |(_, left)| left);
        let left = left.iter().filter(|id| !seen.lived.contains(id));
        seen.lived.splice(0..0, left.cloned().collect::<Vec<_>>());
        seen.met.extend(met);
        seen.over.extend(over);
        // Those who have spoken since have decided since.
        let has_spoken = !seen.signed.is_subset(&signed);
        seen.signed.extend(signed);
        if !has_spoken {
            self.withdrawn |= u16::from(known.has_withdrawn) << page;
        }
    }

    /// A page that is loaded anew knows of its own withdrawals, and nothing else.
    pub fn crashed(&mut self, page: usize) {
        self.beats.remove(&page);
        if let Some(seen) = self.seen.get_mut(&page) {
            seen.open = None;
        }
    }
}
