//! `GET /api/stream/call/{callId}`: returns a call, for example after an app restarts.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use shared::auth::Caller;
use shared::calls::{self, CallReader, CallResponse, timeouts};
use shared::clock::Clock;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::http::{self, ApiResponse, Path};
use shared::ids::CallId;
use shared::users::{self, AccountReader};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, get_call)
}

struct State {
    calls: Arc<dyn CallReader>,
    clock: Arc<dyn Clock>,
    accounts: Arc<dyn AccountReader>,
    max_duration: Duration,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        context.require_stream()?;
        Ok(Self {
            calls: context.call_reader(),
            clock: context.clock.clone(),
            accounts: context.account_reader(),
            max_duration: timeouts::max_duration(&context.env)?,
        })
    }
}

async fn get_call(
    state: &State,
    caller: Caller,
    Path(id): Path<CallId>,
) -> Result<ApiResponse<CallResponse>, ApiError> {
    let get_call = calls::get_authorized(&*state.calls, &id, |call| call.is_accessible_to(&caller));
    let now = state.clock.now();
    let call = users::require_active_alongside(&*state.accounts, &caller, now, get_call).await?;
    Ok(ApiResponse::ok("Call", CallResponse::new(&call, state.max_duration)))
}
