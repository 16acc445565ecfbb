//! The command to create a call.

use std::time::Duration;

use ring::digest;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::calls::CallType;
use crate::clock::Timestamp;
use crate::ids::{CallCid, CallId, CallTypeName, UserId};

/// A request to create a call.
#[derive(Clone, Debug)]
pub struct CreateCall {
    /// The id of the new call.
    pub id: CallId,
    /// The user who creates the call.
    pub owner: UserId,
    /// The members without duplicates, including the owner, who comes first.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// Whether the members' phones ring.
    pub ring: bool,
    /// The apps' custom data.
    pub custom: Option<Map<String, Value>>,
    /// Whether the members may have other open calls. If not, an open call of theirs is returned.
    pub parallel: bool,
    /// The maximum duration, if the request sets one.
    pub max_duration_seconds: Option<u64>,
    /// Whether the id is derived from an `Idempotency-Key`.
    pub is_keyed: bool,
    /// What happens if the callee is in another call.
    pub when_busy: WhenBusy,
}

/// What a create does if the callee of a call of two is in another call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenBusy {
    /// Rejects the create.
    #[default]
    Reject,
    /// Creates the call.
    Ring,
}

impl CreateCall {
    /// A digest of all fields by which two requests count as the same. `when_busy` is not one of
    /// them: it does not change the call.
    fn fingerprint(&self) -> String {
        let mut members = self.members.clone();
        members.sort_unstable();
        // serde_json sorts the keys at every depth, so equal data has equal text.
        let mut canonical = json!({
            "owner": self.owner,
            "members": members,
            "callType": self.call_type,
            "ring": self.ring,
            "custom": self.custom,
            "parallel": self.parallel,
        });
        // Only where present, so that the digest of a request without it is the same in every
        // deployment.
        if let Some(seconds) = self.max_duration_seconds {
            canonical["maxDurationSeconds"] = Value::from(seconds);
        }
        hex::encode(digest::digest(&digest::SHA256, canonical.to_string().as_bytes()))
    }
}

/// A call to be reserved, before any part of it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCall {
    /// The id of the call.
    pub id: CallId,
    /// The user who creates the call.
    pub owner: UserId,
    /// The members, including the owner, who comes first.
    pub members: Vec<UserId>,
    /// Video or voice.
    pub call_type: CallType,
    /// The call type at Stream.
    pub stream_call_type: CallTypeName,
    /// A digest of the request.
    pub fingerprint: String,
    /// Whether the members may have other open calls.
    pub parallel: bool,
    /// Whether the creation rings the members' phones.
    pub ring: bool,
    /// The id of this attempt.
    pub attempt: String,
    /// When the attempt began.
    pub at: Timestamp,
    /// The maximum duration, if the request sets one.
    pub max_duration_seconds: Option<u64>,
}

impl NewCall {
    pub(super) fn new(
        command: &CreateCall,
        stream_call_type: &CallTypeName,
        attempt: Uuid,
        now: Timestamp,
    ) -> Self {
        Self {
            id: command.id.clone(),
            owner: command.owner.clone(),
            members: command.members.clone(),
            call_type: command.call_type,
            stream_call_type: stream_call_type.clone(),
            fingerprint: command.fingerprint(),
            parallel: command.parallel,
            ring: command.ring,
            attempt: attempt.to_string(),
            at: now,
            max_duration_seconds: command.max_duration_seconds,
        }
    }

    /// The maximum duration: the call's own one, or the configured one.
    pub(super) fn max_duration(&self, configured: Duration) -> Duration {
        self.max_duration_seconds.map_or(configured, Duration::from_secs)
    }

    /// The called member of a call of two.
    pub(super) fn callee(&self) -> Option<&UserId> {
        match &self.members[..] {
            [_, callee] => Some(callee),
            _ => None,
        }
    }

    /// The call's cid at Stream.
    pub(super) fn cid(&self) -> CallCid {
        self.id.with_type(&self.stream_call_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{call_id, user_id};

    fn command() -> CreateCall {
        CreateCall {
            id: call_id("c1"),
            owner: user_id("alice"),
            members: vec![user_id("alice"), user_id("bob"), user_id("carol")],
            call_type: CallType::Video,
            ring: false,
            custom: serde_json::from_str(r#"{"a": 1, "b": 2}"#).unwrap(),
            parallel: false,
            max_duration_seconds: None,
            is_keyed: false,
            when_busy: WhenBusy::Reject,
        }
    }

    /// A repeat of a request must be recognized after a deployment, so the digest does not change.
    #[test]
    fn fingerprint_without_max_duration_is_stable() {
        let mut command = command();
        command.custom = None;
        let canonical = r#"{"callType":"video","custom":null,"members":["alice","bob","carol"],"owner":"alice","parallel":false,"ring":false}"#;
        let expected = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        assert_eq!(command.fingerprint(), expected);
    }

    #[test]
    fn fingerprint_covers_every_request_field() {
        let base = command().fingerprint();
        let mut same = command();
        same.members.swap(1, 2);
        same.custom = serde_json::from_str(r#"{"b": 2, "a": 1}"#).unwrap();
        same.when_busy = WhenBusy::Ring;
        assert_eq!(same.fingerprint(), base);
        let changes: [fn(&mut CreateCall); 7] = [
            |command| command.owner = command.members[1].clone(),
            |command| command.members.truncate(2),
            |command| command.call_type = CallType::Voice,
            |command| command.ring = true,
            |command| command.custom = None,
            |command| command.parallel = true,
            |command| command.max_duration_seconds = Some(60),
        ];
        for change in changes {
            let mut other = command();
            change(&mut other);
            assert_ne!(other.fingerprint(), base);
        }
    }
}
