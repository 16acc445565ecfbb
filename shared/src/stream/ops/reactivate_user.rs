//! `POST /api/v2/users/{id}/reactivate`: reactivates a deactivated user.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::UserId;
use crate::stream::ops::StreamUser;
use crate::stream::{Operation, Request};

/// Reactivates a user. Stream rejects the request if the user is active.
#[derive(Debug)]
pub struct ReactivateUser<'a> {
    /// The user.
    pub id: &'a UserId,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct ReactivateUserResponse {
    /// The duration of the operation.
    pub duration: String,
    /// The user.
    pub user: Option<StreamUser>,
}

impl Operation for ReactivateUser<'_> {
    type Response = ReactivateUserResponse;

    fn request(&self) -> Request {
        Request::new(Method::POST, &["users", self.id.as_str(), "reactivate"]).json(&json!({}))
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        response
            .user
            .as_ref()
            .is_none_or(|user| user.id == self.id.as_str() && user.deactivated_at.is_none())
    }
}
