//! Who belongs to a channel: adding, removing and listing members.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cid::Cid;
use super::limits::at_most;
use super::listing::{self, Sort};
use super::{Custom, Reply, World};
use crate::moment::Moment;

const BATCH: usize = 100;
const DEFAULT_ROLE: &str = "channel_member";

#[derive(Debug, Serialize)]
pub(super) struct Member {
    pub(super) user_id: String,
    role: String,
    custom: Custom,
    created_at: Moment,
}

/// A member as a request names it.
#[derive(Debug, Deserialize)]
pub(super) struct MemberRequest {
    user_id: String,
    channel_role: Option<String>,
    custom: Option<Custom>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateChannel {
    add_members: Option<Vec<MemberRequest>>,
    remove_members: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct QueryMembers {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default)]
    filter_conditions: Value,
    sort: Option<Vec<Sort>>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// Which members an answer shows.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MemberWindow {
    limit: Option<usize>,
    offset: Option<usize>,
}

impl MemberWindow {
    pub(super) const fn new(limit: Option<usize>) -> Self {
        Self { limit, offset: None }
    }

    pub(super) fn select<'a>(&self, members: &'a [Member]) -> &'a [Member] {
        let start = self.offset.unwrap_or_default().min(members.len());
        let end = start.saturating_add(self.limit.unwrap_or(BATCH)).min(members.len());
        &members[start..end]
    }
}

impl Member {
    pub(super) fn response(&self, world: &World) -> Value {
        json!({
            "user_id": self.user_id,
            "user": world.user_response(&self.user_id),
            "channel_role": self.role,
            "custom": self.custom,
            "banned": false,
            "shadow_banned": false,
            "notifications_muted": false,
            "created_at": self.created_at,
            "updated_at": self.created_at,
        })
    }
}

/// The members that a request names, each of them once.
pub(super) fn members_of(requests: Vec<MemberRequest>, now: Moment) -> Vec<Member> {
    let mut members = Vec::new();
    for request in requests {
        join(&mut members, request, now);
    }
    members
}

/// Joining again changes nothing.
fn join(members: &mut Vec<Member>, request: MemberRequest, now: Moment) {
    if members.iter().any(|member| member.user_id == request.user_id) {
        return;
    }
    members.push(Member {
        user_id: request.user_id,
        role: request.channel_role.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
        custom: request.custom.unwrap_or_default(),
        created_at: now,
    });
}

impl World {
    pub(crate) fn update_channel(&mut self, cid: &Cid, ask: UpdateChannel, now: Moment) -> Reply {
        let added = ask.add_members.unwrap_or_default();
        let removed = ask.remove_members.unwrap_or_default();
        at_most("add_members", added.len(), BATCH)?;
        at_most("remove_members", removed.len(), BATCH)?;
        self.known_channel(cid)?;
        self.involve("channel update", added.iter().map(|member| member.user_id.as_str()))?;
        let channel = self.known_channel_mut(cid)?;
        for request in added {
            join(&mut channel.members, request, now);
        }
        channel.members.retain(|member| !removed.contains(&member.user_id));
        channel.updated_at = now;
        let channel = self.known_channel(cid)?;
        let members: Vec<Value> = channel.members.iter().map(|it| it.response(self)).collect();
        Ok(json!({ "channel": channel.response(self), "members": members }))
    }

    pub(crate) fn query_members(&self, ask: &QueryMembers) -> Reply {
        let sort = ask.sort.as_deref().unwrap_or_default();
        let limit = ask.limit.unwrap_or(BATCH);
        let offset = ask.offset.unwrap_or_default();
        at_most("sort", sort.len(), 1)?;
        at_most("limit", limit, BATCH)?;
        at_most("offset", offset, 10_000)?;
        let channel = self.known_channel(&Cid::new(&ask.kind, &ask.id))?;
        let members = channel.members.iter().map(|it| it.response(self)).collect();
        let found = listing::ordered(listing::filtered(members, &ask.filter_conditions)?, sort);
        let page: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
        Ok(json!({ "members": page }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, create_channel, messaging, read, refusal, world};
    use super::*;

    fn update(world: &mut World, ask: Value) -> Reply {
        world.update_channel(&messaging("c"), read(ask), at(5))
    }

    #[test]
    fn members_come_and_go() {
        let mut world = world(&["alice", "bob", "carol"]);
        create_channel(&mut world, &["alice", "bob", "alice"]).expect("a channel");
        let add = json!({ "add_members": [{ "user_id": "bob" }, { "user_id": "carol" }] });
        update(&mut world, add).expect("updated");
        update(&mut world, json!({ "remove_members": ["bob", "nobody"] })).expect("updated");
        let channel = world.channel_view("messaging:c").expect("the channel");
        assert_eq!(channel.members, ["alice", "carol"]);
    }

    #[test]
    fn who_is_added_must_exist_and_so_must_the_channel() {
        let mut world = world(&["alice"]);
        let add = json!({ "add_members": [{ "user_id": "alice" }] });
        assert_eq!(refusal(update(&mut world, add)).1, 16);
        create_channel(&mut world, &[]).expect("a channel");
        let add = json!({ "add_members": [{ "user_id": "alice" }, { "user_id": "bob" }] });
        assert_eq!(refusal(update(&mut world, add)).1, 4);
        assert!(world.channel_view("messaging:c").expect("the channel").members.is_empty());
    }

    #[test]
    fn members_are_listed_in_pages() {
        let mut world = world(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        let ask = json!({ "type": "messaging", "id": "c", "limit": 1, "offset": 1, "sort": null });
        let answer = world.query_members(&read(ask)).expect("members");
        assert_eq!(answer["members"][0]["user_id"], json!("bob"));
        assert_eq!(answer["members"][1], json!(null));
        let ask = json!({ "type": "messaging", "id": "d" });
        assert_eq!(refusal(world.query_members(&read(ask))).1, 16);
    }
}
