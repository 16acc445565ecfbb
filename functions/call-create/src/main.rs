//! `POST /api/stream/call/create`: a call with its chat channel, ready to be joined.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shared::auth::Caller;
use shared::calls::{Ask, CallType, CallView, Calls, Created, Limits};
use shared::clock::Deadline;
use shared::config::ConfigError;
use shared::error::ApiError;
use shared::fields::Custom;
use shared::http::{self, IdempotencyKey, Json, Reply};
use shared::ids::{CallId, UserId};
use shared::limits::{Limit, Route};
use shared::world::{Configured, World};

fn main() -> ExitCode {
    http::serve(env!("CARGO_PKG_NAME"), Deps::new, create_call)
}

struct Deps {
    calls: Calls,
    limit: Limit,
    limits: Limits,
}

impl Deps {
    fn new(world: &World, stream: &Configured) -> Result<Self, ConfigError> {
        Ok(Self {
            calls: world.calls(stream),
            limit: world.limit(Route::CallCreate)?,
            limits: Limits::from_env(&world.env)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a JSON object")]
struct Body {
    receiver_id: Option<UserId>,
    member_ids: Option<Vec<UserId>>,
    #[serde(default)]
    call_type: CallType,
    call_id: Option<CallId>,
    #[serde(default)]
    ring: bool,
    custom: Option<Custom>,
    /// Makes a call even where its members have one open.
    #[serde(default)]
    allow_parallel: bool,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    call: CallView,
    created: bool,
}

async fn create_call(
    deps: &Deps,
    caller: Caller,
    deadline: Deadline,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<Body>,
) -> Result<Reply<Answer>, ApiError> {
    let members = members(&caller.user, body.receiver_id, body.member_ids)?;
    let id = match (body.call_id, key) {
        (Some(id), _) => id,
        (None, Some(key)) => CallId::from_idempotency_key(&caller.user, &key),
        (None, None) => deps.calls.fresh_id(),
    };
    let admission = deps.limit.admission(&caller)?;
    let ask = Ask {
        id,
        owner: caller.user,
        members,
        call_type: body.call_type,
        ring: body.ring,
        custom: body.custom.map(Custom::into_map),
        parallel: body.allow_parallel,
    };
    let Created { call, created } =
        deps.calls.create(&ask, deps.limits, admission, deadline).await?;
    let message = if created { "Call created" } else { "Call exists" };
    Ok(Reply::ok(message, Answer { call: call.into(), created }))
}

/// Everybody in the call, the caller first and nobody twice.
fn members(
    caller: &UserId,
    receiver: Option<UserId>,
    many: Option<Vec<UserId>>,
) -> Result<Vec<UserId>, ApiError> {
    /// As many as Stream takes for one call.
    const MOST: usize = 100;
    let (pointer, named) = match (receiver, many) {
        (Some(one), None) => ("/receiverId", vec![one]),
        (None, Some(many)) => ("/memberIds", many),
        (Some(_), Some(_)) => {
            return Err(ApiError::field("/receiverId", "give receiverId or memberIds, not both"));
        }
        (None, None) => {
            return Err(ApiError::field("/receiverId", "receiverId or memberIds is required"));
        }
    };
    let mut members = vec![caller.clone()];
    for user in named {
        if members.len() > MOST {
            break;
        }
        if !members.contains(&user) {
            members.push(user);
        }
    }
    match members.len() {
        1 => Err(ApiError::field(pointer, "must name somebody else than the caller")),
        2..=MOST => Ok(members),
        _ => Err(ApiError::field(pointer, "a call has at most 100 members, the caller included")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn the_caller_comes_first_and_nobody_twice() {
        let many = vec![user("bob"), user("alice"), user("bob"), user("carol")];
        let found = members(&user("alice"), None, Some(many)).unwrap();
        assert_eq!(found, [user("alice"), user("bob"), user("carol")]);
    }

    #[test]
    fn somebody_else_and_at_most_a_hundred() {
        let crowd = |n: usize| Some((0..n).map(|i| user(&format!("u{i}"))).collect::<Vec<_>>());
        for (receiver, many, good) in [
            (Some(user("bob")), None, true),
            (Some(user("alice")), None, false),
            (None, None, false),
            (Some(user("bob")), crowd(1), false),
            (None, crowd(0), false),
            (None, crowd(99), true),
            (None, crowd(100), false),
        ] {
            assert_eq!(members(&user("alice"), receiver, many).is_ok(), good);
        }
    }
}
