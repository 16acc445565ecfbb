//! The filters of the consumers of the change stream, as the template has them.

use shared::calls::{Call, CallState};

/// Whether the pipe of events gets a change.
pub(super) fn passes_pipe([old, new]: &[Call; 2]) -> bool {
    let has_ended = old.state == CallState::Active && new.state == CallState::Ending;
    is_begin(old, new) || has_ended || new.settlement.is_some()
}

/// Whether the mapping of the history's consumer gets a change.
pub(super) fn passes_mapping([old, new]: &[Call; 2]) -> bool {
    let has_ended = matches!(old.state, CallState::Active | CallState::Ending)
        && matches!(new.state, CallState::Ending | CallState::Ended);
    is_begin(old, new) || has_ended || new.settlement.is_some() || new.limit_version > 0
}

/// Whether the call becomes active or is answered.
fn is_begin(old: &Call, new: &Call) -> bool {
    let is_activated = old.state == CallState::Creating && new.state == CallState::Active;
    is_activated || old.first_answered_at.is_none() && new.first_answered_at.is_some()
}
