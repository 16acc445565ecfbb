//! The rows of a call. A pure function.

use crate::calls::timeouts::{OPEN_CALL_POINTER_TTL, TOMBSTONE_TTL};
use crate::calls::{Call, CallState, CallView};
use crate::history::{HistoryRow, RowKey, RowState};
use crate::ids::UserId;

/// The changes of the rows of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// The rows to write, unless a row with a higher version exists.
    pub put: Vec<HistoryRow>,
    /// The rows to delete.
    pub delete: Vec<(UserId, RowKey)>,
}

/// The rows of a call. A call that never was active has none. `was_open` is whether the members may
/// have rows that show the call as open.
#[must_use]
pub fn project(call: &Call, was_open: bool) -> Projection {
    if call.active_at.is_none() {
        return Projection::default();
    }
    let key = |state| RowKey { state, created_at: call.created_at, call_id: call.call_id.clone() };
    let is_over = call.state >= CallState::Ending;
    let (state, expires_at) = if is_over {
        let ended_at = call.ended_at.or(call.ending_at).unwrap_or(call.created_at);
        (RowState::Ended, ended_at.plus(TOMBSTONE_TTL))
    } else {
        (RowState::Open, call.created_at.plus(OPEN_CALL_POINTER_TTL))
    };
    let (view, version) = (CallView::new(call), version(call));
    let row = |user: &UserId| HistoryRow {
        user: user.clone(),
        key: key(state),
        view: view.clone(),
        version,
        expires_at,
    };
    let open_row = |user: &UserId| (user.clone(), key(RowState::Open));
    Projection {
        put: call.members.iter().map(row).collect(),
        delete: call.members.iter().filter(|_| is_over && was_open).map(open_row).collect(),
    }
}

/// The version of the view. It increases with the stage of the call, with each extension within a
/// stage, and with each member who is removed.
pub(super) fn version(call: &Call) -> u64 {
    /// More than the number of members of a call.
    const MEMBERS: u64 = 1_000;
    /// More than the number of extensions that count.
    const EXTENSIONS: u64 = 1_000_000;
    let stage = match call.state {
        CallState::Creating => 0,
        CallState::Active if call.first_answered_at.is_none() => 1,
        CallState::Active => 2,
        CallState::Ending if call.settlement.is_none() => 3,
        CallState::Ended if call.settlement.is_none() => 4,
        // A call whose cleanup fails is settled before it is cleaned up.
        CallState::Ending => 5,
        CallState::Ended => 6,
    };
    let extensions = call.limit_version.min(EXTENSIONS - 1);
    let members = (call.members.len() as u64).min(MEMBERS - 1);
    (stage * EXTENSIONS + extensions) * MEMBERS + (MEMBERS - 1 - members)
}
