//! `POST /api/stream/message/send`: a message from the caller to the chat of an active call.

use std::process::ExitCode;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::calls::dynamo::DynamoCalls;
use shared::clock::{Clock, Deadline};
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::fields::MessageText;
use shared::http::{self, Json, Reply};
use shared::ids::{ChannelId, MessageId};
use shared::messages::{Message, Messages};
use shared::random::Random;
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(Deps::new, send_message)
}

struct Deps {
    messages: Messages,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self {
            messages: Messages {
                calls: Arc::new(DynamoCalls::new(world.table.clone())),
                stream: stream.stream.clone(),
            },
            clock: world.clock.clone(),
            random: world.random.clone(),
        })
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
    // An id of our own makes our own repeats safe, too.
    let own = || MessageId::from_uuid(deps.random.uuid_v7(deps.clock.now()));
    let id = ask.message_id.unwrap_or_else(own);
    let message_data =
        deps.messages.send(&caller, &ask.channel_id, &id, &ask.message, deadline).await?;
    Ok(Reply::ok("Message sent", Answer { message_data }))
}
