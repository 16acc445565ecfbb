//! Why a call ended.

use serde::{Deserialize, Serialize};

/// Why a call ended, in the caller's words: up to 64 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EndReason(String);

impl EndReason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EndReason {
    /// Its creation was never finished.
    pub const NOT_CREATED: SystemEndReason = SystemEndReason("not_created");
    /// Nobody joined it in time.
    pub const NOT_JOINED: SystemEndReason = SystemEndReason("not_joined");
    /// Nobody who was called took it.
    pub const DECLINED: SystemEndReason = SystemEndReason("declined");
    /// Everybody left it.
    pub const LEFT: SystemEndReason = SystemEndReason("left");
    /// It reached its longest duration.
    pub const TOO_LONG: SystemEndReason = SystemEndReason("too_long");
    /// Somebody in it was deleted.
    pub const USER_DELETED: SystemEndReason = SystemEndReason("user_deleted");
    /// It was ended, or its call or channel deleted, at Stream.
    pub const ENDED_AT_STREAM: SystemEndReason = SystemEndReason("ended_at_stream");
}

/// A reason of our own, as opposed to a caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemEndReason(&'static str);

impl SystemEndReason {
    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl From<SystemEndReason> for EndReason {
    fn from(reason: SystemEndReason) -> Self {
        Self(reason.0.to_owned())
    }
}

impl Default for EndReason {
    fn default() -> Self {
        Self("ended".to_owned())
    }
}

impl TryFrom<String> for EndReason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_printable) {
            Ok(Self(text))
        } else {
            Err("must be 1 to 64 printable ASCII characters")
        }
    }
}
