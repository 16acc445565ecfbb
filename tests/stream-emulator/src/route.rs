//! Maps a method and a path to an operation and its path parameters.
//!
//! Paths without the prefix `/api/v2` are v1 of the API: the paths of video below `/video`, and those
//! of chat without the segment `chat` of v2.

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
            (_, segments) => match Self::parse_common(method, segments) {
                Self::Unknown => Self::parse_chat(method, segments),
                route => route,
            },
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
            _ => Self::Unknown,
        }
    }

    fn parse_chat(method: &str, segments: &[&str]) -> Self {
        match (method, segments) {
            ("GET", &["members"]) => Self::QueryMembers,
            ("GET", &["messages", id]) => Self::GetMessage(id.to_owned()),
            ("POST", &["channels"]) => Self::QueryChannels,
            ("POST", &["channels", "delete"]) => Self::DeleteChannels,
            ("GET", &["channels", kind, id]) => Self::GetChannel(Cid::new(kind, id)),
            ("POST", &["channels", kind, id]) => Self::UpdateChannel(Cid::new(kind, id)),
            ("PATCH", &["channels", kind, id]) => Self::UpdateChannelPartial(Cid::new(kind, id)),
            ("DELETE", &["channels", kind, id]) => Self::DeleteChannel(Cid::new(kind, id)),
            ("POST", &["channels", kind, id, "query"]) => {
                Self::GetOrCreateChannel(Cid::new(kind, id))
            }
            ("POST", &["channels", kind, id, "truncate"]) => {
                Self::TruncateChannel(Cid::new(kind, id))
            }
            ("POST", &["channels", kind, id, "message"]) => Self::SendMessage(Cid::new(kind, id)),
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
            ("POST", &["call", kind, id]) => Self::GetOrCreateCall(Cid::new(kind, id)),
            ("GET", &["call", kind, id]) => Self::GetCall(Cid::new(kind, id)),
            ("PATCH", &["call", kind, id]) => Self::UpdateCall(Cid::new(kind, id)),
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
            Self::Unknown => Operation::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_path() {
        let cid = || Cid::new("t", "i");
        let paths = [
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
            ("PUT", "users", Route::Unknown),
        ];
        assert_eq!(paths.len(), Operation::ALL.len());
        for (method, path, route) in paths {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(Route::parse(&method, &format!("/api/v2/{path}")), route, "{path}");
        }
    }

    #[test]
    fn newer_paths_have_the_same_operations() {
        let cid = || Cid::new("t", "i");
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
        let cid = || Cid::new("t", "i");
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
    }
}
