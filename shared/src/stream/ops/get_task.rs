//! `GET /api/v2/tasks/{id}`: reads the status of an asynchronous task.

use http::Method;
use serde::{Deserialize, Deserializer};

use crate::stream::{Operation, Request};

/// Reads the status of a task.
#[derive(Debug)]
pub struct GetTask<'a> {
    /// The id of the task.
    pub id: &'a str,
}

/// A task at Stream.
#[derive(Debug, Deserialize)]
pub struct Task {
    /// The status.
    pub status: TaskStatus,
}

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// Any other status, such as waiting or running.
    Running,
    /// Completed.
    Completed,
    /// Failed.
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
