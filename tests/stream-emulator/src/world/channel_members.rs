//! Channel members: their state, and lists of them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bans::ban_fields;
use super::channels::Channel;
use super::cid::Cid;
use super::pagination::{self, Sort};
use super::users::UserRef;
use super::validation::check_max;
use super::{ApiResult, CustomFields, World, merge, strip_nulls};
use crate::timestamp::Timestamp;

const MAX_BATCH_SIZE: usize = 100;
pub(super) const DEFAULT_ROLE: &str = "channel_member";

#[derive(Clone, Debug, Serialize)]
pub(super) struct Member {
    pub(super) user_id: String,
    pub(super) role: String,
    pub(super) custom: CustomFields,
    pub(super) invite: Option<Invite>,
    pub(super) pinned_at: Option<Timestamp>,
    pub(super) archived_at: Option<Timestamp>,
    created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// The invite of a member, who is a member before accepting it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Invite {
    pub(super) accepted_at: Option<Timestamp>,
    pub(super) rejected_at: Option<Timestamp>,
}

/// A member in a request.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct MemberRequest {
    user_id: String,
    channel_role: Option<String>,
    custom: Option<CustomFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberObject {
    user_id: Option<String>,
    user: Option<UserRef>,
    channel_role: Option<String>,
    custom: Option<CustomFields>,
}

/// A member as an object or, in requests of clients, as an id alone.
impl TryFrom<Value> for MemberRequest {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Value::String(user_id) = value {
            return Ok(Self { user_id, channel_role: None, custom: None });
        }
        let member: MemberObject =
            serde_json::from_value(value).map_err(|error| format!("member: {error}"))?;
        let user_id = member.user_id.or(member.user.map(|user| user.id));
        let user_id = user_id.ok_or("member: user_id is a required field")?;
        Ok(Self { user_id, channel_role: member.channel_role, custom: member.custom })
    }
}

impl MemberRequest {
    pub(super) fn user_id(&self) -> &str {
        &self.user_id
    }

    pub(super) fn channel_role(&self) -> Option<&str> {
        self.channel_role.as_deref()
    }

    /// Whether the request gives another role than the default one.
    pub(super) fn has_role(&self) -> bool {
        self.channel_role.as_deref().is_some_and(|role| role != DEFAULT_ROLE)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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

impl QueryMembers {
    pub(super) fn cid(&self) -> Cid {
        Cid::new(&self.kind, &self.id)
    }
}

/// The page of members in a response.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
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
        let is_moderator = matches!(member.role.as_str(), "channel_moderator" | "admin");
        let response = json!({
            "user_id": member.user_id,
            "user": world.user_response(&member.user_id),
            "channel_role": member.role,
            "is_moderator": is_moderator.then_some(true),
            "custom": member.custom,
            "notifications_muted": world.moderation.has_muted_channel(&member.user_id, &self.cid),
            "invited": member.invite.as_ref().map(|_| true),
            "invite_accepted_at": member.invite.as_ref().and_then(|it| it.accepted_at),
            "invite_rejected_at": member.invite.as_ref().and_then(|it| it.rejected_at),
            "pinned_at": member.pinned_at,
            "archived_at": member.archived_at,
            "created_at": member.created_at,
            "updated_at": member.updated_at,
        });
        merge(strip_nulls(response), ban_fields(self.bans.get(&member.user_id)))
    }

    /// The own membership of a user, or `None` for a non-member.
    pub(super) fn membership_response(&self, user_id: &str, world: &World) -> Option<Value> {
        self.member(user_id).map(|member| self.member_response(member, world))
    }

    pub(super) fn member(&self, user_id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.user_id == user_id)
    }

    pub(super) fn member_mut(&mut self, user_id: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.user_id == user_id)
    }

    /// Adds a member. An existing member is not changed. Returns whether the member is new.
    pub(super) fn add_member(&mut self, request: MemberRequest, now: Timestamp) -> bool {
        if self.member(&request.user_id).is_some() {
            return false;
        }
        self.start_reading(&request.user_id, now);
        self.members.push(Member {
            user_id: request.user_id,
            role: request.channel_role.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
            custom: request.custom.unwrap_or_default(),
            invite: None,
            pinned_at: None,
            archived_at: None,
            created_at: now,
            updated_at: now,
        });
        true
    }

    /// Adds a member with an invite. An existing member is not changed.
    pub(super) fn invite(&mut self, request: MemberRequest, now: Timestamp) -> bool {
        let is_new = self.add_member(request, now);
        if let Some(member) = self.members.last_mut().filter(|_| is_new) {
            member.invite = Some(Invite::default());
        }
        is_new
    }

    /// Removes a member. Returns whether the user was one.
    pub(super) fn remove_member(&mut self, user_id: &str) -> bool {
        let count = self.members.len();
        self.members.retain(|member| member.user_id != user_id);
        self.reads.remove(user_id);
        self.members.len() < count
    }
}

impl World {
    pub(crate) fn query_members(&self, request: &QueryMembers) -> ApiResult {
        let sort = request.sort.as_deref().unwrap_or_default();
        let limit = request.limit.unwrap_or(MAX_BATCH_SIZE);
        let offset = request.offset.unwrap_or_default();
        check_max("sort", sort.len(), 1)?;
        check_max("limit", limit, MAX_BATCH_SIZE)?;
        check_max("offset", offset, 10_000)?;
        let channel = self.find_channel(&request.cid())?;
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
    use super::super::testing::{create_channel, expect_error, from_json, world_with_users};
    use super::*;

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
