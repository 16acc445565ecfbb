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
use crate::users::{Revocation, Revoked, User, Users};

/// How often a revocation gives way to others of the same second.
const ROUNDS: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);

impl Users {
    /// Revokes all Stream tokens of a user, and the sessions that began before now. Ours comes
    /// first: from then on there are no new tokens to revoke. Twice is the same as once, later.
    ///
    /// # Errors
    ///
    /// `user_not_found`, `user_deleted`, `store_unavailable`, and what Stream's failures become:
    /// then the old tokens may still be good, and the request is to be repeated.
    pub async fn revoke(&self, id: &UserId, deadline: Deadline) -> Result<Timestamp, ApiError> {
        let now = self.clock.now();
        let mut tokens = mark(now);
        for _ in 0..ROUNDS {
            match self.store.revoke(id, Revocation { sessions: now, tokens }).await? {
                Revoked::Now => {
                    let request = RevokeTokens { user: id, before: tokens };
                    return match self.stream.send(&request, deadline).await {
                        Ok(_) => Ok(now),
                        // We know the user: Stream no longer does.
                        Err(StreamError::NotFound(_)) => Err(ApiError::plain(Code::UserDeleted)),
                        Err(error) => Err(error.into()),
                    };
                }
                // Tokens may have been made since that one, dated at its mark.
                Revoked::Was(mark) => tokens = tokens.max(mark.plus(SECOND)),
                Revoked::Missing => return Err(ApiError::plain(Code::UserNotFound)),
            }
        }
        Err(ApiError::new(Code::StoreUnavailable, "this user is being revoked by many at once"))
    }
}

impl User {
    /// Refuses a session that began before the user's sessions were revoked. One that does not say
    /// when it began may be any. A service's own session has nothing to do with the user's.
    pub fn require_session(&self, caller: &Caller) -> Result<(), ApiError> {
        let Some(revoked) = self.sessions_revoked_at else { return Ok(()) };
        let began = caller.issued_at.map(Timestamp::as_secs);
        if caller.service || began.is_some_and(|began| began >= revoked.as_secs()) {
            return Ok(());
        }
        Err(ApiError::plain(Code::SessionRevoked))
    }
}

/// Up to where tokens are revoked that were made until now.
fn mark(now: Timestamp) -> Timestamp {
    let dated = now.as_secs() - i64::try_from(BACKDATE.as_secs()).unwrap_or(0);
    Timestamp::from_secs(dated).plus(SECOND)
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
            synced: 1,
            revoked_at: None,
            sessions_revoked_at: revoked.map(Timestamp::from_millis),
            status: UserStatus::Active,
        }
    }

    fn caller(issued: Option<i64>, service: bool) -> Caller {
        let issued_at = issued.map(Timestamp::from_millis);
        Caller { user: user(None).id, role: None, service, issued_at }
    }

    #[test]
    fn sessions_of_before_get_nothing() {
        for (revoked, issued, service, good) in [
            (None, None, false, true),
            (None, Some(1_000), false, true),
            (Some(5_500), Some(4_999), false, false),
            (Some(5_500), Some(5_000), false, true),
            (Some(5_500), Some(6_000), false, true),
            (Some(5_500), None, false, false),
            (Some(5_500), None, true, true),
        ] {
            let found = user(revoked).require_session(&caller(issued, service));
            assert_eq!(found.is_ok(), good, "{revoked:?} {issued:?}");
            if let Err(error) = found {
                assert_eq!(error.code(), Code::SessionRevoked);
            }
        }
    }

    #[test]
    fn the_mark_is_after_every_token_and_still_in_the_past() {
        for millis in [1_767_225_605_000, 1_767_225_605_999] {
            let mark = mark(Timestamp::from_millis(millis));
            assert_eq!(mark.as_millis(), 1_767_225_601_000);
        }
    }
}
