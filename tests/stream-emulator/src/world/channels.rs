//! Chat channels. Get-or-create is idempotent and never applies new data to an existing channel. A
//! deleted channel does not exist, and a late create brings it back empty.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bans::Ban;
use super::channel_config::channel_config;
use super::channel_members::{Member, MemberPage, MemberRequest};
use super::channel_visibility::Visibility;
use super::cid::Cid;
use super::message::Message;
use super::message_page::MessagePage;
use super::reads::ReadState;
use super::users::{UserRef, resolve_creator};
use super::validation::{self, check_count, check_max};
use super::{ApiResult, CustomFields, World, merge, strip_nulls};
use crate::error::StreamError;
use crate::request::Query;
use crate::timestamp::Timestamp;
use crate::views::ChannelView;

const MAX_MEMBERS: usize = 100;
const MAX_BATCH_SIZE: usize = 100;

#[derive(Debug, Serialize)]
pub(super) struct Channel {
    pub(super) cid: Cid,
    pub(super) created_by: String,
    pub(super) members: Vec<Member>,
    pub(super) custom: CustomFields,
    pub(super) frozen: bool,
    pub(super) disabled: bool,
    pub(super) team: Option<String>,
    pub(super) filter_tags: Vec<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) last_message_at: Option<Timestamp>,
    pub(super) truncated_at: Option<Timestamp>,
    pub(super) messages: Vec<Message>,
    /// The bans from the channel, by the id of the banned user.
    pub(super) bans: BTreeMap<String, Ban>,
    /// What each member has read, by user.
    pub(super) reads: BTreeMap<String, ReadState>,
    /// What users have hidden, by user.
    pub(super) visibility: BTreeMap<String, Visibility>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetOrCreateChannel {
    data: Option<ChannelData>,
    state: Option<bool>,
    messages: Option<MessagePage>,
    members: Option<MemberPage>,
    hide_for_creator: Option<bool>,
    /// Subscriptions belong to the socket of the request, and the world has none.
    #[serde(rename = "watch")]
    _watch: Option<bool>,
    #[serde(rename = "presence")]
    _presence: Option<bool>,
    #[serde(rename = "watchers")]
    _watchers: Option<MemberPage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelData {
    created_by_id: Option<String>,
    created_by: Option<UserRef>,
    members: Option<Vec<MemberRequest>>,
    invites: Option<Vec<MemberRequest>>,
    custom: Option<CustomFields>,
    frozen: Option<bool>,
    disabled: Option<bool>,
    team: Option<String>,
    filter_tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteChannels {
    cids: Vec<String>,
    /// No channel can be restored, so that both kinds of deletion are the same.
    #[serde(rename = "hard_delete")]
    _hard_delete: Option<bool>,
}

/// The parts of a channel in a response.
#[derive(Debug)]
pub(crate) struct ChannelStateOptions {
    /// False for `state: false`: the response has no messages and no members.
    include_state: bool,
    messages: MessagePage,
    members: MemberPage,
}

impl ChannelStateOptions {
    pub(super) fn new(state: Option<bool>, messages: MessagePage, members: MemberPage) -> Self {
        Self { include_state: state.unwrap_or(true), messages, members }
    }

    pub(crate) fn from_query(query: &Query) -> Result<Self, StreamError> {
        let members = MemberPage::new(query.get_usize("members_limit")?);
        Ok(Self::new(query.get_bool("state")?, MessagePage::from_query(query)?, members))
    }
}

impl GetOrCreateChannel {
    /// The request with this creator.
    pub(super) fn created_by(mut self, user_id: &str) -> Self {
        let data = self.data.get_or_insert_default();
        data.created_by_id = Some(user_id.to_owned());
        self
    }

    /// Whether the request gives a member another role than the default one.
    pub(super) fn sets_roles(&self) -> bool {
        let data = self.data.iter();
        let mut members = data.flat_map(|data| data.members.iter().chain(&data.invites)).flatten();
        members.any(MemberRequest::has_role)
    }

    /// The sorted ids of the members of a channel without an id of its own.
    pub(super) fn distinct_members(&self) -> Result<Vec<&str>, StreamError> {
        let members = self.data.iter().flat_map(|data| &data.members).flatten();
        let mut ids: Vec<&str> = members.map(MemberRequest::user_id).collect();
        ids.sort_unstable();
        ids.dedup();
        check_count("data.members", ids.len(), MAX_MEMBERS)?;
        Ok(ids)
    }
}

impl ChannelData {
    fn validate(&self) -> Result<(), StreamError> {
        check_max("members", self.members.as_ref().map_or(0, Vec::len), MAX_MEMBERS)?;
        check_max("filter_tags", self.filter_tags.as_ref().map_or(0, Vec::len), 10)?;
        validation::check_size("custom", &self.custom)
    }
}

impl Channel {
    pub(super) fn response(&self, world: &World) -> Value {
        strip_nulls(json!({
            "cid": self.cid,
            "type": self.cid.kind,
            "id": self.cid.id,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "last_message_at": self.last_message_at,
            "truncated_at": self.truncated_at,
            "created_by": world.user_response(&self.created_by),
            "custom": self.custom,
            "frozen": self.frozen,
            "disabled": self.disabled,
            "team": self.team,
            "filter_tags": self.filter_tags,
            "member_count": self.members.len(),
            "message_count": self.messages.len(),
            "own_capabilities": ["read-channel", "send-message", "update-channel"],
            "config": channel_config(&self.cid.kind, self.created_at),
        }))
    }

    /// The fields that filters can use.
    pub(super) fn filter_fields(&self, viewer: Option<&str>, world: &World) -> Value {
        let mut channel = self.response(world);
        if let Some(viewer) = viewer {
            channel["hidden"] = json!(self.is_hidden_from(viewer));
            channel["joined"] = json!(self.member_role(viewer).is_some());
            channel["muted"] = json!(world.moderation.has_muted_channel(viewer, &self.cid));
            channel["has_unread"] = json!(self.unread_of(viewer) > 0);
            channel["unread_count"] = json!(self.unread_of(viewer));
        }
        let members: Vec<&str> =
            self.members.iter().map(|member| member.user_id.as_str()).collect();
        channel["members"] = json!(members);
        channel["created_by_id"] = json!(self.created_by);
        channel["last_updated"] = json!(self.last_message_at.unwrap_or(self.created_at));
        channel
    }

    /// Whether the channel has two members, one of whom is this user.
    pub(super) fn is_one_to_one_with(&self, user_id: &str) -> bool {
        self.members.len() == 2 && self.members.iter().any(|member| member.user_id == user_id)
    }

    fn view(&self) -> ChannelView {
        ChannelView {
            cid: self.cid.to_string(),
            created_by: self.created_by.clone(),
            members: self.members.iter().map(|member| member.user_id.clone()).collect(),
            custom: self.custom.clone(),
            frozen: self.frozen,
            created_at: self.created_at.as_nanos(),
            message_count: self.messages.len(),
        }
    }
}

impl World {
    pub(crate) fn get_or_create_channel(
        &mut self,
        cid: &Cid,
        request: GetOrCreateChannel,
        now: Timestamp,
    ) -> ApiResult {
        if !self.channels.contains_key(cid) {
            validation::check_channel_cid(cid)?;
        }
        self.get_or_create_channel_for(None, cid, request, now)
    }

    /// The members determine the id of the channel.
    pub(crate) fn get_or_create_distinct_channel(
        &mut self,
        kind: &str,
        request: GetOrCreateChannel,
        now: Timestamp,
    ) -> ApiResult {
        validation::check_channel_type(kind)?;
        let cid = request.distinct_cid(kind)?;
        self.get_or_create_channel_for(None, &cid, request, now)
    }

    /// Does not check the id: that of a channel without an id of its own is made by the emulator.
    pub(super) fn get_or_create_channel_for(
        &mut self,
        viewer: Option<&str>,
        cid: &Cid,
        request: GetOrCreateChannel,
        now: Timestamp,
    ) -> ApiResult {
        let (messages, members) =
            (request.messages.unwrap_or_default(), request.members.unwrap_or_default());
        let options = ChannelStateOptions::new(request.state, messages, members);
        let data = request.data.unwrap_or_default();
        data.validate()?;
        if let Some(channel) = self.channels.get(cid) {
            return self.channel_state_response(viewer, channel, &options, now);
        }
        let mut channel = self.new_channel(cid, data, now)?;
        if request.hide_for_creator == Some(true) {
            let creator = channel.created_by.clone();
            channel.hide(&creator);
        }
        let response = self.channel_state_response(viewer, &channel, &options, now)?;
        let fields = json!({
            "channel": channel.response(self),
            "user": self.user_response(&channel.created_by),
        });
        self.channels.insert(cid.clone(), channel);
        self.channels_created += 1;
        let members = json!({ "members": self.event_members(cid) });
        self.emit_channel("channel.created", cid, now, merge(fields, members));
        Ok(response)
    }

    pub(crate) fn get_channel(
        &self,
        viewer: Option<&str>,
        cid: &Cid,
        options: &ChannelStateOptions,
        now: Timestamp,
    ) -> ApiResult {
        self.channel_state_response(viewer, self.find_channel(cid)?, options, now)
    }

    pub(crate) fn delete_channel(&mut self, cid: &Cid, now: Timestamp) -> ApiResult {
        let channel = self.remove_channel(cid, now).ok_or_else(|| channel_not_found(cid))?;
        Ok(json!({ "channel": channel }))
    }

    /// Deletes all channels or none: a missing channel fails the batch.
    pub(crate) fn delete_channels(
        &mut self,
        request: &DeleteChannels,
        now: Timestamp,
    ) -> ApiResult {
        check_count("cids", request.cids.len(), MAX_BATCH_SIZE)?;
        let mut result = Map::new();
        let mut cids = Vec::new();
        for text in &request.cids {
            let cid: Cid = text
                .parse()
                .map_err(|_| StreamError::invalid_input(format!("cid {text:?} is not valid")))?;
            validation::ensure(self.channels.contains_key(&cid), || {
                StreamError::not_found("channels not found")
            })?;
            result.insert(text.clone(), json!({ "status": "ok" }));
            cids.push(cid);
        }
        for cid in cids {
            self.remove_channel(&cid, now);
        }
        let task_id = self.start_task(Value::Object(result.clone()), now);
        Ok(json!({ "task_id": task_id, "result": result }))
    }

    /// Removes a channel and emits `channel.deleted`. Returns the channel.
    pub(crate) fn remove_channel(&mut self, cid: &Cid, now: Timestamp) -> Option<Value> {
        let mut channel = self.channels.get(cid)?.response(self);
        channel["deleted_at"] = json!(now);
        let fields = json!({ "channel": channel, "members": self.event_members(cid) });
        self.channels.remove(cid);
        self.emit_channel("channel.deleted", cid, now, fields);
        Some(channel)
    }

    pub(super) fn find_channel(&self, cid: &Cid) -> Result<&Channel, StreamError> {
        self.channels.get(cid).ok_or_else(|| channel_not_found(cid))
    }

    pub(super) fn find_channel_mut(&mut self, cid: &Cid) -> Result<&mut Channel, StreamError> {
        self.channels.get_mut(cid).ok_or_else(|| channel_not_found(cid))
    }

    pub(crate) fn channel_view(&self, cid: &str) -> Option<ChannelView> {
        let cid: Cid = cid.parse().ok()?;
        self.channels.get(&cid).map(Channel::view)
    }

    pub(crate) fn live_channels(&self) -> Vec<String> {
        self.channels.keys().map(Cid::to_string).collect()
    }

    pub(crate) fn channels_created(&self) -> usize {
        self.channels_created
    }

    fn new_channel(
        &self,
        cid: &Cid,
        data: ChannelData,
        now: Timestamp,
    ) -> Result<Channel, StreamError> {
        let created_by = resolve_creator(data.created_by_id, data.created_by)?;
        let members = data.members.unwrap_or_default();
        let invites = data.invites.unwrap_or_default();
        let involved = members.iter().chain(&invites).map(MemberRequest::user_id);
        self.check_users_exist_for("channel create", involved.chain([created_by.as_str()]))?;
        let mut channel = Channel {
            cid: cid.clone(),
            created_by,
            members: Vec::new(),
            custom: data.custom.unwrap_or_default(),
            frozen: data.frozen.unwrap_or_default(),
            disabled: data.disabled.unwrap_or_default(),
            team: data.team,
            filter_tags: data.filter_tags.unwrap_or_default(),
            created_at: now,
            updated_at: now,
            last_message_at: None,
            truncated_at: None,
            messages: Vec::new(),
            bans: BTreeMap::new(),
            reads: BTreeMap::new(),
            visibility: BTreeMap::new(),
        };
        for member in members {
            channel.add_member(member, now);
        }
        for member in invites {
            channel.invite(member, now);
        }
        Ok(channel)
    }

    /// The state of a channel as one user gets it. `None` is a server.
    pub(super) fn channel_state_response(
        &self,
        viewer: Option<&str>,
        channel: &Channel,
        options: &ChannelStateOptions,
        now: Timestamp,
    ) -> ApiResult {
        let listed = channel.listed_messages(viewer);
        let page = options.messages.select(&listed)?;
        let messages = if options.include_state { page } else { &[] };
        let members =
            if options.include_state { options.members.select(&channel.members) } else { &[] };
        let messages: Vec<Value> =
            messages.iter().map(|message| message.response_for(viewer, self)).collect();
        let members = channel.member_responses(members, self);
        let pinned = if options.include_state {
            self.pinned_messages(viewer, &channel.cid, now)
        } else {
            Vec::new()
        };
        let mut response = json!({
            "channel": channel.response(self),
            "members": members,
            "messages": messages,
            "pinned_messages": pinned,
            "threads": [],
            "read": channel.read_responses(self),
            "watchers": [],
            "watcher_count": 0,
        });
        if let Some(viewer) = viewer {
            response["channel"]["hidden"] = json!(channel.is_hidden_from(viewer));
            response["hidden"] = json!(channel.is_hidden_from(viewer));
            if let Some(membership) = channel.membership_response(viewer, self) {
                response["membership"] = membership;
            }
        }
        Ok(response)
    }
}

fn channel_not_found(cid: &Cid) -> StreamError {
    StreamError::not_found(format!("Can't find channel with id {cid}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, expect_error, from_json, messaging_cid, send_message, world_with_users,
    };
    use super::*;

    #[test]
    fn second_create_returns_the_channel_unchanged() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        let again = create_channel(&mut world, &["alice", "bob"]).expect("the channel");
        assert_eq!(again["channel"]["member_count"], json!(1));
        let bare = world.get_or_create_channel(&messaging_cid("c"), from_json(json!({})), at(9));
        assert_eq!(bare.expect("the channel")["members"][0]["user_id"], json!("alice"));
        assert_eq!(world.channels_created(), 1);
    }

    #[test]
    fn unknown_members_are_listed_in_the_error() {
        let mut world = world_with_users(&["alice"]);
        let outcome = create_channel(&mut world, &["alice", "bob", "carol"]);
        let (status, code, message) = expect_error(outcome);
        assert_eq!((status, code), (400, 4));
        assert!(message.ends_with("but don't exist: [bob carol]"), "{message}");
        assert!(world.live_channels().is_empty());
    }

    #[test]
    fn deleted_member_is_rejected() {
        let mut world = world_with_users(&["alice", "bob"]);
        world.mark_deleted("bob", at(1));
        let outcome = create_channel(&mut world, &["bob"]);
        assert_eq!(expect_error(outcome), (404, 16, "the user bob was deleted".to_owned()));
    }

    #[test]
    fn created_by_is_required_only_to_create() {
        let mut world = world_with_users(&["alice"]);
        let outcome = world.get_or_create_channel(&messaging_cid("c"), from_json(json!({})), at(1));
        assert_eq!(expect_error(outcome).1, 4);
        let named = json!({ "data": { "created_by": { "id": "alice" } } });
        world
            .get_or_create_channel(&messaging_cid("c"), from_json(named), at(1))
            .expect("a channel");
        world
            .get_or_create_channel(&messaging_cid("c"), from_json(json!({})), at(1))
            .expect("the channel");
    }

    #[test]
    fn recreated_channel_is_empty() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        send_message(&mut world, "m1").expect("a message");
        world.delete_channel(&messaging_cid("c"), at(3)).expect("deleted");
        let not_found = (404, 16, "Can't find channel with id messaging:c".to_owned());
        let options = ChannelStateOptions::from_query(&Query::default()).expect("channel options");
        assert_eq!(
            expect_error(world.get_channel(None, &messaging_cid("c"), &options, at(4))),
            not_found
        );
        assert_eq!(expect_error(world.delete_channel(&messaging_cid("c"), at(4))), not_found);
        let again = create_channel(&mut world, &["alice"]).expect("a channel");
        assert_eq!(again["messages"], json!([]));
        assert_eq!(again["channel"]["member_count"], json!(1));
        assert_eq!(world.channels_created(), 2);
    }

    #[test]
    fn delete_channels_is_all_or_nothing() {
        let mut world = world_with_users(&["alice"]);
        create_channel(&mut world, &[]).expect("a channel");
        let request = json!({ "cids": ["messaging:c", "messaging:d"] });
        let outcome = world.delete_channels(&from_json(request), at(3));
        assert_eq!(expect_error(outcome), (404, 16, "channels not found".to_owned()));
        assert_eq!(world.live_channels(), ["messaging:c"]);
        let response = world.delete_channels(&from_json(json!({ "cids": ["messaging:c"] })), at(3));
        let response = response.expect("deleted");
        assert_eq!(response["result"], json!({ "messaging:c": { "status": "ok" } }));
        assert!(response["task_id"].is_string());
        assert!(world.live_channels().is_empty());
        assert_eq!(
            expect_error(world.delete_channels(&from_json(json!({ "cids": [] })), at(3))).1,
            4
        );
    }

    #[test]
    fn custom_data_is_stored_and_limited_in_size() {
        let mut world = world_with_users(&["alice"]);
        let data = json!({ "created_by_id": "alice", "custom": { "call_id": "c1" } });
        let request = from_json(json!({ "data": data }));
        let response =
            world.get_or_create_channel(&messaging_cid("d"), request, at(1)).expect("a channel");
        assert_eq!(response["channel"]["custom"], json!({ "call_id": "c1" }));
        let options = ChannelStateOptions::from_query(&Query::default()).expect("channel options");
        let response =
            world.get_channel(None, &messaging_cid("d"), &options, at(9)).expect("the channel");
        assert_eq!(response["channel"]["custom"], json!({ "call_id": "c1" }));
        let custom = json!({ "note": "x".repeat(5 * 1024) });
        let request = json!({ "data": { "created_by_id": "alice", "custom": custom } });
        assert_eq!(
            expect_error(world.get_or_create_channel(
                &messaging_cid("c"),
                from_json(request),
                at(1)
            ))
            .1,
            4
        );
    }
}
