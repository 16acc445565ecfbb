//! Flags: a user reports a message or another user to the moderators.

use serde::Deserialize;
use serde_json::json;

use super::acting_user::ActingUser;
use super::users::UserRef;
use super::{ApiResult, CustomFields, World, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::UserAction;

const MESSAGE_ENTITY: &str = "stream:chat:v1:message";
const USER_ENTITY: &str = "stream:user";

/// A flag in the form of v1, with a target, or in that of v2, with an entity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flag {
    target_message_id: Option<String>,
    target_user_id: Option<String>,
    entity_type: Option<String>,
    entity_id: Option<String>,
    #[serde(rename = "entity_creator_id")]
    _entity_creator_id: Option<String>,
    user_id: Option<String>,
    user: Option<UserRef>,
    reason: Option<String>,
    custom: Option<CustomFields>,
}

/// The flagged object.
enum Target {
    Message(String),
    User(String),
}

impl Flag {
    fn take_target(&mut self) -> Result<Target, StreamError> {
        match (self.target_message_id.take(), self.target_user_id.take()) {
            (Some(id), _) => return Ok(Target::Message(id)),
            (None, Some(id)) => return Ok(Target::User(id)),
            (None, None) => {}
        }
        match (self.entity_type.as_deref(), self.entity_id.take()) {
            (Some(MESSAGE_ENTITY), Some(id)) => Ok(Target::Message(id)),
            (Some(USER_ENTITY), Some(id)) => Ok(Target::User(id)),
            (Some(other), Some(_)) if !other.is_empty() => {
                Err(StreamError::not_emulated(&format!("a flag of {other:?}")))
            }
            _ => Err(StreamError::invalid_input("a target is a required field")),
        }
    }

    /// The id of the flagged message, if the flag is for a message.
    pub(super) fn message_id(&self) -> Option<&str> {
        let is_message = self.entity_type.as_deref() == Some(MESSAGE_ENTITY);
        let entity_id = self.entity_id.as_deref().filter(|_| is_message);
        self.target_message_id.as_deref().or(entity_id)
    }
}

impl World {
    pub(crate) fn flag(
        &mut self,
        token_user: Option<&str>,
        mut request: Flag,
        now: Timestamp,
    ) -> ApiResult {
        let target = request.take_target()?;
        let user_id = ActingUser::new(request.user_id, request.user).resolve("flag", token_user)?;
        self.check_users_exist_for("flag", [user_id.as_str()])?;
        let item_id = self.next_id("flag");
        let details = json!({ "reason": request.reason, "custom": request.custom });
        let (fields, target_user_id) = match target {
            Target::User(id) => {
                self.find_user(&id)?;
                let fields = json!({ "target_user": self.user_response(&id) });
                self.emit_user("user.flagged", &user_id, now, fields.clone());
                (fields, id)
            }
            Target::Message(id) => {
                let (channel, message) = self.find_message(&id)?;
                let (cid, sender) = (channel.cid.clone(), message.user_id.clone());
                let fields = json!({
                    "user": self.user_response(&user_id),
                    "message": message.response(self),
                    "message_id": id,
                });
                self.emit_channel("message.flagged", &cid, now, fields);
                let target_user = self.user_response(&sender);
                (json!({ "target_message_id": id, "target_user": target_user }), sender)
            }
        };
        let action = UserAction { user_id: user_id.clone(), target_user_id };
        self.moderation.flags.insert(action);
        let flag = super::merge(
            super::merge(fields, details),
            json!({
                "user": self.user_response(&user_id),
                "created_at": now,
                "updated_at": now,
            }),
        );
        Ok(json!({ "item_id": item_id, "flag": strip_nulls(flag) }))
    }
}
