//! `GET /api/stream/message/{channelId}`: the chat of an active call, newest page first.

use std::process::ExitCode;

use serde::Deserialize;
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::http::{self, Path, Query, Reply};
use shared::ids::{ChannelId, MessageCursor};
use shared::messages::{Messages, Page, PageLimit};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, list_messages)
}

struct Deps {
    messages: Messages,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { messages: world.messages(stream) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[serde(default)]
    limit: PageLimit,
    before: Option<MessageCursor>,
}

async fn list_messages(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Path(channel): Path<ChannelId>,
    Query(ask): Query<Ask>,
) -> Result<Reply<Page>, ApiError> {
    let before = ask.before.as_ref();
    let page = deps.messages.list(&caller, &channel, ask.limit, before, deadline).await?;
    Ok(Reply::ok("Messages", page))
}
