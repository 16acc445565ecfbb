//! The history of deliveries: each event with its attempts, also those that a script drops.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::DeliveryAttempt;
use crate::timestamp::Timestamp;

/// The maximum number of recorded deliveries, since an emulator can run for days.
const MAX_DELIVERIES: usize = 1_000;

/// The delivery of an event to a hook, with all attempts. Instants are unix nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryView {
    /// The `X-Webhook-Id`.
    pub webhook_id: String,
    /// The type of the event.
    pub event: String,
    /// The cid of the call or the channel, if the event has one.
    pub cid: Option<String>,
    /// When the event was emitted.
    pub emitted_at: i64,
    /// The attempts so far, in the order in which they began.
    pub attempts: Vec<AttemptView>,
}

/// An attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// When the attempt began.
    pub at: i64,
    /// The number of the copy, from 1.
    pub copy: u32,
    /// The status of the response, or `None` without a response.
    pub status: Option<u16>,
    /// The duration, in milliseconds.
    pub millis: u64,
    /// The outcome.
    pub outcome: AttemptOutcomeView,
    /// When the next attempt follows, if there is one.
    pub next_at: Option<i64>,
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptOutcomeView {
    /// The response has not arrived yet.
    Pending,
    /// The receiver returned a 2xx status.
    Delivered,
    /// The receiver returned another status, or nothing.
    Failed,
    /// The script drops all events, so nothing was sent.
    Dropped,
}

/// The last deliveries, oldest first.
#[derive(Debug, Default)]
pub(super) struct DeliveryHistory(VecDeque<DeliveryView>);

impl DeliveryHistory {
    /// Adds a delivery. A dropped one has a single attempt, which sends nothing.
    pub(super) fn add(&mut self, webhook_id: &str, event: &Value, now: Timestamp, dropped: bool) {
        if self.0.len() == MAX_DELIVERIES {
            self.0.pop_front();
        }
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        let attempt = AttemptView {
            at: now.as_nanos(),
            copy: 1,
            status: None,
            millis: 0,
            outcome: AttemptOutcomeView::Dropped,
            next_at: None,
        };
        self.0.push_back(DeliveryView {
            webhook_id: webhook_id.to_owned(),
            event: text("type").unwrap_or_default(),
            cid: text("call_cid").or_else(|| text("cid")),
            emitted_at: now.as_nanos(),
            attempts: if dropped { vec![attempt] } else { Vec::new() },
        });
    }

    /// Adds an attempt that begins now.
    pub(super) fn begin_attempt(&mut self, webhook_id: &str, copy: u32, now: Timestamp) {
        if let Some(delivery) = self.find(webhook_id) {
            delivery.attempts.push(AttemptView {
                at: now.as_nanos(),
                copy,
                status: None,
                millis: 0,
                outcome: AttemptOutcomeView::Pending,
                next_at: None,
            });
        }
    }

    /// Completes the attempt that its copy began last. `backoff` is the time until the next one.
    pub(super) fn end_attempt(
        &mut self,
        ended: &DeliveryAttempt,
        backoff: Option<Duration>,
        now: Timestamp,
    ) {
        let attempt = self.find(&ended.webhook_id).and_then(|delivery| {
            delivery.attempts.iter_mut().rfind(|attempt| attempt.copy == ended.copy)
        });
        if let Some(attempt) = attempt {
            attempt.status = ended.status;
            attempt.millis = ended.millis;
            attempt.outcome = match ended.status {
                Some(200..300) => AttemptOutcomeView::Delivered,
                _ => AttemptOutcomeView::Failed,
            };
            attempt.next_at = backoff.map(|backoff| now.plus(backoff).as_nanos());
        }
    }

    pub(super) fn list(&self) -> Vec<DeliveryView> {
        self.0.iter().cloned().collect()
    }

    /// A delivery with attempts to come is one of the last ones.
    fn find(&mut self, webhook_id: &str) -> Option<&mut DeliveryView> {
        self.0.iter_mut().rfind(|delivery| delivery.webhook_id == webhook_id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn ended(status: Option<u16>, attempt: u32) -> DeliveryAttempt {
        DeliveryAttempt {
            event: "call.ended".to_owned(),
            webhook_id: "w1".to_owned(),
            attempt,
            copy: 1,
            status,
            millis: 7,
        }
    }

    #[test]
    fn attempts_have_their_outcome_and_the_time_of_the_next_one() {
        let mut history = DeliveryHistory::default();
        let event = json!({ "type": "call.ended", "call_cid": "default:c" });
        history.add("w1", &event, at(1), false);
        history.begin_attempt("w1", 1, at(2));
        assert_eq!(history.list()[0].attempts[0].outcome, AttemptOutcomeView::Pending);
        history.end_attempt(&ended(Some(503), 1), Some(Duration::from_nanos(100)), at(5));
        history.begin_attempt("w1", 1, at(105));
        history.end_attempt(&ended(Some(200), 2), None, at(110));
        let delivery = history.list().remove(0);
        assert_eq!((delivery.event.as_str(), delivery.emitted_at), ("call.ended", 1));
        assert_eq!(delivery.cid.as_deref(), Some("default:c"));
        let attempts: Vec<_> = delivery
            .attempts
            .iter()
            .map(|attempt| (attempt.at, attempt.status, attempt.outcome, attempt.next_at))
            .collect();
        assert_eq!(
            attempts,
            [
                (2, Some(503), AttemptOutcomeView::Failed, Some(105)),
                (105, Some(200), AttemptOutcomeView::Delivered, None),
            ]
        );
    }

    #[test]
    fn dropped_delivery_is_recorded() {
        let mut history = DeliveryHistory::default();
        history.add("w1", &json!({ "type": "message.new", "cid": "messaging:c" }), at(1), true);
        let delivery = history.list().remove(0);
        assert_eq!(delivery.cid.as_deref(), Some("messaging:c"));
        assert_eq!(delivery.attempts.len(), 1);
        assert_eq!(delivery.attempts[0].outcome, AttemptOutcomeView::Dropped);
    }

    #[test]
    fn history_is_bounded() {
        let mut history = DeliveryHistory::default();
        for number in 0..=MAX_DELIVERIES {
            history.add(&number.to_string(), &json!({}), at(1), false);
        }
        assert_eq!((history.0.len(), history.0[0].webhook_id.as_str()), (MAX_DELIVERIES, "1"));
    }
}
