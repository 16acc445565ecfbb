//! A call as the API returns it.

use std::time::Duration;

use serde::Serialize;

use crate::calls::outcome::EndedBy;
use crate::calls::presence::round_to_seconds;
use crate::calls::{Call, CallSettings, CallState, CallType, CallView, EndReason};
use crate::clock::{Timestamp, rfc3339, rfc3339_option};
use crate::ids::{CallId, ChannelId, UserId};

/// A call in a response.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallResponse {
    call_id: CallId,
    call_cid: String,
    channel_id: ChannelId,
    channel_cid: String,
    call_type: CallType,
    members: Vec<UserId>,
    call_settings: CallSettings,
    status: CallState,
    #[serde(serialize_with = "rfc3339")]
    created_at: Timestamp,
    /// When the first participant joined.
    #[serde(serialize_with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    /// When two different users were in for the first time.
    #[serde(serialize_with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    answered_at: Option<Timestamp>,
    /// When the call reaches its maximum duration.
    #[serde(serialize_with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
    /// When the call was over for people, which is before its cleanup.
    #[serde(serialize_with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<EndReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<EndedBy>,
    answered: bool,
    /// From the answer to the last moment with two users in, once the call is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
    /// The sum of the times with at least two users in, once the call is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    talk_seconds: Option<u64>,
    /// Whether the times are final.
    settled: bool,
    /// Whether the presence lacks an event because of its size.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    presence_truncated: bool,
}

impl CallResponse {
    /// The response for a call. `max_duration` applies to a call without a maximum duration of its
    /// own.
    #[must_use]
    pub fn new(call: &Call, max_duration: Duration) -> Self {
        Self::from_view(CallView::new(call), max_duration)
    }

    /// The response for the view of a call.
    #[must_use]
    pub fn from_view(call: CallView, max_duration: Duration) -> Self {
        let channel = call.call_id.channel();
        let to_seconds = |millis| round_to_seconds(Duration::from_millis(millis));
        Self {
            call_cid: call.call_id.with_type(&call.stream_call_type).to_string(),
            channel_cid: channel.cid(),
            channel_id: channel,
            ends_at: call.ends_at(max_duration),
            call_id: call.call_id,
            call_type: call.call_type,
            members: call.members,
            call_settings: call.call_type.settings(),
            status: call.state,
            created_at: call.created_at,
            started_at: call.started_at,
            answered: call.answered_at.is_some(),
            answered_at: call.answered_at,
            ended_at: call.ended_at,
            duration_seconds: call.duration_millis.map(to_seconds),
            talk_seconds: call.talk_millis.map(to_seconds),
            settled: call.settled,
            presence_truncated: call.presence_truncated,
            end_reason: call.end_reason,
            ended_by: call.ended_by,
        }
    }
}
