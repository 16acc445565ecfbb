//! Stream, as far as the life of a call goes: channels and calls by their ids, each request at one
//! instant.

use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use shared::stream::{Lost, RawAnswer, Request, Transport};

use crate::mutants::Mutant;
use crate::sim::{Kind, NoAnswer, Sim};
use crate::world::{LiveCall, World};

/// Stream of a run.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) sim: Sim,
    pub(crate) mutant: Option<Mutant>,
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: &Request, _: Duration) -> Result<RawAnswer, Lost> {
        let asked = Asked::of(request);
        let kind = if asked.reads() { Kind::Read } else { Kind::Write };
        let mutant = self.mutant;
        let label = format!("{asked:?}");
        let answer = self.sim.step(kind, || label, move |world| asked.serve(world, mutant)).await;
        let (status, body) = match answer {
            Ok(answer) => answer,
            // Given up at once: that a refusal is overcome is the retry policy's own test.
            Err(NoAnswer::Refused) => {
                (500, json!({"code": -1, "message": "refused", "unrecoverable": true}))
            }
            Err(NoAnswer::Unknown) => return Err(Lost::NoAnswer("lost".into())),
        };
        let body = body.to_string().into();
        Ok(RawAnswer { status, retry_after: None, date: None, rate_limit: None, body })
    }
}

type Answer = (u16, Value);

/// What is asked of Stream.
#[derive(Clone, Debug)]
enum Asked {
    MakeChannel { id: String, by: String },
    GetChannel(String),
    DeleteChannel(String),
    QueryChannels(Vec<String>),
    DeleteChannels(Vec<String>),
    MakeCall { id: String, by: String },
    GetCall(String),
    EndCall(String),
    QueryCalls(Vec<String>),
    Unknown(String),
}

impl Asked {
    fn of(request: &Request) -> Self {
        let path = request.path.strip_prefix("/api/v2/").unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let body: Value = request
            .body
            .as_deref()
            .and_then(|it| serde_json::from_slice(it).ok())
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ids = |value: &Value| -> Vec<String> {
            let cids = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            cids.filter_map(|cid| Some(cid.split_once(':')?.1.to_owned())).collect()
        };
        let by = text(&body["data"]["created_by_id"]);
        match (&request.method, &segments[..]) {
            (&Method::POST, ["chat", "channels", "messaging", id, "query"]) => {
                Self::MakeChannel { id: (*id).to_owned(), by }
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
                Self::MakeCall { id: (*id).to_owned(), by }
            }
            (&Method::GET, ["video", "call", "default", id]) => Self::GetCall((*id).to_owned()),
            (&Method::POST, ["video", "call", "default", id, "mark_ended"]) => {
                Self::EndCall((*id).to_owned())
            }
            (&Method::POST, ["video", "calls"]) => {
                Self::QueryCalls(ids(&body["filter_conditions"]["cid"]["$in"]))
            }
            _ => Self::Unknown(path.to_owned()),
        }
    }

    fn reads(&self) -> bool {
        matches!(
            self,
            Self::GetChannel(_) | Self::QueryChannels(_) | Self::GetCall(_) | Self::QueryCalls(_)
        )
    }

    fn serve(&self, world: &mut World, mutant: Option<Mutant>) -> Answer {
        match self {
            Self::MakeChannel { id, by } => {
                let made_up = mutant == Some(Mutant::RandomChannelId);
                let id =
                    if made_up { format!("{id}-{}", world.channels.len()) } else { id.clone() };
                let creator = world.channels.entry(id.clone()).or_insert_with(|| by.clone());
                (201, channel(&id, creator))
            }
            Self::GetChannel(id) => match world.channels.get(id) {
                Some(creator) => (200, channel(id, creator)),
                None => missing(),
            },
            Self::DeleteChannel(id) => match world.channels.remove(id) {
                Some(_) => (200, json!({})),
                None => missing(),
            },
            Self::QueryChannels(ids) => {
                let found = ids.iter().filter_map(|id| Some(channel(id, world.channels.get(id)?)));
                (201, json!({"channels": found.collect::<Vec<_>>()}))
            }
            Self::DeleteChannels(ids) => {
                if ids.iter().any(|id| !world.channels.contains_key(id)) {
                    return missing();
                }
                world.channels.retain(|id, _| !ids.contains(id));
                (201, json!({"result": {}}))
            }
            Self::MakeCall { id, by } => {
                let made = LiveCall { created_by: by.clone(), ended_at: None, session: None };
                let live = world.calls.entry(id.clone()).or_insert(made);
                (201, call(id, live))
            }
            Self::GetCall(id) => match world.calls.get(id) {
                Some(live) => (200, call(id, live)),
                None => missing(),
            },
            Self::EndCall(id) => {
                let now = world.now;
                let ends = mutant != Some(Mutant::CallNotMarkedEnded);
                match world.calls.get_mut(id) {
                    Some(live) if ends => {
                        live.ended_at.get_or_insert(now);
                        if let Some(session) = &mut live.session {
                            session.ended_at.get_or_insert(now);
                        }
                        (201, json!({}))
                    }
                    Some(_) => (201, json!({})),
                    None => missing(),
                }
            }
            Self::QueryCalls(ids) => {
                let found = ids.iter().filter_map(|id| Some(call(id, world.calls.get(id)?)));
                (201, json!({"calls": found.collect::<Vec<_>>()}))
            }
            Self::Unknown(path) => {
                world.accuse(|| format!("Stream is asked for {path}, which it does not know"));
                missing()
            }
        }
    }
}

fn missing() -> Answer {
    (404, json!({"code": 16, "message": "there is no such thing"}))
}

fn channel(id: &str, creator: &str) -> Value {
    json!({"channel": {
        "id": id,
        "created_by": {"id": creator},
        "custom": {"call_id": id.strip_prefix("call-")},
    }})
}

fn call(id: &str, live: &LiveCall) -> Value {
    let time = |time: Option<shared::clock::Timestamp>| time.map(|time| time.to_string());
    let session = live.session.as_ref().map(|session| {
        json!({
            "started_at": time(Some(session.started_at)),
            "ended_at": time(session.ended_at),
            "participants": [],
        })
    });
    json!({"call": {
        "id": id,
        "created_by": {"id": live.created_by},
        "ended_at": time(live.ended_at),
        "session": session,
    }})
}
