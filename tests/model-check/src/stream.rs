//! The model of Stream: channels and calls by id. Each request takes effect at one instant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use shared::ids::UserId;
use shared::stream::{RawResponse, Request, Transport, TransportError};

use crate::listing;
use crate::mutants::Mutant;
use crate::sim::{NoResponse, Sim, StepKind};
use crate::state::{ModelState, Participant, StreamCall};

/// The Stream of a run.
#[derive(Clone)]
pub(crate) struct ModelStream {
    pub(crate) sim: Sim,
    pub(crate) mutant: Option<Mutant>,
}

#[async_trait]
impl Transport for ModelStream {
    async fn send(&self, request: &Request, _: Duration) -> Result<RawResponse, TransportError> {
        let stream_request = StreamRequest::parse(request);
        let kind = if stream_request.is_read() { StepKind::Read } else { StepKind::Write };
        let mutant = self.mutant;
        let label = format!("{stream_request:?}");
        let effect = move |model: &mut ModelState| {
            if model.stream_down_until.is_some_and(|until| model.now < until) {
                return listing::failed();
            }
            stream_request.apply(model, mutant)
        };
        let response = self.sim.step(kind, || label, effect).await;
        let (status, body) = match response {
            Ok(response) => response,
            // Unrecoverable, so that the client does not retry. The retry policy has its own tests.
            Err(NoResponse::Rejected) => {
                (500, json!({"code": -1, "message": "rejected", "unrecoverable": true}))
            }
            Err(NoResponse::Unknown) => return Err(TransportError::NoResponse("lost".into())),
        };
        let body = body.to_string().into();
        Ok(RawResponse { status, retry_after: None, date: None, rate_limit: None, body })
    }
}

/// The status and the body of a response.
pub(crate) type Response = (u16, Value);

/// The minimum time between two rings of an open call.
const RING_INTERVAL: Duration = Duration::from_secs(15);

/// A request to Stream.
#[derive(Clone, Debug)]
enum StreamRequest {
    GetOrCreateChannel {
        id: String,
        created_by: String,
    },
    GetChannel(String),
    DeleteChannel(String),
    QueryChannels(Vec<String>),
    DeleteChannels(Vec<String>),
    GetOrCreateCall {
        id: String,
        created_by: String,
        ring: bool,
        max_duration_seconds: Option<u64>,
    },
    GetCall(String),
    UpdateCall {
        id: String,
        max_duration_seconds: Option<u64>,
    },
    RingCall(String),
    EndCall(String),
    QueryCalls(Vec<String>),
    QueryCallSessionStats {
        id: String,
        next: Option<String>,
    },
    QueryCallParticipantSessions {
        id: String,
        session: String,
        next: Option<String>,
    },
    Unknown(String),
}

impl StreamRequest {
    fn parse(request: &Request) -> Self {
        let path = request.path.strip_prefix("/api/v2/").unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let body: Value = request
            .body
            .as_deref()
            .and_then(|body| serde_json::from_slice(body).ok())
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ids = |value: &Value| -> Vec<String> {
            let cids = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            cids.filter_map(|cid| Some(cid.split_once(':')?.1.to_owned())).collect()
        };
        let created_by = text(&body["data"]["created_by_id"]);
        match (&request.method, &segments[..]) {
            (&Method::POST, ["chat", "channels", "messaging", id, "query"]) => {
                Self::GetOrCreateChannel { id: (*id).to_owned(), created_by }
            }
            (&Method::GET, ["chat", "channels", "messaging", id]) => {
                Self::GetChannel((*id).to_owned())
            }
            (&Method::DELETE, ["chat", "channels", "messaging", id]) => {
                Self::DeleteChannel((*id).to_owned())
            }
            (&Method::POST, ["chat", "channels"]) => {
                Self::QueryChannels(ids(&body["filter_conditions"]["cid"]["$in"]))
            }
            (&Method::POST, ["chat", "channels", "delete"]) => {
                Self::DeleteChannels(ids(&body["cids"]))
            }
            (&Method::POST, ["video", "call", "default", id]) => {
                let ring = body["ring"] == true;
                let limits = &body["data"]["settings_override"]["limits"];
                let max_duration_seconds = limits["max_duration_seconds"].as_u64();
                let id = (*id).to_owned();
                Self::GetOrCreateCall { id, created_by, ring, max_duration_seconds }
            }
            (&Method::GET, ["video", "call", "default", id]) => Self::GetCall((*id).to_owned()),
            (&Method::PATCH, ["video", "call", "default", id]) => {
                let limits = &body["settings_override"]["limits"];
                let max_duration_seconds = limits["max_duration_seconds"].as_u64();
                Self::UpdateCall { id: (*id).to_owned(), max_duration_seconds }
            }
            (&Method::POST, ["video", "call", "default", id, "ring"]) => {
                Self::RingCall((*id).to_owned())
            }
            (&Method::POST, ["video", "call", "default", id, "mark_ended"]) => {
                Self::EndCall((*id).to_owned())
            }
            (&Method::POST, ["video", "calls"]) => {
                Self::QueryCalls(ids(&body["filter_conditions"]["cid"]["$in"]))
            }
            (&Method::POST, ["video", "call_stats"]) => {
                let cid = text(&body["filter_conditions"]["call_cid"]);
                let id = cid.split_once(':').map(|(_, id)| id.to_owned()).unwrap_or_default();
                let next = body["next"].as_str().map(str::to_owned);
                Self::QueryCallSessionStats { id, next }
            }
            (
                &Method::GET,
                ["video", "call", "default", id, "session", session, "participant_sessions"],
            ) => {
                let next = request.query.iter().find(|(name, _)| *name == "next");
                Self::QueryCallParticipantSessions {
                    id: (*id).to_owned(),
                    session: (*session).to_owned(),
                    next: next.map(|(_, cursor)| cursor.clone()),
                }
            }
            _ => Self::Unknown(path.to_owned()),
        }
    }

    fn is_read(&self) -> bool {
        matches!(
            self,
            Self::GetChannel(_)
                | Self::QueryChannels(_)
                | Self::GetCall(_)
                | Self::QueryCalls(_)
                | Self::QueryCallSessionStats { .. }
                | Self::QueryCallParticipantSessions { .. }
        )
    }

    fn apply(&self, model: &mut ModelState, mutant: Option<Mutant>) -> Response {
        match self {
            Self::GetOrCreateChannel { id, created_by } => {
                let has_random_id = mutant == Some(Mutant::RandomChannelId);
                let id = if has_random_id {
                    format!("{id}-{}", model.stream_channels.len())
                } else {
                    id.clone()
                };
                let creator =
                    model.stream_channels.entry(id.clone()).or_insert_with(|| created_by.clone());
                (201, channel_json(&id, creator))
            }
            Self::GetChannel(id) => match model.stream_channels.get(id) {
                Some(creator) => (200, channel_json(id, creator)),
                None => not_found(),
            },
            Self::DeleteChannel(id) => match model.stream_channels.remove(id) {
                Some(_) => done(),
                None => not_found(),
            },
            Self::QueryChannels(ids) => {
                let channels = ids
                    .iter()
                    .filter_map(|id| Some(channel_json(id, model.stream_channels.get(id)?)));
                (201, json!({"channels": channels.collect::<Vec<_>>()}))
            }
            Self::DeleteChannels(ids) => {
                if ids.iter().any(|id| !model.stream_channels.contains_key(id)) {
                    return not_found();
                }
                model.stream_channels.retain(|id, _| !ids.contains(id));
                let result: serde_json::Map<_, _> = ids
                    .iter()
                    .map(|id| (format!("messaging:{id}"), json!({"status": "ok"})))
                    .collect();
                (201, json!({"result": result}))
            }
            Self::GetOrCreateCall { id, created_by, ring, max_duration_seconds } => {
                let live = model.stream_calls.entry(id.clone());
                let live = live.or_insert_with(|| new_call(created_by, *max_duration_seconds));
                live.has_rung |= *ring && mutant != Some(Mutant::CreateDoesNotRing);
                (201, call_json(id, live))
            }
            Self::RingCall(id) => ring_call(id, model, mutant),
            Self::GetCall(id) => get_call(id, model, mutant),
            Self::UpdateCall { id, max_duration_seconds } => match model.stream_calls.get_mut(id) {
                Some(live) => {
                    if mutant != Some(Mutant::StreamLimitUnchanged) {
                        live.max_duration_seconds = *max_duration_seconds;
                    }
                    (200, call_json(id, live))
                }
                None => not_found(),
            },
            Self::EndCall(id) => {
                let now = model.stream_now();
                let marks_ended = mutant != Some(Mutant::StreamCallNotEnded);
                match model.stream_calls.get_mut(id) {
                    Some(live) if marks_ended => {
                        live.end(now);
                        done()
                    }
                    Some(_) => done(),
                    None => not_found(),
                }
            }
            Self::QueryCalls(ids) => {
                let is_stale = model.is_list_stale;
                let listed = |id: &String| {
                    let mut live = model.stream_calls.get(id)?.clone();
                    if is_stale && live.listed_session.is_some() {
                        live.session.clone_from(&live.listed_session);
                    }
                    Some(call_json(id, &live))
                };
                let calls = ids.iter().filter_map(listed);
                (201, json!({"calls": calls.collect::<Vec<_>>()}))
            }
            Self::QueryCallSessionStats { id, next } => {
                listing::query_sessions(id, next.as_deref(), model)
            }
            Self::QueryCallParticipantSessions { .. }
                if mutant == Some(Mutant::ParticipantsNotListed) =>
            {
                (200, json!({"participants_sessions": []}))
            }
            Self::QueryCallParticipantSessions { id, session, next } => {
                listing::query_rows(id, session, next.as_deref(), model)
            }
            Self::Unknown(path) => {
                model.record_violation(|| format!("the model of Stream has no path {path}"));
                not_found()
            }
        }
    }
}

/// A call without a session.
fn new_call(created_by: &str, max_duration_seconds: Option<u64>) -> StreamCall {
    StreamCall {
        created_by: created_by.to_owned(),
        ended_at: None,
        earlier_sessions: Vec::new(),
        session: None,
        max_duration_seconds,
        has_rung: false,
        last_ring_call_at: None,
        rejecting_users: BTreeSet::new(),
        departures: 0,
        listed_session: None,
        stays: Vec::new(),
        unreported: 0,
        silent_since: None,
    }
}

/// Rings an open call. A second ring within the interval is a violation, unless a request is late.
fn ring_call(id: &str, model: &mut ModelState, mutant: Option<Mutant>) -> Response {
    let (now, is_late) = (model.now, model.history.has_delayed_effect);
    let Some(live) = model.stream_calls.get_mut(id) else { return not_found() };
    live.has_rung |= mutant != Some(Mutant::RingCallDoesNotRing);
    let previous = live.last_ring_call_at.replace(now);
    if !is_late && previous.is_some_and(|at| now.since(at) < RING_INTERVAL) {
        model.record_violation(|| format!("{id} rings twice within 15 seconds"));
    }
    done()
}

fn get_call(id: &str, model: &ModelState, mutant: Option<Mutant>) -> Response {
    let Some(live) = model.stream_calls.get(id) else { return not_found() };
    if mutant == Some(Mutant::RejectsByCreator) {
        return (200, call_json(id, &with_rejects_by_creator(live.clone())));
    }
    (200, call_json(id, live))
}

/// Names the creator as the user of each reject.
fn with_rejects_by_creator(mut live: StreamCall) -> StreamCall {
    let creator = UserId::try_from(live.created_by.clone()).ok();
    if let Some(session) = &mut live.session {
        let first = session.rejected_by.values().min().copied();
        session.rejected_by = creator.zip(first).into_iter().collect();
    }
    live
}

fn done() -> Response {
    (200, json!({"duration": "1.00ms"}))
}

/// The response for an object that does not exist.
pub(crate) fn not_found() -> Response {
    (404, json!({"code": 16, "message": "not found"}))
}

fn channel_json(id: &str, creator: &str) -> Value {
    json!({"channel": {
        "id": id,
        "created_by": {"id": creator},
        "custom": {"call_id": id.strip_prefix("call-")},
    }})
}

fn call_json(id: &str, live: &StreamCall) -> Value {
    let format_time = |time: Option<shared::clock::Timestamp>| time.map(|time| time.to_string());
    let participant = |participant: &Participant| {
        json!({
            "user": {"id": participant.user},
            "user_session_id": participant.device.session_of(&participant.user),
            "joined_at": participant.joined_at.to_string(),
        })
    };
    let session = live.session.as_ref().map(|session| {
        let participants: Vec<_> = session.participants.iter().map(participant).collect();
        let rejected_by: BTreeMap<_, _> =
            session.rejected_by.iter().map(|(user, at)| (user.as_str(), at.to_string())).collect();
        json!({
            "id": listing::session_id(live.session_number()),
            "started_at": format_time(session.started_at),
            "ended_at": format_time(session.ended_at),
            "participants": participants,
            "rejected_by": rejected_by,
        })
    });
    json!({"call": {
        "id": id,
        "type": "default",
        "created_by": {"id": live.created_by},
        "ended_at": format_time(live.ended_at),
        "session": session,
    }})
}
