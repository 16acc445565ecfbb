//! Routes each request to an operation of the world. A server token permits every operation but
//! those of a participant. A user token permits some operations, as far as the grants allow.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::StreamError;
use crate::operation::Operation;
use crate::rate_limit::RateWindows;
use crate::realtime::may_receive;
use crate::request::{ApiRequest, Query};
use crate::route::Route;
use crate::state::Inner;
use crate::timestamp::Timestamp;
use crate::world::{
    CallSignals, ChannelStateOptions, Client, DeleteMessage, DeleteUsers, DeviceQuery, MessagePage,
    RequestSource, StatsPage, TokenUser, UnbanUser, World, list_roles,
};

/// The holder of the token of a request.
#[derive(Debug)]
pub(crate) enum Caller {
    Server,
    User(TokenUser),
    /// A client without a token, which may only report what it did.
    Anonymous,
}

impl Caller {
    const fn request_source(&self) -> RequestSource {
        match self {
            Self::Server => RequestSource::Server,
            Self::User(_) | Self::Anonymous => RequestSource::Client,
        }
    }
}

/// Executes the operation of a request.
pub(crate) fn dispatch(
    inner: &mut Inner,
    request: &ApiRequest,
    caller: &Caller,
    now: Timestamp,
) -> Result<Value, StreamError> {
    inner.world.set_request_source(caller.request_source());
    let outcome = dispatch_for(inner, request, caller, now);
    inner.world.set_request_source(RequestSource::default());
    outcome
}

fn dispatch_for(
    inner: &mut Inner,
    request: &ApiRequest,
    caller: &Caller,
    now: Timestamp,
) -> Result<Value, StreamError> {
    match caller {
        Caller::Server => dispatch_for_server(inner, request, now),
        Caller::User(user) if request.route == Route::Sync => {
            sync(inner, &request.body()?, user, now)
        }
        Caller::User(user) => {
            let response = dispatch_for_user(&mut inner.world, request, user, now)?;
            let connection_id = request.query.get("connection_id");
            if let (Route::StopWatchingChannel(cid), Some(id)) = (&request.route, connection_id) {
                inner.stop_watching(id, &cid.to_string(), user.id(), now);
            }
            Ok(response)
        }
        Caller::Anonymous => Ok(json!({})),
    }
}

fn dispatch_for_server(
    inner: &mut Inner,
    request: &ApiRequest,
    now: Timestamp,
) -> Result<Value, StreamError> {
    let world = &mut inner.world;
    match &request.route {
        Route::GetApp => Ok(world.get_app()),
        Route::UpdateApp => world.update_app(request.body()?, now),
        Route::GetRateLimits => Ok(rate_limits(&inner.rate_windows, &request.query, now)),
        Route::ListRoles => Ok(list_roles()),
        Route::GetTask(id) => world.get_task(id, now),
        Route::UpdateUsers => world.upsert_users(request.body()?, now),
        Route::UpdateUsersPartial => world.update_users_partial(request.body()?, now),
        Route::QueryUsers => world.query_users(&request.payload()?),
        Route::DeactivateUser(id) => world.deactivate_user(id, &request.body()?, now),
        Route::DeactivateUsers => world.deactivate_users(&request.body()?, now),
        Route::ReactivateUser(id) => world.reactivate_user(id, request.body()?, now),
        Route::ReactivateUsers => world.reactivate_users(&request.body()?, now),
        Route::DeleteUsers => world.delete_users(&request.body()?, now),
        Route::CreateDevice => world.create_device(None, request.body()?, now),
        Route::ListDevices => world.list_devices(None, DeviceQuery::from_query(&request.query)),
        Route::DeleteDevice => world.delete_device(None, DeviceQuery::from_query(&request.query)),
        Route::Ban => world.ban(request.body()?, now),
        Route::Unban => world.unban(&UnbanUser::from_query(&request.query)?, now),
        Route::GetOrCreateChannel(cid) => world.get_or_create_channel(cid, request.body()?, now),
        Route::QueryChannels => world.query_channels(&request.body()?, now),
        Route::GetChannel(cid) => {
            world.get_channel(None, cid, &ChannelStateOptions::from_query(&request.query)?, now)
        }
        Route::UpdateChannel(cid) => world.update_channel(None, cid, request.body()?, now),
        Route::UpdateChannelPartial(cid) => {
            world.update_channel_partial(None, cid, request.body()?, now)
        }
        Route::TruncateChannel(cid) => world.truncate_channel(None, cid, request.body()?, now),
        Route::DeleteChannel(cid) => world.delete_channel(cid, now),
        Route::DeleteChannels => world.delete_channels(&request.body()?, now),
        Route::SendMessage(cid) => world.send_message(cid, request.body()?, now),
        Route::GetMessage(id) => {
            let include_deleted = request.query.get_bool("show_deleted_message")?.unwrap_or(false);
            world.get_message(id, include_deleted)
        }
        Route::QueryMembers => world.query_members(&request.payload()?),
        Route::ListCallTypes => Ok(world.list_call_types()),
        Route::CreateCallType => world.create_call_type(request.body()?, now),
        Route::GetCallType(name) => world.get_call_type(name),
        Route::UpdateCallType(name) => world.update_call_type(name, request.body()?, now),
        Route::DeleteCallType(name) => world.delete_call_type(name),
        Route::GetOrCreateCall(cid) => world.get_or_create_call(cid, request.body()?, now),
        Route::GetCall(cid) => {
            world.signal_members(cid, call_signals(&request.query)?, now)?;
            world.get_call(cid, request.query.get_usize("members_limit")?)
        }
        Route::UpdateCall(cid) => world.update_call(cid, request.body()?, now),
        Route::JoinCall(_) | Route::AcceptCall(_) | Route::RejectCall(_) => {
            Err(StreamError::invalid_input("a server token is not allowed: use a user token"))
        }
        Route::RingCall(cid) => world.ring_call(None, cid, &request.body()?, now),
        Route::UpdateCallMembers(cid) => world.update_call_members(cid, request.body()?, now),
        Route::StartRecording(cid) => world.start_recording(cid, now),
        Route::StopRecording(cid) => world.stop_recording(cid, now),
        Route::EndCall(cid) => world.end_call(cid, now),
        Route::DeleteCall(cid) => world.delete_call(cid, &request.body()?, now),
        Route::QueryCalls => world.query_calls(&request.body()?),
        Route::GetCallReport(cid) => world.get_call_report(cid, request.query.get("session_id")),
        Route::QueryCallStats => world.query_call_stats(&request.body()?),
        Route::QueryCallSessionStats => world.query_call_session_stats(&request.body()?, now),
        Route::QueryCallSessionParticipantStats(cid, session) => {
            world.participant_stats(cid, session, &StatsPage::from_query(&request.query)?)
        }
        Route::QueryCallParticipantSessions(cid, session) => {
            world.participant_sessions(cid, session, &StatsPage::from_query(&request.query)?, now)
        }
        route => dispatch_chat_for_server(world, route, request, now),
    }
}

/// The operations of a server on what mostly clients use.
fn dispatch_chat_for_server(
    world: &mut World,
    route: &Route,
    request: &ApiRequest,
    now: Timestamp,
) -> Result<Value, StreamError> {
    let query = &request.query;
    let named_user = || query.get_owned("user_id");
    match route {
        Route::RestoreUsers => world.restore_users(&request.body()?, now),
        Route::DeleteUser(id) => world.delete_user_v1(&DeleteUsers::from_v1(id, query)?, now),
        Route::BlockUsers => world.block_user(None, request.body()?, now),
        Route::UnblockUsers => world.unblock_user(None, request.body()?),
        Route::GetBlockedUsers => world.list_blocked_users(None, named_user()),
        Route::Mute => world.mute_users(None, request.body()?, now),
        Route::Unmute => world.unmute_users(None, request.body()?, now),
        Route::Flag => world.flag(None, request.body()?, now),
        Route::MuteChannel => world.mute_channels(None, request.body()?, now),
        Route::UnmuteChannel => world.unmute_channels(None, request.body()?, now),
        Route::GetOrCreateDistinctChannel(kind) => {
            world.get_or_create_distinct_channel(kind, request.body()?, now)
        }
        Route::HideChannel(cid) => world.hide_channel(None, cid, request.body()?, now),
        Route::ShowChannel(cid) => world.show_channel(None, cid, request.body()?, now),
        Route::StopWatchingChannel(_) => Ok(json!({})),
        Route::MarkRead(cid) => world.mark_read(None, cid, request.body()?, now),
        Route::MarkUnread(cid) => world.mark_unread(None, cid, request.body()?, now),
        Route::MarkChannelsRead => world.mark_channels_read(None, request.body()?, now),
        Route::SendEvent(cid) => world.send_event(None, cid, request.body()?, now),
        Route::UpdateMemberPartial(cid, user_id) => {
            let user_id = user_id.clone().or_else(named_user);
            let user_id =
                user_id.ok_or_else(|| StreamError::invalid_input("user_id is a required field"))?;
            world.update_member_partial(cid, &user_id, request.body()?, now)
        }
        Route::GetManyMessages(cid) => {
            world.get_messages(None, cid, query.get("ids").unwrap_or_default())
        }
        Route::GetPinnedMessages(cid) => {
            world.get_pinned_messages(None, cid, &request.payload()?, now)
        }
        Route::UpdateMessage(id) => world.update_message(None, id, request.body()?, now),
        Route::UpdateMessagePartial(id) => {
            world.update_message_partial(None, id, request.body()?, now)
        }
        Route::DeleteMessage(id) => {
            world.delete_message(None, id, DeleteMessage::from_query(query)?, now)
        }
        Route::UndeleteMessage(id) => world.undelete_message(id, request.body()?, now),
        Route::SendReaction(id) => world.send_reaction(None, id, request.body()?, now),
        Route::DeleteReaction(id, kind) => world.delete_reaction(None, id, kind, named_user(), now),
        Route::GetReactions(id) => {
            world.get_reactions(id, query.get_usize("limit")?, query.get_usize("offset")?)
        }
        Route::GetReplies(id) => world.get_replies(None, id, &MessagePage::of_replies(query)?),
        Route::Search => world.search_messages(None, &request.payload()?, |_| true),
        Route::UnreadCounts => world.get_unread(None, named_user()),
        route => dispatch_video_for_server(world, route, request, now),
    }
}

fn dispatch_video_for_server(
    world: &mut World,
    route: &Route,
    request: &ApiRequest,
    now: Timestamp,
) -> Result<Value, StreamError> {
    match route {
        Route::GetCallRingState(cid) => {
            world.get_ring_state(cid, request.query.get("call_session_id"))
        }
        Route::SendCallEvent(cid) => world.send_call_event(None, cid, request.body()?, now),
        Route::SendVideoReaction(cid) => world.send_call_reaction(None, cid, request.body()?, now),
        Route::QueryCallMembers => world.query_call_members(&request.body()?),
        Route::BlockUser(cid) => world.block_call_user(None, cid, &request.body()?, now),
        Route::UnblockUser(cid) => world.unblock_call_user(cid, &request.body()?, now),
        Route::KickUser(cid) => world.kick_call_user(None, cid, request.body()?, now),
        Route::MuteUsers(cid) => world.mute_call_users(None, cid, request.body()?, now),
        Route::ReportClientEvents => Ok(json!({})),
        route => Err(not_dispatched(route)),
    }
}

/// The error of a route that no operation of the caller has.
fn not_dispatched(route: &Route) -> StreamError {
    match route {
        Route::NotEmulated(feature) => StreamError::not_emulated(feature),
        Route::Sync => StreamError::not_emulated("sync for servers"),
        Route::Unknown => StreamError::not_found("this path does not exist, or is not emulated"),
        _ => StreamError::invalid_input("a server token is not allowed: use a user token"),
    }
}

/// The signals to the members of a call in the query of a GET.
fn call_signals(query: &Query) -> Result<CallSignals, StreamError> {
    Ok(CallSignals {
        ring: query.get_bool("ring")?.unwrap_or_default(),
        notify: query.get_bool("notify")?.unwrap_or_default(),
        video: query.get_bool("video")?,
    })
}

fn dispatch_for_user(
    world: &mut World,
    request: &ApiRequest,
    user: &TokenUser,
    now: Timestamp,
) -> Result<Value, StreamError> {
    let mut client = world.client(user, now);
    match &request.route {
        Route::CreateDevice => client.create_device(request.body()?),
        Route::ListDevices => client.list_devices(DeviceQuery::from_query(&request.query)),
        Route::DeleteDevice => client.delete_device(DeviceQuery::from_query(&request.query)),
        Route::GetOrCreateChannel(cid) => client.get_or_create_channel(cid, request.body()?),
        Route::QueryChannels => client.query_channels(&request.body()?),
        Route::UpdateChannel(cid) => client.update_channel(cid, request.body()?),
        Route::UpdateChannelPartial(cid) => client.update_channel_partial(cid, request.body()?),
        Route::TruncateChannel(cid) => client.truncate_channel(cid, request.body()?),
        Route::DeleteChannel(cid) => client.delete_channel(cid),
        Route::SendMessage(cid) => client.send_message(cid, request.body()?),
        Route::GetOrCreateCall(cid) => client.get_or_create_call(cid, request.body()?),
        Route::GetCall(cid) => {
            let members_limit = request.query.get_usize("members_limit")?;
            client.get_call(cid, members_limit, call_signals(&request.query)?)
        }
        Route::UpdateCall(cid) => client.update_call(cid, request.body()?),
        Route::JoinCall(cid) => {
            let connection_id = request.query.get("connection_id");
            client.join_call(cid, request.body()?, &request.host, connection_id)
        }
        Route::AcceptCall(cid) => client.accept_call(cid),
        Route::RejectCall(cid) => client.reject_call(cid, &request.body()?),
        Route::RingCall(cid) => client.ring_call(cid, &request.body()?),
        Route::UpdateCallMembers(cid) => client.update_call_members(cid, request.body()?),
        Route::StartRecording(cid) => client.start_recording(cid),
        Route::StopRecording(cid) => client.stop_recording(cid),
        Route::EndCall(cid) => client.end_call(cid),
        Route::QueryCalls => client.query_calls(&request.body()?),
        route => dispatch_chat_for_user(&mut client, route, request),
    }
}

fn dispatch_chat_for_user(
    client: &mut Client<'_>,
    route: &Route,
    request: &ApiRequest,
) -> Result<Value, StreamError> {
    let query = &request.query;
    match route {
        Route::GetApp => Ok(client.get_app()),
        Route::UpdateUsers => client.upsert_users(request.body()?),
        Route::UpdateUsersPartial => client.update_users_partial(request.body()?),
        Route::QueryUsers => client.query_users(&request.payload()?),
        Route::BlockUsers => client.block_user(request.body()?),
        Route::UnblockUsers => client.unblock_user(request.body()?),
        Route::GetBlockedUsers => client.list_blocked_users(),
        Route::Mute => client.mute_users(request.body()?),
        Route::Unmute => client.unmute_users(request.body()?),
        Route::Flag => client.flag(request.body()?),
        Route::Ban => client.ban(request.body()?),
        Route::Unban => client.unban(&UnbanUser::from_query(query)?),
        Route::MuteChannel => client.mute_channels(request.body()?),
        Route::UnmuteChannel => client.unmute_channels(request.body()?),
        Route::GetOrCreateDistinctChannel(kind) => {
            client.get_or_create_distinct_channel(kind, request.body()?)
        }
        Route::GetChannel(cid) => client.get_channel(cid, &ChannelStateOptions::from_query(query)?),
        Route::HideChannel(cid) => client.hide_channel(cid, request.body()?),
        Route::ShowChannel(cid) => client.show_channel(cid, request.body()?),
        Route::StopWatchingChannel(cid) => client.stop_watching(cid),
        Route::MarkRead(cid) => client.mark_read(cid, request.body()?),
        Route::MarkUnread(cid) => client.mark_unread(cid, request.body()?),
        Route::MarkChannelsRead => client.mark_channels_read(request.body()?),
        Route::SendEvent(cid) => client.send_event(cid, request.body()?),
        Route::QueryMembers => client.query_members(&request.payload()?),
        Route::UpdateMemberPartial(cid, user_id) => {
            client.update_member_partial(cid, user_id.as_deref(), request.body()?)
        }
        Route::GetMessage(id) => client.get_message(id),
        Route::GetManyMessages(cid) => {
            client.get_messages(cid, query.get("ids").unwrap_or_default())
        }
        Route::GetPinnedMessages(cid) => client.get_pinned_messages(cid, &request.payload()?),
        Route::UpdateMessage(id) => client.update_message(id, request.body()?),
        Route::UpdateMessagePartial(id) => client.update_message_partial(id, request.body()?),
        Route::DeleteMessage(id) => client.delete_message(id, DeleteMessage::from_query(query)?),
        Route::SendReaction(id) => client.send_reaction(id, request.body()?),
        Route::DeleteReaction(id, kind) => client.delete_reaction(id, kind),
        Route::GetReactions(id) => {
            client.get_reactions(id, query.get_usize("limit")?, query.get_usize("offset")?)
        }
        Route::GetReplies(id) => client.get_replies(id, &MessagePage::of_replies(query)?),
        Route::Search => client.search_messages(&request.payload()?),
        Route::UnreadCounts => client.get_unread(),
        route => dispatch_video_for_user(client, route, request),
    }
}

fn dispatch_video_for_user(
    client: &mut Client<'_>,
    route: &Route,
    request: &ApiRequest,
) -> Result<Value, StreamError> {
    match route {
        Route::GetCallRingState(cid) => {
            client.get_ring_state(cid, request.query.get("call_session_id"))
        }
        Route::SendCallEvent(cid) => client.send_call_event(cid, request.body()?),
        Route::SendVideoReaction(cid) => client.send_call_reaction(cid, request.body()?),
        Route::QueryCallMembers => client.query_call_members(&request.body()?),
        Route::CollectUserFeedback(cid) => client.collect_feedback(cid, &request.body()?),
        Route::BlockUser(cid) => client.block_call_user(cid, &request.body()?),
        Route::UnblockUser(cid) => client.unblock_call_user(cid, &request.body()?),
        Route::KickUser(cid) => client.kick_call_user(cid, request.body()?),
        Route::MuteUsers(cid) => client.mute_call_users(cid, request.body()?),
        Route::ReportClientEvents => Ok(json!({})),
        Route::NotEmulated(_) | Route::Unknown => Err(not_dispatched(route)),
        _ => Err(StreamError::forbidden("a user token is not allowed: use a server token")),
    }
}

/// The events that a client missed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncRequest {
    channel_cids: Vec<String>,
    last_sync_at: String,
    with_inaccessible_cids: Option<bool>,
    watch: Option<bool>,
}

/// The events of channels after an instant that the user may receive, in order. The request decides
/// whether the response has the channels that the user cannot read.
fn sync(
    inner: &mut Inner,
    request: &SyncRequest,
    user: &TokenUser,
    now: Timestamp,
) -> Result<Value, StreamError> {
    if request.watch == Some(true) {
        return Err(StreamError::not_emulated("watch of sync"));
    }
    let last_sync_at = Timestamp::parse(&request.last_sync_at)
        .ok_or_else(|| StreamError::invalid_input("last_sync_at is not an RFC 3339 time"))?;
    let Inner { world, events, .. } = inner;
    let client = world.client(user, now);
    let (readable, inaccessible): (Vec<&String>, Vec<&String>) =
        request.channel_cids.iter().partition(|cid| client.can_read_channel(cid));
    let mut missed: Vec<_> =
        readable.iter().flat_map(|cid| events.of_cid_after(cid, last_sync_at)).collect();
    missed.sort_by_key(|logged| logged.sequence);
    let missed = missed.iter().filter(|logged| may_receive(&logged.event, user.id(), world));
    let missed: Vec<Value> = missed.map(|logged| without_request_info(&logged.event)).collect();
    let mut response = json!({ "events": missed });
    if request.with_inaccessible_cids == Some(true) {
        response["inaccessible_cids"] = json!(inaccessible);
    }
    Ok(response)
}

/// An event as clients get it.
fn without_request_info(event: &Value) -> Value {
    let mut event = event.clone();
    if let Value::Object(fields) = &mut event {
        fields.remove("request_info");
    }
    event
}

/// The rate-limit status of the operations in `endpoints`, or of all operations without it.
fn rate_limits(windows: &RateWindows, query: &Query, now: Timestamp) -> Value {
    let requested: Option<Vec<&str>> =
        query.get("endpoints").map(|names| names.split(',').collect());
    let limits: Map<String, Value> = Operation::ALL
        .iter()
        .filter(|operation| **operation != Operation::Unknown)
        .filter(|operation| {
            requested.as_ref().is_none_or(|names| names.contains(&operation.as_str()))
        })
        .map(|operation| (operation.to_string(), json!(windows.status(*operation, now))))
        .collect();
    json!({ "server_side": limits })
}
