//! Texts that begin with a slash.
//!
//! Stream runs such a text as a command (`/ban @bob`), and a server's request with the rights of the
//! server. An unknown command (`/shrug`) is answered with an error message that only the sender
//! sees. So a zero-width space before the slash makes it a plain text, which looks the same. Source:
//! <https://getstream.io/chat/docs/node/slash_commands/>.

use std::borrow::Cow;

const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// Whether Stream would run the text as a command, after any number of zero-width spaces.
fn begins_with_slash(text: &str) -> bool {
    text.trim_start_matches(ZERO_WIDTH_SPACE).trim_start().starts_with('/')
}

/// The text as it is sent to Stream.
pub(crate) fn to_stream(text: &str) -> Cow<'_, str> {
    if begins_with_slash(text) {
        Cow::Owned(format!("{ZERO_WIDTH_SPACE}{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text as it was sent to this service.
pub(crate) fn from_stream(text: &str) -> &str {
    text.strip_prefix(ZERO_WIDTH_SPACE).filter(|text| begins_with_slash(text)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_texts_with_a_leading_slash_are_changed() {
        for (text, at_stream) in [
            ("/ban @bob", "\u{200b}/ban @bob"),
            ("  /ban @bob", "\u{200b}  /ban @bob"),
            ("\n/giphy x", "\u{200b}\n/giphy x"),
            ("\u{200b}/x", "\u{200b}\u{200b}/x"),
            ("/", "\u{200b}/"),
            ("and/or", "and/or"),
            ("\u{200b}x", "\u{200b}x"),
            ("", ""),
        ] {
            assert_eq!(to_stream(text), at_stream, "{text:?}");
            assert_eq!(from_stream(at_stream), text, "{text:?}");
        }
    }

    proptest! {
        /// A text reads as it was sent, and Stream never sees a leading slash.
        #[test]
        fn text_round_trips_without_a_leading_slash(text in "[ /\u{200b}a\n]{0,8}") {
            let at_stream = to_stream(&text);
            prop_assert_eq!(from_stream(&at_stream), text.as_str());
            prop_assert!(!at_stream.trim_start().starts_with('/'));
        }
    }
}
