//! Field values from requests. Each type holds only values within its documented limits.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::plain_text;

/// The reason why a value is rejected. It does not contain the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// The length in characters is out of bounds.
    #[error("must have {0} to {1} characters")]
    Length(usize, usize),
    /// The size in bytes exceeds the limit.
    #[error("must be at most {0} bytes of JSON")]
    Size(usize),
    /// The value is not an http or https URL.
    #[error("must be an http or https URL of at most {0} characters")]
    Url(usize),
    /// The value is not a language tag.
    #[error("must be a language tag such as 'en' or 'pt-BR'")]
    Language,
    /// The value contains a control character.
    #[error("must not contain control characters")]
    ControlCharacter,
}

macro_rules! text_field {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The value as text.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }

            /// The value as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidField;

            fn try_from(text: String) -> Result<Self, InvalidField> {
                let check: fn(&str) -> Result<(), InvalidField> = $check;
                check(&text).map(|()| Self(text))
            }
        }
    };
}

/// Whether a text is an http or https URL.
pub(crate) fn is_http_url(text: &str) -> bool {
    text.parse().is_ok_and(|url: http::Uri| {
        url.host().is_some() && matches!(url.scheme_str(), Some("http" | "https"))
    })
}

fn check_length(text: &str, min: usize, max: usize) -> Result<(), InvalidField> {
    if (min..=max).contains(&text.chars().count()) {
        Ok(())
    } else {
        Err(InvalidField::Length(min, max))
    }
}

text_field!(
    /// The display name of a user: 1 to 128 characters, without control characters.
    DisplayName,
    |text| {
        check_length(text, 1, 128)?;
        if text.chars().any(char::is_control) { Err(InvalidField::ControlCharacter) } else { Ok(()) }
    }
);

text_field!(
    /// The URL of a user's picture: http or https, at most 2,048 characters.
    ImageUrl,
    |text| {
        const MAX_LENGTH: usize = 2_048;
        let is_valid = text.len() <= MAX_LENGTH && is_http_url(text);
        if is_valid { Ok(()) } else { Err(InvalidField::Url(MAX_LENGTH)) }
    }
);

text_field!(
    /// A language as a short BCP 47 tag: two or three letters, and an optional subtag.
    Language,
    |text| {
        let mut parts = text.split('-');
        let fits = |part: &str, min, max, is_allowed: fn(&u8) -> bool| {
            (min..=max).contains(&part.len()) && part.bytes().all(|byte| is_allowed(&byte))
        };
        let is_valid = parts.next().is_some_and(|part| fits(part, 2, 3, u8::is_ascii_alphabetic))
            && parts.next().is_none_or(|part| fits(part, 2, 4, u8::is_ascii_alphanumeric))
            && parts.next().is_none();
        if is_valid { Ok(()) } else { Err(InvalidField::Language) }
    }
);

text_field!(
    /// The text of a message: 1 to 5,000 characters, which is Stream's limit. A text that begins with
    /// a slash gets an additional character, so that Stream does not run it as a command.
    MessageText,
    |text| check_length(&plain_text::to_stream(text), 1, 5_000)
);

/// The apps' custom data: an object of at most 4 KB as JSON. With the other fields it stays below
/// Stream's limit of 5 KB for a user, a channel or a call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct CustomData(Map<String, Value>);

impl CustomData {
    const MAX_BYTES: usize = 4096;

    /// The value as an object.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl TryFrom<Map<String, Value>> for CustomData {
    type Error = InvalidField;

    fn try_from(map: Map<String, Value>) -> Result<Self, InvalidField> {
        let size = serde_json::to_string(&map).map_or(usize::MAX, |text| text.len());
        if size <= Self::MAX_BYTES {
            Ok(Self(map))
        } else {
            Err(InvalidField::Size(Self::MAX_BYTES))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid<T: TryFrom<String>>(text: &str) -> bool {
        T::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn text_lengths_are_limited() {
        assert!(is_valid::<DisplayName>("Zo\u{eb}"));
        assert!(is_valid::<DisplayName>(&"\u{1f600}".repeat(128)));
        assert!(!is_valid::<DisplayName>(&"a".repeat(129)));
        assert!(!is_valid::<DisplayName>(""));
        assert!(!is_valid::<DisplayName>("a\nb"));
        assert!(is_valid::<MessageText>(&"\u{e9}".repeat(5_000)));
        assert!(!is_valid::<MessageText>(&"a".repeat(5_001)));
        assert!(is_valid::<MessageText>(&"/".repeat(4_999)));
        assert!(!is_valid::<MessageText>(&"/".repeat(5_000)));
        assert!(!is_valid::<MessageText>(""));
    }

    #[test]
    fn image_url_must_be_http_or_https() {
        let long = |n: usize| format!("https://e.com/{}", "a".repeat(n - 14));
        for (url, expected) in [
            ("https://example.com/a.png", true),
            ("http://example.com", true),
            ("javascript:alert(1)", false),
            ("data:image/png;base64,AAAA", false),
            ("/a.png", false),
            ("", false),
            (&long(2_048), true),
            (&long(2_049), false),
        ] {
            assert_eq!(is_valid::<ImageUrl>(url), expected, "{url}");
        }
    }

    #[test]
    fn language_must_be_a_short_tag() {
        for (tag, expected) in [
            ("en", true),
            ("pt-BR", true),
            ("zh-Hant", true),
            ("e", false),
            ("e1", false),
            ("es-419", true),
            ("en-", false),
            ("en-US-x", false),
        ] {
            assert_eq!(is_valid::<Language>(tag), expected, "{tag}");
        }
    }

    #[test]
    fn custom_data_is_bounded_as_json() {
        let custom_of_size =
            |n: usize| serde_json::json!({"a": "x".repeat(n)}).as_object().cloned().unwrap();
        assert!(CustomData::try_from(custom_of_size(4096 - 8)).is_ok());
        assert!(CustomData::try_from(custom_of_size(4096 - 7)).is_err());
    }
}
