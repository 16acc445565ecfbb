//! What a run of the sweeper or of a consumer did.

use serde_json::Value;

use super::facts::Facts;
use super::words::{count, end_of_call};

/// The sentence of a successful run.
pub(super) fn explain(facts: &Facts<'_>) -> Option<String> {
    match facts.function()? {
        "sweeper" => sweep(&facts.summary().unwrap_or_else(|| facts.response.clone())),
        "call-events" => events(&facts.response),
        "call-history" => history(facts),
        _ => None,
    }
}

fn sweep(summary: &Value) -> Option<String> {
    if summary.get("channels").is_some() {
        return reconciliation(summary);
    }
    let number = |name: &str| summary[name].as_u64().unwrap_or_default();
    let due = summary["due"].as_u64()?;
    let mut results: Vec<String> = Vec::new();
    for (reason, ended) in summary["ended"].as_object().into_iter().flatten() {
        let calls = count(ended.as_u64().unwrap_or_default(), "call");
        results.push(format!("ended {calls}, since {}", end_of_call(reason, None)));
    }
    for (name, verb) in [
        ("active", "kept"),
        ("cleaned", "cleaned up"),
        ("verified", "checked again"),
        ("settled", "settled"),
        ("failed", "put off after a failure"),
    ] {
        if number(name) > 0 {
            results.push(format!("{verb} {}", count(number(name), "call")));
        }
    }
    if number("erased") > 0 {
        results.push(format!("erased {}", count(number("erased"), "user")));
    }
    if results.is_empty() {
        return (due == 0).then(|| "Nothing was due.".to_owned());
    }
    let text = results.join("; ");
    Some(format!("{}{}.", text[..1].to_uppercase(), &text[1..]))
}

fn reconciliation(summary: &Value) -> Option<String> {
    let number = |name: &str| summary[name].as_u64();
    let (channels, calls) = (number("channels")?, number("calls")?);
    let (deleted, ended) = (number("deleted")?, number("ended")?);
    Some(format!(
        "Compared {} and {} at Stream with the table: deleted {}, ended {}.",
        count(channels, "channel"),
        count(calls, "call"),
        count(deleted, "channel"),
        count(ended, "call"),
    ))
}

fn events(response: &Value) -> Option<String> {
    let types: Vec<&str> =
        response.as_array()?.iter().filter_map(|event| event["type"].as_str()).collect();
    Some(if types.is_empty() {
        "No event: the change is none that events report.".to_owned()
    } else {
        format!("Made {}: {}.", count(types.len() as u64, "event"), types.join(", "))
    })
}

fn history(facts: &Facts<'_>) -> Option<String> {
    let is_row = |operation: &str| {
        facts
            .writes("history")
            .filter(|step| step.operation == operation && step.is_success())
            .count()
    };
    let (written, deleted) = (is_row("PutItem"), is_row("DeleteItem"));
    if written == 0 && deleted == 0 {
        return facts
            .was_refused("history")
            .then(|| "Nothing changed: the rows are as new already.".to_owned());
    }
    let rows = count(written as u64, "history row");
    let open = if deleted > 0 { ", in place of the open ones" } else { "" };
    Some(format!("Wrote {rows}{open}."))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::explain;
    use super::super::facts::samples::{record, request_line, write};
    use crate::trace::record::{RequestKind, Step};

    fn sentence(
        function: &str,
        response: &Value,
        summary: &Value,
        steps: Vec<Step>,
    ) -> Option<String> {
        let none = json!({});
        let mut record = record(RequestKind::Schedule, function, &none, 200, response);
        record.add_log(request_line("ok", None, summary));
        for step in steps {
            record.add_step(step);
        }
        explain(&record)
    }

    #[test]
    fn sweep_names_its_results() {
        let idle = json!({"due": 0, "active": 0, "ended": {}});
        let busy = json!({
            "due": 3, "active": 1, "ended": {"not_answered": 1, "left": 2}, "cleaned": 3,
        });
        let reconciled = json!({"channels": 2, "calls": 1, "deleted": 1, "ended": 0, "failed": 0});
        for (summary, expected) in [
            (idle, "Nothing was due."),
            (
                busy,
                "Ended 2 calls, since the members left it; ended 1 call, since no called member \
                 answered in time; kept 1 call; cleaned up 3 calls.",
            ),
            (
                reconciled,
                "Compared 2 channels and 1 call at Stream with the table: deleted 1 channel, \
                 ended 0 calls.",
            ),
        ] {
            let text = sentence("sweeper", &json!({}), &summary, Vec::new()).unwrap();
            assert_eq!(text, expected);
            // Without the log line the response says the same.
            let text = sentence("sweeper", &summary, &Value::Null, Vec::new()).unwrap();
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn consumers_name_what_they_made() {
        let none = Value::Null;
        let events = json!([{"type": "call.created"}, {"type": "call.answered"}]);
        let row = |operation: &str, is_applied| Step {
            operation: operation.to_owned(),
            ..write("history", is_applied)
        };
        for (function, response, steps, expected) in [
            ("call-events", events, Vec::new(), "Made 2 events: call.created, call.answered."),
            (
                "call-events",
                json!([]),
                Vec::new(),
                "No event: the change is none that events report.",
            ),
            (
                "call-history",
                json!({}),
                vec![row("PutItem", true), row("PutItem", true), row("DeleteItem", true)],
                "Wrote 2 history rows, in place of the open ones.",
            ),
            (
                "call-history",
                json!({}),
                vec![row("PutItem", false)],
                "Nothing changed: the rows are as new already.",
            ),
        ] {
            assert_eq!(sentence(function, &response, &none, steps).unwrap(), expected);
        }
    }
}
