//! How a run ends: one exit code for each thing that a script or a person would do differently.
//!
//! `docs/CLI.md` has the same table, and a test compares them.

use std::error::Error;
use std::fmt::{self, Display, Write as _};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Incomplete = 3,
    Tampered = 4,
    WrongKey = 5,
    Unreadable = 6,
    NoShare = 7,
    Refused = 8,
    Interrupted = 130,
}

impl Exit {
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Incomplete,
        Self::Tampered,
        Self::WrongKey,
        Self::Unreadable,
        Self::NoShare,
        Self::Refused,
        Self::Interrupted,
    ];

    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Stable, for programs: `code` in the JSON of a failed run.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Incomplete => "incomplete",
            Self::Tampered => "tampered",
            Self::WrongKey => "wrong-key",
            Self::Unreadable => "unreadable",
            Self::NoShare => "no-share",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }

    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "Done. For verify and open: genuine and complete.",
            Self::Failed => "The system failed: disk full, no permission to write, no randomness.",
            Self::Usage => "Wrong arguments.",
            Self::Incomplete => "Genuine, but incomplete.",
            Self::Tampered => "Altered, or signed by the wrong key: do not rely on it.",
            Self::WrongKey => "Wrong passphrase, or a key that is not among the recipients.",
            Self::Unreadable => "A file is missing, unreadable, or not of the expected kind.",
            Self::NoShare => {
                "The vault gave no share for a track: it refused, or the share was destroyed."
            }
            Self::Refused => {
                "The tool refused: it would have replaced a file, reused a number, or used an unsuitable name or passphrase."
            }
            Self::Interrupted => {
                "Interrupted by a signal, or the reader of standard output closed it."
            }
        }
    }

    /// For `--help`.
    pub fn table() -> String {
        let mut table = "Exit codes:\n".to_owned();
        for exit in Self::ALL {
            // Writing into a String cannot fail.
            let _ = writeln!(
                table,
                "  {:>3}  {:<12} {}",
                exit.code(),
                exit.name(),
                exit.meaning()
            );
        }
        table
    }
}

/// Why a run failed, in words, with its exit code and what to do next.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    message: String,
    pub next: Option<String>,
    /// A code of docs/FORMAT.md, where a recording cannot be judged at all.
    pub problem: Option<&'static str>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            next: None,
            problem: None,
        }
    }

    /// Names the document of a recording that is refused.
    pub fn problem(mut self, code: &'static str) -> Self {
        self.problem = Some(code);
        self
    }

    /// Says what to do next, in one sentence.
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub fn of(error: &anyhow::Error) -> Option<&Self> {
        error.downcast_ref()
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

/// The exit code of a failed run.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    Failure::of(error).map_or(Exit::Failed, |failure| failure.exit)
}

/// What an error says, each cause once: many errors already repeat their cause in their own words.
pub fn message_of(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[derive(Debug, thiserror::Error)]
    #[error("the document is refused: {0}")]
    struct Repeating(#[source] std::io::Error);

    #[test]
    fn a_message_says_each_cause_once() {
        let cause = Repeating(std::io::Error::other("disk on fire"));
        let error = anyhow::Error::new(cause).context(Failure::new(Exit::Tampered, "clinic.jws"));
        assert_eq!(
            message_of(&error),
            "clinic.jws: the document is refused: disk on fire"
        );
        assert_eq!(exit_of(&error), Exit::Tampered);
        let outer = Err::<(), _>(error).context("part 0").unwrap_err();
        assert_eq!(exit_of(&outer), Exit::Tampered);
    }

    #[test]
    fn every_exit_code_is_documented_and_none_is_used_twice() {
        let documented = include_str!("../../../docs/CLI.md");
        for exit in Exit::ALL {
            let row = format!(
                "| {} | `{}` | {} |",
                exit.code(),
                exit.name(),
                exit.meaning()
            );
            assert!(documented.contains(&row), "docs/CLI.md lacks: {row}");
            let same = Exit::ALL.iter().filter(|other| other.code() == exit.code());
            assert_eq!(same.count(), 1);
        }
    }
}
