//! `GET /api/stream/message/{channelId}`: the chat of an active call, newest page first.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Deserialize;
use shared::auth::Caller;
use shared::calls::dynamo::DynamoCalls;
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::{ApiError, Code};
use shared::http::{self, Path, Query, Reply};
use shared::ids::{ChannelId, MessageCursor};
use shared::messages::{Messages, Page};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(Deps::new, list_messages)
}

struct Deps {
    messages: Messages,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self {
            messages: Messages {
                calls: Arc::new(DynamoCalls::new(world.table.clone())),
                stream: stream.stream.clone(),
            },
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    limit: Option<u8>,
    before: Option<MessageCursor>,
}

async fn list_messages(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Path(channel): Path<ChannelId>,
    Query(ask): Query<Ask>,
) -> Result<Reply<Page>, ApiError> {
    let limit = ask.limit.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::new(Code::InvalidQuery, "limit must be 1 to 100"));
    }
    let page = deps.messages.list(&caller, &channel, limit, ask.before.as_ref(), deadline).await?;
    Ok(Reply::ok("Messages", page))
}
