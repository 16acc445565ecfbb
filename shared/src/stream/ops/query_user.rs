//! `GET /api/v2/users?payload=…`: a user as Stream knows it, if it does.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ids::UserId;
use crate::stream::{Operation, Request};

/// Looks a user up. One that is not there makes the answer empty.
#[derive(Debug)]
pub struct QueryUser<'a> {
    /// Who.
    pub id: &'a UserId,
}

/// What is read of it.
#[derive(Debug, Deserialize)]
pub struct QueryUserResponse {
    /// The user, or nobody.
    #[serde(default)]
    pub users: Vec<StreamUser>,
}

/// A user as Stream knows it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StreamUser {
    /// The name shown to others.
    pub name: Option<String>,
    /// A picture's URL.
    pub image: Option<String>,
    /// The language; empty where none was given.
    #[serde(default)]
    pub language: String,
    /// Data of the apps' own.
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
