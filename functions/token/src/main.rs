//! `POST /api/stream/token`: a short-lived Stream token for the signed-in caller, and nobody else.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join;
use serde::{Deserialize, Serialize};
use shared::auth::{Caller, StreamRoles};
use shared::calls::{self, CallStore};
use shared::clock::{Deadline, Timestamp, rfc3339};
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::fields::{DisplayName, ImageUrl};
use shared::http::{self, Json, Reply};
use shared::ids::{CallId, UserId};
use shared::limits::{Limit, Route};
use shared::tokens::{TokenLife, TokenSigner};
use shared::users::{self, ProfileChange, UnknownUsers, Users};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, create_token)
}

struct Deps {
    api_key: String,
    calls: Arc<dyn CallStore>,
    limit: Limit,
    roles: StreamRoles,
    signer: TokenSigner,
    unknown: UnknownUsers,
    users: Users,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self {
            api_key: stream.config.api_key.clone(),
            calls: world.call_store(),
            limit: world.limit(Route::Token)?,
            roles: StreamRoles::from_env(&world.env)?,
            signer: TokenSigner::new(&stream.config.api_secret),
            unknown: UnknownUsers::from_env(&world.env)?,
            users: world.users(stream),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Ask {
    user_id: Option<UserId>,
    user_data: Option<UserData>,
    ttl_seconds: Option<TokenLife>,
    /// The one call that the token is for.
    call_id: Option<CallId>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct UserData {
    name: Option<DisplayName>,
    image: Option<ImageUrl>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    token: String,
    api_key: String,
    user_id: UserId,
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    refresh_after: Timestamp,
}

async fn create_token(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Json(ask): Json<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let id = caller.acting_for(ask.user_id)?;
    let admission = deps.limit.admission(&caller)?;
    let data = ask.user_data.unwrap_or_default();
    let change = ProfileChange {
        name: data.name.map(DisplayName::into_string),
        image: data.image.map(ImageUrl::into_string),
        role: users::role_for(&caller, &id, &deps.roles),
        ..ProfileChange::default()
    };
    // Read before the user is: a token counts among those that a revocation meanwhile revokes.
    let now = deps.users.clock.now();
    let found = deps.users.find_counted(&id, admission);
    let found = match &ask.call_id {
        Some(call) => {
            let call = calls::find(&*deps.calls, call, |call| call.has(&id));
            let (found, call) = join(found, call).await;
            // Who has asked too often hears that first.
            let found = found?;
            call?.require_active()?;
            found
        }
        None => found.await?,
    };
    let user =
        deps.users.known_or_provision(&caller, &id, found, &change, deps.unknown, deadline).await?;
    let life = ask.ttl_seconds.unwrap_or_default();
    let call = ask.call_id.as_ref();
    let made = deps.signer.user_token(&user.id, call, now, life, user.revoked_at)?;
    Ok(Reply::ok(
        "Token created",
        Answer {
            token: made.token.expose().to_owned(),
            api_key: deps.api_key.clone(),
            user_id: user.id,
            expires_at: made.expires_at,
            refresh_after: made.refresh_after,
        },
    ))
}
