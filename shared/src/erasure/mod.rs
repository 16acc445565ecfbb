//! Erases a user: removes the user from open calls, or ends them, deletes the user's data in the
//! table, and deletes the user at Stream.
//!
//! An erasure has its own item until Stream's deletion task is complete. The sweeper resumes it
//! every minute. Every step is idempotent.

pub mod dynamo;
mod store;

pub use store::{BeginErasureResult, Erasure, ErasureStore};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::calls::timeouts::TOMBSTONE_TTL;
use crate::calls::{MemberRemover, RemoveUserResult};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::{CallCid, UserId};
use crate::quality::UserQualityEraser;
use crate::stream::ops::{
    CallFilter, DeleteUser, DeleteUserResponse, GetTask, QueryCalls, TaskStatus, UpsertUsers,
    UserData,
};
use crate::stream::{StreamClient, StreamError};

/// If less time than this remains, the work is left to a later sweep.
const MIN_REMAINING: Duration = Duration::from_secs(3);
/// The number of erasures that one sweep resumes.
const MAX_PER_SWEEP: usize = 20;

/// The status of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasureStatus {
    /// The user is deleted in the table, and the deletion of the remaining data is in progress.
    Deleting,
    /// All data is deleted.
    Deleted,
}

/// The result of a sweep of the erasures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ErasureSummary {
    /// Users whose erasure was completed.
    pub erased: u64,
    /// Users whose erasure is still in progress.
    pub erasing: u64,
}

/// Erases users.
#[derive(Clone)]
pub struct ErasureService {
    /// The erasures in progress.
    pub store: Arc<dyn ErasureStore>,
    /// Removes the user from open calls, or ends them.
    pub member_remover: MemberRemover,
    /// The eraser of quality data.
    pub quality_eraser: Arc<dyn UserQualityEraser>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The user who creates channels, whose id is reserved.
    pub service_user: UserId,
}

impl ErasureService {
    /// Begins to erase a user and continues until the deadline. The id can never be used again.
    ///
    /// # Errors
    ///
    /// `user_not_found`, `store_unavailable`. After a failure at Stream the sweeper continues.
    pub async fn erase(&self, id: &UserId, deadline: Deadline) -> Result<ErasureStatus, ApiError> {
        if *id == self.service_user {
            return Err(ApiError::from_code(Code::UserNotFound));
        }
        match self.store.begin(id, self.clock.now()).await? {
            BeginErasureResult::UserNotFound => Err(ApiError::from_code(Code::UserNotFound)),
            BeginErasureResult::AlreadyErased => Ok(ErasureStatus::Deleted),
            BeginErasureResult::InProgress(erasure) => Ok(self.resume(erasure, deadline).await),
        }
    }

    /// Resumes the erasures in progress.
    ///
    /// # Errors
    ///
    /// `store_unavailable`.
    pub async fn sweep(&self, deadline: Deadline) -> Result<ErasureSummary, ApiError> {
        let mut pending = self.store.list_pending().await?;
        let mut summary = ErasureSummary { erased: 0, erasing: pending.len() as u64 };
        // The start rotates every minute, so that erasures that keep failing do not block others.
        let minute = usize::try_from(self.clock.now().as_secs() / 60).unwrap_or(0);
        let offset = (minute * MAX_PER_SWEEP).checked_rem(pending.len()).unwrap_or(0);
        pending.rotate_left(offset);
        for erasure in pending.into_iter().take(MAX_PER_SWEEP) {
            if deadline.remaining(self.clock.now()) < MIN_REMAINING {
                break;
            }
            if self.resume(erasure, deadline).await == ErasureStatus::Deleted {
                summary.erased += 1;
                summary.erasing -= 1;
            }
        }
        Ok(summary)
    }

    async fn resume(&self, erasure: Erasure, deadline: Deadline) -> ErasureStatus {
        let user = erasure.user.clone();
        match self.step(erasure, deadline).await {
            Ok(progress) => progress,
            Err(error) => {
                // The item still exists, so the next sweep resumes it.
                error.log("erasing a user failed, retrying in the next sweep", &user);
                ErasureStatus::Deleting
            }
        }
    }

    async fn step(
        &self,
        mut erasure: Erasure,
        deadline: Deadline,
    ) -> Result<ErasureStatus, ApiError> {
        let user = erasure.user.clone();
        if erasure.task_id.is_none() {
            if !self.remove_from_calls(&mut erasure, deadline).await? {
                return Ok(ErasureStatus::Deleting);
            }
            match self.delete_at_stream(&user, deadline).await {
                Ok(response) => {
                    erasure.task_id = Some(response.task_id);
                    self.store.save(&erasure).await?;
                }
                // The user was deleted at Stream before.
                Err(StreamError::NotFound(_)) => return self.finish(&user).await,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(task_id) = erasure.task_id.take() else { return Ok(ErasureStatus::Deleting) };
        let status = match self.stream.send(&GetTask { id: &task_id }, deadline).await {
            Ok(task) => task.status,
            // Stream deletes old tasks, so the result is unknown.
            Err(StreamError::NotFound(_)) => TaskStatus::Failed,
            Err(error) => return Err(error.into()),
        };
        match status {
            TaskStatus::Completed => self.finish(&user).await,
            TaskStatus::Failed => self.restart(erasure).await,
            TaskStatus::Running => Ok(ErasureStatus::Deleting),
        }
    }

    /// Deletes the user at Stream. A user who does not exist there is created first: after the
    /// deletion Stream rejects the id, so that neither an issued token nor a queued push can create
    /// the user.
    async fn delete_at_stream(
        &self,
        user: &UserId,
        deadline: Deadline,
    ) -> Result<DeleteUserResponse, StreamError> {
        let stream = &self.stream;
        match stream.send(&DeleteUser { id: user }, deadline).await {
            Err(StreamError::NotFound(response)) if !response.is_user_deleted() => {
                let users = [(user, UserData::without_profile())];
                stream.send(&UpsertUsers { users: &users }, deadline).await?;
                stream.send(&DeleteUser { id: user }, deadline).await
            }
            result => result,
        }
    }

    /// Resets the progress, so that the next sweep begins with the calls.
    async fn restart(&self, erasure: Erasure) -> Result<ErasureStatus, ApiError> {
        self.store.save(&Erasure { next_page: None, task_id: None, ..erasure }).await?;
        Ok(ErasureStatus::Deleting)
    }

    async fn finish(&self, user: &UserId) -> Result<ErasureStatus, ApiError> {
        self.store.finish(user, self.clock.now()).await?;
        Ok(ErasureStatus::Deleted)
    }

    /// Removes the user from the open calls, or ends them, and deletes the user's data in all calls.
    /// Returns whether all calls are done. Stream lists the calls, since the table has no index by
    /// member.
    async fn remove_from_calls(
        &self,
        erasure: &mut Erasure,
        deadline: Deadline,
    ) -> Result<bool, ApiError> {
        // The items of older calls have expired.
        let retention_millis = i64::try_from((TOMBSTONE_TTL * 2).as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_millis(erasure.started_at.as_millis() - retention_millis);
        let mut done = BTreeSet::new();
        loop {
            let filter = CallFilter::Member { user: &erasure.user, since };
            let query = QueryCalls { filter, next: erasure.next_page.as_deref() };
            let page = match self.stream.send(&query, deadline).await {
                Ok(page) => page,
                // Stream rejects an expired page cursor.
                Err(StreamError::Rejected(_)) if erasure.next_page.is_some() => {
                    self.restart(erasure.clone()).await?;
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            };
            let (mut is_creating, mut is_shorter) = (false, false);
            for call in page.calls {
                let Some(cid) = call.call.cid() else { continue };
                if !done.insert(cid.clone()) {
                    continue;
                }
                if deadline.remaining(self.clock.now()) < MIN_REMAINING {
                    return Ok(false);
                }
                match self.remove_from_call(&cid, &erasure.user, deadline).await? {
                    Removal::Creating => is_creating = true,
                    Removal::Unlisted => is_shorter = true,
                    Removal::Listed => {}
                }
            }
            if is_creating {
                return Ok(false);
            }
            let next_page = page.next.filter(|next| !next.is_empty());
            if is_shorter && next_page.is_some() {
                // Calls of the next page may have moved to this one.
                continue;
            }
            erasure.next_page = next_page;
            if erasure.next_page.is_none() {
                return Ok(true);
            }
            self.store.save(erasure).await?;
        }
    }

    async fn remove_from_call(
        &self,
        cid: &CallCid,
        user: &UserId,
        deadline: Deadline,
    ) -> Result<Removal, ApiError> {
        let id = &cid.id;
        // The user may not be a member any more: an earlier attempt may have failed afterwards.
        let Some(call) = self.member_remover.store.get(id).await? else {
            return Ok(Removal::Listed);
        };
        let result = self.member_remover.remove_user(call, user, deadline).await?;
        if result == RemoveUserResult::Creating {
            return Ok(Removal::Creating);
        }
        self.quality_eraser.delete_user_data(id, user).await?;
        // A request may have read the data before its deletion.
        self.quality_eraser.invalidate_summary(id, self.clock.now()).await?;
        match result {
            // Another system may have a call with this id, and another type.
            RemoveUserResult::Removed(call) if call.cid() == *cid => {
                self.member_remover.remove_user_at_stream(&call, user, deadline).await?;
                Ok(Removal::Unlisted)
            }
            _ => Ok(Removal::Listed),
        }
    }
}

/// The result of removing a user from a call that Stream lists.
enum Removal {
    /// All of the user's data in the call is deleted. Stream still lists the call.
    Listed,
    /// As [`Removal::Listed`], and Stream no longer lists the call for the user.
    Unlisted,
    /// The call is being created, and must be processed again.
    Creating,
}
