//! `GET /api/stream/config`: returns the configuration and, with `deep=true`, health checks.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join4;
use serde::{Deserialize, Serialize};
use shared::auth::{Caller, StreamRoleMap};
use shared::calls::timeouts;
use shared::clock::{Clock, Deadline};
use shared::context::{AppContext, StartError};
use shared::dynamo::Table;
use shared::error::ApiError;
use shared::health::{
    self, CallTypeCheck, CallTypeRequirements, Check, RateLimitsCheck, StreamCheck, WebhookCheck,
};
use shared::http::{self, ApiResponse, DomainName, Query};
use shared::stream::StreamClient;
use shared::stream::hooks::WebhookUrl;
use shared::stream_names;

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), State::new, get_config)
}

struct State {
    api_key: Option<String>,
    has_api_secret: bool,
    region: String,
    webhook_url: Option<WebhookUrl>,
    call_type: CallTypeRequirements,
    stream: Option<StreamClient>,
    table: Table,
    clock: Arc<dyn Clock>,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self {
            api_key: context.env.get("STREAM_API_KEY").map(str::to_owned),
            has_api_secret: context.env.get("STREAM_API_SECRET").is_some(),
            region: context.env.require("AWS_REGION")?.to_owned(),
            webhook_url: WebhookUrl::from_env(&context.env)?,
            call_type: CallTypeRequirements {
                call_type: stream_names::call_type(&context.env)?,
                service_user: stream_names::service_user(&context.env)?,
                ring_timeout: timeouts::ring_timeout(&context.env)?,
                roles: StreamRoleMap::from_env(&context.env)?.names(),
            },
            stream: context.stream.as_ref().map(|stream| stream.client.clone()),
            table: context.table.clone(),
            clock: context.clock.clone(),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    deep: bool,
}

#[derive(Serialize)]
struct Response {
    config: Config,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    api_key: Option<String>,
    has_api_secret: bool,
    is_configured: bool,
    client_initialized: bool,
    /// The required variables that are not set.
    missing: Vec<&'static str>,
    region: String,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checks {
    stream: StreamCheck,
    webhook: WebhookCheck,
    rate_limits: RateLimitsCheck,
    call_type: CallTypeCheck,
    dynamodb: Check,
}

async fn get_config(
    state: &State,
    _: Caller,
    deadline: Deadline,
    DomainName(domain): DomainName,
    Query(params): Query<Params>,
) -> Result<ApiResponse<Response>, ApiError> {
    let checks = if params.deep {
        let url =
            state.webhook_url.clone().or_else(|| domain.as_deref().map(WebhookUrl::from_domain));
        let (stream, clock) = (state.stream.as_ref(), &*state.clock);
        let app = health::check_stream(stream, clock, deadline, url.as_ref());
        let limits = health::check_rate_limits(stream, deadline);
        let call_type = health::check_call_type(stream, clock, deadline, &state.call_type);
        let table = health::check_table(&state.table, clock);
        let ((stream, webhook), rate_limits, call_type, dynamodb) =
            join4(app, limits, call_type, table).await;
        Some(Checks { stream, webhook, rate_limits, call_type, dynamodb })
    } else {
        None
    };
    let missing =
        [("STREAM_API_KEY", state.api_key.is_none()), ("STREAM_API_SECRET", !state.has_api_secret)];
    let config = Config {
        api_key: state.api_key.clone(),
        has_api_secret: state.has_api_secret,
        is_configured: state.stream.is_some(),
        client_initialized: state.stream.is_some(),
        missing: missing
            .into_iter()
            .filter_map(|(name, is_missing)| is_missing.then_some(name))
            .collect(),
        region: state.region.clone(),
        version: env!("CARGO_PKG_VERSION"),
        checks,
    };
    Ok(ApiResponse::ok("Configuration", Response { config }))
}
