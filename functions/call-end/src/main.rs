//! `POST /api/stream/call/end`: ends a call for everybody in it and takes its channel away.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::calls::{CallState, Calls, EndReason};
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::{ApiError, Code};
use shared::http::{self, Json, Reply};
use shared::ids::{CallId, ChannelId};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, end_call)
}

struct Deps {
    calls: Calls,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { calls: world.calls(stream) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Ask {
    call_id: Option<CallId>,
    channel_id: Option<ChannelId>,
    reason: Option<EndReason>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    call_id: CallId,
    channel_id: ChannelId,
    status: CallState,
    /// From when the call was ready to be joined to when its end was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
}

async fn end_call(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Json(ask): Json<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let id = named(ask.call_id, ask.channel_id)?;
    let reason = ask.reason.unwrap_or_default();
    let call = deps.calls.end(&caller, &id, &reason, deadline).await?;
    let answer = Answer {
        duration_seconds: call.duration().map(|span| span.as_secs()),
        channel_id: call.call_id.channel(),
        status: call.state,
        call_id: call.call_id,
    };
    Ok(if answer.status == CallState::Ended {
        Reply::ok("Call ended", answer)
    } else {
        Reply::accepted("Call is ending", answer)
    })
}

/// The call that is meant, by its own id, its channel's, or both.
fn named(call: Option<CallId>, channel: Option<ChannelId>) -> Result<CallId, ApiError> {
    match (call, channel) {
        (Some(call), Some(channel)) if channel.call() != &call => {
            Err(ApiError::plain(Code::CallChannelMismatch))
        }
        (Some(call), _) => Ok(call),
        (None, Some(channel)) => Ok(channel.call().clone()),
        (None, None) => Err(ApiError::field("/callId", "callId or channelId is required")),
    }
}
