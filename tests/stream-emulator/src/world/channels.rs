//! Chat channels: get-or-create is idempotent and never applies new data to a
//! channel that exists; a deleted one is gone, and a late create brings it back empty.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::channel_config::channel_config;
use super::channel_members::{Member, MemberRequest, MemberWindow, members_of};
use super::cid::Cid;
use super::limits::{self, at_most, from_one_to};
use super::message_page::MessagePage;
use super::messages::Message;
use super::users::{NamedUser, creator};
use super::{Custom, Reply, World, compact, joined};
use crate::error::StreamFailure;
use crate::moment::Moment;
use crate::request::Query;
use crate::views::ChannelView;

const MEMBERS: usize = 100;
const BATCH: usize = 100;

#[derive(Debug, Serialize)]
pub(super) struct Channel {
    pub(super) cid: Cid,
    created_by: String,
    pub(super) members: Vec<Member>,
    custom: Custom,
    frozen: bool,
    disabled: bool,
    team: Option<String>,
    filter_tags: Vec<String>,
    created_at: Moment,
    pub(super) updated_at: Moment,
    pub(super) last_message_at: Option<Moment>,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetOrCreateChannel {
    data: Option<ChannelData>,
    state: Option<bool>,
    messages: Option<MessagePage>,
    members: Option<MemberWindow>,
}

#[derive(Debug, Default, Deserialize)]
struct ChannelData {
    created_by_id: Option<String>,
    created_by: Option<NamedUser>,
    members: Option<Vec<MemberRequest>>,
    custom: Option<Custom>,
    frozen: Option<bool>,
    disabled: Option<bool>,
    team: Option<String>,
    filter_tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteChannels {
    cids: Vec<String>,
}

/// Which part of a channel an answer shows.
#[derive(Debug)]
pub(crate) struct ChannelPart {
    /// `state: false` asks for the channel alone.
    state: bool,
    messages: MessagePage,
    members: MemberWindow,
}

impl ChannelPart {
    pub(super) fn new(state: Option<bool>, messages: MessagePage, members: MemberWindow) -> Self {
        Self { state: state.unwrap_or(true), messages, members }
    }

    pub(crate) fn of(query: &Query) -> Result<Self, StreamFailure> {
        let members = MemberWindow::new(query.number("members_limit")?);
        Ok(Self::new(query.flag("state")?, MessagePage::of(query)?, members))
    }
}

impl ChannelData {
    fn check(&self) -> Result<(), StreamFailure> {
        at_most("members", self.members.as_ref().map_or(0, Vec::len), MEMBERS)?;
        at_most("filter_tags", self.filter_tags.as_ref().map_or(0, Vec::len), 10)?;
        limits::size("custom", &self.custom)
    }
}

impl Channel {
    pub(super) fn response(&self, world: &World) -> Value {
        compact(json!({
            "cid": self.cid,
            "type": self.cid.kind,
            "id": self.cid.id,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "last_message_at": self.last_message_at,
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

    /// What a filter sees.
    pub(super) fn filterable(&self, world: &World) -> Value {
        let mut channel = self.response(world);
        let members: Vec<&str> = self.members.iter().map(|it| it.user_id.as_str()).collect();
        channel["members"] = json!(members);
        channel["created_by_id"] = json!(self.created_by);
        channel["last_updated"] = json!(self.last_message_at.unwrap_or(self.created_at));
        channel
    }

    /// A conversation: two members, one of whom is this user.
    pub(super) fn is_between_two_with(&self, user_id: &str) -> bool {
        self.members.len() == 2 && self.members.iter().any(|member| member.user_id == user_id)
    }

    fn view(&self) -> ChannelView {
        ChannelView {
            cid: self.cid.to_string(),
            created_by: self.created_by.clone(),
            members: self.members.iter().map(|member| member.user_id.clone()).collect(),
            custom: self.custom.clone(),
            frozen: self.frozen,
            created_at: self.created_at.nanos(),
            message_count: self.messages.len(),
        }
    }
}

impl World {
    pub(crate) fn get_or_create_channel(
        &mut self,
        cid: &Cid,
        ask: GetOrCreateChannel,
        now: Moment,
    ) -> Reply {
        let (messages, members) =
            (ask.messages.unwrap_or_default(), ask.members.unwrap_or_default());
        let part = ChannelPart::new(ask.state, messages, members);
        let data = ask.data.unwrap_or_default();
        data.check()?;
        if let Some(channel) = self.channels.get(cid) {
            return self.channel_part(channel, &part);
        }
        let channel = self.new_channel(cid, data, now)?;
        let reply = self.channel_part(&channel, &part)?;
        let more = json!({
            "channel": channel.response(self),
            "user": self.user_response(&channel.created_by),
        });
        self.channels.insert(cid.clone(), channel);
        self.channels_created += 1;
        let members = json!({ "members": self.told_members(cid) });
        self.emit_channel("channel.created", cid, now, joined(more, members));
        Ok(reply)
    }

    pub(crate) fn get_channel(&self, cid: &Cid, part: &ChannelPart) -> Reply {
        self.channel_part(self.known_channel(cid)?, part)
    }

    pub(crate) fn delete_channel(&mut self, cid: &Cid, now: Moment) -> Reply {
        let channel = self.remove_channel(cid, now).ok_or_else(|| no_channel(cid))?;
        Ok(json!({ "channel": channel }))
    }

    /// All of them or none: one that does not exist fails the batch.
    pub(crate) fn delete_channels(&mut self, ask: &DeleteChannels, now: Moment) -> Reply {
        from_one_to("cids", ask.cids.len(), BATCH)?;
        let mut result = Map::new();
        let mut cids = Vec::new();
        for text in &ask.cids {
            let cid: Cid = text
                .parse()
                .map_err(|_| StreamFailure::input(format!("cid {text:?} is not valid")))?;
            limits::ensure(self.channels.contains_key(&cid), || {
                StreamFailure::missing("channels not found")
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

    /// Takes a channel away and tells of it; the channel as it was.
    pub(crate) fn remove_channel(&mut self, cid: &Cid, now: Moment) -> Option<Value> {
        let mut channel = self.channels.get(cid)?.response(self);
        channel["deleted_at"] = json!(now);
        let more = json!({ "channel": channel, "members": self.told_members(cid) });
        self.channels.remove(cid);
        self.emit_channel("channel.deleted", cid, now, more);
        Some(channel)
    }

    pub(super) fn known_channel(&self, cid: &Cid) -> Result<&Channel, StreamFailure> {
        self.channels.get(cid).ok_or_else(|| no_channel(cid))
    }

    pub(super) fn known_channel_mut(&mut self, cid: &Cid) -> Result<&mut Channel, StreamFailure> {
        self.channels.get_mut(cid).ok_or_else(|| no_channel(cid))
    }

    pub(crate) fn channel_view(&self, cid: &str) -> Option<ChannelView> {
        let cid: Cid = cid.parse().ok()?;
        self.channels.get(&cid).map(Channel::view)
    }

    pub(crate) fn live_channels(&self) -> Vec<String> {
        self.channels.keys().map(Cid::to_string).collect()
    }

    pub(crate) fn channels_ever(&self) -> usize {
        self.channels_created
    }

    fn new_channel(
        &self,
        cid: &Cid,
        data: ChannelData,
        now: Moment,
    ) -> Result<Channel, StreamFailure> {
        limits::channel_cid(cid)?;
        let created_by = creator(data.created_by_id, data.created_by)?;
        let members = members_of(data.members.unwrap_or_default(), now);
        let involved = members.iter().map(|member| member.user_id.as_str());
        self.involve("channel create", involved.chain([created_by.as_str()]))?;
        Ok(Channel {
            cid: cid.clone(),
            created_by,
            members,
            custom: data.custom.unwrap_or_default(),
            frozen: data.frozen.unwrap_or_default(),
            disabled: data.disabled.unwrap_or_default(),
            team: data.team,
            filter_tags: data.filter_tags.unwrap_or_default(),
            created_at: now,
            updated_at: now,
            last_message_at: None,
            messages: Vec::new(),
        })
    }

    pub(super) fn channel_part(&self, channel: &Channel, part: &ChannelPart) -> Reply {
        let page = part.messages.select(&channel.messages)?;
        let messages = if part.state { page } else { &[] };
        let members = if part.state { part.members.select(&channel.members) } else { &[] };
        let messages: Vec<Value> = messages.iter().map(|it| it.response(self)).collect();
        let members: Vec<Value> = members.iter().map(|it| it.response(self)).collect();
        Ok(json!({
            "channel": channel.response(self),
            "members": members,
            "messages": messages,
            "pinned_messages": [],
            "threads": [],
            "read": [],
            "watcher_count": 0,
        }))
    }
}

fn no_channel(cid: &Cid) -> StreamFailure {
    StreamFailure::missing(format!("Can't find channel with id {cid}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, create_channel, messaging, read, refusal, send, world};
    use super::*;

    #[test]
    fn a_second_create_changes_nothing() {
        let mut world = world(&["alice", "bob"]);
        create_channel(&mut world, &["alice"]).expect("a channel");
        let again = create_channel(&mut world, &["alice", "bob"]).expect("the channel");
        assert_eq!(again["channel"]["member_count"], json!(1));
        let bare = world.get_or_create_channel(&messaging("c"), read(json!({})), at(9));
        assert_eq!(bare.expect("the channel")["members"][0]["user_id"], json!("alice"));
        assert_eq!(world.channels_ever(), 1);
    }

    #[test]
    fn unknown_members_are_named() {
        let mut world = world(&["alice"]);
        let outcome = create_channel(&mut world, &["alice", "bob", "carol"]);
        let (status, code, message) = refusal(outcome);
        assert_eq!((status, code), (400, 4));
        assert!(message.ends_with("but don't exist: [bob carol]"), "{message}");
        assert!(world.live_channels().is_empty());
    }

    #[test]
    fn a_deleted_member_is_refused() {
        let mut world = world(&["alice", "bob"]);
        world.mark_deleted("bob", at(1));
        let outcome = create_channel(&mut world, &["bob"]);
        assert_eq!(refusal(outcome), (404, 16, "the user bob was deleted".to_owned()));
    }

    #[test]
    fn only_creating_needs_a_creator() {
        let mut world = world(&["alice"]);
        let outcome = world.get_or_create_channel(&messaging("c"), read(json!({})), at(1));
        assert_eq!(refusal(outcome).1, 4);
        let named = json!({ "data": { "created_by": { "id": "alice" } } });
        world.get_or_create_channel(&messaging("c"), read(named), at(1)).expect("a channel");
        world.get_or_create_channel(&messaging("c"), read(json!({})), at(1)).expect("the channel");
    }

    #[test]
    fn a_channel_created_again_after_its_deletion_is_empty() {
        let mut world = world(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        send(&mut world, "m1").expect("a message");
        world.delete_channel(&messaging("c"), at(3)).expect("deleted");
        let gone = (404, 16, "Can't find channel with id messaging:c".to_owned());
        let part = ChannelPart::of(&Query::default()).expect("a part");
        assert_eq!(refusal(world.get_channel(&messaging("c"), &part)), gone);
        assert_eq!(refusal(world.delete_channel(&messaging("c"), at(4))), gone);
        let again = create_channel(&mut world, &["alice"]).expect("a channel");
        assert_eq!(again["messages"], json!([]));
        assert_eq!(again["channel"]["member_count"], json!(1));
        assert_eq!(world.channels_ever(), 2);
    }

    #[test]
    fn a_batch_deletes_all_or_nothing() {
        let mut world = world(&["alice"]);
        create_channel(&mut world, &[]).expect("a channel");
        let ask = json!({ "cids": ["messaging:c", "messaging:d"] });
        let outcome = world.delete_channels(&read(ask), at(3));
        assert_eq!(refusal(outcome), (404, 16, "channels not found".to_owned()));
        assert_eq!(world.live_channels(), ["messaging:c"]);
        let answer = world.delete_channels(&read(json!({ "cids": ["messaging:c"] })), at(3));
        let answer = answer.expect("deleted");
        assert_eq!(answer["result"], json!({ "messaging:c": { "status": "ok" } }));
        assert!(answer["task_id"].is_string());
        assert!(world.live_channels().is_empty());
        assert_eq!(refusal(world.delete_channels(&read(json!({ "cids": [] })), at(3))).1, 4);
    }

    #[test]
    fn custom_data_is_kept_and_has_a_limit() {
        let mut world = world(&["alice"]);
        let data = json!({ "created_by_id": "alice", "custom": { "call_id": "c1" } });
        let ask = read(json!({ "data": data }));
        let answer = world.get_or_create_channel(&messaging("d"), ask, at(1)).expect("a channel");
        assert_eq!(answer["channel"]["custom"], json!({ "call_id": "c1" }));
        let part = ChannelPart::of(&Query::default()).expect("a part");
        let answer = world.get_channel(&messaging("d"), &part).expect("the channel");
        assert_eq!(answer["channel"]["custom"], json!({ "call_id": "c1" }));
        let custom = json!({ "note": "x".repeat(5 * 1024) });
        let ask = json!({ "data": { "created_by_id": "alice", "custom": custom } });
        assert_eq!(refusal(world.get_or_create_channel(&messaging("c"), read(ask), at(1))).1, 4);
    }
}
