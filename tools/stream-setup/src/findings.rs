//! What is good and what is wrong in the app's settings: a pure function of what Stream tells.
//!
//! Where Stream tells nothing, that is said, and nothing is guessed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use shared::auth::StreamRoles;
use shared::calls::limits;
use shared::config::{ConfigError, Env};
use shared::stream::hooks::{Registration, WebhookUrl};

/// How much something matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Worth a look, or not to be known.
    Warn,
    /// Wrong.
    Fail,
}

/// One line for a person.
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

fn unknown(what: &str) -> Finding {
    warn(format!("{what} cannot be checked: Stream does not tell"))
}

/// What the deployment needs of the app.
#[derive(Debug)]
pub(crate) struct Needs {
    /// The roles that users get.
    roles: BTreeSet<String>,
    /// How long a call waits for somebody to join it.
    ring_timeout: Duration,
    /// The longest that a call lasts.
    max_duration: Duration,
}

impl Needs {
    /// Reads what the functions read, under the same names.
    pub(crate) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            roles: StreamRoles::from_env(env)?.names(),
            ring_timeout: limits::ring_timeout(env)?,
            max_duration: limits::max_duration(env)?,
        })
    }
}

/// Everything that can be said of an app. `roles` are those that it has, where Stream lists them.
pub(crate) fn findings(
    app: &Value,
    registration: &Registration,
    url: &WebhookUrl,
    roles: Option<&BTreeSet<String>>,
    needs: &Needs,
) -> Vec<Finding> {
    let mut found = switches(app);
    found.extend(webhook(registration, url));
    found.extend(needs.roles.iter().map(|role| role_exists(role, roles)));
    found.extend(call_type(&app["call_types"]["default"]["settings"], needs));
    found.push(channel_type(&app["channel_configs"]["messaging"]));
    found
}

fn switches(app: &Value) -> Vec<Finding> {
    let switch = |name: &str, bad: &str, good: &str| match app[name].as_bool() {
        Some(true) => fail(bad),
        Some(false) => ok(good),
        None => unknown(name),
    };
    let mut found = vec![
        switch("suspended", "Stream has suspended the app", "the app is not suspended"),
        switch(
            "disable_auth_checks",
            "authentication checks are off: anybody may connect as anybody",
            "authentication checks are on",
        ),
        switch(
            "disable_permissions_checks",
            "permission checks are off: every user may do everything",
            "permission checks are on",
        ),
    ];
    if !app["revoke_tokens_issued_before"].is_null() {
        found.push(warn(
            "the app has revoked tokens of all users (revoke_tokens_issued_before): older ones are \
             refused",
        ));
    }
    found
}

fn webhook(registration: &Registration, url: &WebhookUrl) -> Vec<Finding> {
    let Registration { hooks, enabled, missing, twice } = registration;
    let shown = url.as_str();
    let mut found = vec![match (hooks, enabled) {
        (0, _) => fail(format!("no hook leads to {shown}")),
        (_, 0) => fail(format!("the hook that leads to {shown} is disabled")),
        _ if missing.is_empty() => ok(format!("every event comes to {shown}")),
        _ => fail(format!("these events do not come to {shown}: {}", missing.join(", "))),
    }];
    if *twice {
        found.push(warn("some events come twice: more than one hook leads there"));
    }
    if !shown.starts_with("https://") {
        found.push(warn("the webhook's address is not https: events would travel unencrypted"));
    }
    if !shown.ends_with("/api/stream/webhook") {
        found.push(warn("the webhook's address does not end in /api/stream/webhook"));
    }
    found
}

fn role_exists(role: &str, roles: Option<&BTreeSet<String>>) -> Finding {
    match roles {
        None => unknown(&format!("whether the role {role} exists")),
        Some(roles) if roles.contains(role) => ok(format!("the role {role} exists")),
        Some(_) => fail(format!(
            "there is no role {role}, which STREAM_ROLE_MAP gives: users with it cannot be made \
             known"
        )),
    }
}

/// Of the call type only what calls do not bring along themselves.
fn call_type(settings: &Value, needs: &Needs) -> Vec<Finding> {
    if !settings.is_object() {
        return vec![unknown("the call type default")];
    }
    let mut found = vec![match settings["backstage"]["enabled"].as_bool() {
        Some(true) => fail("call type default: backstage is on, so nobody can join a call"),
        Some(false) => ok("call type default: backstage is off"),
        None => unknown("call type default: backstage"),
    }];
    found.push(participants(&settings["limits"]["max_participants"]));
    found.push(duration(&settings["limits"]["max_duration_seconds"], needs));
    for name in ["auto_cancel_timeout_ms", "missed_call_timeout_ms"] {
        found.push(ringing(name, &settings["ring"][name], needs));
    }
    let by_itself = |part: &&str| {
        let (part, member) = part.split_once('.').unwrap_or((*part, "mode"));
        settings[part][member] == "auto-on"
    };
    let parts = [
        "individual_recording.mode",
        "raw_recording.mode",
        "frame_recording.mode",
        "transcription.closed_caption_mode",
    ];
    let parts: Vec<&str> = parts.into_iter().filter(by_itself).collect();
    found.push(if parts.is_empty() {
        ok("call type default: nothing is recorded by itself")
    } else {
        warn(format!(
            "call type default: {} is auto-on, though calls are made without recording",
            parts.join(", ")
        ))
    });
    found
}

fn participants(most: &Value) -> Finding {
    /// The most that a call is made with.
    const MEMBERS: i64 = 100;
    match most.as_i64() {
        // Go's zero, as Stream writes what is not set.
        None | Some(0) => ok("call type default: participants are not limited"),
        Some(most) if most < 2 => {
            fail(format!("call type default: {most} participant at most, so nobody can be called"))
        }
        Some(most) if most < MEMBERS => warn(format!(
            "call type default: {most} participants at most, and calls have up to {MEMBERS} members"
        )),
        Some(most) => ok(format!("call type default: {most} participants at most")),
    }
}

fn duration(most: &Value, needs: &Needs) -> Finding {
    let ours = needs.max_duration.as_secs();
    match most.as_u64() {
        None | Some(0) => ok("call type default: the duration is limited by each call alone"),
        Some(most) if most < ours => warn(format!(
            "call type default: calls end after {most} s, and each call asks for {ours} s \
             (CALL_MAX_DURATION_SECONDS); which of the two counts Stream does not document"
        )),
        Some(most) => ok(format!("call type default: calls may last {most} s")),
    }
}

fn ringing(name: &str, timeout: &Value, needs: &Needs) -> Finding {
    let ours = needs.ring_timeout.as_secs();
    match timeout.as_u64() {
        None => unknown(&format!("call type default: {name}")),
        Some(millis) if Duration::from_millis(millis) > needs.ring_timeout => warn(format!(
            "call type default: {name} is {millis} ms, and a call that nobody joins is ended after \
             {ours} s (CALL_RING_TIMEOUT_SECONDS): it would still ring"
        )),
        Some(millis) => ok(format!("call type default: {name} is {millis} ms")),
    }
}

fn channel_type(config: &Value) -> Finding {
    /// The longest message that the functions take.
    const MESSAGE: u64 = 5_000;
    match config["max_message_length"].as_u64() {
        None => unknown("channel type messaging: max_message_length"),
        Some(most) if most < MESSAGE => fail(format!(
            "channel type messaging: max_message_length is {most}, and messages have up to \
             {MESSAGE} characters"
        )),
        Some(most) => ok(format!("channel type messaging: max_message_length is {most}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn needs() -> Needs {
        Needs::from_env(&Env::default()).unwrap()
    }

    fn complete() -> Registration {
        Registration { hooks: 1, enabled: 1, missing: vec![], twice: false }
    }

    /// An app that has everything as it should be.
    fn app() -> Value {
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

    fn of(app: &Value) -> Vec<Finding> {
        let roles = BTreeSet::from(["admin", "user"].map(str::to_owned));
        findings(app, &complete(), &URL.parse().unwrap(), Some(&roles), &needs())
    }

    /// The lines that are not `ok`.
    fn told(found: &[Finding]) -> Vec<String> {
        let told = found.iter().filter(|finding| finding.level != Level::Ok);
        told.map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_app_has_nothing_but_good_lines() {
        let found = of(&app());
        assert_eq!(told(&found), [""; 0]);
        assert_eq!(found[0].to_string(), "ok   the app is not suspended");
        assert_eq!(found.len(), 13);
    }

    #[test]
    fn each_setting_that_works_against_us_is_told() {
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
                ("/limits/max_participants", json!(1), "fail call type default: 1 participant"),
                ("/limits/max_participants", json!(99), "warn call type default: 99 participants"),
                (
                    "/limits/max_duration_seconds",
                    json!(3_600),
                    "warn call type default: calls end after 3600 s",
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
            let mut app = app();
            *app.pointer_mut(&pointer).unwrap() = value.clone();
            let told = told(&of(&app));
            assert_eq!(told.len(), 1, "{pointer} {value}: {told:?}");
            assert!(told[0].starts_with(line), "{pointer} {value}: {told:?}");
        }
    }

    #[test]
    fn what_is_at_its_bound_is_good() {
        let settings = "/call_types/default/settings";
        for (pointer, value) in [
            ("/limits/max_participants", json!(0)),
            ("/limits/max_participants", json!(100)),
            ("/limits/max_duration_seconds", json!(0)),
            ("/limits/max_duration_seconds", json!(14_400)),
            ("/ring/auto_cancel_timeout_ms", json!(120_000)),
        ] {
            let mut app = app();
            *app.pointer_mut(&format!("{settings}{pointer}")).unwrap() = value.clone();
            assert_eq!(told(&of(&app)), [""; 0], "{pointer} {value}");
        }
    }

    #[test]
    fn tokens_that_the_app_has_revoked_are_told() {
        let mut app = app();
        app["revoke_tokens_issued_before"] = json!(1_767_225_600_000_000_000_i64);
        assert!(told(&of(&app))[0].starts_with("warn the app has revoked tokens of all users"));
    }

    #[test]
    fn roles_are_those_of_the_map() {
        let env = Env::from([("STREAM_ROLE_MAP", "streamer=host")]);
        let needs = Needs::from_env(&env).unwrap();
        let roles = |roles: Option<&[&str]>| {
            let roles: Option<BTreeSet<String>> =
                roles.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            let url = URL.parse().unwrap();
            told(&findings(&app(), &complete(), &url, roles.as_ref(), &needs))
        };
        assert_eq!(roles(Some(&["host", "user"])), [""; 0]);
        let told = roles(Some(&["user"]));
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("fail there is no role host"), "{told:?}");
        let told = roles(None);
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("warn whether the role host exists cannot be"), "{told:?}");
    }

    #[test]
    fn the_webhook_is_good_bad_or_doubtful() {
        let none = Registration { hooks: 0, enabled: 0, missing: vec!["call.ended"], twice: false };
        let ended = "these events do not come to";
        for (registration, url, lines) in [
            (complete(), URL, vec![]),
            (none.clone(), URL, vec!["fail no hook leads to".to_owned()]),
            (Registration { hooks: 1, ..none.clone() }, URL, vec!["fail the hook that".to_owned()]),
            (
                Registration { hooks: 1, enabled: 1, ..none },
                URL,
                vec![format!("fail {ended} {URL}: call.ended")],
            ),
            (
                Registration { hooks: 2, enabled: 2, twice: true, ..complete() },
                URL,
                vec!["warn some events come twice".to_owned()],
            ),
            (
                complete(),
                "http://api.example.com/hook",
                vec![
                    "warn the webhook's address is not https".to_owned(),
                    "warn the webhook's address does not end".to_owned(),
                ],
            ),
        ] {
            let told = told(&webhook(&registration, &url.parse().unwrap()));
            assert_eq!(told.len(), lines.len(), "{told:?}");
            for (told, line) in told.iter().zip(lines) {
                assert!(told.starts_with(&line), "{told}");
            }
        }
    }
}
