//! What users ask of the table.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::Quota;
use crate::store::StoreError;
use crate::users::{Profile, ProfileChange};

/// What Stream has said of a user's account there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// Nothing out of the ordinary.
    #[default]
    Active,
    /// It was deactivated, and can be reactivated.
    Deactivated,
    /// It was deleted; the id cannot be used again.
    Deleted,
}

impl UserStatus {
    /// Refuses what only an active user may do.
    pub fn require_active(self) -> Result<(), ApiError> {
        match self {
            Self::Active => Ok(()),
            Self::Deactivated => Err(ApiError::from_code(Code::UserDeactivated)),
            Self::Deleted => Err(ApiError::from_code(Code::UserDeleted)),
        }
    }
}

/// A user as remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// What others see.
    pub profile: Profile,
    /// Counts the changes to the profile, from 1.
    pub version: u64,
    /// The version that Stream is known to have had; 0 where it never had one.
    pub synced_version: u64,
    /// Stream tokens dated before this are worth nothing.
    pub revoked_at: Option<Timestamp>,
    /// Sessions that began before this get no Stream token.
    pub sessions_revoked_at: Option<Timestamp>,
    /// What Stream has said of the account.
    pub status: UserStatus,
}

impl User {
    /// Whether Stream knows the user, with the profile as it stands.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced_version == self.version
    }
}

/// A user's tokens and sessions, revoked up to an instant of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Sessions that began before this second get no Stream token any more.
    pub sessions_before: Timestamp,
    /// Stream tokens dated before this are worth nothing; a whole second.
    pub tokens_before: Timestamp,
}

/// What came of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeResult {
    /// It is remembered.
    Recorded,
    /// Tokens are revoked up to there already: another one at the same time.
    AlreadyRevoked(Timestamp),
    /// There is no such user.
    UserNotFound,
}

/// What came of reading a user and counting a request with it.
#[derive(Clone, Debug, PartialEq)]
pub enum GetAndCountResult {
    /// The user, and how many requests there are now.
    Counted(User, u32),
    /// The user's account is deleted, and nothing is counted there any more.
    UserDeleted(User),
    /// It is one too many, which changes nothing.
    LimitExceeded,
    /// There is no such user, and so no place to count.
    UserNotFound,
}

/// What came of confirming a version.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncResult {
    /// Nobody has changed the profile since.
    Confirmed,
    /// Somebody has: this is the newest.
    Superseded(User),
}

/// The table, as far as users go. Each method is one request; [`UserStore::unknown`] is one more
/// where the table leaves users out of its answer.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Reads a user.
    async fn get(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// Reads a user, and counts one more token of theirs, unless there were as many as there may
    /// be. The second and later ones of a window are one more request.
    async fn get_and_count(
        &self,
        id: &UserId,
        quota: Quota,
    ) -> Result<GetAndCountResult, StoreError>;

    /// Those of these users whom Stream was never told of, or who were deleted there.
    async fn find_unknown(&self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError>;

    /// Merges a change into the profile, which is made where there is none, and counts a version.
    /// Of a user who is not active nothing changes, and what stands there is answered.
    async fn merge(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError>;

    /// Adds to the profile what it does not have yet, and counts a version.
    async fn fill_missing(
        &self,
        id: &UserId,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<User, StoreError>;

    /// Marks that Stream has this version, if it is still the newest.
    async fn confirm_version(&self, id: &UserId, version: u64) -> Result<SyncResult, StoreError>;

    /// Remembers a revocation, if it goes further than the last one.
    async fn revoke(&self, id: &UserId, revocation: Revocation)
    -> Result<RevokeResult, StoreError>;

    /// Remembers what Stream has said of a known user's account; the newest stands.
    async fn set_status(
        &self,
        id: &UserId,
        status: UserStatus,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
