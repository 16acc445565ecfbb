//! Users: their profiles and accounts in the table, and the synchronization with Stream.

mod account;
mod devices;
pub mod dynamo;
mod patch;
mod profile;
mod push;
mod revoke;
mod store;

pub use account::{
    Account, AccountReader, AccountWriter, Ban, CallMembers, JoinedCall, JoinedCallWriter,
    MemberReader, NameReader, UserStatus, require_active_alongside,
};
pub use patch::FieldPatch;
pub use profile::{Profile, ProfileChange};
pub use push::{PushSummary, QueuedPushes};
pub use store::{
    GetAndCountResult, MergeResult, ProfileWriter, PushPurpose, QueuedPush, QueuedPushStore,
    Revocation, RevokeResult, SyncResult, User, UserStore,
};

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;

use crate::auth::{Caller, StreamRole, StreamRoleMap};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::{Permit, Window};
use crate::stream::ops::{QueryUsers, ReactivateUser, StreamUser, UpsertUsers};
use crate::stream::{StreamClient, StreamError};

/// The policy for a token request of a user who is not in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownUserPolicy {
    /// Creates the user in the table and at Stream.
    #[default]
    Provision,
    /// Rejects the request: the user must be upserted first.
    Reject,
}

impl UnknownUserPolicy {
    /// Reads `UNKNOWN_USERS`: `provision` (the default) or `reject`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        match env.get_or("UNKNOWN_USERS", "provision") {
            "provision" => Ok(Self::Provision),
            "reject" => Ok(Self::Reject),
            _ => Err(ConfigError::invalid("UNKNOWN_USERS", "must be 'provision' or 'reject'")),
        }
    }
}

/// Reads and changes users in the table and at Stream.
#[derive(Clone)]
pub struct UserService {
    /// The users in the table.
    pub store: Arc<dyn UserStore>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The user who creates channels, whose id is reserved.
    pub service_user: UserId,
}

/// The number of upserts at Stream while concurrent requests keep changing the profile.
const MAX_ATTEMPTS: u32 = 10;

/// The error of a request that lost to too many concurrent requests of the same user.
fn too_many_conflicts() -> ApiError {
    ApiError::new(Code::TooManyRequests, "send the requests of one user one after the other")
        .with_retry_after(Some(Duration::from_secs(1)))
}

fn push_quota_exhausted(now: Timestamp) -> ApiError {
    let detail = "the profile quota of this minute is exhausted; retry in a minute";
    let retry_after = Window::from_timestamp(now).remaining(now);
    ApiError::new(Code::StreamBusy, detail).with_retry_after(Some(retry_after))
}

impl UserService {
    /// Reads the user and counts the request with the same write. `None` if the user does not
    /// exist.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `store_unavailable`.
    pub async fn find_and_count(
        &self,
        id: &UserId,
        permit: Permit<'_>,
    ) -> Result<Option<User>, ApiError> {
        let Some(quota) = permit.quota() else { return Ok(self.store.get(id).await?) };
        match self.store.get_and_count(id, quota).await? {
            GetAndCountResult::Counted(user, count) => {
                permit.record_count(Some(count))?;
                Ok(Some(user))
            }
            GetAndCountResult::UserDeleted(user) => Ok(Some(user)),
            GetAndCountResult::LimitExceeded => permit.record_count(None).map(|()| None),
            // Without a user item the request is counted in the rate limiter's own item.
            GetAndCountResult::UserNotFound => permit.consume().await.map(|()| None),
        }
    }

    /// Returns the existing user if the change leaves the profile as it is, which costs no request.
    /// Otherwise merges the change and pushes the profile to Stream. If the quota of pushes is
    /// exhausted, queues the push for the sweeper: a token needs no profile at Stream, because the
    /// user's device creates the user there when it connects.
    ///
    /// # Errors
    ///
    /// `user_not_found` if the policy rejects unknown users, `user_deactivated`, `user_banned`,
    /// `session_revoked` if the caller's session is revoked, and those of [`UserService::upsert`].
    pub async fn get_or_provision(
        &self,
        caller: &Caller,
        id: &UserId,
        existing: Option<User>,
        change: &ProfileChange,
        policy: UnknownUserPolicy,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        let now = self.clock.now();
        if let Some(user) = &existing {
            user.account().require_active(now)?;
            user.require_session(caller)?;
        }
        match existing {
            Some(user) if user.is_synced() && !change.changes(&user.profile) => return Ok(user),
            None if policy == UnknownUserPolicy::Reject => {
                return Err(ApiError::new(
                    Code::UserNotFound,
                    "the user does not exist; upsert the user first",
                ));
            }
            _ => {}
        }
        let is_at_stream = existing.is_some_and(|user| user.synced_version > 0);
        let purpose = if is_at_stream { PushPurpose::Change } else { PushPurpose::Provision };
        let merged = self.merge(id, change, ProfileWriter::User, deadline);
        let (merged, quota) = join(merged, self.store.acquire_push_quota(purpose, now)).await;
        let user = merged?;
        if quota? {
            let synchronized =
                self.synchronize(user.clone(), change, ProfileWriter::User, deadline).await;
            match synchronized {
                Err(error) if error.code() == Code::StreamBusy => {
                    error.log("pushing a profile failed, queueing it", id);
                }
                // A profile that Stream rejects must not cost the token.
                Err(error) if error.code() == Code::StreamRefused => {
                    error.log("pushing a profile failed", id);
                    return Ok(user);
                }
                result => return result,
            }
        }
        self.store.queue_push(id, now).await?;
        Ok(user)
    }

    /// Merges a change into the profile in the table and sends the whole profile to Stream. An
    /// upsert replaces the user at Stream, so before the first one the missing fields are imported
    /// from Stream.
    ///
    /// Each change increments the version in the table. Two changes may reach Stream in the wrong
    /// order. So a request confirms its version afterwards, and if a newer one exists, it sends the
    /// newest profile again.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `stream_busy` if the quota of pushes is exhausted, `invalid_body` if
    /// the custom data would be too large, `user_deleted`, `user_deactivated`, `user_banned`,
    /// `store_unavailable`, and the errors of Stream.
    pub async fn upsert(
        &self,
        id: &UserId,
        change: &ProfileChange,
        writer: ProfileWriter,
        permit: Permit<'_>,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        permit.consume().await?;
        let now = self.clock.now();
        let purpose = match writer {
            ProfileWriter::User => PushPurpose::Change,
            ProfileWriter::Service => PushPurpose::Provision,
        };
        let merged = self.merge(id, change, writer, deadline);
        let (merged, quota) = join(merged, self.store.acquire_push_quota(purpose, now)).await;
        let user = merged?;
        let result = if quota? {
            self.synchronize(user, change, writer, deadline).await
        } else {
            Err(push_quota_exhausted(now))
        };
        if result.as_ref().is_err_and(|error| error.code() == Code::StreamBusy) {
            self.store.queue_push(id, now).await?;
        }
        result
    }

    /// Merges a change into the profile in the table. A service first reactivates a deactivated
    /// user.
    async fn merge(
        &self,
        id: &UserId,
        change: &ProfileChange,
        writer: ProfileWriter,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        if *id == self.service_user {
            return Err(ApiError::invalid_field("/userId", "is reserved"));
        }
        let now = self.clock.now();
        let mut result = self.store.merge(id, change, writer, now).await?;
        if let MergeResult::Inactive(user) = &result
            && (user.status, writer) == (UserStatus::Deactivated, ProfileWriter::Service)
        {
            match self.reactivate(id, deadline).await {
                // Stream rejects the request if the user is active there. The answer to the push
                // shows whether that was the reason.
                Ok(()) | Err(StreamError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
            let now = self.clock.now();
            self.store.set_status(id, UserStatus::Active, now).await?;
            result = self.store.merge(id, change, writer, now).await?;
        }
        result.into_user(now)
    }

    /// Imports the profile from Stream before the first push, and pushes the profile until Stream
    /// has the newest version.
    async fn synchronize(
        &self,
        mut user: User,
        change: &ProfileChange,
        writer: ProfileWriter,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        if user.synced_version == 0 {
            user = self.import_from_stream(user, change, writer, deadline).await?;
        }
        let id = user.id.clone();
        let mut is_superseded = false;
        let result = self.push_newest(user, &mut is_superseded, writer, deadline).await;
        if result.is_err() && is_superseded {
            // The newest version is confirmed, and an older one may have reached Stream after it.
            self.store.retract_confirmation(&id).await?;
            self.store.queue_push(&id, self.clock.now()).await?;
        }
        result
    }

    /// Pushes the profile until no newer version exists. `is_superseded` tells whether a push was
    /// not that of the newest version.
    async fn push_newest(
        &self,
        mut user: User,
        is_superseded: &mut bool,
        writer: ProfileWriter,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        for _ in 0..MAX_ATTEMPTS {
            let users = [(&user.id, user.profile.as_user_data())];
            let sent_at = self.clock.now();
            let response = self.stream.send(&UpsertUsers { users: &users }, deadline).await?;
            if let Some(stream_user) = response.users.get(user.id.as_str()) {
                self.adopt_account(&user, stream_user, sent_at, writer, deadline).await?;
            }
            match self.store.confirm_version(&user.id, user.version).await? {
                SyncResult::Confirmed => return Ok(user),
                // This push may have reached Stream after that of the newer version.
                SyncResult::Superseded(newer) => user = newer,
            }
            *is_superseded = true;
            let now = self.clock.now();
            if !self.store.acquire_push_quota(PushPurpose::Change, now).await? {
                return Err(push_quota_exhausted(now));
            }
        }
        Err(too_many_conflicts())
    }

    /// Adds the fields that the user has at Stream but not in the table.
    async fn import_from_stream(
        &self,
        user: User,
        change: &ProfileChange,
        writer: ProfileWriter,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        let query = QueryUsers { ids: std::slice::from_ref(&user.id) };
        let sent_at = self.clock.now();
        let response = self.stream.send(&query, deadline).await?;
        match response.users.into_iter().next() {
            None => Ok(user),
            Some(Some(stream_user)) if stream_user.id == user.id.as_str() => {
                self.adopt_account(&user, &stream_user, sent_at, writer, deadline).await?;
                self.import_profile(&user.id, change, stream_user).await
            }
            // The push would replace a profile that has not been imported.
            Some(_) => Err(StreamError::InvalidResponse("the user cannot be read".into()).into()),
        }
    }

    async fn import_profile(
        &self,
        id: &UserId,
        change: &ProfileChange,
        stream_user: StreamUser,
    ) -> Result<User, ApiError> {
        let now = self.clock.now();
        let imported = change.import(stream_user);
        self.store.fill_missing(id, &imported, now).await?.into_user(now)
    }

    /// Stores the status and the ban that the user has at Stream. A service reactivates a
    /// deactivated user there. They are dated at the request to Stream: a change that Stream
    /// reports later is newer.
    ///
    /// # Errors
    ///
    /// `user_deleted`, `user_deactivated` and `user_banned`; for a service only the first one.
    async fn adopt_account(
        &self,
        user: &User,
        stream_user: &StreamUser,
        sent_at: Timestamp,
        writer: ProfileWriter,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let (id, now) = (&user.id, self.clock.now());
        if stream_user.deleted_at.is_some() {
            self.store.set_status(id, UserStatus::Deleted, sent_at).await?;
            return Err(ApiError::from_code(Code::UserDeleted));
        }
        if stream_user.deactivated_at.is_some() {
            match writer {
                ProfileWriter::Service => self.reactivate(id, deadline).await?,
                ProfileWriter::User => {
                    self.store.set_status(id, UserStatus::Deactivated, sent_at).await?;
                    return Err(ApiError::from_code(Code::UserDeactivated));
                }
            }
        }
        let ban = Ban::from_stream(stream_user).filter(|ban| ban.is_in_force(now));
        if ban != user.ban.filter(|ban| ban.is_in_force(now)) {
            self.store.set_ban(id, ban, sent_at).await?;
        }
        match (ban, writer) {
            (Some(_), ProfileWriter::User) => Err(ApiError::from_code(Code::UserBanned)),
            _ => Ok(()),
        }
    }

    /// Reactivates the user at Stream.
    async fn reactivate(&self, id: &UserId, deadline: Deadline) -> Result<(), StreamError> {
        self.stream.send(&ReactivateUser { id }, deadline).await.map(|_| ())
    }
}

impl MergeResult {
    /// The merged user.
    fn into_user(self, now: Timestamp) -> Result<User, ApiError> {
        match self {
            Self::Merged(user) => Ok(user),
            Self::Inactive(user) => {
                user.account().require_active(now)?;
                // The account became active meanwhile.
                Err(too_many_conflicts())
            }
            Self::CustomTooLarge => Err(ApiError::invalid_field(
                "/userData/custom",
                "must be at most 2048 bytes of JSON after the change",
            )),
            Self::Conflict => Err(too_many_conflicts()),
        }
    }
}

/// The role to store for a user: that of the caller's token if the caller is that user. `None`
/// otherwise, which keeps the stored role.
#[must_use]
pub fn role_for(caller: &Caller, user: &UserId, roles: &StreamRoleMap) -> Option<StreamRole> {
    (caller.user == *user).then(|| roles.map_role(caller.role.as_deref()))
}
