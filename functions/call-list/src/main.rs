//! `GET /api/stream/call`: returns the caller's calls, the open ones first and the newest first.

use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use shared::auth::Caller;
use shared::calls::timeouts;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::history::{Cursor, HistoryPage, HistoryService, PageLimit, StateFilter};
use shared::http::{self, ApiResponse, Query};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, list_calls)
}

struct State {
    history: HistoryService,
    max_duration: Duration,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        context.require_stream()?;
        let max_duration = timeouts::max_duration(&context.env)?;
        Ok(Self { history: context.history_service(), max_duration })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    state: Option<StateFilter>,
    #[serde(default)]
    limit: PageLimit,
    cursor: Option<Cursor>,
}

async fn list_calls(
    state: &State,
    caller: Caller,
    Query(params): Query<Params>,
) -> Result<ApiResponse<HistoryPage>, ApiError> {
    let Params { state: filter, limit, cursor } = params;
    let page =
        state.history.list(&caller, filter, cursor.as_ref(), limit, state.max_duration).await?;
    Ok(ApiResponse::ok("Calls", page))
}
