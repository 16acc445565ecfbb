//! The names of participants.

use crate::quality::chart::text::sanitize;
use crate::quality::response::{Participant, Quality};

/// A participant's name, or else the user id.
pub(super) fn display_name(participant: &Participant) -> String {
    let name = sanitize(participant.name.as_deref().unwrap_or_default());
    if name.is_empty() { sanitize(&participant.user_id) } else { name }
}

/// The name of a user of the call.
pub(super) fn user_name(quality: &Quality, user: &str) -> String {
    let participant = quality.participants.iter().find(|participant| participant.user_id == user);
    participant.map_or_else(|| sanitize(user), display_name)
}
