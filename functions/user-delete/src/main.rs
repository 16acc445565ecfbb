//! `DELETE /api/stream/user/{userId}`: the end of a user, here and at Stream; one's own, or as a
//! service anybody's.

use std::process::ExitCode;

use serde::Serialize;
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::erasure::{Erasures, Progress};
use shared::error::ApiError;
use shared::http::{self, Path, Reply};
use shared::ids::UserId;
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, delete_user)
}

struct Deps {
    erasures: Erasures,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { erasures: world.erasures(stream) })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    user_id: UserId,
    status: Progress,
}

async fn delete_user(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Path(id): Path<UserId>,
) -> Result<Reply<Answer>, ApiError> {
    let user_id = caller.acting_for(Some(id))?;
    let status = deps.erasures.erase(&user_id, deadline).await?;
    let answer = Answer { user_id, status };
    Ok(match status {
        Progress::Deleted => Reply::ok("User deleted", answer),
        Progress::Deleting => Reply::accepted("User is being deleted", answer),
    })
}
