//! A call as its members see it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calls::outcome::EndedBy;
use crate::calls::{Call, CallState, CallType, EndReason};
use crate::clock::{Timestamp, whole_millis};
use crate::ids::{CallId, CallTypeName, UserId};

/// The part of a call that the API returns. A call item and a history row have the same view.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// The id.
    pub call_id: CallId,
    /// The user who created the call.
    pub owner: UserId,
    /// The members, including the owner.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// The call type at Stream.
    #[serde(default, skip_serializing_if = "CallTypeName::is_default")]
    pub stream_call_type: CallTypeName,
    /// The state.
    pub state: CallState,
    /// When the call was first requested.
    pub created_at: Timestamp,
    /// When the first participant joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When two different users were in for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// When the call was over for its members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The reason of the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
    /// Who ended the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// The maximum duration, if a request has set one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_seconds: Option<u64>,
    /// From the answer to the last moment with two users in, once the call is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_millis: Option<u64>,
    /// The sum of the times with at least two users in, once the call is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talk_millis: Option<u64>,
    /// Whether the times are final.
    #[serde(default)]
    pub settled: bool,
    /// Whether the presence lacks an event because of its size.
    #[serde(default)]
    pub presence_truncated: bool,
}

impl CallView {
    /// The view of a call. Stream's clock may be behind, so no time is before the creation.
    #[must_use]
    pub fn new(call: &Call) -> Self {
        Self {
            call_id: call.call_id.clone(),
            owner: call.owner.clone(),
            members: call.members.clone(),
            call_type: call.call_type,
            stream_call_type: call.stream_call_type.clone(),
            state: call.state,
            created_at: call.created_at,
            started_at: call.joined_at(),
            answered_at: call.answered_at(),
            ended_at: call.ending_at.map(|at| at.max(call.created_at)),
            end_reason: call.end_reason.clone(),
            ended_by: call.ended_by.clone(),
            max_duration_seconds: call.max_duration_seconds,
            duration_millis: call.duration().map(whole_millis),
            talk_millis: call.talk_time().map(whole_millis),
            settled: call.settlement.is_some(),
            presence_truncated: call.presence.is_truncated(),
        }
    }

    /// When the call reaches its maximum duration. `None` until the first participant joins.
    #[must_use]
    pub fn ends_at(&self, configured: Duration) -> Option<Timestamp> {
        let max_duration = self.max_duration_seconds.map_or(configured, Duration::from_secs);
        self.started_at.map(|at| at.plus(max_duration))
    }
}
