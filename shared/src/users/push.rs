//! The push of profiles that were queued because the quota of pushes was exhausted. The sweeper
//! pushes up to a hundred with one request, so a burst of new users costs few of Stream's requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::stream::StreamError;
use crate::stream::ops::{QueryUsers, StreamUser, UpdateUsersResponse, UpsertUsers};
use crate::users::{
    ProfileChange, ProfileWriter, QueuedPush, QueuedPushStore, SyncResult, User, UserService,
    UserStatus,
};

/// The number of queued pushes that one sweep handles: ten requests.
const MAX_PER_SWEEP: u16 = 1_000;
/// The number of users in a sweep for whom a request of their own is sent, because Stream rejected
/// the batch or one of its users is unreadable.
const MAX_SINGLE_REQUESTS: usize = 20;
/// The number of users in a query. It keeps the URL below 8 KB.
const MAX_QUERIED: usize = 50;
/// The number of users whose items are updated concurrently.
const CONCURRENCY: usize = 16;
/// If less time than this remains, the work is left to a later sweep.
const MIN_REMAINING: Duration = Duration::from_secs(3);

/// The result of a sweep of the queued pushes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PushSummary {
    /// Users whose profile is now at Stream.
    pub pushed: u64,
    /// Users whose push is still queued.
    pub queued: u64,
}

/// Pushes the queued profiles.
#[derive(Clone)]
pub struct QueuedPushes {
    /// The queue in the table.
    pub queue: Arc<dyn QueuedPushStore>,
    /// The users and the Stream client.
    pub users: UserService,
}

/// The limits of a sweep.
struct Limits {
    deadline: Deadline,
    /// The remaining users for whom a request of their own may be sent.
    single_requests: usize,
}

impl QueuedPushes {
    /// Pushes the queued profiles in batches. If Stream or the table is busy or unavailable, the
    /// other batches are left to the next sweep.
    ///
    /// # Errors
    ///
    /// `store_unavailable`. Failures at Stream are logged and left to the next sweep.
    pub async fn sweep(&self, deadline: Deadline) -> Result<PushSummary, ApiError> {
        let queued = self.queue.list_queued(MAX_PER_SWEEP).await?;
        let mut left = queued.len();
        let mut limits = Limits { deadline, single_requests: MAX_SINGLE_REQUESTS };
        for batch in queued.chunks(UpsertUsers::MAX_USERS) {
            if deadline.remaining(self.users.clock.now()) < MIN_REMAINING {
                break;
            }
            match self.push_batch(batch, &mut limits).await {
                Ok(done) => left -= done,
                Err(error) => {
                    error.log("pushing profiles failed, retrying in the next sweep", &batch.len());
                    // Other errors concern this batch only.
                    if !matches!(error.code(), Code::StreamRefused | Code::StreamBadAnswer) {
                        break;
                    }
                }
            }
        }
        Ok(PushSummary { pushed: (queued.len() - left) as u64, queued: left as u64 })
    }

    /// Pushes a batch. Returns the number of pushes that are done.
    async fn push_batch(
        &self,
        batch: &[QueuedPush],
        limits: &mut Limits,
    ) -> Result<usize, ApiError> {
        let ids: Vec<UserId> = batch.iter().map(|push| push.user.clone()).collect();
        let loaded = self.queue.load_users(&ids).await?;
        // An inactive user's next token request, after the inactivity, pushes the profile.
        let now = self.users.clock.now();
        let needs_push =
            |user: &User| !user.is_synced() && user.account().require_active(now).is_ok();
        let mut pending: BTreeMap<UserId, User> =
            loaded.into_iter().filter(needs_push).map(|user| (user.id.clone(), user)).collect();
        let is_done = |push: &&QueuedPush| !pending.contains_key(&push.user);
        let mut done: Vec<&QueuedPush> = batch.iter().filter(is_done).collect();
        let unreadable = self.import_new_users(&mut pending, limits).await?;
        done.extend(batch.iter().filter(|push| unreadable.contains(&push.user)));
        let pending: Vec<&User> = pending.values().collect();
        let confirmed = match self.push(&pending, limits.deadline).await {
            Ok(confirmed) => confirmed,
            // One invalid or deleted user fails the whole batch.
            Err(error @ (StreamError::Rejected(_) | StreamError::NotFound(_))) => {
                ApiError::from(error).log("UpdateUsers failed, pushing one by one", &pending.len());
                self.push_one_by_one(&pending, limits).await?
            }
            Err(error) => return Err(error.into()),
        };
        done.extend(batch.iter().filter(|push| confirmed.contains(&push.user)));
        let removals = done.iter().map(|push| self.queue.remove_queued(push));
        let removals: Vec<_> = stream::iter(removals).buffer_unordered(CONCURRENCY).collect().await;
        removals.into_iter().collect::<Result<(), _>>()?;
        Ok(done.len())
    }

    /// Imports the profiles that these users have at Stream already, as a first token does. Users
    /// who are deactivated, deleted or banned there are removed from the batch. So are unreadable
    /// users, whom it returns: a push would replace their profile.
    async fn import_new_users(
        &self,
        pending: &mut BTreeMap<UserId, User>,
        limits: &mut Limits,
    ) -> Result<Vec<UserId>, ApiError> {
        let new_users: Vec<UserId> = pending
            .values()
            .filter(|user| user.synced_version == 0)
            .map(|user| user.id.clone())
            .collect();
        let mut unreadable = Vec::new();
        for ids in new_users.chunks(MAX_QUERIED) {
            let sent_at = self.users.clock.now();
            let response = self.users.stream.send(&QueryUsers { ids }, limits.deadline).await?;
            let has_unreadable = response.users.iter().any(Option::is_none);
            let found: Vec<StreamUser> = response.users.into_iter().flatten().collect();
            if has_unreadable {
                let is_found = |id: &UserId| found.iter().any(|user| user.id == id.as_str());
                let others: Vec<&UserId> = ids.iter().filter(|id| !is_found(id)).collect();
                unreadable.extend(self.find_unreadable(&others, pending, limits).await?);
            }
            for stream_user in found {
                self.import_new_user(stream_user, sent_at, pending, limits.deadline).await?;
            }
        }
        Ok(unreadable)
    }

    async fn import_new_user(
        &self,
        stream_user: StreamUser,
        sent_at: Timestamp,
        pending: &mut BTreeMap<UserId, User>,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let Ok(id) = UserId::try_from(stream_user.id.clone()) else { return Ok(()) };
        let Some(user) = pending.remove(&id) else { return Ok(()) };
        let writer = ProfileWriter::User;
        let adopted =
            self.users.adopt_account(&user, &stream_user, sent_at, writer, deadline).await;
        if let Err(error) = adopted {
            error.log("skipping the push of an inactive user", &id);
            return Ok(());
        }
        let no_change = ProfileChange::default();
        let user = self.users.import_profile(&id, &no_change, stream_user).await?;
        pending.insert(id, user);
        Ok(())
    }

    /// Finds the users whose data at Stream is unreadable, with a request for each. Removes them
    /// from the batch, and those for whom no request is left.
    async fn find_unreadable(
        &self,
        ids: &[&UserId],
        pending: &mut BTreeMap<UserId, User>,
        limits: &mut Limits,
    ) -> Result<Vec<UserId>, ApiError> {
        let mut unreadable = Vec::new();
        for id in ids {
            if limits.single_requests == 0 {
                pending.remove(*id);
                continue;
            }
            limits.single_requests -= 1;
            let query = QueryUsers { ids: std::slice::from_ref(*id) };
            let response = self.users.stream.send(&query, limits.deadline).await?;
            if !response.users.is_empty() {
                let error = StreamError::InvalidResponse("the user cannot be read".into());
                ApiError::from(error).log("QueryUsers failed, dropping a push", id);
                pending.remove(*id);
                unreadable.push((*id).clone());
            }
        }
        Ok(unreadable)
    }

    /// Pushes these users with one request. Returns the users whose newest version Stream has.
    async fn push(&self, users: &[&User], deadline: Deadline) -> Result<Vec<UserId>, StreamError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let data: Vec<_> =
            users.iter().map(|user| (&user.id, user.profile.as_user_data())).collect();
        let sent_at = self.users.clock.now();
        let response = self.users.stream.send(&UpsertUsers { users: &data }, deadline).await?;
        let confirmations =
            users.iter().map(|user| self.confirm(user, &response, sent_at, deadline));
        let confirmed: Vec<Option<UserId>> =
            stream::iter(confirmations).buffer_unordered(CONCURRENCY).collect().await;
        Ok(confirmed.into_iter().flatten().collect())
    }

    /// Stores that Stream has this version of the user. `None` if a newer one exists, or the user
    /// is not active at Stream.
    async fn confirm(
        &self,
        user: &User,
        response: &UpdateUsersResponse,
        sent_at: Timestamp,
        deadline: Deadline,
    ) -> Option<UserId> {
        let result = async {
            if let Some(stream_user) = response.users.get(user.id.as_str()) {
                let writer = ProfileWriter::User;
                self.users.adopt_account(user, stream_user, sent_at, writer, deadline).await?;
            }
            let confirmed = self.users.store.confirm_version(&user.id, user.version).await?;
            if matches!(confirmed, SyncResult::Superseded(_)) {
                // This push may have reached Stream after that of the newer version.
                self.users.store.retract_confirmation(&user.id).await?;
            }
            Ok::<_, ApiError>(confirmed)
        };
        match result.await {
            Ok(SyncResult::Confirmed) => Some(user.id.clone()),
            Ok(SyncResult::Superseded(_)) => None,
            Err(error) => {
                error.log("confirming a pushed profile failed", &user.id);
                None
            }
        }
    }

    /// Pushes each user with a request of its own. A user whom Stream has deleted, or rejects, leaves
    /// the queue: the next request of a rejected user returns the error.
    async fn push_one_by_one(
        &self,
        users: &[&User],
        limits: &mut Limits,
    ) -> Result<Vec<UserId>, ApiError> {
        let mut done = Vec::new();
        for user in users {
            if limits.single_requests == 0 {
                break;
            }
            limits.single_requests -= 1;
            let sent_at = self.users.clock.now();
            match self.push(&[*user], limits.deadline).await {
                Ok(confirmed) => done.extend(confirmed),
                Err(StreamError::NotFound(response)) if response.is_user_deleted() => {
                    self.users.store.set_status(&user.id, UserStatus::Deleted, sent_at).await?;
                    done.push(user.id.clone());
                }
                Err(error @ (StreamError::Rejected(_) | StreamError::NotFound(_))) => {
                    ApiError::from(error).log("UpdateUsers failed, dropping a push", &user.id);
                    done.push(user.id.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }
}
