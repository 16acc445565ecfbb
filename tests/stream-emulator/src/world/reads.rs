//! What each user has read of each channel, and the number of unread messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::acting_user::ActingUser;
use super::channels::Channel;
use super::cid::Cid;
use super::message::Message;
use super::users::UserRef;
use super::{ApiResult, World, merge, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// What one user has read of a channel.
#[derive(Debug, Serialize)]
pub(super) struct ReadState {
    last_read: Timestamp,
    last_read_message_id: Option<String>,
    pub(super) unread: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRead {
    user_id: Option<String>,
    user: Option<UserRef>,
    thread_id: Option<String>,
    message_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkUnread {
    user_id: Option<String>,
    user: Option<UserRef>,
    message_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkChannelsRead {
    user_id: Option<String>,
    user: Option<UserRef>,
    /// By cid. Without it, all channels of the user are marked as read.
    read_by_channel: Option<BTreeMap<String, Value>>,
}

/// The unread messages of a user in all channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnreadCounts {
    messages: usize,
    channels: usize,
}

impl UnreadCounts {
    /// The fields of the user's own object, and of events for the user.
    pub(crate) fn fields(self) -> Value {
        json!({
            "total_unread_count": self.messages,
            "unread_count": self.messages,
            "unread_channels": self.channels,
            "unread_threads": 0,
        })
    }
}

impl ReadState {
    const fn new(now: Timestamp) -> Self {
        Self { last_read: now, last_read_message_id: None, unread: 0 }
    }
}

impl Channel {
    /// A new member has read everything.
    pub(super) fn start_reading(&mut self, user_id: &str, now: Timestamp) {
        self.reads.entry(user_id.to_owned()).or_insert_with(|| ReadState::new(now));
    }

    /// Counts a new message as unread for every member who can see it, but not for its sender.
    pub(super) fn mark_new_message(&mut self, message: &Message, now: Timestamp) {
        if !message.is_unread() {
            return;
        }
        for (user_id, read) in &mut self.reads {
            if *user_id == message.user_id {
                let last_read_message_id = Some(message.id.clone());
                *read = ReadState { last_read: now, last_read_message_id, unread: 0 };
            } else if message.is_visible_to(Some(user_id)) {
                read.unread += 1;
            }
        }
    }

    pub(super) fn mark_all_read(&mut self, user_id: &str, now: Timestamp) {
        let last = self.messages.iter().rev().find(|message| message.is_listed_for(user_id));
        let last_read_message_id = last.map(|message| message.id.clone());
        let read = ReadState { last_read: now, last_read_message_id, unread: 0 };
        self.reads.insert(user_id.to_owned(), read);
    }

    /// Marks a message and those after it as unread. Without an id, all are.
    fn mark_unread_from(&mut self, user_id: &str, id: Option<&str>) -> Result<(), StreamError> {
        let first = match id {
            None => 0,
            Some(id) => {
                let position = self.messages.iter().position(|message| message.id == id);
                position.ok_or_else(|| {
                    StreamError::invalid_input(format!("message {id:?} is not in the channel"))
                })?
            }
        };
        let (read, unread) = self.messages.split_at(first);
        let last = read.iter().rev().find(|message| message.is_listed_for(user_id));
        let is_unread = |message: &&Message| {
            message.is_unread()
                && message.user_id != user_id
                && message.is_visible_to(Some(user_id))
        };
        let unread = unread.iter().filter(is_unread).count();
        let state = ReadState {
            last_read: last.map_or(self.created_at, |message| message.created_at),
            last_read_message_id: last.map(|message| message.id.clone()),
            unread,
        };
        self.reads.insert(user_id.to_owned(), state);
        Ok(())
    }

    /// Marks a message and those before it as read.
    fn mark_read_until(&mut self, user_id: &str, id: &str) -> Result<(), StreamError> {
        let is_requested =
            |message: &Message| message.id == id && message.is_visible_to(Some(user_id));
        let position = self.messages.iter().position(is_requested).ok_or_else(|| {
            StreamError::invalid_input(format!("message {id:?} is not in the channel"))
        })?;
        let message = &self.messages[position];
        let later = self.messages[position + 1..].iter();
        let counts = |it: &&Message| {
            it.is_unread() && it.user_id != user_id && it.is_visible_to(Some(user_id))
        };
        let state = ReadState {
            last_read: message.created_at,
            last_read_message_id: Some(message.id.clone()),
            unread: later.filter(counts).count(),
        };
        self.reads.insert(user_id.to_owned(), state);
        Ok(())
    }

    pub(super) fn read_responses(&self, world: &World) -> Vec<Value> {
        let responses = self.reads.iter().map(|(user_id, read)| {
            strip_nulls(json!({
                "user": world.user_response(user_id),
                "last_read": read.last_read,
                "last_read_message_id": read.last_read_message_id,
                "unread_messages": read.unread,
            }))
        });
        responses.collect()
    }

    pub(super) fn unread_of(&self, user_id: &str) -> usize {
        self.reads.get(user_id).map_or(0, |read| read.unread)
    }
}

impl World {
    /// Marks a channel as read and emits `message.read`.
    pub(crate) fn mark_read(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: MarkRead,
        now: Timestamp,
    ) -> ApiResult {
        if request.thread_id.is_some() {
            return Err(StreamError::not_emulated("reading of threads"));
        }
        let user_id = ActingUser::new(request.user_id, request.user).resolve("read", token_user)?;
        self.check_users_exist_for("mark read", [user_id.as_str()])?;
        let channel = self.find_channel_mut(cid)?;
        match request.message_id {
            None => channel.mark_all_read(&user_id, now),
            Some(id) => channel.mark_read_until(&user_id, &id)?,
        }
        Ok(json!({ "event": self.emit_read(cid, &user_id, now)? }))
    }

    pub(crate) fn mark_unread(
        &mut self,
        token_user: Option<&str>,
        cid: &Cid,
        request: MarkUnread,
        now: Timestamp,
    ) -> ApiResult {
        let user_id =
            ActingUser::new(request.user_id, request.user).resolve("unread", token_user)?;
        self.check_users_exist_for("mark unread", [user_id.as_str()])?;
        let channel = self.find_channel_mut(cid)?;
        channel.mark_unread_from(&user_id, request.message_id.as_deref())?;
        let read = self.find_channel(cid)?.reads.get(&user_id);
        let fields = json!({
            "user": self.user_response(&user_id),
            "first_unread_message_id": request.message_id,
            "last_read_at": read.map(|read| read.last_read),
            "last_read_message_id": read.and_then(|read| read.last_read_message_id.clone()),
            "unread_messages": read.map(|read| read.unread),
        });
        let fields = merge(strip_nulls(fields), self.unread_counts(&user_id).fields());
        self.emit_channel("notification.mark_unread", cid, now, fields);
        Ok(json!({}))
    }

    pub(crate) fn mark_channels_read(
        &mut self,
        token_user: Option<&str>,
        request: MarkChannelsRead,
        now: Timestamp,
    ) -> ApiResult {
        let user_id = ActingUser::new(request.user_id, request.user).resolve("read", token_user)?;
        self.check_users_exist_for("mark read", [user_id.as_str()])?;
        let selected = request.read_by_channel.filter(|cids| !cids.is_empty());
        let is_selected = |channel: &&Channel| {
            let cids = selected.as_ref();
            cids.is_none_or(|cids| cids.contains_key(&channel.cid.to_string()))
        };
        let joined = self.channels.values().filter(|it| it.member_role(&user_id).is_some());
        let cids: Vec<Cid> = joined.filter(is_selected).map(|it| it.cid.clone()).collect();
        for cid in cids {
            self.find_channel_mut(&cid)?.mark_all_read(&user_id, now);
            self.emit_read(&cid, &user_id, now)?;
        }
        Ok(json!({}))
    }

    /// The unread messages of a user, in all channels of which the user is a member.
    pub(crate) fn get_unread(
        &self,
        token_user: Option<&str>,
        named_user: Option<String>,
    ) -> ApiResult {
        let user_id = ActingUser::new(named_user, None).resolve("unread", token_user)?;
        self.find_user(&user_id)?;
        let mut by_type: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        let mut channels = Vec::new();
        for channel in self.unread_channels_of(&user_id) {
            let unread = channel.unread_of(&user_id);
            let (count, messages) = by_type.entry(&channel.cid.kind).or_default();
            *count += 1;
            *messages += unread;
            channels.push(json!({
                "channel_id": channel.cid,
                "unread_count": unread,
                "last_read": channel.reads.get(&user_id).map(|read| read.last_read),
            }));
        }
        let by_type: Vec<Value> = by_type
            .into_iter()
            .map(|(kind, (count, unread))| {
                json!({ "channel_type": kind, "channel_count": count, "unread_count": unread })
            })
            .collect();
        Ok(json!({
            "total_unread_count": self.unread_counts(&user_id).messages,
            "total_unread_threads_count": 0,
            "channels": channels,
            "channel_type": by_type,
            "threads": [],
        }))
    }

    pub(crate) fn unread_counts(&self, user_id: &str) -> UnreadCounts {
        let channels = self.unread_channels_of(user_id);
        channels.fold(UnreadCounts::default(), |counts, channel| UnreadCounts {
            messages: counts.messages + channel.unread_of(user_id),
            channels: counts.channels + 1,
        })
    }

    /// The channels with unread messages that count: not the muted ones.
    fn unread_channels_of<'a>(&'a self, user_id: &'a str) -> impl Iterator<Item = &'a Channel> {
        let channels = self.channels.values();
        channels
            .filter(|channel| channel.member_role(user_id).is_some())
            .filter(|channel| channel.unread_of(user_id) > 0)
            .filter(|channel| !self.moderation.has_muted_channel(user_id, &channel.cid))
    }

    /// Emits `message.read`. Returns the event.
    fn emit_read(&mut self, cid: &Cid, user_id: &str, now: Timestamp) -> ApiResult {
        let channel = self.find_channel(cid)?;
        let last_read = channel.reads.get(user_id);
        let fields = strip_nulls(json!({
            "user": self.user_response(user_id),
            "channel": channel.response(self),
            "last_read_message_id": last_read.and_then(|read| read.last_read_message_id.clone()),
        }));
        self.emit_channel("message.read", cid, now, fields.clone());
        Ok(merge(channel_event("message.read", cid, now), fields))
    }
}

/// The fields that every event of a channel has, for a response with the event.
pub(super) fn channel_event(kind: &str, cid: &Cid, now: Timestamp) -> Value {
    json!({
        "type": kind,
        "cid": cid,
        "channel_type": cid.kind,
        "channel_id": cid.id,
        "created_at": now,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, messaging_cid, send_message,
        world_with_users,
    };
    use super::*;

    fn unread(world: &World, user_id: &str) -> (usize, usize) {
        let counts = world.unread_counts(user_id);
        (counts.messages, counts.channels)
    }

    fn world_with_messages() -> World {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        for id in ["m1", "m2", "m3"] {
            send_message(&mut world, id).expect("a message");
        }
        world.take_events();
        world
    }

    #[test]
    fn messages_of_others_are_unread_until_the_channel_is_read() {
        let mut world = world_with_messages();
        assert_eq!([unread(&world, "alice"), unread(&world, "bob")], [(0, 0), (3, 1)]);
        assert_eq!(unread(&world, "carol"), (0, 0));
        let cid = messaging_cid("c");
        let response = world.mark_read(Some("bob"), &cid, from_json(json!({})), at(5));
        let event = response.expect("read")["event"].clone();
        assert_eq!(event["last_read_message_id"], json!("m3"));
        assert_eq!(unread(&world, "bob"), (0, 0));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["message.read"]);
        assert_eq!(events[0]["user"]["id"], json!("bob"));
    }

    #[test]
    fn channel_is_read_until_the_message() {
        let mut world = world_with_messages();
        let cid = messaging_cid("c");
        let read = |world: &mut World, id: &str| {
            world.mark_read(Some("bob"), &cid, from_json(json!({ "message_id": id })), at(5))
        };
        let response = read(&mut world, "m2").expect("read");
        assert_eq!(response["event"]["last_read_message_id"], json!("m2"));
        assert_eq!(unread(&world, "bob"), (1, 1));
        let reads = world.channels[&cid].read_responses(&world);
        assert_eq!(
            (&reads[1]["user"]["id"], &reads[1]["last_read"]),
            (&json!("bob"), &json!(at(2)))
        );
        world.take_events();
        assert_eq!(expect_error(read(&mut world, "x")).1, 4);
        assert_eq!(unread(&world, "bob"), (1, 1));
        assert!(world.take_events().is_empty());
    }

    #[test]
    fn mark_unread_counts_from_the_message() {
        let mut world = world_with_messages();
        let cid = messaging_cid("c");
        world.mark_read(Some("bob"), &cid, from_json(json!({})), at(5)).expect("read");
        world.take_events();
        let request = json!({ "message_id": "m2" });
        world.mark_unread(Some("bob"), &cid, from_json(request), at(6)).expect("unread");
        assert_eq!(unread(&world, "bob"), (2, 1));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["notification.mark_unread"]);
        assert_eq!(events[0]["last_read_message_id"], json!("m1"));
        assert_eq!(events[0]["total_unread_count"], json!(2));
        let request = from_json(json!({ "message_id": "x" }));
        assert_eq!(expect_error(world.mark_unread(Some("bob"), &cid, request, at(6))).1, 4);
    }

    #[test]
    fn invisible_message_is_never_unread() {
        let mut world = world_with_users(&["alice", "bob", "carol"]);
        create_channel(&mut world, &["alice", "bob", "carol"]).expect("a channel");
        let cid = messaging_cid("c");
        let message = json!({
            "id": "m1", "text": "hello", "user_id": "alice", "restricted_visibility": ["bob"],
        });
        let request = from_json(json!({ "message": message }));
        world.send_message(&cid, request, at(2)).expect("a message");
        assert_eq!([unread(&world, "bob"), unread(&world, "carol")], [(1, 1), (0, 0)]);
        for user in ["bob", "carol"] {
            world.mark_unread(Some(user), &cid, from_json(json!({})), at(3)).expect("unread");
        }
        assert_eq!([unread(&world, "bob"), unread(&world, "carol")], [(1, 1), (0, 0)]);
        for (user, expected) in [("bob", json!("m1")), ("carol", json!(null))] {
            let read = world.mark_read(Some(user), &cid, from_json(json!({})), at(4));
            assert_eq!(read.expect("read")["event"]["last_read_message_id"], expected);
        }
    }

    #[test]
    fn all_channels_are_read_at_once() {
        let mut world = world_with_messages();
        let response = world.get_unread(Some("bob"), None).expect("counts");
        assert_eq!(response["channels"][0]["unread_count"], json!(3));
        assert_eq!(response["channel_type"][0]["channel_count"], json!(1));
        world.mark_channels_read(Some("bob"), from_json(json!({})), at(7)).expect("read");
        assert_eq!(unread(&world, "bob"), (0, 0));
        assert_eq!(event_types(&world.take_events()), ["message.read"]);
    }
}
