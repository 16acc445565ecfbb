//! `GET /api/v2/users?payload=…`: reads users.

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ids::UserId;
use crate::stream::lenient::{or_default, page_entries};
use crate::stream::{Operation, Request, StreamTime};

/// Reads up to [`QueryUsers::MAX_USERS`] users, deactivated ones included. The response has no
/// entry for a user who does not exist.
#[derive(Debug)]
pub struct QueryUsers<'a> {
    /// The users.
    pub ids: &'a [UserId],
}

impl QueryUsers<'_> {
    /// The maximum number of users in a request.
    pub const MAX_USERS: usize = 100;
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct QueryUsersResponse {
    /// The users. `None` is one who cannot be read.
    #[serde(deserialize_with = "page_entries")]
    pub users: Vec<Option<StreamUser>>,
}

/// A user at Stream.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StreamUser {
    /// The id.
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// The URL of a picture.
    pub image: Option<String>,
    /// The language, or an empty string.
    #[serde(default, deserialize_with = "or_default")]
    pub language: String,
    /// The custom data of the apps.
    #[serde(default, deserialize_with = "or_default")]
    pub custom: Map<String, Value>,
    /// The role.
    pub role: Option<String>,
    /// Whether the user is banned in the whole app.
    pub banned: bool,
    /// When the ban ends, or `None` if it has no end.
    pub ban_expires: Option<StreamTime>,
    /// When the user was deactivated, or `None` if the user is active.
    pub deactivated_at: Option<StreamTime>,
    /// When the user was deleted, or `None` if the user exists.
    pub deleted_at: Option<StreamTime>,
    /// The revocation cutoff: tokens that were issued earlier are revoked.
    pub revoke_tokens_issued_before: Option<StreamTime>,
}

impl StreamUser {
    /// Whether the user is neither deactivated nor deleted.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.deactivated_at.is_none() && self.deleted_at.is_none()
    }
}

impl Operation for QueryUsers<'_> {
    type Response = QueryUsersResponse;

    fn request(&self) -> Request {
        let payload = json!({
            "filter_conditions": {"id": {"$in": self.ids}},
            "limit": self.ids.len(),
            "include_deactivated_users": true,
        });
        Request::new(Method::GET, &["users"]).query("payload", payload.to_string())
    }
}
