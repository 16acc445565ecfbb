//! The state of the emulated app, changed by one operation at a time. It has no I/O, no clock and
//! no randomness: the time is an argument and ids are sequential. The same history gives the same
//! world.

mod acting_user;
mod app;
mod bans;
mod blocks;
mod call;
mod call_events;
mod call_members;
mod call_moderation;
mod call_settings;
mod call_types;
mod calls;
mod channel_config;
mod channel_events;
mod channel_member_updates;
mod channel_members;
mod channel_query;
mod channel_updates;
mod channel_visibility;
mod channels;
mod cid;
mod client;
mod commands;
mod connections;
mod devices;
mod distinct;
mod events;
mod filter;
mod flags;
mod grants;
mod message;
mod message_page;
mod message_pin;
mod message_updates;
mod messages;
mod moderation;
mod mutes;
mod own_user;
mod pagination;
mod participant_sessions;
mod participation;
mod permissions;
mod reactions;
mod reads;
mod recording;
mod replies;
mod rings;
mod session;
mod session_stats;
mod sessions;
mod stats;
mod tasks;
mod timeouts;
mod user;
mod user_status;
mod users;
mod validation;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::StreamError;

use blocks::Block;
use call::Call;
use call_types::CallTypes;
use channels::Channel;
use devices::Device;
use moderation::Moderation;
use participant_sessions::ParticipantSessionRules;
use participation::Participations;
use rings::RingRules;
use tasks::Task;
use user::User;

pub use app::APP_OBJECT_SECRET;
pub(crate) use app::{App, list_roles};
pub(crate) use bans::UnbanUser;
pub(crate) use calls::CallSignals;
pub(crate) use channels::ChannelStateOptions;
pub(crate) use cid::Cid;
pub(crate) use client::Client;
pub(crate) use connections::{ObjectKind, UserDetails};
pub(crate) use devices::DeviceQuery;
pub(crate) use events::{RequestSource, format_timestamps, timestamps_to_nanos};
pub(crate) use message_page::MessagePage;
pub(crate) use message_updates::DeleteMessage;
pub(crate) use participation::Host;
pub use participation::JoinMode;
pub(crate) use permissions::TokenUser;
pub(crate) use stats::StatsPage;
pub(crate) use user_status::DeleteUsers;

/// The response body of an operation, without `duration`.
type ApiResult = Result<Value, StreamError>;

/// The whole state.
#[derive(Debug, Default, Serialize)]
pub(crate) struct World {
    app: App,
    call_types: CallTypes,
    /// Includes deleted users, since their ids cannot be used again.
    users: BTreeMap<String, User>,
    /// By user, oldest first.
    devices: BTreeMap<String, Vec<Device>>,
    /// Without deleted channels, of which nothing can be restored.
    channels: BTreeMap<Cid, Channel>,
    /// Includes ended calls, but not deleted ones.
    calls: BTreeMap<Cid, Call>,
    /// Every message id ever used, including those of deleted messages.
    message_ids: BTreeSet<String>,
    moderation: Moderation,
    /// By blocking user, oldest first.
    blocks: BTreeMap<String, Vec<Block>>,
    #[serde(skip)]
    ring_rules: RingRules,
    #[serde(skip)]
    participant_session_rules: ParticipantSessionRules,
    tasks: BTreeMap<String, Task>,
    channels_created: usize,
    calls_created: usize,
    ids_issued: u64,
    /// Whether an update of a call replaces all settings of the call. The documentation leaves this
    /// open. If not, the given settings are merged into those of the call.
    #[serde(skip)]
    replaces_settings_on_update: bool,
    #[serde(skip)]
    join_mode: JoinMode,
    #[serde(skip)]
    request_source: RequestSource,
    #[serde(skip)]
    participations: Participations,
    /// Events that were not taken yet. They are not part of the snapshot.
    #[serde(skip)]
    events: Vec<Value>,
}

impl World {
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    pub(crate) fn app_mut(&mut self) -> &mut App {
        &mut self.app
    }

    pub(crate) fn set_replaces_settings_on_update(&mut self, replaces: bool) {
        self.replaces_settings_on_update = replaces;
    }

    /// A new sequential id.
    fn next_id(&mut self, kind: &str) -> String {
        self.ids_issued += 1;
        format!("{kind}-{:06}", self.ids_issued)
    }
}

/// An object without its null members, since Stream omits unset members.
fn strip_nulls(mut object: Value) -> Value {
    if let Value::Object(members) = &mut object {
        members.retain(|_, value| !value.is_null());
    }
    object
}

/// One object with the members of both; those of `other` win.
fn merge(mut object: Value, other: Value) -> Value {
    if let (Value::Object(members), Value::Object(more)) = (&mut object, other) {
        members.extend(more);
    }
    object
}

/// The custom fields of an object.
type CustomFields = Map<String, Value>;

#[cfg(test)]
mod testing {
    //! Helpers for the tests of the world.

    use std::time::{Duration, UNIX_EPOCH};

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::{Cid, World};
    use crate::error::StreamError;
    use crate::timestamp::Timestamp;

    /// An instant, in seconds after 2026-01-01T00:00:00Z.
    pub(super) fn at(seconds: u64) -> Timestamp {
        Timestamp::from_system_time(UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds))
    }

    pub(super) fn from_json<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("a request")
    }

    pub(super) fn world_with_users(users: &[&str]) -> World {
        let mut world = World::default();
        for user in users {
            let request = json!({ "users": { *user: { "id": user } } });
            world.upsert_users(from_json(request), at(0)).expect("a user");
        }
        world
    }

    pub(super) fn messaging_cid(id: &str) -> Cid {
        Cid::new("messaging", id)
    }

    pub(super) fn default_call_cid(id: &str) -> Cid {
        Cid::new("default", id)
    }

    /// Creates `messaging:c` with alice as its creator and these members.
    pub(super) fn create_channel(world: &mut World, members: &[&str]) -> super::ApiResult {
        let members: Vec<Value> = members.iter().map(|id| json!({ "user_id": id })).collect();
        let request = json!({ "data": { "created_by_id": "alice", "members": members } });
        world.get_or_create_channel(&messaging_cid("c"), from_json(request), at(1))
    }

    pub(super) fn send_message(world: &mut World, id: &str) -> super::ApiResult {
        let request = json!({ "message": { "id": id, "text": "hello", "user_id": "alice" } });
        world.send_message(&messaging_cid("c"), from_json(request), at(2))
    }

    pub(super) fn event_types(events: &[Value]) -> Vec<String> {
        events.iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The status, code and message of an expected error.
    pub(super) fn expect_error<T: std::fmt::Debug>(
        outcome: Result<T, StreamError>,
    ) -> (u64, i64, String) {
        let body = outcome.expect_err("an error").body();
        (
            body["StatusCode"].as_u64().unwrap_or_default(),
            body["code"].as_i64().unwrap_or_default(),
            body["message"].as_str().unwrap_or_default().to_owned(),
        )
    }
}
