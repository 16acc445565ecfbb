//! Compares the optionality of the fields that are read with Stream's models.
//!
//! `stream_models.json` has the models. A complete response is built from them. Each of
//! its fields is replaced by a value of another type, which shows whether the field is read. A field
//! that is read is then left out, and set to `null`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Deserialize;
use serde_json::{Value, json};
use tracing::span;

use crate::clock::Timestamp;
use crate::ids::{CallCid, MessageId, SessionId, UserId};
use crate::quality::ReportStats;
use crate::stream::Operation;
use crate::stream::event::{CallEvent, Event, EventKind, HANDLED_EVENTS};
use crate::stream::ops::{
    CallFilter, ChannelFilter, DeleteChannel, DeleteChannels, DeleteDevice, DeleteUser, EndCall,
    GetApp, GetCall, GetCallReport, GetChannel, GetMessage, GetOrCreateCall, GetOrCreateChannel,
    GetRateLimits, GetTask, ListDevices, ListMessages, ListParticipantStats,
    QueryCallParticipantSessions, QueryCallSessionStats, QueryCalls, QueryChannels, QueryUsers,
    ReactivateUser, RemoveCallMember, RemoveChannelMember, RevokeTokens, RingCall, SendMessage,
    SettingsOverride, UpdateCall, UpdateEventHooks, UpsertUsers, UserData,
};

/// The fields that are optional in Stream's models, or an empty collection, and required here: they
/// show that a write was done.
const REQUIRED_HERE: [(&str, &str); 2] =
    [("ChannelStateResponse", "channel"), ("UpdateUsersResponse", "users")];

/// The fields that are required in Stream's models, and optional here. A response without one of
/// them still has a safe meaning.
const OPTIONAL_HERE: [(&str, &str); 49] = [
    // Stream deletes the creator of a call, and the author of a message.
    ("CallResponse", "created_by"),
    ("MessageResponse", "user"),
    ("MessageWithChannelResponse", "user"),
    // A call or channel of unknown age is not deleted.
    ("CallResponse", "created_at"),
    ("ChannelResponse", "created_at"),
    // The settings are compared with the requested ones if the response has them.
    ("CallResponse", "settings"),
    // A channel without an owner tag does not belong to this service.
    ("ChannelResponse", "custom"),
    // No member has answered.
    ("CallSessionResponse", "accepted_by"),
    ("CallSessionResponse", "missed_by"),
    ("CallSessionResponse", "rejected_by"),
    // The profile, without the field.
    ("FullUserResponse", "custom"),
    ("FullUserResponse", "language"),
    ("FullUserResponse", "role"),
    ("UserResponse", "custom"),
    ("UserResponse", "language"),
    ("UserResponse", "role"),
    // The message, without the part.
    ("MessageResponse", "attachments"),
    ("MessageResponse", "text"),
    ("MessageResponse", "updated_at"),
    ("MessageWithChannelResponse", "attachments"),
    ("MessageWithChannelResponse", "text"),
    ("MessageWithChannelResponse", "updated_at"),
    // Without hooks, the webhook check fails.
    ("AppResponseFields", "event_hooks"),
    // Quality data is shown as far as it exists.
    ("CallReportResponse", "score"),
    ("CallStatsParticipant", "sessions"),
    ("GetCallReportResponse", "session_id"),
    ("ReportResponse", "user_ratings"),
    ("UserRatingReportResponse", "average"),
    // A session without an id is found by the list of sessions.
    ("CallSessionResponse", "id"),
    ("CallMissedEvent", "session_id"),
    ("CallSessionEndedEvent", "session_id"),
    ("CallSessionParticipantJoinedEvent", "session_id"),
    ("CallSessionParticipantLeftEvent", "session_id"),
    ("CallSessionStartedEvent", "session_id"),
    // The request filters by the call. The last page has no cursor, so the total is not needed.
    ("CallStatsSessionResponse", "call_id"),
    ("CallStatsSessionResponse", "call_type"),
    ("QueryCallParticipantSessionsResponse", "total_participant_sessions"),
    // The times in the parts are more precise than the time of the event, which is used without them.
    ("CallDeletedEvent", "call"),
    ("CallEndedEvent", "call"),
    ("CallMissedEvent", "call"),
    ("CallSessionEndedEvent", "call"),
    ("CallSessionStartedEvent", "call"),
    // An unknown participant only causes a check of the call.
    ("CallParticipantResponse", "joined_at"),
    ("CallParticipantResponse", "user"),
    ("CallParticipantResponse", "user_session_id"),
    ("CallSessionParticipantJoinedEvent", "participant"),
    ("CallSessionParticipantLeftEvent", "duration_seconds"),
    ("CallSessionParticipantLeftEvent", "participant"),
    // The cid is in the event, too.
    ("ChannelDeletedEvent", "channel"),
];

/// The events that the models do not have.
const EVENTS_WITHOUT_MODEL: [&str; 4] =
    ["call.rejected", "user.reactivated", "user.banned", "user.unbanned"];

#[test]
fn fields_are_as_optional_as_in_streams_models() {
    let mut walk = Walk::default();
    walk_operations(&mut walk);
    walk_events(&mut walk);
    assert_eq!(walk.required_here, fields(&REQUIRED_HERE), "stricter than Stream's models");
    assert_eq!(walk.optional_here, fields(&OPTIONAL_HERE), "required in Stream's models");
}

fn fields(fields: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    fields.iter().map(|(model, field)| ((*model).to_owned(), (*field).to_owned())).collect()
}

fn walk_operations(walk: &mut Walk) {
    let cid = CallCid::try_from("default:c1").unwrap();
    let call = [cid.id.clone()];
    let channel = cid.id.channel();
    let user = UserId::try_from("alice".to_owned()).unwrap();
    let users = [user.clone()];
    let message = MessageId::try_from("m1".to_owned()).unwrap();
    let at = Timestamp::from_secs(0);
    walk.operation("GetApplicationResponse", &GetApp);
    walk.operation("Response", &UpdateEventHooks { hooks: &[] });
    walk.operation("GetRateLimitsResponse", &GetRateLimits);
    walk.operation("GetTaskResponse", &GetTask { id: "t1" });
    walk.operation("QueryUsersResponse", &QueryUsers { ids: &users });
    let data = [(&user, UserData::without_profile())];
    walk.operation("UpdateUsersResponse", &UpsertUsers { users: &data });
    walk.operation("UpdateUsersResponse", &RevokeTokens { user: &user, before: at });
    let deactivated = [("/user", "deactivated_at")];
    let reactivate = ReactivateUser { id: &user };
    walk.operation_without(&deactivated, "ReactivateUserResponse", &reactivate);
    walk.operation("DeleteUsersResponse", &DeleteUser { id: &user });
    walk.operation("ListDevicesResponse", &ListDevices { user: &user });
    walk.operation("Response", &DeleteDevice { user: &user, id: "d1" });
    let create = GetOrCreateChannel { id: &channel, created_by: &user, members: &users };
    walk.operation("ChannelStateResponse", &create);
    walk.operation("ChannelStateResponse", &GetChannel { id: &channel });
    let list = ListMessages { channel: &channel, limit: 1, before: None };
    walk.operation("ChannelStateResponse", &list);
    let filter = ChannelFilter::ForCalls(&call);
    walk.operation("QueryChannelsResponse", &QueryChannels { filter });
    // The sample has Alice as a member.
    let bob = UserId::try_from("bob".to_owned()).unwrap();
    let remove = RemoveChannelMember { id: &channel, user: &bob };
    walk.operation("UpdateChannelResponse", &remove);
    walk.operation("UpdateCallMembersResponse", &RemoveCallMember { cid: &cid, user: &bob });
    walk.operation("DeleteChannelResponse", &DeleteChannel { id: &channel });
    walk.operation("DeleteChannelsResponse", &DeleteChannels { calls: &call });
    let send = SendMessage { channel: &channel, id: &message, user: &user, text: "Hi" };
    walk.operation("SendMessageResponse", &send);
    walk.operation("GetMessageResponse", &GetMessage { id: &message });
    walk.operation("GetCallResponse", &GetCall { cid: &cid });
    let filter = CallFilter::Cids(std::slice::from_ref(&cid));
    walk.operation("QueryCallsResponse", &QueryCalls { filter, next: None });
    let create = GetOrCreateCall {
        cid: &cid,
        created_by: &user,
        members: &users,
        settings: SettingsOverride::default(),
        ring: false,
        custom: None,
        max_duration: std::time::Duration::ZERO,
        inactivity_timeout: std::time::Duration::ZERO,
    };
    walk.operation("GetOrCreateCallResponse", &create);
    let update = UpdateCall {
        cid: &cid,
        settings: SettingsOverride::default(),
        // The value of an integer in a sample.
        max_duration: std::time::Duration::from_secs(1),
        inactivity_timeout: std::time::Duration::ZERO,
    };
    walk.operation("UpdateCallResponse", &update);
    walk.operation("EndCallResponse", &EndCall { cid: &cid });
    let ring = RingCall { cid: &cid, members: &users, video: true };
    walk.operation("RingCallResponse", &ring);
    walk.operation("GetCallReportResponse", &GetCallReport { call: &cid });
    let stats = ListParticipantStats { call: &cid, session: "s1" };
    walk.operation("QueryCallSessionParticipantStatsResponse", &stats);
    let session = SessionId::try_from("s1".to_owned()).unwrap();
    let sessions = QueryCallParticipantSessions { cid: &cid, session: &session, next: None };
    walk.operation("QueryCallParticipantSessionsResponse", &sessions);
    let stats = QueryCallSessionStats { cid: &cid, next: None };
    walk.operation("QueryCallSessionStatsResponse", &stats);
}

fn walk_events(walk: &mut Walk) {
    for event_type in HANDLED_EVENTS {
        if EVENTS_WITHOUT_MODEL.contains(&event_type) {
            continue;
        }
        let name: String = event_type.split(['.', '_']).map(capitalized).collect();
        walk.event(&format!("{name}Event"), event_type);
    }
}

fn capitalized(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// The fields of each model, with their Go types. A type that begins with `*` is optional.
#[derive(Deserialize)]
struct Models {
    types: BTreeMap<String, BTreeMap<String, String>>,
}

struct Walk {
    models: Models,
    /// The optional fields that are required here.
    required_here: BTreeSet<(String, String)>,
    /// The required fields that are optional here.
    optional_here: BTreeSet<(String, String)>,
}

impl Default for Walk {
    fn default() -> Self {
        let models = include_str!("stream_models.json");
        let models = serde_json::from_str(models).unwrap();
        Self { models, required_here: BTreeSet::new(), optional_here: BTreeSet::new() }
    }
}

/// Reads a body. `None` if it is rejected, or a part of it is skipped.
type Read<'a> = &'a dyn Fn(&Value) -> Option<String>;

impl Walk {
    fn operation<O: Operation<Response: Debug>>(&mut self, model: &str, operation: &O) {
        self.operation_without(&[], model, operation);
    }

    /// Leaves these fields of the response out.
    fn operation_without<O: Operation<Response: Debug>>(
        &mut self,
        fields: &[(&str, &str)],
        model: &str,
        operation: &O,
    ) {
        let complete = self.sample(model, "", "", &mut Vec::new());
        let body = fields
            .iter()
            .fold(complete, |body, (pointer, field)| with(&body, pointer, field, None));
        self.body(model, &body, &|body| {
            read_all(|| {
                let response = serde_json::from_str(&body.to_string()).ok()?;
                operation.is_answered_by(&response).then(|| format!("{response:?}"))
            })
        });
    }

    fn event(&mut self, model: &str, event_type: &str) {
        let mut body = self.sample(model, "", "", &mut Vec::new());
        body["type"] = json!(event_type);
        self.body(model, &body, &|body| {
            read_all(|| match Event::parse(body.to_string().as_bytes()).ok()?.kind {
                EventKind::Other => None,
                EventKind::Call(_, CallEvent::StatsReport(report)) => {
                    let stats: ReportStats = serde_json::from_str(&report.stats_json?).ok()?;
                    Some(format!("{:?} {stats:?}", report.session))
                }
                kind => Some(format!("{kind:?}")),
            })
        });
    }

    fn body(&mut self, model: &str, body: &Value, read: Read<'_>) {
        assert!(read(body).is_some(), "{model}: the complete body is rejected");
        let fields_read = self.fields(model, body, "", read);
        assert!(fields_read > 0, "{model}: no field is read");
    }

    /// Checks the fields of the object at this pointer. Returns the number of fields that are read.
    fn fields(&mut self, model: &str, body: &Value, pointer: &str, read: Read<'_>) -> usize {
        let mut fields_read = 0;
        for (field, go_type) in self.models.types[model].clone() {
            let required_type = go_type.trim_start_matches('*');
            let is_optional = required_type.len() < go_type.len();
            let is_collection = required_type.starts_with('[') || required_type.starts_with("map");
            let path = format!("{pointer}/{field}");
            let Some(value) = body.pointer(&path) else { continue };
            let other = if value.is_string() { json!([1]) } else { json!("unexpected") };
            if read(&with(body, pointer, &field, Some(other))) == read(body) {
                continue;
            }
            fields_read += 1;
            let accepts = |value| read(&with(body, pointer, &field, value)).is_some();
            let (accepts_absent, accepts_null) = (accepts(None), accepts(Some(Value::Null)));
            let finding = (model.to_owned(), field.clone());
            // Go writes an empty list or map as `null`, too.
            if (is_optional || is_collection) && !accepts_null || is_optional && !accepts_absent {
                self.required_here.insert(finding);
            } else if !is_optional && accepts_absent {
                self.optional_here.insert(finding);
            }
            let element = match value {
                Value::Array(_) => format!("{path}/0"),
                Value::Object(map) if is_collection => {
                    let key = map.keys().next().unwrap();
                    format!("{path}/{}", key.replace('/', "~1"))
                }
                _ => path,
            };
            let element_type = element_type(&go_type);
            if self.models.types.contains_key(element_type)
                && body.pointer(&element).is_some_and(|value| value != &json!({}))
            {
                fields_read += self.fields(element_type, body, &element, read);
            }
        }
        fields_read
    }

    /// A value of this type. A model within itself, and a model that is not read, are empty.
    fn sample(&self, go_type: &str, model: &str, field: &str, path: &mut Vec<String>) -> Value {
        if let Some(inner) = go_type.strip_prefix('*') {
            return self.sample(inner, model, field, path);
        }
        if let Some(inner) = go_type.strip_prefix("[]") {
            return json!([self.sample(inner, model, field, path)]);
        }
        if let Some(inner) = go_type.strip_prefix("map[string]") {
            let key = match inner {
                "FullUserResponse" => "alice",
                "*DeleteChannelsResultResponse" => "messaging:call-c1",
                _ => "call_id",
            };
            return json!({key: self.sample(inner, model, field, path)});
        }
        match go_type {
            "string" => json!(text(model, field)),
            "bool" => json!(false),
            "int" => json!(1),
            "float64" => json!(1.5),
            "Timestamp" => json!(1_767_225_600_000_000_000_i64),
            "any" => json!("any"),
            _ => {
                let Some(fields) = self.models.types.get(go_type) else { return json!({}) };
                if path.iter().any(|outer| outer == go_type) {
                    return json!({});
                }
                path.push(go_type.to_owned());
                let object = fields
                    .iter()
                    .map(|(field, inner)| (field.clone(), self.sample(inner, go_type, field, path)))
                    .collect();
                path.pop();
                Value::Object(object)
            }
        }
    }
}

/// The model inside of pointers, lists and maps.
fn element_type(go_type: &str) -> &str {
    let mut inner = go_type;
    for prefix in ["*", "[]", "map[string]", "*"] {
        inner = inner.strip_prefix(prefix).unwrap_or(inner);
    }
    inner
}

/// A text that the field can have.
fn text(model: &str, field: &str) -> &'static str {
    match field {
        "call_cid" => "default:c1",
        "user_id" => "alice",
        "channel_id" => "call-c1",
        "channel_type" => "messaging",
        "cid" if model.starts_with("Call") => "default:c1",
        "cid" => "messaging:call-c1",
        "id" if model.contains("User") => "alice",
        "id" if model.contains("Message") => "m1",
        "id" if model.contains("Channel") => "call-c1",
        "id" => "c1",
        "type" if model.starts_with("Call") => "default",
        _ => "text",
    }
}

/// The body, with another value or none for a field of the object at this pointer.
fn with(body: &Value, pointer: &str, field: &str, value: Option<Value>) -> Value {
    let mut body = body.clone();
    let object = body.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(field.to_owned(), value),
        None => object.remove(field),
    };
    body
}

thread_local! {
    static LOGGED: Cell<usize> = const { Cell::new(0) };
}

/// Counts the log messages of a thread.
struct Counter;

impl tracing::Subscriber for Counter {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        LOGGED.set(LOGGED.get() + 1);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The result, or `None` if a part was skipped, which is logged.
fn read_all(read: impl FnOnce() -> Option<String>) -> Option<String> {
    LOGGED.set(0);
    let result = tracing::subscriber::with_default(Counter, read);
    result.filter(|_| LOGGED.get() == 0)
}
