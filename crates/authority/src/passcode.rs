//! What counts as the same passcode. People type it on phones and read it off paper: case, spaces and hyphens, and the
//! script of digits make no difference.

use unicode_normalization::UnicodeNormalization as _;

/// Fewer characters can be guessed.
pub(crate) const MIN_CHARS: usize = 4;

/// The zero of each script's decimal digits (Unicode's category Nd; the other nine follow it). Compatibility forms, such
/// as full-width digits, are plain after normalization.
const ZEROS: [u32; 60] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// The one way to write a passcode that all ways to type it share.
pub(crate) fn normalized(passcode: &str) -> String {
    passcode
        .nfkc()
        .flat_map(char::to_lowercase)
        .filter(|it| !it.is_whitespace() && !is_ignored(*it))
        .map(plain_digit)
        .collect()
}

/// Hyphens that group digits, and marks that nobody sees and keyboards of some languages insert.
fn is_ignored(it: char) -> bool {
    matches!(it, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(it, '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

fn plain_digit(it: char) -> char {
    let code = u32::from(it);
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code));
    zero.and_then(|zero| char::from_digit(code - zero, 10))
        .unwrap_or(it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_spaces_and_the_script_of_digits_make_no_difference() {
        for typed in [
            "ab4711",
            "AB4711",
            " Ab 47-11\n",
            "ab٤٧١١",
            "ab۴۷۱۱",
            "ａｂ４７１１",
            "ab४७११",
            "ab\u{200f}4711\u{a0}",
            "ab𝟜𝟟𝟙𝟙",
            "ab𞥔𞥗𞥑𞥑",
        ] {
            assert_eq!(normalized(typed), "ab4711", "{typed:?}");
        }
        assert_ne!(normalized("ab4712"), "ab4711");
        assert_eq!(normalized(" \u{3000}- "), "");
    }
}
