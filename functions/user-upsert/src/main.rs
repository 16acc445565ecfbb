//! `POST /api/stream/user/upsert`: makes the caller known to Stream, or changes what others see.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::{Caller, StreamRoles};
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::fields::{Custom, DisplayName, ImageUrl, Language};
use shared::http::{self, Json, Reply};
use shared::ids::UserId;
use shared::users::{self, Profile, ProfileChange, Users};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, upsert_user)
}

struct Deps {
    roles: StreamRoles,
    users: Users,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { roles: StreamRoles::from_env(&world.env)?, users: world.users(stream) })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Ask {
    user_id: Option<UserId>,
    user_data: UserData,
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct UserData {
    name: Option<DisplayName>,
    image: Option<ImageUrl>,
    language: Option<Language>,
    custom: Option<Custom>,
}

#[derive(Serialize)]
struct Answer {
    user: Shown,
}

#[derive(Serialize)]
struct Shown {
    id: UserId,
    #[serde(flatten)]
    profile: Profile,
}

async fn upsert_user(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Json(ask): Json<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let id = caller.acting_for(ask.user_id)?;
    let change = ProfileChange {
        name: ask.user_data.name.map(DisplayName::into_string),
        image: ask.user_data.image.map(ImageUrl::into_string),
        language: ask.user_data.language.map(Language::into_string),
        custom: ask.user_data.custom.map(Custom::into_map),
        role: users::role_for(&caller, &id, &deps.roles),
    };
    if caller.service {
        deps.users.reactivate(&id, deadline).await?;
    }
    let user = deps.users.upsert(&id, &change, deadline).await?;
    Ok(Reply::ok("User saved", Answer { user: Shown { id: user.id, profile: user.profile } }))
}
