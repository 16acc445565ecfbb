//! Whether Stream and the table answer, for an operator who asks.

use std::time::Duration;

use serde::Serialize;

use crate::clock::{Clock, Deadline};
use crate::dynamo::Table;
use crate::error::{ApiError, Code};
use crate::stream::Stream;
use crate::stream::ops::{App, GetApp};

/// Whether something answers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    ok: bool,
    latency_ms: Option<u64>,
    /// The error code, as any other route would answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// Whether Stream answers, and what of its answer should worry an operator.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamCheck {
    #[serde(flatten)]
    check: Check,
    /// How far our clock is ahead of Stream's, in milliseconds. Stream says its time to the
    /// second, so up to a second of it may be nothing.
    clock_skew_ms: Option<i64>,
    warnings: Vec<&'static str>,
}

impl Check {
    fn good(latency: Duration) -> Self {
        let latency_ms = u64::try_from(latency.as_millis()).ok();
        Self { ok: true, latency_ms, code: None }
    }

    fn bad(error: &ApiError, subject: &'static str) -> Self {
        error.note("a check failed", &subject);
        Self { code: Some(error.code().as_str()), ..Self::default() }
    }
}

/// Asks the table.
pub async fn table(table: &Table, clock: &dyn Clock) -> Check {
    let started = clock.now();
    match table.probe().await {
        Ok(()) => Check::good(clock.now().since(started)),
        Err(error) => Check::bad(&error.into(), "dynamodb"),
    }
}

/// Asks Stream, where it is configured.
pub async fn stream(stream: Option<&Stream>, clock: &dyn Clock, deadline: Deadline) -> StreamCheck {
    let bad = |error: ApiError| StreamCheck {
        check: Check::bad(&error, "stream"),
        ..StreamCheck::default()
    };
    let Some(stream) = stream else {
        return bad(ApiError::plain(Code::StreamNotConfigured));
    };
    match stream.send_timed(&GetApp, deadline).await {
        Ok(answered) => {
            let ours = clock.now().as_millis();
            let clock_skew_ms = answered.date.map(|theirs| ours - theirs.as_millis());
            StreamCheck {
                check: Check::good(answered.latency),
                clock_skew_ms,
                warnings: warnings(&answered.body.app, clock_skew_ms),
            }
        }
        Err(error) => bad(error.into()),
    }
}

fn warnings(app: &App, clock_skew_ms: Option<i64>) -> Vec<&'static str> {
    /// Beyond this, Stream takes our tokens for issued in the future.
    const MOST_SKEW_MS: i64 = 5_000;
    let warnings = [
        ("app_suspended", app.suspended),
        ("auth_checks_disabled", app.disable_auth_checks),
        ("permission_checks_disabled", app.disable_permissions_checks),
        ("clock_skew", clock_skew_ms.is_some_and(|skew| skew.abs() > MOST_SKEW_MS)),
    ];
    warnings.into_iter().filter_map(|(name, is)| is.then_some(name)).collect()
}
