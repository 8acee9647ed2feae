//! Foreign text made safe to show.
//!
//! Media types, reasons, names and ids in a recording come from its recorder, and file names from the person who packed it.
//! A terminal obeys control characters, and a reader's eye obeys bidirectional and invisible ones. [`shown`] is the one
//! way for such text into what people read; [`to_json`] escapes the same characters, which JSON itself allows. What a
//! command prints passes through [`page`] again, so that a forgotten [`shown`] costs a line break at most.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Longer foreign text is cut: no field that people read needs more.
const MAX_SHOWN_CHARS: usize = 1_000;

/// Foreign text for one place in a line: escaped, on one line, and not endless.
pub fn shown(text: impl Display) -> String {
    let text = text.to_string();
    let mut safe = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        if index == MAX_SHOWN_CHARS {
            safe.push('…');
            break;
        }
        push_safe(&mut safe, character);
    }
    safe
}

/// Several lines of our own text, whatever may be in them.
pub fn page(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push('\n'),
            _ => push_safe(&mut safe, character),
        }
    }
    safe
}

/// One line of JSON in which every deceptive character is escaped.
pub fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    serialize(value, Escaping(CompactFormatter))
}

/// The same for people, on several lines.
pub fn to_pretty_json(value: &impl Serialize) -> serde_json::Result<String> {
    serialize(value, Escaping(PrettyFormatter::new()))
}

/// Shows as nothing although it is no control or format character: fillers, and variation selectors.
pub fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether text is nothing but what it looks like.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(is_deceptive)
}

fn is_deceptive(character: char) -> bool {
    use GeneralCategory as Category;
    if (' '..='~').contains(&character) {
        return false;
    }
    is_blank(character)
        || matches!(
            character.general_category(),
            Category::Control
                | Category::Format
                | Category::LineSeparator
                | Category::ParagraphSeparator
                | Category::PrivateUse
                | Category::Unassigned
        )
}

fn push_safe(safe: &mut String, character: char) {
    if is_deceptive(character) {
        push_escaped(safe, character);
    } else {
        safe.push(character);
    }
}

/// As JSON writes it, so that both kinds of output name a character alike.
fn push_escaped(text: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing into a String cannot fail.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

fn serialize<F: Formatter>(value: &impl Serialize, formatter: F) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    String::from_utf8(bytes).map_err(|error| serde_json::Error::io(io::Error::other(error)))
}

/// Another formatter, its strings without deceptive characters.
struct Escaping<F>(F);

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut safe = String::with_capacity(fragment.len());
        fragment
            .chars()
            .for_each(|character| push_safe(&mut safe, character));
        writer.write_all(safe.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Escape sequences, an overstrike, C1 controls, bidi overrides, invisible characters, a tag, and line breaks.
    const HOSTILE: &str = "a\u{1b}[2Jb\rc\nd\u{8}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200b}\u{200d}\u{feff}\u{ad}\u{2028}\u{e0041}\u{3164}";

    #[test]
    fn foreign_text_is_shown_on_one_line_without_a_character_that_acts() {
        let safe = shown(HOSTILE);
        assert!(safe.chars().all(|c| (' '..='~').contains(&c)), "{safe}");
        assert!(safe.starts_with("a\\u001b[2Jb\\u000dc\\u000ad"), "{safe}");
        assert_eq!(shown("Zoë Łukasz 한글 שלום 🙂"), "Zoë Łukasz 한글 שלום 🙂");
        assert_eq!(shown("x".repeat(5_000)).chars().count(), 1_001);
    }

    #[test]
    fn json_says_the_same_without_a_character_that_acts() {
        for json in [
            to_json(&HOSTILE).unwrap(),
            to_pretty_json(&HOSTILE).unwrap(),
        ] {
            assert!(json.chars().all(|c| (' '..='~').contains(&c)), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), HOSTILE);
        }
        let value = serde_json::json!({ "a": [1, "\u{202e}"], "\u{1b}": {} });
        let pretty = to_pretty_json(&value).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&pretty).unwrap(),
            value
        );
        assert!(pretty.contains("\n  \"a\": [\n"), "{pretty}");
    }

    #[test]
    fn a_page_keeps_its_own_line_breaks_and_nothing_else() {
        assert_eq!(page("a\nb\r\u{1b}"), "a\nb\\u000d\\u001b");
    }
}
