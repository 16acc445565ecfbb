//! Channels that a user hides from queries. A new message shows them again.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::acting_user::ActingUser;
use super::channels::Channel;
use super::cid::Cid;
use super::message::Message;
use super::users::UserRef;
use super::{ApiResult, World};
use crate::timestamp::Timestamp;

/// What a user has hidden of a channel.
#[derive(Debug, Default, Serialize)]
pub(super) struct Visibility {
    is_hidden: bool,
    /// The user sees only messages that are newer.
    history_cleared_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HideChannel {
    user_id: Option<String>,
    user: Option<UserRef>,
    clear_history: Option<bool>,
}

impl Channel {
    pub(super) fn hide(&mut self, user_id: &str) {
        self.visibility.entry(user_id.to_owned()).or_default().is_hidden = true;
    }

    pub(super) fn clear_history_of(&mut self, user_id: &str, now: Timestamp) {
        self.visibility.entry(user_id.to_owned()).or_default().history_cleared_at = Some(now);
    }

    pub(super) fn show_to_all(&mut self) {
        for visibility in self.visibility.values_mut() {
            visibility.is_hidden = false;
        }
    }

    pub(super) fn is_hidden_from(&self, user_id: &str) -> bool {
        self.visibility.get(user_id).is_some_and(|it| it.is_hidden)
    }

    /// The messages that the channel lists for a user. `None` is a server.
    pub(super) fn listed_messages(&self, viewer: Option<&str>) -> Vec<&Message> {
        let cleared_at = viewer
            .and_then(|viewer| self.visibility.get(viewer))
            .and_then(|visibility| visibility.history_cleared_at);
        let messages = self.messages.iter();
        messages
            .filter(|message| message.is_in_channel() && message.is_visible_to(viewer))
            .filter(|message| cleared_at.is_none_or(|cleared_at| message.created_at > cleared_at))
            .collect()
    }
}

impl World {
    pub(crate) fn hide_channel(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: HideChannel,
        now: Timestamp,
    ) -> ApiResult {
        let user_id = ActingUser::new(request.user_id, request.user).resolve("hide", token_user)?;
        let clear_history = request.clear_history.unwrap_or_default();
        let channel = self.find_channel_mut(cid)?;
        channel.hide(&user_id);
        if clear_history {
            channel.clear_history_of(&user_id, now);
        }
        let fields = json!({
            "user": self.user_response(&user_id),
            "channel": self.find_channel(cid)?.response(self),
            "clear_history": clear_history,
        });
        self.emit_channel("channel.hidden", cid, now, fields);
        Ok(json!({}))
    }

    pub(crate) fn show_channel(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: HideChannel,
        now: Timestamp,
    ) -> ApiResult {
        let user_id = ActingUser::new(request.user_id, request.user).resolve("show", token_user)?;
        let channel = self.find_channel_mut(cid)?;
        channel.visibility.entry(user_id.clone()).or_default().is_hidden = false;
        let fields = json!({
            "user": self.user_response(&user_id),
            "channel": self.find_channel(cid)?.response(self),
        });
        self.emit_channel("channel.visible", cid, now, fields);
        Ok(json!({}))
    }
}
