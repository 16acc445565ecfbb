//! `POST /api/v2/users`: makes a user, or replaces the whole of one.

use http::Method;
use serde_json::{Value, json};

use crate::ids::UserId;
use crate::stream::ops::Ignored;
use crate::stream::{Operation, Request};
use crate::users::Profile;

/// Makes the user known to Stream with this profile. What the profile leaves out is lost at
/// Stream, so it has to be the whole of it.
#[derive(Debug)]
pub struct UpsertUser<'a> {
    /// Who.
    pub id: &'a UserId,
    /// The whole profile.
    pub profile: &'a Profile,
}

impl Operation for UpsertUser<'_> {
    type Answer = Ignored;

    fn request(&self) -> Request {
        let Profile { name, image, language, custom, role } = self.profile;
        let mut user = json!({"id": self.id, "role": role});
        let given = [("name", name), ("image", image), ("language", language)];
        for (key, value) in given {
            if let Some(value) = value {
                user[key] = Value::from(value.as_str());
            }
        }
        if let Some(custom) = custom {
            user["custom"] = Value::Object(custom.clone());
        }
        Request::new(Method::POST, &["users"]).json(&json!({"users": {self.id.as_str(): user}}))
    }
}
