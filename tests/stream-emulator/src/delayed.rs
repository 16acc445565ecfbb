//! Requests that take effect when the emulator's clock reaches their due time.

use std::collections::BTreeMap;

use crate::request::ApiRequest;
use crate::timestamp::Timestamp;

/// Delayed requests, ordered by due time and then by arrival.
#[derive(Debug, Default)]
pub(crate) struct DelayedRequests {
    queue: BTreeMap<(Timestamp, u64), ApiRequest>,
    last_sequence: u64,
}

impl DelayedRequests {
    pub(crate) fn push(&mut self, due: Timestamp, request: ApiRequest) {
        self.last_sequence += 1;
        self.queue.insert((due, self.last_sequence), request);
    }

    /// The due time of the first request.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    pub(crate) fn pop(&mut self) -> Option<(Timestamp, ApiRequest)> {
        self.queue.pop_first().map(|((due, _), request)| (due, request))
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::route::Route;

    #[test]
    fn requests_are_ordered_by_due_time_then_arrival() {
        let mut delayed = DelayedRequests::default();
        for (seconds, id) in [(5, "b"), (5, "c"), (2, "a")] {
            let uri = format!("/api/v2/tasks/{id}");
            let (head, ()) = Request::get(uri).body(()).expect("a request").into_parts();
            let due = Timestamp::from_nanos(seconds);
            delayed.push(due, ApiRequest::new(&head, Bytes::new()));
        }
        assert_eq!(delayed.next_due(), Some(Timestamp::from_nanos(2)));
        let order: Vec<Route> =
            std::iter::from_fn(|| delayed.pop()).map(|(_, request)| request.route).collect();
        assert_eq!(order, ["a", "b", "c"].map(|id| Route::GetTask(id.to_owned())));
        assert_eq!(delayed.next_due(), None);
    }
}
