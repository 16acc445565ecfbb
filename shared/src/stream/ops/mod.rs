//! The operations of Stream's API that the functions use, one per file. Each file starts with the
//! method and path.

mod create_call_type;
mod delete_channel;
mod delete_channels;
mod delete_device;
mod delete_user;
mod end_call;
mod get_app;
mod get_app_settings;
mod get_call;
mod get_call_report;
mod get_call_type;
mod get_channel;
mod get_message;
mod get_or_create_call;
mod get_or_create_channel;
mod get_rate_limits;
mod get_task;
mod list_devices;
mod list_messages;
mod list_participant_stats;
mod list_roles;
mod message;
mod query_call_participant_sessions;
mod query_call_session_stats;
mod query_calls;
mod query_channels;
mod query_users;
mod reactivate_user;
mod remove_call_member;
mod remove_channel_member;
mod revoke_tokens;
mod ring_call;
mod send_message;
mod update_call;
mod update_call_type;
mod update_event_hooks;
mod upsert_users;

pub use create_call_type::CreateCallType;
pub use delete_channel::DeleteChannel;
pub use delete_channels::{DeleteChannelResult, DeleteChannels, DeleteChannelsResponse};
pub use delete_device::DeleteDevice;
pub use delete_user::{DeleteUser, DeleteUserResponse};
pub use end_call::EndCall;
pub use get_app::{App, GetApp};
pub use get_app_settings::GetAppSettings;
pub use get_call::{CallEnvelope, GetCall, Participant, StreamCall, StreamSession};
pub use get_call_report::{CallReport, GetCallReport};
pub use get_call_type::{CallTypeResponse, CallTypeSettings, GetCallType};
pub use get_channel::GetChannel;
pub use get_message::GetMessage;
pub use get_or_create_call::{GetOrCreateCall, SettingsOverride};
pub use get_or_create_channel::{
    ChannelCustom, ChannelEnvelope, GetOrCreateChannel, StreamChannel,
};
pub use get_rate_limits::{ENDPOINTS, EndpointLimit, GetRateLimits, GetRateLimitsResponse};
pub use get_task::{GetTask, Task, TaskStatus};
pub use list_devices::{Device, ListDevices, ListDevicesResponse};
pub use list_messages::ListMessages;
pub use list_participant_stats::{ListParticipantStats, ParticipantStats, SessionStats};
pub use list_roles::{ListRoles, ListRolesResponse, Role};
pub use message::{Author, Message, MessageEnvelope};
pub use query_call_participant_sessions::{
    ParticipantSession, ParticipantSessionsPage, QueryCallParticipantSessions,
};
pub use query_call_session_stats::{CallSessionStats, CallSessionStatsPage, QueryCallSessionStats};
pub use query_calls::{CallFilter, QueryCalls, QueryCallsResponse};
pub use query_channels::{ChannelFilter, QueryChannels, QueryChannelsResponse};
pub use query_users::{QueryUsers, StreamUser};
pub use reactivate_user::ReactivateUser;
pub use remove_call_member::{CallMember, RemoveCallMember, RemoveCallMemberResponse};
pub use remove_channel_member::{ChannelMember, RemoveChannelMember, RemoveChannelMemberResponse};
pub use revoke_tokens::RevokeTokens;
pub use ring_call::RingCall;
pub use send_message::SendMessage;
pub use update_call::{UpdateCall, UpdateCallResponse, UpdatedCall};
pub use update_call_type::UpdateCallType;
pub use update_event_hooks::UpdateEventHooks;
pub use upsert_users::{UpdateUsersResponse, UpsertUsers, UserData};

/// A reference to a user.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct UserRef {
    /// The user's id.
    pub id: String,
}

/// The response of an operation that returns nothing of interest. Every response of Stream has the
/// duration, so it shows that Stream has sent the response.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct DoneResponse {
    /// The duration of the operation, such as `12.3ms`.
    pub duration: String,
}
