//! `POST /api/v2/users`: creates a user, or replaces all of the user's data.

use http::Method;
use serde_json::{Map, Value, json};

use crate::ids::UserId;
use crate::stream::ops::IgnoredResponse;
use crate::stream::{Operation, Request};

/// Creates a user, or replaces all of the user's data. Stream deletes omitted fields.
#[derive(Debug)]
pub struct UpsertUser<'a> {
    /// The user.
    pub id: &'a UserId,
    /// All of the user's data.
    pub data: UserData<'a>,
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

impl Operation for UpsertUser<'_> {
    type Response = IgnoredResponse;

    fn request(&self) -> Request {
        let UserData { role, name, image, language, custom } = self.data;
        let mut user = json!({"id": self.id, "role": role});
        for (key, value) in [("name", name), ("image", image), ("language", language)] {
            if let Some(value) = value {
                user[key] = Value::from(value);
            }
        }
        if let Some(custom) = custom {
            user["custom"] = Value::Object(custom.clone());
        }
        Request::new(Method::POST, &["users"]).json(&json!({"users": {self.id.as_str(): user}}))
    }
}
