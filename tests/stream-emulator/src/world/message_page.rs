//! Paging through a channel's messages: every page is ascending, and a page
//! of older messages is the last so many before the pivot.

use serde::Deserialize;

use super::limits::at_most;
use super::messages::Message;
use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::request::Query;

const MOST: usize = 300;
const DEFAULT: usize = 25;

/// Which messages of a channel are asked for. Without a pivot it is the latest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessagePage {
    limit: Option<usize>,
    id_lt: Option<String>,
    id_lte: Option<String>,
    id_gt: Option<String>,
    id_gte: Option<String>,
    id_around: Option<String>,
    created_at_before: Option<String>,
    created_at_before_or_equal: Option<String>,
    created_at_after: Option<String>,
    created_at_after_or_equal: Option<String>,
}

/// Where in the list a page ends or begins.
enum Pivot {
    Before(usize),
    From(usize),
    Around(usize),
}

impl MessagePage {
    /// The last so many.
    pub(super) fn latest(limit: Option<usize>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The page that a GET asks for.
    pub(super) fn of(query: &Query) -> Result<Self, StreamFailure> {
        Ok(Self {
            limit: query.number("messages_limit")?,
            id_lt: query.owned("messages_id_lt"),
            id_lte: query.owned("messages_id_lte"),
            id_gt: query.owned("messages_id_gt"),
            id_gte: query.owned("messages_id_gte"),
            id_around: query.owned("messages_id_around"),
            ..Self::default()
        })
    }

    pub(super) fn select<'a>(
        &self,
        messages: &'a [Message],
    ) -> Result<&'a [Message], StreamFailure> {
        let limit = self.limit.unwrap_or(DEFAULT);
        at_most("messages limit", limit, MOST)?;
        let count = messages.len();
        let (start, end) = match self.pivot(messages)?.unwrap_or(Pivot::Before(count)) {
            Pivot::Before(end) => (end.saturating_sub(limit), end),
            Pivot::From(start) => (start, start.saturating_add(limit)),
            Pivot::Around(middle) => {
                let start = middle.saturating_sub(limit / 2);
                (start, start.saturating_add(limit))
            }
        };
        Ok(&messages[start..end.min(count)])
    }

    fn pivot(&self, messages: &[Message]) -> Result<Option<Pivot>, StreamFailure> {
        let at = |id: &str| {
            messages.iter().position(|message| message.id == id).ok_or_else(|| {
                StreamFailure::input(format!("message {id:?} is not in the channel"))
            })
        };
        let first = |text: &str, passed: fn(&Moment, &Moment) -> bool| {
            Moment::parse(text)
                .map(|it| messages.partition_point(|message| passed(&message.created_at, &it)))
                .ok_or_else(|| StreamFailure::input(format!("{text:?} is not an instant")))
        };
        let pivot = if let Some(id) = &self.id_lt {
            Pivot::Before(at(id)?)
        } else if let Some(id) = &self.id_lte {
            Pivot::Before(at(id)? + 1)
        } else if let Some(id) = &self.id_gt {
            Pivot::From(at(id)? + 1)
        } else if let Some(id) = &self.id_gte {
            Pivot::From(at(id)?)
        } else if let Some(id) = &self.id_around {
            Pivot::Around(at(id)?)
        } else if let Some(text) = &self.created_at_before {
            Pivot::Before(first(text, PartialOrd::lt)?)
        } else if let Some(text) = &self.created_at_before_or_equal {
            Pivot::Before(first(text, PartialOrd::le)?)
        } else if let Some(text) = &self.created_at_after {
            Pivot::From(first(text, PartialOrd::le)?)
        } else if let Some(text) = &self.created_at_after_or_equal {
            Pivot::From(first(text, PartialOrd::lt)?)
        } else {
            return Ok(None);
        };
        Ok(Some(pivot))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{at, create_channel, messaging, read, refusal, send, world};

    fn ids(page: &Value) -> Vec<String> {
        let mut world = world(&["alice"]);
        create_channel(&mut world, &[]).expect("a channel");
        for id in ["a", "b", "c", "d", "e"] {
            send(&mut world, id).expect("a message");
        }
        let ask = read(json!({ "messages": page }));
        let answer = world.get_or_create_channel(&messaging("c"), ask, at(9)).expect("a page");
        let messages = answer["messages"].as_array().cloned().unwrap_or_default();
        messages.iter().map(|it| it["id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn pages_are_ascending_whichever_way_they_go() {
        assert_eq!(ids(&json!({})), ["a", "b", "c", "d", "e"]);
        assert_eq!(ids(&json!({ "limit": 2 })), ["d", "e"]);
        assert_eq!(ids(&json!({ "limit": 2, "id_lt": "d" })), ["b", "c"]);
        assert_eq!(ids(&json!({ "limit": 2, "id_lte": "d" })), ["c", "d"]);
        assert_eq!(ids(&json!({ "limit": 2, "id_lt": "b" })), ["a"]);
        assert_eq!(ids(&json!({ "limit": 2, "id_gt": "b" })), ["c", "d"]);
        assert_eq!(ids(&json!({ "limit": 2, "id_gte": "d" })), ["d", "e"]);
        assert_eq!(ids(&json!({ "limit": 9, "id_gt": "e" })), Vec::<String>::new());
        assert_eq!(ids(&json!({ "limit": 3, "id_around": "c" })), ["b", "c", "d"]);
        assert_eq!(ids(&json!({ "limit": 3, "id_around": "e" })), ["d", "e"]);
        assert_eq!(ids(&json!({ "created_at_before": "2026-01-01T00:00:02Z" })).len(), 0);
        assert_eq!(ids(&json!({ "created_at_after_or_equal": "2026-01-01T00:00:02Z" })).len(), 5);
    }

    #[test]
    fn a_page_that_cannot_be_is_refused() {
        let mut world = world(&["alice"]);
        create_channel(&mut world, &[]).expect("a channel");
        for page in [json!({ "limit": 301 }), json!({ "id_lt": "x" })] {
            let ask = read(json!({ "messages": page }));
            assert_eq!(refusal(world.get_or_create_channel(&messaging("c"), ask, at(9))).1, 4);
        }
    }
}
