//! One user: what a request may say about it, and how answers show it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Custom, compact, joined, limits};
use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::views::UserView;

pub(super) const DEFAULT_ROLE: &str = "user";

/// A user as Stream remembers it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct User {
    pub(super) id: String,
    role: String,
    name: Option<String>,
    image: Option<String>,
    language: String,
    invisible: bool,
    teams: Vec<String>,
    teams_role: Custom,
    custom: Custom,
    created_at: Moment,
    updated_at: Moment,
    pub(super) deactivated_at: Option<Moment>,
    pub(super) deleted_at: Option<Moment>,
    pub(super) revoke_tokens_issued_before: Option<Moment>,
}

/// A user as an upsert gives it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserRequest {
    pub(super) id: String,
    pub(super) role: Option<String>,
    name: Option<String>,
    image: Option<String>,
    language: Option<String>,
    invisible: Option<bool>,
    teams: Option<Vec<String>>,
    teams_role: Option<Custom>,
    custom: Option<Custom>,
}

/// A change to some of a user's fields.
#[derive(Debug, Deserialize)]
pub(super) struct UserPatch {
    pub(super) id: String,
    set: Option<Map<String, Value>>,
    unset: Option<Vec<String>>,
}

impl UserRequest {
    /// What is omitted vanishes. What a client cannot send is kept: its age, and the two ways in
    /// which a backend shuts a user out.
    pub(super) fn replace(self, known: Option<&User>, now: Moment) -> User {
        User {
            role: self.role.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            name: self.name,
            image: self.image,
            language: self.language.unwrap_or_default(),
            invisible: self.invisible.unwrap_or_default(),
            teams: self.teams.unwrap_or_default(),
            teams_role: self.teams_role.unwrap_or_default(),
            custom: self.custom.unwrap_or_default(),
            created_at: known.map_or(now, |user| user.created_at),
            updated_at: now,
            deactivated_at: known.and_then(|user| user.deactivated_at),
            deleted_at: None,
            revoke_tokens_issued_before: known.and_then(|user| user.revoke_tokens_issued_before),
            id: self.id,
        }
    }
}

impl User {
    /// The user as other objects show it.
    pub(super) fn response(&self) -> Value {
        compact(json!({
            "id": self.id,
            "role": self.role,
            "name": self.name,
            "image": self.image,
            "language": self.language,
            "invisible": self.invisible,
            "teams": self.teams,
            "teams_role": self.teams_role,
            "custom": self.custom,
            "banned": false,
            "shadow_banned": false,
            "online": false,
            "blocked_user_ids": [],
            "devices": [],
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "deactivated_at": self.deactivated_at,
            "deleted_at": self.deleted_at,
            "revoke_tokens_issued_before": self.revoke_tokens_issued_before,
        }))
    }

    /// The user as user operations show it.
    pub(super) fn full_response(&self) -> Value {
        let unread = json!({
            "total_unread_count": 0,
            "unread_channels": 0,
            "unread_count": 0,
            "unread_threads": 0,
            "channel_mutes": [],
            "mutes": [],
        });
        joined(self.response(), unread)
    }

    pub(super) fn patched(mut self, patch: UserPatch, now: Moment) -> Result<Self, StreamFailure> {
        for (key, value) in patch.set.unwrap_or_default() {
            self.set(key, value)?;
        }
        for key in patch.unset.unwrap_or_default() {
            self.unset(&key)?;
        }
        limits::role(&self.role)?;
        limits::size("user", &self)?;
        self.updated_at = now;
        Ok(self)
    }

    fn set(&mut self, key: String, value: Value) -> Result<(), StreamFailure> {
        match key.as_str() {
            "role" => self.role = typed(&key, value)?,
            "name" => self.name = typed(&key, value)?,
            "image" => self.image = typed(&key, value)?,
            "language" => self.language = typed(&key, value)?,
            "invisible" => self.invisible = typed(&key, value)?,
            "teams" => self.teams = typed(&key, value)?,
            "teams_role" => self.teams_role = typed(&key, value)?,
            "revoke_tokens_issued_before" => {
                let instant: Option<String> = typed(&key, value)?;
                self.revoke_tokens_issued_before = instant
                    .map(|text| Moment::parse(&text).ok_or_else(|| not_valid(&key)))
                    .transpose()?;
            }
            "id" | "created_at" | "updated_at" | "deleted_at" | "deactivated_at" => {
                return Err(StreamFailure::input(format!("field {key:?} is reserved")));
            }
            _ => {
                self.custom.insert(key, value);
            }
        }
        Ok(())
    }

    fn unset(&mut self, key: &str) -> Result<(), StreamFailure> {
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
                return Err(StreamFailure::input(format!("field {key:?} is reserved")));
            }
            _ => {
                self.custom.remove(key);
            }
        }
        Ok(())
    }

    pub(super) fn reactivate(&mut self, name: Option<String>, now: Moment) {
        self.deactivated_at = None;
        self.updated_at = now;
        if name.is_some() {
            self.name = name;
        }
    }

    pub(super) fn view(&self) -> UserView {
        UserView {
            id: self.id.clone(),
            role: self.role.clone(),
            name: self.name.clone(),
            image: self.image.clone(),
            language: self.language.clone(),
            custom: self.custom.clone(),
            created_at: self.created_at.nanos(),
            updated_at: self.updated_at.nanos(),
            deactivated_at: self.deactivated_at.map(Moment::nanos),
            deleted_at: self.deleted_at.map(Moment::nanos),
            revoke_tokens_issued_before: self.revoke_tokens_issued_before.map(Moment::nanos),
        }
    }
}

fn typed<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, StreamFailure> {
    serde_json::from_value(value).map_err(|_| not_valid(key))
}

fn not_valid(key: &str) -> StreamFailure {
    StreamFailure::input(format!("field {key:?} has a value that is not valid"))
}
