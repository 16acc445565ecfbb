//! The webhooks of the emulator with their attempts, and our events on the bus.

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use stream_emulator::{AttemptView, DeliveryView, Emulator, WebhookScript};

use super::{Console, done};
use crate::control::{message_response, parse_body};
use crate::http_server::HttpResponse;
use crate::trace::call_id_of_cid;

/// The number of deliveries, and of events, in a response.
const MAX_ENTRIES: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WebhooksRequest {
    drop_all: bool,
}

impl Console {
    /// The deliveries and the events, newest first.
    pub(super) fn webhooks(&self) -> Value {
        let deliveries = self.stream.as_ref().map(Emulator::deliveries).unwrap_or_default();
        let events = self.streams.events();
        json!({
            "deliveries": newest_first(&deliveries, delivery),
            "events": newest_first(&events, bus_event),
        })
    }

    pub(super) fn drops_webhooks(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.webhook_script().drop_all)
    }

    /// Loses all webhooks from now on, or delivers them again.
    pub(super) fn set_webhooks(&self, body: &[u8]) -> HttpResponse {
        let WebhooksRequest { drop_all } = match parse_body(body) {
            Ok(request) => request,
            Err(message) => return message_response(StatusCode::BAD_REQUEST, &message),
        };
        let Some(stream) = &self.stream else {
            return message_response(
                StatusCode::BAD_REQUEST,
                "a real Stream app sends its webhooks itself",
            );
        };
        stream.set_webhook_script(WebhookScript { drop_all, ..stream.webhook_script() });
        done()
    }
}

fn newest_first<T>(entries: &[T], view: impl Fn(&T) -> Value) -> Vec<Value> {
    entries.iter().rev().take(MAX_ENTRIES).map(view).collect()
}

fn delivery(delivery: &DeliveryView) -> Value {
    json!({
        "id": delivery.webhook_id,
        "at": rfc3339_of_nanos(delivery.emitted_at),
        "type": delivery.event,
        "callId": delivery.cid.as_deref().and_then(call_id_of_cid),
        "attempts": delivery.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &AttemptView) -> Value {
    let mut view = json!({
        "at": rfc3339_of_nanos(attempt.at),
        "status": attempt.status,
        "durationMs": attempt.millis,
        "outcome": attempt.outcome,
    });
    if let Some(next_at) = attempt.next_at {
        view["nextAt"] = json!(rfc3339_of_nanos(next_at));
    }
    view
}

fn bus_event(event: &Value) -> Value {
    let detail = &event["detail"];
    json!({
        "id": event["id"],
        "at": detail.get("time").unwrap_or(&event["time"]),
        "type": event["detail-type"],
        "callId": detail["data"]["callId"],
        "detail": detail,
    })
}

fn rfc3339_of_nanos(nanos: i64) -> String {
    Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use stream_emulator::AttemptOutcomeView;

    use super::*;

    #[test]
    fn delivery_has_its_call_and_its_attempts() {
        let attempt = AttemptView {
            at: 2_000_000_000,
            copy: 1,
            status: Some(503),
            millis: 7,
            outcome: AttemptOutcomeView::Failed,
            next_at: Some(2_107_000_000),
        };
        let view = delivery(&DeliveryView {
            webhook_id: "w1".to_owned(),
            event: "call.ended".to_owned(),
            cid: Some("default:c1".to_owned()),
            emitted_at: 1_500_000_000,
            attempts: vec![attempt],
        });
        let expected = json!({
            "id": "w1", "at": "1970-01-01T00:00:01.5Z", "type": "call.ended", "callId": "c1",
            "attempts": [{
                "at": "1970-01-01T00:00:02Z", "status": 503, "durationMs": 7, "outcome": "failed",
                "nextAt": "1970-01-01T00:00:02.107Z",
            }],
        });
        assert_eq!(view, expected);
    }

    #[test]
    fn event_has_its_call_and_the_newest_is_first() {
        let event = json!({
            "id": "b1", "detail-type": "call.created", "time": "2026-01-01T00:00:00Z",
            "detail": {"time": "2026-01-01T00:00:00.250Z", "data": {"callId": "c1"}},
        });
        let view = bus_event(&event);
        assert_eq!((&view["type"], &view["callId"]), (&json!("call.created"), &json!("c1")));
        assert_eq!(view["at"], "2026-01-01T00:00:00.250Z");
        let numbers: Vec<usize> = (0..MAX_ENTRIES + 5).collect();
        let newest = newest_first(&numbers, |number| json!(number));
        assert_eq!((newest.len(), &newest[0]), (MAX_ENTRIES, &json!(MAX_ENTRIES + 4)));
    }
}
