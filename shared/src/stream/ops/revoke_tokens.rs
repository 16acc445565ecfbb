//! `PATCH /api/v2/users`: revokes the tokens of a user.

use http::Method;
use serde_json::json;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::stream::ops::IgnoredResponse;
use crate::stream::{Operation, Request};

/// Revokes the user's tokens whose `iat` is before the revocation cutoff.
#[derive(Debug)]
pub struct RevokeTokens<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The revocation cutoff.
    pub before: Timestamp,
}

impl Operation for RevokeTokens<'_> {
    type Response = IgnoredResponse;

    fn request(&self) -> Request {
        let set = json!({"revoke_tokens_issued_before": self.before.to_string()});
        let user = json!({"id": self.user, "set": set});
        Request::new(Method::PATCH, &["users"]).json(&json!({"users": [user]}))
    }
}
