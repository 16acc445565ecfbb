//! One user: its state, requests and responses.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bans::{Ban, ban_fields};
use super::{CustomFields, merge, strip_nulls, validation};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::UserView;

pub(super) const DEFAULT_ROLE: &str = "user";

#[derive(Clone, Debug, Serialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) role: String,
    pub(super) name: Option<String>,
    image: Option<String>,
    language: String,
    invisible: bool,
    teams: Vec<String>,
    teams_role: CustomFields,
    custom: CustomFields,
    created_at: Timestamp,
    updated_at: Timestamp,
    pub(super) deactivated_at: Option<Timestamp>,
    pub(super) deleted_at: Option<Timestamp>,
    /// Whether the user was deleted for good. Others can be restored.
    pub(super) is_hard_deleted: bool,
    pub(super) revoke_tokens_issued_before: Option<Timestamp>,
    /// The ban from the whole app.
    pub(super) ban: Option<Ban>,
    /// Whether the user has an open socket. It is not part of the snapshot.
    #[serde(skip)]
    online: bool,
    #[serde(skip)]
    last_active: Option<Timestamp>,
}

/// A user in an upsert request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserRequest {
    pub(super) id: String,
    pub(super) role: Option<String>,
    name: Option<String>,
    image: Option<String>,
    language: Option<String>,
    invisible: Option<bool>,
    teams: Option<Vec<String>>,
    teams_role: Option<CustomFields>,
    custom: Option<CustomFields>,
}

/// A change to some fields of a user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserPatch {
    pub(super) id: String,
    set: Option<Map<String, Value>>,
    unset: Option<Vec<String>>,
}

impl UserRequest {
    /// Whether the request changes what only a server may change.
    pub(super) fn changes_privileges(&self, role: &str) -> bool {
        let keeps_role = self.role.as_deref().is_none_or(|requested| requested == role);
        !keeps_role || self.teams.is_some() || self.teams_role.is_some()
    }

    pub(super) fn with_role(mut self, role: &str) -> Self {
        self.role = Some(role.to_owned());
        self
    }

    /// Replaces the user: omitted fields are cleared. `created_at`, `deactivated_at`, the ban and
    /// `revoke_tokens_issued_before` are kept, since an upsert cannot set them.
    pub(super) fn into_user(self, existing: Option<&User>, now: Timestamp) -> User {
        User {
            role: self.role.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            name: self.name,
            image: self.image,
            language: self.language.unwrap_or_default(),
            invisible: self.invisible.unwrap_or_default(),
            teams: self.teams.unwrap_or_default(),
            teams_role: self.teams_role.unwrap_or_default(),
            custom: self.custom.unwrap_or_default(),
            created_at: existing.map_or(now, |user| user.created_at),
            updated_at: now,
            deactivated_at: existing.and_then(|user| user.deactivated_at),
            deleted_at: None,
            is_hard_deleted: false,
            revoke_tokens_issued_before: existing.and_then(|user| user.revoke_tokens_issued_before),
            ban: existing.and_then(|user| user.ban.clone()),
            online: existing.is_some_and(|user| user.online),
            last_active: existing.and_then(|user| user.last_active),
            id: self.id,
        }
    }
}

impl UserPatch {
    /// Whether the patch changes what only a server may change.
    pub(super) fn changes_privileges(&self) -> bool {
        let set = self.set.iter().flat_map(Map::keys);
        let mut keys = set.chain(self.unset.iter().flatten());
        let privileged = ["role", "teams", "teams_role", "revoke_tokens_issued_before"];
        keys.any(|key| privileged.contains(&key.as_str()))
    }
}

impl User {
    /// The user in the responses of other objects.
    pub(super) fn response(&self) -> Value {
        let user = strip_nulls(json!({
            "id": self.id,
            "role": self.role,
            "name": self.name,
            "image": self.image,
            "language": self.language,
            "invisible": self.invisible,
            "teams": self.teams,
            "teams_role": self.teams_role,
            "custom": self.custom,
            "online": self.online,
            "last_active": self.last_active,
            "blocked_user_ids": [],
            "devices": [],
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "deactivated_at": self.deactivated_at,
            "deleted_at": self.deleted_at,
            "revoke_tokens_issued_before": self.revoke_tokens_issued_before,
        }));
        merge(user, ban_fields(self.ban.as_ref()))
    }

    /// The user in the responses of user operations.
    pub(super) fn full_response(&self) -> Value {
        let unread_counts = json!({
            "total_unread_count": 0,
            "unread_channels": 0,
            "unread_count": 0,
            "unread_threads": 0,
            "channel_mutes": [],
            "mutes": [],
        });
        merge(self.response(), unread_counts)
    }

    /// The user with these custom fields besides its own.
    pub(super) fn with_custom(mut self, custom: CustomFields) -> Self {
        self.custom.extend(custom);
        self
    }

    pub(super) fn apply_patch(
        mut self,
        patch: UserPatch,
        now: Timestamp,
    ) -> Result<Self, StreamError> {
        for (key, value) in patch.set.unwrap_or_default() {
            self.set(key, value)?;
        }
        for key in patch.unset.unwrap_or_default() {
            self.unset(&key)?;
        }
        validation::check_role(&self.role)?;
        validation::check_size("user", &self)?;
        self.updated_at = now;
        Ok(self)
    }

    fn set(&mut self, key: String, value: Value) -> Result<(), StreamError> {
        match key.as_str() {
            "role" => self.role = parse_field(&key, value)?,
            "name" => self.name = parse_field(&key, value)?,
            "image" => self.image = parse_field(&key, value)?,
            "language" => self.language = parse_field(&key, value)?,
            "invisible" => self.invisible = parse_field(&key, value)?,
            "teams" => self.teams = parse_field(&key, value)?,
            "teams_role" => self.teams_role = parse_field(&key, value)?,
            "revoke_tokens_issued_before" => {
                let instant: Option<String> = parse_field(&key, value)?;
                self.revoke_tokens_issued_before = instant
                    .map(|text| Timestamp::parse(&text).ok_or_else(|| invalid_field(&key)))
                    .transpose()?;
            }
            "id" | "created_at" | "updated_at" | "deleted_at" | "deactivated_at" => {
                return Err(StreamError::invalid_input(format!("field {key:?} is reserved")));
            }
            _ => {
                self.custom.insert(key, value);
            }
        }
        Ok(())
    }

    fn unset(&mut self, key: &str) -> Result<(), StreamError> {
        match key {
            "role" => DEFAULT_ROLE.clone_into(&mut self.role),
            "name" => self.name = None,
            "image" => self.image = None,
            "language" => self.language.clear(),
            "invisible" => self.invisible = false,
            "teams" => self.teams.clear(),
            "teams_role" => self.teams_role.clear(),
            "revoke_tokens_issued_before" => self.revoke_tokens_issued_before = None,
            "id" | "created_at" | "updated_at" | "deleted_at" | "deactivated_at" => {
                return Err(StreamError::invalid_input(format!("field {key:?} is reserved")));
            }
            _ => {
                self.custom.remove(key);
            }
        }
        Ok(())
    }

    pub(super) fn reactivate(&mut self, name: Option<String>, now: Timestamp) {
        self.deactivated_at = None;
        self.updated_at = now;
        if name.is_some() {
            self.name = name;
        }
    }

    /// Sets whether the user has an open socket. Returns whether others see a change.
    pub(super) fn set_online(&mut self, is_connected: bool, now: Timestamp) -> bool {
        let online = is_connected && !self.invisible;
        let has_changed = online != self.online;
        self.online = online;
        if has_changed {
            self.last_active = Some(now);
        }
        has_changed
    }

    pub(super) fn view(&self) -> UserView {
        UserView {
            id: self.id.clone(),
            role: self.role.clone(),
            name: self.name.clone(),
            image: self.image.clone(),
            language: self.language.clone(),
            custom: self.custom.clone(),
            created_at: self.created_at.as_nanos(),
            updated_at: self.updated_at.as_nanos(),
            deactivated_at: self.deactivated_at.map(Timestamp::as_nanos),
            deleted_at: self.deleted_at.map(Timestamp::as_nanos),
            revoke_tokens_issued_before: self.revoke_tokens_issued_before.map(Timestamp::as_nanos),
            banned: self.ban.as_ref().is_some_and(|ban| !ban.is_shadow()),
        }
    }
}

fn parse_field<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, StreamError> {
    serde_json::from_value(value).map_err(|_| invalid_field(key))
}

fn invalid_field(key: &str) -> StreamError {
    StreamError::invalid_input(format!("field {key:?} has a value that is not valid"))
}
