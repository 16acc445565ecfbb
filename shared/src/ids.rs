//! Ids from requests and events. Each type holds only values of its documented form.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The channel type of every call's chat: Stream's built-in type for private chats.
pub const CHANNEL_TYPE: &str = "messaging";

/// The reason why a text is not an id. It does not contain the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty or longer than this number of characters.
    #[error("must have 1 to {0} characters")]
    Length(usize),
    /// A character is not allowed in the id.
    #[error("may contain only letters, digits, '_' and '-'")]
    Character,
    /// A character is not allowed in a user id.
    #[error("may contain only letters, digits, '_', '-' and '@'")]
    UserCharacter,
    /// A character is not allowed in a message id.
    #[error("may contain only visible ASCII characters except ',', '%', '/', '\\', '?' and '#'")]
    MessageCharacter,
    /// The text is not a call type and an id.
    #[error("must be a call type, ':' and the id of a call")]
    NotACallCid,
    /// The channel does not belong to a call.
    #[error("must be 'call-' followed by the id of a call")]
    NotACallChannel,
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_user_id_byte(byte: u8) -> bool {
    is_id_byte(byte) || byte == b'@'
}

/// Whether Stream accepts the byte in a message id, and no URL parser gives it a meaning.
fn is_message_id_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b",%/\\?#".contains(&byte)
}

fn validate(
    text: &str,
    max_length: usize,
    is_allowed: fn(u8) -> bool,
    error: IdError,
) -> Result<(), IdError> {
    if text.is_empty() || text.len() > max_length {
        return Err(IdError::Length(max_length));
    }
    // A URL parser removes these path segments.
    let is_dot_segment = matches!(text, "." | "..");
    if !is_dot_segment && text.bytes().all(is_allowed) { Ok(()) } else { Err(error) }
}

macro_rules! define_id {
    ($(#[$doc:meta])* $name:ident, $max_length:expr, $is_allowed:expr, $error:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                validate(&text, $max_length, $is_allowed, $error)?;
                Ok(Self(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

define_id!(
    /// The id of a user, the same in sessions and at Stream: `^[A-Za-z0-9_@-]{1,64}$`.
    UserId, 64, is_user_id_byte, IdError::UserCharacter
);
define_id!(
    /// The id of a call: `^[A-Za-z0-9_-]{1,59}$`, so that the channel id fits in 64 characters.
    CallId, 59, is_id_byte, IdError::Character
);
define_id!(
    /// The id of a message, chosen by the client: 1 to 255 visible ASCII characters except `,`,
    /// `%`, `/`, `\`, `?` and `#`. Stream's client libraries generate a user id and a UUID.
    MessageId, 255, is_message_id_byte, IdError::MessageCharacter
);
define_id!(
    /// The id of a batch of quality samples, for deduplication: `^[A-Za-z0-9_-]{1,64}$`.
    BatchId, 64, is_id_byte, IdError::Character
);
define_id!(
    /// The id of an app's installation on a device: `^[A-Za-z0-9_-]{1,64}$`.
    DeviceId, 64, is_id_byte, IdError::Character
);
define_id!(
    /// The id of a session at Stream: `^[A-Za-z0-9_-]{1,128}$`.
    SessionId, 128, is_id_byte, IdError::Character
);

define_id!(
    /// The name of a call type at Stream: `^[A-Za-z0-9_-]{1,64}$`.
    CallTypeName, 64, is_id_byte, IdError::Character
);

impl CallTypeName {
    const DEFAULT: &str = "default";

    /// Whether this is Stream's built-in type for video and voice calls.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl Default for CallTypeName {
    /// Stream's built-in type for video and voice calls.
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

/// The identity of a call at Stream: its type and its id, such as `default:c1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallCid {
    /// The call type.
    pub call_type: CallTypeName,
    /// The id.
    pub id: CallId,
}

impl TryFrom<&str> for CallCid {
    type Error = IdError;

    fn try_from(cid: &str) -> Result<Self, IdError> {
        let (call_type, id) = cid.split_once(':').ok_or(IdError::NotACallCid)?;
        Ok(Self { call_type: call_type.to_owned().try_into()?, id: id.to_owned().try_into()? })
    }
}

impl fmt::Display for CallCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.call_type, self.id)
    }
}

impl CallId {
    /// An id from a UUID.
    #[must_use]
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid.hyphenated().to_string())
    }

    /// Derives an id from a user and an idempotency key. The same key of another user gives another
    /// id.
    #[must_use]
    pub fn from_idempotency_key(user: &UserId, key: &str) -> Self {
        // A user id contains no zero byte, so different pairs never have the same text.
        let text = format!("{user}\0{key}");
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        Self::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The id of the call's chat channel.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        ChannelId(self.clone())
    }

    /// The call's cid at Stream.
    #[must_use]
    pub fn with_type(&self, call_type: &CallTypeName) -> CallCid {
        CallCid { call_type: call_type.clone(), id: self.clone() }
    }
}

impl BatchId {
    /// An id from a digest.
    pub(crate) fn from_digest(digest: &[u8; 32]) -> Self {
        Self(hex::encode(&digest[..16]))
    }
}

impl MessageId {
    /// An id from a UUID.
    #[must_use]
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid.hyphenated().to_string())
    }
}

/// The id of a call's chat channel: `call-` and the call's id. Every channel belongs to a call, so
/// the call id can be derived.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ChannelId(CallId);

impl ChannelId {
    const PREFIX: &'static str = "call-";

    /// The id of the channel's call.
    #[must_use]
    pub fn call(&self) -> &CallId {
        &self.0
    }

    /// The channel's cid at Stream: type and id.
    #[must_use]
    pub fn cid(&self) -> String {
        format!("{CHANNEL_TYPE}:{self}")
    }
}

impl TryFrom<String> for ChannelId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        validate(&text, 64, is_id_byte, IdError::Character)?;
        let call = text.strip_prefix(Self::PREFIX).ok_or(IdError::NotACallChannel)?;
        // The remaining text is valid unless it is empty.
        CallId::try_from(call.to_owned()).map(Self).map_err(|_| IdError::NotACallChannel)
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

impl Serialize for ChannelId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_accept_only_their_documented_form() {
        let long = |n: usize| "a".repeat(n);
        let cases: [(String, bool, bool, bool); 12] = [
            // text, user, call, channel
            ("alice".into(), true, true, false),
            ("alice@example".into(), true, false, false),
            (String::new(), false, false, false),
            (long(59), true, true, false),
            (long(60), true, false, false),
            (long(64), true, false, false),
            (long(65), false, false, false),
            ("call-".into(), true, true, false),
            (format!("call-{}", long(59)), true, false, true),
            (format!("call-{}", long(60)), false, false, false),
            ("call-a/b".into(), false, false, false),
            ("caf\u{e9}".into(), false, false, false),
        ];
        for (text, user, call, channel) in cases {
            assert_eq!(UserId::try_from(text.clone()).is_ok(), user, "user {text}");
            assert_eq!(CallId::try_from(text.clone()).is_ok(), call, "call {text}");
            assert_eq!(ChannelId::try_from(text.clone()).is_ok(), channel, "channel {text}");
        }
    }

    #[test]
    fn message_ids_are_those_of_stream_without_url_characters() {
        let uuid = "0f0a4d6e-3c3b-4f1a-9a43-0f6c5b1d2e3f";
        let longest = format!("{}-{uuid}", "u".repeat(64));
        for (text, is_valid) in [
            (longest.as_str(), true),
            (&format!("alice@example-{uuid}"), true),
            ("a.b:c~d+e=f!", true),
            (&"a".repeat(255), true),
            (&"a".repeat(256), false),
            ("", false),
            (".", false),
            ("..", false),
            ("...", true),
            ("a,b", false),
            ("a%2f", false),
            ("a/b", false),
            ("a\\b", false),
            ("a?b", false),
            ("a#b", false),
            ("a b", false),
            ("a\u{0}", false),
            ("caf\u{e9}", false),
        ] {
            assert_eq!(MessageId::try_from(text.to_owned()).is_ok(), is_valid, "{text}");
        }
    }

    #[test]
    fn channel_id_and_call_id_convert_both_ways() {
        let call = CallId::try_from("abc".to_owned()).unwrap();
        assert_eq!(call.channel().to_string(), "call-abc");
        assert_eq!(call.channel().cid(), "messaging:call-abc");
        let cid = call.with_type(&CallTypeName::default());
        assert_eq!(cid.to_string(), "default:abc");
        assert_eq!(CallCid::try_from("default:abc"), Ok(cid));
        for other in ["abc", "default:", ":abc", "default:a:b", "a b:c"] {
            assert!(CallCid::try_from(other).is_err(), "{other}");
        }
        assert_eq!(ChannelId::try_from("call-abc".to_owned()).unwrap().call(), &call);
    }

    proptest! {
        /// An accepted id equals the input, fits the length, and needs no encoding in URLs.
        #[test]
        fn accepted_id_equals_its_text(text in "\\PC{0,70}") {
            if let Ok(id) = UserId::try_from(text.clone()) {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert!((1..=64).contains(&text.len()));
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-@".contains(&b)));
            }
        }

        #[test]
        fn any_call_id_round_trips_through_its_channel_id(text in "[A-Za-z0-9_-]{1,59}") {
            let call = CallId::try_from(text).unwrap();
            let channel = ChannelId::try_from(call.channel().to_string()).unwrap();
            prop_assert_eq!(channel.call(), &call);
        }
    }
}
