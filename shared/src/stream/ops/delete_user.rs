//! `POST /api/v2/users/delete`: deletes users and their data.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::UserId;
use crate::stream::{Operation, Request};

/// Permanently deletes a user with the user's messages, two-member conversations and two-member
/// calls. Stream deletes the user immediately and the data in a task. Returns 404 if the user does
/// not exist.
#[derive(Debug)]
pub struct DeleteUser<'a> {
    /// The user.
    pub id: &'a UserId,
}

/// The response.
#[derive(Debug, Deserialize)]
pub struct DeleteUserResponse {
    /// The id of the task that deletes the data.
    pub task_id: String,
}

impl Operation for DeleteUser<'_> {
    type Response = DeleteUserResponse;

    fn request(&self) -> Request {
        Request::new(Method::POST, &["users", "delete"]).json(&json!({
            "user_ids": [self.id],
            "user": "hard",
            "messages": "hard",
            "conversations": "hard",
            "calls": "hard",
        }))
    }

    fn is_answered_by(&self, response: &Self::Response) -> bool {
        !response.task_id.is_empty()
    }
}
