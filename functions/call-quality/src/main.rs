//! `GET /api/stream/call/quality/{callId}`: how good a call is or was, and nothing made up; as
//! numbers or as a picture.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::{ApiError, Code};
use shared::http::{self, Accept, Path, Query, Reply, Respond, Svg};
use shared::ids::CallId;
use shared::quality::picture::{self, Width};
use shared::quality::{Quality, Readings};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, call_quality)
}

struct Deps {
    readings: Readings,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { readings: world.readings(stream) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    format: Option<Format>,
    #[serde(default)]
    width: Width,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Svg,
}

#[derive(Serialize)]
struct Numbers {
    quality: Quality,
}

enum Answer {
    Numbers(Reply<Numbers>),
    Picture(Svg),
}

impl Respond for Answer {
    fn respond(&self) -> Result<http::Answer, ApiError> {
        match self {
            Self::Numbers(reply) => reply.respond(),
            Self::Picture(picture) => picture.respond(),
        }
    }
}

async fn call_quality(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Path(id): Path<CallId>,
    Query(ask): Query<Ask>,
    accept: Accept,
) -> Result<Answer, ApiError> {
    let named = if accept.prefers("image/svg+xml") { Format::Svg } else { Format::Json };
    let quality = deps.readings.of(&caller, &id, deadline).await?;
    Ok(match ask.format.unwrap_or(named) {
        Format::Json => Answer::Numbers(Reply::ok("Call quality", Numbers { quality })),
        Format::Svg => {
            let drawn = picture::svg(&quality, ask.width)
                .map_err(|error| ApiError::plain(Code::Internal).with_source(error))?;
            Answer::Picture(Svg(drawn))
        }
    })
}
