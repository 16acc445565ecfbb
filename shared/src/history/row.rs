//! A row of a user's history.

use std::fmt;

use crate::calls::CallView;
use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};

/// Whether the call of a row is open. The order is that of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowState {
    /// The call is over.
    Ended,
    /// The call is active.
    Open,
}

impl RowState {
    /// The text in the sort key. Both texts sort as the states do.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ENDED",
            Self::Open => "OPEN",
        }
    }
}

/// The sort key of a row within a user's history. Later calls come last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The state of the call.
    pub state: RowState,
    /// When the call was first requested.
    pub created_at: Timestamp,
    /// The call.
    pub call_id: CallId,
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, created_at, call_id } = self;
        write!(f, "{}#{:013}#{call_id}", state.as_str(), created_at.as_millis())
    }
}

impl RowKey {
    /// The prefix of all rows.
    pub(super) const PREFIX: &str = "HISTORY#";

    /// Parses the text of [`RowKey`]'s `Display`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '#');
        let state = match parts.next()? {
            "OPEN" => RowState::Open,
            "ENDED" => RowState::Ended,
            _ => return None,
        };
        let millis = parts.next()?;
        if millis.len() != 13 || !millis.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let created_at = Timestamp::from_millis(millis.parse().ok()?);
        let call_id = CallId::try_from(parts.next()?.to_owned()).ok()?;
        Some(Self { state, created_at, call_id })
    }
}

/// A row: the view of a call for one of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The user whose history has the row.
    pub user: UserId,
    /// The key.
    pub key: RowKey,
    /// The call.
    pub view: CallView,
    /// The version, which increases with each change of the view.
    pub version: u64,
    /// When the row expires.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::call_id;

    fn key(state: RowState, millis: i64, id: &str) -> RowKey {
        RowKey { state, created_at: Timestamp::from_millis(millis), call_id: call_id(id) }
    }

    #[test]
    fn key_is_parsed_from_its_text() {
        let key = key(RowState::Open, 1_767_225_600_123, "c1");
        assert_eq!(key.to_string(), "OPEN#1767225600123#c1");
        assert_eq!(RowKey::parse(&key.to_string()), Some(key));
        for text in ["", "OPEN", "OPEN#1#c1", "OPEN#1767225600123#", "LATE#1767225600123#c1"] {
            assert_eq!(RowKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn text_sorts_as_the_key() {
        let keys = [
            key(RowState::Ended, 999_999_999_999, "b"),
            key(RowState::Ended, 1_767_225_600_123, "a"),
            key(RowState::Open, 1_767_225_600_122, "a"),
            key(RowState::Open, 1_767_225_600_122, "b"),
        ];
        assert!(keys.is_sorted());
        assert!(keys.map(|key| key.to_string()).is_sorted());
    }
}
