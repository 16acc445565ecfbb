//! `POST /api/stream/token`: issues a short-lived Stream token for the caller. A service may name
//! any user.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::auth::{Caller, StreamRoleMap};
use shared::calls::{self, CallReader};
use shared::clock::{Deadline, Timestamp, rfc3339};
use shared::context::{AppContext, StartError};
use shared::error::{ApiError, FieldError};
use shared::fields::{DisplayName, ImageUrl};
use shared::http::{self, ApiResponse, Connections, Json};
use shared::ids::{CallId, UserId};
use shared::rate_limiter::{RateLimiter, Route};
use shared::tokens::{TokenLifetime, TokenSigner};
use shared::users::{self, ProfileChange, UnknownUserPolicy, UserService};

mod user_data;

use user_data::UserData;

fn main() -> ExitCode {
    let connections = Connections { table: 1, stream: 0 };
    http::serve_connected(env!("CARGO_PKG_NAME"), connections, State::new, create_token)
}

struct State {
    api_key: String,
    calls: Arc<dyn CallReader>,
    rate_limiter: RateLimiter,
    roles: StreamRoleMap,
    signer: TokenSigner,
    unknown_users: UnknownUserPolicy,
    users: UserService,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        let stream = context.require_stream()?;
        Ok(Self {
            api_key: stream.config.api_key.clone(),
            calls: context.call_reader(),
            rate_limiter: context.rate_limiter(Route::Token)?,
            roles: StreamRoleMap::from_env(&context.env)?,
            signer: TokenSigner::new(&stream.config.api_secret),
            unknown_users: UnknownUserPolicy::from_env(&context.env)?,
            users: context.user_service()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    user_id: Option<UserId>,
    /// Read by [`UserData::read`], which never fails: the profile must not cost the token.
    user_data: Option<Value>,
    ttl_seconds: Option<TokenLifetime>,
    /// Limits the token to this call.
    call_id: Option<CallId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    token: String,
    api_key: String,
    user_id: UserId,
    #[serde(serialize_with = "rfc3339")]
    expires_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    refresh_after: Timestamp,
    /// The parts of `userData` that were not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<FieldError>,
}

async fn create_token(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Json(request): Json<Request>,
) -> Result<ApiResponse<Response>, ApiError> {
    let id = caller.resolve_user(request.user_id)?;
    let permit = state.rate_limiter.check(&caller)?;
    let user_data = UserData::read(request.user_data);
    let change = ProfileChange {
        name: user_data.name.map(DisplayName::into_string),
        image: user_data.image.map(ImageUrl::into_string),
        role: users::role_for(&caller, &id, &state.roles),
        ..ProfileChange::default()
    };
    // The clock is read before the user, so that a concurrent revocation covers this token.
    let now = state.users.clock.now();
    let lookup = state.users.find_and_count(&id, permit);
    let (existing, cid) = match &request.call_id {
        Some(call) => {
            let call = calls::get_authorized(&*state.calls, call, |call| call.is_member(&id));
            let (existing, call) = join(lookup, call).await;
            // The rate limit and the account take precedence over the call's errors.
            let existing = existing?;
            if let Some(user) = &existing {
                user.account().require_active(now)?;
            }
            let call = call?;
            call.require_active()?;
            (existing, Some(call.cid()))
        }
        None => (lookup.await?, None),
    };
    let user = state
        .users
        .get_or_provision(&caller, &id, existing, &change, state.unknown_users, deadline)
        .await?;
    let lifetime = request.ttl_seconds.unwrap_or_default();
    let (cid, revoked_at) = (cid.as_ref(), user.revoked_at);
    let issued = state.signer.sign_user_token(&user.id, cid, now, lifetime, revoked_at)?;
    Ok(ApiResponse::ok(
        "Token created",
        Response {
            token: issued.token.expose_secret().to_owned(),
            api_key: state.api_key.clone(),
            user_id: user.id,
            expires_at: issued.expires_at,
            refresh_after: issued.refresh_after,
            ignored: user_data.ignored,
        },
    ))
}
