//! Requests that take effect once the emulator's clock has reached their time.

use std::collections::BTreeMap;

use crate::moment::Moment;
use crate::request::Ask;

/// Requests that wait, the earliest first and, of those for one instant, the first that came.
#[derive(Debug, Default)]
pub(crate) struct Late {
    waiting: BTreeMap<(Moment, u64), Ask>,
    taken_on: u64,
}

impl Late {
    pub(crate) fn add(&mut self, due: Moment, ask: Ask) {
        self.taken_on += 1;
        self.waiting.insert((due, self.taken_on), ask);
    }

    /// When the first of them is due.
    pub(crate) fn due(&self) -> Option<Moment> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    pub(crate) fn take(&mut self) -> Option<(Moment, Ask)> {
        self.waiting.pop_first().map(|((due, _), ask)| (due, ask))
    }

    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::route::Route;

    #[test]
    fn the_earliest_comes_first() {
        let mut late = Late::default();
        for (seconds, id) in [(5, "b"), (5, "c"), (2, "a")] {
            let uri = format!("/api/v2/tasks/{id}");
            let (head, ()) = Request::get(uri).body(()).expect("a request").into_parts();
            let due = Moment::from_nanos(seconds);
            late.add(due, Ask::new(&head, Bytes::new()));
        }
        assert_eq!(late.due(), Some(Moment::from_nanos(2)));
        let order: Vec<Route> =
            std::iter::from_fn(|| late.take()).map(|(_, ask)| ask.route).collect();
        assert_eq!(order, ["a", "b", "c"].map(|id| Route::GetTask(id.to_owned())));
        assert_eq!(late.due(), None);
    }
}
