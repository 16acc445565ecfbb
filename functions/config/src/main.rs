//! `GET /api/stream/config`: what is configured, what is missing and, when asked, what answers.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join3;
use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::checks::{self, Check, RateLimitsCheck, StreamCheck, WebhookCheck};
use shared::clock::{Clock, Deadline};
use shared::config::ConfigError;
use shared::dynamo::Table;
use shared::error::ApiError;
use shared::http::{self, DomainName, Query, Reply};
use shared::stream::Stream;
use shared::stream::hooks::WebhookUrl;
use shared::world::World;

fn main() -> ExitCode {
    http::serve_unconfigured(env!("CARGO_PKG_NAME"), Deps::new, show_config)
}

struct Deps {
    api_key: Option<String>,
    has_api_secret: bool,
    region: String,
    webhook_url: Option<WebhookUrl>,
    stream: Option<Stream>,
    table: Table,
    clock: Arc<dyn Clock>,
}

impl Deps {
    fn new(world: &World) -> Result<Self, ConfigError> {
        Ok(Self {
            api_key: world.env.get("STREAM_API_KEY").map(str::to_owned),
            has_api_secret: world.env.get("STREAM_API_SECRET").is_some(),
            region: world.env.require("AWS_REGION")?.to_owned(),
            webhook_url: WebhookUrl::from_env(&world.env)?,
            stream: world.stream.as_ref().map(|stream| stream.stream.clone()),
            table: world.table.clone(),
            clock: world.clock.clone(),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[serde(default)]
    deep: bool,
}

#[derive(Serialize)]
struct Answer {
    config: Config,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    api_key: Option<String>,
    has_api_secret: bool,
    is_configured: bool,
    client_initialized: bool,
    /// The variables that are still to be set.
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
    dynamodb: Check,
}

async fn show_config(
    deps: &Deps,
    _: Caller,
    deadline: Deadline,
    DomainName(domain): DomainName,
    Query(ask): Query<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let checks = if ask.deep {
        let url = deps.webhook_url.clone().or_else(|| domain.as_deref().map(WebhookUrl::of_domain));
        let (stream, clock) = (deps.stream.as_ref(), &*deps.clock);
        let app = checks::stream(stream, clock, deadline, url.as_ref());
        let limits = checks::rate_limits(stream, deadline);
        let table = checks::table(&deps.table, clock);
        let ((stream, webhook), rate_limits, dynamodb) = join3(app, limits, table).await;
        Some(Checks { stream, webhook, rate_limits, dynamodb })
    } else {
        None
    };
    let missing =
        [("STREAM_API_KEY", deps.api_key.is_none()), ("STREAM_API_SECRET", !deps.has_api_secret)];
    let config = Config {
        api_key: deps.api_key.clone(),
        has_api_secret: deps.has_api_secret,
        is_configured: deps.stream.is_some(),
        client_initialized: deps.stream.is_some(),
        missing: missing.into_iter().filter_map(|(name, is)| is.then_some(name)).collect(),
        region: deps.region.clone(),
        version: env!("CARGO_PKG_VERSION"),
        checks,
    };
    Ok(Reply::ok("Configuration", Answer { config }))
}
