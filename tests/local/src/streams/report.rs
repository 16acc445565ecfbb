//! The response of `GET /_local/events`, which shows the bus and the dead-letter queues to a
//! developer. The path is not a route of the API.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::Streams;

/// The path of the report.
pub(crate) const EVENTS_PATH: &str = "/_local/events";

/// The maximum number of events in a response.
const MAX_EVENTS: usize = 1_000;

/// The query parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
struct EventQuery {
    /// The `detail-type` of the events.
    kind: Option<String>,
    /// The id of the bus event after which the list begins.
    after: Option<String>,
}

impl EventQuery {
    /// Parses a query string. Unknown parameters are ignored.
    fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "type" => parsed.kind = Some(value),
                "after" => parsed.after = Some(value),
                _ => {}
            }
        }
        parsed
    }

    /// The selected events, newest last. If no event has the id `after`, the stack has been
    /// restarted, and all events are new to the client.
    fn select(&self, mut events: Vec<Value>) -> Vec<Value> {
        if let Some(after) = &self.after
            && let Some(position) = events.iter().position(|event| event["id"] == after.as_str())
        {
            events.drain(..=position);
        }
        if let Some(kind) = &self.kind {
            events.retain(|event| event["detail-type"] == kind.as_str());
        }
        events.drain(..events.len().saturating_sub(MAX_EVENTS));
        events
    }
}

impl Streams {
    /// The body of the response to a request with this query string.
    pub(crate) fn report(&self, query: &str) -> Value {
        json!({
            "events": EventQuery::parse(query).select(self.events()),
            "deadLetters": self.dead_letters.all(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: impl IntoIterator<Item = usize>) -> Vec<Value> {
        let event = |number: usize| {
            let kind = if number.is_multiple_of(2) { "call.created" } else { "call.ended" };
            json!({"id": format!("b{number}"), "detail-type": kind})
        };
        numbers.into_iter().map(event).collect()
    }

    #[test]
    fn query_is_parsed() {
        let query = |kind: Option<&str>, after: Option<&str>| EventQuery {
            kind: kind.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        for (text, expected) in [
            ("", query(None, None)),
            ("type=call.created", query(Some("call.created"), None)),
            ("type=call%2Ecreated&after=b1", query(Some("call.created"), Some("b1"))),
            ("other=1&after", query(None, None)),
        ] {
            assert_eq!(EventQuery::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn query_selects_events() {
        for (query, expected) in [
            ("", events(0..4)),
            ("after=b1", events(2..4)),
            ("after=b3", events([])),
            ("after=unknown", events(0..4)),
            ("type=call.ended", events([1, 3])),
            ("type=call.created&after=b0", events([2])),
        ] {
            assert_eq!(EventQuery::parse(query).select(events(0..4)), expected, "{query}");
        }
    }

    #[test]
    fn newest_events_are_kept() {
        let selected = EventQuery::default().select(events(0..MAX_EVENTS + 5));
        assert_eq!(selected, events(5..MAX_EVENTS + 5));
    }
}
