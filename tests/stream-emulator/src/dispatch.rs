//! Routes each request to an operation of the world.

use serde_json::{Map, Value, json};

use crate::error::StreamError;
use crate::operation::Operation;
use crate::rate_limit::RateWindows;
use crate::request::{ApiRequest, Query};
use crate::route::Route;
use crate::state::Inner;
use crate::timestamp::Timestamp;
use crate::world::{ChannelStateOptions, StatsPage, UnbanUser, list_roles};

pub(crate) fn dispatch(
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
        Route::UpdateCallMembers(cid) => world.update_call_members(cid, request.body()?, now),
        Route::StartRecording(cid) => world.start_recording(cid, now),
        Route::StopRecording(cid) => world.stop_recording(cid, now),
        Route::EndCall(cid) => world.end_call(cid, now),
        Route::DeleteCall(cid) => world.delete_call(cid, &request.body()?, now),
        Route::QueryCalls => world.query_calls(&request.body()?),
        Route::GetCallReport(cid) => world.get_call_report(cid, request.query.get("session_id")),
        Route::QueryCallStats => world.query_call_stats(&request.body()?),
        Route::QueryCallSessionParticipantStats(cid, session) => {
            world.participant_stats(cid, session, &StatsPage::from_query(&request.query)?)
        }
        Route::Unknown => Err(StreamError::not_found("this path does not exist")),
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
