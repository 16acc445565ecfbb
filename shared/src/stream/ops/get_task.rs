//! `GET /api/v2/tasks/{id}`: how far something is that Stream does by and by.

use http::Method;
use serde::{Deserialize, Deserializer};

use crate::stream::{Operation, Request};

/// Asks how far a task is.
#[derive(Debug)]
pub struct GetTask<'a> {
    /// Which.
    pub id: &'a str,
}

/// What is read of the answer.
#[derive(Debug, Deserialize)]
pub struct Task {
    /// How far it is.
    pub status: TaskStatus,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// Not done yet, whatever Stream calls that.
    Running,
    /// Done.
    Completed,
    /// Given up.
    Failed,
}

impl<'de> Deserialize<'de> for TaskStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "completed" => Self::Completed,
            "failed" => Self::Failed,
            _ => Self::Running,
        })
    }
}

impl Operation for GetTask<'_> {
    type Response = Task;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["tasks", self.id])
    }
}
