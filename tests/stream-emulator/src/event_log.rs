//! The log of emitted events. Each has a sequence number, in the order in which it was emitted.

use std::collections::VecDeque;

use serde_json::Value;

use crate::timestamp::Timestamp;

/// The maximum number of events, since an emulator can run for days.
const MAX_EVENTS: usize = 10_000;

/// An event with its position in the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoggedEvent {
    /// From 1, without gaps.
    pub(crate) sequence: u64,
    /// The time of the emulator's clock at which the event was emitted.
    pub(crate) emitted_at: Timestamp,
    pub(crate) event: Value,
}

/// The last 10,000 events.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<LoggedEvent>,
    last_sequence: u64,
}

impl EventLog {
    pub(crate) fn push(&mut self, event: Value, now: Timestamp) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        self.events.push_back(LoggedEvent { sequence, emitted_at: now, event });
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.iter().map(|logged| logged.event.clone()).collect()
    }

    /// The events of a channel or a call after an instant, in order.
    pub(crate) fn of_cid_after<'a>(
        &'a self,
        cid: &'a str,
        instant: Timestamp,
    ) -> impl Iterator<Item = &'a LoggedEvent> {
        let is_match = move |event: &Value| event["cid"] == cid || event["call_cid"] == cid;
        let later = self.events.iter().filter(move |logged| logged.emitted_at > instant);
        later.filter(move |logged| is_match(&logged.event))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn log_is_bounded() {
        let mut log = EventLog::default();
        for number in 0..=MAX_EVENTS {
            log.push(json!(number), at(1));
        }
        assert_eq!((log.events().len(), &log.events()[0]), (MAX_EVENTS, &json!(1)));
    }

    #[test]
    fn events_of_a_cid_follow_an_instant() {
        let mut log = EventLog::default();
        for (cid, instant) in [("messaging:c", 1), ("messaging:d", 2), ("messaging:c", 3)] {
            log.push(json!({ "type": "message.new", "cid": cid }), at(instant));
        }
        log.push(json!({ "type": "call.ended", "call_cid": "default:c" }), at(4));
        let sequences = |cid, instant| {
            log.of_cid_after(cid, at(instant)).map(|logged| logged.sequence).collect::<Vec<_>>()
        };
        assert_eq!(sequences("messaging:c", 0), [1, 3]);
        assert_eq!(sequences("messaging:c", 1), [3]);
        assert_eq!(sequences("default:c", 0), [4]);
        assert!(sequences("messaging:x", 0).is_empty());
    }
}
