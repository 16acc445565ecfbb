//! Moderation of a call: users who may not join, kicks and mutes.

use serde::Deserialize;
use serde_json::json;

use super::cid::Cid;
use super::session::Session;
use super::validation::{ensure, require};
use super::{ApiResult, World};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// The user to block or to unblock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockCallUser {
    user_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KickCallUser {
    user_id: String,
    block: Option<bool>,
    kicked_by_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MuteCallUsers {
    user_ids: Option<Vec<String>>,
    mute_all_users: Option<bool>,
    muted_by_id: Option<String>,
    /// Media is not emulated, so that the kind of the muted track has no effect.
    #[serde(rename = "audio")]
    _audio: Option<bool>,
    #[serde(rename = "video")]
    _video: Option<bool>,
    #[serde(rename = "screenshare")]
    _screenshare: Option<bool>,
    #[serde(rename = "screenshare_audio")]
    _screenshare_audio: Option<bool>,
}

impl KickCallUser {
    pub(super) fn blocks(&self) -> bool {
        self.block == Some(true)
    }
}

impl World {
    /// Blocks a user from a call. The user leaves it and cannot join again.
    pub(crate) fn block_call_user(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: &BlockCallUser,
        now: Timestamp,
    ) -> ApiResult {
        self.find_user(&request.user_id)?;
        self.find_call_mut(cid)?.blocked_users.insert(request.user_id.clone());
        self.leave_user(cid, &request.user_id, Some("blocked"), now);
        let fields = json!({
            "user": self.user_response(&request.user_id),
            "blocked_by_user": token_user.map(|id| self.user_response(id)),
        });
        self.emit_call_moderation("call.blocked_user", cid, now, fields);
        Ok(json!({}))
    }

    pub(crate) fn unblock_call_user(
        &mut self,
        cid: &Cid,
        request: &BlockCallUser,
        now: Timestamp,
    ) -> ApiResult {
        self.find_user(&request.user_id)?;
        self.find_call_mut(cid)?.blocked_users.remove(&request.user_id);
        let fields = json!({ "user": self.user_response(&request.user_id) });
        self.emit_call_moderation("call.unblocked_user", cid, now, fields);
        Ok(json!({}))
    }

    /// Removes a user from the session of a call.
    pub(crate) fn kick_call_user(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: KickCallUser,
        now: Timestamp,
    ) -> ApiResult {
        self.find_call(cid)?;
        self.find_user(&request.user_id)?;
        let blocks = request.blocks();
        let kicked_by = token_user.map(str::to_owned).or(request.kicked_by_id);
        self.leave_user(cid, &request.user_id, Some("kicked"), now);
        let fields = json!({
            "user": self.user_response(&request.user_id),
            "kicked_by_user": kicked_by.map(|id| self.user_response(&id)),
        });
        self.emit_call_moderation("call.kicked_user", cid, now, fields);
        if blocks {
            let block = BlockCallUser { user_id: request.user_id };
            self.block_call_user(token_user, cid, &block, now)?;
        }
        Ok(json!({}))
    }

    /// Asks the clients of the given users to mute their tracks.
    pub(crate) fn mute_call_users(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: MuteCallUsers,
        now: Timestamp,
    ) -> ApiResult {
        let call = self.find_call(cid)?;
        let muted_by = token_user.map(str::to_owned).or(request.muted_by_id);
        let muted_by = muted_by.unwrap_or_else(|| call.created_by.clone());
        let mut user_ids = request.user_ids.unwrap_or_default();
        if request.mute_all_users == Some(true) {
            let present = call.current_session().map(Session::present_users);
            user_ids.extend(present.unwrap_or_default().into_iter().filter(|id| *id != muted_by));
        }
        require(!user_ids.is_empty(), "user_ids or mute_all_users is a required field")?;
        let fields =
            json!({ "call_cid": cid, "from_user_id": muted_by, "muted_user_ids": user_ids });
        self.emit("call.user_muted", now, fields);
        Ok(json!({}))
    }

    /// Checks that a user is not blocked from a call.
    pub(super) fn check_not_blocked(&self, cid: &Cid, user_id: &str) -> Result<(), StreamError> {
        let is_blocked =
            self.calls.get(cid).is_some_and(|call| call.blocked_users.contains(user_id));
        ensure(!is_blocked, || {
            StreamError::forbidden(format!("user '{user_id}' is blocked from the call"))
        })
    }

    fn emit_call_moderation(
        &mut self,
        kind: &str,
        cid: &Cid,
        now: Timestamp,
        fields: serde_json::Value,
    ) {
        let fields = super::merge(json!({ "call_cid": cid }), super::strip_nulls(fields));
        self.emit(kind, now, fields);
    }
}
