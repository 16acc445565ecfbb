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
    status: Status,
    result: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Pending,
    Completed,
    Failed,
}

impl World {
    /// Takes a task on and names it.
    pub(super) fn start_task(&mut self, result: Value, now: Moment) -> String {
        let id = self.make_id("task");
        let task = Task { created_at: now, updated_at: now, status: Status::Pending, result };
        self.tasks.insert(id.clone(), task);
        id
    }

    /// Gives up what nobody has asked about yet.
    pub(crate) fn fail_tasks(&mut self, now: Moment) {
        for task in self.tasks.values_mut().filter(|task| task.status == Status::Pending) {
            task.status = Status::Failed;
            task.updated_at = now;
        }
    }

    /// Forgets all tasks, as Stream does after a while.
    pub(crate) fn forget_tasks(&mut self) {
        self.tasks.clear();
    }

    pub(crate) fn get_task(&mut self, id: &str, now: Moment) -> Reply {
        let task = self
            .tasks
            .get_mut(id)
            .ok_or_else(|| StreamFailure::missing(format!("task {id:?} does not exist")))?;
        if task.status == Status::Pending {
            task.status = Status::Completed;
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
