//! Moderation of users and messages.

use std::time::Duration;

use super::Emulator;
use crate::views::{BanView, UserAction};

impl Emulator {
    /// Bans a user from the app without a request, until the timeout or [`Emulator::unban_user`].
    /// If the user does not exist, nothing happens.
    pub fn ban_user(&self, id: &str, timeout: Option<Duration>) {
        self.state().with_inner(|inner, now| inner.world.mark_banned(id, timeout, now));
    }

    /// Lifts the ban of a user from the app without a request.
    pub fn unban_user(&self, id: &str) {
        self.state().with_inner(|inner, now| inner.world.mark_unbanned(id, now));
    }

    /// All bans: those from the app, ordered by user, then those from channels, ordered by channel.
    #[must_use]
    pub fn bans(&self) -> Vec<BanView> {
        self.state().with_inner(|inner, _| inner.world.ban_views())
    }

    /// The mutes by the command `/mute`, sorted.
    #[must_use]
    pub fn mutes(&self) -> Vec<UserAction> {
        self.state().with_inner(|inner, _| inner.world.mutes())
    }

    /// The flags by the command `/flag`, sorted.
    #[must_use]
    pub fn flags(&self) -> Vec<UserAction> {
        self.state().with_inner(|inner, _| inner.world.flags())
    }

    /// Blocks messages that contain this word, in any case, as an app's moderation does. The
    /// response to such a message is a success with the message type `error`.
    pub fn add_blocked_word(&self, word: &str) {
        self.state().with_inner(|inner, _| inner.world.add_blocked_word(word));
    }

    /// Removes all blocked words.
    pub fn clear_blocked_words(&self) {
        self.state().with_inner(|inner, _| inner.world.clear_blocked_words());
    }
}
