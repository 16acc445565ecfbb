//! Removal of credentials from the texts of errors before they are logged.
//!
//! An upstream may repeat a part of the request in its error, such as the `Authorization` header. The
//! text of every cause passes through this module.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::RwLock;

const REDACTED: &str = "[redacted]";
/// A shorter value is not redacted: it would remove parts of ordinary words.
const MIN_SECRET_LENGTH: usize = 8;
/// The shortest text that counts as a token. The shortest header has 20 characters.
const MIN_TOKEN_LENGTH: usize = 20;

/// The secrets of the process. A rotation adds new ones, and the old ones stay secret.
static SECRETS: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

/// Adds secrets to those that are removed from the texts of errors.
pub(crate) fn register_secrets<'a>(secrets: impl Iterator<Item = &'a str>) {
    let secrets = secrets.filter(|secret| secret.len() >= MIN_SECRET_LENGTH).map(str::to_owned);
    if let Ok(mut known) = SECRETS.write() {
        known.extend(secrets);
    }
}

/// The text without known secrets and without anything that looks like a JWT.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    let mut text = redact_tokens(text);
    if let Ok(secrets) = SECRETS.read() {
        // Of two secrets of which one contains the other, the larger comes last in the order.
        for secret in secrets.iter().rev() {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), REDACTED));
            }
        }
    }
    text
}

/// Removes the JWTs: base64url texts that are separated by dots, of which the first one encodes the
/// start of a JSON object. A token that is cut off is removed, too.
fn redact_tokens(text: &str) -> Cow<'_, str> {
    let is_token_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let mut redacted = String::new();
    let mut copied = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_token_byte(byte)).count();
        let run = &text[at..at + length];
        if let Some(start) = token_start(run) {
            redacted.push_str(&text[copied..at + start]);
            redacted.push_str(REDACTED);
            copied = at + length;
        }
        at += length.max(1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    redacted.push_str(&text[copied..]);
    Cow::Owned(redacted)
}

/// Where a token begins in a text of its characters. `eyJ` encodes `{"`, `eyA` and `ewo` encode a
/// brace and a space.
fn token_start(run: &str) -> Option<usize> {
    let starts =
        ["eyJ", "eyA", "ewo", "ewk", "ew0"].into_iter().filter_map(|start| run.find(start));
    starts.min().filter(|start| run.len() - start >= MIN_TOKEN_LENGTH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.\
                         PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM";

    #[test]
    fn tokens_are_removed_and_other_texts_stay() {
        let cut = &TOKEN[..50];
        for (text, expected) in [
            (TOKEN.to_owned(), "[redacted]".to_owned()),
            (
                format!("got Authorization: {TOKEN}, sorry"),
                "got Authorization: [redacted], sorry".to_owned(),
            ),
            (
                format!(r#"{{"a":"{TOKEN}","b":"{TOKEN}"}}"#),
                r#"{"a":"[redacted]","b":"[redacted]"}"#.to_owned(),
            ),
            (format!("caf\u{e9}={TOKEN}\u{e9}"), "caf\u{e9}=[redacted]\u{e9}".to_owned()),
            (format!("prefix_{TOKEN}"), "prefix_[redacted]".to_owned()),
            (format!("cut {cut}"), "cut [redacted]".to_owned()),
            ("User 'alice' with role 'user' is not allowed".to_owned(), String::new()),
            ("dynamodb.eu-central-1.amazonaws.com".to_owned(), String::new()),
            ("0f0a4d6e-3c3b-4f1a-9a43-0f6c5b1d2e3f".to_owned(), String::new()),
            ("eyJ is short".to_owned(), String::new()),
            (String::new(), String::new()),
        ] {
            let expected = if expected.is_empty() { text.clone() } else { expected };
            assert_eq!(redact(&text), expected, "{text}");
        }
    }

    #[test]
    fn registered_secrets_are_removed() {
        let secrets =
            ["a-stream-secret-for-redaction", "a-stream-secret-for-redaction-and-more", "short"];
        register_secrets(secrets.into_iter());
        for (text, expected) in [
            ("x a-stream-secret-for-redaction y", "x [redacted] y"),
            ("a-stream-secret-for-redaction-and-more", "[redacted]"),
            ("short", "short"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    proptest! {
        /// No part of a token's payload or signature remains, wherever the token stands.
        #[test]
        fn no_token_remains(before in "\\PC{0,12}", after in "[^A-Za-z0-9_.-]\\PC{0,12}") {
            let text = format!("{before}{TOKEN}{after}");
            let redacted = redact(&text);
            prop_assert!(!redacted.contains("eyJzZXJ2ZXIi") && !redacted.contains("PsFIm6"));
            prop_assert!(redacted.ends_with(&after));
        }
    }
}
