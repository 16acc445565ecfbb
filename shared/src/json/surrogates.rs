//! Replacement of lone surrogate escapes in JSON text.
//!
//! A JavaScript string may end in half of a character, such as an emoji cut by `slice`.
//! `JSON.stringify` writes the half as an escape (`"\ud83d"`), which is valid JSON (RFC 8259,
//! section 8.2) but not a Unicode character. Like a UTF-8 decoder, this module replaces each half
//! with U+FFFD.

use std::borrow::Cow;

/// The length of an escape such as `\ud83d`.
const ESCAPE_LENGTH: usize = 6;
const REPLACEMENT: &[u8; ESCAPE_LENGTH] = b"\\ufffd";

/// The text with each lone surrogate escape replaced by that of U+FFFD. All other bytes stay
/// unchanged, so a text that is not JSON does not become JSON.
pub(crate) fn replace_lone_surrogates(text: &[u8]) -> Cow<'_, [u8]> {
    let mut text = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(offset) = text[at..].iter().position(|byte| *byte == b'\\') {
        at += offset;
        at += match unicode_escape(&text[at..]) {
            Some(0xd800..=0xdbff) => match unicode_escape(&text[at + ESCAPE_LENGTH..]) {
                Some(0xdc00..=0xdfff) => 2 * ESCAPE_LENGTH,
                _ => replace(&mut text, at),
            },
            Some(0xdc00..=0xdfff) => replace(&mut text, at),
            // A backslash and the character after it, which may be a backslash, too.
            _ => 2,
        };
        if at >= text.len() {
            break;
        }
    }
    text
}

fn replace(text: &mut Cow<'_, [u8]>, at: usize) -> usize {
    text.to_mut()[at..at + ESCAPE_LENGTH].copy_from_slice(REPLACEMENT);
    ESCAPE_LENGTH
}

/// The UTF-16 code unit of the escape at the start of the text.
fn unicode_escape(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn replaced(text: &str) -> String {
        String::from_utf8(replace_lone_surrogates(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn lone_surrogates_become_the_replacement_character() {
        for (text, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
            (r#""\ude00""#, r#""\ufffd""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#"{"\ud83d":1}"#, r#"{"\ufffd":1}"#),
            // An escaped backslash is not the start of another escape.
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\u00e9\ud7ff\ue000""#, r#""\u00e9\ud7ff\ue000""#),
            (r#""\ud83""#, r#""\ud83""#),
            (r#""\ud8"#, r#""\ud8"#),
            ("\\", "\\"),
            ("", ""),
        ] {
            assert_eq!(replaced(text), expected, "{text}");
        }
    }

    proptest! {
        /// Every escape of a UTF-16 code unit parses after the replacement, as a lossy UTF-16
        /// decoder reads it.
        #[test]
        fn escaped_utf16_parses_like_a_lossy_decoder(units in proptest::collection::vec(any::<u16>(), 0..8)) {
            let escapes: Vec<_> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("\"{}\"", escapes.concat());
            let parsed: Value = serde_json::from_str(&replaced(&json)).unwrap();
            prop_assert_eq!(parsed, Value::from(String::from_utf16_lossy(&units)));
        }

        /// A text without lone surrogates is unchanged.
        #[test]
        fn valid_json_is_unchanged(text in "\\PC{0,24}") {
            let json = Value::from(text).to_string();
            prop_assert_eq!(replaced(&json), json);
        }
    }
}
