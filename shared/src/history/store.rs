//! The store of history rows.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::calls::Call;
use crate::history::{HistoryRow, RowKey, RowState};
use crate::ids::{CallId, UserId};
use crate::store::StoreError;

/// Calls and deleted users as the table has them now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentState {
    /// The calls. Those that do not exist are left out.
    pub calls: BTreeMap<CallId, Call>,
    /// The deleted ones of the users.
    pub deleted_users: BTreeSet<UserId>,
}

/// A page of a user's rows, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowPage {
    /// The rows.
    pub rows: Vec<HistoryRow>,
    /// The key of the last row, if another page follows.
    pub next: Option<RowKey>,
}

/// Reads history rows.
#[async_trait]
pub trait HistoryReader: Send + Sync {
    /// Lists at most `limit` rows of a user that follow the row `after`: the open calls first, and
    /// the newest first within a state. Sends one request.
    async fn list(
        &self,
        user: &UserId,
        state: Option<RowState>,
        after: Option<&RowKey>,
        limit: u8,
    ) -> Result<RowPage, StoreError>;
}

/// Writes history rows, and reads what they are made of.
#[async_trait]
pub trait HistoryWriter: Send + Sync {
    /// Writes a row, unless one with a higher version exists.
    async fn put(&self, row: &HistoryRow) -> Result<(), StoreError>;

    /// Deletes a row.
    async fn delete(&self, user: &UserId, key: &RowKey) -> Result<(), StoreError>;

    /// Reads calls and users with strong consistency.
    async fn load_current(
        &self,
        calls: &BTreeSet<CallId>,
        users: &BTreeSet<UserId>,
    ) -> Result<CurrentState, StoreError>;
}
