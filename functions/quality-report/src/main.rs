//! `POST /api/stream/call/quality/{callId}`: what a member's app measured of the call.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::http::{self, Json, Path, Reply};
use shared::ids::{BatchId, CallId};
use shared::limits::{Limit, Route};
use shared::quality::{Platform, Reports, SampleReport, Samples};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, report_quality)
}

struct Deps {
    limit: Limit,
    reports: Reports,
}

impl Deps {
    fn new(world: &World, _: &Configured) -> Result<Self, ConfigError> {
        Ok(Self { limit: world.limit(Route::QualityReport)?, reports: world.reports() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Ask {
    batch_id: Option<BatchId>,
    platform: Option<Platform>,
    samples: Samples,
}

#[derive(Serialize)]
struct Answer {
    accepted: usize,
}

async fn report_quality(
    deps: &Deps,
    caller: Caller,
    Path(id): Path<CallId>,
    Json(ask): Json<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let report = SampleReport { batch: ask.batch_id, platform: ask.platform, samples: ask.samples };
    let admission = deps.limit.admission(&caller)?;
    let accepted = deps.reports.keep(&caller, &id, report, admission).await?;
    Ok(Reply::ok("Samples accepted", Answer { accepted }))
}
