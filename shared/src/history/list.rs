//! Lists a user's calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::calls::CallResponse;
use crate::clock::{Clock, Timestamp};
use crate::error::{ApiError, Code};
use crate::history::{HistoryReader, HistoryRow, RowKey, RowState};
use crate::ids::CallId;
use crate::users::{self, AccountReader};

/// The maximum number of calls in a page: 1 to 50, 20 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PageLimit(u8);

impl Default for PageLimit {
    fn default() -> Self {
        Self(20)
    }
}

impl TryFrom<String> for PageLimit {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let limit = text.parse().ok().filter(|limit| (1..=50).contains(limit));
        limit.map(Self).ok_or("limit must be 1 to 50")
    }
}

/// The state of the listed calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateFilter {
    /// Calls that are active.
    Open,
    /// Calls that are over.
    Ended,
}

impl From<StateFilter> for RowState {
    fn from(filter: StateFilter) -> Self {
        match filter {
            StateFilter::Open => Self::Open,
            StateFilter::Ended => Self::Ended,
        }
    }
}

/// The position after a page. It is opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor(RowKey);

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let key = bytes.and_then(|bytes| RowKey::parse(str::from_utf8(&bytes).ok()?));
        key.map(Self).ok_or("the cursor is invalid; use the one of the previous page")
    }
}

impl From<&RowKey> for Cursor {
    fn from(key: &RowKey) -> Self {
        Self(key.clone())
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0.to_string()))
    }
}

/// A page of a user's calls.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryPage {
    /// The open calls first, and the newest first within a state.
    calls: Vec<CallResponse>,
    /// The cursor of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

/// Lists the calls of users.
#[derive(Clone)]
pub struct HistoryService {
    /// The rows.
    pub rows: Arc<dyn HistoryReader>,
    /// The accounts of users.
    pub accounts: Arc<dyn AccountReader>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl HistoryService {
    /// Lists the caller's own calls. `max_duration` applies to calls without a maximum duration of
    /// their own.
    ///
    /// # Errors
    ///
    /// `invalid_query` if the cursor is of another state, those of an inactive account, and
    /// `store_unavailable`.
    pub async fn list(
        &self,
        caller: &Caller,
        state: Option<StateFilter>,
        after: Option<&Cursor>,
        PageLimit(limit): PageLimit,
        max_duration: Duration,
    ) -> Result<HistoryPage, ApiError> {
        let (state, after) = (state.map(RowState::from), after.map(|Cursor(key)| key));
        if state.zip(after).is_some_and(|(state, after)| after.state != state) {
            let detail = "the cursor is of a list with another state";
            return Err(ApiError::new(Code::InvalidQuery, detail));
        }
        let now = self.clock.now();
        let list = self.rows.list(&caller.user, state, after, limit);
        let page = users::require_active_alongside(&*self.accounts, caller, now, list).await?;
        let next = page.next.as_ref().map(Cursor::from);
        let rows = current_rows(page.rows, now).into_iter();
        let calls = rows.map(|row| CallResponse::from_view(row.view, max_duration)).collect();
        Ok(HistoryPage { calls, next })
    }
}

/// The rows without those that `DynamoDB` has not deleted yet: expired ones, and the open one of a
/// call that has an ended one, too.
fn current_rows(rows: Vec<HistoryRow>, now: Timestamp) -> Vec<HistoryRow> {
    let ended: BTreeSet<CallId> = rows
        .iter()
        .filter(|row| row.key.state == RowState::Ended)
        .map(|row| row.key.call_id.clone())
        .collect();
    let is_current = |row: &HistoryRow| {
        let is_stale = row.key.state == RowState::Open && ended.contains(&row.key.call_id);
        !is_stale && now < row.expires_at
    };
    rows.into_iter().filter(is_current).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::CallView;
    use crate::test_support::{active_call, call_id, user_id};

    fn row(id: &str, state: RowState, expires_at: i64) -> HistoryRow {
        let created_at = Timestamp::from_secs(1_767_225_600);
        HistoryRow {
            user: user_id("alice"),
            key: RowKey { state, created_at, call_id: call_id(id) },
            view: CallView::new(&active_call(&["alice", "bob"], created_at)),
            version: 1,
            expires_at: Timestamp::from_secs(expires_at),
        }
    }

    #[test]
    fn stale_rows_are_left_out() {
        let now = Timestamp::from_secs(1_767_225_700);
        let (past, later) = (1_767_225_700, 1_767_225_701);
        let rows = vec![
            row("a", RowState::Open, later),
            row("b", RowState::Open, later),
            row("c", RowState::Open, past),
            row("b", RowState::Ended, later),
            row("d", RowState::Ended, past),
        ];
        let current = current_rows(rows, now);
        let current: Vec<_> =
            current.iter().map(|row| (row.key.call_id.as_str(), row.key.state)).collect();
        assert_eq!(current, [("a", RowState::Open), ("b", RowState::Ended)]);
    }
}
