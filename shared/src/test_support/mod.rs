//! Doubles and fixtures for tests, and the check of what is read against Stream's models.

pub(crate) mod aws;
pub(crate) mod jwks;
pub(crate) mod quality;
pub(crate) mod samples;
mod stream_models;

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use crate::calls::{Call, CallState, CallType, NewCall};
use crate::clock::{Clock, Timestamp};
use crate::ids::{CallId, CallTypeName, UserId};
use crate::sync::lock;

/// The start of every [`FakeClock`]: 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A clock that advances when a test advances it or when the tested code sleeps.
pub(crate) struct FakeClock(Mutex<State>);

struct State {
    now: Timestamp,
    sleeps: Vec<Duration>,
}

impl Default for FakeClock {
    fn default() -> Self {
        Self(Mutex::new(State { now: START, sleeps: Vec::new() }))
    }
}

impl FakeClock {
    pub(crate) fn advance(&self, span: Duration) {
        let mut state = lock(&self.0);
        state.now = state.now.plus(span);
    }

    pub(crate) fn set(&self, now: Timestamp) {
        lock(&self.0).now = now;
    }

    /// The durations of all sleeps of the tested code, in order.
    pub(crate) fn sleeps(&self) -> Vec<Duration> {
        lock(&self.0).sleeps.clone()
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        lock(&self.0).now
    }

    async fn sleep(&self, span: Duration) {
        lock(&self.0).sleeps.push(span);
        self.advance(span);
    }
}

pub(crate) fn user_id(name: &str) -> UserId {
    UserId::try_from(name.to_owned()).unwrap()
}

pub(crate) fn call_id(id: &str) -> CallId {
    CallId::try_from(id.to_owned()).unwrap()
}

/// The call `c1` of these members. The first member creates it.
pub(crate) fn new_call(members: &[&str], at: Timestamp) -> NewCall {
    let members: Vec<UserId> = members.iter().map(|name| user_id(name)).collect();
    NewCall {
        id: call_id("c1"),
        owner: members[0].clone(),
        members,
        call_type: CallType::Video,
        stream_call_type: CallTypeName::default(),
        fingerprint: "f".to_owned(),
        parallel: false,
        ring: false,
        attempt: "a".to_owned(),
        at,
        max_duration_seconds: None,
    }
}

/// The same call once it is active.
pub(crate) fn active_call(members: &[&str], created_at: Timestamp) -> Call {
    let call = Call::new(&new_call(members, created_at));
    Call { state: CallState::Active, active_at: Some(created_at), ..call }
}
