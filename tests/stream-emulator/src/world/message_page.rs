//! Pages of a channel's messages. Every page is ascending. A page of older messages ends directly
//! before its pivot.

use serde::Deserialize;

use super::message::Message;
use super::validation::check_max;
use crate::error::StreamError;
use crate::request::Query;
use crate::timestamp::Timestamp;

const MAX_PAGE_SIZE: usize = 300;
const DEFAULT_PAGE_SIZE: usize = 25;

/// The page parameters of a request. Without a pivot, the page has the latest messages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagePage {
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

/// The index at which a page ends, starts or is centered.
enum Pivot {
    Before(usize),
    From(usize),
    Around(usize),
}

impl MessagePage {
    /// The page of the latest messages.
    pub(super) fn latest(limit: Option<usize>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The page in the query parameters of a GET.
    pub(super) fn from_query(query: &Query) -> Result<Self, StreamError> {
        Self::from_prefixed(query, "messages_")
    }

    /// The page of replies in the query parameters of a GET.
    pub(crate) fn of_replies(query: &Query) -> Result<Self, StreamError> {
        Self::from_prefixed(query, "")
    }

    fn from_prefixed(query: &Query, prefix: &str) -> Result<Self, StreamError> {
        let text = |name: &str| query.get_owned(&format!("{prefix}{name}"));
        Ok(Self {
            limit: query.get_usize(&format!("{prefix}limit"))?,
            id_lt: text("id_lt"),
            id_lte: text("id_lte"),
            id_gt: text("id_gt"),
            id_gte: text("id_gte"),
            id_around: text("id_around"),
            created_at_before: text("created_at_before"),
            created_at_before_or_equal: text("created_at_before_or_equal"),
            created_at_after: text("created_at_after"),
            created_at_after_or_equal: text("created_at_after_or_equal"),
        })
    }

    pub(super) fn select<'a, 'm>(
        &self,
        messages: &'a [&'m Message],
    ) -> Result<&'a [&'m Message], StreamError> {
        let limit = self.limit.unwrap_or(DEFAULT_PAGE_SIZE);
        check_max("messages limit", limit, MAX_PAGE_SIZE)?;
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

    fn pivot(&self, messages: &[&Message]) -> Result<Option<Pivot>, StreamError> {
        let index_of = |id: &str| {
            messages.iter().position(|message| message.id == id).ok_or_else(|| {
                StreamError::invalid_input(format!("message {id:?} is not in the channel"))
            })
        };
        let first_index = |text: &str, precedes: fn(&Timestamp, &Timestamp) -> bool| {
            Timestamp::parse(text)
                .map(|instant| {
                    messages.partition_point(|message| precedes(&message.created_at, &instant))
                })
                .ok_or_else(|| {
                    StreamError::invalid_input(format!("{text:?} is not an RFC 3339 time"))
                })
        };
        let pivot = if let Some(id) = &self.id_lt {
            Pivot::Before(index_of(id)?)
        } else if let Some(id) = &self.id_lte {
            Pivot::Before(index_of(id)? + 1)
        } else if let Some(id) = &self.id_gt {
            Pivot::From(index_of(id)? + 1)
        } else if let Some(id) = &self.id_gte {
            Pivot::From(index_of(id)?)
        } else if let Some(id) = &self.id_around {
            Pivot::Around(index_of(id)?)
        } else if let Some(text) = &self.created_at_before {
            Pivot::Before(first_index(text, PartialOrd::lt)?)
        } else if let Some(text) = &self.created_at_before_or_equal {
            Pivot::Before(first_index(text, PartialOrd::le)?)
        } else if let Some(text) = &self.created_at_after {
            Pivot::From(first_index(text, PartialOrd::le)?)
        } else if let Some(text) = &self.created_at_after_or_equal {
            Pivot::From(first_index(text, PartialOrd::lt)?)
        } else {
            return Ok(None);
        };
        Ok(Some(pivot))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{
        at, create_channel, expect_error, from_json, messaging_cid, send_message, world_with_users,
    };

    fn ids(page: &Value) -> Vec<String> {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &[]).expect("a channel");
        for id in ["a", "b", "c", "d", "e"] {
            send_message(&mut world, id).expect("a message");
        }
        let request = from_json(json!({ "messages": page }));
        let response =
            world.get_or_create_channel(&messaging_cid("c"), request, at(9)).expect("a page");
        let messages = response["messages"].as_array().cloned().unwrap_or_default();
        messages
            .iter()
            .map(|message| message["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn pages_are_ascending_in_both_directions() {
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
    fn invalid_page_is_rejected() {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &[]).expect("a channel");
        for page in [json!({ "limit": 301 }), json!({ "id_lt": "x" })] {
            let request = from_json(json!({ "messages": page }));
            assert_eq!(
                expect_error(world.get_or_create_channel(&messaging_cid("c"), request, at(9))).1,
                4
            );
        }
    }
}
