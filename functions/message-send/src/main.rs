//! `POST /api/stream/message/send`: sends a message from the caller to the chat of an active call.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::fields::MessageText;
use shared::http::{self, ApiResponse, Connections, Json};
use shared::ids::{ChannelId, MessageId};
use shared::messages::{Message, MessageService};
use shared::rate_limiter::{RateLimiter, Route};

fn main() -> ExitCode {
    let connections = Connections { table: 3, stream: 1 };
    http::serve_connected(env!("CARGO_PKG_NAME"), connections, State::new, send_message)
}

struct State {
    rate_limiter: RateLimiter,
    messages: MessageService,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self {
            messages: context.message_service()?,
            rate_limiter: context.rate_limiter(Route::MessageSend)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    channel_id: ChannelId,
    message: MessageText,
    message_id: Option<MessageId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    message_data: Message,
}

async fn send_message(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Json(request): Json<Request>,
) -> Result<ApiResponse<Response>, ApiError> {
    let Request { channel_id, message, message_id } = request;
    let id = message_id.unwrap_or_else(|| state.messages.generate_id());
    let permit = state.rate_limiter.check(&caller)?;
    let message_data =
        state.messages.send(&caller, &channel_id, &id, &message, permit, deadline).await?;
    Ok(ApiResponse::ok("Message sent", Response { message_data }))
}
