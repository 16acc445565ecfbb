//! `POST /api/v2/users/{id}/reactivate`: reactivates a deactivated user.

use http::Method;
use serde_json::json;

use crate::ids::UserId;
use crate::stream::ops::IgnoredResponse;
use crate::stream::{Operation, Request};

/// Reactivates a user. Stream rejects the request if the user is active.
#[derive(Debug)]
pub struct ReactivateUser<'a> {
    /// The user.
    pub id: &'a UserId,
}

impl Operation for ReactivateUser<'_> {
    type Response = IgnoredResponse;

    fn request(&self) -> Request {
        Request::new(Method::POST, &["users", self.id.as_str(), "reactivate"]).json(&json!({}))
    }
}
