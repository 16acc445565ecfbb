//! `POST /api/v2/users/{id}/reactivate`: lets a deactivated user in again.

use http::Method;
use serde_json::json;

use crate::ids::UserId;
use crate::stream::ops::IgnoredResponse;
use crate::stream::{Operation, Request};

/// Reactivates a user. One who is active is refused.
#[derive(Debug)]
pub struct ReactivateUser<'a> {
    /// Who.
    pub id: &'a UserId,
}

impl Operation for ReactivateUser<'_> {
    type Response = IgnoredResponse;

    fn request(&self) -> Request {
        Request::new(Method::POST, &["users", self.id.as_str(), "reactivate"]).json(&json!({}))
    }
}
