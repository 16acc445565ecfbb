//! `GET /api/stream/call/{callId}`: what state a call is in, for an app that comes back.

use std::process::ExitCode;
use std::sync::Arc;

use shared::auth::Caller;
use shared::calls::{self, CallStore, CallView};
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::http::{self, Path, Reply};
use shared::ids::CallId;
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, get_call)
}

struct Deps {
    calls: Arc<dyn CallStore>,
}

impl Deps {
    fn new(world: &World, _: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { calls: world.call_store() })
    }
}

async fn get_call(
    deps: &Deps,
    caller: Caller,
    Path(id): Path<CallId>,
) -> Result<Reply<CallView>, ApiError> {
    let call = calls::find(&*deps.calls, &id, |call| call.may_be_ended_by(&caller)).await?;
    Ok(Reply::ok("Call", call.into()))
}
