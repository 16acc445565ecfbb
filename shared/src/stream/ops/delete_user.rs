//! `POST /api/v2/users/delete`: deletes users, and what only they had a part in.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::ids::UserId;
use crate::stream::{Operation, Request};

/// Deletes a user with messages, conversations of two and calls of two, for good. It is deleted at
/// once, and its data in a task. A user who is not there is 404.
#[derive(Debug)]
pub struct DeleteUser<'a> {
    /// Who.
    pub id: &'a UserId,
}

/// What is read of the answer.
#[derive(Debug, Deserialize)]
pub struct DeleteUserResponse {
    /// The task.
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
}
