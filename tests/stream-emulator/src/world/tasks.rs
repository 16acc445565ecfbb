//! Asynchronous tasks. The effects of a task are immediate, which Stream's API permits. The first
//! poll reports the task as completed.

use serde::Serialize;
use serde_json::{Value, json};

use super::{ApiResult, World};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

#[derive(Debug, Serialize)]
pub(super) struct Task {
    created_at: Timestamp,
    updated_at: Timestamp,
    status: TaskStatus,
    result: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum TaskStatus {
    Pending,
    Completed,
    Failed,
}

impl World {
    /// Creates a pending task and returns its id.
    pub(super) fn start_task(&mut self, result: Value, now: Timestamp) -> String {
        let id = self.next_id("task");
        let task = Task { created_at: now, updated_at: now, status: TaskStatus::Pending, result };
        self.tasks.insert(id.clone(), task);
        id
    }

    /// Fails the pending tasks.
    pub(crate) fn fail_tasks(&mut self, now: Timestamp) {
        for task in self.tasks.values_mut().filter(|task| task.status == TaskStatus::Pending) {
            task.status = TaskStatus::Failed;
            task.updated_at = now;
        }
    }

    /// Deletes all tasks, as Stream does after some time.
    pub(crate) fn clear_tasks(&mut self) {
        self.tasks.clear();
    }

    pub(crate) fn get_task(&mut self, id: &str, now: Timestamp) -> ApiResult {
        let task = self
            .tasks
            .get_mut(id)
            .ok_or_else(|| StreamError::not_found(format!("task {id:?} does not exist")))?;
        if task.status == TaskStatus::Pending {
            task.status = TaskStatus::Completed;
            task.updated_at = now;
        }
        Ok(json!({
            "task_id": id,
            "status": task.status,
            "created_at": task.created_at,
            "updated_at": task.updated_at,
            "result": task.result,
        }))
    }
}
