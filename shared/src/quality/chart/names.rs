//! The names of participants.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::quality::chart::text::sanitize;
use crate::quality::response::{Participant, Quality};

/// The maximum grapheme clusters of a name. The text alternative does not shorten names otherwise.
const MAX_GRAPHEMES: usize = 100;

/// A participant's name, or else the user id.
pub(super) fn display_name(participant: &Participant) -> String {
    let name = shorten(&sanitize(participant.name.as_deref().unwrap_or_default()));
    if name.is_empty() { sanitize(&participant.user_id) } else { name }
}

/// The name, with an ellipsis if it is too long.
fn shorten(name: &str) -> String {
    match name.grapheme_indices(true).nth(MAX_GRAPHEMES) {
        Some((end, _)) => format!("{}…", name.split_at(end).0.trim_end()),
        None => name.to_owned(),
    }
}

/// The name of a user of the call.
pub(super) fn user_name(quality: &Quality, user: &str) -> String {
    let participant = quality.participants.iter().find(|participant| participant.user_id == user);
    participant.map_or_else(|| sanitize(user), display_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_name_is_shortened() {
        // The second grapheme cluster has three characters.
        for grapheme in ["a", "\u{1F469}\u{200D}\u{1F4BB}"] {
            let longest = grapheme.repeat(MAX_GRAPHEMES);
            assert_eq!(shorten(&longest), longest);
            assert_eq!(shorten(&grapheme.repeat(5_000)), format!("{longest}…"));
        }
    }
}
