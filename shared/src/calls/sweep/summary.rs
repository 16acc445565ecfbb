//! What a sweep has done, for the log and for whoever invoked it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::calls::sweep::DueCall;
use crate::calls::{Call, CallState, CallTimeouts};
use crate::clock::Timestamp;

/// What a sweep has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepSummary {
    /// Calls that were due.
    pub due: u64,
    /// Active calls that go on.
    pub active: u64,
    /// Calls that were open, and are over now, by the reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Calls that were cleared at Stream.
    pub cleaned: u64,
    /// Ended calls that were looked at a second time: found clear, or cleared once more.
    pub verified: u64,
    /// Calls with which something failed; they are tried again.
    pub failed: u64,
    /// Calls that should have been closed by now.
    pub overdue: u64,
    /// How long the oldest call has been due, in seconds.
    pub oldest_due_seconds: u64,
    /// Whether time ran out before everything was seen to.
    pub truncated: bool,
}

/// How long a call that was never finished stays at most, from when it was first asked for.
const MAX_CREATING_TIME: Duration = Duration::from_secs(130);
/// How long a call is ending at most, from when it was over for everybody.
const MAX_ENDING_TIME: Duration = Duration::from_secs(250);
/// How long an active call outlives its longest duration at most.
const MAX_ACTIVE_OVERRUN: Duration = Duration::from_mins(11);

/// Whether a call should have been closed by now.
pub(super) fn is_overdue(due: &DueCall, timeouts: CallTimeouts, now: Timestamp) -> bool {
    let Call { state, created_at, active_at, ending_at, .. } = &due.call;
    let (since, max_age) = match state {
        CallState::Creating => (*created_at, MAX_CREATING_TIME),
        CallState::Active => (
            due.call.joined_at().or(*active_at).unwrap_or(*created_at),
            timeouts.max_duration + MAX_ACTIVE_OVERRUN,
        ),
        CallState::Ending => (ending_at.unwrap_or(*created_at), MAX_ENDING_TIME),
        CallState::Ended => return false,
    };
    now.since(since) > max_age
}
