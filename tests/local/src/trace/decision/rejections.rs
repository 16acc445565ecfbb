//! Why a request was rejected. `docs/ERRORS.md` has the codes.

use super::super::record::{Service, Step};
use super::facts::Facts;
use super::words::{end_of_call, list};

/// The sentence of an error response.
pub(super) fn explain(facts: &Facts<'_>) -> Option<String> {
    let Some(code) = facts.code() else { return without_a_code(facts) };
    let caller = facts.caller();
    Some(match code {
        "unauthenticated" => with_cause("Rejected", facts, "no valid bearer token"),
        "bad_signature" => with_cause("Rejected", facts, "Stream has not signed the body"),
        "invalid_body" | "invalid_id" | "invalid_query" | "invalid_path" | "invalid_header"
        | "invalid_json" | "invalid_request" => invalid_input(facts)?,
        "user_mismatch" => {
            format!(
                "Rejected: the request names another user, and {caller} may act for {caller} only."
            )
        }
        "creators_restricted" => "Rejected: only a service may create calls here.".to_owned(),
        "session_revoked" => {
            format!(
                "Rejected: the session of {caller} began before the revocation of the sessions."
            )
        }
        "user_deactivated" => "Rejected: the user is deactivated at Stream.".to_owned(),
        "user_banned" => "Rejected: the user is banned at Stream.".to_owned(),
        "call_not_found" => call_not_found(facts),
        "call_ended" => call_ended(facts),
        "call_not_active" => "Rejected: another request is still creating the call.".to_owned(),
        "user_busy" => user_busy(facts),
        "too_many_requests" => with_cause("Rejected", facts, "the limit of this minute is used up"),
        "message_blocked" => "Rejected: Stream's moderation blocked the text.".to_owned(),
        "stream_unavailable"
        | "stream_busy"
        | "stream_refused"
        | "stream_bad_answer"
        | "stream_rejected_credentials" => failed_service(facts, Service::Stream),
        "store_unavailable" => failed_service(facts, Service::Dynamodb),
        "internal" | "secrets_unavailable" | "keys_unavailable" => {
            format!("Failed: {}.", facts.cause()?)
        }
        _ => format!("Rejected: {}.", lower_first(facts.text("message")?)),
    })
}

/// An error of API Gateway, or a run without a response.
fn without_a_code(facts: &Facts<'_>) -> Option<String> {
    if let Some(failure) = facts.failure() {
        return Some(format!("Failed: {failure}."));
    }
    Some(match facts.status()? {
        404 if facts.function().is_none() => "Rejected: the API has no such route.".to_owned(),
        413 => "Rejected: the body is larger than API Gateway accepts.".to_owned(),
        _ => return None,
    })
}

/// The cause in the log, or what the code says.
fn with_cause(verb: &str, facts: &Facts<'_>, otherwise: &str) -> String {
    format!("{verb}: {}.", facts.cause().unwrap_or(otherwise))
}

/// The first invalid field, or what the response says.
fn invalid_input(facts: &Facts<'_>) -> Option<String> {
    let field = &facts.response["errors"][0];
    if let (Some(pointer), Some(reason)) = (field["pointer"].as_str(), field["reason"].as_str()) {
        return Some(format!("Rejected: {pointer} {reason}."));
    }
    let message = lower_first(facts.text("message")?);
    Some(format!("Rejected: {message}."))
}

fn lower_first(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        // Names such as `callId`, and words in capitals, stay as they are.
        (Some(first), Some(second)) if second.is_lowercase() => {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

/// The response does not say which of the two it is, but the read of the call does.
fn call_not_found(facts: &Facts<'_>) -> String {
    let caller = facts.caller();
    let read = facts.calls().next();
    match read.filter(|call| !call.members.iter().any(|member| member == caller)) {
        Some(call) => {
            let members = list(&names(&call.members));
            format!("Rejected: {caller} is not a member; the call is one of {members}.")
        }
        None if facts.has_done("read call") => "Rejected: no call has this id.".to_owned(),
        None => format!("Rejected: no call has this id, or {caller} is not a member."),
    }
}

fn call_ended(facts: &Facts<'_>) -> String {
    let ended = facts.calls().find_map(|call| Some((call, call.end_reason.as_deref()?)));
    match ended {
        Some((call, reason)) => {
            let end = end_of_call(reason, call.ended_by.as_deref());
            format!("Rejected: the call has ended, since {end}.")
        }
        None => "Rejected: the call has ended.".to_owned(),
    }
}

/// The other call of the callee is the one that the function has read last.
fn user_busy(facts: &Facts<'_>) -> String {
    let callee = facts.request["receiverId"].as_str().unwrap_or("the called user");
    let other = facts.calls().rfind(|call| call.members.iter().any(|member| member == callee));
    match other {
        Some(call) => {
            let others: Vec<&str> =
                names(&call.members).into_iter().filter(|member| *member != callee).collect();
            let others = list(&others);
            format!("No call: {callee} is in the call {} with {others}.", call.id)
        }
        None => format!("No call: {callee} is in another call."),
    }
}

fn names(members: &[String]) -> Vec<&str> {
    members.iter().map(String::as_str).collect()
}

/// The step that failed, and whether a fault was injected.
fn failed_service(facts: &Facts<'_>, service: Service) -> String {
    let name = match service {
        Service::Dynamodb => "DynamoDB",
        Service::Stream => "Stream",
    };
    let Some(step) = facts.last_failure(service) else {
        return with_cause("Failed", facts, &format!("{name} did not accept the request"));
    };
    let Step { operation, status, is_fault, .. } = step;
    let what = match status {
        Some(status) if *status >= 400 => format!("{name} answered {operation} with {status}"),
        Some(_) => format!("{name} answered {operation} too late or not as expected"),
        None => format!("{name} did not answer {operation}"),
    };
    let injected = if *is_fault { ", by an injected fault" } else { "" };
    format!("Failed: {what}{injected}.")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::explain;
    use super::super::facts::samples::{call, record, request_line, stream, write, write_with};
    use crate::trace::record::{RequestKind, Step};

    fn sentence(
        code: &str,
        cause: Option<&str>,
        request: &Value,
        response: &Value,
        steps: Vec<Step>,
    ) -> Option<String> {
        let mut body = json!({"code": code, "message": "The message of the response"});
        body.as_object_mut().unwrap().extend(response.as_object().unwrap().clone());
        let mut record = record(RequestKind::Http, "call-create", request, 400, &body);
        record.add_log(request_line(code, cause, &Value::Null));
        for step in steps {
            record.add_step(step);
        }
        explain(&record)
    }

    #[test]
    fn cause_of_the_log_explains_a_rejected_token() {
        let none = json!({});
        let of = |code, cause| sentence(code, cause, &none, &none, Vec::new()).unwrap();
        for (code, cause, expected) in [
            ("unauthenticated", Some("the token has expired"), "Rejected: the token has expired."),
            ("unauthenticated", None, "Rejected: no valid bearer token."),
            ("too_many_requests", None, "Rejected: the limit of this minute is used up."),
            ("internal", Some("a malformed item"), "Failed: a malformed item."),
            ("user_deleted", None, "Rejected: the message of the response."),
        ] {
            assert_eq!(of(code, cause), expected);
        }
        assert_eq!(sentence("internal", None, &none, &none, Vec::new()), None);
    }

    #[test]
    fn invalid_field_is_named() {
        let errors = json!({"errors": [{"pointer": "/receiverId", "reason": "is required"}]});
        let text = sentence("invalid_body", None, &json!({}), &errors, Vec::new()).unwrap();
        assert_eq!(text, "Rejected: /receiverId is required.");
    }

    #[test]
    fn read_of_the_call_distinguishes_a_missing_call() {
        let none = json!({});
        let of = |steps| sentence("call_not_found", None, &none, &none, steps).unwrap();
        assert_eq!(of(vec![write("read call", true)]), "Rejected: no call has this id.");
        let mut others = call("c1", "active", None);
        others.members = vec!["bob".to_owned(), "carol".to_owned()];
        let expected = "Rejected: alice is not a member; the call is one of bob and carol.";
        assert_eq!(of(vec![write_with("read call", others)]), expected);
        assert_eq!(of(Vec::new()), "Rejected: no call has this id, or alice is not a member.");
    }

    #[test]
    fn ended_call_has_its_reason() {
        let ended = call("c1", "ended", Some(("declined", "bob")));
        let steps = vec![write_with("read call", ended)];
        let text = sentence("call_ended", None, &json!({}), &json!({}), steps).unwrap();
        assert_eq!(text, "Rejected: the call has ended, since bob declined it.");
    }

    #[test]
    fn busy_callee_has_another_call() {
        let mut other = call("c9", "active", None);
        other.members = vec!["bob".to_owned(), "carol".to_owned()];
        let request = json!({"receiverId": "bob"});
        let steps = vec![write_with("read call", other)];
        let text = sentence("user_busy", None, &request, &json!({}), steps).unwrap();
        assert_eq!(text, "No call: bob is in the call c9 with carol.");
        let text = sentence("user_busy", None, &request, &json!({}), Vec::new()).unwrap();
        assert_eq!(text, "No call: bob is in another call.");
    }

    #[test]
    fn failed_step_is_named() {
        let none = json!({});
        for (step, expected) in [
            (
                stream("GetOrCreateCall", Some(503), true),
                "Failed: Stream answered GetOrCreateCall with 503, by an injected fault.",
            ),
            (stream("GetCall", None, false), "Failed: Stream did not answer GetCall."),
            (
                stream("GetCall", Some(200), true),
                "Failed: Stream answered GetCall too late or not as expected, by an injected fault.",
            ),
        ] {
            let text = sentence("stream_unavailable", None, &none, &none, vec![step]).unwrap();
            assert_eq!(text, expected);
        }
        let text = sentence("store_unavailable", None, &none, &none, Vec::new()).unwrap();
        assert_eq!(text, "Failed: DynamoDB did not accept the request.");
    }

    #[test]
    fn error_of_the_gateway_is_explained() {
        let of = |status: u16, function: Option<&str>| {
            let none = json!({});
            let mut record = record(RequestKind::Http, "token", &none, status, &none);
            record.add_log(request_line("ok", None, &Value::Null));
            if status == 503 {
                let failure = Some("the function did not respond within 30 seconds".to_owned());
                record.end.as_mut().unwrap().failure = failure;
            }
            record.start.function = function.map(str::to_owned);
            explain(&record)
        };
        assert_eq!(of(404, None).unwrap(), "Rejected: the API has no such route.");
        assert_eq!(
            of(503, Some("token")).unwrap(),
            "Failed: the function did not respond within 30 seconds."
        );
        assert_eq!(of(418, Some("token")), None);
    }
}
