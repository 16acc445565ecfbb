//! Channel members: adding, removing and listing them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::ban_fields;
use super::channel_updates::ChannelUpdate;
use super::channels::Channel;
use super::cid::Cid;
use super::pagination::{self, Sort};
use super::validation::check_max;
use super::{ApiResult, CustomFields, World, merge};
use crate::timestamp::Timestamp;

const MAX_BATCH_SIZE: usize = 100;
const DEFAULT_ROLE: &str = "channel_member";

#[derive(Debug, Serialize)]
pub(super) struct Member {
    pub(super) user_id: String,
    role: String,
    custom: CustomFields,
    created_at: Timestamp,
}

/// A member in a request.
#[derive(Debug, Deserialize)]
#[serde(from = "MemberEntry")]
pub(super) struct MemberRequest {
    user_id: String,
    channel_role: Option<String>,
    custom: Option<CustomFields>,
}

/// A member as an object or, in requests of clients, as an id alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum MemberEntry {
    Id(String),
    Member { user_id: String, channel_role: Option<String>, custom: Option<CustomFields> },
}

impl From<MemberEntry> for MemberRequest {
    fn from(entry: MemberEntry) -> Self {
        match entry {
            MemberEntry::Id(user_id) => Self { user_id, channel_role: None, custom: None },
            MemberEntry::Member { user_id, channel_role, custom } => {
                Self { user_id, channel_role, custom }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateChannel {
    add_members: Option<Vec<MemberRequest>>,
    remove_members: Option<Vec<String>>,
    data: Option<ChannelUpdate>,
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

impl UpdateChannel {
    pub(super) fn added_ids(&self) -> impl Iterator<Item = &str> {
        self.add_members.iter().flatten().map(|member| member.user_id.as_str())
    }

    pub(super) fn removed_ids(&self) -> impl Iterator<Item = &str> {
        self.remove_members.iter().flatten().map(String::as_str)
    }

    pub(super) fn has_data(&self) -> bool {
        self.data.is_some()
    }

    pub(super) fn changes_frozen(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.frozen.is_some())
    }
}

/// The page of members in a response.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MemberPage {
    limit: Option<usize>,
    offset: Option<usize>,
}

impl MemberPage {
    pub(super) const fn new(limit: Option<usize>) -> Self {
        Self { limit, offset: None }
    }

    pub(super) fn select<'a>(&self, members: &'a [Member]) -> &'a [Member] {
        let start = self.offset.unwrap_or_default().min(members.len());
        let end = start.saturating_add(self.limit.unwrap_or(MAX_BATCH_SIZE)).min(members.len());
        &members[start..end]
    }
}

impl Channel {
    /// The role of a member, or `None` for a non-member.
    pub(super) fn member_role(&self, user_id: &str) -> Option<&str> {
        let member = self.members.iter().find(|member| member.user_id == user_id);
        member.map(|member| member.role.as_str())
    }

    /// The given members of the channel in a response.
    pub(super) fn member_responses<'a>(
        &self,
        members: impl IntoIterator<Item = &'a Member>,
        world: &World,
    ) -> Vec<Value> {
        members.into_iter().map(|member| self.member_response(member, world)).collect()
    }

    fn member_response(&self, member: &Member, world: &World) -> Value {
        let response = json!({
            "user_id": member.user_id,
            "user": world.user_response(&member.user_id),
            "channel_role": member.role,
            "custom": member.custom,
            "notifications_muted": false,
            "created_at": member.created_at,
            "updated_at": member.created_at,
        });
        merge(response, ban_fields(self.bans.get(&member.user_id)))
    }
}

/// The members of a request, without duplicates.
pub(super) fn unique_members(requests: Vec<MemberRequest>, now: Timestamp) -> Vec<Member> {
    let mut members = Vec::new();
    for request in requests {
        add_member(&mut members, request, now);
    }
    members
}

/// Adds a member. An existing member is not changed.
fn add_member(members: &mut Vec<Member>, request: MemberRequest, now: Timestamp) {
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
    pub(crate) fn update_channel(
        &mut self,
        cid: &Cid,
        request: UpdateChannel,
        now: Timestamp,
    ) -> ApiResult {
        let added = request.add_members.unwrap_or_default();
        let removed = request.remove_members.unwrap_or_default();
        check_max("add_members", added.len(), MAX_BATCH_SIZE)?;
        check_max("remove_members", removed.len(), MAX_BATCH_SIZE)?;
        request.data.as_ref().map_or(Ok(()), ChannelUpdate::validate)?;
        self.find_channel(cid)?;
        self.check_users_exist_for(
            "channel update",
            added.iter().map(|member| member.user_id.as_str()),
        )?;
        let channel = self.find_channel_mut(cid)?;
        for member in added {
            add_member(&mut channel.members, member, now);
        }
        channel.members.retain(|member| !removed.contains(&member.user_id));
        channel.updated_at = now;
        if let Some(data) = request.data {
            self.replace_channel_data(cid, data, now);
        }
        let channel = self.find_channel(cid)?;
        let members = channel.member_responses(&channel.members, self);
        Ok(json!({ "channel": channel.response(self), "members": members }))
    }

    pub(crate) fn query_members(&self, request: &QueryMembers) -> ApiResult {
        let sort = request.sort.as_deref().unwrap_or_default();
        let limit = request.limit.unwrap_or(MAX_BATCH_SIZE);
        let offset = request.offset.unwrap_or_default();
        check_max("sort", sort.len(), 1)?;
        check_max("limit", limit, MAX_BATCH_SIZE)?;
        check_max("offset", offset, 10_000)?;
        let channel = self.find_channel(&Cid::new(&request.kind, &request.id))?;
        let members = channel.member_responses(&channel.members, self);
        let members = pagination::apply_sort(
            pagination::apply_filter(members, &request.filter_conditions)?,
            sort,
        );
        let page: Vec<Value> = members.into_iter().skip(offset).take(limit).collect();
        Ok(json!({ "members": page }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, expect_error, from_json, messaging_cid, world_with_users,
    };
    use super::*;

    fn update(world: &mut World, request: Value) -> ApiResult {
        world.update_channel(&messaging_cid("c"), from_json(request), at(5))
    }

    #[test]
    fn members_are_added_once_and_removed() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        create_channel(&mut world, &["alice", "bob", "alice"]).expect("a channel");
        let add = json!({ "add_members": [{ "user_id": "bob" }, { "user_id": "carol" }] });
        update(&mut world, add).expect("updated");
        update(&mut world, json!({ "remove_members": ["bob", "unknown"] })).expect("updated");
        let channel = world.channel_view("messaging:c").expect("the channel");
        assert_eq!(channel.members, ["alice", "carol"]);
    }

    #[test]
    fn member_can_be_an_id() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &[]).expect("a channel");
        let add = json!({ "add_members": ["alice", { "user_id": "bob", "channel_role": "x" }] });
        update(&mut world, add).expect("updated");
        let channel = world.channel_view("messaging:c").expect("the channel");
        assert_eq!(channel.members, ["alice", "bob"]);
        let add = from_json(json!({ "add_members": ["carol"] }));
        assert_eq!(expect_error(world.update_channel(&messaging_cid("c"), add, at(6))).1, 4);
    }

    #[test]
    fn add_members_requires_existing_users_and_channel() {
        let mut world = world_with_users(&["alice"]);
        let add = json!({ "add_members": [{ "user_id": "alice" }] });
        assert_eq!(expect_error(update(&mut world, add)).1, 16);
        create_channel(&mut world, &[]).expect("a channel");
        let add = json!({ "add_members": [{ "user_id": "alice" }, { "user_id": "bob" }] });
        assert_eq!(expect_error(update(&mut world, add)).1, 4);
        assert!(world.channel_view("messaging:c").expect("the channel").members.is_empty());
    }

    #[test]
    fn members_are_listed_in_pages() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        let request =
            json!({ "type": "messaging", "id": "c", "limit": 1, "offset": 1, "sort": null });
        let response = world.query_members(&from_json(request)).expect("members");
        assert_eq!(response["members"][0]["user_id"], json!("bob"));
        assert_eq!(response["members"][1], json!(null));
        let request = json!({ "type": "messaging", "id": "d" });
        assert_eq!(expect_error(world.query_members(&from_json(request))).1, 16);
    }
}
