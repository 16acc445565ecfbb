//! `POST /api/stream/token/revoke`: the end of all Stream tokens of the caller, and of the sessions
//! that could get new ones; a service may revoke anybody's.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::clock::{Deadline, Timestamp, rfc3339};
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::http::{self, Json, Reply};
use shared::ids::UserId;
use shared::users::Users;
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, revoke_tokens)
}

struct Deps {
    users: Users,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { users: world.users(stream) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Ask {
    user_id: Option<UserId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    user_id: UserId,
    #[serde(serialize_with = "rfc3339")]
    revoked_at: Timestamp,
}

async fn revoke_tokens(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Json(ask): Json<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let user_id = caller.acting_for(ask.user_id)?;
    let revoked_at = deps.users.revoke(&user_id, deadline).await?;
    Ok(Reply::ok("Tokens revoked", Answer { user_id, revoked_at }))
}
