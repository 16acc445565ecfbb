//! Reactions to messages. A user has one reaction of each type.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::acting_user::ActingUser;
use super::users::UserRef;
use super::validation::{check_max, require};
use super::{ApiResult, CustomFields, World};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

const MAX_LATEST: usize = 10;
const MAX_PAGE_SIZE: usize = 300;
const DEFAULT_PAGE_SIZE: usize = 10;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Reaction {
    #[serde(rename = "type")]
    kind: String,
    user_id: String,
    score: u64,
    custom: CustomFields,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendReaction {
    reaction: ReactionRequest,
    /// Whether the reaction replaces the other reactions of the user.
    enforce_unique: Option<bool>,
    /// Push notifications are not emulated.
    #[serde(rename = "skip_push")]
    _skip_push: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReactionRequest {
    #[serde(rename = "type")]
    kind: String,
    score: Option<u64>,
    user_id: Option<String>,
    user: Option<UserRef>,
    custom: Option<CustomFields>,
}

impl Reaction {
    fn response(&self, message_id: &str, world: &World) -> Value {
        json!({
            "message_id": message_id,
            "type": self.kind,
            "user_id": self.user_id,
            "user": world.user_response(&self.user_id),
            "score": self.score,
            "custom": self.custom,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }

    fn is_of(&self, user_id: &str, kind: &str) -> bool {
        self.user_id == user_id && self.kind == kind
    }
}

/// The fields of a message that describe its reactions. `viewer` determines the own ones.
pub(super) fn reaction_fields(
    message_id: &str,
    reactions: &[Reaction],
    viewer: Option<&str>,
    world: &World,
) -> Value {
    let response = |reaction: &Reaction| reaction.response(message_id, world);
    let latest: Vec<Value> = reactions.iter().rev().take(MAX_LATEST).map(response).collect();
    let own = reactions.iter().filter(|it| viewer == Some(it.user_id.as_str()));
    let own: Vec<Value> = own.map(response).collect();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut scores: BTreeMap<&str, u64> = BTreeMap::new();
    let mut groups = json!({});
    for reaction in reactions {
        let count = counts.entry(&reaction.kind).or_default();
        *count += 1;
        let score = scores.entry(&reaction.kind).or_default();
        *score = score.saturating_add(reaction.score);
        let group = &mut groups[&reaction.kind];
        if group.is_null() {
            *group = json!({ "first_reaction_at": reaction.created_at });
        }
        group["count"] = json!(count);
        group["sum_scores"] = json!(score);
        group["last_reaction_at"] = json!(reaction.created_at);
    }
    json!({
        "latest_reactions": latest,
        "own_reactions": own,
        "reaction_counts": counts,
        "reaction_scores": scores,
        "reaction_groups": groups,
    })
}

impl World {
    /// Adds a reaction, or replaces that of the same type.
    pub(crate) fn send_reaction(
        &mut self,
        token_user: Option<&str>,
        message_id: &str,
        request: SendReaction,
        now: Timestamp,
    ) -> ApiResult {
        let ReactionRequest { kind, score, user_id, user, custom } = request.reaction;
        require(!kind.is_empty(), "reaction.type is a required field")?;
        let user_id = ActingUser::new(user_id, user).resolve("reaction", token_user)?;
        self.check_users_exist_for("reaction create", [user_id.as_str()])?;
        let message = self.find_message_mut(message_id)?;
        require(message.deleted_at.is_none(), "the message is deleted")?;
        let has_same_type = message.reactions.iter().any(|it| it.is_of(&user_id, &kind));
        let is_unique = request.enforce_unique == Some(true);
        message
            .reactions
            .retain(|it| !(it.is_of(&user_id, &kind) || is_unique && it.user_id == user_id));
        let reaction = Reaction {
            kind,
            user_id,
            score: score.unwrap_or(1),
            custom: custom.unwrap_or_default(),
            created_at: now,
            updated_at: now,
        };
        message.reactions.push(reaction.clone());
        let event = if has_same_type { "reaction.updated" } else { "reaction.new" };
        self.emit_reaction(event, message_id, &reaction, now)
    }

    /// Assumed: a reaction that does not exist is not found.
    pub(crate) fn delete_reaction(
        &mut self,
        token_user: Option<&str>,
        message_id: &str,
        kind: &str,
        named_user: Option<String>,
        now: Timestamp,
    ) -> ApiResult {
        let user_id = ActingUser::new(named_user, None).resolve("reaction", token_user)?;
        let message = self.find_message_mut(message_id)?;
        let position = message.reactions.iter().position(|it| it.is_of(&user_id, kind));
        let position = position.ok_or_else(|| {
            StreamError::not_found(format!("reaction {kind:?} of {user_id:?} does not exist"))
        })?;
        let reaction = message.reactions.remove(position);
        self.emit_reaction("reaction.deleted", message_id, &reaction, now)
    }

    /// The reactions to a message, newest first.
    pub(crate) fn get_reactions(
        &self,
        message_id: &str,
        limit: Option<usize>,
        offset: Option<usize>,
    ) -> ApiResult {
        let limit = limit.unwrap_or(DEFAULT_PAGE_SIZE);
        check_max("limit", limit, MAX_PAGE_SIZE)?;
        let (_, message) = self.find_message(message_id)?;
        let page = message.reactions.iter().rev().skip(offset.unwrap_or_default()).take(limit);
        let page: Vec<Value> = page.map(|it| it.response(message_id, self)).collect();
        Ok(json!({ "reactions": page }))
    }

    fn emit_reaction(
        &mut self,
        kind: &str,
        message_id: &str,
        reaction: &Reaction,
        now: Timestamp,
    ) -> ApiResult {
        let (channel, message) = self.find_message(message_id)?;
        let cid = channel.cid.clone();
        let event = json!({
            "message": message.response(self),
            "message_id": message_id,
            "reaction": reaction.response(message_id, self),
            "user": self.user_response(&reaction.user_id),
        });
        let response = json!({
            "message": message.response_for(Some(&reaction.user_id), self),
            "reaction": event["reaction"],
        });
        self.emit_channel(kind, &cid, now, event);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, create_channel, from_json, send_message, world_with_users};
    use super::*;

    #[test]
    fn sum_of_scores_is_limited() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        send_message(&mut world, "m1").expect("a message");
        let mut react = |user: &str, score: u64| {
            let request = json!({ "reaction": { "type": "like", "score": score } });
            world.send_reaction(Some(user), "m1", from_json(request), at(3)).expect("a reaction")
        };
        react("alice", u64::MAX);
        let response = react("bob", 1);
        assert_eq!(response["message"]["reaction_scores"], json!({ "like": u64::MAX }));
    }
}
