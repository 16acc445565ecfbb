//! `GET /api/stream/message/{channelId}`: returns the chat messages of an active call, the newest
//! page first.

use std::process::ExitCode;

use serde::Deserialize;
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::http::{self, ApiResponse, Connections, Path, Query};
use shared::ids::{ChannelId, MessageId};
use shared::messages::{MessagePage, MessageService, PageLimit};

fn main() -> ExitCode {
    let connections = Connections { table: 2, stream: 1 };
    http::serve_connected(env!("CARGO_PKG_NAME"), connections, State::new, list_messages)
}

struct State {
    messages: MessageService,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self { messages: context.message_service()? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    limit: PageLimit,
    before: Option<MessageId>,
}

async fn list_messages(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Path(channel): Path<ChannelId>,
    Query(params): Query<Params>,
) -> Result<ApiResponse<MessagePage>, ApiError> {
    let before = params.before.as_ref();
    let page = state.messages.list(&caller, &channel, params.limit, before, deadline).await?;
    Ok(ApiResponse::ok("Messages", page))
}
