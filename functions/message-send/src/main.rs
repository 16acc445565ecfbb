//! `POST /api/stream/message/send`: a message from the caller to the chat of an active call.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::fields::MessageText;
use shared::http::{self, Json, Reply};
use shared::ids::{ChannelId, MessageId};
use shared::limits::{Limit, Route};
use shared::messages::{Message, Messages};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, send_message)
}

struct Deps {
    limit: Limit,
    messages: Messages,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { limit: world.limit(Route::MessageSend)?, messages: world.messages(stream) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Ask {
    channel_id: ChannelId,
    message: MessageText,
    message_id: Option<MessageId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    message_data: Message,
}

async fn send_message(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Json(ask): Json<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let Ask { channel_id, message, message_id } = ask;
    let id = message_id.unwrap_or_else(|| deps.messages.fresh_id());
    let admission = deps.limit.admission(&caller)?;
    let message_data =
        deps.messages.send(&caller, &channel_id, &id, &message, admission, deadline).await?;
    Ok(Reply::ok("Message sent", Answer { message_data }))
}
