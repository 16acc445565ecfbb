//! Routes each request to an operation of the world. A server token permits every operation but
//! those of a participant. A user token permits some operations, as far as the grants allow.

use serde_json::{Map, Value, json};

use crate::error::StreamError;
use crate::operation::Operation;
use crate::rate_limit::RateWindows;
use crate::request::{ApiRequest, Query};
use crate::route::Route;
use crate::state::Inner;
use crate::timestamp::Timestamp;
use crate::world::{
    ChannelStateOptions, DeviceQuery, StatsPage, TokenUser, UnbanUser, World, list_roles,
};

/// The holder of the token of a request.
#[derive(Debug)]
pub(crate) enum Caller {
    Server,
    User(TokenUser),
}

pub(crate) fn dispatch(
    inner: &mut Inner,
    request: &ApiRequest,
    caller: &Caller,
    now: Timestamp,
) -> Result<Value, StreamError> {
    match caller {
        Caller::Server => dispatch_for_server(inner, request, now),
        Caller::User(user) => dispatch_for_user(&mut inner.world, request, user, now),
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
        Route::QueryChannels => world.query_channels(&request.body()?),
        Route::GetChannel(cid) => {
            world.get_channel(cid, &ChannelStateOptions::from_query(&request.query)?)
        }
        Route::UpdateChannel(cid) => world.update_channel(cid, request.body()?, now),
        Route::UpdateChannelPartial(cid) => world.update_channel_partial(cid, request.body()?, now),
        Route::TruncateChannel(cid) => world.truncate_channel(cid, now),
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
        Route::GetCall(cid) => world.get_call(cid, request.query.get_usize("members_limit")?),
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
        Route::Unknown => Err(StreamError::not_found("this path does not exist")),
    }
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
        Route::TruncateChannel(cid) => client.truncate_channel(cid),
        Route::DeleteChannel(cid) => client.delete_channel(cid),
        Route::SendMessage(cid) => client.send_message(cid, request.body()?),
        Route::GetOrCreateCall(cid) => client.get_or_create_call(cid, request.body()?),
        Route::GetCall(cid) => client.get_call(cid, request.query.get_usize("members_limit")?),
        Route::UpdateCall(cid) => client.update_call(cid, request.body()?),
        Route::JoinCall(cid) => client.join_call(cid, &request.body()?),
        Route::AcceptCall(cid) => client.accept_call(cid),
        Route::RejectCall(cid) => client.reject_call(cid, &request.body()?),
        Route::RingCall(cid) => client.ring_call(cid, &request.body()?),
        Route::UpdateCallMembers(cid) => client.update_call_members(cid, request.body()?),
        Route::StartRecording(cid) => client.start_recording(cid),
        Route::StopRecording(cid) => client.stop_recording(cid),
        Route::EndCall(cid) => client.end_call(cid),
        Route::QueryCalls => client.query_calls(&request.body()?),
        _ => Err(StreamError::forbidden("a user token is not allowed: use a server token")),
    }
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
