//! One result for each command: text for people, one line of JSON for programs.
//!
//! A reader that goes away is no error of ours: what a command found out is its exit code. A full disk is.

use std::io::{self, Write};

use serde::Serialize;

use crate::exit::{Exit, Failure, exit_of, message_of};
use crate::text::{page, shown, to_json};

/// How a command ended, when nothing kept it from ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Well,
    Refused,
    Incomplete,
    /// Some tracks could not be opened, for this reason.
    Partly(Exit),
}

impl Outcome {
    pub fn exit(self) -> Exit {
        match self {
            Self::Well => Exit::Ok,
            Self::Refused => Exit::Tampered,
            Self::Incomplete => Exit::Incomplete,
            Self::Partly(exit) => exit,
        }
    }
}

#[derive(Clone, Copy)]
pub struct Output {
    pub json: bool,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    ok: bool,
    code: &'static str,
    exit_code: u8,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

impl Output {
    /// Prints the result: `json` as one line, or else what `text` writes.
    pub fn result(
        &self,
        json: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let line = self.line(json, text)?;
        print(io::stdout().lock(), &line).map_err(|error| {
            let failure = Failure::new(
                Exit::Failed,
                "the command is done, but its result could not be written to standard output",
            );
            anyhow::Error::new(error).context(failure)
        })
    }

    /// The same on standard error, where standard output has the media.
    pub fn result_aside(
        &self,
        json: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let line = self.line(json, text)?;
        // Nowhere to complain.
        let _ = print(io::stderr().lock(), &line);
        Ok(())
    }

    /// Prints why a command failed.
    pub fn error(&self, error: &anyhow::Error) -> Exit {
        let exit = exit_of(error);
        let next = Failure::of(error).and_then(|failure| failure.next.as_deref());
        let problem = Failure::of(error).and_then(|failure| failure.problem);
        self.failure(exit, &message_of(error), problem, next);
        exit
    }

    pub fn failure(
        &self,
        exit: Exit,
        message: &str,
        problem: Option<&'static str>,
        next: Option<&str>,
    ) {
        let line = ErrorLine {
            ok: false,
            code: exit.name(),
            exit_code: exit.code(),
            error: message,
            problem,
            next,
        };
        if self.json
            && let Ok(json) = to_json(&line)
            && print(io::stdout().lock(), &json).is_ok()
        {
            return;
        }
        say(message);
        if let Some(next) = next {
            say(next);
        }
    }

    fn line(
        &self,
        json: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> serde_json::Result<String> {
        match self.json {
            true => to_json(json),
            false => Ok(page(&text())),
        }
    }
}

/// Tells a person something in addition to the result.
pub fn say(message: &str) {
    // Nowhere to complain.
    let _ = print(
        io::stderr().lock(),
        &format!("sealed-visit: {}", shown(message)),
    );
}

fn print(mut to: impl Write, line: &str) -> io::Result<()> {
    match writeln!(to, "{}", line.trim_end_matches('\n')).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
