//! Evaluates what Stream returns about an app: a pure function.
//!
//! A setting that Stream does not return is a warning. Its value is never guessed.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;
use shared::ids::CallTypeName;
use shared::stream::call_type::{
    Access, Grants, MEMBER_GRANTS, MEMBER_ROLE, RingSettings, find_excess_access, is_client_role,
};
use shared::stream::hooks::{WebhookRegistration, WebhookUrl};
use shared::stream::ops::CallTypeResponse;

use crate::app_client::ServiceUser;
use crate::requirements::Requirements;

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

/// What Stream returns about an app.
pub(crate) struct AppState {
    /// The settings of the app.
    pub(crate) app: Value,
    /// The webhook and its registration. `None` if the command line has no webhook.
    pub(crate) webhook: Option<(WebhookUrl, WebhookRegistration)>,
    /// The roles of the app. `None` if Stream does not list them.
    pub(crate) roles: Option<BTreeSet<String>>,
    /// The call type of new calls. `None` if it does not exist.
    pub(crate) call_type: Option<CallTypeResponse>,
    pub(crate) service_user: ServiceUser,
}

/// All findings about an app.
pub(crate) fn check_app(state: &AppState, requirements: &Requirements) -> Vec<Finding> {
    let mut findings = check_app_flags(&state.app);
    match &state.webhook {
        Some((url, registration)) => findings.extend(check_webhook(registration, url)),
        None => findings.push(warn("the webhook is not checked without --webhook-url")),
    }
    findings.extend(requirements.roles.iter().map(|role| check_role(role, state.roles.as_ref())));
    findings.extend(check_call_type(state, requirements));
    findings.push(check_service_user(state.service_user, requirements));
    findings.push(check_channel_type(&state.app["channel_configs"]["messaging"]));
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

fn check_call_type(state: &AppState, requirements: &Requirements) -> Vec<Finding> {
    let name = &requirements.call_type;
    let Some(call_type) = &state.call_type else {
        return vec![fail(format!(
            "the call type {name} does not exist, so no call can be created: run apply"
        ))];
    };
    let mut findings = Vec::new();
    if name.is_default() {
        findings.push(warn(
            "calls have the built-in call type default, which other systems of the app may use: \
             set STREAM_CALL_TYPE",
        ));
    }
    findings.extend(check_grants(name, &call_type.grants, &requirements.roles));
    findings.push(check_ring_settings(name, call_type.settings.ring, requirements));
    let settings = &state.app["call_types"][name.as_str()]["settings"];
    findings.extend(check_call_settings(name, settings, requirements));
    findings
}

/// One finding for each role that may do more than the members of a call, and one for members who
/// may do less.
fn check_grants(name: &CallTypeName, grants: &Grants, assigned: &BTreeSet<String>) -> Vec<Finding> {
    let excess = find_excess_access(grants, assigned);
    let check_access = |(role, access): (&String, &BTreeSet<Access>)| {
        let verbs: Vec<&str> = access.iter().map(|access| access.as_verb()).collect();
        let (role_text, verbs) = (role.escape_debug(), verbs.join(", "));
        let text = format!("call type {name}: the role {role_text} may {verbs} calls");
        let is_open = access.iter().any(|access| access.is_opening());
        if is_client_role(role, assigned) && is_open { fail(text) } else { warn(text) }
    };
    let mut findings: Vec<Finding> = excess.iter().map(check_access).collect();
    let is_granted = |id: &str| {
        let ids = grants.get(MEMBER_ROLE);
        ids.is_some_and(|ids| ids.contains(id) || ids.contains(&format!("{id}-any-team")))
    };
    let missing: Vec<&str> = MEMBER_GRANTS.into_iter().filter(|id| !is_granted(id)).collect();
    if !missing.is_empty() {
        let text = format!("call type {name}: members lack {}", missing.join(", "));
        findings.push(if is_granted("join-call") { warn(text) } else { fail(text) });
    }
    if findings.is_empty() {
        findings.push(ok(format!("call type {name}: only members have access to its calls")));
    }
    findings
}

fn check_ring_settings(
    name: &CallTypeName,
    ring: Option<RingSettings>,
    requirements: &Requirements,
) -> Finding {
    let required = requirements.ring_settings();
    let millis = required.auto_cancel.unwrap_or_default();
    if ring == Some(required) {
        ok(format!("call type {name}: the ring timeouts are {millis} ms"))
    } else {
        fail(format!(
            "call type {name}: the ring timeouts are not {millis} ms, so phones do not ring until \
             an unanswered call ends (CALL_RING_TIMEOUT_SECONDS): run apply"
        ))
    }
}

/// Skips the camera, screen sharing, recording and transcription modes that each call overrides.
fn check_call_settings(
    name: &CallTypeName,
    settings: &Value,
    requirements: &Requirements,
) -> Vec<Finding> {
    if !settings.is_object() {
        return vec![not_checkable(&format!("call type {name}: the settings"))];
    }
    let mut findings = vec![match settings["backstage"]["enabled"].as_bool() {
        Some(true) => fail(format!("call type {name}: backstage is on: members cannot join calls")),
        Some(false) => ok(format!("call type {name}: backstage is off")),
        None => not_checkable(&format!("call type {name}: backstage")),
    }];
    let limits = &settings["limits"];
    findings.push(check_max_participants(name, &limits["max_participants"]));
    findings.push(check_max_duration(name, &limits["max_duration_seconds"], requirements));
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
        ok(format!("call type {name}: no recording starts automatically"))
    } else {
        warn(format!(
            "call type {name}: {} is auto-on, but calls are created without recording",
            automatic.join(", ")
        ))
    });
    findings
}

fn check_max_participants(name: &CallTypeName, max: &Value) -> Finding {
    /// The largest call that the functions create.
    const MAX_MEMBERS: i64 = 100;
    match max.as_i64() {
        // Stream returns null or 0 for a limit that is not set.
        None | Some(0) => ok(format!("call type {name}: max_participants is not set")),
        Some(limit) if limit < 2 => fail(format!(
            "call type {name}: max_participants is {limit}, but a call has at least 2 members"
        )),
        Some(limit) if limit < MAX_MEMBERS => warn(format!(
            "call type {name}: max_participants is {limit}, but calls have up to {MAX_MEMBERS} \
             members"
        )),
        Some(limit) => ok(format!("call type {name}: max_participants is {limit}")),
    }
}

fn check_max_duration(name: &CallTypeName, max: &Value, requirements: &Requirements) -> Finding {
    let required_secs = requirements.max_duration.as_secs();
    match max.as_u64() {
        None | Some(0) => ok(format!("call type {name}: max_duration_seconds is not set")),
        Some(limit) if limit < required_secs => warn(format!(
            "call type {name}: max_duration_seconds is {limit}, but each call requests \
             {required_secs} s (CALL_MAX_DURATION_SECONDS); Stream does not document which applies"
        )),
        Some(limit) => ok(format!("call type {name}: max_duration_seconds is {limit}")),
    }
}

fn check_service_user(user: ServiceUser, requirements: &Requirements) -> Finding {
    let id = &requirements.service_user;
    match user {
        ServiceUser::Active => ok(format!("the user {id} exists")),
        ServiceUser::Missing => fail(format!(
            "the user {id} does not exist, and creates the channels of calls: run apply"
        )),
        ServiceUser::Inactive => fail(format!(
            "the user {id} is deactivated, and creates the channels of calls: reactivate the user"
        )),
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
    use shared::config::Env;

    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn requirements() -> Requirements {
        Requirements::from_env(&Env::from([("STREAM_CALL_TYPE", "private")]), None).unwrap()
    }

    fn complete_registration() -> WebhookRegistration {
        WebhookRegistration {
            hook_count: 1,
            enabled_count: 1,
            missing_events: vec![],
            has_duplicates: false,
        }
    }

    /// A part of an app that meets all requirements.
    fn valid_app() -> Value {
        json!({
            "suspended": false,
            "disable_auth_checks": false,
            "disable_permissions_checks": false,
            "call_types": {"private": {"settings": {
                "backstage": {"enabled": false},
                "limits": {"max_participants": null, "max_duration_seconds": null},
                "individual_recording": {"mode": "disabled"},
                "transcription": {"closed_caption_mode": "available"},
            }}},
            "channel_configs": {"messaging": {"max_message_length": 5_000}},
        })
    }

    /// The call type of such an app, with these grants besides those of members.
    fn call_type(name: &str, mut grants: Value) -> CallTypeResponse {
        if grants["call_member"].is_null() {
            grants["call_member"] = json!(MEMBER_GRANTS);
        }
        let ring = json!({
            "auto_cancel_timeout_ms": 120_000,
            "incoming_call_timeout_ms": 120_000,
            "missed_call_timeout_ms": 120_000,
        });
        let call_type = json!({"name": name, "grants": grants, "settings": {"ring": ring}});
        serde_json::from_value(call_type).unwrap()
    }

    fn state(app: Value) -> AppState {
        AppState {
            app,
            webhook: Some((URL.parse().unwrap(), complete_registration())),
            roles: Some(BTreeSet::from(["admin", "user"].map(str::to_owned))),
            call_type: Some(call_type("private", json!({"admin": [], "user": []}))),
            service_user: ServiceUser::Active,
        }
    }

    fn check(app: &Value) -> Vec<Finding> {
        check_app(&state(app.clone()), &requirements())
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
        assert_eq!(findings.len(), 14);
    }

    #[test]
    fn each_invalid_setting_is_reported() {
        let settings = "/call_types/private/settings";
        for (pointer, value, line) in [
            ("/suspended", json!(true), "fail Stream has suspended the app"),
            ("/disable_auth_checks", json!(true), "fail authentication checks are off"),
            ("/disable_permissions_checks", json!(true), "fail permission checks are off"),
            ("/suspended", json!(null), "warn suspended cannot be checked"),
            ("/call_types", json!({}), "warn call type private: the settings cannot be checked"),
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
                ("/backstage/enabled", json!(true), "fail call type private: backstage is on"),
                ("/backstage", json!(null), "warn call type private: backstage cannot be checked"),
                (
                    "/limits/max_participants",
                    json!(1),
                    "fail call type private: max_participants is 1,",
                ),
                (
                    "/limits/max_participants",
                    json!(99),
                    "warn call type private: max_participants is 99",
                ),
                (
                    "/limits/max_duration_seconds",
                    json!(3_600),
                    "warn call type private: max_duration_seconds is 3600",
                ),
                (
                    "/individual_recording/mode",
                    json!("auto-on"),
                    "warn call type private: individual_recording.mode is auto-on",
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
    fn access_of_other_roles_is_reported() {
        let few = [&MEMBER_GRANTS[..2], &["update-call-member"]].concat();
        for (grants, lines) in [
            (
                json!({"user": ["join-call", "read-call", "start-recording"]}),
                vec!["fail call type private: the role user may join, record, read calls"],
            ),
            (
                json!({"guest": ["end-call"], "anonymous": ["update-call-settings-owner"]}),
                vec![
                    "fail call type private: the role anonymous may lengthen calls",
                    "fail call type private: the role guest may end calls",
                ],
            ),
            (
                json!({"user": ["read-call"]}),
                vec!["warn call type private: the role user may read calls"],
            ),
            // The functions assign these roles to no user.
            (
                json!({"moderator": ["join-call"], "global_admin": ["join-call-any-team"]}),
                vec!["warn call type private: the role moderator may join calls"],
            ),
            (
                json!({"call_member": MEMBER_GRANTS[1..], "user": null}),
                vec!["warn call type private: members lack create-call-reaction"],
            ),
            (
                json!({"call_member": few}),
                vec![
                    "fail call type private: the role call_member may change the members of calls",
                    "fail call type private: members lack join-call, read-call, screenshare, \
                     send-audio, send-video",
                ],
            ),
        ] {
            let call_type = Some(call_type("private", grants.clone()));
            let state = AppState { call_type, ..state(valid_app()) };
            let found = problem_lines(&check_app(&state, &requirements()));
            assert_eq!(found, lines, "{grants}");
        }
    }

    #[test]
    fn missing_type_and_user_are_reported() {
        let state = AppState {
            call_type: None,
            service_user: ServiceUser::Missing,
            webhook: None,
            ..state(valid_app())
        };
        let lines = problem_lines(&check_app(&state, &requirements()));
        let expected = [
            "warn the webhook is not checked without --webhook-url",
            "fail the call type private does not exist",
            "fail the user stream-functions does not exist",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        assert!(
            lines.iter().zip(expected).all(|(line, start)| line.starts_with(start)),
            "{lines:?}"
        );
    }

    #[test]
    fn default_type_and_deactivated_user_are_reported() {
        let requirements = Requirements::from_env(&Env::default(), None).unwrap();
        let mut app = valid_app();
        app["call_types"]["default"] = app["call_types"]["private"].clone();
        let state = AppState {
            call_type: Some(call_type("default", json!({}))),
            service_user: ServiceUser::Inactive,
            ..state(app)
        };
        let lines = problem_lines(&check_app(&state, &requirements));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with("warn calls have the built-in call type default"),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("fail the user stream-functions is deactivated"), "{lines:?}");
    }

    #[test]
    fn other_ring_timeouts_are_reported() {
        for (secs, is_problem) in [("120", false), ("119", true), ("180", true), ("3600", true)] {
            let env =
                Env::from([("STREAM_CALL_TYPE", "private"), ("CALL_RING_TIMEOUT_SECONDS", secs)]);
            let requirements = Requirements::from_env(&env, None).unwrap();
            let lines = problem_lines(&check_app(&state(valid_app()), &requirements));
            assert_eq!(lines.len(), usize::from(is_problem), "{secs}: {lines:?}");
            let start = "fail call type private: the ring timeouts are not ";
            assert!(lines.iter().all(|line| line.starts_with(start)), "{lines:?}");
        }
        let mut state = state(valid_app());
        state.call_type.as_mut().unwrap().settings.ring = None;
        assert_eq!(problem_lines(&check_app(&state, &requirements())).len(), 1);
    }

    #[test]
    fn settings_at_their_limit_are_ok() {
        let settings = "/call_types/private/settings";
        for (pointer, value) in [
            ("/limits/max_participants", json!(0)),
            ("/limits/max_participants", json!(100)),
            ("/limits/max_duration_seconds", json!(0)),
            ("/limits/max_duration_seconds", json!(14_400)),
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
        let env =
            Env::from([("STREAM_CALL_TYPE", "private"), ("STREAM_ROLE_MAP", "streamer=host")]);
        let requirements = Requirements::from_env(&env, None).unwrap();
        let check_roles = |roles: Option<&[&str]>| {
            let roles = roles.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            let state = AppState { roles, ..state(valid_app()) };
            problem_lines(&check_app(&state, &requirements))
        };
        assert_eq!(check_roles(Some(&["host", "user"])), [""; 0]);
        let lines = check_roles(Some(&["user"]));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("fail the role host does not exist"), "{lines:?}");
        let lines = check_roles(None);
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
