//! Field values that come from outside, each a type that can only hold what its limits allow.

use serde::Deserialize;
use serde_json::{Map, Value};

/// Why a value is refused; the value itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldRefused {
    /// The length, in characters, is out of bounds.
    #[error("must have {0} to {1} characters")]
    Characters(usize, usize),
    /// The size, in bytes, is over the bound.
    #[error("must be at most {0} bytes of JSON")]
    Bytes(usize),
    /// Not an address of a picture.
    #[error("must be an http or https URL of at most {0} characters")]
    Url(usize),
    /// Not a language.
    #[error("must be a language tag such as 'en' or 'pt-BR'")]
    Language,
    /// A control character.
    #[error("must have no control characters")]
    Control,
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
            type Error = FieldRefused;

            fn try_from(text: String) -> Result<Self, FieldRefused> {
                let check: fn(&str) -> Result<(), FieldRefused> = $check;
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

fn characters(text: &str, least: usize, most: usize) -> Result<(), FieldRefused> {
    if (least..=most).contains(&text.chars().count()) {
        Ok(())
    } else {
        Err(FieldRefused::Characters(least, most))
    }
}

text_field!(
    /// The name of a user, as others see it: 1 to 64 characters, none of them a control character.
    DisplayName,
    |text| {
        characters(text, 1, 64)?;
        if text.chars().any(char::is_control) { Err(FieldRefused::Control) } else { Ok(()) }
    }
);

text_field!(
    /// The address of a user's picture: http or https, at most 512 characters.
    ImageUrl,
    |text| {
        const MOST: usize = 512;
        let good = text.len() <= MOST && is_http_url(text);
        if good { Ok(()) } else { Err(FieldRefused::Url(MOST)) }
    }
);

text_field!(
    /// A language as a short BCP 47 tag: two or three letters, and perhaps a region.
    Language,
    |text| {
        let mut parts = text.split('-');
        let fits = |part: &str, least, most, of: fn(&u8) -> bool| {
            (least..=most).contains(&part.len()) && part.bytes().all(|byte| of(&byte))
        };
        let good = parts.next().is_some_and(|part| fits(part, 2, 3, u8::is_ascii_alphabetic))
            && parts.next().is_none_or(|part| fits(part, 2, 4, u8::is_ascii_alphanumeric))
            && parts.next().is_none();
        if good { Ok(()) } else { Err(FieldRefused::Language) }
    }
);

text_field!(
    /// The text of a message: 1 to 5,000 characters, the most that Stream takes.
    MessageText,
    |text| characters(text, 1, 5_000)
);

/// Data of the apps' own: an object of at most 4 KB as JSON, which with the other fields stays
/// under the 5 KB that Stream takes of a user, a channel or a call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Custom(Map<String, Value>);

impl Custom {
    const MOST: usize = 4096;

    /// The object itself.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl TryFrom<Map<String, Value>> for Custom {
    type Error = FieldRefused;

    fn try_from(map: Map<String, Value>) -> Result<Self, FieldRefused> {
        let size = serde_json::to_string(&map).map_or(usize::MAX, |text| text.len());
        if size <= Self::MOST { Ok(Self(map)) } else { Err(FieldRefused::Bytes(Self::MOST)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good<T: TryFrom<String>>(text: &str) -> bool {
        T::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn texts_at_their_limits() {
        assert!(good::<DisplayName>("Zo\u{eb}"));
        assert!(good::<DisplayName>(&"\u{1f600}".repeat(64)));
        assert!(!good::<DisplayName>(&"a".repeat(65)));
        assert!(!good::<DisplayName>(""));
        assert!(!good::<DisplayName>("a\nb"));
        assert!(good::<MessageText>(&"\u{e9}".repeat(5_000)));
        assert!(!good::<MessageText>(&"a".repeat(5_001)));
        assert!(!good::<MessageText>(""));
    }

    #[test]
    fn image_addresses() {
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
            assert_eq!(good::<ImageUrl>(url), ok, "{url}");
        }
    }

    #[test]
    fn language_tags() {
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
            assert_eq!(good::<Language>(tag), ok, "{tag}");
        }
    }

    #[test]
    fn custom_data_is_bounded_as_json() {
        let of = |n: usize| serde_json::json!({"a": "x".repeat(n)}).as_object().cloned().unwrap();
        assert!(Custom::try_from(of(4096 - 8)).is_ok());
        assert!(Custom::try_from(of(4096 - 7)).is_err());
    }
}
