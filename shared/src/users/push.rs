//! The push of profiles that were queued because the quota of pushes was exhausted. The sweeper
//! pushes up to a hundred with one request, so a burst of new users costs few of Stream's requests.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use crate::clock::Deadline;
use crate::error::ApiError;
use crate::ids::UserId;
use crate::stream::StreamError;
use crate::stream::ops::{QueryUsers, UpdateUsersResponse, UpsertUsers};
use crate::users::{
    ProfileChange, ProfileWriter, QueuedPush, SyncResult, User, UserService, UserStatus,
};

/// The number of queued pushes that one sweep handles: ten requests.
const MAX_PER_SWEEP: u16 = 1_000;
/// The number of single pushes in a sweep, if Stream rejects a batch. Each costs one request.
const MAX_SINGLE_PUSHES: usize = 20;
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
    /// The users and the Stream client.
    pub users: UserService,
}

impl QueuedPushes {
    /// Pushes the queued profiles in batches, and stops after the first failure.
    ///
    /// # Errors
    ///
    /// `store_unavailable`. Failures at Stream are logged and left to the next sweep.
    pub async fn sweep(&self, deadline: Deadline) -> Result<PushSummary, ApiError> {
        let queued = self.users.store.list_queued(MAX_PER_SWEEP).await?;
        let mut left = queued.len();
        for batch in queued.chunks(UpsertUsers::MAX_USERS) {
            if deadline.remaining(self.users.clock.now()) < MIN_REMAINING {
                break;
            }
            match self.push_batch(batch, deadline).await {
                Ok(done) => left -= done,
                Err(error) => {
                    error.log("pushing profiles failed, retrying in the next sweep", &batch.len());
                    break;
                }
            }
        }
        Ok(PushSummary { pushed: (queued.len() - left) as u64, queued: left as u64 })
    }

    /// Pushes a batch. Returns the number of pushes that are done.
    async fn push_batch(
        &self,
        batch: &[QueuedPush],
        deadline: Deadline,
    ) -> Result<usize, ApiError> {
        let ids: Vec<UserId> = batch.iter().map(|push| push.user.clone()).collect();
        let loaded = self.users.store.load(&ids).await?;
        // An inactive user's next token request, after the inactivity, pushes the profile.
        let now = self.users.clock.now();
        let needs_push =
            |user: &User| !user.is_synced() && user.account().require_active(now).is_ok();
        let mut pending: BTreeMap<UserId, User> =
            loaded.into_iter().filter(needs_push).map(|user| (user.id.clone(), user)).collect();
        let is_done = |push: &&QueuedPush| !pending.contains_key(&push.user);
        let mut done: Vec<&QueuedPush> = batch.iter().filter(is_done).collect();
        self.import_new_users(&mut pending, deadline).await?;
        let pending: Vec<&User> = pending.values().collect();
        let confirmed = match self.push(&pending, deadline).await {
            Ok(confirmed) => confirmed,
            // One invalid or deleted user fails the whole batch.
            Err(error @ (StreamError::Rejected(_) | StreamError::NotFound(_))) => {
                ApiError::from(error).log("UpdateUsers failed, pushing one by one", &pending.len());
                self.push_one_by_one(&pending, deadline).await?
            }
            Err(error) => return Err(error.into()),
        };
        done.extend(batch.iter().filter(|push| confirmed.contains(&push.user)));
        let removals = done.iter().map(|push| self.users.store.remove_queued(push));
        let removals: Vec<_> = stream::iter(removals).buffer_unordered(CONCURRENCY).collect().await;
        removals.into_iter().collect::<Result<(), _>>()?;
        Ok(done.len())
    }

    /// Imports the profiles that these users have at Stream already, as a first token does. Users
    /// who are deactivated, deleted or banned there are removed from the batch.
    async fn import_new_users(
        &self,
        pending: &mut BTreeMap<UserId, User>,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let new_users: Vec<UserId> = pending
            .values()
            .filter(|user| user.synced_version == 0)
            .map(|user| user.id.clone())
            .collect();
        if new_users.is_empty() {
            return Ok(());
        }
        let response = self.users.stream.send(&QueryUsers { ids: &new_users }, deadline).await?;
        if response.users.iter().any(Option::is_none) {
            // The push would replace a profile that has not been imported.
            pending.retain(|_, user| user.synced_version > 0);
        }
        for stream_user in response.users.into_iter().flatten() {
            let Ok(id) = UserId::try_from(stream_user.id.clone()) else { continue };
            let Some(user) = pending.remove(&id) else { continue };
            let writer = ProfileWriter::User;
            let adopted = self.users.adopt_account(&user, &stream_user, writer, deadline).await;
            if let Err(error) = adopted {
                error.log("skipping the push of an inactive user", &id);
                continue;
            }
            let no_change = ProfileChange::default();
            let user = self.users.import_profile(&id, &no_change, stream_user).await?;
            pending.insert(id, user);
        }
        Ok(())
    }

    /// Pushes these users with one request. Returns the users whose newest version Stream has.
    async fn push(&self, users: &[&User], deadline: Deadline) -> Result<Vec<UserId>, StreamError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let data: Vec<_> =
            users.iter().map(|user| (&user.id, user.profile.as_user_data())).collect();
        let response = self.users.stream.send(&UpsertUsers { users: &data }, deadline).await?;
        let confirmations = users.iter().map(|user| self.confirm(user, &response, deadline));
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
        deadline: Deadline,
    ) -> Option<UserId> {
        let result = async {
            if let Some(stream_user) = response.users.get(user.id.as_str()) {
                let writer = ProfileWriter::User;
                self.users.adopt_account(user, stream_user, writer, deadline).await?;
            }
            Ok::<_, ApiError>(self.users.store.confirm_version(&user.id, user.version).await?)
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
        deadline: Deadline,
    ) -> Result<Vec<UserId>, ApiError> {
        let mut done = Vec::new();
        for user in users.iter().take(MAX_SINGLE_PUSHES) {
            match self.push(&[user], deadline).await {
                Ok(confirmed) => done.extend(confirmed),
                Err(StreamError::NotFound(_)) => {
                    let now = self.users.clock.now();
                    self.users.store.set_status(&user.id, UserStatus::Deleted, now).await?;
                    done.push(user.id.clone());
                }
                Err(error @ StreamError::Rejected(_)) => {
                    ApiError::from(error).log("UpdateUsers failed, dropping a push", &user.id);
                    done.push(user.id.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }
}
