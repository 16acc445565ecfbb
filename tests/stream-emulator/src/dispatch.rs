//! From a route to the world's answer.

use serde_json::{Map, Value, json};

use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::operation::Operation;
use crate::rate::Windows;
use crate::request::{Ask, Query};
use crate::route::Route;
use crate::state::Inner;
use crate::world::{ChannelPart, StatsPage, list_roles};

pub(crate) fn dispatch(inner: &mut Inner, ask: &Ask, now: Moment) -> Result<Value, StreamFailure> {
    let world = &mut inner.world;
    match &ask.route {
        Route::GetApp => Ok(world.app().response()),
        Route::UpdateApp => world.update_app(ask.body()?, now),
        Route::GetRateLimits => Ok(rate_limits(&inner.windows, &ask.query, now)),
        Route::ListRoles => Ok(list_roles()),
        Route::GetTask(id) => world.get_task(id, now),
        Route::UpdateUsers => world.upsert_users(ask.body()?, now),
        Route::UpdateUsersPartial => world.update_users_partial(ask.body()?, now),
        Route::QueryUsers => world.query_users(&ask.payload()?),
        Route::DeactivateUser(id) => world.deactivate_user(id, &ask.body()?, now),
        Route::DeactivateUsers => world.deactivate_users(&ask.body()?, now),
        Route::ReactivateUser(id) => world.reactivate_user(id, ask.body()?, now),
        Route::ReactivateUsers => world.reactivate_users(&ask.body()?, now),
        Route::DeleteUsers => world.delete_users(&ask.body()?, now),
        Route::GetOrCreateChannel(cid) => world.get_or_create_channel(cid, ask.body()?, now),
        Route::QueryChannels => world.query_channels(&ask.body()?),
        Route::GetChannel(cid) => world.get_channel(cid, &ChannelPart::of(&ask.query)?),
        Route::UpdateChannel(cid) => world.update_channel(cid, ask.body()?, now),
        Route::DeleteChannel(cid) => world.delete_channel(cid, now),
        Route::DeleteChannels => world.delete_channels(&ask.body()?, now),
        Route::SendMessage(cid) => world.send_message(cid, ask.body()?, now),
        Route::GetMessage(id) => {
            let deleted_too = ask.query.flag("show_deleted_message")?.unwrap_or(false);
            world.get_message(id, deleted_too)
        }
        Route::QueryMembers => world.query_members(&ask.payload()?),
        Route::GetOrCreateCall(cid) => world.get_or_create_call(cid, ask.body()?, now),
        Route::GetCall(cid) => world.get_call(cid, ask.query.number("members_limit")?),
        Route::UpdateCall(cid) => world.update_call(cid, ask.body()?, now),
        Route::EndCall(cid) => world.end_call(cid, now),
        Route::DeleteCall(cid) => world.delete_call(cid, &ask.body()?, now),
        Route::QueryCalls => world.query_calls(&ask.body()?),
        Route::GetCallReport(cid) => world.get_call_report(cid, ask.query.get("session_id")),
        Route::QueryCallStats => world.query_call_stats(&ask.body()?),
        Route::QueryCallSessionParticipantStats(cid, session) => {
            world.participant_stats(cid, session, &StatsPage::of(&ask.query)?)
        }
        Route::Unknown => Err(StreamFailure::missing("this path does not exist")),
    }
}

/// What is left of the server's limits, for the endpoints asked for or for all of them.
fn rate_limits(windows: &Windows, query: &Query, now: Moment) -> Value {
    let wanted: Option<Vec<&str>> = query.get("endpoints").map(|names| names.split(',').collect());
    let limits: Map<String, Value> = Operation::ALL
        .iter()
        .filter(|operation| **operation != Operation::Unknown)
        .filter(|operation| wanted.as_ref().is_none_or(|names| names.contains(&operation.as_str())))
        .map(|operation| (operation.to_string(), json!(windows.left(*operation, now))))
        .collect();
    json!({ "server_side": limits })
}
