//! Whose minute is known to be used up: whoever goes on sending all the same costs the table
//! nothing. Only that is remembered; how many requests are left is for the table alone to say.

use std::collections::HashSet;

use crate::ids::UserId;
use crate::limits::Window;

/// How many users are remembered at most. The table refuses the others.
const MOST: usize = 1_000;

/// The users who have used the latest window up.
#[derive(Debug, Default)]
pub(super) struct UsedUp {
    window: Option<Window>,
    users: HashSet<UserId>,
}

impl UsedUp {
    /// Whether this user is known to have used this window up.
    pub(super) fn has(&self, window: Window, user: &UserId) -> bool {
        self.window == Some(window) && self.users.contains(user)
    }

    /// Remembers a user, and forgets all those of earlier windows.
    pub(super) fn add(&mut self, window: Window, user: UserId) {
        if self.window < Some(window) {
            self.window = Some(window);
            self.users.clear();
        }
        // What is heard late of an earlier window is of no use any more.
        if self.window == Some(window) && self.users.len() < MOST {
            self.users.insert(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    fn minute(number: i64) -> Window {
        Window::of(Timestamp::from_secs(number * 60))
    }

    #[test]
    fn users_are_remembered_for_their_window_alone() {
        let mut used_up = UsedUp::default();
        assert!(!used_up.has(minute(1), &user("alice")));
        used_up.add(minute(1), user("alice"));
        assert!(used_up.has(minute(1), &user("alice")));
        assert!(!used_up.has(minute(1), &user("bob")));
        assert!(!used_up.has(minute(2), &user("alice")));
        used_up.add(minute(2), user("bob"));
        used_up.add(minute(1), user("carol"));
        let known = ["alice", "bob", "carol"].map(|name| used_up.has(minute(2), &user(name)));
        assert_eq!(known, [false, true, false]);
        assert!(!used_up.has(minute(1), &user("carol")));
    }

    #[test]
    fn no_more_than_a_thousand_are_remembered() {
        let mut used_up = UsedUp::default();
        for n in 0..=MOST {
            used_up.add(minute(1), user(&format!("u{n}")));
        }
        assert!(used_up.has(minute(1), &user("u999")));
        assert!(!used_up.has(minute(1), &user("u1000")));
        used_up.add(minute(2), user("u1000"));
        assert!(used_up.has(minute(2), &user("u1000")));
    }
}
