//! The final figures of a call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The source of the final figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettledFrom {
    /// Stream's list of participants, and the webhooks where it has a gap.
    Stream,
    /// The webhooks: Stream has no list of a session, or could not be read for a day.
    Webhooks,
}

/// The final figures of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settlement {
    /// When the call was settled.
    pub settled_at: Timestamp,
    /// The source.
    pub settled_from: SettledFrom,
    /// When two different users were in for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// From the answer to the last moment with two users in.
    #[serde(rename = "durationMillis", with = "duration_millis")]
    pub duration: Duration,
    /// The sum of the times with at least two users in.
    #[serde(rename = "talkMillis", with = "duration_millis")]
    pub talk_time: Duration,
}

/// A duration as a number of milliseconds.
mod duration_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::clock::whole_millis;

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        whole_millis(*duration).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
