//! A recorded request as the page gets it: without tokens, and with the decision in a sentence.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::call_id::call_id_in_json;
use super::decision;
use super::record::{Message, Record, RequestKind, Step};
use super::redact::{redact_headers, redact_path, redact_text};

/// The JSON of an ended request.
pub(super) fn request(record: &Record) -> Value {
    let Record { start, end, .. } = record;
    let is_webhook = start.kind == RequestKind::Webhook;
    // The claims of a rejected token are not verified.
    let is_rejected = end.as_ref().is_some_and(|end| end.status == Some(401));
    let caller = start.caller.as_ref().filter(|_| !is_rejected);
    // The query of an SDK names the app and its connection only.
    let path = match start.kind {
        RequestKind::Client => start.path_and_query.split('?').next().unwrap_or_default(),
        _ => &start.path_and_query,
    };
    let mut view = json!({
        "id": start.id,
        "seq": record.seq,
        "at": record.at.to_string(),
        "kind": start.kind,
        "method": start.method,
        "path": redact_path(path),
        "status": end.as_ref().and_then(|end| end.status),
        "durationMs": millis(record.duration),
        "function": start.function,
        "isColdStart": record.is_cold_start,
        "user": caller.filter(|_| !is_webhook),
        "caller": caller,
        "callId": call_id(record),
        "error": error(record),
        "decision": decision::explain(record).map(|text| redact_text(&text)),
        "steps": record.steps.iter().map(step).collect::<Vec<_>>(),
        "logs": logs(record),
        "request": message(&start.request),
        "response": end.as_ref().map(|end| message(&end.response)),
        "canResend": record.can_resend(),
    });
    if let Some(init) = record.init {
        view["initMs"] = json!(millis(init));
    }
    if let Some(from) = &start.resent_from {
        view["resentFrom"] = json!(from);
    }
    view
}

fn call_id(record: &Record) -> Option<String> {
    let named = record.start.call_id.clone();
    let in_response = || call_id_in_json(record.end.as_ref()?.response.body());
    let in_request = || call_id_in_json(record.start.request.body());
    named.or_else(in_response).or_else(in_request)
}

/// The error of a response: problem details, the message of API Gateway, or Stream's error.
fn error(record: &Record) -> Option<Value> {
    let end = record.end.as_ref()?;
    if end.status.is_some_and(|status| status < 400) {
        return None;
    }
    let body: Value = serde_json::from_slice(end.response.body()).unwrap_or_default();
    let line = record.request_line();
    let code = match &body["code"] {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => line.and_then(|line| line.code.clone()).filter(|code| code != "ok"),
    };
    let message = body["message"].as_str().map(redact_text);
    let mut error = json!({
        "code": code,
        "message": message.or_else(|| end.failure.as_deref().map(redact_text)),
    });
    let cause = line.and_then(|line| line.cause.as_deref());
    if let Some(cause) = cause {
        error["cause"] = json!(redact_text(cause));
    }
    Some(error)
}

fn step(step: &Step) -> Value {
    let mut view = json!({
        "service": step.service,
        "operation": step.operation,
        "startMs": millis(step.start),
        "durationMs": millis(step.duration),
        "status": step.status,
    });
    if let Some(purpose) = &step.details.purpose {
        view["purpose"] = json!(purpose);
    }
    let no_response = || step.status.is_none().then_some("no response");
    if let Some(error) = step.details.error.as_deref().or_else(no_response) {
        view["error"] = json!(error);
    }
    if step.is_fault {
        view["isFault"] = json!(true);
    }
    view
}

fn logs(record: &Record) -> Vec<Value> {
    let lines = record.logs.iter().map(|line| json!(line.view()));
    lines
        .map(|mut line| {
            for text in line.as_object_mut().into_iter().flat_map(Map::values_mut) {
                if let Value::String(text) = text {
                    *text = redact_text(text);
                }
            }
            line
        })
        .collect()
}

/// A body that is not text is `null`.
fn message(message: &Message) -> Value {
    let body = match std::str::from_utf8(message.body()) {
        Ok(text) => Some(redact_text(text)),
        // The body is cut within a character.
        Err(error) if !message.is_complete() && error.error_len().is_none() => {
            let valid = &message.body()[..error.valid_up_to()];
            Some(redact_text(&String::from_utf8_lossy(valid)))
        }
        Err(_) => None,
    };
    let body = body.filter(|_| !message.body().is_empty()).map(|text| {
        if message.is_complete() {
            text
        } else {
            format!("{text}… ({} bytes in total)", message.total_bytes())
        }
    });
    json!({ "headers": redact_headers(&message.headers), "body": body })
}

/// Milliseconds with two decimal places.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use jiff::Timestamp;

    use super::super::log_line::LogLine;
    use super::super::record::{RecordKey, RequestEnd, RequestStart};
    use super::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

    fn record(status: u16, body: &Value, response: &Value) -> Record {
        let mut headers = HeaderMap::new();
        let authorization = HeaderValue::from_str(&format!("Bearer {JWT}")).unwrap();
        headers.insert("authorization", authorization);
        let start = RequestStart {
            id: "r1".to_owned(),
            kind: RequestKind::Http,
            method: "POST".to_owned(),
            path_and_query: format!("/api/stream/token?token={JWT}"),
            function: Some("token".to_owned()),
            caller: Some("alice".to_owned()),
            call_id: None,
            request: Message::new(headers, &Bytes::from(body.to_string())),
            resent_from: Some("r0".to_owned()),
        };
        let mut record = Record::new(RecordKey(1), start, Timestamp::UNIX_EPOCH, Instant::now());
        record.duration = Duration::from_micros(12_345);
        let response = Message::new(HeaderMap::new(), &Bytes::from(response.to_string()));
        record.end = Some(RequestEnd { status: Some(status), response, failure: None });
        record
    }

    #[test]
    fn request_has_no_token() {
        let mut record =
            record(200, &json!({"callId": "c1"}), &json!({"token": JWT, "apiKey": "k"}));
        let line = json!({"level": "WARN", "message": format!("leaked {JWT}"), "cause": JWT});
        record.add_log(LogLine::parse(&line.to_string()).unwrap());
        let view = request(&record);
        assert!(!view.to_string().contains("eyJ"), "{view}");
        assert_eq!(view["request"]["headers"]["authorization"], "Bearer <redacted>");
        assert_eq!(view["path"], "/api/stream/token?token=<redacted>");
        assert_eq!(view["response"]["body"], r#"{"apiKey":"k","token":"<redacted>"}"#);
        assert_eq!(view["callId"], "c1");
        assert_eq!(view["durationMs"], 12.35);
        assert_eq!((&view["user"], &view["caller"]), (&json!("alice"), &json!("alice")));
        assert_eq!(view["resentFrom"], "r0");
        assert_eq!(view["canResend"], true);
        assert_eq!(view["error"], Value::Null);
    }

    #[test]
    fn error_has_the_cause_of_the_log() {
        let problem = json!({"code": "unauthenticated", "message": "Sign in again"});
        let mut record = record(401, &json!({}), &problem);
        let line = json!({
            "level": "INFO", "message": "request completed", "requestId": "r1",
            "code": "unauthenticated", "cause": "the token has expired",
        });
        record.add_log(LogLine::parse(&line.to_string()).unwrap());
        let expected = json!({
            "code": "unauthenticated", "message": "Sign in again",
            "cause": "the token has expired",
        });
        let view = request(&record);
        assert_eq!(view["error"], expected);
        assert_eq!((&view["user"], &view["caller"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn long_and_binary_bodies_are_marked() {
        let long = Message::new(HeaderMap::new(), &Bytes::from("é".repeat(40_000)));
        let text = message(&long)["body"].as_str().unwrap().to_owned();
        assert!(text.ends_with("é… (80000 bytes in total)"), "{}", text.len());
        let binary = Message::new(HeaderMap::new(), &Bytes::from_static(&[0xff, 0x00]));
        assert_eq!(message(&binary)["body"], Value::Null);
        assert_eq!(message(&Message::default())["body"], Value::Null);
    }
}
