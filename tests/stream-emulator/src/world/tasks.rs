//! Asynchronous work. Its effects are there at once, as the id in the answer
//! promises nothing else; the task is reported completed when it is next asked about.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Reply, World};
use crate::error::StreamFailure;
use crate::moment::Moment;

#[derive(Debug, Serialize)]
pub(super) struct Task {
    created_at: Moment,
    updated_at: Moment,
    completed: bool,
    result: Value,
}

impl World {
    /// Takes a task on and names it.
    pub(super) fn start_task(&mut self, result: Value, now: Moment) -> String {
        let id = self.make_id("task");
        let task = Task { created_at: now, updated_at: now, completed: false, result };
        self.tasks.insert(id.clone(), task);
        id
    }

    pub(crate) fn get_task(&mut self, id: &str, now: Moment) -> Reply {
        let task = self
            .tasks
            .get_mut(id)
            .ok_or_else(|| StreamFailure::missing(format!("task {id:?} does not exist")))?;
        if !task.completed {
            task.completed = true;
            task.updated_at = now;
        }
        Ok(json!({
            "task_id": id,
            "status": "completed",
            "created_at": task.created_at,
            "updated_at": task.updated_at,
            "result": task.result,
        }))
    }
}
