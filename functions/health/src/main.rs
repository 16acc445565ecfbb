//! `GET /api/stream/health`: whether the deployment is alive and configured. It needs no token, so it
//! returns nothing else.

use std::process::ExitCode;

use serde::Serialize;
use shared::auth::Caller;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::http::{self, ApiResponse, Authenticate, Public};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, get_health)
}

struct State;

impl State {
    /// Fails if another function could not start: an invalid variable or secret.
    fn new(context: &AppContext) -> Result<Self, StartError> {
        context.require_stream()?;
        Caller::load_credentials(context)?;
        Ok(Self)
    }
}

#[derive(Serialize)]
struct Response {}

async fn get_health(_: &State, _: Public) -> Result<ApiResponse<Response>, ApiError> {
    Ok(ApiResponse::ok("Healthy", Response {}))
}
