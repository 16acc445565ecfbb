//! The store of users.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::Quota;
use crate::store::StoreError;
use crate::users::{Profile, ProfileChange};

/// The status of a user's account at Stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// The user is active.
    #[default]
    Active,
    /// The user was deactivated, and can be reactivated.
    Deactivated,
    /// The user was deleted; the id cannot be used again.
    Deleted,
}

impl UserStatus {
    /// Returns an error unless the user is active.
    pub fn require_active(self) -> Result<(), ApiError> {
        match self {
            Self::Active => Ok(()),
            Self::Deactivated => Err(ApiError::from_code(Code::UserDeactivated)),
            Self::Deleted => Err(ApiError::from_code(Code::UserDeleted)),
        }
    }
}

/// A user in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The profile.
    pub profile: Profile,
    /// The version of the profile, from 1. Each change increments it.
    pub version: u64,
    /// The latest version that Stream has confirmed; 0 if none.
    pub synced_version: u64,
    /// The revocation cutoff: Stream rejects tokens whose `iat` is earlier.
    pub revoked_at: Option<Timestamp>,
    /// Sessions that began earlier get no Stream token.
    pub sessions_revoked_at: Option<Timestamp>,
    /// The status of the account at Stream.
    pub status: UserStatus,
}

impl User {
    /// Whether Stream has the current version of the profile.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced_version == self.version
    }
}

/// The revocation of a user's tokens and sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Sessions that began before this second get no Stream token.
    pub sessions_before: Timestamp,
    /// The revocation cutoff, a whole second: Stream rejects tokens whose `iat` is earlier.
    pub tokens_before: Timestamp,
}

/// The result of [`UserStore::revoke`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeResult {
    /// The revocation is stored.
    Recorded,
    /// A concurrent revocation has stored this cutoff, which is not earlier than the new one.
    AlreadyRevoked(Timestamp),
    /// The user does not exist.
    UserNotFound,
}

/// The result of [`UserStore::get_and_count`].
#[derive(Clone, Debug, PartialEq)]
pub enum GetAndCountResult {
    /// The user, and the number of requests in the window.
    Counted(User, u32),
    /// The user is deleted, and the request was not counted.
    UserDeleted(User),
    /// The request exceeds the limit, and was not counted.
    LimitExceeded,
    /// The user does not exist, and the request was not counted.
    UserNotFound,
}

/// The result of [`UserStore::confirm_version`].
#[derive(Clone, Debug, PartialEq)]
pub enum SyncResult {
    /// The version is the newest.
    Confirmed,
    /// The user has this newer version.
    Superseded(User),
}

/// The store of users. Each method sends one request. [`UserStore::find_unknown`] sends a second
/// one if the table leaves keys unprocessed.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Reads a user.
    async fn get(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// Reads a user and counts a token request, unless the quota is exhausted. The second and later
    /// requests of a window cost a second write.
    async fn get_and_count(
        &self,
        id: &UserId,
        quota: Quota,
    ) -> Result<GetAndCountResult, StoreError>;

    /// Returns the users that were never upserted at Stream, or were deleted there.
    async fn find_unknown(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError>;

    /// Merges a change into the profile, or creates it, and increments the version. A user who is
    /// not active is returned unchanged.
    async fn merge(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError>;

    /// Adds only the fields that the profile does not have yet, and increments the version.
    async fn fill_missing(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError>;

    /// Stores that Stream has this version, if it is still the newest.
    async fn confirm_version(&self, id: &UserId, version: u64) -> Result<SyncResult, StoreError>;

    /// Stores a revocation if its cutoff is later than the stored one.
    async fn revoke(&self, id: &UserId, revocation: Revocation)
    -> Result<RevokeResult, StoreError>;

    /// Stores the status of an existing user. The newest event wins, and a deletion is final.
    async fn set_status(
        &self,
        id: &UserId,
        status: UserStatus,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
