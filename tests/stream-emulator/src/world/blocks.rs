//! Blocks between users. A block is one-sided: it hides the one-to-one channels with the blocked
//! user from the blocking user only.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::acting_user::ActingUser;
use super::channels::Channel;
use super::users::UserRef;
use super::validation::require;
use super::{ApiResult, World};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// A user whom another user has blocked.
#[derive(Debug, Serialize)]
pub(super) struct Block {
    blocked_user_id: String,
    created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockUser {
    blocked_user_id: String,
    user_id: Option<String>,
    user: Option<UserRef>,
}

impl World {
    /// Blocks a user. Repeating it changes nothing.
    pub(crate) fn block_user(
        &mut self,
        token_user: Option<&str>,
        request: BlockUser,
        now: Timestamp,
    ) -> ApiResult {
        let (user_id, blocked_user_id) = self.resolve_block(token_user, request)?;
        require(user_id != blocked_user_id, "a user cannot block itself")?;
        let blocks = self.blocks.entry(user_id.clone()).or_default();
        if !blocks.iter().any(|block| block.blocked_user_id == blocked_user_id) {
            let blocked_user_id = blocked_user_id.clone();
            blocks.push(Block { blocked_user_id, created_at: now });
        }
        Ok(json!({
            "blocked_by_user_id": user_id,
            "blocked_user_id": blocked_user_id,
            "created_at": now,
            // The name in v1.
            "blocked_at": now,
        }))
    }

    pub(crate) fn unblock_user(
        &mut self,
        token_user: Option<&str>,
        request: BlockUser,
    ) -> ApiResult {
        let (user_id, blocked_user_id) = self.resolve_block(token_user, request)?;
        if let Some(blocks) = self.blocks.get_mut(&user_id) {
            blocks.retain(|block| block.blocked_user_id != blocked_user_id);
        }
        Ok(json!({}))
    }

    pub(crate) fn list_blocked_users(
        &self,
        token_user: Option<&str>,
        named_user: Option<String>,
    ) -> ApiResult {
        let user_id = ActingUser::new(named_user, None).resolve("block", token_user)?;
        self.find_user(&user_id)?;
        let blocks = self.blocks.get(&user_id).into_iter().flatten();
        let blocks: Vec<Value> = blocks
            .map(|block| {
                json!({
                    "user_id": user_id,
                    "user": self.user_response(&user_id),
                    "blocked_user_id": block.blocked_user_id,
                    "blocked_user": self.user_response(&block.blocked_user_id),
                    "created_at": block.created_at,
                })
            })
            .collect();
        Ok(json!({ "blocks": blocks }))
    }

    pub(super) fn blocked_user_ids(&self, user_id: &str) -> Vec<&str> {
        let blocks = self.blocks.get(user_id).into_iter().flatten();
        blocks.map(|block| block.blocked_user_id.as_str()).collect()
    }

    /// Whether a user has blocked another user.
    pub(super) fn has_blocked(&self, user_id: &str, blocked_user_id: &str) -> bool {
        self.blocked_user_ids(user_id).contains(&blocked_user_id)
    }

    /// Whether a channel is one-to-one with a user whom the viewer has blocked.
    pub(super) fn is_blocked_for(&self, viewer: &str, channel: &Channel) -> bool {
        let blocked = self.blocked_user_ids(viewer);
        channel.is_one_to_one_with(viewer)
            && blocked.iter().any(|id| channel.is_one_to_one_with(id))
    }

    fn resolve_block(
        &self,
        token_user: Option<&str>,
        request: BlockUser,
    ) -> Result<(String, String), StreamError> {
        let user_id =
            ActingUser::new(request.user_id, request.user).resolve("block", token_user)?;
        let involved = [request.blocked_user_id.as_str(), user_id.as_str()];
        self.check_users_exist_for("block", involved)?;
        Ok((user_id, request.blocked_user_id))
    }
}
