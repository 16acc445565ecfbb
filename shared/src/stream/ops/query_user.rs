//! `GET /api/v2/users?payload=…`: reads a user.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ids::UserId;
use crate::stream::{Operation, Request};

/// Reads a user. The response is empty if the user does not exist.
#[derive(Debug)]
pub struct QueryUser<'a> {
    /// The user.
    pub id: &'a UserId,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct QueryUserResponse {
    /// The user, or an empty list.
    #[serde(default)]
    pub users: Vec<StreamUser>,
}

/// A user at Stream.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StreamUser {
    /// The display name.
    pub name: Option<String>,
    /// The URL of a picture.
    pub image: Option<String>,
    /// The language, or an empty string.
    #[serde(default)]
    pub language: String,
    /// The custom data of the apps.
    #[serde(default)]
    pub custom: Map<String, Value>,
    /// The role.
    pub role: Option<String>,
}

impl Operation for QueryUser<'_> {
    type Response = QueryUserResponse;

    fn request(&self) -> Request {
        let payload = json!({
            "filter_conditions": {"id": {"$in": [self.id]}},
            "limit": 1,
            "include_deactivated_users": true,
        });
        Request::new(Method::GET, &["users"]).query("payload", payload.to_string())
    }
}
