//! Whose minute is known to be used up: whoever goes on sending all the same costs the table
//! nothing. Only that is remembered; how many requests are left is for the table alone to say.

use std::collections::HashSet;

use crate::ids::UserId;
use crate::rate_limiter::Window;

/// How many users are remembered at most. The table refuses the others.
const MAX_USERS: usize = 1_000;

/// The users who have used the latest window up.
#[derive(Debug, Default)]
pub(super) struct ExhaustedUsers {
    window: Option<Window>,
    users: HashSet<UserId>,
}

impl ExhaustedUsers {
    /// Whether this user is known to have used this window up.
    pub(super) fn contains(&self, window: Window, user: &UserId) -> bool {
        self.window == Some(window) && self.users.contains(user)
    }

    /// Remembers a user, and forgets all those of earlier windows.
    pub(super) fn insert(&mut self, window: Window, user: UserId) {
        if self.window < Some(window) {
            self.window = Some(window);
            self.users.clear();
        }
        // What is heard late of an earlier window is of no use any more.
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
