//! The operations of the emulator and their request counts.

use std::collections::BTreeMap;
use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::route::Route;

/// One line per operation: its documentation, Stream's name for it, and the rate limit in requests
/// per minute. Limits that Stream does not publish, such as those for video, are assumed.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $limit:literal,)+) => {
        /// An operation of Stream's API.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum Operation {
            $($(#[$doc])* $name,)+
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Stream's name for the operation.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            pub(crate) const fn limit_per_minute(self) -> u64 {
                match self {
                    $(Self::$name => $limit,)+
                }
            }
        }
    };
}

operations! {
    /// `GET /api/v2/app`
    GetApp: 10_000,
    /// `PATCH /api/v2/app`
    UpdateApp: 60,
    /// `GET /api/v2/rate_limits`
    GetRateLimits: 60,
    /// `GET /api/v2/roles`
    ListRoles: 60,
    /// `GET /api/v2/tasks/{id}`
    GetTask: 1_000,
    /// `POST /api/v2/users`
    UpdateUsers: 300,
    /// `PATCH /api/v2/users`
    UpdateUsersPartial: 300,
    /// `GET /api/v2/users`
    QueryUsers: 1_000,
    /// `POST /api/v2/users/{id}/deactivate`
    DeactivateUser: 60,
    /// `POST /api/v2/users/deactivate`
    DeactivateUsers: 60,
    /// `POST /api/v2/users/{id}/reactivate`
    ReactivateUser: 60,
    /// `POST /api/v2/users/reactivate`
    ReactivateUsers: 60,
    /// `POST /api/v2/users/delete`
    DeleteUsers: 60,
    /// `POST /api/v2/devices`
    CreateDevice: 1_000,
    /// `GET /api/v2/devices`
    ListDevices: 1_000,
    /// `DELETE /api/v2/devices`
    DeleteDevice: 1_000,
    /// `POST /api/v2/moderation/ban`
    Ban: 300,
    /// `DELETE /api/v2/moderation/ban` and `POST /api/v2/moderation/unban`
    Unban: 300,
    /// `POST /api/v2/chat/channels/{type}/{id}/query`
    GetOrCreateChannel: 10_000,
    /// `POST /api/v2/chat/channels`
    QueryChannels: 10_000,
    /// `GET /api/v2/chat/channels/{type}/{id}`
    GetChannel: 1_000,
    /// `POST /api/v2/chat/channels/{type}/{id}`: adds and removes members, and replaces the data
    UpdateChannel: 300,
    /// `PATCH /api/v2/chat/channels/{type}/{id}`
    UpdateChannelPartial: 300,
    /// `POST /api/v2/chat/channels/{type}/{id}/truncate`
    TruncateChannel: 60,
    /// `DELETE /api/v2/chat/channels/{type}/{id}`
    DeleteChannel: 60,
    /// `POST /api/v2/chat/channels/delete`
    DeleteChannels: 60,
    /// `POST /api/v2/chat/channels/{type}/{id}/message`
    SendMessage: 1_000,
    /// `GET /api/v2/chat/messages/{id}`
    GetMessage: 1_000,
    /// `GET /api/v2/chat/members`
    QueryMembers: 300,
    /// `GET /api/v2/video/calltypes`
    ListCallTypes: 60,
    /// `POST /api/v2/video/calltypes`
    CreateCallType: 60,
    /// `GET /api/v2/video/calltypes/{name}`
    GetCallType: 60,
    /// `PUT /api/v2/video/calltypes/{name}`
    UpdateCallType: 60,
    /// `DELETE /api/v2/video/calltypes/{name}`
    DeleteCallType: 60,
    /// `POST /api/v2/video/call/{type}/{id}`
    GetOrCreateCall: 1_000,
    /// `GET /api/v2/video/call/{type}/{id}`
    GetCall: 1_000,
    /// `PATCH /api/v2/video/call/{type}/{id}`
    UpdateCall: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/join`: only for user tokens
    JoinCall: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/accept`: only for user tokens
    AcceptCall: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/reject`: only for user tokens
    RejectCall: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/ring`
    RingCall: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/members`
    UpdateCallMembers: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/start_recording` and `…/recordings/{kind}/start`
    StartRecording: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/stop_recording` and `…/recordings/{kind}/stop`
    StopRecording: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/mark_ended`
    EndCall: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/delete`
    DeleteCall: 1_000,
    /// `POST /api/v2/video/calls`
    QueryCalls: 1_000,
    /// `GET /api/v2/video/call/{type}/{id}/report`
    GetCallReport: 1_000,
    /// `POST /api/v2/video/call/stats`
    QueryCallStats: 1_000,
    /// `POST /api/v2/video/call_stats`
    QueryCallSessionStats: 1_000,
    /// `GET /api/v2/video/call_stats/{type}/{id}/{session}/participants`
    QueryCallSessionParticipantStats: 1_000,
    /// `GET /api/v2/video/call/{type}/{id}/session/{session}/participant_sessions`
    QueryCallParticipantSessions: 1_000,
    /// `POST /api/v2/users/restore`
    RestoreUsers: 60,
    /// `DELETE /users/{id}`, which only v1 has
    DeleteUser: 60,
    /// `POST /api/v2/users/block`
    BlockUsers: 300,
    /// `POST /api/v2/users/unblock`
    UnblockUsers: 300,
    /// `GET /api/v2/users/block`
    GetBlockedUsers: 1_000,
    /// `POST /api/v2/moderation/mute`
    Mute: 300,
    /// `POST /api/v2/moderation/unmute`
    Unmute: 300,
    /// `POST /api/v2/moderation/flag`
    Flag: 300,
    /// `POST /api/v2/chat/moderation/mute/channel`
    MuteChannel: 300,
    /// `POST /api/v2/chat/moderation/unmute/channel`
    UnmuteChannel: 300,
    /// `POST /api/v2/chat/channels/{type}/query`
    GetOrCreateDistinctChannel: 10_000,
    /// `POST /api/v2/chat/channels/{type}/{id}/hide`
    HideChannel: 300,
    /// `POST /api/v2/chat/channels/{type}/{id}/show`
    ShowChannel: 300,
    /// `POST /api/v2/chat/channels/{type}/{id}/stop-watching`
    StopWatchingChannel: 300,
    /// `POST /api/v2/chat/channels/{type}/{id}/read`
    MarkRead: 1_000,
    /// `POST /api/v2/chat/channels/{type}/{id}/unread`
    MarkUnread: 1_000,
    /// `POST /api/v2/chat/channels/read`
    MarkChannelsRead: 300,
    /// `POST /api/v2/chat/channels/{type}/{id}/event`
    SendEvent: 1_000,
    /// `PATCH /api/v2/chat/channels/{type}/{id}/member`
    UpdateMemberPartial: 300,
    /// `GET /api/v2/chat/channels/{type}/{id}/messages`
    GetManyMessages: 1_000,
    /// `GET /api/v2/chat/channels/{type}/{id}/pinned_messages`
    GetPinnedMessages: 1_000,
    /// `POST /api/v2/chat/messages/{id}`
    UpdateMessage: 1_000,
    /// `PUT /api/v2/chat/messages/{id}`
    UpdateMessagePartial: 1_000,
    /// `DELETE /api/v2/chat/messages/{id}`
    DeleteMessage: 1_000,
    /// `POST /api/v2/chat/messages/{id}/undelete`
    UndeleteMessage: 1_000,
    /// `POST /api/v2/chat/messages/{id}/reaction`
    SendReaction: 1_000,
    /// `DELETE /api/v2/chat/messages/{id}/reaction/{type}`
    DeleteReaction: 1_000,
    /// `GET /api/v2/chat/messages/{id}/reactions`
    GetReactions: 1_000,
    /// `GET /api/v2/chat/messages/{id}/replies`
    GetReplies: 1_000,
    /// `GET /api/v2/chat/search`
    Search: 300,
    /// `POST /api/v2/chat/sync`
    Sync: 1_000,
    /// `GET /api/v2/chat/unread`
    UnreadCounts: 1_000,
    /// `GET /api/v2/video/call/{type}/{id}/ring_state`
    GetCallRingState: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/event`
    SendCallEvent: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/reaction`
    SendVideoReaction: 1_000,
    /// `POST /api/v2/video/call/members`
    QueryCallMembers: 1_000,
    /// `POST /api/v2/video/call/{type}/{id}/feedback`
    CollectUserFeedback: 1_000,
    /// `POST /api/v2/video/call_client_event`
    ReportClientEvents: 10_000,
    /// `POST /api/v2/video/call/{type}/{id}/block`
    BlockUser: 300,
    /// `POST /api/v2/video/call/{type}/{id}/unblock`
    UnblockUser: 300,
    /// `POST /api/v2/video/call/{type}/{id}/kick`
    KickUser: 300,
    /// `POST /api/v2/video/call/{type}/{id}/mute_users`
    MuteUsers: 300,
    /// Any operation that Stream has and the emulator does not: returns 501
    NotEmulated: 1_000,
    /// Any other request: returns 404
    Unknown: 1_000,
}

impl Operation {
    /// The operation of a request with this method and path.
    #[must_use]
    pub fn of_request(method: &Method, path: &str) -> Self {
        Route::parse(method, path).operation()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The number of requests per operation, including rejected and faulted ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RequestCounts(BTreeMap<Operation, u64>);

impl RequestCounts {
    /// The number of requests for one operation.
    #[must_use]
    pub fn get(&self, operation: Operation) -> u64 {
        self.0.get(&operation).copied().unwrap_or_default()
    }

    /// The number of requests for all operations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn increment(&mut self, operation: Operation) {
        *self.0.entry(operation).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_per_operation() {
        let mut counts = RequestCounts::default();
        counts.increment(Operation::GetApp);
        counts.increment(Operation::GetApp);
        counts.increment(Operation::Unknown);
        assert_eq!(counts.get(Operation::GetApp), 2);
        assert_eq!(counts.get(Operation::EndCall), 0);
        assert_eq!(counts.total(), 3);
        assert_eq!(json!(counts), json!({ "GetApp": 2, "Unknown": 1 }));
    }

    #[test]
    fn operation_serializes_to_its_stream_name() {
        for operation in Operation::ALL {
            assert_eq!(json!(operation), json!(operation.as_str()));
        }
    }
}
