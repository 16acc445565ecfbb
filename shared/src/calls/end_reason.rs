//! The reason of a call's end.

use serde::{Deserialize, Serialize};

/// The reason of a call's end: 1 to 64 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EndReason(String);

impl EndReason {
    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only the service itself may set this reason.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        SystemEndReason::ALL.iter().any(|reason| reason.0 == self.0)
    }
}

impl EndReason {
    /// The creation was not completed.
    pub const NOT_CREATED: SystemEndReason = SystemEndReason("not_created");
    /// No participant joined in time.
    pub const NOT_JOINED: SystemEndReason = SystemEndReason("not_joined");
    /// No called member joined in time.
    pub const NOT_ANSWERED: SystemEndReason = SystemEndReason("not_answered");
    /// The caller rejected the call before it was answered.
    pub const CANCELLED: SystemEndReason = SystemEndReason("cancelled");
    /// All called members rejected the call.
    pub const DECLINED: SystemEndReason = SystemEndReason("declined");
    /// All participants left, or one of two remained alone.
    pub const LEFT: SystemEndReason = SystemEndReason("left");
    /// The call reached its maximum duration.
    pub const TOO_LONG: SystemEndReason = SystemEndReason("too_long");
    /// A member was deleted.
    pub const USER_DELETED: SystemEndReason = SystemEndReason("user_deleted");
    /// The call was ended or deleted at Stream, or its channel was deleted there.
    pub const ENDED_AT_STREAM: SystemEndReason = SystemEndReason("ended_at_stream");
}

/// A reason that the service itself sets, not a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemEndReason(&'static str);

impl SystemEndReason {
    /// All of these reasons.
    pub const ALL: [Self; 9] = [
        EndReason::NOT_CREATED,
        EndReason::NOT_JOINED,
        EndReason::NOT_ANSWERED,
        EndReason::CANCELLED,
        EndReason::DECLINED,
        EndReason::LEFT,
        EndReason::TOO_LONG,
        EndReason::USER_DELETED,
        EndReason::ENDED_AT_STREAM,
    ];

    /// The reason as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl From<SystemEndReason> for EndReason {
    fn from(reason: SystemEndReason) -> Self {
        Self(reason.0.to_owned())
    }
}

impl Default for EndReason {
    fn default() -> Self {
        Self("ended".to_owned())
    }
}

impl TryFrom<String> for EndReason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_printable = |byte: u8| (b' '..=b'~').contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_printable) {
            Ok(Self(text))
        } else {
            Err("must be 1 to 64 printable ASCII characters")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_the_service_are_reserved() {
        for reason in SystemEndReason::ALL {
            assert!(EndReason::from(reason).is_reserved(), "{reason:?}");
        }
        assert!(!EndReason::default().is_reserved());
        assert!(!EndReason::try_from("Declined".to_owned()).unwrap().is_reserved());
    }
}
