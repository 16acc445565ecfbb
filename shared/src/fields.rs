//! Field values that come from outside, each a type that can only hold what its limits allow.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Why a value is refused; the value itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// The length, in characters, is out of bounds.
    #[error("must have {0} to {1} characters")]
    Length(usize, usize),
    /// The size, in bytes, is over the bound.
    #[error("must be at most {0} bytes of JSON")]
    Size(usize),
    /// Not an address of a picture.
    #[error("must be an http or https URL of at most {0} characters")]
    Url(usize),
    /// Not a language.
    #[error("must be a language tag such as 'en' or 'pt-BR'")]
    Language,
    /// A control character.
    #[error("must have no control characters")]
    ControlCharacter,
}

macro_rules! text_field {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }

            /// The text itself.
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

/// Whether a text is the address of something on the web.
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
    /// The name of a user, as others see it: 1 to 64 characters, none of them a control character.
    DisplayName,
    |text| {
        check_length(text, 1, 64)?;
        if text.chars().any(char::is_control) { Err(InvalidField::ControlCharacter) } else { Ok(()) }
    }
);

text_field!(
    /// The address of a user's picture: http or https, at most 512 characters.
    ImageUrl,
    |text| {
        const MAX_LENGTH: usize = 512;
        let is_valid = text.len() <= MAX_LENGTH && is_http_url(text);
        if is_valid { Ok(()) } else { Err(InvalidField::Url(MAX_LENGTH)) }
    }
);

text_field!(
    /// A language as a short BCP 47 tag: two or three letters, and perhaps a region.
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
    /// The text of a message: 1 to 5,000 characters, the most that Stream takes.
    MessageText,
    |text| check_length(text, 1, 5_000)
);

/// Data of the apps' own: an object of at most 4 KB as JSON, which with the other fields stays
/// under the 5 KB that Stream takes of a user, a channel or a call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct CustomData(Map<String, Value>);

impl CustomData {
    const MAX_BYTES: usize = 4096;

    /// The object itself.
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
        assert!(is_valid::<DisplayName>(&"\u{1f600}".repeat(64)));
        assert!(!is_valid::<DisplayName>(&"a".repeat(65)));
        assert!(!is_valid::<DisplayName>(""));
        assert!(!is_valid::<DisplayName>("a\nb"));
        assert!(is_valid::<MessageText>(&"\u{e9}".repeat(5_000)));
        assert!(!is_valid::<MessageText>(&"a".repeat(5_001)));
        assert!(!is_valid::<MessageText>(""));
    }

    #[test]
    fn image_url_must_be_http_or_https() {
        let long = |n: usize| format!("https://e.com/{}", "a".repeat(n - 14));
        for (url, ok) in [
            ("https://example.com/a.png", true),
            ("http://example.com", true),
            ("javascript:alert(1)", false),
            ("data:image/png;base64,AAAA", false),
            ("/a.png", false),
            ("", false),
            (&long(512), true),
            (&long(513), false),
        ] {
            assert_eq!(is_valid::<ImageUrl>(url), ok, "{url}");
        }
    }

    #[test]
    fn language_must_be_a_short_tag() {
        for (tag, ok) in [
            ("en", true),
            ("pt-BR", true),
            ("zh-Hant", true),
            ("e", false),
            ("e1", false),
            ("es-419", true),
            ("en-", false),
            ("en-US-x", false),
        ] {
            assert_eq!(is_valid::<Language>(tag), ok, "{tag}");
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
