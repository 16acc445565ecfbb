//! A call as the API returns it.

use std::time::Duration;

use serde::Serialize;

use crate::calls::outcome::EndedBy;
use crate::calls::presence::round_to_seconds;
use crate::calls::{Call, CallSettings, CallState, CallType, EndReason};
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
    pub fn new(call: Call, max_duration: Duration) -> Self {
        let channel = call.call_id.channel();
        let ends_at = call.ends_at(max_duration);
        let (started_at, answered_at) = (call.joined_at(), call.answered_at());
        let (duration, talk_time) = (call.duration(), call.talk_time());
        let settled = call.settlement.is_some();
        // Stream's clock may be behind.
        let created_at = call.created_at;
        let not_before_creation = |at: Timestamp| at.max(created_at);
        Self {
            call_cid: call.cid().to_string(),
            channel_cid: channel.cid(),
            channel_id: channel,
            call_id: call.call_id,
            call_type: call.call_type,
            members: call.members,
            call_settings: call.call_type.settings(),
            status: call.state,
            created_at,
            started_at,
            ends_at,
            answered_at,
            ended_at: call.ending_at.map(not_before_creation),
            answered: answered_at.is_some(),
            duration_seconds: duration.map(round_to_seconds),
            talk_seconds: talk_time.map(round_to_seconds),
            settled,
            presence_truncated: call.presence.is_truncated(),
            end_reason: call.end_reason,
            ended_by: call.ended_by,
        }
    }
}
