//! One step of a schedule: what the network, the relay, time or a person does next. Written as a word, so that a
//! schedule can be printed and replayed.

use std::fmt;
use std::str::FromStr;

/// What happens next, and to which page. Of [`What::EvilUsed`], how a group is used again: see [`Reuse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub what: What,
    pub page: u8,
}

/// How a dishonest clinician uses a group's id again: which one of the visit's, in the order in which they came up, and
/// what it leaves out of what that group's context held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    pub group: usize,
    pub without_dead_rounds: bool,
    pub without_numbers: bool,
    pub without_roles: bool,
}

impl Reuse {
    /// So many ways for each group.
    pub const WAYS: usize = 8;

    /// From what a step is written with: the group times eight, plus one bit for each thing that is left out.
    pub fn of(page: usize) -> Self {
        Self {
            group: page / Self::WAYS,
            without_dead_rounds: page & 1 != 0,
            without_numbers: page & 2 != 0,
            without_roles: page & 4 != 0,
        }
    }
}

macro_rules! whats {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum What { $($(#[$doc])* $name,)* }

        impl What {
            const ALL: &[(What, &str)] = &[$((What::$name, $word),)*];
        }
    };
}

whats! {
    /// The page gets the first of what is under way to it.
    Hear = "hear",
    /// The relay gets the first of what is under way from the page.
    Relay = "relay",
    /// Time passes until the page's timer.
    Time = "time",
    /// The connection breaks: what is under way is lost.
    Cut = "cut",
    Connect = "connect",
    /// The page is loaded anew.
    Crash = "crash",
    /// The browser has lost the pass key and, with it, all memory: the page is loaded anew, with a new key.
    LoseKey = "lose-key",
    /// A second page of the same participant is loaded beside the first, and does not connect yet. Or: a backup is made.
    SecondPage = "second-page",
    /// The second page connects, which ends the first. It knows what was remembered when it was loaded.
    TakeOver = "take-over",
    /// The backup is put back: the page is loaded anew with the pass key and the older memory, and the newer is gone.
    Restore = "restore",
    /// The relay keeps back the first of what is under way to the page.
    Drop = "drop",
    /// The relay never takes the first of what is under way from the page.
    Lose = "lose",
    /// The relay takes the second of what is under way from the page before the first.
    Overtake = "overtake",
    /// The relay says it twice.
    Twice = "twice",
    /// The relay swaps the first two.
    Swap = "swap",
    /// The relay says again, last, what it says first.
    Replay = "replay",
    /// The relay lets bytes that are no commit take the epoch, in the page's name.
    Garbage = "garbage",
    /// The relay tells this page alone, and whom it adds, that its commit is ordered.
    Fork = "fork",
    /// A dishonest clinician commits the waiting recorder in, whoever granted.
    EvilRecorder = "evil-recorder",
    /// The same, together with everybody who waits.
    EvilEverybody = "evil-everybody",
    /// A dishonest clinician commits a consent state that does not follow from anything, and lets in who waits.
    EvilContext = "evil-context",
    /// A dishonest clinician lets in who waits, locked or not.
    EvilDoor = "evil-door",
    /// The relay has lost everything; a dishonest clinician, known or not, opens a group under a new id.
    EvilNew = "evil-new",
    /// The same under an id that was used, with what was said in that group, or with parts of it left out.
    EvilUsed = "evil-used",
    /// The relay has lost nothing; a dishonest clinician asks it for a group under a new id in the place of the current one.
    EvilReplace = "evil-replace",
    /// Somebody turns away whoever waits, in the host's name and without the host's signature.
    EvilDeny = "evil-deny",
    /// It leads everybody who waits into its group.
    EvilLead = "evil-lead",
    /// People.
    Ask = "ask",
    Grant = "grant",
    Refuse = "refuse",
    Withdraw = "withdraw",
    Start = "start",
    Beat = "beat",
    Pause = "pause",
    Agree = "agree",
    Stop = "stop",
    /// The host lets in whoever waits.
    Admit = "admit",
    /// While recording, the host asks whoever waits.
    AskWaiting = "ask-waiting",
    /// The host takes the recorder out and lets in whoever waits.
    PauseAdmit = "pause-admit",
    /// The host turns away whoever waits.
    Deny = "deny",
    /// The host takes the last of the others out.
    Remove = "remove",
    /// The host locks the visit, or unlocks it.
    Lock = "lock",
    /// The host hands over to the other clinician.
    HandOver = "hand-over",
    Leave = "leave",
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = What::ALL
            .iter()
            .find(|(what, _)| *what == self.what)
            .map_or("?", |(_, word)| word);
        write!(f, "{word}:{}", self.page)
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(word, page)| {
            let (what, _) = What::ALL.iter().find(|(_, known)| *known == word)?;
            Some(Step {
                what: *what,
                page: page.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| format!("no step is written {text:?}"))
    }
}

/// A schedule, with spaces between its steps.
pub fn written(schedule: &[Step]) -> String {
    let words: Vec<String> = schedule.iter().map(Step::to_string).collect();
    words.join(" ")
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for choosing what happens next.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}
