//! The user's own object, which only that user gets: with mutes, devices and unread counts.

use serde_json::{Value, json};

use super::{World, merge};

impl World {
    pub(crate) fn own_user(&self, id: &str) -> Value {
        let devices = self.list_devices(Some(id), super::DeviceQuery::default());
        let devices = devices.map_or_else(|_| json!([]), |response| response["devices"].clone());
        let own = json!({
            "devices": devices,
            "mutes": self.mute_responses(id),
            "channel_mutes": self.channel_mute_responses(id),
            "blocked_user_ids": self.blocked_user_ids(id),
        });
        let user = merge(self.user_response(id), own);
        merge(user, self.unread_counts(id).fields())
    }
}
