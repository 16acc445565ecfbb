//! `PATCH /api/v2/users`: tokens of a user that are dated before an instant are worth nothing.

use http::Method;
use serde_json::json;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::stream::ops::IgnoredResponse;
use crate::stream::{Operation, Request};

/// Revokes the user's tokens. Twice is the same as once.
#[derive(Debug)]
pub struct RevokeTokens<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Those dated before this.
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
