//! Erasing a user: open calls end, what we keep of the user goes, and Stream deletes the rest.
//!
//! What is begun is finished: an erasure is an item of its own until Stream says that it is done,
//! and the sweeper goes on with it every minute. Every step can be repeated.

pub mod dynamo;
mod store;

pub use store::{Begun, Erasure, ErasureStore};

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::auth::Caller;
use crate::calls::{CallState, Calls, EndReason, TOMBSTONE};
use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::{CallId, UserId};
use crate::quality::EvidenceStore;
use crate::stream::StreamError;
use crate::stream::ops::{DeleteUser, GetTask, QueryCalls, TaskStatus, WhichCalls};

/// What has less time than this is left to the sweeper.
const LEAST: Duration = Duration::from_secs(3);
/// How many erasures one sweep goes on with.
const MOST: usize = 20;

/// How far an erasure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Nobody can be this user any more; what is left of the data is on its way out.
    Deleting,
    /// Nothing is left.
    Deleted,
}

/// What a sweep has done of the erasures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Users who are erased now.
    pub erased: u64,
    /// Users who are not yet.
    pub erasing: u64,
}

/// Whoever erases users.
#[derive(Clone)]
pub struct Erasures {
    /// What is being erased.
    pub store: Arc<dyn ErasureStore>,
    /// The calls, and Stream.
    pub calls: Calls,
    /// What is kept of calls' quality.
    pub evidence: Arc<dyn EvidenceStore>,
}

impl Erasures {
    /// Erases a user, as far as time allows. From the answer on the id is nobody's, for ever.
    ///
    /// # Errors
    ///
    /// `user_not_found`, `store_unavailable`. What fails at Stream is done later.
    pub async fn erase(&self, id: &UserId, deadline: Deadline) -> Result<Progress, ApiError> {
        match self.store.begin(id, self.calls.clock.now()).await? {
            Begun::Missing => Err(ApiError::plain(Code::UserNotFound)),
            Begun::Done => Ok(Progress::Deleted),
            Begun::Now(erasure) => Ok(self.go_on(erasure, deadline).await),
        }
    }

    /// Goes on with what is begun; what has become of it.
    ///
    /// # Errors
    ///
    /// `store_unavailable`.
    pub async fn sweep(&self, deadline: Deadline) -> Result<Erased, ApiError> {
        let mut begun = self.store.begun().await?;
        let mut erased = Erased { erased: 0, erasing: begun.len() as u64 };
        // Each minute from another one on, so that those that are stuck keep nobody waiting.
        let minute = usize::try_from(self.calls.clock.now().as_secs() / 60).unwrap_or(0);
        let first = (minute * MOST).checked_rem(begun.len()).unwrap_or(0);
        begun.rotate_left(first);
        for erasure in begun.into_iter().take(MOST) {
            if deadline.remaining(self.calls.clock.now()) < LEAST {
                break;
            }
            if self.go_on(erasure, deadline).await == Progress::Deleted {
                erased.erased += 1;
                erased.erasing -= 1;
            }
        }
        Ok(erased)
    }

    async fn go_on(&self, erasure: Erasure, deadline: Deadline) -> Progress {
        let user = erasure.user.clone();
        match self.step(erasure, deadline).await {
            Ok(progress) => progress,
            Err(error) => {
                // It is still in the table, and comes up again.
                error.note("a user is not erased yet", &user);
                Progress::Deleting
            }
        }
    }

    async fn step(&self, mut erasure: Erasure, deadline: Deadline) -> Result<Progress, ApiError> {
        let user = erasure.user.clone();
        if erasure.task.is_none() {
            if !self.leave_calls(&mut erasure, deadline).await? {
                return Ok(Progress::Deleting);
            }
            match self.calls.stream.send(&DeleteUser { id: &user }, deadline).await {
                Ok(answer) => {
                    erasure.task = Some(answer.task_id);
                    self.store.save(&erasure).await?;
                }
                // Gone already, or never there.
                Err(StreamError::NotFound(_)) => return self.finish(&user).await,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(task) = erasure.task.take() else { return Ok(Progress::Deleting) };
        let status = match self.calls.stream.send(&GetTask { id: &task }, deadline).await {
            Ok(task) => task.status,
            // Stream forgets its tasks after a while, whatever became of them.
            Err(StreamError::NotFound(_)) => TaskStatus::Failed,
            Err(error) => return Err(error.into()),
        };
        match status {
            TaskStatus::Completed => self.finish(&user).await,
            TaskStatus::Failed => self.begin_anew(erasure).await,
            TaskStatus::Running => Ok(Progress::Deleting),
        }
    }

    /// Forgets how far it was; the next time it begins with the calls.
    async fn begin_anew(&self, erasure: Erasure) -> Result<Progress, ApiError> {
        self.store.save(&Erasure { next: None, task: None, ..erasure }).await?;
        Ok(Progress::Deleting)
    }

    async fn finish(&self, user: &UserId) -> Result<Progress, ApiError> {
        self.store.finish(user, self.calls.clock.now()).await?;
        Ok(Progress::Deleted)
    }

    /// Ends the user's calls and takes along what is kept of the user with them; whether it came to
    /// the end of them. Stream has the list: the table is not asked who was in which call.
    async fn leave_calls(
        &self,
        erasure: &mut Erasure,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        // What is older is forgotten by itself.
        let span = i64::try_from((TOMBSTONE * 2).as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_millis(erasure.begun_at.as_millis() - span);
        loop {
            let which = WhichCalls::With { user: &erasure.user, since };
            let query = QueryCalls { which, next: erasure.next.as_deref() };
            let page = match self.calls.stream.send(&query, deadline).await {
                Ok(page) => page,
                // A place in a list does not last for ever.
                Err(StreamError::Refused(_)) if erasure.next.is_some() => {
                    self.begin_anew(erasure.clone()).await?;
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            };
            for call in page.calls {
                let Ok(id) = CallId::try_from(call.call.id) else { continue };
                if deadline.remaining(self.calls.clock.now()) < LEAST {
                    return Ok(false);
                }
                self.leave(&id, &erasure.user, deadline).await?;
            }
            erasure.next = page.next.filter(|next| !next.is_empty());
            if erasure.next.is_none() {
                return Ok(true);
            }
            self.store.save(erasure).await?;
        }
    }

    async fn leave(&self, id: &CallId, user: &UserId, deadline: Deadline) -> Result<(), ApiError> {
        let Some(call) = self.calls.store.get(id).await?.filter(|call| call.has(user)) else {
            return Ok(());
        };
        if call.state < CallState::Ending {
            // As the user would have done it.
            let leaver = Caller { user: user.clone(), role: None, service: false, issued_at: None };
            self.calls.end(&leaver, id, &EndReason::USER_DELETED.into(), deadline).await?;
        }
        Ok(self.evidence.forget(id, user).await?)
    }
}
