//! The rejects of a call, as webhooks report them. `GetCall` contains no reasons.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::UserId;

/// The reason of a reject. Stream's clients send `decline`, `cancel`, `busy` and `timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// A decision of the user: any reason but the other ones, or none.
    Explicit,
    /// The user is in another call.
    Busy,
    /// The user did not answer in time.
    Timeout,
}

impl RejectReason {
    /// The class of an event's `reason`.
    #[must_use]
    pub fn from_text(text: Option<&str>) -> Self {
        match text {
            Some("busy") => Self::Busy,
            Some("timeout") => Self::Timeout,
            _ => Self::Explicit,
        }
    }
}

/// The first reject of a user for each reason, by Stream's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct RejectTimes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explicit: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    busy: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Timestamp>,
}

/// The rejects of each user. The order and the number of the events do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rejects(BTreeMap<UserId, RejectTimes>);

impl Rejects {
    /// Whether no user has rejected the call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Records a reject. Returns whether the rejects have changed.
    pub fn record(&mut self, user: &UserId, reason: RejectReason, at: Timestamp) -> bool {
        let times = self.0.entry(user.clone()).or_default();
        let time = match reason {
            RejectReason::Explicit => &mut times.explicit,
            RejectReason::Busy => &mut times.busy,
            RejectReason::Timeout => &mut times.timeout,
        };
        let is_first = time.is_none_or(|known| at < known);
        if is_first {
            *time = Some(at);
        }
        is_first
    }

    /// The user's first reject.
    #[must_use]
    pub fn first(&self, user: &UserId) -> Option<(RejectReason, Timestamp)> {
        let RejectTimes { explicit, busy, timeout } = self.0.get(user).copied()?;
        [
            (RejectReason::Explicit, explicit),
            (RejectReason::Busy, busy),
            (RejectReason::Timeout, timeout),
        ]
        .into_iter()
        .filter_map(|(reason, at)| Some((reason, at?)))
        .min_by_key(|(_, at)| *at)
    }

    /// The user's first explicit reject. If there is none, the first one of another reason.
    #[must_use]
    pub fn decisive(&self, user: &UserId) -> Option<(RejectReason, Timestamp)> {
        let explicit = self.0.get(user).and_then(|times| times.explicit);
        explicit.map(|at| (RejectReason::Explicit, at)).or_else(|| self.first(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::user_id;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    #[test]
    fn only_busy_and_timeout_are_not_explicit() {
        let cases = [
            (None, RejectReason::Explicit),
            (Some(""), RejectReason::Explicit),
            (Some("decline"), RejectReason::Explicit),
            (Some("rejected"), RejectReason::Explicit),
            (Some("cancel"), RejectReason::Explicit),
            (Some("not now"), RejectReason::Explicit),
            (Some("busy"), RejectReason::Busy),
            (Some("timeout"), RejectReason::Timeout),
        ];
        for (text, reason) in cases {
            assert_eq!(RejectReason::from_text(text), reason, "{text:?}");
        }
    }

    #[test]
    fn rejects_do_not_depend_on_the_order_of_the_events() {
        let bob = user_id("bob");
        let events = [
            (RejectReason::Timeout, at(15)),
            (RejectReason::Explicit, at(20)),
            (RejectReason::Explicit, at(30)),
            (RejectReason::Busy, at(16)),
        ];
        let mut forwards = Rejects::default();
        let mut backwards = Rejects::default();
        for (reason, time) in events {
            forwards.record(&bob, reason, time);
        }
        for (reason, time) in events.into_iter().rev() {
            assert!(backwards.record(&bob, reason, time), "{reason:?}");
            assert!(!backwards.record(&bob, reason, time), "{reason:?} twice");
        }
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.first(&bob), Some((RejectReason::Timeout, at(15))));
        assert_eq!(forwards.decisive(&bob), Some((RejectReason::Explicit, at(20))));
        assert_eq!(forwards.first(&user_id("carol")), None);
        assert_eq!(forwards.decisive(&user_id("carol")), None);
    }

    #[test]
    fn serialized_form_is_a_map_of_times() {
        let mut rejects = Rejects::default();
        rejects.record(&user_id("bob"), RejectReason::Busy, Timestamp::from_millis(5));
        let json = serde_json::to_string(&rejects).unwrap();
        assert_eq!(json, r#"{"bob":{"busy":5}}"#);
        assert_eq!(serde_json::from_str::<Rejects>(&json).unwrap(), rejects);
        let item: crate::dynamo::Item = serde_dynamo::to_item(&rejects).unwrap();
        assert_eq!(serde_dynamo::from_item::<_, Rejects>(item).unwrap(), rejects);
    }
}
