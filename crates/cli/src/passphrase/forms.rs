//! The encodings of a passphrase: the one that new keys use, and the older ones that existing keys may use.
//!
//! A new key's passphrase is UTF-8 in Unicode Normalization Form C, without a byte order mark or a line ending, and
//! holds only characters that a person can see and type again. Earlier versions took the bytes as they came, so a key
//! can also depend on the composition (NFC or NFD) of its keyboard, on a file's byte order mark, or on the line ending
//! of an environment variable. [`forms_of`] lists these forms, the likeliest first. `worker/open/passphrase.ts` does the
//! same in the browser; `tests/vectors/passphrases.json` holds both to it.

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use zeroize::Zeroizing;

const BYTE_ORDER_MARK: char = '\u{feff}';
/// NIST SP 800-63B's minimum for a secret that a person chooses is 8; a file can be attacked offline, so more.
const MIN_NEW_CHARS: usize = 10;
/// Longer than anybody types; a whole file given by mistake.
const MAX_NEW_CHARS: usize = 1_000;
/// What an older key's passphrase may have around it.
const OLDER_ENDINGS: [&str; 3] = ["\n", "\r\n", "\r"];

/// Why a passphrase is refused for a new key. No message repeats the passphrase.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unsuitable {
    #[error(
        "a passphrase needs at least {MIN_NEW_CHARS} characters; several unrelated words work well"
    )]
    TooShort,
    #[error("a passphrase can have at most {MAX_NEW_CHARS} characters")]
    TooLong,
    #[error("the passphrase has more than one line; use one line")]
    SeveralLines,
    #[error("the passphrase starts or ends with a space, which is easily lost; remove it")]
    OuterSpace,
    #[error("the passphrase has a tab or another unusual space in it; use ordinary spaces")]
    UnusualSpace,
    #[error("the passphrase has a control character in it, which cannot be typed again")]
    Control,
    #[error("the passphrase has an invisible character in it, which cannot be typed again")]
    Invisible,
    #[error(
        "the passphrase has a private-use or unassigned character in it, which other devices may not be able to type"
    )]
    Unassigned,
    #[error(
        "the passphrase has the replacement character U+FFFD in it: it was damaged when it was converted"
    )]
    Damaged,
}

impl Unsuitable {
    /// As the test vectors name it.
    #[cfg(test)]
    fn name(self) -> &'static str {
        match self {
            Self::TooShort => "too-short",
            Self::TooLong => "too-long",
            Self::SeveralLines => "several-lines",
            Self::OuterSpace => "outer-space",
            Self::UnusualSpace => "unusual-space",
            Self::Control => "control",
            Self::Invisible => "invisible",
            Self::Unassigned => "unassigned",
            Self::Damaged => "damaged",
        }
    }
}

/// Why the bytes of a passphrase file are no text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotText {
    #[error("it is neither UTF-8 nor UTF-16 with a byte order mark; save it as UTF-8")]
    Encoding,
    #[error("it contains zero bytes: perhaps UTF-16 without a byte order mark; save it as UTF-8")]
    ZeroBytes,
}

/// The passphrase that a new key gets, in the form that it is used in.
pub fn for_new_key(typed: &str) -> Result<Zeroizing<String>, Unsuitable> {
    let bare = without_decoration(typed);
    let normal: Zeroizing<String> = Zeroizing::new(bare.nfc().collect());
    if bare.contains(['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}']) {
        return Err(Unsuitable::SeveralLines);
    }
    if bare.starts_with(char::is_whitespace) || bare.ends_with(char::is_whitespace) {
        return Err(Unsuitable::OuterSpace);
    }
    // As typed and as normalized: normalization maps some unusual characters to usual ones.
    for character in bare.chars().chain(normal.chars()) {
        unsuitable(character)?;
    }
    match normal.chars().count() {
        0..MIN_NEW_CHARS => Err(Unsuitable::TooShort),
        MIN_NEW_CHARS..=MAX_NEW_CHARS => Ok(normal),
        _ => Err(Unsuitable::TooLong),
    }
}

fn unsuitable(character: char) -> Result<(), Unsuitable> {
    use GeneralCategory as Category;
    match character.general_category() {
        _ if character == '\u{fffd}' => Err(Unsuitable::Damaged),
        _ if character != ' ' && character.is_whitespace() => Err(Unsuitable::UnusualSpace),
        Category::Control => Err(Unsuitable::Control),
        Category::Format | Category::LineSeparator | Category::ParagraphSeparator => {
            Err(Unsuitable::Invisible)
        }
        _ if crate::text::is_blank(character) => Err(Unsuitable::Invisible),
        Category::Unassigned | Category::PrivateUse | Category::Surrogate => {
            Err(Unsuitable::Unassigned)
        }
        _ => Ok(()),
    }
}

/// Everything to try for an existing key, the likeliest first, nothing twice.
pub fn forms_of(typed: &str) -> Vec<Zeroizing<String>> {
    let bare = without_decoration(typed);
    let mut forms: Vec<Zeroizing<String>> = Vec::new();
    let mut add = |form: String| {
        let form = Zeroizing::new(form);
        if !forms.contains(&form) {
            forms.push(form);
        }
    };
    add(bare.nfc().collect());
    add(typed.to_owned());
    add(bare.to_owned());
    add(bare.nfd().collect());
    for composed in [bare.nfc().collect::<String>(), bare.nfd().collect()] {
        for ending in OLDER_ENDINGS {
            add(format!("{composed}{ending}"));
        }
        add(format!("{BYTE_ORDER_MARK}{composed}"));
    }
    forms
}

/// Without a byte order mark before it and line endings after it.
fn without_decoration(typed: &str) -> &str {
    typed
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(typed)
        .trim_end_matches(['\n', '\r'])
}

/// The text of a passphrase file: UTF-8 with or without a byte order mark, or UTF-16 with one.
pub fn decode(bytes: &[u8]) -> Result<Zeroizing<String>, NotText> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Zeroizing<Vec<u16>> =
            Zeroizing::new(pairs.iter().map(|pair| unit(*pair)).collect());
        rest.is_empty()
            .then(|| String::from_utf16(&units).ok())
            .flatten()
            .ok_or(NotText::Encoding)
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => match std::str::from_utf8(rest) {
            Ok(text) if text.contains('\0') => return Err(NotText::ZeroBytes),
            Ok(text) => text.to_owned(),
            Err(_) => return Err(NotText::Encoding),
        },
    };
    Ok(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwe;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vectors {
        #[serde(rename = "comment")]
        _comment: String,
        new_keys: Vec<NewKey>,
        refused: Vec<Refused>,
        forms: Vec<Forms>,
        files: Vec<PassphraseFile>,
        key_files: Vec<KeyFile>,
    }

    #[derive(Deserialize)]
    struct NewKey {
        typed: String,
        used: String,
    }

    #[derive(Deserialize)]
    struct Refused {
        typed: String,
        because: String,
    }

    #[derive(Deserialize)]
    struct Forms {
        typed: String,
        forms: Vec<String>,
    }

    #[derive(Deserialize)]
    struct PassphraseFile {
        hex: String,
        text: Option<String>,
    }

    #[derive(Deserialize)]
    struct KeyFile {
        made_with: String,
        typed: Vec<String>,
        jwe: String,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../../../tests/vectors/passphrases.json")).unwrap()
    }

    #[test]
    fn a_new_keys_passphrase_is_composed_and_undecorated() {
        for vector in vectors().new_keys {
            let used = for_new_key(&vector.typed).unwrap();
            assert_eq!(*used, vector.used, "{:?}", vector.typed);
        }
    }

    #[test]
    fn what_cannot_be_typed_again_is_refused_for_a_new_key() {
        let mut seen = Vec::new();
        for vector in vectors().refused {
            let reason = for_new_key(&vector.typed).unwrap_err();
            assert_eq!(reason.name(), vector.because, "{:?}", vector.typed);
            assert!(
                !reason.to_string().contains(vector.typed.trim()) || vector.typed.trim().is_empty(),
                "a message that repeats the passphrase"
            );
            seen.push(vector.because);
        }
        assert_eq!(for_new_key(&"a".repeat(1_001)), Err(Unsuitable::TooLong));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 8, "one vector for each other reason: {seen:?}");
    }

    #[test]
    fn every_older_form_is_tried_once_and_the_present_one_first() {
        for vector in vectors().forms {
            let forms = forms_of(&vector.typed);
            let forms: Vec<&str> = forms.iter().map(|form| form.as_str()).collect();
            assert_eq!(forms, vector.forms, "{:?}", vector.typed);
        }
    }

    #[test]
    fn passphrase_files_are_read_in_every_usual_encoding() {
        for vector in vectors().files {
            let bytes: Vec<u8> = (0..vector.hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&vector.hex[at..at + 2], 16).unwrap())
                .collect();
            let text = decode(&bytes).ok().map(|text| text.to_string());
            assert_eq!(text, vector.text, "{}", vector.hex);
        }
    }

    #[test]
    fn a_key_made_with_an_older_form_opens_with_what_a_person_types_today() {
        for vector in vectors().key_files {
            for typed in vector.typed {
                let opened = jwe::unprotect(&vector.jwe, "test+json", &forms_of(&typed));
                assert_eq!(
                    opened.as_deref().map(Vec::as_slice),
                    Ok(b"{\"v\":1}".as_slice()),
                    "made with {:?}, typed {typed:?}",
                    vector.made_with
                );
            }
            assert_eq!(
                jwe::unprotect(&vector.jwe, "test+json", &forms_of("another passphrase")),
                Err(jwe::JweError::WrongPassphrase)
            );
        }
    }
}
