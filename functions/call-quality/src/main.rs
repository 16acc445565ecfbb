//! `GET /api/stream/call/quality/{callId}`: how good a call is or was, and nothing made up.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use shared::auth::Caller;
use shared::calls::{self, CallStore};
use shared::clock::{Clock, Deadline};
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::http::{self, Path, Reply};
use shared::ids::CallId;
use shared::quality::{self, Quality, StreamSource};
use shared::stream::ops::{GetCallReport, ListParticipantStats};
use shared::stream::{Stream, StreamError};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(Deps::new, call_quality)
}

struct Deps {
    calls: Arc<dyn CallStore>,
    stream: Stream,
    clock: Arc<dyn Clock>,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self {
            calls: world.call_store(),
            stream: stream.stream.clone(),
            clock: world.clock.clone(),
        })
    }
}

#[derive(Serialize)]
struct Answer {
    quality: Quality,
}

async fn call_quality(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    Path(id): Path<CallId>,
) -> Result<Reply<Answer>, ApiError> {
    let call = calls::find(&*deps.calls, &id, |call| call.may_be_ended_by(&caller)).await?;
    let source = from_stream(&deps.stream, &call.call_id, deadline).await?;
    let quality = quality::merge(call.call_id, source, deps.clock.now());
    Ok(Reply::ok("Call quality", Answer { quality }))
}

/// What Stream knows: nothing, before it has made its report.
async fn from_stream(
    stream: &Stream,
    call: &CallId,
    deadline: Deadline,
) -> Result<StreamSource, ApiError> {
    let Some(report) = known(stream.send(&GetCallReport { id: call }, deadline).await)? else {
        return Ok(StreamSource::default());
    };
    let participants = match report.session_id.as_str() {
        "" => None,
        session => known(stream.send(&ListParticipantStats { call, session }, deadline).await)?,
    };
    Ok(StreamSource {
        report: Some(report),
        participants: participants.map(|answer| answer.participants).unwrap_or_default(),
    })
}

fn known<T>(answer: Result<T, StreamError>) -> Result<Option<T>, StreamError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(StreamError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
