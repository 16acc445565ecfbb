//! Plans the change of the app's list of hooks that registers the webhook, and verifies the list
//! after the update.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::stream::event::HANDLED_EVENTS;
use shared::stream::hooks::{EventHook, WebhookRegistration, WebhookUrl};

use crate::hook::RawHook;

/// A planned update of the list.
pub(crate) struct Plan {
    /// The new list, or the old list if nothing changes.
    pub(crate) hooks: Vec<RawHook>,
    pub(crate) change: Change,
}

/// The difference between the old and the new list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Unchanged,
    /// A new hook at the end.
    Added,
    /// The hook at this index, which already has the webhook's address.
    Updated(usize),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// A hook has a masked value and cannot be written back.
    #[error(
        "Stream masks {member} of hook {position}, so writing the list would lose its value. \
         Register the webhook in the dashboard instead"
    )]
    Masked {
        /// The position in the list, from 1.
        position: usize,
        /// The name of the member.
        member: String,
    },
    #[error("Stream returned a hook that cannot be parsed")]
    InvalidHook(#[from] serde_json::Error),
}

/// The webhook's registration in a list.
pub(crate) fn registration(
    hooks: &[RawHook],
    url: &WebhookUrl,
) -> Result<WebhookRegistration, PlanError> {
    let event_hooks: Vec<EventHook> =
        hooks.iter().map(RawHook::to_event_hook).collect::<Result<_, _>>()?;
    Ok(WebhookRegistration::from_hooks(&event_hooks, url))
}

impl Plan {
    /// Plans the update that sends all required events to the webhook. Other hooks stay unchanged.
    pub(crate) fn new(hooks: &[RawHook], url: &WebhookUrl) -> Result<Self, PlanError> {
        let mut hooks = hooks.to_vec();
        if registration(&hooks, url)?.is_complete() {
            return Ok(Self { hooks, change: Change::Unchanged });
        }
        let masked = hooks
            .iter()
            .zip(1..)
            .find_map(|(hook, position)| Some((hook.masked_member()?, position)));
        if let Some((member, position)) = masked {
            return Err(PlanError::Masked { position, member: member.to_owned() });
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

    /// The plan as printed. Other hooks show only their type, because their members may be secret.
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
                _ => format!("webhook {}, all products, all required events", url.as_str()),
            };
            format!("{verb:<6} hook {}: {description}", index + 1)
        };
        self.hooks.iter().enumerate().map(line).collect()
    }
}

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

/// Enables a hook for all products and adds the missing events. Other members stay unchanged.
fn update_hook(hook: &mut RawHook) -> Result<(), PlanError> {
    hook.set("enabled", &true)?;
    hook.set("product", &"all")?;
    // An empty list selects all events.
    if let Some(types) = hook.get::<Vec<String>>("event_types").filter(|types| !types.is_empty()) {
        let new =
            HANDLED_EVENTS.into_iter().filter(|kind| !types.iter().any(|known| known == kind));
        let types: Vec<&str> = types.iter().map(String::as_str).chain(new).collect();
        hook.set("event_types", &types)?;
    }
    Ok(())
}

/// The differences between the planned and the actual list, one line each.
pub(crate) fn find_discrepancies(
    planned: &[RawHook],
    actual: &[RawHook],
    url: &WebhookUrl,
) -> Result<Vec<String>, PlanError> {
    let mut lines = Vec::new();
    // Each actual hook matches at most one planned hook.
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
            lines.push(format!("hook {} ({}) has changed or is missing", index + 1, hook.kind()));
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

    /// Hooks of other services, with unknown members.
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
            // A second plan changes nothing.
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
        // A masked member is accepted if the list is not written.
        let mut hooks = parse_all(&[masked]);
        hooks.push(new_hook(&url()).unwrap());
        assert_eq!(Plan::new(&hooks, &url()).unwrap().change, Change::Unchanged);
    }

    #[test]
    fn plan_output_shows_only_the_kind_of_foreign_hooks() {
        let lines = Plan::new(&parse_all(&FOREIGN_HOOKS), &url()).unwrap().lines(&url());
        let added = format!("add    hook 3: webhook {URL}, all products, all required events");
        assert_eq!(lines, ["keep   hook 1: sqs", "keep   hook 2: webhook", added.as_str()]);
    }

    #[test]
    fn discrepancies_are_found_after_the_update() {
        let planned = Plan::new(&parse_all(&FOREIGN_HOOKS), &url()).unwrap().hooks;
        let ours = planned[2].clone();
        let lines = |actual: &[RawHook]| find_discrepancies(&planned, actual, &url()).unwrap();
        // Stream adds ids and timestamps, and may reorder the hooks.
        let others = parse_all(&[
            r#"{"id":"n","webhook_url":"https://elsewhere.example.com/","hook_type":"webhook","enabled":true,"updated_at":5}"#,
            r#"{"sqs_secret":"s","hook_type":"sqs","id":"h1","unheard_of":{"a":[],"b":1.5},"product":null}"#,
        ]);
        let with_ours = |others: &[RawHook]| [others, std::slice::from_ref(&ours)].concat();
        assert_eq!(lines(&with_ours(&others)), [""; 0]);
        assert_eq!(lines(&others), ["the webhook is not registered"]);
        assert_eq!(lines(&with_ours(&others[..1])), ["hook 1 (sqs) has changed or is missing"]);
        let mut changed = others.clone();
        changed[1].set("sqs_secret", &"t").unwrap();
        assert_eq!(lines(&with_ours(&changed)), ["hook 1 (sqs) has changed or is missing"]);
        // One actual hook does not match two planned hooks.
        let twice = [&planned[..1], &planned[..1], &planned[2..]].concat();
        let lines = find_discrepancies(&twice, &with_ours(&others), &url()).unwrap();
        assert_eq!(lines, ["hook 2 (sqs) has changed or is missing"]);
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
