//! The user's own object, which only that user gets: with mutes, devices and unread counts.

use serde_json::json;

use super::{ApiResult, World, merge};

impl World {
    /// The `me` of a connection.
    pub(crate) fn own_user(&self, id: &str) -> ApiResult {
        let user = self.find_user(id)?.response();
        let own = json!({
            "devices": self.device_responses(id),
            "mutes": self.mute_responses(id),
            "channel_mutes": self.channel_mute_responses(id),
            "blocked_user_ids": self.blocked_user_ids(id),
        });
        Ok(merge(merge(user, own), self.unread_counts(id).fields()))
    }
}
