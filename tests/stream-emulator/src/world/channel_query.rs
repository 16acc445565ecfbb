//! Channel queries. By default, channels are sorted by `last_updated` in descending order: the time
//! of the last message or, without messages, of the creation.

use serde::Deserialize;
use serde_json::{Value, json};

use super::channel_members::MemberPage;
use super::channels::{Channel, ChannelStateOptions};
use super::cid::Cid;
use super::message_page::MessagePage;
use super::pagination::{Sort, apply_filter, apply_sort};
use super::users::UserRef;
use super::validation::check_max;
use super::{ApiResult, World};
use crate::timestamp::Timestamp;

const DEFAULT_PAGE_SIZE: usize = 10;
const MAX_PAGE_SIZE: usize = 30;
const MAX_OFFSET: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryChannels {
    #[serde(default)]
    filter_conditions: Value,
    sort: Option<Vec<Sort>>,
    limit: Option<usize>,
    offset: Option<usize>,
    state: Option<bool>,
    message_limit: Option<usize>,
    member_limit: Option<usize>,
    user_id: Option<String>,
    user: Option<UserRef>,
    /// Subscriptions belong to the socket of the request, and the world has none.
    #[serde(rename = "watch")]
    _watch: Option<bool>,
    #[serde(rename = "presence")]
    _presence: Option<bool>,
}

impl QueryChannels {
    /// Whether every match has this user as a member.
    pub(super) fn selects_member(&self, user_id: &str) -> bool {
        requires(&self.filter_conditions, &|filter: &Value| {
            let members = &filter["members"];
            let only = members["$in"].as_array().filter(|ids| !ids.is_empty());
            members == user_id
                || members["$eq"] == user_id
                || only.is_some_and(|ids| ids.iter().all(|id| id == user_id))
        })
    }

    /// Whether the filter has a condition on `hidden`.
    fn selects_hidden(&self) -> bool {
        requires(&self.filter_conditions, &|filter: &Value| filter.get("hidden").is_some())
    }

    /// Whether every match has one of the cids in the request.
    pub(super) fn selects_cids(&self) -> bool {
        requires(&self.filter_conditions, &|filter: &Value| {
            let cid = &filter["cid"];
            cid.is_string() || cid["$eq"].is_string() || cid["$in"].is_array()
        })
    }
}

/// Whether a filter, or a filter that it joins with `$and`, has a property.
fn requires(filter: &Value, has_property: &dyn Fn(&Value) -> bool) -> bool {
    let mut parts = filter["$and"].as_array().into_iter().flatten();
    has_property(filter) || parts.any(|part| requires(part, has_property))
}

impl World {
    pub(crate) fn query_channels(&self, request: &QueryChannels, now: Timestamp) -> ApiResult {
        let user = request.user.as_ref().map(|user| user.id.as_str());
        self.query_channels_where(request.user_id.as_deref().or(user), request, now, |_| true)
    }

    /// Omits the channels that are not visible, and those that the viewer has hidden, unless the
    /// filter selects hidden channels. `None` is a server.
    pub(super) fn query_channels_where(
        &self,
        viewer: Option<&str>,
        request: &QueryChannels,
        now: Timestamp,
        is_visible: impl Fn(&Cid) -> bool,
    ) -> ApiResult {
        let limit = request.limit.unwrap_or(DEFAULT_PAGE_SIZE);
        let offset = request.offset.unwrap_or_default();
        check_max("limit", limit, MAX_PAGE_SIZE)?;
        check_max("offset", offset, MAX_OFFSET)?;
        let messages = MessagePage::latest(request.message_limit);
        let options = ChannelStateOptions::new(
            request.state,
            messages,
            MemberPage::new(request.member_limit),
        );
        let latest = [Sort::descending("last_updated")];
        let sort = request.sort.as_deref().filter(|sort| !sort.is_empty()).unwrap_or(&latest);
        let selects_hidden = request.selects_hidden();
        let is_listed = |channel: &&Channel| {
            let is_hidden = viewer.is_some_and(|viewer| {
                (channel.is_hidden_from(viewer) && !selects_hidden)
                    || self.is_blocked_for(viewer, channel)
            });
            !is_hidden && is_visible(&channel.cid)
        };
        let listed = self.channels.values().filter(is_listed);
        let channels = listed.map(|channel| channel.filter_fields(viewer, self)).collect();
        let channels = apply_sort(apply_filter(channels, &request.filter_conditions)?, sort);
        let channels = channels
            .iter()
            .skip(offset)
            .take(limit)
            .filter_map(|channel| channel["cid"].as_str()?.parse().ok())
            .filter_map(|cid: Cid| self.channels.get(&cid))
            .map(|channel| self.channel_state_response(viewer, channel, &options, now))
            .collect::<Result<Vec<Value>, _>>()?;
        Ok(json!({ "channels": channels }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, expect_error, from_json, messaging_cid, world_with_users};
    use super::*;

    /// Channels `a`, `b` and `c`, created one second apart. A later message in `a` makes it the
    /// most recently active one.
    fn three_channels() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        for (second, id) in ["a", "b", "c"].iter().enumerate() {
            let members = if *id == "b" { json!([{ "user_id": "bob" }]) } else { json!([]) };
            let custom = json!({ "call_id": id, "kind": "call" });
            let data = json!({ "created_by_id": "alice", "members": members, "custom": custom });
            let now = at(u64::try_from(second).expect("a small number"));
            let request = from_json(json!({ "data": data }));
            world.get_or_create_channel(&messaging_cid(id), request, now).expect("a channel");
        }
        let message = json!({ "message": { "text": "hello", "user_id": "alice" } });
        world.send_message(&messaging_cid("a"), from_json(message), at(9)).expect("a message");
        world
    }

    fn cids(world: &World, request: Value) -> Vec<Value> {
        let response = world.query_channels(&from_json(request), at(9)).expect("channels");
        let channels = response["channels"].as_array().cloned().unwrap_or_default();
        channels.iter().map(|channel| channel["channel"]["cid"].clone()).collect()
    }

    #[test]
    fn query_channels_filters_by_fields() {
        let world = three_channels();
        let query = |filter: Value| cids(&world, json!({ "filter_conditions": filter }));
        assert_eq!(
            query(json!({ "cid": { "$in": ["messaging:b", "messaging:x"] } })),
            ["messaging:b"]
        );
        assert_eq!(query(json!({ "id": "c", "type": "messaging" })), ["messaging:c"]);
        assert_eq!(query(json!({ "members": { "$in": ["bob"] } })), ["messaging:b"]);
        assert_eq!(query(json!({ "call_id": "a" })), ["messaging:a"]);
        assert_eq!(query(json!({ "call_id": { "$exists": true } })).len(), 3);
        assert_eq!(query(json!({ "created_by_id": "alice" })).len(), 3);
        assert!(query(json!({ "created_by_id": "bob" })).is_empty());
        let since = json!({ "$gte": "2026-01-01T00:00:01Z", "$lt": "2026-01-01T00:00:02Z" });
        assert_eq!(query(json!({ "created_at": since })), ["messaging:b"]);
        let unsupported = from_json(json!({ "filter_conditions": { "id": { "$like": "a" } } }));
        assert_eq!(expect_error(world.query_channels(&unsupported, at(9))).1, 4);
    }

    #[test]
    fn channels_are_sorted_by_last_activity_by_default() {
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
    fn limit_and_offset_over_the_maximum_are_rejected() {
        let world = three_channels();
        for request in [json!({ "limit": 31 }), json!({ "offset": 1_001 })] {
            let (status, code, _) = expect_error(world.query_channels(&from_json(request), at(9)));
            assert_eq!((status, code), (400, 4));
        }
    }

    #[test]
    fn result_includes_channel_state() {
        let world = three_channels();
        let first_result = |state: bool| {
            let filter = json!({ "members": { "$in": ["alice", "bob"] } });
            let request = json!({ "filter_conditions": filter, "state": state });
            world.query_channels(&from_json(request), at(9)).expect("channels")["channels"][0]
                .clone()
        };
        assert_eq!(first_result(true)["members"][0]["user_id"], json!("bob"));
        assert_eq!(first_result(true)["channel"]["custom"]["call_id"], json!("b"));
        assert_eq!(first_result(false)["members"], json!([]));
        let request = from_json(json!({ "filter_conditions": { "id": "a" }, "message_limit": 1 }));
        let response = world.query_channels(&request, at(9)).expect("channels");
        assert_eq!(response["channels"][0]["messages"][0]["text"], json!("hello"));
    }

    #[test]
    fn a_deleted_channel_is_not_listed() {
        let mut world = three_channels();
        world.delete_channel(&messaging_cid("b"), at(10)).expect("deleted");
        assert_eq!(cids(&world, json!({})), ["messaging:a", "messaging:c"]);
    }

    #[test]
    fn filter_on_membership_or_cids_is_recognized() {
        for (filter, selects_member, selects_cids) in [
            (json!(null), false, false),
            (json!({ "members": { "$in": ["alice"] } }), true, false),
            (json!({ "members": { "$in": ["alice", "bob"] } }), false, false),
            (json!({ "members": { "$in": [] } }), false, false),
            (json!({ "members": { "$eq": "alice" } }), true, false),
            (json!({ "members": "alice" }), true, false),
            (json!({ "$and": [{ "type": "messaging" }, { "members": "alice" }] }), true, false),
            (json!({ "$or": [{ "members": "alice" }] }), false, false),
            (json!({ "cid": { "$in": ["messaging:c"] } }), false, true),
            (json!({ "cid": "messaging:c", "members": "alice" }), true, true),
            (json!({ "cid": { "$gt": "messaging:c" } }), false, false),
        ] {
            let query: QueryChannels = from_json(json!({ "filter_conditions": filter }));
            let actual = (query.selects_member("alice"), query.selects_cids());
            assert_eq!(actual, (selects_member, selects_cids), "{filter}");
        }
    }
}
