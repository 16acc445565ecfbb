//! `POST /api/stream/user/upsert`: creates or updates the caller's profile at Stream. A service may
//! name any user.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::{Caller, StreamRoleMap};
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::fields::{CustomData, DisplayName, ImageUrl, Language};
use shared::http::{self, ApiResponse, Json};
use shared::ids::UserId;
use shared::rate_limiter::{RateLimiter, Route};
use shared::users::{self, FieldPatch, Profile, ProfileChange, ProfileWriter, UserService};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, upsert_user)
}

struct State {
    rate_limiter: RateLimiter,
    roles: StreamRoleMap,
    users: UserService,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self {
            rate_limiter: context.rate_limiter(Route::UserUpsert)?,
            roles: StreamRoleMap::from_env(&context.env)?,
            users: context.user_service()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    user_id: Option<UserId>,
    user_data: UserData,
}

/// An omitted field keeps its value, and `null` removes it (RFC 7396).
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a JSON object")]
struct UserData {
    name: FieldPatch<DisplayName>,
    image: FieldPatch<ImageUrl>,
    language: FieldPatch<Language>,
    custom: FieldPatch<CustomData>,
}

#[derive(Serialize)]
struct Response {
    user: UserResponse,
}

#[derive(Serialize)]
struct UserResponse {
    id: UserId,
    #[serde(flatten)]
    profile: Profile,
}

async fn upsert_user(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Json(request): Json<Request>,
) -> Result<ApiResponse<Response>, ApiError> {
    let id = caller.resolve_user(request.user_id)?;
    let change = ProfileChange {
        name: request.user_data.name.map(DisplayName::into_string),
        image: request.user_data.image.map(ImageUrl::into_string),
        language: request.user_data.language.map(Language::into_string),
        custom: request.user_data.custom.map(CustomData::into_map),
        role: users::role_for(&caller, &id, &state.roles),
    };
    let writer = if caller.is_service { ProfileWriter::Service } else { ProfileWriter::User };
    let permit = state.rate_limiter.check(&caller)?;
    let user = state.users.upsert(&id, &change, writer, permit, deadline).await?;
    Ok(ApiResponse::ok(
        "User saved",
        Response { user: UserResponse { id: user.id, profile: user.profile } },
    ))
}
