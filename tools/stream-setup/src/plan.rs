//! What registering the webhook makes of the app's list of hooks: a pure function, and another one
//! that says whether it has come true.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::stream::event::HANDLED_EVENTS;
use shared::stream::hooks::{EventHook, WebhookRegistration, WebhookUrl};

use crate::hook::RawHook;

/// What is to become of the list.
pub(crate) struct Plan {
    /// The new list, or the old one where nothing is to change.
    pub(crate) hooks: Vec<RawHook>,
    /// What the change is.
    pub(crate) change: Change,
}

/// What changes in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    Unchanged,
    /// One more hook, at the end.
    Added,
    /// The hook of this place, which leads to the webhook already.
    Updated(usize),
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// A hook could not be written back.
    #[error(
        "Stream masks {member} of hook {position}, and the list can only be written as a whole: the \
         hook would lose it. Register the webhook in the dashboard instead"
    )]
    Masked {
        /// Its place in the list, from 1.
        position: usize,
        /// The member, by its name.
        member: String,
    },
    /// A hook has not the form of one.
    #[error("a hook of the app's list cannot be read")]
    InvalidHook(#[from] serde_json::Error),
}

/// How the webhook is registered in a list.
pub(crate) fn registration(
    hooks: &[RawHook],
    url: &WebhookUrl,
) -> Result<WebhookRegistration, PlanError> {
    let event_hooks: Vec<EventHook> =
        hooks.iter().map(RawHook::to_event_hook).collect::<Result<_, _>>()?;
    Ok(WebhookRegistration::from_hooks(&event_hooks, url))
}

impl Plan {
    /// What makes the webhook hear of everything that matters, and touches no other hook.
    pub(crate) fn new(hooks: &[RawHook], url: &WebhookUrl) -> Result<Self, PlanError> {
        let mut hooks = hooks.to_vec();
        if registration(&hooks, url)?.is_complete() {
            return Ok(Self { hooks, change: Change::Unchanged });
        }
        let masked =
            hooks.iter().zip(1..).find_map(|(hook, place)| Some((hook.masked_member()?, place)));
        if let Some((member, place)) = masked {
            return Err(PlanError::Masked { position: place, member: member.to_owned() });
        }
        let event_hooks: Vec<EventHook> =
            hooks.iter().map(RawHook::to_event_hook).collect::<Result<_, _>>()?;
        let find_hook = |only_enabled: bool| {
            event_hooks
                .iter()
                .position(|hook| hook.is_webhook_for(url) && (hook.is_enabled() || !only_enabled))
        };
        let change = if let Some(index) = find_hook(true).or_else(|| find_hook(false)) {
            update_hook(&mut hooks[index])?;
            Change::Updated(index)
        } else {
            hooks.push(new_hook(url)?);
            Change::Added
        };
        Ok(Self { hooks, change })
    }

    /// The plan for a person, line by line. Of other hooks only their kind is shown.
    pub(crate) fn lines(&self, url: &WebhookUrl) -> Vec<String> {
        let last = self.hooks.len().saturating_sub(1);
        let line = |(index, hook): (usize, &RawHook)| {
            let verb = match self.change {
                Change::Added if index == last => "add",
                Change::Updated(updated) if index == updated => "change",
                _ => "keep",
            };
            let description = match verb {
                "keep" => hook.kind().to_owned(),
                _ => format!("webhook {}, of all products, for what is heard here", url.as_str()),
            };
            format!("{verb:<6} hook {}: {description}", index + 1)
        };
        self.hooks.iter().enumerate().map(line).collect()
    }
}

/// A hook for the webhook.
fn new_hook(url: &WebhookUrl) -> Result<RawHook, PlanError> {
    let hook = json!({
        "hook_type": "webhook",
        "enabled": true,
        "product": "all",
        "webhook_url": url.as_str(),
        "event_types": HANDLED_EVENTS,
    });
    Ok(serde_json::from_str(&hook.to_string())?)
}

/// Makes a hook send what is heard here, and leaves everything else of it as it is.
fn update_hook(hook: &mut RawHook) -> Result<(), PlanError> {
    hook.set("enabled", &true)?;
    hook.set("product", &"all")?;
    // None at all are all of them.
    if let Some(types) = hook.get::<Vec<String>>("event_types").filter(|it| !it.is_empty()) {
        let new =
            HANDLED_EVENTS.into_iter().filter(|kind| !types.iter().any(|known| known == kind));
        let types: Vec<&str> = types.iter().map(String::as_str).chain(new).collect();
        hook.set("event_types", &types)?;
    }
    Ok(())
}

/// What of a plan has not come true, by the list as it is now: one line each.
pub(crate) fn find_discrepancies(
    planned: &[RawHook],
    actual: &[RawHook],
    url: &WebhookUrl,
) -> Result<Vec<String>, PlanError> {
    let mut lines = Vec::new();
    // A hook that is found is so for one of the planned ones.
    let mut matched = BTreeSet::new();
    for (index, hook) in planned.iter().enumerate() {
        if hook.to_event_hook()?.is_webhook_for(url) {
            continue;
        }
        let with_id = hook.get::<Value>("id").is_some_and(|id| id.is_string());
        let expected = hook.comparable_members(with_id)?;
        let mut matching = None;
        for (candidate, other) in actual.iter().enumerate() {
            if !matched.contains(&candidate) && other.comparable_members(with_id)? == expected {
                matching = Some(candidate);
                break;
            }
        }
        if let Some(matching_index) = matching {
            matched.insert(matching_index);
        } else {
            lines.push(format!("hook {} ({}) is not as it was", index + 1, hook.kind()));
        }
    }
    if !registration(actual, url)?.is_complete() {
        lines.push("the webhook is not registered".to_owned());
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    const URL: &str = "https://api.example.com/api/stream/webhook";

    fn url() -> WebhookUrl {
        URL.parse().unwrap()
    }

    fn parse_all(hooks: &[&str]) -> Vec<RawHook> {
        hooks.iter().map(|hook| serde_json::from_str(hook).unwrap()).collect()
    }

    fn request_bodies(hooks: &[RawHook]) -> Vec<String> {
        hooks.iter().map(|hook| hook.to_request().unwrap().get().to_owned()).collect()
    }

    /// Hooks of somebody else, with what nobody here knows.
    const FOREIGN_HOOKS: [&str; 2] = [
        r#"{"id":"h1","hook_type":"sqs","sqs_secret":"s","unheard_of":{"b":1.50,"a":[]}}"#,
        r#"{"webhook_url":"https://elsewhere.example.com/","hook_type":"webhook","enabled":true}"#,
    ];

    #[test]
    fn missing_hook_is_appended() {
        for others in [&FOREIGN_HOOKS[..0], &FOREIGN_HOOKS[..1], &FOREIGN_HOOKS[..]] {
            let plan = Plan::new(&parse_all(others), &url()).unwrap();
            assert_eq!(plan.change, Change::Added);
            let bodies = request_bodies(&plan.hooks);
            assert_eq!(bodies[..others.len()], *others);
            assert!(registration(&plan.hooks, &url()).unwrap().is_complete());
            // The same once more changes nothing.
            let again = Plan::new(&plan.hooks, &url()).unwrap();
            assert_eq!(again.change, Change::Unchanged);
        }
    }

    #[test]
    fn incomplete_hook_is_updated_in_place() {
        let ours = |members: &str| {
            format!(r#"{{"id":"ours","hook_type":"webhook","webhook_url":"{URL}",{members}}}"#)
        };
        let all = format!("[{}]", HANDLED_EVENTS.map(|kind| format!("\"{kind}\"")).join(","));
        let more = all.replacen('[', "[\"message.new\",", 1);
        let with = |types: &str| format!(r#""enabled":true,"product":"all","event_types":{types}"#);
        for (before, after) in [
            (
                r#""enabled":false,"product":"all""#.to_owned(),
                r#""enabled":true,"product":"all""#.to_owned(),
            ),
            (
                r#""enabled":true,"product":"chat""#.to_owned(),
                r#""enabled":true,"product":"all""#.to_owned(),
            ),
            (
                r#""enabled":false,"product":null,"event_types":[],"timeout_ms":1500"#.to_owned(),
                r#""enabled":true,"product":"all","event_types":[],"timeout_ms":1500"#.to_owned(),
            ),
            (with(r#"["message.new"]"#), with(&more)),
            (with(&format!(r#"["message.new","{}"]"#, HANDLED_EVENTS[0])), with(&more)),
        ] {
            let before = ours(&before);
            let plan =
                Plan::new(&parse_all(&[FOREIGN_HOOKS[0], &before, FOREIGN_HOOKS[1]]), &url())
                    .unwrap();
            assert_eq!(plan.change, Change::Updated(1), "{before}");
            assert_eq!(
                request_bodies(&plan.hooks),
                [FOREIGN_HOOKS[0], ours(&after).as_str(), FOREIGN_HOOKS[1]],
                "{before}"
            );
            let again = Plan::new(&plan.hooks, &url()).unwrap();
            assert_eq!(again.change, Change::Unchanged, "{before}");
        }
    }

    #[test]
    fn enabled_hook_is_updated_before_a_disabled_one() {
        let ours =
            |members: &str| format!(r#"{{"hook_type":"webhook","webhook_url":"{URL}",{members}}}"#);
        let (off, chat) = (ours(r#""enabled":false"#), ours(r#""enabled":true,"product":"chat""#));
        let plan = Plan::new(&parse_all(&[&off, &chat]), &url()).unwrap();
        assert_eq!(plan.change, Change::Updated(1));
        assert_eq!(request_bodies(&plan.hooks)[0], off);
    }

    #[test]
    fn masked_hook_prevents_the_update() {
        let masked = r#"{"hook_type":"sqs","sqs_secret":"****"}"#;
        let error = Plan::new(&parse_all(&[FOREIGN_HOOKS[1], masked]), &url()).err().unwrap();
        assert!(error.to_string().starts_with("Stream masks sqs_secret of hook 2,"), "{error}");
        // Where nothing is to be written it does no harm.
        let mut hooks = parse_all(&[masked]);
        hooks.push(new_hook(&url()).unwrap());
        assert_eq!(Plan::new(&hooks, &url()).unwrap().change, Change::Unchanged);
    }

    #[test]
    fn plan_output_shows_only_the_kind_of_foreign_hooks() {
        let lines = Plan::new(&parse_all(&FOREIGN_HOOKS), &url()).unwrap().lines(&url());
        let added =
            format!("add    hook 3: webhook {URL}, of all products, for what is heard here");
        assert_eq!(lines, ["keep   hook 1: sqs", "keep   hook 2: webhook", added.as_str()]);
    }

    #[test]
    fn discrepancies_are_found_after_the_update() {
        let planned = Plan::new(&parse_all(&FOREIGN_HOOKS), &url()).unwrap().hooks;
        let ours = planned[2].clone();
        let lines = |found: &[RawHook]| find_discrepancies(&planned, found, &url()).unwrap();
        // Stream gives ids and times, and may have an order of its own.
        let found = parse_all(&[
            r#"{"id":"n","webhook_url":"https://elsewhere.example.com/","hook_type":"webhook","enabled":true,"updated_at":5}"#,
            r#"{"sqs_secret":"s","hook_type":"sqs","id":"h1","unheard_of":{"a":[],"b":1.5},"product":null}"#,
        ]);
        let with_ours = |others: &[RawHook]| [others, std::slice::from_ref(&ours)].concat();
        assert_eq!(lines(&with_ours(&found)), [""; 0]);
        assert_eq!(lines(&found), ["the webhook is not registered"]);
        assert_eq!(lines(&with_ours(&found[..1])), ["hook 1 (sqs) is not as it was"]);
        let mut changed = found.clone();
        changed[1].set("sqs_secret", &"t").unwrap();
        assert_eq!(lines(&with_ours(&changed)), ["hook 1 (sqs) is not as it was"]);
        // One hook cannot stand for two.
        let twice = [&planned[..1], &planned[..1], &planned[2..]].concat();
        let lines = find_discrepancies(&twice, &with_ours(&found), &url()).unwrap();
        assert_eq!(lines, ["hook 2 (sqs) is not as it was"]);
    }

    #[test]
    fn concurrent_change_is_detected() {
        let settings = |hooks: &str| {
            let text = format!(r#"{{"app":{{"event_hooks":{hooks}}}}}"#);
            crate::hook::parse_hooks(&RawValue::from_string(text).unwrap()).unwrap()
        };
        let before = settings(r#"[{"id":"h1"}]"#);
        for (now, same) in [
            (r#"[{"id":"h1"}]"#, true),
            (r#"[{"id":"h1"},{"id":"h2"}]"#, false),
            (r#"[{"id":"h1","enabled":true}]"#, false),
            ("[]", false),
        ] {
            assert_eq!(crate::hook::is_identical(&before, &settings(now)).unwrap(), same, "{now}");
        }
    }
}
