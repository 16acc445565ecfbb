//! Revoking what a user's devices hold: Stream tokens at once, and sessions as a way to new ones.
//!
//! A token says to the second when it was issued, and Stream refuses those of a user that are dated
//! before the user's mark. Tokens are dated back by [`BACKDATE`], so that Stream's clock may be
//! behind ours. The mark is one second after the date of a token made just now: every token that
//! exists is older, and the next one, dated at the mark, still lies in the past.

use std::time::Duration;

use crate::auth::Caller;
use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::stream::StreamError;
use crate::stream::ops::RevokeTokens;
use crate::tokens::BACKDATE;
use crate::users::{Revocation, RevokeResult, User, UserService};

/// How often a revocation gives way to others of the same second.
const MAX_ATTEMPTS: u32 = 5;
const ONE_SECOND: Duration = Duration::from_secs(1);

impl UserService {
    /// Revokes all Stream tokens of a user, and the sessions that began before now. Ours comes
    /// first: from then on there are no new tokens to revoke. Twice is the same as once, later.
    ///
    /// # Errors
    ///
    /// `user_not_found`, `user_deleted`, `store_unavailable`, and what Stream's failures become:
    /// then the old tokens may still be good, and the request is to be repeated.
    pub async fn revoke(&self, id: &UserId, deadline: Deadline) -> Result<Timestamp, ApiError> {
        let now = self.clock.now();
        let mut tokens_before = revocation_cutoff(now);
        for _ in 0..MAX_ATTEMPTS {
            match self.store.revoke(id, Revocation { sessions_before: now, tokens_before }).await? {
                RevokeResult::Recorded => {
                    let request = RevokeTokens { user: id, before: tokens_before };
                    return match self.stream.send(&request, deadline).await {
                        Ok(_) => Ok(now),
                        // We know the user: Stream no longer does.
                        Err(StreamError::NotFound(_)) => {
                            Err(ApiError::from_code(Code::UserDeleted))
                        }
                        Err(error) => Err(error.into()),
                    };
                }
                // Tokens may have been made since that one, dated at its mark.
                RevokeResult::AlreadyRevoked(cutoff) => {
                    tokens_before = tokens_before.max(cutoff.plus(ONE_SECOND));
                }
                RevokeResult::UserNotFound => return Err(ApiError::from_code(Code::UserNotFound)),
            }
        }
        Err(ApiError::new(Code::StoreUnavailable, "this user is being revoked by many at once"))
    }
}

impl User {
    /// Refuses a session that began before the user's sessions were revoked. One that does not say
    /// when it began may be any. A service's own session has nothing to do with the user's.
    pub fn require_session(&self, caller: &Caller) -> Result<(), ApiError> {
        let Some(revoked_at) = self.sessions_revoked_at else { return Ok(()) };
        let session_started_secs = caller.issued_at.map(Timestamp::as_secs);
        if caller.is_service
            || session_started_secs.is_some_and(|started_secs| started_secs >= revoked_at.as_secs())
        {
            return Ok(());
        }
        Err(ApiError::from_code(Code::SessionRevoked))
    }
}

/// Up to where tokens are revoked that were made until now.
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
        }
    }

    fn caller(issued: Option<i64>, service: bool) -> Caller {
        let issued_at = issued.map(Timestamp::from_millis);
        Caller { user: user(None).id, role: None, is_service: service, issued_at }
    }

    #[test]
    fn session_started_before_the_revocation_is_rejected() {
        for (revoked, issued, service, is_accepted) in [
            (None, None, false, true),
            (None, Some(1_000), false, true),
            (Some(5_500), Some(4_999), false, false),
            (Some(5_500), Some(5_000), false, true),
            (Some(5_500), Some(6_000), false, true),
            (Some(5_500), None, false, false),
            (Some(5_500), None, true, true),
        ] {
            let result = user(revoked).require_session(&caller(issued, service));
            assert_eq!(result.is_ok(), is_accepted, "{revoked:?} {issued:?}");
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
