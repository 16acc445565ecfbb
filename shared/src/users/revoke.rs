//! Revokes the Stream tokens of a user, and the sessions that could get new ones. `devices` removes
//! the user's push devices afterwards.
//!
//! Stream rejects a user's tokens whose `iat` is before the user's revocation cutoff. The `iat` is
//! a whole second, and is backdated by [`BACKDATE`] to tolerate a slow clock at Stream. The cutoff
//! is one second after the `iat` of a token issued now. So it is after the `iat` of every existing
//! token, and still in the past.

use std::time::Duration;

use crate::auth::Caller;
use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::rate_limiter::Permit;
use crate::stream::StreamError;
use crate::stream::ops::RevokeTokens;
use crate::tokens::BACKDATE;
use crate::users::{
    ProfileChange, ProfileWriter, Revocation, RevokeResult, User, UserService, too_many_conflicts,
};

const ONE_SECOND: Duration = Duration::from_secs(1);
/// The number of cutoffs that a request sends while later revocations are stored.
const MAX_PUSHES: u32 = 5;

impl UserService {
    /// Revokes all Stream tokens of a user, and the sessions that began before now. The table is
    /// updated first, so that revoked sessions get no new tokens meanwhile. A retry is safe and
    /// moves the cutoff.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `user_not_found`, `user_deleted`, `store_unavailable`, and the errors of
    /// Stream. After an error the old tokens may still be valid, and the caller must retry.
    pub async fn revoke(
        &self,
        id: &UserId,
        permit: Permit<'_>,
        deadline: Deadline,
    ) -> Result<Timestamp, ApiError> {
        if *id == self.service_user {
            return Err(ApiError::from_code(Code::UserNotFound));
        }
        permit.consume().await?;
        let now = self.clock.now();
        let mut cutoff = self.store_revocation(id, now).await?;
        for _ in 0..MAX_PUSHES {
            match self.stream.send(&RevokeTokens { user: id, before: cutoff }, deadline).await {
                Ok(_) => {}
                Err(StreamError::NotFound(response)) => {
                    let user = self.store.get(id).await?.filter(|user| user.synced_version == 0);
                    let Some(user) = user.filter(|_| !response.is_user_deleted()) else {
                        // The user was at Stream, so the user was deleted there.
                        return Err(ApiError::from_code(Code::UserDeleted));
                    };
                    // The first push of the profile is queued. Without a user at Stream there is no
                    // cutoff, and a token would stay valid.
                    self.push_first_profile(user, deadline).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            // This request may have reached Stream after that of a later revocation.
            match self.store.get(id).await?.and_then(|user| user.revoked_at) {
                Some(later) if later > cutoff => cutoff = later,
                _ => return Ok(now),
            }
        }
        Err(too_many_conflicts())
    }

    /// Pushes the profile of a user who is not at Stream. A deactivated or banned user is there.
    async fn push_first_profile(&self, user: User, deadline: Deadline) -> Result<(), ApiError> {
        let no_change = ProfileChange::default();
        match self.synchronize(user, &no_change, ProfileWriter::User, deadline).await {
            Err(error) if !matches!(error.code(), Code::UserDeactivated | Code::UserBanned) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Stores the revocation, and returns its cutoff for tokens. A concurrent revocation that began
    /// later covers this one, too.
    async fn store_revocation(&self, id: &UserId, now: Timestamp) -> Result<Timestamp, ApiError> {
        let mut tokens_before = revocation_cutoff(now);
        // A token that is issued now is dated at the cutoff or later, and Stream rejects a token
        // from the future.
        while tokens_before <= now {
            match self.store.revoke(id, Revocation { sessions_before: now, tokens_before }).await? {
                RevokeResult::Recorded => return Ok(tokens_before),
                RevokeResult::AlreadyRevoked(other) if other.sessions_before >= now => {
                    return Ok(other.tokens_before);
                }
                // Tokens may have been issued since then with that cutoff as their `iat`.
                RevokeResult::AlreadyRevoked(other) => {
                    tokens_before = tokens_before.max(other.tokens_before.plus(ONE_SECOND));
                }
                RevokeResult::UserNotFound => return Err(ApiError::from_code(Code::UserNotFound)),
            }
        }
        Err(too_many_conflicts())
    }
}

impl User {
    /// Rejects a session that began before the user's sessions were revoked. A session without a
    /// start is rejected, since it may be older. A service's session is not affected.
    pub fn require_session(&self, caller: &Caller) -> Result<(), ApiError> {
        let Some(revoked_at) = self.sessions_revoked_at else { return Ok(()) };
        let session_started_secs = caller.session_started_at.map(Timestamp::as_secs);
        if caller.is_service
            || session_started_secs.is_some_and(|started_secs| started_secs >= revoked_at.as_secs())
        {
            return Ok(());
        }
        Err(ApiError::from_code(Code::SessionRevoked))
    }
}

/// The cutoff that revokes all tokens issued until now.
fn revocation_cutoff(now: Timestamp) -> Timestamp {
    let backdated = now.as_secs() - i64::try_from(BACKDATE.as_secs()).unwrap_or(0);
    Timestamp::from_secs(backdated).plus(ONE_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{Profile, UserStatus};

    fn user(revoked: Option<i64>) -> User {
        User {
            id: UserId::try_from("alice".to_owned()).unwrap(),
            profile: Profile::default(),
            version: 1,
            synced_version: 1,
            revoked_at: None,
            sessions_revoked_at: revoked.map(Timestamp::from_millis),
            status: UserStatus::Active,
            ban: None,
        }
    }

    fn caller(started: Option<i64>, is_service: bool) -> Caller {
        let session_started_at = started.map(Timestamp::from_millis);
        Caller { user: user(None).id, role: None, is_service, session_started_at }
    }

    #[test]
    fn session_started_before_the_revocation_is_rejected() {
        for (revoked, started, is_service, is_accepted) in [
            (None, None, false, true),
            (None, Some(1_000), false, true),
            (Some(5_500), Some(4_999), false, false),
            (Some(5_500), Some(5_000), false, true),
            (Some(5_500), Some(6_000), false, true),
            (Some(5_500), None, false, false),
            (Some(5_500), None, true, true),
        ] {
            let result = user(revoked).require_session(&caller(started, is_service));
            assert_eq!(result.is_ok(), is_accepted, "{revoked:?} {started:?}");
            if let Err(error) = result {
                assert_eq!(error.code(), Code::SessionRevoked);
            }
        }
    }

    #[test]
    fn cutoff_is_after_every_issued_token_and_in_the_past() {
        for millis in [1_767_225_605_000, 1_767_225_605_999] {
            let cutoff = revocation_cutoff(Timestamp::from_millis(millis));
            assert_eq!(cutoff.as_millis(), 1_767_225_601_000);
        }
    }
}
