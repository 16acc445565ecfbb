//! `POST /api/stream/token/revoke`: revokes all Stream tokens and sessions of the caller, and removes
//! the caller's push devices at Stream. A service may name any user.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::clock::{Deadline, Timestamp, rfc3339};
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::http::{self, ApiResponse, Json};
use shared::ids::UserId;
use shared::rate_limiter::{RateLimiter, Route};
use shared::users::UserService;

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, revoke_tokens)
}

struct State {
    rate_limiter: RateLimiter,
    users: UserService,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self {
            rate_limiter: context.rate_limiter(Route::TokenRevoke)?,
            users: context.user_service()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    user_id: Option<UserId>,
    /// Whether the user's push devices are removed.
    #[serde(default = "default_devices")]
    devices: bool,
}

const fn default_devices() -> bool {
    true
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    user_id: UserId,
    #[serde(serialize_with = "rfc3339")]
    revoked_at: Timestamp,
    devices_removed: u32,
}

async fn revoke_tokens(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Json(request): Json<Request>,
) -> Result<ApiResponse<Response>, ApiError> {
    let user_id = caller.resolve_user(request.user_id)?;
    let permit = state.rate_limiter.check(&caller)?;
    let revoked_at = state.users.revoke(&user_id, permit, deadline).await?;
    let devices_removed =
        if request.devices { state.users.remove_devices(&user_id, deadline).await? } else { 0 };
    Ok(ApiResponse::ok("Tokens revoked", Response { user_id, revoked_at, devices_removed }))
}
