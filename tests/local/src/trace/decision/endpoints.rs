//! What a successful request did.

use super::super::step_details::CallItem;
use super::facts::Facts;
use super::words::{count, end_of_call, list};

/// The sentence of a successful request to the API.
pub(super) fn explain(facts: &Facts<'_>) -> Option<String> {
    let caller = facts.caller();
    match facts.function()? {
        "call-create" => call_create(facts),
        "call-end" => call_end(facts),
        "call-extend" => {
            let seconds = facts.request["maxDurationSeconds"].as_u64()?;
            Some(format!("The maximum duration of the call is now {}.", count(seconds, "second")))
        }
        "call-get" => Some(format!("{caller} may read the call: a member, or a service.")),
        "call-list" => {
            let calls = facts.response["calls"].as_array()?.len();
            Some(format!(
                "The history of {caller} has {} on this page.",
                count(to_u64(calls), "call")
            ))
        }
        "call-quality" => call_quality(facts),
        "message-list" => {
            let messages = facts.response["messages"].as_array()?.len();
            let messages = count(to_u64(messages), "message");
            Some(format!("{caller} may read the channel, and Stream returned {messages}."))
        }
        "message-send" if facts.has_done_at_stream("SendMessage") => {
            Some(format!("{caller} may write to the channel, so Stream has the message."))
        }
        "message-send" if facts.has_done_at_stream("GetMessage") => {
            Some("Stream had this message already, so it was not sent again.".to_owned())
        }
        "quality-report" => {
            let accepted = facts.response["accepted"].as_u64()?;
            let samples = count(accepted, "sample");
            Some(if facts.has_done("samples") {
                format!("{caller} is a member, so {samples} were stored.")
            } else {
                format!("{samples} were accepted, and none had to be stored.")
            })
        }
        "token" => token(facts),
        "token-revoke" => {
            let user = facts.text("userId")?;
            let devices = count(facts.response["devicesRemoved"].as_u64()?, "device");
            Some(format!(
                "All tokens and sessions of {user} until now are revoked, and {devices} removed."
            ))
        }
        "user-delete" => {
            let user = facts.text("userId")?;
            Some(match facts.text("status")? {
                "deleted" => format!("All data of {user} is erased."),
                _ => format!("The erasure of {user} has begun; the sweeper completes it."),
            })
        }
        "user-upsert" => user_upsert(facts),
        _ => None,
    }
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn call_create(facts: &Facts<'_>) -> Option<String> {
    let members = facts.response["members"].as_array()?.iter().filter_map(|it| it.as_str());
    let members: Vec<&str> = members.collect();
    let names = list(&members);
    let rung = facts.response["rung"] == true;
    let phones = if rung { " The phones ring." } else { "" };
    if facts.response["created"] == true {
        let new_id = facts.text("callId")?;
        let is_theirs = |call: &CallItem| {
            call.members.len() == members.len()
                && call.members.iter().all(|it| members.contains(&it.as_str()))
        };
        let replaced = facts
            .calls()
            .find(|call| call.id != new_id && call.end_reason.is_some() && is_theirs(call));
        let why = match replaced {
            Some(call) => {
                let reason = call.end_reason.as_deref().unwrap_or_default();
                let end = end_of_call(reason, call.ended_by.as_deref());
                format!("their earlier call has ended, since {end}")
            }
            None if facts.request["allowParallel"] == true => {
                "allowParallel permits several calls".to_owned()
            }
            None => format!("{names} had no open call"),
        };
        return Some(format!("New call: {why}.{phones}"));
    }
    let again = if rung { " The phones ring again." } else { "" };
    // The open-call pointer named another call, or the reservation found the same id.
    Some(if facts.was_refused("open call") {
        format!("No new call: {names} have this open call already, so it is returned.{again}")
    } else if facts.was_refused("reserve") {
        format!("No new call: an earlier request has created the call with this id.{again}")
    } else {
        format!("No new call: the open call of {names} is returned.{again}")
    })
}

fn call_end(facts: &Facts<'_>) -> Option<String> {
    let caller = facts.caller();
    let status = facts.text("status")?;
    let cleanup = if status == "ended" {
        "the call and its channel at Stream are closed"
    } else {
        "the sweeper completes the cleanup at Stream"
    };
    if facts.has_done("end") {
        return Some(format!("{caller} ended the call; {cleanup}."));
    }
    let ended = facts.calls().find_map(|call| Some((call, call.end_reason.as_deref()?)));
    let (call, reason) = ended?;
    let end = end_of_call(reason, call.ended_by.as_deref());
    Some(format!("Nothing changed: the call had ended before, since {end}."))
}

fn call_quality(facts: &Facts<'_>) -> Option<String> {
    if facts.writes("quality data").next().is_some() {
        Some("The quality was computed from the stored samples and Stream's figures.".to_owned())
    } else if facts.has_done("summary") {
        Some("The stored summary of the call was returned.".to_owned())
    } else {
        None
    }
}

fn token(facts: &Facts<'_>) -> Option<String> {
    let user = facts.text("userId")?;
    let expires_at = facts.text("expiresAt")?;
    let caller = facts.caller();
    let by = if user == caller { String::new() } else { format!(", requested by {caller}") };
    let call = facts.request["callId"].as_str();
    let scope = call.map_or_else(String::new, |call| format!(" for the call {call}"));
    let first = if facts.has_done("profile") { " The profile was stored." } else { "" };
    Some(format!("Stream token of {user}{scope}, valid until {expires_at}{by}.{first}"))
}

fn user_upsert(facts: &Facts<'_>) -> Option<String> {
    let user = facts.response["user"]["id"].as_str()?;
    Some(if facts.has_done_at_stream("UpdateUsers") {
        format!("The profile of {user} is stored, and Stream has it.")
    } else if facts.has_done("queued push") {
        format!("The profile of {user} is stored; the sweeper sends it to Stream.")
    } else if facts.has_done("profile") {
        format!("The profile of {user} is stored.")
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::explain;
    use super::super::facts::samples::{call, record, stream, write, write_with};
    use crate::trace::record::{RequestKind, Step};

    fn sentence(
        function: &str,
        request: &Value,
        response: &Value,
        steps: Vec<Step>,
    ) -> Option<String> {
        let mut record = record(RequestKind::Http, function, request, 200, response);
        for step in steps {
            record.add_step(step);
        }
        explain(&record)
    }

    #[test]
    fn create_is_new_or_returns_an_open_call() {
        let response = |created: bool, rung: bool| json!({"callId": "c1", "members": ["alice", "bob"], "created": created, "rung": rung});
        let replaced = call("c0", "ending", Some(("left", "system")));
        let mut others = replaced.clone();
        others.members = vec!["bob".to_owned(), "carol".to_owned()];
        for (request, response, steps, expected) in [
            (
                json!({}),
                response(true, true),
                vec![write("open call", true)],
                "New call: alice and bob had no open call. The phones ring.",
            ),
            (
                json!({}),
                response(true, false),
                vec![write_with("read call", others)],
                "New call: alice and bob had no open call.",
            ),
            (
                json!({"allowParallel": true}),
                response(true, false),
                Vec::new(),
                "New call: allowParallel permits several calls.",
            ),
            (
                json!({}),
                response(true, false),
                vec![write_with("end", replaced)],
                "New call: their earlier call has ended, since the members left it.",
            ),
            (
                json!({}),
                response(false, true),
                vec![write("open call", false)],
                "No new call: alice and bob have this open call already, so it is returned. \
                 The phones ring again.",
            ),
            (
                json!({}),
                response(false, false),
                vec![write("reserve", false)],
                "No new call: an earlier request has created the call with this id.",
            ),
        ] {
            assert_eq!(sentence("call-create", &request, &response, steps).unwrap(), expected);
        }
    }

    #[test]
    fn end_is_new_or_earlier() {
        let of = |status: &str, steps| {
            sentence("call-end", &json!({}), &json!({"status": status}), steps)
        };
        let expected = "alice ended the call; the call and its channel at Stream are closed.";
        assert_eq!(of("ended", vec![write("end", true)]).unwrap(), expected);
        let expected = "alice ended the call; the sweeper completes the cleanup at Stream.";
        assert_eq!(of("ending", vec![write("end", true)]).unwrap(), expected);
        let ended = write_with("read call", call("c1", "ended", Some(("declined", "bob"))));
        let expected = "Nothing changed: the call had ended before, since bob declined it.";
        assert_eq!(of("ended", vec![write("end", false), ended]).unwrap(), expected);
        assert_eq!(of("ended", Vec::new()), None);
    }

    #[test]
    fn other_endpoints_have_a_sentence() {
        let none = json!({});
        for (function, request, response, steps, expected) in [
            (
                "token",
                json!({"callId": "c1"}),
                json!({"userId": "alice", "expiresAt": "T"}),
                Vec::new(),
                Some("Stream token of alice for the call c1, valid until T."),
            ),
            (
                "token",
                none.clone(),
                json!({"userId": "bob", "expiresAt": "T"}),
                vec![write("profile", true)],
                Some(
                    "Stream token of bob, valid until T, requested by alice. The profile was stored.",
                ),
            ),
            (
                "token-revoke",
                none.clone(),
                json!({"userId": "alice", "devicesRemoved": 1}),
                Vec::new(),
                Some(
                    "All tokens and sessions of alice until now are revoked, and 1 device removed.",
                ),
            ),
            (
                "user-upsert",
                none.clone(),
                json!({"user": {"id": "bob"}}),
                vec![stream("UpdateUsers", Some(201), false)],
                Some("The profile of bob is stored, and Stream has it."),
            ),
            (
                "message-send",
                none.clone(),
                none.clone(),
                vec![stream("SendMessage", Some(201), false)],
                Some("alice may write to the channel, so Stream has the message."),
            ),
            (
                "quality-report",
                none.clone(),
                json!({"accepted": 2}),
                vec![write("samples", true)],
                Some("alice is a member, so 2 samples were stored."),
            ),
            (
                "call-quality",
                none.clone(),
                none.clone(),
                vec![write("quality data", true)],
                Some("The quality was computed from the stored samples and Stream's figures."),
            ),
            (
                "call-extend",
                json!({"maxDurationSeconds": 7_200}),
                none.clone(),
                Vec::new(),
                Some("The maximum duration of the call is now 7200 seconds."),
            ),
            (
                "call-list",
                none.clone(),
                json!({"calls": [1]}),
                Vec::new(),
                Some("The history of alice has 1 call on this page."),
            ),
            (
                "user-delete",
                none.clone(),
                json!({"userId": "bob", "status": "deleting"}),
                Vec::new(),
                Some("The erasure of bob has begun; the sweeper completes it."),
            ),
            ("message-send", none.clone(), none.clone(), Vec::new(), None),
            ("health", none.clone(), none.clone(), Vec::new(), None),
        ] {
            let text = sentence(function, &request, &response, steps);
            assert_eq!(text.as_deref(), expected, "{function}");
        }
    }
}
