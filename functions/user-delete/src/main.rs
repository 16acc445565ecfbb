//! `DELETE /api/stream/user/{userId}`: deletes the caller, here and at Stream. A service may name
//! any user.

use std::process::ExitCode;

use serde::Serialize;
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::erasure::{ErasureService, ErasureStatus};
use shared::error::ApiError;
use shared::http::{self, ApiResponse, Path};
use shared::ids::UserId;

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, delete_user)
}

struct State {
    erasures: ErasureService,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self { erasures: context.erasure_service()? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    user_id: UserId,
    status: ErasureStatus,
}

async fn delete_user(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Path(id): Path<UserId>,
) -> Result<ApiResponse<Response>, ApiError> {
    let user_id = caller.resolve_user(Some(id))?;
    let status = state.erasures.erase(&user_id, deadline).await?;
    let response = Response { user_id, status };
    Ok(match status {
        ErasureStatus::Deleted => ApiResponse::ok("User deleted", response),
        ErasureStatus::Deleting => ApiResponse::accepted("User is being deleted", response),
    })
}
