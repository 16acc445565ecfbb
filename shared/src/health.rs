//! Health checks of Stream and the table, with warnings for the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::time::Duration;

use futures_util::future::join;
use serde::Serialize;

use crate::clock::{self, Clock, Deadline, Timestamp};
use crate::dynamo::Table;
use crate::error::{ApiError, Code};
use crate::ids::{CallTypeName, UserId};
use crate::stream::call_type::{self, RingSettings};
use crate::stream::hooks::{EventHook, WebhookRegistration, WebhookUrl};
use crate::stream::ops::{
    App, CallTypeResponse, ENDPOINTS, EndpointLimit, GetApp, GetCallType, GetRateLimits,
    GetRateLimitsResponse, QueryUsers, StreamUser,
};
use crate::stream::{StreamClient, StreamError};

/// The result of a health check.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    ok: bool,
    latency_ms: Option<u64>,
    /// The error code of a failed check.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// The result of the check of Stream and its app settings.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamCheck {
    #[serde(flatten)]
    check: Check,
    /// By how many milliseconds this clock is ahead of Stream's. Stream sends whole seconds, so up
    /// to 1,000 ms may be rounding.
    clock_skew_ms: Option<i64>,
    warnings: Vec<&'static str>,
}

/// The result of the check of the webhook registration at Stream.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookCheck {
    #[serde(flatten)]
    check: Check,
    /// The expected webhook URL.
    url: Option<String>,
    /// The handled events that are not enabled at Stream.
    missing_events: Vec<&'static str>,
    warnings: Vec<&'static str>,
}

/// What a deployment requires of its call type and its service user at Stream.
#[derive(Clone, Debug)]
pub struct CallTypeRequirements {
    /// The call type of new calls.
    pub call_type: CallTypeName,
    /// The user who creates the channels of calls.
    pub service_user: UserId,
    /// How long a call waits for the first participant.
    pub ring_timeout: Duration,
    /// The roles that the functions assign to users.
    pub roles: BTreeSet<String>,
}

/// The result of the check of the call type and the service user.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallTypeCheck {
    #[serde(flatten)]
    check: Check,
    /// The name of the call type.
    name: CallTypeName,
    warnings: Vec<&'static str>,
}

/// The result of the check of Stream's rate limits.
#[derive(Debug, Default, Serialize)]
pub struct RateLimitsCheck {
    #[serde(flatten)]
    check: Check,
    /// The rate limits by Stream's endpoint names. Endpoints that are missing in Stream's response
    /// are left out.
    endpoints: BTreeMap<&'static str, RateLimitStatus>,
    /// The endpoints with less than 10% of their limit remaining.
    low: Vec<&'static str>,
    warnings: Vec<&'static str>,
}

/// The rate limit of one endpoint in the current minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct RateLimitStatus {
    limit: i64,
    remaining: i64,
    #[serde(serialize_with = "clock::rfc3339")]
    reset: Timestamp,
}

impl Check {
    fn passed(latency: Duration) -> Self {
        let latency_ms = u64::try_from(latency.as_millis()).ok();
        Self { ok: true, latency_ms, code: None }
    }

    fn failed(error: &ApiError, subject: &'static str) -> Self {
        error.log("health check failed", &subject);
        Self { code: Some(error.code().as_str()), ..Self::default() }
    }
}

/// Checks the table.
pub async fn check_table(table: &Table, clock: &dyn Clock) -> Check {
    let started_at = clock.now();
    match table.probe().await {
        Ok(()) => Check::passed(clock.now().since(started_at)),
        Err(error) => Check::failed(&error.into(), "dynamodb"),
    }
}

/// Reads the app settings from Stream, and checks them and the webhook registration for `url`.
pub async fn check_stream(
    stream: Option<&StreamClient>,
    clock: &dyn Clock,
    deadline: Deadline,
    url: Option<&WebhookUrl>,
) -> (StreamCheck, WebhookCheck) {
    let result = match stream {
        Some(stream) => stream.send_timed(&GetApp, deadline).await.map_err(ApiError::from),
        None => Err(ApiError::from_code(Code::StreamNotConfigured)),
    };
    match result {
        Ok(response) => {
            let app = &response.body.app;
            let local_ms = clock.now().as_millis();
            let clock_skew_ms = response.date.map(|stream_time| local_ms - stream_time.as_millis());
            let check = Check::passed(response.latency);
            let warnings = stream_warnings(app, clock_skew_ms);
            let hooks = &app.event_hooks;
            (StreamCheck { check, clock_skew_ms, warnings }, evaluate_webhook(check, hooks, url))
        }
        Err(error) => {
            // Both checks share one request, so the error is logged once.
            let check = Check::failed(&error, "stream");
            let url = url.map(|url| url.as_str().to_owned());
            (
                StreamCheck { check, ..StreamCheck::default() },
                WebhookCheck { check, url, ..WebhookCheck::default() },
            )
        }
    }
}

/// Reads the call type and the service user from Stream, and checks them.
pub async fn check_call_type(
    stream: Option<&StreamClient>,
    clock: &dyn Clock,
    deadline: Deadline,
    requirements: &CallTypeRequirements,
) -> CallTypeCheck {
    let started_at = clock.now();
    let result = match stream {
        Some(stream) => {
            read_call_type(stream, deadline, requirements).await.map_err(ApiError::from)
        }
        None => Err(ApiError::from_code(Code::StreamNotConfigured)),
    };
    match result {
        Ok((call_type, service_user)) => {
            let check = Check::passed(clock.now().since(started_at));
            evaluate_call_type(check, call_type.as_ref(), service_user.as_ref(), requirements)
        }
        Err(error) => CallTypeCheck {
            check: Check::failed(&error, "callType"),
            name: requirements.call_type.clone(),
            warnings: Vec::new(),
        },
    }
}

/// The call type and the service user. `None` is an object that does not exist.
async fn read_call_type(
    stream: &StreamClient,
    deadline: Deadline,
    requirements: &CallTypeRequirements,
) -> Result<(Option<CallTypeResponse>, Option<StreamUser>), StreamError> {
    let get_call_type = GetCallType { name: &requirements.call_type };
    let query_users = QueryUsers { ids: slice::from_ref(&requirements.service_user) };
    let (call_type, users) =
        join(stream.send(&get_call_type, deadline), stream.send(&query_users, deadline)).await;
    let call_type = match call_type {
        Ok(call_type) => Some(call_type),
        Err(error) if GetCallType::is_missing(&error) => None,
        Err(error) => return Err(error),
    };
    let is_service_user = |user: &StreamUser| user.id == requirements.service_user.as_str();
    Ok((call_type, users?.users.into_iter().flatten().find(is_service_user)))
}

/// Reads the remaining rate limits from Stream.
pub async fn check_rate_limits(
    stream: Option<&StreamClient>,
    deadline: Deadline,
) -> RateLimitsCheck {
    let result = match stream {
        Some(stream) => stream.send_timed(&GetRateLimits, deadline).await.map_err(ApiError::from),
        None => Err(ApiError::from_code(Code::StreamNotConfigured)),
    };
    match result {
        Ok(response) => evaluate_rate_limits(Check::passed(response.latency), &response.body),
        Err(error) => RateLimitsCheck {
            check: Check::failed(&error, "rateLimits"),
            ..RateLimitsCheck::default()
        },
    }
}

fn stream_warnings(app: &App, clock_skew_ms: Option<i64>) -> Vec<&'static str> {
    /// With a larger skew Stream rejects tokens as issued in the future.
    const MAX_CLOCK_SKEW_MS: i64 = 5_000;
    let warnings = [
        ("app_suspended", app.suspended),
        ("auth_checks_disabled", app.disable_auth_checks),
        ("permission_checks_disabled", app.disable_permissions_checks),
        ("clock_skew", clock_skew_ms.is_some_and(|skew| skew.abs() > MAX_CLOCK_SKEW_MS)),
    ];
    active_warnings(warnings)
}

fn evaluate_webhook(check: Check, hooks: &[EventHook], url: Option<&WebhookUrl>) -> WebhookCheck {
    let Some(url) = url else {
        let check = Check { ok: false, ..check };
        return WebhookCheck { check, warnings: vec!["url_unknown"], ..WebhookCheck::default() };
    };
    let registration = WebhookRegistration::from_hooks(hooks, url);
    let warnings = [
        ("not_registered", registration.hook_count == 0),
        ("disabled", registration.hook_count > 0 && registration.enabled_count == 0),
        ("events_missing", registration.enabled_count > 0 && !registration.is_complete()),
        ("registered_twice", registration.has_duplicates),
    ];
    WebhookCheck {
        check: Check { ok: registration.is_complete(), ..check },
        url: Some(url.as_str().to_owned()),
        warnings: active_warnings(warnings),
        missing_events: registration.missing_events,
    }
}

fn evaluate_call_type(
    check: Check,
    call_type: Option<&CallTypeResponse>,
    service_user: Option<&StreamUser>,
    requirements: &CallTypeRequirements,
) -> CallTypeCheck {
    let CallTypeRequirements { call_type: name, ring_timeout, roles, .. } = requirements;
    let ring = RingSettings::for_timeout(*ring_timeout);
    let is_open = call_type.is_some_and(|found| call_type::is_open(&found.grants, roles));
    let warnings = [
        ("call_type_missing", call_type.is_none()),
        ("call_type_open", is_open),
        ("ring_timeout_differs", call_type.is_some_and(|found| found.settings.ring != Some(ring))),
        ("service_user_missing", !service_user.is_some_and(StreamUser::is_active)),
        ("default_call_type", name.is_default()),
    ];
    CallTypeCheck {
        check: Check { ok: call_type.is_some() && !is_open, ..check },
        name: name.clone(),
        warnings: active_warnings(warnings),
    }
}

fn evaluate_rate_limits(check: Check, response: &GetRateLimitsResponse) -> RateLimitsCheck {
    let endpoints: BTreeMap<_, _> = ENDPOINTS
        .into_iter()
        .filter_map(|name| {
            let &EndpointLimit { limit, remaining, reset } = response.server_side.get(name)?;
            Some((name, RateLimitStatus { limit, remaining, reset: Timestamp::from_secs(reset) }))
        })
        .collect();
    let is_low = |status: &RateLimitStatus| status.remaining.saturating_mul(10) < status.limit;
    let low: Vec<_> =
        endpoints.iter().filter(|(_, status)| is_low(status)).map(|(name, _)| *name).collect();
    let warnings = [("rate_limit_low", !low.is_empty()), ("limits_unknown", endpoints.is_empty())];
    RateLimitsCheck { check, endpoints, low, warnings: active_warnings(warnings) }
}

fn active_warnings<const N: usize>(warnings: [(&'static str, bool); N]) -> Vec<&'static str> {
    warnings.into_iter().filter_map(|(name, is_active)| is_active.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn passed_check() -> Check {
        Check::passed(Duration::from_millis(12))
    }

    fn webhook_json(hooks: Value, url: Option<&str>) -> Value {
        let hooks: Vec<EventHook> = serde_json::from_value(hooks).unwrap();
        let url: Option<WebhookUrl> = url.map(|url| url.parse().unwrap());
        serde_json::to_value(evaluate_webhook(passed_check(), &hooks, url.as_ref())).unwrap()
    }

    #[test]
    fn webhook_check_passes_only_with_every_event() {
        let hook_with = |overrides: Value| {
            let mut hook = json!({"hook_type": "webhook", "enabled": true, "webhook_url": URL});
            if let (Value::Object(hook), Value::Object(changed)) = (&mut hook, overrides) {
                hook.extend(changed);
            }
            hook
        };
        let other = "https://elsewhere.example.com/?key=of-another-app";
        for (hooks, ok, warnings) in [
            (json!([hook_with(json!({}))]), true, json!([])),
            (json!([]), false, json!(["not_registered"])),
            (json!([hook_with(json!({"webhook_url": other}))]), false, json!(["not_registered"])),
            (json!([hook_with(json!({"enabled": false}))]), false, json!(["disabled"])),
            (json!([hook_with(json!({"product": "chat"}))]), false, json!(["events_missing"])),
            (
                json!([hook_with(json!({})), hook_with(json!({}))]),
                true,
                json!(["registered_twice"]),
            ),
        ] {
            let check = webhook_json(hooks.clone(), Some(URL));
            assert_eq!((&check["ok"], &check["warnings"]), (&json!(ok), &warnings), "{hooks}");
            assert_eq!(check["missingEvents"].as_array().unwrap().is_empty(), ok, "{hooks}");
            assert_eq!((&check["url"], &check["latencyMs"]), (&json!(URL), &json!(12)));
            assert!(!check.to_string().contains("elsewhere"), "{check}");
        }
    }

    #[test]
    fn webhook_check_fails_without_a_url() {
        let check = webhook_json(json!([]), None);
        let expected = json!({
            "ok": false,
            "latencyMs": 12,
            "url": null,
            "missingEvents": [],
            "warnings": ["url_unknown"],
        });
        assert_eq!(check, expected);
    }

    fn call_type_json(name: &str, call_type: Value, service_user: Value) -> Value {
        let call_type: Option<CallTypeResponse> = serde_json::from_value(call_type).unwrap();
        let service_user: Option<StreamUser> = serde_json::from_value(service_user).unwrap();
        let requirements = CallTypeRequirements {
            call_type: CallTypeName::try_from(name.to_owned()).unwrap(),
            service_user: UserId::try_from("stream-functions".to_owned()).unwrap(),
            ring_timeout: Duration::from_mins(2),
            roles: BTreeSet::from(["admin", "user"].map(str::to_owned)),
        };
        let (call_type, service_user) = (call_type.as_ref(), service_user.as_ref());
        let check = evaluate_call_type(passed_check(), call_type, service_user, &requirements);
        serde_json::to_value(check).unwrap()
    }

    #[test]
    fn call_type_check_passes_only_if_members_alone_have_access() {
        let ring = json!({
            "auto_cancel_timeout_ms": 120_000,
            "incoming_call_timeout_ms": 120_000,
            "missed_call_timeout_ms": 120_000,
        });
        let call_type = |grants: Value, ring: &Value| {
            let settings = json!({"ring": ring});
            json!({"name": "private", "grants": grants, "settings": settings})
        };
        let closed = json!({"call_member": ["join-call", "end-call"], "user": [], "guest": null});
        let user = json!({"id": "stream-functions", "role": "user", "banned": false});
        let deactivated = json!({"id": "stream-functions", "banned": false, "deactivated_at": "2026-01-01T00:00:00Z"});
        for (name, found, user, ok, warnings) in [
            ("private", call_type(closed.clone(), &ring), user.clone(), true, json!([])),
            ("private", json!(null), user.clone(), false, json!(["call_type_missing"])),
            (
                "private",
                call_type(json!({"user": ["join-call"]}), &ring),
                user.clone(),
                false,
                json!(["call_type_open"]),
            ),
            (
                "private",
                call_type(closed.clone(), &json!(null)),
                user.clone(),
                true,
                json!(["ring_timeout_differs"]),
            ),
            (
                "private",
                call_type(closed.clone(), &ring),
                json!(null),
                true,
                json!(["service_user_missing"]),
            ),
            (
                "private",
                call_type(closed.clone(), &ring),
                deactivated,
                true,
                json!(["service_user_missing"]),
            ),
            ("default", call_type(closed, &ring), user, true, json!(["default_call_type"])),
        ] {
            let check = call_type_json(name, found.clone(), user);
            let expected = json!({"ok": ok, "latencyMs": 12, "name": name, "warnings": warnings});
            assert_eq!(check, expected, "{found}");
        }
    }

    #[test]
    fn rate_limit_below_ten_percent_is_low() {
        let check_with = |remaining: i64| {
            let limit = json!({"limit": 60, "remaining": remaining, "reset": 1_767_225_660});
            let response = json!({"server_side": {"DeleteUsers": limit, "SomethingElse": limit}});
            let response: GetRateLimitsResponse = serde_json::from_value(response).unwrap();
            serde_json::to_value(evaluate_rate_limits(passed_check(), &response)).unwrap()
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
        assert_eq!(check_with(6), expected);
        for remaining in [5, 0, -1] {
            let check = check_with(remaining);
            assert_eq!(check["low"], json!(["DeleteUsers"]), "{remaining}");
            assert_eq!(check["warnings"], json!(["rate_limit_low"]), "{remaining}");
        }
    }

    #[test]
    fn missing_limits_are_a_warning() {
        for response in [json!({}), json!({"server_side": null}), json!({"server_side": {}})] {
            let response: GetRateLimitsResponse = serde_json::from_value(response).unwrap();
            let check =
                serde_json::to_value(evaluate_rate_limits(passed_check(), &response)).unwrap();
            assert_eq!(check["warnings"], json!(["limits_unknown"]));
        }
    }

    #[test]
    fn endpoints_are_sorted_and_unique() {
        assert!(ENDPOINTS.is_sorted_by(|name, next| name < next));
    }
}
