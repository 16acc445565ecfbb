//! The history rows in the model's table.

use std::collections::BTreeSet;

use async_trait::async_trait;
use shared::history::{CurrentState, HistoryRow, HistoryWriter, RowKey};
use shared::ids::{CallId, UserId};
use shared::store::StoreError;

use crate::sim::{Sim, StepKind};
use crate::state::ModelState;

/// The history rows of a life.
pub(super) struct ModelHistoryStore(pub(super) Sim);

impl ModelHistoryStore {
    async fn step<T: std::fmt::Debug>(
        &self,
        kind: StepKind,
        label: impl FnOnce() -> String,
        effect: impl Fn(&mut ModelState) -> T + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let response = self.0.step(kind, label, effect).await;
        response.map_err(|_| StoreError::Unavailable("no response".into()))
    }
}

#[async_trait]
impl HistoryWriter for ModelHistoryStore {
    async fn put(&self, row: &HistoryRow) -> Result<(), StoreError> {
        let row = row.clone();
        let label = format!("put row {} of {}, version {}", row.key, row.user, row.version);
        let effect = move |model: &mut ModelState| {
            let stored = model.history_rows.entry((row.user.clone(), row.key.clone()));
            let stored = stored.or_insert_with(|| row.clone());
            if stored.version <= row.version {
                stored.clone_from(&row);
            }
        };
        self.step(StepKind::Write, || label, effect).await
    }

    async fn delete(&self, user: &UserId, key: &RowKey) -> Result<(), StoreError> {
        let key = (user.clone(), key.clone());
        let label = format!("delete row {} of {user}", key.1);
        let effect = move |model: &mut ModelState| {
            model.history_rows.remove(&key);
        };
        self.step(StepKind::Write, || label, effect).await
    }

    async fn load_current(
        &self,
        calls: &BTreeSet<CallId>,
        _: &BTreeSet<UserId>,
    ) -> Result<CurrentState, StoreError> {
        let calls = calls.clone();
        let effect = move |model: &mut ModelState| {
            let current =
                calls.iter().filter_map(|id| Some((id.clone(), model.items.get(id)?.call.clone())));
            CurrentState { calls: current.collect(), deleted_users: BTreeSet::new() }
        };
        self.step(StepKind::Read, || "load the calls of rows".to_owned(), effect).await
    }
}
