//! Evaluates the app's settings: a pure function of Stream's response.
//!
//! A setting that Stream does not return is a warning. Its value is never guessed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use shared::auth::StreamRoleMap;
use shared::calls::timeouts;
use shared::config::{ConfigError, Env};
use shared::stream::hooks::{WebhookRegistration, WebhookUrl};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The setting meets the requirement.
    Ok,
    /// The setting may cause problems, or is not returned by Stream.
    Warn,
    /// The setting breaks a function.
    Fail,
}

/// One line of the report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        write!(f, "{level:<5}{}", self.text)
    }
}

fn ok(text: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, text: text.into() }
}

fn warn(text: impl Into<String>) -> Finding {
    Finding { level: Level::Warn, text: text.into() }
}

fn fail(text: impl Into<String>) -> Finding {
    Finding { level: Level::Fail, text: text.into() }
}

fn not_checkable(subject: &str) -> Finding {
    warn(format!("{subject} cannot be checked: Stream does not return it"))
}

/// The deployment's requirements for the app.
#[derive(Debug)]
pub(crate) struct Requirements {
    /// The roles that the functions assign to users.
    roles: BTreeSet<String>,
    /// How long a call waits for a member to join.
    ring_timeout: Duration,
    /// The longest duration of a call.
    max_duration: Duration,
}

impl Requirements {
    /// Reads the variables that the functions read.
    pub(crate) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            roles: StreamRoleMap::from_env(env)?.names(),
            ring_timeout: timeouts::ring_timeout(env)?,
            max_duration: timeouts::max_duration(env)?,
        })
    }
}

/// All findings about an app. `roles` are the app's roles, `None` if Stream does not list them.
pub(crate) fn check_app(
    app: &Value,
    registration: &WebhookRegistration,
    url: &WebhookUrl,
    roles: Option<&BTreeSet<String>>,
    requirements: &Requirements,
) -> Vec<Finding> {
    let mut findings = check_app_flags(app);
    findings.extend(check_webhook(registration, url));
    findings.extend(requirements.roles.iter().map(|role| check_role(role, roles)));
    findings.extend(check_call_type(&app["call_types"]["default"]["settings"], requirements));
    findings.push(check_channel_type(&app["channel_configs"]["messaging"]));
    findings
}

fn check_app_flags(app: &Value) -> Vec<Finding> {
    let check_flag = |name: &str, if_true: &str, if_false: &str| match app[name].as_bool() {
        Some(true) => fail(if_true),
        Some(false) => ok(if_false),
        None => not_checkable(name),
    };
    let mut findings = vec![
        check_flag("suspended", "Stream has suspended the app", "the app is not suspended"),
        check_flag(
            "disable_auth_checks",
            "authentication checks are off: any client can connect as any user",
            "authentication checks are on",
        ),
        check_flag(
            "disable_permissions_checks",
            "permission checks are off: every user has all permissions",
            "permission checks are on",
        ),
    ];
    if !app["revoke_tokens_issued_before"].is_null() {
        findings.push(warn(
            "the app has revoked tokens of all users: Stream rejects tokens from before \
             revoke_tokens_issued_before",
        ));
    }
    findings
}

fn check_webhook(registration: &WebhookRegistration, url: &WebhookUrl) -> Vec<Finding> {
    let WebhookRegistration { hook_count, enabled_count, missing_events, has_duplicates } =
        registration;
    let address = url.as_str();
    let mut findings = vec![match (hook_count, enabled_count) {
        (0, _) => fail(format!("no hook sends events to {address}")),
        (_, 0) => fail(format!("the hook for {address} is disabled")),
        _ if missing_events.is_empty() => {
            ok(format!("hooks send all required events to {address}"))
        }
        _ => {
            fail(format!("no hook sends these events to {address}: {}", missing_events.join(", ")))
        }
    }];
    if *has_duplicates {
        findings.push(warn("some events are sent twice: several hooks have the webhook's address"));
    }
    if !address.starts_with("https://") {
        findings
            .push(warn("the webhook's address is not https: Stream sends the events unencrypted"));
    }
    if !address.ends_with("/api/stream/webhook") {
        findings.push(warn("the webhook's address does not end in /api/stream/webhook"));
    }
    findings
}

fn check_role(role: &str, roles: Option<&BTreeSet<String>>) -> Finding {
    match roles {
        None => not_checkable(&format!("the role {role}")),
        Some(roles) if roles.contains(role) => ok(format!("the role {role} exists")),
        Some(_) => fail(format!(
            "the role {role} does not exist, so upserts of its users fail: create it at Stream or \
             change STREAM_ROLE_MAP"
        )),
    }
}

/// Skips the camera, screen sharing, recording and transcription modes that each call overrides.
fn check_call_type(settings: &Value, requirements: &Requirements) -> Vec<Finding> {
    if !settings.is_object() {
        return vec![not_checkable("the call type default")];
    }
    let mut findings = vec![match settings["backstage"]["enabled"].as_bool() {
        Some(true) => fail("call type default: backstage is on: members cannot join calls"),
        Some(false) => ok("call type default: backstage is off"),
        None => not_checkable("call type default: backstage"),
    }];
    findings.push(check_max_participants(&settings["limits"]["max_participants"]));
    findings.push(check_max_duration(&settings["limits"]["max_duration_seconds"], requirements));
    for name in ["auto_cancel_timeout_ms", "missed_call_timeout_ms"] {
        findings.push(check_ring_timeout(name, &settings["ring"][name], requirements));
    }
    let is_automatic = |setting: &&str| {
        let (section, member) = setting.split_once('.').unwrap_or((*setting, "mode"));
        settings[section][member] == "auto-on"
    };
    let settings_to_check = [
        "individual_recording.mode",
        "raw_recording.mode",
        "frame_recording.mode",
        "transcription.closed_caption_mode",
    ];
    let automatic: Vec<&str> = settings_to_check.into_iter().filter(is_automatic).collect();
    findings.push(if automatic.is_empty() {
        ok("call type default: no recording starts automatically")
    } else {
        warn(format!(
            "call type default: {} is auto-on, but calls are created without recording",
            automatic.join(", ")
        ))
    });
    findings
}

fn check_max_participants(max: &Value) -> Finding {
    /// The largest call that the functions create.
    const MAX_MEMBERS: i64 = 100;
    match max.as_i64() {
        // Stream returns null or 0 for a limit that is not set.
        None | Some(0) => ok("call type default: max_participants is not set"),
        Some(limit) if limit < 2 => fail(format!(
            "call type default: max_participants is {limit}, but a call has at least 2 members"
        )),
        Some(limit) if limit < MAX_MEMBERS => warn(format!(
            "call type default: max_participants is {limit}, but calls have up to {MAX_MEMBERS} \
             members"
        )),
        Some(limit) => ok(format!("call type default: max_participants is {limit}")),
    }
}

fn check_max_duration(max: &Value, requirements: &Requirements) -> Finding {
    let required_secs = requirements.max_duration.as_secs();
    match max.as_u64() {
        None | Some(0) => ok("call type default: max_duration_seconds is not set"),
        Some(limit) if limit < required_secs => warn(format!(
            "call type default: max_duration_seconds is {limit}, but each call requests \
             {required_secs} s (CALL_MAX_DURATION_SECONDS); Stream does not document which applies"
        )),
        Some(limit) => ok(format!("call type default: max_duration_seconds is {limit}")),
    }
}

fn check_ring_timeout(name: &str, timeout: &Value, requirements: &Requirements) -> Finding {
    let ring_timeout_secs = requirements.ring_timeout.as_secs();
    match timeout.as_u64() {
        None => not_checkable(&format!("call type default: {name}")),
        Some(millis) if Duration::from_millis(millis) > requirements.ring_timeout => warn(format!(
            "call type default: {name} is {millis} ms, but an unanswered call ends after \
             {ring_timeout_secs} s (CALL_RING_TIMEOUT_SECONDS): phones ring after its end"
        )),
        Some(millis) => ok(format!("call type default: {name} is {millis} ms")),
    }
}

fn check_channel_type(config: &Value) -> Finding {
    /// The longest message that the functions accept.
    const MAX_MESSAGE_CHARS: u64 = 5_000;
    match config["max_message_length"].as_u64() {
        None => not_checkable("channel type messaging: max_message_length"),
        Some(limit) if limit < MAX_MESSAGE_CHARS => fail(format!(
            "channel type messaging: max_message_length is {limit}, but messages have up to \
             {MAX_MESSAGE_CHARS} characters"
        )),
        Some(limit) => ok(format!("channel type messaging: max_message_length is {limit}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn requirements() -> Requirements {
        Requirements::from_env(&Env::default()).unwrap()
    }

    fn complete_registration() -> WebhookRegistration {
        WebhookRegistration {
            hook_count: 1,
            enabled_count: 1,
            missing_events: vec![],
            has_duplicates: false,
        }
    }

    /// An app that meets all requirements.
    fn valid_app() -> Value {
        json!({
            "suspended": false,
            "disable_auth_checks": false,
            "disable_permissions_checks": false,
            "call_types": {"default": {"settings": {
                "backstage": {"enabled": false},
                "limits": {"max_participants": null, "max_duration_seconds": null},
                "ring": {"auto_cancel_timeout_ms": 15_000, "missed_call_timeout_ms": 15_000},
                "individual_recording": {"mode": "disabled"},
                "transcription": {"closed_caption_mode": "available"},
            }}},
            "channel_configs": {"messaging": {"max_message_length": 5_000}},
        })
    }

    fn check(app: &Value) -> Vec<Finding> {
        let roles = BTreeSet::from(["admin", "user"].map(str::to_owned));
        check_app(
            app,
            &complete_registration(),
            &URL.parse().unwrap(),
            Some(&roles),
            &requirements(),
        )
    }

    /// The `warn` and `fail` lines.
    fn problem_lines(findings: &[Finding]) -> Vec<String> {
        let problems = findings.iter().filter(|finding| finding.level != Level::Ok);
        problems.map(ToString::to_string).collect()
    }

    #[test]
    fn valid_app_has_no_problems() {
        let findings = check(&valid_app());
        assert_eq!(problem_lines(&findings), [""; 0]);
        assert_eq!(findings[0].to_string(), "ok   the app is not suspended");
        assert_eq!(findings.len(), 13);
    }

    #[test]
    fn each_invalid_setting_is_reported() {
        let settings = "/call_types/default/settings";
        for (pointer, value, line) in [
            ("/suspended", json!(true), "fail Stream has suspended the app"),
            ("/disable_auth_checks", json!(true), "fail authentication checks are off"),
            ("/disable_permissions_checks", json!(true), "fail permission checks are off"),
            ("/suspended", json!(null), "warn suspended cannot be checked"),
            ("/call_types", json!({}), "warn the call type default cannot be checked"),
            (
                "/channel_configs/messaging/max_message_length",
                json!(4_999),
                "fail channel type messaging: max_message_length is 4999",
            ),
            (
                "/channel_configs",
                json!(null),
                "warn channel type messaging: max_message_length cannot be checked",
            ),
        ]
        .map(|(pointer, value, line)| (pointer.to_owned(), value, line))
        .into_iter()
        .chain(
            [
                ("/backstage/enabled", json!(true), "fail call type default: backstage is on"),
                ("/backstage", json!(null), "warn call type default: backstage cannot be checked"),
                (
                    "/limits/max_participants",
                    json!(1),
                    "fail call type default: max_participants is 1,",
                ),
                (
                    "/limits/max_participants",
                    json!(99),
                    "warn call type default: max_participants is 99",
                ),
                (
                    "/limits/max_duration_seconds",
                    json!(3_600),
                    "warn call type default: max_duration_seconds is 3600",
                ),
                (
                    "/ring/auto_cancel_timeout_ms",
                    json!(120_001),
                    "warn call type default: auto_cancel_timeout_ms is 120001 ms",
                ),
                (
                    "/ring/missed_call_timeout_ms",
                    json!(null),
                    "warn call type default: missed_call_timeout_ms cannot be checked",
                ),
                (
                    "/individual_recording/mode",
                    json!("auto-on"),
                    "warn call type default: individual_recording.mode is auto-on",
                ),
            ]
            .map(|(pointer, value, line)| (format!("{settings}{pointer}"), value, line)),
        ) {
            let mut app = valid_app();
            *app.pointer_mut(&pointer).unwrap() = value.clone();
            let lines = problem_lines(&check(&app));
            assert_eq!(lines.len(), 1, "{pointer} {value}: {lines:?}");
            assert!(lines[0].starts_with(line), "{pointer} {value}: {lines:?}");
        }
    }

    #[test]
    fn settings_at_their_limit_are_ok() {
        let settings = "/call_types/default/settings";
        for (pointer, value) in [
            ("/limits/max_participants", json!(0)),
            ("/limits/max_participants", json!(100)),
            ("/limits/max_duration_seconds", json!(0)),
            ("/limits/max_duration_seconds", json!(14_400)),
            ("/ring/auto_cancel_timeout_ms", json!(120_000)),
        ] {
            let mut app = valid_app();
            *app.pointer_mut(&format!("{settings}{pointer}")).unwrap() = value.clone();
            assert_eq!(problem_lines(&check(&app)), [""; 0], "{pointer} {value}");
        }
    }

    #[test]
    fn app_wide_token_revocation_is_reported() {
        let mut app = valid_app();
        app["revoke_tokens_issued_before"] = json!(1_767_225_600_000_000_000_i64);
        assert!(
            problem_lines(&check(&app))[0]
                .starts_with("warn the app has revoked tokens of all users")
        );
    }

    #[test]
    fn mapped_roles_must_exist() {
        let env = Env::from([("STREAM_ROLE_MAP", "streamer=host")]);
        let requirements = Requirements::from_env(&env).unwrap();
        let roles = |roles: Option<&[&str]>| {
            let roles: Option<BTreeSet<String>> =
                roles.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            let url = URL.parse().unwrap();
            problem_lines(&check_app(
                &valid_app(),
                &complete_registration(),
                &url,
                roles.as_ref(),
                &requirements,
            ))
        };
        assert_eq!(roles(Some(&["host", "user"])), [""; 0]);
        let lines = roles(Some(&["user"]));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("fail the role host does not exist"), "{lines:?}");
        let lines = roles(None);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("warn the role host cannot be checked"), "{lines:?}");
    }

    #[test]
    fn webhook_registration_problems_are_reported() {
        let none = WebhookRegistration {
            hook_count: 0,
            enabled_count: 0,
            missing_events: vec!["call.ended"],
            has_duplicates: false,
        };
        let missing = "no hook sends these events to";
        for (registration, url, lines) in [
            (complete_registration(), URL, vec![]),
            (none.clone(), URL, vec!["fail no hook sends events to".to_owned()]),
            (
                WebhookRegistration { hook_count: 1, ..none.clone() },
                URL,
                vec!["fail the hook for".to_owned()],
            ),
            (
                WebhookRegistration { hook_count: 1, enabled_count: 1, ..none },
                URL,
                vec![format!("fail {missing} {URL}: call.ended")],
            ),
            (
                WebhookRegistration {
                    hook_count: 2,
                    enabled_count: 2,
                    has_duplicates: true,
                    ..complete_registration()
                },
                URL,
                vec!["warn some events are sent twice".to_owned()],
            ),
            (
                complete_registration(),
                "http://api.example.com/hook",
                vec![
                    "warn the webhook's address is not https".to_owned(),
                    "warn the webhook's address does not end".to_owned(),
                ],
            ),
        ] {
            let problems = problem_lines(&check_webhook(&registration, &url.parse().unwrap()));
            assert_eq!(problems.len(), lines.len(), "{problems:?}");
            for (problem, line) in problems.iter().zip(lines) {
                assert!(problem.starts_with(&line), "{problem}");
            }
        }
    }
}
