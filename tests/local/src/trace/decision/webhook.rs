//! What an event of Stream changed.

use super::super::record::Step;
use super::facts::Facts;
use super::words::end_of_call;

/// The sentence of an event. The caller of a webhook is the type of the event.
pub(super) fn explain(facts: &Facts<'_>) -> Option<String> {
    if facts.steps().next().is_none() {
        return Some("Ignored: the event caused no request to the table.".to_owned());
    }
    if let Some(ended) = facts.writes("end").find(|step| step.is_success()) {
        return ended_call(ended);
    }
    let user = user(facts);
    let named = user.unwrap_or("a user");
    let continues = facts.has_done_at_stream("GetCall");
    let rest = if continues { " Stream was asked, and the call goes on." } else { "" };
    for (purpose, text) in [
        ("presence", presence(facts.caller(), named)),
        ("first join", "Recorded that the call has started.".to_owned()),
        ("status", format!("Recorded the status of {named}.")),
        ("ban", format!("Recorded the ban of {named}, or its end.")),
        ("report", "Stored Stream's statistics of the session.".to_owned()),
        ("rating", format!("Stored the rating of {named}.")),
        ("schedule check", "The sweeper checks the call when it can be over.".to_owned()),
    ] {
        if facts.has_done(purpose) {
            return Some(format!("{text}{rest}"));
        }
    }
    if facts.was_refused("end") {
        return Some("Nothing changed: the call had ended or changed before.".to_owned());
    }
    if continues {
        return Some("Nothing changed. Stream was asked, and the call goes on.".to_owned());
    }
    unchanged(facts)
}

fn ended_call(step: &Step) -> Option<String> {
    let call = step.details.call.as_ref()?;
    let end = end_of_call(call.end_reason.as_deref()?, call.ended_by.as_deref());
    Some(format!("Ended the call: {end}."))
}

/// The user of the event.
fn user<'a>(facts: &'a Facts<'_>) -> Option<&'a str> {
    let event = &facts.request;
    event["participant"]["user"]["id"].as_str().or_else(|| event["user"]["id"].as_str())
}

fn presence(event: &str, user: &str) -> String {
    match event {
        "call.session_participant_joined" => format!("Recorded that {user} joined."),
        "call.session_participant_left" => format!("Recorded that {user} left."),
        "call.rejected" => format!("Recorded that {user} rejected the call."),
        _ => "Recorded who was in the call.".to_owned(),
    }
}

/// An event without an effect: the call is unknown, or it has the fact already.
fn unchanged(facts: &Facts<'_>) -> Option<String> {
    let has_read = facts.has_done("read call");
    if has_read && facts.calls().next().is_none() {
        return Some("Ignored: no call of this stack has this id.".to_owned());
    }
    let is_refused = |purpose: &&'static str| facts.was_refused(purpose);
    if ["presence", "first join", "status", "ban", "schedule check"].iter().any(is_refused) {
        return Some("Nothing changed: the event was known, too late or from before.".to_owned());
    }
    has_read.then(|| "Nothing changed: the call has this fact already.".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::explain;
    use super::super::facts::samples::{call, record, stream, write, write_with};
    use crate::trace::record::{RequestKind, Step};

    fn sentence(event: &str, body: &Value, steps: Vec<Step>) -> Option<String> {
        let response = json!({"error": false});
        let mut record = record(RequestKind::Webhook, "webhook", body, 200, &response);
        record.start.caller = Some(event.to_owned());
        for step in steps {
            record.add_step(step);
        }
        explain(&record)
    }

    #[test]
    fn event_ends_a_call_or_changes_a_fact() {
        let joined = json!({"participant": {"user": {"id": "bob"}}});
        let ended = call("c1", "ending", Some(("left", "system")));
        for (event, body, steps, expected) in [
            (
                "call.ended",
                json!({}),
                vec![write_with("end", ended)],
                "Ended the call: the members left it.",
            ),
            (
                "call.ended",
                json!({}),
                vec![write("end", false)],
                "Nothing changed: the call had ended or changed before.",
            ),
            (
                "call.session_participant_left",
                joined.clone(),
                vec![write("presence", true), write("end", false)],
                "Recorded that bob left.",
            ),
            (
                "call.session_participant_joined",
                joined.clone(),
                vec![write("presence", true)],
                "Recorded that bob joined.",
            ),
            (
                "call.session_participant_left",
                joined.clone(),
                vec![write("presence", true), stream("GetCall", Some(200), false)],
                "Recorded that bob left. Stream was asked, and the call goes on.",
            ),
            (
                "call.session_started",
                json!({}),
                vec![write("first join", true)],
                "Recorded that the call has started.",
            ),
            (
                "user.banned",
                json!({"user": {"id": "bob"}}),
                vec![write("ban", true)],
                "Recorded the ban of bob, or its end.",
            ),
            (
                "call.rejected",
                json!({"user": {"id": "bob"}}),
                vec![write("read call", true)],
                "Ignored: no call of this stack has this id.",
            ),
            (
                "call.session_started",
                json!({}),
                vec![write("first join", false)],
                "Nothing changed: the event was known, too late or from before.",
            ),
            (
                "call.missed",
                json!({}),
                vec![write_with("read call", call("c1", "ended", None))],
                "Nothing changed: the call has this fact already.",
            ),
            (
                "message.new",
                json!({}),
                Vec::new(),
                "Ignored: the event caused no request to the table.",
            ),
        ] {
            assert_eq!(sentence(event, &body, steps).unwrap(), expected, "{event}");
        }
    }
}
