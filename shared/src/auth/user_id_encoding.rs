//! The encoding of user ids that contain characters which Stream does not accept, such as
//! `auth0|abc`.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::config::{ConfigError, Env};

/// The encoding of the user id of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserIdEncoding {
    /// The id stays as it is.
    None,
    /// Every byte outside `[A-Za-z0-9_-]` becomes `@` and two lower-case hexadecimal digits. The
    /// encoding is reversible, so different ids never become equal.
    Escape,
}

impl UserIdEncoding {
    /// Reads `JWT_USER_ID_ENCODING`: `none` (the default) or `escape`.
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        const NAME: &str = "JWT_USER_ID_ENCODING";
        match env.get_or(NAME, "none") {
            "none" => Ok(Self::None),
            "escape" => Ok(Self::Escape),
            _ => Err(ConfigError::invalid(NAME, "must be 'none' or 'escape'")),
        }
    }

    /// The encoded id.
    pub(super) fn encode(self, id: &str) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(id),
            Self::Escape => Cow::Owned(escape(id)),
        }
    }
}

fn escape(id: &str) -> String {
    let mut escaped = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(escaped, "@{byte:02x}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The id that is encoded as `text`, or `None` if `text` is not an encoded id.
    fn decode(text: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            if first == b'@' {
                let (digits, after) = after.split_at_checked(2)?;
                bytes.push(hex::decode(digits).ok()?[0]);
                rest = after;
            } else {
                bytes.push(first);
                rest = after;
            }
        }
        String::from_utf8(bytes).ok().filter(|id| escape(id) == text)
    }

    #[test]
    fn bytes_that_stream_rejects_are_escaped() {
        for (id, escaped) in [
            ("", ""),
            ("alice", "alice"),
            ("Alice_B-7", "Alice_B-7"),
            ("auth0|abc", "auth0@7cabc"),
            ("alice@example.com", "alice@40example@2ecom"),
            ("@7c", "@407c"),
            ("a b/c", "a@20b@2fc"),
            ("caf\u{e9}", "caf@c3@a9"),
            ("\0\u{7f}", "@00@7f"),
        ] {
            assert_eq!(UserIdEncoding::Escape.encode(id), escaped);
            assert_eq!(UserIdEncoding::None.encode(id), id);
            assert_eq!(decode(escaped).as_deref(), Some(id));
        }
    }

    #[test]
    fn text_that_is_not_an_encoded_id_is_not_decoded() {
        for text in ["@", "@7", "a@", "@7C", "@61", "@zz", "@c3", "a|b", "\u{e9}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn encoding_is_none_or_escape() {
        let read = |value| UserIdEncoding::from_env(&Env::from([("JWT_USER_ID_ENCODING", value)]));
        assert_eq!(read(""), Ok(UserIdEncoding::None));
        assert_eq!(read("none"), Ok(UserIdEncoding::None));
        assert_eq!(read("escape"), Ok(UserIdEncoding::Escape));
        for invalid in ["strict", "Escape", "true", "hex"] {
            assert!(read(invalid).is_err(), "{invalid}");
        }
    }

    proptest! {
        #[test]
        fn escaped_id_decodes_to_the_id(id in any::<String>()) {
            let escaped = escape(&id);
            prop_assert!(escaped.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-@".contains(&b)));
            prop_assert_eq!(decode(&escaped), Some(id));
        }

        #[test]
        fn different_ids_stay_different(a in "[@|:/a7c-]{0,6}", b in "[@|:/a7c-]{0,6}") {
            prop_assert_eq!(escape(&a) == escape(&b), a == b);
        }
    }
}
