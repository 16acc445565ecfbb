//! `POST /api/v2/users`: creates users, or replaces all of their data.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ids::UserId;
use crate::stream::lenient::map_entries;
use crate::stream::ops::StreamUser;
use crate::stream::{Operation, Request};

/// Creates up to [`UpsertUsers::MAX_USERS`] users, or replaces all of their data. Stream deletes
/// omitted fields. An invalid user fails the whole request.
#[derive(Debug)]
pub struct UpsertUsers<'a> {
    /// The users with all of their data.
    pub users: &'a [(&'a UserId, UserData<'a>)],
}

impl UpsertUsers<'_> {
    /// The maximum number of users in a request.
    pub const MAX_USERS: usize = 100;
}

/// The data of a user that other users see.
#[derive(Clone, Copy, Debug)]
pub struct UserData<'a> {
    /// The role at Stream.
    pub role: &'a str,
    /// The display name.
    pub name: Option<&'a str>,
    /// The URL of a picture.
    pub image: Option<&'a str>,
    /// The language, as a BCP 47 tag.
    pub language: Option<&'a str>,
    /// Custom data of the apps.
    pub custom: Option<&'a Map<String, Value>>,
}

/// The response of the operations that update users.
#[derive(Debug, Deserialize)]
pub struct UpdateUsersResponse {
    /// The updated users, by id.
    #[serde(deserialize_with = "map_entries")]
    pub users: BTreeMap<String, StreamUser>,
}

impl Operation for UpsertUsers<'_> {
    type Response = UpdateUsersResponse;

    fn request(&self) -> Request {
        let users: Map<String, Value> = self
            .users
            .iter()
            .map(|(id, data)| (id.as_str().to_owned(), data.to_json(id)))
            .collect();
        Request::new(Method::POST, &["users"]).json(&json!({"users": users}))
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        self.users.iter().all(|(id, _)| response.users.contains_key(id.as_str()))
    }
}

impl UserData<'_> {
    /// The data of a user without a profile.
    #[must_use]
    pub fn without_profile() -> Self {
        Self { role: "user", name: None, image: None, language: None, custom: None }
    }

    fn to_json(self, id: &UserId) -> Value {
        let Self { role, name, image, language, custom } = self;
        let mut user = json!({"id": id, "role": role});
        for (key, value) in [("name", name), ("image", image), ("language", language)] {
            if let Some(value) = value {
                user[key] = Value::from(value);
            }
        }
        if let Some(custom) = custom {
            user["custom"] = Value::Object(custom.clone());
        }
        user
    }
}
