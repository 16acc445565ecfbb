//! `POST /api/stream/call/create`: creates a call and its chat channel.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::calls::{
    CallCreators, CallResponse, CallService, CallTimeouts, CallType, CreateCall, CreateResult,
    WhenBusy, timeouts,
};
use shared::clock::Deadline;
use shared::context::{AppContext, StartError};
use shared::error::ApiError;
use shared::fields::CustomData;
use shared::http::{self, ApiResponse, Connections, IdempotencyKey, Json};
use shared::ids::{CallId, UserId};
use shared::rate_limiter::{RateLimiter, Route};

fn main() -> ExitCode {
    let connections = Connections { table: 4, stream: 1 };
    http::serve_connected(env!("CARGO_PKG_NAME"), connections, State::new, create_call)
}

struct State {
    calls: CallService,
    creators: CallCreators,
    rate_limiter: RateLimiter,
    timeouts: CallTimeouts,
}

impl State {
    fn new(context: &AppContext) -> Result<Self, StartError> {
        Ok(Self {
            calls: context.call_service()?,
            creators: CallCreators::from_env(&context.env)?,
            rate_limiter: context.rate_limiter(Route::CallCreate)?,
            timeouts: CallTimeouts::from_env(&context.env)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Request {
    receiver_id: Option<UserId>,
    member_ids: Option<Vec<UserId>>,
    #[serde(default)]
    call_type: CallType,
    call_id: Option<CallId>,
    #[serde(default)]
    ring: bool,
    custom: Option<CustomData>,
    /// Creates a call even if the same members have an open call.
    #[serde(default)]
    allow_parallel: bool,
    /// The owner, if a service creates the call.
    owner_id: Option<UserId>,
    max_duration_seconds: Option<u64>,
    /// What happens if the called user is in another call.
    #[serde(default)]
    when_busy: WhenBusy,
}

#[derive(Serialize)]
struct Response {
    #[serde(flatten)]
    call: CallResponse,
    created: bool,
    /// Whether this request rang the members' phones.
    rung: bool,
}

async fn create_call(
    state: &State,
    caller: Caller,
    deadline: Deadline,
    IdempotencyKey(key): IdempotencyKey,
    Json(request): Json<Request>,
) -> Result<ApiResponse<Response>, ApiError> {
    let owner = state.creators.resolve_owner(&caller, request.owner_id)?;
    let max_duration_seconds = request
        .max_duration_seconds
        .map(|seconds| timeouts::check_max_duration(seconds, state.timeouts.max_duration))
        .transpose()?;
    let members = resolve_members(&owner, request.receiver_id, request.member_ids)?;
    let is_keyed = request.call_id.is_none() && key.is_some();
    let id = match (request.call_id, key) {
        (Some(id), _) => id,
        (None, Some(key)) => CallId::from_idempotency_key(&owner, &key),
        (None, None) => state.calls.generate_id(),
    };
    let permit = state.rate_limiter.check(&caller)?;
    let command = CreateCall {
        id,
        owner,
        members,
        call_type: request.call_type,
        ring: request.ring,
        custom: request.custom.map(CustomData::into_map),
        parallel: request.allow_parallel,
        max_duration_seconds,
        is_keyed,
        when_busy: request.when_busy,
    };
    let CreateResult { call, created, rung } =
        state.calls.create(&command, state.timeouts, permit, deadline).await?;
    let message = if created { "Call created" } else { "Call exists" };
    let call = CallResponse::new(&call, state.timeouts.max_duration);
    Ok(ApiResponse::ok(message, Response { call, created, rung }))
}

/// The members without duplicates, the owner first.
fn resolve_members(
    owner: &UserId,
    receiver_id: Option<UserId>,
    member_ids: Option<Vec<UserId>>,
) -> Result<Vec<UserId>, ApiError> {
    /// Stream's limit for one call.
    const MAX_MEMBERS: usize = 100;
    let (pointer, invited) = match (receiver_id, member_ids) {
        (Some(receiver), None) => ("/receiverId", vec![receiver]),
        (None, Some(users)) => ("/memberIds", users),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid_field(
                "/receiverId",
                "give receiverId or memberIds, not both",
            ));
        }
        (None, None) => {
            return Err(ApiError::invalid_field(
                "/receiverId",
                "receiverId or memberIds is required",
            ));
        }
    };
    let mut members = vec![owner.clone()];
    for user in invited {
        if members.len() > MAX_MEMBERS {
            break;
        }
        if !members.contains(&user) {
            members.push(user);
        }
    }
    match members.len() {
        1 => Err(ApiError::invalid_field(pointer, "must name a user other than the owner")),
        2..=MAX_MEMBERS => Ok(members),
        _ => Err(ApiError::invalid_field(
            pointer,
            "a call has at most 100 members, the owner included",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn members_start_with_the_owner_without_duplicates() {
        let member_ids = vec![user("bob"), user("alice"), user("bob"), user("carol")];
        let members = resolve_members(&user("alice"), None, Some(member_ids)).unwrap();
        assert_eq!(members, [user("alice"), user("bob"), user("carol")]);
    }

    #[test]
    fn member_count_is_between_two_and_a_hundred() {
        let users = |n: usize| Some((0..n).map(|i| user(&format!("u{i}"))).collect::<Vec<_>>());
        for (receiver_id, member_ids, is_valid) in [
            (Some(user("bob")), None, true),
            (Some(user("alice")), None, false),
            (None, None, false),
            (Some(user("bob")), users(1), false),
            (None, users(0), false),
            (None, users(99), true),
            (None, users(100), false),
        ] {
            assert_eq!(resolve_members(&user("alice"), receiver_id, member_ids).is_ok(), is_valid);
        }
    }
}
