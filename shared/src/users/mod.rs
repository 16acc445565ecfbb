//! Users: their profiles in the table, and the synchronization with Stream.

pub mod dynamo;
mod profile;
mod revoke;
mod store;

pub use profile::{Profile, ProfileChange};
pub use store::{
    GetAndCountResult, Revocation, RevokeResult, SyncResult, User, UserStatus, UserStore,
};

use std::sync::Arc;

use crate::auth::{Caller, StreamRole, StreamRoleMap};
use crate::clock::{Clock, Deadline};
use crate::config::{ConfigError, Env};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::Permit;
use crate::stream::ops::{QueryUser, ReactivateUser, UpsertUser};
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
}

/// The number of upserts at Stream while concurrent requests keep changing the profile.
const MAX_ATTEMPTS: u32 = 5;

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
    /// Otherwise upserts the user.
    ///
    /// # Errors
    ///
    /// `user_not_found` if the policy rejects unknown users, `user_deactivated`, `session_revoked`
    /// if the caller's session is revoked, and those of [`UserService::upsert`].
    pub async fn get_or_provision(
        &self,
        caller: &Caller,
        id: &UserId,
        existing: Option<User>,
        change: &ProfileChange,
        policy: UnknownUserPolicy,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        if let Some(user) = &existing {
            user.status.require_active()?;
            user.require_session(caller)?;
        }
        match existing {
            Some(user) if user.is_synced() && !change.changes(&user.profile) => Ok(user),
            None if policy == UnknownUserPolicy::Reject => Err(ApiError::new(
                Code::UserNotFound,
                "the user does not exist; upsert the user first",
            )),
            _ => self.upsert(id, change, deadline).await,
        }
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
    /// `user_deleted`, `user_deactivated`, `store_unavailable`, and the errors of Stream.
    pub async fn upsert(
        &self,
        id: &UserId,
        change: &ProfileChange,
        deadline: Deadline,
    ) -> Result<User, ApiError> {
        let mut user = self.store.merge(id, change, self.clock.now()).await?;
        user.status.require_active()?;
        if user.synced_version == 0 {
            user = self.import_from_stream(user, deadline).await?;
        }
        for _ in 0..MAX_ATTEMPTS {
            let upsert = UpsertUser { id, data: user.profile.as_user_data() };
            self.stream.send(&upsert, deadline).await?;
            match self.store.confirm_version(id, user.version).await? {
                SyncResult::Confirmed => return Ok(user),
                SyncResult::Superseded(newer) => user = newer,
            }
        }
        let detail = "too many concurrent changes of the profile; retry later";
        Err(ApiError::new(Code::StoreUnavailable, detail))
    }

    /// Reactivates a deactivated user. The caller of this method must be a service.
    ///
    /// # Errors
    ///
    /// `store_unavailable`, and the errors of Stream.
    pub async fn reactivate(&self, id: &UserId, deadline: Deadline) -> Result<(), ApiError> {
        let is_deactivated =
            self.store.get(id).await?.is_some_and(|user| user.status == UserStatus::Deactivated);
        if is_deactivated {
            match self.stream.send(&ReactivateUser { id }, deadline).await {
                // The user is active at Stream already, and the webhook event was lost.
                Ok(_) | Err(StreamError::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
            self.store.set_status(id, UserStatus::Active, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Adds the fields that the user has at Stream but not in the table.
    async fn import_from_stream(&self, user: User, deadline: Deadline) -> Result<User, ApiError> {
        let response = self.stream.send(&QueryUser { id: &user.id }, deadline).await?;
        let Some(stream_user) = response.users.into_iter().next() else { return Ok(user) };
        let imported = ProfileChange {
            name: stream_user.name,
            image: stream_user.image,
            language: Some(stream_user.language).filter(|language| !language.is_empty()),
            custom: Some(stream_user.custom).filter(|custom| !custom.is_empty()),
            role: Some(stream_user.role.map_or_else(StreamRole::default, StreamRole::new)),
        };
        Ok(self.store.fill_missing(&user.id, &imported, self.clock.now()).await?)
    }
}

/// The role to store for a user: that of the caller's token if the caller is that user. `None`
/// otherwise, which keeps the stored role.
#[must_use]
pub fn role_for(caller: &Caller, user: &UserId, roles: &StreamRoleMap) -> Option<StreamRole> {
    (caller.user == *user).then(|| roles.map_role(caller.role.as_deref()))
}
