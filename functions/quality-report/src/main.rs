//! `POST /api/stream/call/quality/{callId}`: stores quality samples from a member's app.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::http::{self, ApiResponse, Json, Path};
use shared::ids::{BatchId, CallId, DeviceId};
use shared::quality::{NewBatch, Platform, SampleIngest, Samples};
use shared::rate_limiter::{RateLimiter, Route};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, report_quality)
}

struct State {
    rate_limiter: RateLimiter,
    sample_ingest: SampleIngest,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        context.require_stream()?;
        Ok(Self {
            rate_limiter: context.rate_limiter(Route::QualityReport)?,
            sample_ingest: context.sample_ingest(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    batch_id: Option<BatchId>,
    platform: Option<Platform>,
    device_id: Option<DeviceId>,
    samples: Samples,
}

#[derive(Serialize)]
struct Response {
    accepted: usize,
}

async fn report_quality(
    state: &State,
    caller: Caller,
    Path(id): Path<CallId>,
    Json(request): Json<Request>,
) -> Result<ApiResponse<Response>, ApiError> {
    let report = NewBatch {
        batch_id: request.batch_id,
        platform: request.platform,
        device_id: request.device_id,
        samples: request.samples,
    };
    let permit = state.rate_limiter.check(&caller)?;
    let accepted = state.sample_ingest.ingest(&caller, &id, report, permit).await?;
    Ok(ApiResponse::ok("Samples accepted", Response { accepted }))
}
