//! `GET /api/stream/config`: what is configured, what is missing and, when asked, what answers.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::join;
use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::clock::{Clock, Deadline};
use shared::config::ConfigError;
use shared::dynamo::Table;
use shared::error::{ApiError, Code};
use shared::http::{self, Query, Reply};
use shared::stream::Stream;
use shared::stream::ops::GetApp;
use shared::world::World;

fn main() -> ExitCode {
    http::serve_unconfigured(Deps::new, show_config)
}

struct Deps {
    api_key: Option<String>,
    has_api_secret: bool,
    region: String,
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
struct Checks {
    stream: StreamCheck,
    dynamodb: Check,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    ok: bool,
    latency_ms: Option<u64>,
    /// The error code, as any other route would answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamCheck {
    #[serde(flatten)]
    check: Check,
    /// How far our clock is ahead of Stream's, in milliseconds. Stream says its time to the
    /// second, so up to a second of it may be nothing.
    clock_skew_ms: Option<i64>,
    warnings: Vec<&'static str>,
}

async fn show_config(
    deps: &Deps,
    _: Caller,
    deadline: Deadline,
    Query(ask): Query<Ask>,
) -> Result<Reply<Answer>, ApiError> {
    let checks = if ask.deep {
        let (stream, dynamodb) = join(check_stream(deps, deadline), check_table(deps)).await;
        Some(Checks { stream, dynamodb })
    } else {
        None
    };
    let secret = deps.has_api_secret.then_some(());
    let missing =
        [("STREAM_API_KEY", deps.api_key.is_none()), ("STREAM_API_SECRET", secret.is_none())];
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

fn millis(span: std::time::Duration) -> Option<u64> {
    u64::try_from(span.as_millis()).ok()
}

fn failed(error: impl Into<ApiError>) -> Check {
    let error = error.into();
    error.note("a check failed");
    Check { code: Some(error.code().as_str()), ..Check::default() }
}

async fn check_table(deps: &Deps) -> Check {
    let started = deps.clock.now();
    match deps.table.probe().await {
        Ok(()) => {
            let latency_ms = millis(deps.clock.now().since(started));
            Check { ok: true, latency_ms, code: None }
        }
        Err(error) => failed(error),
    }
}

async fn check_stream(deps: &Deps, deadline: Deadline) -> StreamCheck {
    /// Beyond this, Stream takes our tokens for issued in the future.
    const MOST_SKEW_MS: i64 = 5_000;
    let Some(stream) = &deps.stream else {
        let check = failed(ApiError::plain(Code::StreamNotConfigured));
        return StreamCheck { check, ..StreamCheck::default() };
    };
    let answered = match stream.send_timed(&GetApp, deadline).await {
        Ok(answered) => answered,
        Err(error) => return StreamCheck { check: failed(error), ..StreamCheck::default() },
    };
    let ours = deps.clock.now().as_millis();
    let clock_skew_ms = answered.date.map(|theirs| ours - theirs.as_millis());
    let app = answered.body.app;
    let warnings = [
        ("app_suspended", app.suspended),
        ("auth_checks_disabled", app.disable_auth_checks),
        ("permission_checks_disabled", app.disable_permissions_checks),
        ("clock_skew", clock_skew_ms.is_some_and(|skew| skew.abs() > MOST_SKEW_MS)),
    ];
    StreamCheck {
        check: Check { ok: true, latency_ms: millis(answered.latency), code: None },
        clock_skew_ms,
        warnings: warnings.into_iter().filter_map(|(name, is)| is.then_some(name)).collect(),
    }
}
