//! One call: its state and its responses.

use std::collections::BTreeSet;
use std::mem;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cid::Cid;
use super::rings::Ring;
use super::session::Session;
use super::{CustomFields, World, merge, strip_nulls};
use crate::timestamp::Timestamp;
use crate::views::CallView;

/// The role of a member for whom a request names none. A guess: the documentation names no default,
/// and `call_member` has been seen too.
pub(super) const DEFAULT_MEMBER_ROLE: &str = "user";

#[derive(Debug, Serialize)]
pub(super) struct Call {
    pub(super) cid: Cid,
    pub(super) created_by: String,
    pub(super) members: Vec<CallMember>,
    pub(super) custom: CustomFields,
    pub(super) channel_cid: Option<String>,
    pub(super) team: Option<String>,
    pub(super) starts_at: Option<Timestamp>,
    pub(super) settings: Value,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) is_recording: bool,
    /// The number of requests with `ring: true`.
    pub(super) rings: u64,
    pub(super) rung: Vec<Ring>,
    pub(super) notifications: u64,
    pub(super) sessions: Vec<Session>,
    /// The users who may not join.
    pub(super) blocked_users: BTreeSet<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct CallMember {
    user_id: String,
    role: String,
    custom: CustomFields,
    created_at: Timestamp,
}

/// A member in a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallMemberRequest {
    pub(super) user_id: String,
    pub(super) role: Option<String>,
    custom: Option<CustomFields>,
}

impl CallMemberRequest {
    pub(super) fn into_member(self, now: Timestamp) -> CallMember {
        CallMember {
            user_id: self.user_id,
            role: self.role.unwrap_or_else(|| DEFAULT_MEMBER_ROLE.to_owned()),
            custom: self.custom.unwrap_or_default(),
            created_at: now,
        }
    }
}

impl CallMember {
    fn response(&self, world: &World) -> Value {
        json!({
            "user_id": self.user_id,
            "user": world.user_response(&self.user_id),
            "role": self.role,
            "custom": self.custom,
            "created_at": self.created_at,
            "updated_at": self.created_at,
        })
    }
}

impl Call {
    /// The response of most call operations: the call with at most `limit` members.
    pub(super) fn response_with_members(&self, world: &World, limit: usize) -> Value {
        json!({
            "call": self.response(world),
            "members": self.members_response(world, limit),
            "own_capabilities": ["end-call", "join-call", "join-ended-call", "update-call"],
        })
    }

    pub(super) fn members_response(&self, world: &World, limit: usize) -> Vec<Value> {
        self.members.iter().take(limit).map(|member| member.response(world)).collect()
    }

    /// A user of the call, who need not be a member.
    pub(super) fn member_response(&self, user_id: &str, world: &World) -> Value {
        self.member(user_id).map_or_else(
            || json!({ "user_id": user_id, "user": world.user_response(user_id) }),
            |member| member.response(world),
        )
    }

    pub(super) fn member_ids(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.user_id.as_str())
    }

    /// The role of a member, or `None` for a non-member.
    pub(super) fn member_role(&self, user_id: &str) -> Option<&str> {
        self.member(user_id).map(|member| member.role.as_str())
    }

    pub(super) fn response(&self, world: &World) -> Value {
        let mut call = strip_nulls(json!({
            "cid": self.cid,
            "type": self.cid.kind,
            "id": self.cid.id,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "starts_at": self.starts_at,
            "ended_at": self.ended_at,
            "created_by": world.user_response(&self.created_by),
            "current_session_id": self.current_session().map_or("", |session| session.id.as_str()),
            "channel_cid": self.channel_cid,
            "team": self.team,
            "custom": self.custom,
            "settings": self.settings,
            "backstage": false,
            "captioning": false,
            "recording": self.is_recording,
            "transcribing": false,
            "translating": false,
            "blocked_user_ids": self.blocked_users,
            "egress": { "broadcasting": false, "rtmps": [] },
            "ingress": {
                "rtmp": { "address": "rtmps://ingress.invalid:443/emulated" },
                "srt": { "address": "srt://ingress.invalid?streamid=emulated" },
                "whip": { "address": "https://ingress.invalid/whip/emulated" },
            },
        }));
        // Without a session the member is null, not absent.
        call["session"] = self.sessions.last().map_or(Value::Null, |session| {
            let timer = strip_nulls(json!({ "timer_ends_at": self.timer_ends_at(session) }));
            merge(session.response(world), timer)
        });
        call
    }

    /// The fields that filters can use.
    pub(super) fn filter_fields(&self, world: &World) -> Value {
        let mut call = self.response(world);
        call["members"] = json!(self.member_ids().collect::<Vec<_>>());
        call["created_by_user_id"] = json!(self.created_by);
        let current = self.current_session();
        call["ongoing"] = json!(current.is_some_and(|session| session.started_at.is_some()));
        call
    }

    pub(super) fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    pub(super) fn is_one_to_one_with(&self, user_id: &str) -> bool {
        self.members.len() == 2 && self.members.iter().any(|member| member.user_id == user_id)
    }

    /// Adds a member, or changes an existing one. Returns whether the member is new.
    pub(super) fn put_member(&mut self, request: CallMemberRequest, now: Timestamp) -> bool {
        let has_id = |member: &&mut CallMember| member.user_id == request.user_id;
        let Some(member) = self.members.iter_mut().find(has_id) else {
            self.members.push(request.into_member(now));
            return true;
        };
        if let Some(role) = request.role {
            member.role = role;
        }
        if let Some(custom) = request.custom {
            member.custom = custom;
        }
        false
    }

    /// Removes members. Returns the ids of those who were members.
    pub(super) fn remove_members(&mut self, ids: &[String]) -> Vec<String> {
        let (removed, kept): (Vec<CallMember>, Vec<CallMember>) =
            mem::take(&mut self.members).into_iter().partition(|it| ids.contains(&it.user_id));
        self.members = kept;
        if let Some(session) = self.current_session_mut() {
            session.ringing.retain(|user_id, _| !ids.contains(user_id));
        }
        removed.into_iter().map(|member| member.user_id).collect()
    }

    pub(super) fn view(&self) -> CallView {
        let session = self.sessions.last();
        let member_roles =
            self.members.iter().map(|member| (member.user_id.clone(), member.role.clone()));
        CallView {
            cid: self.cid.to_string(),
            created_by: self.created_by.clone(),
            members: self.member_ids().map(str::to_owned).collect(),
            member_roles: member_roles.collect(),
            custom: self.custom.clone(),
            channel_cid: self.channel_cid.clone(),
            created_at: self.created_at.as_nanos(),
            ended_at: self.ended_at.map(Timestamp::as_nanos),
            recording: self.is_recording,
            rings: self.rings,
            notifications: self.notifications,
            max_duration_seconds: self.settings["limits"]["max_duration_seconds"].as_u64(),
            inactivity_timeout_seconds: self.settings["session"]["inactivity_timeout_seconds"]
                .as_u64(),
            session_id: session.map(|session| session.id.clone()),
            session_started_at: session
                .and_then(|session| session.started_at)
                .map(Timestamp::as_nanos),
            session_ended_at: session.and_then(|session| session.ended_at).map(Timestamp::as_nanos),
            present: session.map(Session::present_users).unwrap_or_default(),
        }
    }

    fn member(&self, user_id: &str) -> Option<&CallMember> {
        self.members.iter().find(|member| member.user_id == user_id)
    }
}
