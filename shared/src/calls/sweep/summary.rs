//! The summary of a sweep, for the log and the function's response.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::calls::sweep::DueCall;
use crate::calls::{Call, CallState, CallTimeouts};
use crate::clock::Timestamp;

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepSummary {
    /// Calls that were due.
    pub due: u64,
    /// Active calls that continue.
    pub active: u64,
    /// Calls that the sweep ended, by reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Calls that were cleaned up at Stream.
    pub cleaned: u64,
    /// Ended calls that passed the cleanup recheck, or were cleaned up again.
    pub verified: u64,
    /// Calls whose figures became final.
    pub settled: u64,
    /// Those of them that were settled by the webhooks, without Stream's list.
    pub settled_from_webhooks: u64,
    /// Intervals that the webhooks and Stream told differently.
    pub presence_differences: u64,
    /// Calls that failed and are retried later.
    pub failed: u64,
    /// Calls whose cleanup is late.
    pub overdue: u64,
    /// How long the oldest call has been due, in seconds.
    pub oldest_due_seconds: u64,
    /// Whether the time ran out before all due calls were processed.
    pub truncated: bool,
}

/// The longest time that a call is `creating`, from its first request.
const MAX_CREATING_TIME: Duration = Duration::from_secs(130);
/// The longest time that a call is `ending`, from its end for the members.
const MAX_ENDING_TIME: Duration = Duration::from_secs(250);
/// The longest time that a call is not settled, from its end for the members.
const MAX_UNSETTLED_TIME: Duration = Duration::from_mins(30);
/// The longest time that an active call exceeds its maximum duration.
const MAX_ACTIVE_OVERRUN: Duration = Duration::from_mins(11);

/// Whether a call exceeds the longest expected time in its state.
pub(super) fn is_overdue(due: &DueCall, timeouts: CallTimeouts, now: Timestamp) -> bool {
    let Call { state, created_at, active_at, ending_at, .. } = &due.call;
    let (since, max_age) = match state {
        CallState::Creating => (*created_at, MAX_CREATING_TIME),
        CallState::Active => (
            due.call.joined_at().or(*active_at).unwrap_or(*created_at),
            due.call.max_duration(timeouts.max_duration) + MAX_ACTIVE_OVERRUN,
        ),
        CallState::Ending => (ending_at.unwrap_or(*created_at), MAX_ENDING_TIME),
        CallState::Ended if due.call.needs_settlement() => {
            (ending_at.unwrap_or(*created_at), MAX_UNSETTLED_TIME)
        }
        CallState::Ended => return false,
    };
    now.since(since) > max_age
}
