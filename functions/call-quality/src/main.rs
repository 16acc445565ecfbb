//! `GET /api/stream/call/quality/{callId}`: returns the quality of a call as JSON or as an SVG.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::http::{self, Accept, ApiResponse, IntoResponse, Path, Query, Svg};
use shared::ids::CallId;
use shared::quality::chart::{self, Theme, Width};
use shared::quality::{Quality, QualityService};
use shared::rate_limiter::{RateLimiter, Route};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, get_call_quality)
}

struct State {
    rate_limiter: RateLimiter,
    quality: QualityService,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self {
            quality: context.quality_service()?,
            rate_limiter: context.rate_limiter(Route::CallQuality)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    format: Option<Format>,
    #[serde(default)]
    width: Width,
    #[serde(default)]
    theme: Theme,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Svg,
}

#[derive(Serialize)]
struct QualityResponse {
    quality: Quality,
}

enum Response {
    Json(ApiResponse<QualityResponse>),
    Svg(Svg),
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<http::Response, ApiError> {
        match self {
            Self::Json(response) => response.into_response(),
            Self::Svg(svg) => svg.into_response(),
        }
    }
}

async fn get_call_quality(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    Path(id): Path<CallId>,
    Query(params): Query<Params>,
    accept: Accept,
) -> Result<Response, ApiError> {
    let negotiated = if accept.prefers("image/svg+xml") { Format::Svg } else { Format::Json };
    let permit = state.rate_limiter.check(&caller)?;
    let quality = state.quality.get(&caller, &id, permit, deadline).await?;
    Ok(match params.format.unwrap_or(negotiated) {
        Format::Json => {
            Response::Json(ApiResponse::ok("Call quality", QualityResponse { quality }))
        }
        Format::Svg => Response::Svg(Svg(chart::render_svg(&quality, params.width, params.theme))),
    })
}
