//! Unread counts of users.

use serde_json::{Map, Value, json};

use super::World;

/// How much a user has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnreadCounts {
    messages: usize,
    channels: usize,
}

impl UnreadCounts {
    /// The fields of `me` and of events.
    pub(crate) fn fields(self) -> Map<String, Value> {
        let fields = json!({
            "unread_count": self.messages,
            "total_unread_count": self.messages,
            "unread_channels": self.channels,
        });
        if let Value::Object(fields) = fields { fields } else { Map::new() }
    }
}

impl World {
    pub(crate) fn unread_counts(&self, _user_id: &str) -> UnreadCounts {
        UnreadCounts::default()
    }
}
