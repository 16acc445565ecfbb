//! Channels by what they are. Without a wish for another order, the one that was last written to
//! or, if nothing was, last created comes first.

use serde::Deserialize;
use serde_json::{Value, json};

use super::channel_members::MemberWindow;
use super::channels::ChannelPart;
use super::cid::Cid;
use super::limits::at_most;
use super::listing::{Sort, filtered, ordered};
use super::message_page::MessagePage;
use super::{Reply, World};

const DEFAULT: usize = 10;
const MOST: usize = 30;
const FARTHEST: usize = 1_000;

#[derive(Debug, Deserialize)]
pub(crate) struct QueryChannels {
    #[serde(default)]
    filter_conditions: Value,
    sort: Option<Vec<Sort>>,
    limit: Option<usize>,
    offset: Option<usize>,
    state: Option<bool>,
    message_limit: Option<usize>,
    member_limit: Option<usize>,
}

impl World {
    pub(crate) fn query_channels(&self, ask: &QueryChannels) -> Reply {
        let limit = ask.limit.unwrap_or(DEFAULT);
        let offset = ask.offset.unwrap_or_default();
        at_most("limit", limit, MOST)?;
        at_most("offset", offset, FARTHEST)?;
        let messages = MessagePage::latest(ask.message_limit);
        let part = ChannelPart::new(ask.state, messages, MemberWindow::new(ask.member_limit));
        let latest = [Sort::descending("last_updated")];
        let sort = ask.sort.as_deref().filter(|sort| !sort.is_empty()).unwrap_or(&latest);
        let channels = self.channels.values().map(|it| it.filterable(self)).collect();
        let found = ordered(filtered(channels, &ask.filter_conditions)?, sort);
        let channels = found
            .iter()
            .skip(offset)
            .take(limit)
            .filter_map(|channel| channel["cid"].as_str()?.parse().ok())
            .filter_map(|cid: Cid| self.channels.get(&cid))
            .map(|channel| self.channel_part(channel, &part))
            .collect::<Result<Vec<Value>, _>>()?;
        Ok(json!({ "channels": channels }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, messaging, read, refusal, world};
    use super::*;

    /// Channels `a`, `b` and `c`, one second after the other; the first one has the last message.
    fn three_channels() -> World {
        let mut world = world(&["alice", "bob"]);
        for (second, id) in ["a", "b", "c"].iter().enumerate() {
            let members = if *id == "b" { json!([{ "user_id": "bob" }]) } else { json!([]) };
            let custom = json!({ "call_id": id, "kind": "call" });
            let data = json!({ "created_by_id": "alice", "members": members, "custom": custom });
            let now = at(u64::try_from(second).expect("a second"));
            let ask = read(json!({ "data": data }));
            world.get_or_create_channel(&messaging(id), ask, now).expect("a channel");
        }
        let message = json!({ "message": { "text": "hello", "user_id": "alice" } });
        world.send_message(&messaging("a"), read(message), at(9)).expect("a message");
        world
    }

    fn cids(world: &World, ask: Value) -> Vec<Value> {
        let answer = world.query_channels(&read(ask)).expect("channels");
        let channels = answer["channels"].as_array().cloned().unwrap_or_default();
        channels.iter().map(|channel| channel["channel"]["cid"].clone()).collect()
    }

    #[test]
    fn channels_are_found_by_what_they_are() {
        let world = three_channels();
        let found = |filter: Value| cids(&world, json!({ "filter_conditions": filter }));
        assert_eq!(
            found(json!({ "cid": { "$in": ["messaging:b", "messaging:x"] } })),
            ["messaging:b"]
        );
        assert_eq!(found(json!({ "id": "c", "type": "messaging" })), ["messaging:c"]);
        assert_eq!(found(json!({ "members": { "$in": ["bob"] } })), ["messaging:b"]);
        assert_eq!(found(json!({ "call_id": "a" })), ["messaging:a"]);
        assert_eq!(found(json!({ "call_id": { "$exists": true } })).len(), 3);
        assert_eq!(found(json!({ "created_by_id": "alice" })).len(), 3);
        assert!(found(json!({ "created_by_id": "bob" })).is_empty());
        let since = json!({ "$gte": "2026-01-01T00:00:01Z", "$lt": "2026-01-01T00:00:02Z" });
        assert_eq!(found(json!({ "created_at": since })), ["messaging:b"]);
        let odd = read(json!({ "filter_conditions": { "id": { "$like": "a" } } }));
        assert_eq!(refusal(world.query_channels(&odd)).1, 4);
    }

    #[test]
    fn the_last_active_one_comes_first_unless_asked_otherwise() {
        let world = three_channels();
        assert_eq!(cids(&world, json!({})), ["messaging:a", "messaging:c", "messaging:b"]);
        let by = |direction: i64| {
            let sort = json!([{ "field": "created_at", "direction": direction }]);
            cids(&world, json!({ "sort": sort, "limit": 2 }))
        };
        assert_eq!(by(1), ["messaging:a", "messaging:b"]);
        assert_eq!(by(-1), ["messaging:c", "messaging:b"]);
        assert_eq!(cids(&world, json!({ "limit": 30, "offset": 2 })), ["messaging:b"]);
    }

    #[test]
    fn a_page_has_bounds() {
        let world = three_channels();
        for ask in [json!({ "limit": 31 }), json!({ "offset": 1_001 })] {
            let (status, code, _) = refusal(world.query_channels(&read(ask)));
            assert_eq!((status, code), (400, 4));
        }
    }

    #[test]
    fn a_result_is_the_channel_with_its_state() {
        let world = three_channels();
        let ask = |state: bool| {
            let filter = json!({ "members": { "$in": ["alice", "bob"] } });
            let ask = json!({ "filter_conditions": filter, "state": state });
            world.query_channels(&read(ask)).expect("channels")["channels"][0].clone()
        };
        assert_eq!(ask(true)["members"][0]["user_id"], json!("bob"));
        assert_eq!(ask(true)["channel"]["custom"]["call_id"], json!("b"));
        assert_eq!(ask(false)["members"], json!([]));
        let ask = read(json!({ "filter_conditions": { "id": "a" }, "message_limit": 1 }));
        let answer = world.query_channels(&ask).expect("channels");
        assert_eq!(answer["channels"][0]["messages"][0]["text"], json!("hello"));
    }

    #[test]
    fn a_deleted_channel_is_not_listed() {
        let mut world = three_channels();
        world.delete_channel(&messaging("b"), at(10)).expect("deleted");
        assert_eq!(cids(&world, json!({})), ["messaging:a", "messaging:c"]);
    }
}
