//! Maps a method and a path to an operation and its path parameters.
//!
//! Paths without the prefix `/api/v2` are v1 of the API: the paths of video below `/video`, and
//! those of chat without the segment `chat` of v2.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::operation::Operation;
use crate::world::Cid;

const V2_PREFIX: &str = "/api/v2/";

/// The version of the API, which determines the shapes of requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    ChatV1,
    VideoV1,
    V2,
}

impl ApiVersion {
    pub(crate) fn from_path(path: &str) -> Self {
        if path.starts_with(V2_PREFIX) {
            Self::V2
        } else if path.starts_with("/video/") {
            Self::VideoV1
        } else {
            Self::ChatV1
        }
    }
}

/// An operation with its path parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    GetApp,
    UpdateApp,
    GetRateLimits,
    ListRoles,
    GetTask(String),
    UpdateUsers,
    UpdateUsersPartial,
    QueryUsers,
    DeactivateUser(String),
    DeactivateUsers,
    ReactivateUser(String),
    ReactivateUsers,
    DeleteUsers,
    CreateDevice,
    ListDevices,
    DeleteDevice,
    Ban,
    Unban,
    GetOrCreateChannel(Cid),
    QueryChannels,
    GetChannel(Cid),
    UpdateChannel(Cid),
    UpdateChannelPartial(Cid),
    TruncateChannel(Cid),
    DeleteChannel(Cid),
    DeleteChannels,
    SendMessage(Cid),
    GetMessage(String),
    QueryMembers,
    ListCallTypes,
    CreateCallType,
    GetCallType(String),
    UpdateCallType(String),
    DeleteCallType(String),
    GetOrCreateCall(Cid),
    GetCall(Cid),
    UpdateCall(Cid),
    JoinCall(Cid),
    AcceptCall(Cid),
    RejectCall(Cid),
    RingCall(Cid),
    UpdateCallMembers(Cid),
    StartRecording(Cid),
    StopRecording(Cid),
    EndCall(Cid),
    DeleteCall(Cid),
    QueryCalls,
    GetCallReport(Cid),
    QueryCallStats,
    QueryCallSessionStats,
    QueryCallSessionParticipantStats(Cid, String),
    QueryCallParticipantSessions(Cid, String),
    RestoreUsers,
    DeleteUser(String),
    BlockUsers,
    UnblockUsers,
    GetBlockedUsers,
    Mute,
    Unmute,
    Flag,
    MuteChannel,
    UnmuteChannel,
    GetOrCreateDistinctChannel(String),
    HideChannel(Cid),
    ShowChannel(Cid),
    StopWatchingChannel(Cid),
    MarkRead(Cid),
    MarkUnread(Cid),
    MarkChannelsRead,
    SendEvent(Cid),
    UpdateMemberPartial(Cid, Option<String>),
    GetManyMessages(Cid),
    GetPinnedMessages(Cid),
    UpdateMessage(String),
    UpdateMessagePartial(String),
    DeleteMessage(String),
    UndeleteMessage(String),
    SendReaction(String),
    DeleteReaction(String, String),
    GetReactions(String),
    GetReplies(String),
    Search,
    Sync,
    UnreadCounts,
    GetCallRingState(Cid),
    SendCallEvent(Cid),
    SendVideoReaction(Cid),
    QueryCallMembers,
    CollectUserFeedback(Cid),
    ReportClientEvents,
    BlockUser(Cid),
    UnblockUser(Cid),
    KickUser(Cid),
    MuteUsers(Cid),
    /// The name of the feature.
    NotEmulated(&'static str),
    Unknown,
}

impl Route {
    pub(crate) fn parse(method: &Method, path: &str) -> Self {
        let version = ApiVersion::from_path(path);
        let path = path.strip_prefix(V2_PREFIX).or_else(|| path.strip_prefix('/')).unwrap_or(path);
        // Split before decoding: an encoded slash belongs to an id.
        let decoded: Vec<String> = path
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let method = method.as_str();
        match (version, segments.as_slice()) {
            (_, &["video", ref rest @ ..]) => Self::parse_video(method, rest),
            (ApiVersion::V2, &["chat", ref rest @ ..]) => Self::parse_chat(method, rest),
            (ApiVersion::V2, segments) => Self::parse_common(method, segments),
            (_, segments) => Self::parse_chat_v1(method, segments),
        }
    }

    fn parse_chat_v1(method: &str, segments: &[&str]) -> Self {
        if let ("DELETE", &["users", id]) = (method, segments) {
            return Self::DeleteUser(id.to_owned());
        }
        match Self::parse_common(method, segments) {
            Self::Unknown => Self::parse_chat(method, segments),
            route => route,
        }
    }

    /// The operations that chat and video share.
    fn parse_common(method: &str, segments: &[&str]) -> Self {
        match (method, segments) {
            ("GET", &["app"]) => Self::GetApp,
            ("PATCH", &["app"]) => Self::UpdateApp,
            ("GET", &["rate_limits"]) => Self::GetRateLimits,
            ("GET", &["roles"]) => Self::ListRoles,
            ("GET", &["tasks", id]) => Self::GetTask(id.to_owned()),
            (method, &["users", ref rest @ ..]) => Self::parse_users(method, rest),
            (method, &["devices"]) => Self::parse_devices(method),
            (method, &["moderation", ref rest @ ..]) => Self::parse_moderation(method, rest),
            _ => Self::Unknown,
        }
    }

    fn parse_users(method: &str, segments: &[&str]) -> Self {
        match (method, segments) {
            ("POST", &[]) => Self::UpdateUsers,
            ("PATCH", &[]) => Self::UpdateUsersPartial,
            ("GET", &[]) => Self::QueryUsers,
            ("POST", &["deactivate"]) => Self::DeactivateUsers,
            ("POST", &["reactivate"]) => Self::ReactivateUsers,
            ("POST", &["delete"]) => Self::DeleteUsers,
            ("POST", &["restore"]) => Self::RestoreUsers,
            ("POST", &["block"]) => Self::BlockUsers,
            ("POST", &["unblock"]) => Self::UnblockUsers,
            ("GET", &["block"]) => Self::GetBlockedUsers,
            ("POST", &[id, "deactivate"]) => Self::DeactivateUser(id.to_owned()),
            ("POST", &[id, "reactivate"]) => Self::ReactivateUser(id.to_owned()),
            _ => Self::Unknown,
        }
    }

    fn parse_devices(method: &str) -> Self {
        match method {
            "POST" => Self::CreateDevice,
            "GET" => Self::ListDevices,
            "DELETE" => Self::DeleteDevice,
            _ => Self::Unknown,
        }
    }

    fn parse_moderation(method: &str, segments: &[&str]) -> Self {
        match (method, segments) {
            ("POST", &["ban"]) => Self::Ban,
            // The libraries for v1 send the former, those for v2 the latter.
            ("DELETE", &["ban"]) | ("POST", &["unban"]) => Self::Unban,
            ("POST", &["mute"]) => Self::Mute,
            ("POST", &["unmute"]) => Self::Unmute,
            ("POST", &["flag"]) => Self::Flag,
            _ => Self::Unknown,
        }
    }

    fn parse_chat(method: &str, segments: &[&str]) -> Self {
        match (method, segments) {
            ("GET", &["members"]) => Self::QueryMembers,
            ("GET", &["search"]) => Self::Search,
            ("POST", &["sync"]) => Self::Sync,
            ("GET", &["unread"]) => Self::UnreadCounts,
            ("POST", &["moderation", "mute", "channel"]) => Self::MuteChannel,
            ("POST", &["moderation", "unmute", "channel"]) => Self::UnmuteChannel,
            (method, &["messages", id, ref rest @ ..]) => Self::parse_message(method, id, rest),
            ("POST", &["channels"]) => Self::QueryChannels,
            ("POST", &["channels", "delete"]) => Self::DeleteChannels,
            ("POST", &["channels", "read"]) => Self::MarkChannelsRead,
            ("POST", &["channels", "delivered"]) => Self::NotEmulated("delivery of messages"),
            ("POST", &["channels", kind, "query"]) => {
                Self::GetOrCreateDistinctChannel(kind.to_owned())
            }
            ("GET", &["channels", kind, id]) => Self::GetChannel(Cid::new(kind, id)),
            ("POST", &["channels", kind, id]) => Self::UpdateChannel(Cid::new(kind, id)),
            ("PATCH", &["channels", kind, id]) => Self::UpdateChannelPartial(Cid::new(kind, id)),
            ("DELETE", &["channels", kind, id]) => Self::DeleteChannel(Cid::new(kind, id)),
            (method, &["channels", kind, id, ref rest @ ..]) => {
                Self::parse_channel(method, Cid::new(kind, id), rest)
            }
            (_, &["threads", ..]) => Self::NotEmulated("threads"),
            (_, &["polls", ..]) => Self::NotEmulated("polls"),
            (_, &["drafts", ..]) => Self::NotEmulated("drafts"),
            (_, &["reminders", ..]) => Self::NotEmulated("reminders"),
            (_, &["query_banned_users"]) => Self::NotEmulated("the query of banned users"),
            (_, &["channeltypes", ..]) => Self::NotEmulated("the API for channel types"),
            (_, &["guest"]) => Self::NotEmulated("guests"),
            (_, &["og"]) => Self::NotEmulated("previews of links"),
            (_, &["push_preferences"]) => Self::NotEmulated("push preferences"),
            _ => Self::Unknown,
        }
    }

    fn parse_message(method: &str, id: &str, segments: &[&str]) -> Self {
        let id = id.to_owned();
        match (method, segments) {
            ("GET", &[]) => Self::GetMessage(id),
            ("POST", &[]) => Self::UpdateMessage(id),
            ("PUT", &[]) => Self::UpdateMessagePartial(id),
            ("DELETE", &[]) => Self::DeleteMessage(id),
            ("POST", &["undelete"]) => Self::UndeleteMessage(id),
            ("POST", &["reaction"]) => Self::SendReaction(id),
            ("DELETE", &["reaction", kind]) => Self::DeleteReaction(id, kind.to_owned()),
            ("GET", &["reactions"]) => Self::GetReactions(id),
            ("GET", &["replies"]) => Self::GetReplies(id),
            ("POST", &["action"]) => Self::NotEmulated("actions on messages"),
            ("POST", &["translate"]) => Self::NotEmulated("translation"),
            _ => Self::Unknown,
        }
    }

    fn parse_channel(method: &str, cid: Cid, segments: &[&str]) -> Self {
        match (method, segments) {
            ("POST", &["query"]) => Self::GetOrCreateChannel(cid),
            ("POST", &["truncate"]) => Self::TruncateChannel(cid),
            ("POST", &["message"]) => Self::SendMessage(cid),
            ("POST", &["hide"]) => Self::HideChannel(cid),
            ("POST", &["show"]) => Self::ShowChannel(cid),
            ("POST", &["stop-watching"]) => Self::StopWatchingChannel(cid),
            ("POST", &["read"]) => Self::MarkRead(cid),
            ("POST", &["unread"]) => Self::MarkUnread(cid),
            ("POST", &["event"]) => Self::SendEvent(cid),
            ("PATCH", &["member"]) => Self::UpdateMemberPartial(cid, None),
            ("PATCH", &["member", user_id]) => {
                Self::UpdateMemberPartial(cid, Some(user_id.to_owned()))
            }
            ("GET", &["messages"]) => Self::GetManyMessages(cid),
            ("GET", &["pinned_messages"]) => Self::GetPinnedMessages(cid),
            (_, &["image" | "file"]) => Self::NotEmulated("uploads"),
            (_, &["draft"]) => Self::NotEmulated("drafts"),
            _ => Self::Unknown,
        }
    }

    fn parse_video(method: &str, segments: &[&str]) -> Self {
        match (method, segments) {
            // The clients for video send these paths.
            (method, &["devices"]) => Self::parse_devices(method),
            ("GET", &["calltypes"]) => Self::ListCallTypes,
            ("POST", &["calltypes"]) => Self::CreateCallType,
            ("GET", &["calltypes", name]) => Self::GetCallType(name.to_owned()),
            ("PUT", &["calltypes", name]) => Self::UpdateCallType(name.to_owned()),
            ("DELETE", &["calltypes", name]) => Self::DeleteCallType(name.to_owned()),
            ("POST", &["calls"]) => Self::QueryCalls,
            ("POST", &["call", "stats"]) => Self::QueryCallStats,
            ("POST", &["call", "members"]) => Self::QueryCallMembers,
            ("POST", &["call_client_event"]) => Self::ReportClientEvents,
            (_, &["edges"]) => Self::NotEmulated("the list of edges"),
            (_, &["guest"]) => Self::NotEmulated("guests"),
            ("POST", &["call", kind, id]) => Self::GetOrCreateCall(Cid::new(kind, id)),
            ("GET", &["call", kind, id]) => Self::GetCall(Cid::new(kind, id)),
            ("PATCH", &["call", kind, id]) => Self::UpdateCall(Cid::new(kind, id)),
            ("GET", &["call", kind, id, "ring_state"]) => {
                Self::GetCallRingState(Cid::new(kind, id))
            }
            ("POST", &["call", kind, id, "event"]) => Self::SendCallEvent(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "reaction"]) => {
                Self::SendVideoReaction(Cid::new(kind, id))
            }
            ("POST", &["call", kind, id, "feedback"] | &["call", kind, id, "feedback", _]) => {
                Self::CollectUserFeedback(Cid::new(kind, id))
            }
            ("POST", &["call", kind, id, "block"]) => Self::BlockUser(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "unblock"]) => Self::UnblockUser(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "kick"]) => Self::KickUser(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "mute_users"]) => Self::MuteUsers(Cid::new(kind, id)),
            ("POST", &["call", _, _, "go_live" | "stop_live"]) => {
                Self::NotEmulated("the backstage of calls")
            }
            ("POST", &["call", _, _, "request_permission" | "user_permissions"]) => {
                Self::NotEmulated("the permissions of participants")
            }
            ("POST", &["call", _, _, "pin" | "unpin"]) => Self::NotEmulated("pinned tracks"),
            ("POST", &["call", kind, id, "join"]) => Self::JoinCall(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "accept"]) => Self::AcceptCall(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "reject"]) => Self::RejectCall(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "ring"]) => Self::RingCall(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "members"]) => Self::UpdateCallMembers(Cid::new(kind, id)),
            // The libraries send the latter since Stream has several kinds of recordings.
            (
                "POST",
                &(["call", kind, id, "start_recording"]
                | ["call", kind, id, "recordings", _, "start"]),
            ) => Self::StartRecording(Cid::new(kind, id)),
            (
                "POST",
                &(["call", kind, id, "stop_recording"]
                | ["call", kind, id, "recordings", _, "stop"]),
            ) => Self::StopRecording(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "mark_ended"]) => Self::EndCall(Cid::new(kind, id)),
            ("POST", &["call", kind, id, "delete"]) => Self::DeleteCall(Cid::new(kind, id)),
            ("GET", &["call", kind, id, "report"]) => Self::GetCallReport(Cid::new(kind, id)),
            ("GET", &["call", kind, id, "session", session, "participant_sessions"]) => {
                Self::QueryCallParticipantSessions(Cid::new(kind, id), session.to_owned())
            }
            ("POST", &["call_stats"]) => Self::QueryCallSessionStats,
            ("GET", &["call_stats", kind, id, session, "participants"]) => {
                Self::QueryCallSessionParticipantStats(Cid::new(kind, id), session.to_owned())
            }
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Self::GetApp => Operation::GetApp,
            Self::UpdateApp => Operation::UpdateApp,
            Self::GetRateLimits => Operation::GetRateLimits,
            Self::ListRoles => Operation::ListRoles,
            Self::GetTask(_) => Operation::GetTask,
            Self::UpdateUsers => Operation::UpdateUsers,
            Self::UpdateUsersPartial => Operation::UpdateUsersPartial,
            Self::QueryUsers => Operation::QueryUsers,
            Self::DeactivateUser(_) => Operation::DeactivateUser,
            Self::DeactivateUsers => Operation::DeactivateUsers,
            Self::ReactivateUser(_) => Operation::ReactivateUser,
            Self::ReactivateUsers => Operation::ReactivateUsers,
            Self::DeleteUsers => Operation::DeleteUsers,
            Self::CreateDevice => Operation::CreateDevice,
            Self::ListDevices => Operation::ListDevices,
            Self::DeleteDevice => Operation::DeleteDevice,
            Self::Ban => Operation::Ban,
            Self::Unban => Operation::Unban,
            Self::GetOrCreateChannel(_) => Operation::GetOrCreateChannel,
            Self::QueryChannels => Operation::QueryChannels,
            Self::GetChannel(_) => Operation::GetChannel,
            Self::UpdateChannel(_) => Operation::UpdateChannel,
            Self::UpdateChannelPartial(_) => Operation::UpdateChannelPartial,
            Self::TruncateChannel(_) => Operation::TruncateChannel,
            Self::DeleteChannel(_) => Operation::DeleteChannel,
            Self::DeleteChannels => Operation::DeleteChannels,
            Self::SendMessage(_) => Operation::SendMessage,
            Self::GetMessage(_) => Operation::GetMessage,
            Self::QueryMembers => Operation::QueryMembers,
            Self::ListCallTypes => Operation::ListCallTypes,
            Self::CreateCallType => Operation::CreateCallType,
            Self::GetCallType(_) => Operation::GetCallType,
            Self::UpdateCallType(_) => Operation::UpdateCallType,
            Self::DeleteCallType(_) => Operation::DeleteCallType,
            Self::GetOrCreateCall(_) => Operation::GetOrCreateCall,
            Self::GetCall(_) => Operation::GetCall,
            Self::UpdateCall(_) => Operation::UpdateCall,
            Self::JoinCall(_) => Operation::JoinCall,
            Self::AcceptCall(_) => Operation::AcceptCall,
            Self::RejectCall(_) => Operation::RejectCall,
            Self::RingCall(_) => Operation::RingCall,
            Self::UpdateCallMembers(_) => Operation::UpdateCallMembers,
            Self::StartRecording(_) => Operation::StartRecording,
            Self::StopRecording(_) => Operation::StopRecording,
            Self::EndCall(_) => Operation::EndCall,
            Self::DeleteCall(_) => Operation::DeleteCall,
            Self::QueryCalls => Operation::QueryCalls,
            Self::GetCallReport(_) => Operation::GetCallReport,
            Self::QueryCallStats => Operation::QueryCallStats,
            Self::QueryCallSessionStats => Operation::QueryCallSessionStats,
            Self::QueryCallSessionParticipantStats(..) => {
                Operation::QueryCallSessionParticipantStats
            }
            Self::QueryCallParticipantSessions(..) => Operation::QueryCallParticipantSessions,
            Self::RestoreUsers => Operation::RestoreUsers,
            Self::DeleteUser(_) => Operation::DeleteUser,
            Self::BlockUsers => Operation::BlockUsers,
            Self::UnblockUsers => Operation::UnblockUsers,
            Self::GetBlockedUsers => Operation::GetBlockedUsers,
            Self::Mute => Operation::Mute,
            Self::Unmute => Operation::Unmute,
            Self::Flag => Operation::Flag,
            Self::MuteChannel => Operation::MuteChannel,
            Self::UnmuteChannel => Operation::UnmuteChannel,
            Self::GetOrCreateDistinctChannel(_) => Operation::GetOrCreateDistinctChannel,
            Self::HideChannel(_) => Operation::HideChannel,
            Self::ShowChannel(_) => Operation::ShowChannel,
            Self::StopWatchingChannel(_) => Operation::StopWatchingChannel,
            Self::MarkRead(_) => Operation::MarkRead,
            Self::MarkUnread(_) => Operation::MarkUnread,
            Self::MarkChannelsRead => Operation::MarkChannelsRead,
            Self::SendEvent(_) => Operation::SendEvent,
            Self::UpdateMemberPartial(..) => Operation::UpdateMemberPartial,
            Self::GetManyMessages(_) => Operation::GetManyMessages,
            Self::GetPinnedMessages(_) => Operation::GetPinnedMessages,
            Self::UpdateMessage(_) => Operation::UpdateMessage,
            Self::UpdateMessagePartial(_) => Operation::UpdateMessagePartial,
            Self::DeleteMessage(_) => Operation::DeleteMessage,
            Self::UndeleteMessage(_) => Operation::UndeleteMessage,
            Self::SendReaction(_) => Operation::SendReaction,
            Self::DeleteReaction(..) => Operation::DeleteReaction,
            Self::GetReactions(_) => Operation::GetReactions,
            Self::GetReplies(_) => Operation::GetReplies,
            Self::Search => Operation::Search,
            Self::Sync => Operation::Sync,
            Self::UnreadCounts => Operation::UnreadCounts,
            Self::GetCallRingState(_) => Operation::GetCallRingState,
            Self::SendCallEvent(_) => Operation::SendCallEvent,
            Self::SendVideoReaction(_) => Operation::SendVideoReaction,
            Self::QueryCallMembers => Operation::QueryCallMembers,
            Self::CollectUserFeedback(_) => Operation::CollectUserFeedback,
            Self::ReportClientEvents => Operation::ReportClientEvents,
            Self::BlockUser(_) => Operation::BlockUser,
            Self::UnblockUser(_) => Operation::UnblockUser,
            Self::KickUser(_) => Operation::KickUser,
            Self::MuteUsers(_) => Operation::MuteUsers,
            Self::NotEmulated(_) => Operation::NotEmulated,
            Self::Unknown => Operation::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cid() -> Cid {
        Cid::new("t", "i")
    }

    /// The operations that servers use.
    fn server_paths() -> Vec<(&'static str, &'static str, Route)> {
        vec![
            ("GET", "app", Route::GetApp),
            ("PATCH", "app", Route::UpdateApp),
            ("GET", "rate_limits", Route::GetRateLimits),
            ("GET", "roles", Route::ListRoles),
            ("GET", "tasks/t1", Route::GetTask("t1".to_owned())),
            ("POST", "users", Route::UpdateUsers),
            ("PATCH", "users", Route::UpdateUsersPartial),
            ("GET", "users", Route::QueryUsers),
            ("POST", "users/a%40b/deactivate", Route::DeactivateUser("a@b".to_owned())),
            ("POST", "users/deactivate", Route::DeactivateUsers),
            ("POST", "users/a/reactivate", Route::ReactivateUser("a".to_owned())),
            ("POST", "users/reactivate", Route::ReactivateUsers),
            ("POST", "users/delete", Route::DeleteUsers),
            ("POST", "devices", Route::CreateDevice),
            ("GET", "devices", Route::ListDevices),
            ("DELETE", "devices", Route::DeleteDevice),
            ("POST", "moderation/ban", Route::Ban),
            ("DELETE", "moderation/ban", Route::Unban),
            ("POST", "chat/channels/t/i/query", Route::GetOrCreateChannel(cid())),
            ("POST", "chat/channels", Route::QueryChannels),
            ("GET", "chat/channels/t/i", Route::GetChannel(cid())),
            ("POST", "chat/channels/t/i", Route::UpdateChannel(cid())),
            ("PATCH", "chat/channels/t/i", Route::UpdateChannelPartial(cid())),
            ("POST", "chat/channels/t/i/truncate", Route::TruncateChannel(cid())),
            ("DELETE", "chat/channels/t/i", Route::DeleteChannel(cid())),
            ("POST", "chat/channels/delete", Route::DeleteChannels),
            ("POST", "chat/channels/t/i/message", Route::SendMessage(cid())),
            ("GET", "chat/messages/m", Route::GetMessage("m".to_owned())),
            ("GET", "chat/members", Route::QueryMembers),
            ("GET", "video/calltypes", Route::ListCallTypes),
            ("POST", "video/calltypes", Route::CreateCallType),
            ("GET", "video/calltypes/t", Route::GetCallType("t".to_owned())),
            ("PUT", "video/calltypes/t", Route::UpdateCallType("t".to_owned())),
            ("DELETE", "video/calltypes/t", Route::DeleteCallType("t".to_owned())),
            ("POST", "video/call/t/i", Route::GetOrCreateCall(cid())),
            ("GET", "video/call/t/i", Route::GetCall(cid())),
            ("PATCH", "video/call/t/i", Route::UpdateCall(cid())),
            ("POST", "video/call/t/i/join", Route::JoinCall(cid())),
            ("POST", "video/call/t/i/accept", Route::AcceptCall(cid())),
            ("POST", "video/call/t/i/reject", Route::RejectCall(cid())),
            ("POST", "video/call/t/i/ring", Route::RingCall(cid())),
            ("POST", "video/call/t/i/members", Route::UpdateCallMembers(cid())),
            ("POST", "video/call/t/i/start_recording", Route::StartRecording(cid())),
            ("POST", "video/call/t/i/stop_recording", Route::StopRecording(cid())),
            ("POST", "video/call/t/i/mark_ended", Route::EndCall(cid())),
            ("POST", "video/call/t/i/delete", Route::DeleteCall(cid())),
            ("POST", "video/calls", Route::QueryCalls),
            ("GET", "video/call/t/i/report", Route::GetCallReport(cid())),
            ("POST", "video/call/stats", Route::QueryCallStats),
            ("POST", "video/call_stats", Route::QueryCallSessionStats),
            (
                "GET",
                "video/call_stats/t/i/s/participants",
                Route::QueryCallSessionParticipantStats(cid(), "s".to_owned()),
            ),
            (
                "GET",
                "video/call/t/i/session/s/participant_sessions",
                Route::QueryCallParticipantSessions(cid(), "s".to_owned()),
            ),
        ]
    }

    /// The operations of chat that mostly clients use.
    fn chat_paths() -> Vec<(&'static str, &'static str, Route)> {
        vec![
            ("POST", "users/restore", Route::RestoreUsers),
            ("POST", "users/block", Route::BlockUsers),
            ("POST", "users/unblock", Route::UnblockUsers),
            ("GET", "users/block", Route::GetBlockedUsers),
            ("POST", "moderation/mute", Route::Mute),
            ("POST", "moderation/unmute", Route::Unmute),
            ("POST", "moderation/flag", Route::Flag),
            ("POST", "chat/moderation/mute/channel", Route::MuteChannel),
            ("POST", "chat/moderation/unmute/channel", Route::UnmuteChannel),
            ("POST", "chat/channels/t/query", Route::GetOrCreateDistinctChannel("t".to_owned())),
            ("POST", "chat/channels/t/i/hide", Route::HideChannel(cid())),
            ("POST", "chat/channels/t/i/show", Route::ShowChannel(cid())),
            ("POST", "chat/channels/t/i/stop-watching", Route::StopWatchingChannel(cid())),
            ("POST", "chat/channels/t/i/read", Route::MarkRead(cid())),
            ("POST", "chat/channels/t/i/unread", Route::MarkUnread(cid())),
            ("POST", "chat/channels/read", Route::MarkChannelsRead),
            ("POST", "chat/channels/t/i/event", Route::SendEvent(cid())),
            ("PATCH", "chat/channels/t/i/member", Route::UpdateMemberPartial(cid(), None)),
            ("GET", "chat/channels/t/i/messages", Route::GetManyMessages(cid())),
            ("GET", "chat/channels/t/i/pinned_messages", Route::GetPinnedMessages(cid())),
            ("POST", "chat/messages/m", Route::UpdateMessage("m".to_owned())),
            ("PUT", "chat/messages/m", Route::UpdateMessagePartial("m".to_owned())),
            ("DELETE", "chat/messages/m", Route::DeleteMessage("m".to_owned())),
            ("POST", "chat/messages/m/undelete", Route::UndeleteMessage("m".to_owned())),
            ("POST", "chat/messages/m/reaction", Route::SendReaction("m".to_owned())),
            (
                "DELETE",
                "chat/messages/m/reaction/r",
                Route::DeleteReaction("m".to_owned(), "r".to_owned()),
            ),
            ("GET", "chat/messages/m/reactions", Route::GetReactions("m".to_owned())),
            ("GET", "chat/messages/m/replies", Route::GetReplies("m".to_owned())),
            ("GET", "chat/search", Route::Search),
            ("POST", "chat/sync", Route::Sync),
            ("GET", "chat/unread", Route::UnreadCounts),
        ]
    }

    /// The operations of video that mostly clients use, and other paths.
    fn other_paths() -> Vec<(&'static str, &'static str, Route)> {
        vec![
            ("GET", "video/call/t/i/ring_state", Route::GetCallRingState(cid())),
            ("POST", "video/call/t/i/event", Route::SendCallEvent(cid())),
            ("POST", "video/call/t/i/reaction", Route::SendVideoReaction(cid())),
            ("POST", "video/call/members", Route::QueryCallMembers),
            ("POST", "video/call/t/i/feedback", Route::CollectUserFeedback(cid())),
            ("POST", "video/call_client_event", Route::ReportClientEvents),
            ("POST", "video/call/t/i/block", Route::BlockUser(cid())),
            ("POST", "video/call/t/i/unblock", Route::UnblockUser(cid())),
            ("POST", "video/call/t/i/kick", Route::KickUser(cid())),
            ("POST", "video/call/t/i/mute_users", Route::MuteUsers(cid())),
            ("POST", "chat/threads", Route::NotEmulated("threads")),
            ("PUT", "users", Route::Unknown),
        ]
    }

    #[test]
    fn every_operation_has_a_path() {
        let paths = [server_paths(), chat_paths(), other_paths()].concat();
        // Only v1 has a path for the deletion of one user.
        assert_eq!(paths.len() + 1, Operation::ALL.len());
        for (method, path, route) in paths {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(Route::parse(&method, &format!("/api/v2/{path}")), route, "{path}");
        }
    }

    #[test]
    fn newer_paths_have_the_same_operations() {
        for (path, route) in [
            ("video/call/t/i/recordings/composite/start", Route::StartRecording(cid())),
            ("video/call/t/i/recordings/composite/stop", Route::StopRecording(cid())),
            ("moderation/unban", Route::Unban),
        ] {
            assert_eq!(Route::parse(&Method::POST, &format!("/api/v2/{path}")), route, "{path}");
        }
    }

    #[test]
    fn paths_of_clients_have_no_prefix() {
        for (method, path, route) in [
            (Method::POST, "/video/call/t/i/join", Route::JoinCall(cid())),
            (Method::POST, "/video/calls", Route::QueryCalls),
            (Method::POST, "/channels", Route::QueryChannels),
            (Method::POST, "/channels/t/i/query", Route::GetOrCreateChannel(cid())),
            (Method::DELETE, "/channels/t/i", Route::DeleteChannel(cid())),
            (Method::DELETE, "/moderation/ban", Route::Unban),
            (Method::POST, "/devices", Route::CreateDevice),
            (Method::DELETE, "/video/devices", Route::DeleteDevice),
            (Method::GET, "/app", Route::GetApp),
            (Method::DELETE, "/users/u", Route::DeleteUser("u".to_owned())),
            (Method::POST, "/moderation/mute", Route::Mute),
            (Method::POST, "/moderation/mute/channel", Route::MuteChannel),
            (Method::POST, "/channels/t/i/image", Route::NotEmulated("uploads")),
            (Method::POST, "/video/call/t/i/go_live", Route::NotEmulated("the backstage of calls")),
            (Method::PATCH, "/users", Route::UpdateUsersPartial),
            (Method::GET, "/members", Route::QueryMembers),
            (Method::GET, "/messages/m", Route::GetMessage("m".to_owned())),
            (Method::GET, "/tasks/t", Route::GetTask("t".to_owned())),
            (Method::POST, "/chat/channels", Route::Unknown),
            (Method::POST, "", Route::Unknown),
        ] {
            assert_eq!(Route::parse(&method, path), route, "{path}");
            let is_video = path.starts_with("/video");
            let version = if is_video { ApiVersion::VideoV1 } else { ApiVersion::ChatV1 };
            assert_eq!(ApiVersion::from_path(path), version, "{path}");
        }
        assert_eq!(ApiVersion::from_path("/api/v2/app"), ApiVersion::V2);
    }

    #[test]
    fn encoded_slash_does_not_split_a_segment() {
        let route = Route::parse(&Method::GET, "/api/v2/chat/messages/a%2Fb");
        assert_eq!(route, Route::GetMessage("a/b".to_owned()));
        assert_eq!(Route::parse(&Method::GET, "/api/v2/chat/messages/a/b"), Route::Unknown);
        assert_eq!(Route::parse(&Method::DELETE, "/api/v2/users/u"), Route::Unknown);
    }
}
