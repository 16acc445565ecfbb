//! The format of instants in webhooks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::world::timestamps_to_nanos;

/// The format of instants in webhooks. Bodies from Stream have RFC 3339, while its Python SDK reads
/// only nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookTimes {
    /// RFC 3339 with nine fraction digits.
    #[default]
    Rfc3339,
    /// Integer unix nanoseconds, as in v2 of the API.
    Nanoseconds,
}

impl WebhookTimes {
    /// An event in this format. Events of the world have RFC 3339.
    pub(super) fn format(self, event: &Value) -> Cow<'_, Value> {
        match self {
            Self::Rfc3339 => Cow::Borrowed(event),
            Self::Nanoseconds => {
                let mut event = event.clone();
                timestamps_to_nanos(&mut event);
                Cow::Owned(event)
            }
        }
    }
}
