//! Unread counts of users.

use serde_json::{Value, json};

use super::World;

/// How much a user has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnreadCounts {
    messages: usize,
    channels: usize,
}

impl UnreadCounts {
    /// The fields of `me` and of events.
    pub(crate) fn fields(self) -> Value {
        json!({
            "unread_count": self.messages,
            "total_unread_count": self.messages,
            "unread_channels": self.channels,
        })
    }
}

impl World {
    pub(crate) fn unread_counts(&self, _user_id: &str) -> UnreadCounts {
        UnreadCounts::default()
    }
}
