//! Removes tokens from what the page gets.

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use serde_json::{Map, Value};

/// The text in place of a token.
const REDACTED: &str = "<redacted>";

/// The begin of every JWT: `{"` in base64url.
const JWT_START: &str = "eyJ";

/// The members of JSON bodies, and the parameters of queries, whose values are secret.
const SECRET_NAMES: [&str; 9] = [
    "token",
    "access_token",
    "refresh_token",
    "user_token",
    "authorization",
    "secret",
    "client_secret",
    "api_secret",
    "password",
];

/// A text without JWTs, and without the values of secret members of JSON.
pub(super) fn redact_text(text: &str) -> String {
    redact_members(&redact_jwts(text))
}

/// The headers as an object, with several values joined by commas.
pub(super) fn redact_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut redacted = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            if name == AUTHORIZATION {
                redact_authorization(&text)
            } else if name == COOKIE || name == SET_COOKIE {
                REDACTED.to_owned()
            } else {
                redact_text(&text)
            }
        });
        let text = values.collect::<Vec<_>>().join(", ");
        redacted.insert(name.as_str().to_owned(), Value::String(text));
    }
    redacted
}

/// A path with its query, without tokens.
pub(super) fn redact_path(path_and_query: &str) -> String {
    let Some((path, query)) = path_and_query.split_once('?') else {
        return redact_jwts(path_and_query);
    };
    let parameters = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={REDACTED}"),
        _ => redact_jwts(pair),
    });
    format!("{}?{}", redact_jwts(path), parameters.collect::<Vec<_>>().join("&"))
}

/// Keeps the scheme of the credentials.
fn redact_authorization(text: &str) -> String {
    match text.split_once(' ') {
        Some((scheme @ ("Bearer" | "bearer" | "Basic"), _)) => format!("{scheme} {REDACTED}"),
        _ => REDACTED.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Replaces each JWT: `eyJ`, and then characters of base64url with at least one dot.
fn redact_jwts(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(JWT_START) {
        let (before, candidate) = rest.split_at(start);
        redacted.push_str(before);
        let is_token_char =
            |character: char| character.is_ascii_alphanumeric() || "-_.=".contains(character);
        let end = candidate.find(|character| !is_token_char(character)).unwrap_or(candidate.len());
        let (token, after) = candidate.split_at(end);
        redacted.push_str(if token.contains('.') { REDACTED } else { token });
        rest = after;
    }
    redacted.push_str(rest);
    redacted
}

/// Replaces the text of each secret member of JSON, such as `"token": "…"`. The text stays as it
/// is otherwise, also if it is not complete JSON. Each character is read once.
fn redact_members(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        let (before, after) = rest.split_at(quote + 1);
        redacted.push_str(before);
        rest = after;
        if let Some(value_start) = secret_value_start(rest) {
            let (member, value) = rest.split_at(value_start);
            redacted.push_str(member);
            redacted.push_str(REDACTED);
            rest = &value[string_length(value)..];
        }
    }
    redacted.push_str(rest);
    redacted
}

/// Where the text of a secret member begins, in the JSON after the opening quote of its name.
fn secret_value_start(text: &str) -> Option<usize> {
    let is_member =
        |name: &str| text.strip_prefix(name).is_some_and(|after_name| after_name.starts_with('"'));
    let name = SECRET_NAMES.into_iter().find(|name| is_member(name))?;
    value_start(text, name.len() + 1)
}

/// Where the text begins, if a colon and a quote follow.
fn value_start(text: &str, at: usize) -> Option<usize> {
    let after_colon = text[at..].trim_start().strip_prefix(':')?.trim_start();
    let value = after_colon.strip_prefix('"')?;
    Some(text.len() - value.len())
}

/// The length of a JSON string up to its closing quote.
fn string_length(value: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in value.char_indices() {
        match character {
            '"' if !is_escaped => return at,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl-_";

    #[test]
    fn text_has_no_token() {
        for (text, expected) in [
            (format!("a {JWT}, b"), "a <redacted>, b"),
            (
                format!(r#"{{"token":"{JWT}","userId":"alice"}}"#),
                r#"{"token":"<redacted>","userId":"alice"}"#,
            ),
            (
                r#"{ "token" : "opaque\"text", "a": 1 }"#.to_owned(),
                r#"{ "token" : "<redacted>", "a": 1 }"#,
            ),
            (
                r#"{"secret":"x","token":"y"}"#.to_owned(),
                r#"{"secret":"<redacted>","token":"<redacted>"}"#,
            ),
            (r#"{"token":"cut off"#.to_owned(), r#"{"token":"<redacted>"#),
            (
                r#"{"token":"a","token":"b"}"#.to_owned(),
                r#"{"token":"<redacted>","token":"<redacted>"}"#,
            ),
            (r#"{"a":"token","secret" :["x"]}"#.to_owned(), r#"{"a":"token","secret" :["x"]}"#),
            (r#"{"token":null,"tokens":["a"]}"#.to_owned(), r#"{"token":null,"tokens":["a"]}"#),
            ("eyJub3QgYSB0b2tlbg".to_owned(), "eyJub3QgYSB0b2tlbg"),
        ] {
            assert_eq!(redact_text(&text), expected);
        }
    }

    #[test]
    fn path_has_no_token() {
        let query = format!("/a/{JWT}?token=x&b={JWT}&limit=10&flag");
        assert_eq!(
            redact_path(&query),
            "/a/<redacted>?token=<redacted>&b=<redacted>&limit=10&flag"
        );
        assert_eq!(redact_path("/a"), "/a");
    }

    #[test]
    fn headers_have_no_credentials() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", format!("Bearer {JWT}")),
            ("cookie", "session=x".to_owned()),
            ("x-other", JWT.to_owned()),
            ("x-plain", "1".to_owned()),
        ] {
            headers.append(name, HeaderValue::from_str(&value).unwrap());
        }
        headers.append("x-plain", HeaderValue::from_static("2"));
        let redacted = redact_headers(&headers);
        assert_eq!(redacted["authorization"], "Bearer <redacted>");
        assert_eq!(redacted["cookie"], REDACTED);
        assert_eq!(redacted["x-other"], REDACTED);
        assert_eq!(redacted["x-plain"], "1, 2");
        headers.insert("authorization", HeaderValue::from_static("opaque"));
        assert_eq!(redact_headers(&headers)["authorization"], REDACTED);
    }
}
