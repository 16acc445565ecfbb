//! The envelope of an event.

use serde::Serialize;

use crate::clock::{Timestamp, rfc3339};
use crate::config::{ConfigError, Env};
use crate::events::data::EventData;

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum EventType {
    /// A call exists at Stream, and its phones can ring.
    #[serde(rename = "call.created")]
    CallCreated,
    /// Two users were in a call for the first time.
    #[serde(rename = "call.answered")]
    CallAnswered,
    /// A call is over for its members. Its figures are provisional.
    #[serde(rename = "call.ended")]
    CallEnded,
    /// The figures of a call are final.
    #[serde(rename = "call.settled")]
    CallSettled,
    /// A closed call has a score.
    #[serde(rename = "call.quality")]
    CallQuality,
    /// A user was deleted.
    #[serde(rename = "user.deleted")]
    UserDeleted,
}

impl EventType {
    /// The type as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallCreated => "call.created",
            Self::CallAnswered => "call.answered",
            Self::CallEnded => "call.ended",
            Self::CallSettled => "call.settled",
            Self::CallQuality => "call.quality",
            Self::UserDeleted => "user.deleted",
        }
    }
}

/// The source of events: a URI reference that names the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EventSource(String);

impl EventSource {
    /// Reads `EVENT_SOURCE`. The default is `stream-functions`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it has other characters than those of a URI, or begins with `aws.`, which
    /// EventBridge reserves.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let text = env.get_or("EVENT_SOURCE", "stream-functions");
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@".contains(&byte);
        if text.len() > 256 || !text.bytes().all(is_allowed) || text.starts_with("aws.") {
            let reason =
                "must have at most 256 letters, digits or -._~:/@, and not begin with aws.";
            return Err(ConfigError::invalid("EVENT_SOURCE", reason));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    specversion: &'static str,
    id: String,
    source: EventSource,
    #[serde(rename = "type")]
    kind: EventType,
    subject: String,
    #[serde(serialize_with = "rfc3339")]
    time: Timestamp,
    datacontenttype: &'static str,
    data: EventData,
}

impl Event {
    /// The id: unique for each subject and type.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> EventType {
        self.kind
    }

    pub(super) fn new(
        subject: &str,
        kind: EventType,
        source: &EventSource,
        time: Timestamp,
        data: EventData,
    ) -> Self {
        Self {
            specversion: "1.0",
            id: format!("{subject}.{}", kind.as_str()),
            source: source.clone(),
            kind,
            subject: subject.to_owned(),
            time,
            datacontenttype: "application/json",
            data,
        }
    }
}
