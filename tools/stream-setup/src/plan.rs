//! What registering the webhook makes of the app's list of hooks: a pure function, and another one
//! that says whether it has come true.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::stream::event::HEARD;
use shared::stream::hooks::{EventHook, Registration, WebhookUrl};

use crate::hook::Hook;

/// What is to become of the list.
pub(crate) struct Plan {
    /// The new list, or the old one where nothing is to change.
    pub(crate) hooks: Vec<Hook>,
    /// What the change is.
    pub(crate) change: Change,
}

/// What changes in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    Nothing,
    /// One more hook, at the end.
    Added,
    /// The hook of this place, which leads to the webhook already.
    Mended(usize),
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// A hook could not be written back.
    #[error(
        "Stream masks {member} of hook {place}, and the list can only be written as a whole: the \
         hook would lose it. Register the webhook in the dashboard instead"
    )]
    Masked {
        /// Its place in the list, from 1.
        place: usize,
        /// The member, by its name.
        member: String,
    },
    /// A hook has not the form of one.
    #[error("a hook of the app's list cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

/// How the webhook is registered in a list.
pub(crate) fn registration(hooks: &[Hook], url: &WebhookUrl) -> Result<Registration, PlanError> {
    let typed: Vec<EventHook> = hooks.iter().map(Hook::typed).collect::<Result<_, _>>()?;
    Ok(Registration::of(&typed, url))
}

impl Plan {
    /// What makes the webhook hear of everything that matters, and touches no other hook.
    pub(crate) fn of(hooks: &[Hook], url: &WebhookUrl) -> Result<Self, PlanError> {
        let mut hooks = hooks.to_vec();
        if registration(&hooks, url)?.is_complete() {
            return Ok(Self { hooks, change: Change::Nothing });
        }
        let masked = hooks.iter().zip(1..).find_map(|(hook, place)| Some((hook.masked()?, place)));
        if let Some((member, place)) = masked {
            return Err(PlanError::Masked { place, member: member.to_owned() });
        }
        let typed: Vec<EventHook> = hooks.iter().map(Hook::typed).collect::<Result<_, _>>()?;
        let ours = |enabled: bool| {
            typed.iter().position(|hook| hook.leads_to(url) && (hook.is_enabled() || !enabled))
        };
        let change = if let Some(place) = ours(true).or_else(|| ours(false)) {
            mend(&mut hooks[place])?;
            Change::Mended(place)
        } else {
            hooks.push(added(url)?);
            Change::Added
        };
        Ok(Self { hooks, change })
    }

    /// The plan for a person, line by line. Of other hooks only their kind is shown.
    pub(crate) fn lines(&self, url: &WebhookUrl) -> Vec<String> {
        let last = self.hooks.len().saturating_sub(1);
        let line = |(place, hook): (usize, &Hook)| {
            let verb = match self.change {
                Change::Added if place == last => "add",
                Change::Mended(mended) if place == mended => "change",
                _ => "keep",
            };
            let what = match verb {
                "keep" => hook.kind().to_owned(),
                _ => format!("webhook {}, of all products, for what is heard here", url.as_str()),
            };
            format!("{verb:<6} hook {}: {what}", place + 1)
        };
        self.hooks.iter().enumerate().map(line).collect()
    }
}

/// A hook for the webhook.
fn added(url: &WebhookUrl) -> Result<Hook, PlanError> {
    let hook = json!({
        "hook_type": "webhook",
        "enabled": true,
        "product": "all",
        "webhook_url": url.as_str(),
        "event_types": HEARD,
    });
    Ok(serde_json::from_str(&hook.to_string())?)
}

/// Makes a hook send what is heard here, and leaves everything else of it as it is.
fn mend(hook: &mut Hook) -> Result<(), PlanError> {
    hook.set("enabled", &true)?;
    hook.set("product", &"all")?;
    // None at all are all of them.
    if let Some(types) = hook.read::<Vec<String>>("event_types").filter(|it| !it.is_empty()) {
        let new = HEARD.into_iter().filter(|kind| !types.iter().any(|known| known == kind));
        let types: Vec<&str> = types.iter().map(String::as_str).chain(new).collect();
        hook.set("event_types", &types)?;
    }
    Ok(())
}

/// What of a plan has not come true, by the list as it is now: one line each.
pub(crate) fn unfulfilled(
    planned: &[Hook],
    found: &[Hook],
    url: &WebhookUrl,
) -> Result<Vec<String>, PlanError> {
    let mut lines = Vec::new();
    // A hook that is found is so for one of the planned ones.
    let mut taken = BTreeSet::new();
    for (place, hook) in planned.iter().enumerate() {
        if hook.typed()?.leads_to(url) {
            continue;
        }
        let with_id = hook.read::<Value>("id").is_some_and(|id| id.is_string());
        let wanted = hook.lasting(with_id)?;
        let mut same = None;
        for (at, other) in found.iter().enumerate() {
            if !taken.contains(&at) && other.lasting(with_id)? == wanted {
                same = Some(at);
                break;
            }
        }
        if let Some(at) = same {
            taken.insert(at);
        } else {
            lines.push(format!("hook {} ({}) is not as it was", place + 1, hook.kind()));
        }
    }
    if !registration(found, url)?.is_complete() {
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

    fn list(hooks: &[&str]) -> Vec<Hook> {
        hooks.iter().map(|hook| serde_json::from_str(hook).unwrap()).collect()
    }

    fn texts(hooks: &[Hook]) -> Vec<String> {
        hooks.iter().map(|hook| hook.request().unwrap().get().to_owned()).collect()
    }

    /// Hooks of somebody else, with what nobody here knows.
    const OTHERS: [&str; 2] = [
        r#"{"id":"h1","hook_type":"sqs","sqs_secret":"s","unheard_of":{"b":1.50,"a":[]}}"#,
        r#"{"webhook_url":"https://elsewhere.example.com/","hook_type":"webhook","enabled":true}"#,
    ];

    #[test]
    fn one_that_is_not_there_is_added_behind_the_others() {
        for others in [&OTHERS[..0], &OTHERS[..1], &OTHERS[..]] {
            let plan = Plan::of(&list(others), &url()).unwrap();
            assert_eq!(plan.change, Change::Added);
            let texts = texts(&plan.hooks);
            assert_eq!(texts[..others.len()], *others);
            assert!(registration(&plan.hooks, &url()).unwrap().is_complete());
            // The same once more changes nothing.
            let again = Plan::of(&plan.hooks, &url()).unwrap();
            assert_eq!(again.change, Change::Nothing);
        }
    }

    #[test]
    fn one_that_hears_too_little_is_mended_in_its_place() {
        let ours = |members: &str| {
            format!(r#"{{"id":"ours","hook_type":"webhook","webhook_url":"{URL}",{members}}}"#)
        };
        let all = format!("[{}]", HEARD.map(|kind| format!("\"{kind}\"")).join(","));
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
            (with(&format!(r#"["message.new","{}"]"#, HEARD[0])), with(&more)),
        ] {
            let before = ours(&before);
            let plan = Plan::of(&list(&[OTHERS[0], &before, OTHERS[1]]), &url()).unwrap();
            assert_eq!(plan.change, Change::Mended(1), "{before}");
            assert_eq!(
                texts(&plan.hooks),
                [OTHERS[0], ours(&after).as_str(), OTHERS[1]],
                "{before}"
            );
            let again = Plan::of(&plan.hooks, &url()).unwrap();
            assert_eq!(again.change, Change::Nothing, "{before}");
        }
    }

    #[test]
    fn of_two_the_one_that_is_enabled_is_mended() {
        let ours =
            |members: &str| format!(r#"{{"hook_type":"webhook","webhook_url":"{URL}",{members}}}"#);
        let (off, chat) = (ours(r#""enabled":false"#), ours(r#""enabled":true,"product":"chat""#));
        let plan = Plan::of(&list(&[&off, &chat]), &url()).unwrap();
        assert_eq!(plan.change, Change::Mended(1));
        assert_eq!(texts(&plan.hooks)[0], off);
    }

    #[test]
    fn what_could_not_be_written_back_is_not_touched() {
        let masked = r#"{"hook_type":"sqs","sqs_secret":"****"}"#;
        let error = Plan::of(&list(&[OTHERS[1], masked]), &url()).err().unwrap();
        assert!(error.to_string().starts_with("Stream masks sqs_secret of hook 2,"), "{error}");
        // Where nothing is to be written it does no harm.
        let mut hooks = list(&[masked]);
        hooks.push(added(&url()).unwrap());
        assert_eq!(Plan::of(&hooks, &url()).unwrap().change, Change::Nothing);
    }

    #[test]
    fn the_plan_shows_nothing_of_others() {
        let lines = Plan::of(&list(&OTHERS), &url()).unwrap().lines(&url());
        let added =
            format!("add    hook 3: webhook {URL}, of all products, for what is heard here");
        assert_eq!(lines, ["keep   hook 1: sqs", "keep   hook 2: webhook", added.as_str()]);
    }

    #[test]
    fn a_plan_has_come_true_where_nothing_is_missing() {
        let planned = Plan::of(&list(&OTHERS), &url()).unwrap().hooks;
        let ours = planned[2].clone();
        let lines = |found: &[Hook]| unfulfilled(&planned, found, &url()).unwrap();
        // Stream gives ids and times, and may have an order of its own.
        let found = list(&[
            r#"{"id":"n","webhook_url":"https://elsewhere.example.com/","hook_type":"webhook","enabled":true,"updated_at":5}"#,
            r#"{"sqs_secret":"s","hook_type":"sqs","id":"h1","unheard_of":{"a":[],"b":1.5},"product":null}"#,
        ]);
        let with_ours = |others: &[Hook]| [others, std::slice::from_ref(&ours)].concat();
        assert_eq!(lines(&with_ours(&found)), [""; 0]);
        assert_eq!(lines(&found), ["the webhook is not registered"]);
        assert_eq!(lines(&with_ours(&found[..1])), ["hook 1 (sqs) is not as it was"]);
        let mut changed = found.clone();
        changed[1].set("sqs_secret", &"t").unwrap();
        assert_eq!(lines(&with_ours(&changed)), ["hook 1 (sqs) is not as it was"]);
        // One hook cannot stand for two.
        let twice = [&planned[..1], &planned[..1], &planned[2..]].concat();
        let lines = unfulfilled(&twice, &with_ours(&found), &url()).unwrap();
        assert_eq!(lines, ["hook 2 (sqs) is not as it was"]);
    }

    #[test]
    fn a_change_in_between_is_noticed() {
        let settings = |hooks: &str| {
            let text = format!(r#"{{"app":{{"event_hooks":{hooks}}}}}"#);
            crate::hook::list(&RawValue::from_string(text).unwrap()).unwrap()
        };
        let before = settings(r#"[{"id":"h1"}]"#);
        for (now, same) in [
            (r#"[{"id":"h1"}]"#, true),
            (r#"[{"id":"h1"},{"id":"h2"}]"#, false),
            (r#"[{"id":"h1","enabled":true}]"#, false),
            ("[]", false),
        ] {
            assert_eq!(crate::hook::is_same(&before, &settings(now)).unwrap(), same, "{now}");
        }
    }
}
