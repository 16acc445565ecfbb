//! A cache of the users whose quota is exhausted, so that their further requests cost no write.
//! Remaining quotas are not cached: the table alone counts them.

use std::collections::HashSet;

use crate::ids::UserId;
use crate::rate_limiter::Window;

/// The maximum size of the cache. For users beyond it the table rejects the requests.
const MAX_USERS: usize = 1_000;

/// The users whose quota in the latest window is exhausted.
#[derive(Debug, Default)]
pub(super) struct ExhaustedUsers {
    window: Option<Window>,
    users: HashSet<UserId>,
}

impl ExhaustedUsers {
    /// Whether the user's quota in this window is known to be exhausted.
    pub(super) fn contains(&self, window: Window, user: &UserId) -> bool {
        self.window == Some(window) && self.users.contains(user)
    }

    /// Adds a user, and removes all users of earlier windows.
    pub(super) fn insert(&mut self, window: Window, user: UserId) {
        if self.window < Some(window) {
            self.window = Some(window);
            self.users.clear();
        }
        // A late result for an earlier window is ignored.
        if self.window == Some(window) && self.users.len() < MAX_USERS {
            self.users.insert(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::test_support::user_id;

    fn window(number: i64) -> Window {
        Window::from_timestamp(Timestamp::from_secs(number * 60))
    }

    #[test]
    fn user_is_exhausted_only_within_its_window() {
        let mut exhausted = ExhaustedUsers::default();
        assert!(!exhausted.contains(window(1), &user_id("alice")));
        exhausted.insert(window(1), user_id("alice"));
        assert!(exhausted.contains(window(1), &user_id("alice")));
        assert!(!exhausted.contains(window(1), &user_id("bob")));
        assert!(!exhausted.contains(window(2), &user_id("alice")));
        exhausted.insert(window(2), user_id("bob"));
        exhausted.insert(window(1), user_id("carol"));
        let contained =
            ["alice", "bob", "carol"].map(|name| exhausted.contains(window(2), &user_id(name)));
        assert_eq!(contained, [false, true, false]);
        assert!(!exhausted.contains(window(1), &user_id("carol")));
    }

    #[test]
    fn at_most_1000_users_are_stored() {
        let mut exhausted = ExhaustedUsers::default();
        for n in 0..=MAX_USERS {
            exhausted.insert(window(1), user_id(&format!("u{n}")));
        }
        assert!(exhausted.contains(window(1), &user_id("u999")));
        assert!(!exhausted.contains(window(1), &user_id("u1000")));
        exhausted.insert(window(2), user_id("u1000"));
        assert!(exhausted.contains(window(2), &user_id("u1000")));
    }
}
