//! `POST /api/stream/webhook`: what Stream tells of calls and users, signed by Stream.

use std::process::ExitCode;

use shared::calls::Hearing;
use shared::config::ConfigError;
use shared::error::{ApiError, Code};
use shared::http::{self, Reply, Signed};
use shared::stream::event::Event;
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, hear)
}

struct Deps {
    hearing: Hearing,
}

impl Deps {
    fn new(world: &World, _: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { hearing: world.hearing()? })
    }
}

/// Answers once what the event tells is written down. A failure of ours is a 5xx, after which
/// Stream sends the event again; an event that cannot be read would be the same a second time.
async fn hear(deps: &Deps, Signed(body): Signed) -> Result<Reply<()>, ApiError> {
    let event = Event::read(&body)
        .map_err(|error| ApiError::plain(Code::InvalidJson).with_source(error))?;
    deps.hearing.hear(event).await?;
    Ok(Reply::ok("Heard", ()))
}
