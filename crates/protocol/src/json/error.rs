//! Why a text is refused. Never with the text itself, which may be a person's.

use serde::de;
use std::fmt;

/// Why a text is not the expected JSON. It never holds the text itself, which may be a person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// Not JSON, or a member named twice.
    Text {
        line: usize,
        column: usize,
    },
    Missing(&'static str),
    /// The field of this number in its structure.
    MissingNumber(usize),
    /// A string where a number should be, or the like.
    Type,
    /// A string or number that is none of the allowed ones.
    Value,
    /// What a type of this project says.
    Custom(String),
}

impl Error {
    pub(super) fn at(error: &serde_json::Error) -> Self {
        Self::new(Problem::Text {
            line: error.line(),
            column: error.column(),
        })
    }

    pub(super) const fn new(problem: Problem) -> Self {
        Self { problem }
    }

    pub(super) fn naming(self, fields: &'static [&'static str]) -> Self {
        match self.problem {
            Problem::MissingNumber(number) if number < fields.len() => {
                Self::new(Problem::Missing(fields[number]))
            }
            _ => self,
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Text { line, column } => {
                write!(f, "not JSON at line {line}, column {column}")
            }
            Problem::Missing(field) => write!(f, "the member {field} is missing"),
            Problem::MissingNumber(number) => write!(f, "member number {number} is missing"),
            Problem::Type => f.write_str("a value is of another type than expected"),
            Problem::Value => f.write_str("a value or member is none of the expected ones"),
            Problem::Custom(text) => f.write_str(text),
        }
    }
}

// The defaults would write out what came, and what was expected, which costs much code.
impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(Problem::Custom(text.to_string()))
    }

    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::new(Problem::Type)
    }

    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::new(Problem::Value)
    }

    fn invalid_length(number: usize, _: &dyn de::Expected) -> Self {
        Self::new(Problem::MissingNumber(number))
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::new(Problem::Value)
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::new(Problem::Value)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::new(Problem::Value)
    }
}

// --- The tree -----------------------------------------------------------------------------------
