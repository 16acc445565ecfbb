//! `POST /api/stream/call/{callId}/extend`: changes the maximum duration of an active call. Only for
//! services.

use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use shared::auth::Caller;
use shared::calls::{CallExtender, CallResponse, ExtendCall, timeouts};
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::http::{self, ApiResponse, Json, Path};
use shared::ids::CallId;

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, extend_call)
}

struct State {
    calls: CallExtender,
    max_duration: Duration,
    inactivity_timeout: Duration,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self {
            calls: context.call_extender()?,
            max_duration: timeouts::max_duration(&context.env)?,
            inactivity_timeout: timeouts::inactivity_timeout(&context.env)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    max_duration_seconds: u64,
}

async fn extend_call(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Path(id): Path<CallId>,
    Json(request): Json<Request>,
) -> Result<ApiResponse<CallResponse>, ApiError> {
    caller.require_service("only a service may extend a call")?;
    let command = ExtendCall {
        max_duration_seconds: timeouts::check_max_duration(
            request.max_duration_seconds,
            state.max_duration,
        )?,
        inactivity_timeout: state.inactivity_timeout,
    };
    let call = state.calls.extend(&id, command, deadline).await?;
    Ok(ApiResponse::ok("Call extended", CallResponse::new(&call, state.max_duration)))
}
