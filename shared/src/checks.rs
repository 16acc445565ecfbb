//! Whether Stream and the table answer, and what of Stream's answers should worry an operator who
//! asks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::{self, Clock, Deadline, Timestamp};
use crate::dynamo::Table;
use crate::error::{ApiError, Code};
use crate::stream::Stream;
use crate::stream::hooks::{EventHook, Registration, WebhookUrl};
use crate::stream::ops::{App, ENDPOINTS, EndpointLimit, GetApp, GetRateLimits, RateLimitsAnswer};

/// Whether something answers, and as it should.
#[derive(Clone, Copy, Debug, Default, Serialize)]
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

/// Whether Stream sends its events here.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookCheck {
    #[serde(flatten)]
    check: Check,
    /// Where they should go.
    url: Option<String>,
    /// Those that are not sent.
    missing_events: Vec<&'static str>,
    warnings: Vec<&'static str>,
}

/// What is left of Stream's limits.
#[derive(Debug, Default, Serialize)]
pub struct RateLimitsCheck {
    #[serde(flatten)]
    check: Check,
    /// By Stream's names of the endpoints that are used here. What Stream does not tell of is
    /// left out.
    endpoints: BTreeMap<&'static str, Left>,
    /// Those of them that have less than a tenth left.
    low: Vec<&'static str>,
    warnings: Vec<&'static str>,
}

/// What is left of one limit, in this minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Left {
    limit: i64,
    remaining: i64,
    #[serde(serialize_with = "clock::rfc3339")]
    reset: Timestamp,
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

/// Asks Stream about its app, where it is configured, and whether that app's events come to this
/// address.
pub async fn stream(
    stream: Option<&Stream>,
    clock: &dyn Clock,
    deadline: Deadline,
    url: Option<&WebhookUrl>,
) -> (StreamCheck, WebhookCheck) {
    let answer = match stream {
        Some(stream) => stream.send_timed(&GetApp, deadline).await.map_err(ApiError::from),
        None => Err(ApiError::plain(Code::StreamNotConfigured)),
    };
    match answer {
        Ok(answered) => {
            let app = &answered.body.app;
            let ours = clock.now().as_millis();
            let clock_skew_ms = answered.date.map(|theirs| ours - theirs.as_millis());
            let check = Check::good(answered.latency);
            let warnings = warnings(app, clock_skew_ms);
            let hooks = app.event_hooks.as_deref().unwrap_or_default();
            (StreamCheck { check, clock_skew_ms, warnings }, webhook(check, hooks, url))
        }
        Err(error) => {
            // One answer, one line in the log.
            let check = Check::bad(&error, "stream");
            let url = url.map(|url| url.as_str().to_owned());
            (
                StreamCheck { check, ..StreamCheck::default() },
                WebhookCheck { check, url, ..WebhookCheck::default() },
            )
        }
    }
}

/// Asks Stream what is left of its limits.
pub async fn rate_limits(stream: Option<&Stream>, deadline: Deadline) -> RateLimitsCheck {
    let answer = match stream {
        Some(stream) => stream.send_timed(&GetRateLimits, deadline).await.map_err(ApiError::from),
        None => Err(ApiError::plain(Code::StreamNotConfigured)),
    };
    match answer {
        Ok(answered) => left(Check::good(answered.latency), &answered.body),
        Err(error) => RateLimitsCheck {
            check: Check::bad(&error, "rateLimits"),
            ..RateLimitsCheck::default()
        },
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
    that_hold(warnings)
}

fn webhook(check: Check, hooks: &[EventHook], url: Option<&WebhookUrl>) -> WebhookCheck {
    let Some(url) = url else {
        let check = Check { ok: false, ..check };
        return WebhookCheck { check, warnings: vec!["url_unknown"], ..WebhookCheck::default() };
    };
    let found = Registration::of(hooks, url);
    let warnings = [
        ("not_registered", found.hooks == 0),
        ("disabled", found.hooks > 0 && found.enabled == 0),
        ("events_missing", found.enabled > 0 && !found.is_complete()),
        ("registered_twice", found.twice),
    ];
    WebhookCheck {
        check: Check { ok: found.is_complete(), ..check },
        url: Some(url.as_str().to_owned()),
        warnings: that_hold(warnings),
        missing_events: found.missing,
    }
}

fn left(check: Check, answer: &RateLimitsAnswer) -> RateLimitsCheck {
    let told = answer.server_side.as_ref();
    let endpoints: BTreeMap<_, _> = ENDPOINTS
        .into_iter()
        .filter_map(|name| {
            let &EndpointLimit { limit, remaining, reset } = told?.get(name)?;
            Some((name, Left { limit, remaining, reset: Timestamp::from_secs(reset) }))
        })
        .collect();
    let is_low = |left: &Left| left.remaining.saturating_mul(10) < left.limit;
    let low: Vec<_> =
        endpoints.iter().filter(|(_, left)| is_low(left)).map(|(name, _)| *name).collect();
    let warnings = [("rate_limit_low", !low.is_empty()), ("limits_unknown", endpoints.is_empty())];
    RateLimitsCheck { check, endpoints, low, warnings: that_hold(warnings) }
}

fn that_hold<const N: usize>(warnings: [(&'static str, bool); N]) -> Vec<&'static str> {
    warnings.into_iter().filter_map(|(name, is)| is.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn good() -> Check {
        Check::good(Duration::from_millis(12))
    }

    /// What is said of these hooks.
    fn told(hooks: Value, url: Option<&str>) -> Value {
        let hooks: Vec<EventHook> = serde_json::from_value(hooks).unwrap();
        let url: Option<WebhookUrl> = url.map(|url| url.parse().unwrap());
        serde_json::to_value(webhook(good(), &hooks, url.as_ref())).unwrap()
    }

    #[test]
    fn a_webhook_is_good_where_every_event_comes() {
        let ours = |changed: Value| {
            let mut hook = json!({"hook_type": "webhook", "enabled": true, "webhook_url": URL});
            if let (Value::Object(hook), Value::Object(changed)) = (&mut hook, changed) {
                hook.extend(changed);
            }
            hook
        };
        let other = "https://elsewhere.example.com/?key=of-somebody-else";
        for (hooks, ok, warnings) in [
            (json!([ours(json!({}))]), true, json!([])),
            (json!([]), false, json!(["not_registered"])),
            (json!([ours(json!({"webhook_url": other}))]), false, json!(["not_registered"])),
            (json!([ours(json!({"enabled": false}))]), false, json!(["disabled"])),
            (json!([ours(json!({"product": "chat"}))]), false, json!(["events_missing"])),
            (json!([ours(json!({})), ours(json!({}))]), true, json!(["registered_twice"])),
        ] {
            let found = told(hooks.clone(), Some(URL));
            assert_eq!((&found["ok"], &found["warnings"]), (&json!(ok), &warnings), "{hooks}");
            assert_eq!(found["missingEvents"].as_array().unwrap().is_empty(), ok, "{hooks}");
            assert_eq!((&found["url"], &found["latencyMs"]), (&json!(URL), &json!(12)));
            assert!(!found.to_string().contains("elsewhere"), "{found}");
        }
    }

    #[test]
    fn without_an_address_nothing_is_good() {
        let found = told(json!([]), None);
        let expected = json!({
            "ok": false,
            "latencyMs": 12,
            "url": null,
            "missingEvents": [],
            "warnings": ["url_unknown"],
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_limit_is_low_with_less_than_a_tenth_left() {
        let of = |remaining: i64| {
            let limit = json!({"limit": 60, "remaining": remaining, "reset": 1_767_225_660});
            let answer = json!({"server_side": {"DeleteUsers": limit, "SomethingElse": limit}});
            let answer: RateLimitsAnswer = serde_json::from_value(answer).unwrap();
            serde_json::to_value(left(good(), &answer)).unwrap()
        };
        let expected = json!({
            "ok": true,
            "latencyMs": 12,
            "endpoints": {
                "DeleteUsers": {"limit": 60, "remaining": 6, "reset": "2026-01-01T00:01:00.000Z"},
            },
            "low": [],
            "warnings": [],
        });
        assert_eq!(of(6), expected);
        for remaining in [5, 0, -1] {
            let found = of(remaining);
            assert_eq!(found["low"], json!(["DeleteUsers"]), "{remaining}");
            assert_eq!(found["warnings"], json!(["rate_limit_low"]), "{remaining}");
        }
    }

    #[test]
    fn an_answer_without_limits_says_so() {
        for answer in [json!({}), json!({"server_side": null}), json!({"server_side": {}})] {
            let answer: RateLimitsAnswer = serde_json::from_value(answer).unwrap();
            let found = serde_json::to_value(left(good(), &answer)).unwrap();
            assert_eq!(found["warnings"], json!(["limits_unknown"]));
        }
    }

    #[test]
    fn the_endpoints_are_in_order_and_named_once() {
        assert!(ENDPOINTS.is_sorted_by(|one, next| one < next));
    }
}
