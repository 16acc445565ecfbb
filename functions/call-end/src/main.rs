//! `POST /api/stream/call/end`: ends a call for all members and deletes its chat channel.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::calls::presence::round_to_seconds;
use shared::calls::{CallEnder, CallState, EndReason};
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::error::{ApiError, Code};
use shared::http::{self, ApiResponse, Json};
use shared::ids::{CallId, ChannelId};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, end_call)
}

struct State {
    calls: CallEnder,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self { calls: context.call_ender()? })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    call_id: Option<CallId>,
    channel_id: Option<ChannelId>,
    reason: Option<EndReason>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    call_id: CallId,
    channel_id: ChannelId,
    status: CallState,
    /// From the answer to the last moment with two users in.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
}

async fn end_call(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Json(request): Json<Request>,
) -> Result<ApiResponse<Response>, ApiError> {
    let id = resolve_call_id(request.call_id, request.channel_id)?;
    let reason = request.reason.unwrap_or_default();
    if reason.is_reserved() {
        let detail = "this reason is reserved; send another text";
        return Err(ApiError::invalid_field("/reason", detail));
    }
    let call = state.calls.end(&caller, &id, &reason, deadline).await?;
    let response = Response {
        duration_seconds: call.duration().map(round_to_seconds),
        channel_id: call.call_id.channel(),
        status: call.state,
        call_id: call.call_id,
    };
    Ok(if response.status == CallState::Ended {
        ApiResponse::ok("Call ended", response)
    } else {
        ApiResponse::accepted("Call is ending", response)
    })
}

/// The call id from `callId`, from `channelId`, or from both if they match.
fn resolve_call_id(
    call_id: Option<CallId>,
    channel_id: Option<ChannelId>,
) -> Result<CallId, ApiError> {
    match (call_id, channel_id) {
        (Some(call), Some(channel)) if channel.call() != &call => {
            Err(ApiError::from_code(Code::CallChannelMismatch))
        }
        (Some(call), _) => Ok(call),
        (None, Some(channel)) => Ok(channel.call().clone()),
        (None, None) => Err(ApiError::invalid_field("/callId", "callId or channelId is required")),
    }
}
