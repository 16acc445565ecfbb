//! Plans the change of the call type after which only members have access to its calls, and writes
//! it.

use std::time::Duration;

use shared::ids::CallTypeName;
use shared::stream::StreamError;
use shared::stream::call_type::{Grants, RingSettings, differing_roles, members_only_grants};
use shared::stream::ops::CallTypeResponse;

use crate::app_client::AppClient;
use crate::requirements::Requirements;

/// The pauses before the reads that verify the type. Stream returns a change after some seconds.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// A planned change of the call type.
pub(crate) struct CallTypePlan {
    pub(crate) change: CallTypeChange,
    /// The grants of every role: Stream keeps those of a role that a request omits.
    grants: Grants,
    ring: RingSettings,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CallTypeChange {
    Unchanged,
    /// A new type.
    Created,
    Updated {
        /// The roles whose grants change, as printed.
        roles: Vec<String>,
        changes_ring: bool,
    },
}

impl CallTypePlan {
    /// Plans the change of the type that Stream returns. `None` if the type does not exist.
    pub(crate) fn new(current: Option<&CallTypeResponse>, requirements: &Requirements) -> Self {
        let ring = requirements.ring_settings();
        let Some(current) = current else {
            let grants = members_only_grants(&Grants::new(), &requirements.roles);
            return Self { change: CallTypeChange::Created, grants, ring };
        };
        let grants = members_only_grants(&current.grants, &requirements.roles);
        let roles = differing_roles(&current.grants, &grants);
        let roles: Vec<String> =
            roles.into_iter().map(|role| role.escape_debug().to_string()).collect();
        let changes_ring = current.settings.ring != Some(ring);
        let change = if roles.is_empty() && !changes_ring {
            CallTypeChange::Unchanged
        } else {
            CallTypeChange::Updated { roles, changes_ring }
        };
        Self { change, grants, ring }
    }

    /// The plan as printed.
    pub(crate) fn line(&self, name: &CallTypeName) -> String {
        match &self.change {
            CallTypeChange::Unchanged => format!("keep   call type {name}"),
            CallTypeChange::Created => {
                format!("add    call type {name}: only members have access to its calls")
            }
            CallTypeChange::Updated { roles, changes_ring } => {
                let grants =
                    (!roles.is_empty()).then(|| format!("the grants of {}", roles.join(", ")));
                let ring = changes_ring.then(|| "the ring timeouts".to_owned());
                let changes: Vec<String> = grants.into_iter().chain(ring).collect();
                format!("change call type {name}: {}", changes.join(", and "))
            }
        }
    }
}

/// Writes the planned type, and repeats the write until Stream returns the type as planned. `false`
/// if Stream does not return it in time.
pub(crate) async fn write(
    app: &AppClient,
    requirements: &Requirements,
    plan: &CallTypePlan,
) -> Result<bool, StreamError> {
    let name = &requirements.call_type;
    if plan.change == CallTypeChange::Created {
        app.create_call_type(name, &plan.grants, plan.ring).await?;
    }
    let mut pauses = PAUSES.into_iter();
    loop {
        if let Some(current) = app.get_call_type(name).await? {
            // A new type has further roles, with Stream's default permissions.
            let plan = CallTypePlan::new(Some(&current), requirements);
            if plan.change == CallTypeChange::Unchanged {
                return Ok(true);
            }
            app.update_call_type(name, &plan.grants, plan.ring).await?;
        }
        match pauses.next() {
            Some(pause) => app.pause(pause).await,
            None => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use serde_json::{Value, json};
    use shared::clock::{Clock, Timestamp};
    use shared::config::Env;
    use shared::stream::{RawResponse, Request, Transport, TransportError};

    use super::*;

    fn requirements() -> Requirements {
        Requirements::from_env(&Env::from([("STREAM_CALL_TYPE", "private")]), None).unwrap()
    }

    fn ring(millis: u64) -> Value {
        json!({
            "auto_cancel_timeout_ms": millis,
            "incoming_call_timeout_ms": millis,
            "missed_call_timeout_ms": millis,
        })
    }

    #[test]
    fn plan_names_the_changes() {
        let members = json!([
            "create-call-reaction",
            "end-call",
            "join-call",
            "read-call",
            "screenshare",
            "send-audio",
            "send-video",
        ]);
        let closed = json!({"call_member": members, "user": [], "global_admin": ["join-call"]});
        let open = json!({"call_member": members, "admin": ["join-call"], "user": ["read-call"]});
        let line = |current: Option<Value>| {
            let current = current.map(|body| serde_json::from_value(body).unwrap());
            let requirements = requirements();
            CallTypePlan::new(current.as_ref(), &requirements).line(&requirements.call_type)
        };
        let call_type = |grants: &Value, ring: Value| {
            let settings = json!({"ring": ring});
            Some(json!({"name": "private", "grants": grants, "settings": settings}))
        };
        for (current, expected) in [
            (None, "add    call type private: only members have access to its calls"),
            (call_type(&closed, ring(120_000)), "keep   call type private"),
            (call_type(&closed, ring(15_000)), "change call type private: the ring timeouts"),
            (
                call_type(&open, ring(120_000)),
                "change call type private: the grants of admin, user",
            ),
            (
                call_type(&json!({}), json!(null)),
                "change call type private: the grants of call_member, and the ring timeouts",
            ),
        ] {
            assert_eq!(line(current), expected);
        }
    }

    /// An app with one call type, which it returns only after some reads.
    struct SlowStream(Mutex<State>);

    struct State {
        stale_reads: usize,
        call_type: Option<Value>,
    }

    impl State {
        fn respond(&mut self, method: &str, body: &Value) -> (u16, Value) {
            if method == "GET" && self.stale_reads > 0 {
                self.stale_reads -= 1;
                return (404, json!({"code": 16, "message": "call type does not exist"}));
            }
            let call_type = self.call_type.get_or_insert_with(|| {
                let grants = json!({"admin": ["join-call"], "host": ["join-call"]});
                json!({"name": "private", "grants": grants, "settings": {"ring": ring(15_000)}})
            });
            for (role, ids) in body["grants"].as_object().into_iter().flatten() {
                call_type["grants"][role] = ids.clone();
            }
            if body["settings"]["ring"].is_object() {
                call_type["settings"]["ring"] = body["settings"]["ring"].clone();
            }
            (200, call_type.clone())
        }
    }

    #[async_trait]
    impl Transport for SlowStream {
        async fn send(
            &self,
            request: &Request,
            _: Duration,
        ) -> Result<RawResponse, TransportError> {
            let body = request.body.as_deref().unwrap_or(b"null");
            let body = serde_json::from_slice(body).unwrap();
            let (status, body) = self.0.lock().unwrap().respond(request.method.as_str(), &body);
            let body = body.to_string().into();
            Ok(RawResponse { status, retry_after: None, date: None, rate_limit: None, body })
        }
    }

    #[derive(Default)]
    struct FakeClock(Mutex<Vec<u64>>);

    #[async_trait]
    impl Clock for FakeClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_767_225_600)
        }

        async fn sleep(&self, span: Duration) {
            self.0.lock().unwrap().push(span.as_secs());
        }
    }

    #[tokio::test]
    async fn write_is_repeated_until_stream_returns_the_type() {
        for (stale_reads, is_written, pauses) in
            [(0, true, &[0_u64][..]), (2, true, &[0, 1, 2]), (100, false, &[0, 1, 2, 4, 8])]
        {
            let state = State { stale_reads, call_type: None };
            let stream = Arc::new(SlowStream(Mutex::new(state)));
            let clock = Arc::new(FakeClock::default());
            let app = AppClient::new(stream.clone(), clock.clone());
            let requirements = requirements();
            let plan = CallTypePlan::new(None, &requirements);
            assert_eq!(write(&app, &requirements, &plan).await.unwrap(), is_written);
            assert_eq!(*clock.0.lock().unwrap(), pauses, "{stale_reads}");
            if is_written {
                let call_type = stream.0.lock().unwrap().call_type.clone().unwrap();
                for role in ["admin", "anonymous", "guest", "host", "user"] {
                    assert_eq!(call_type["grants"][role], json!([]), "{role}");
                }
                assert_eq!(call_type["settings"]["ring"], ring(120_000));
            }
        }
    }
}
