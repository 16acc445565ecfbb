//! Writes the history rows of changed calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::calls::{Call, CallState};
use crate::clock::Deadline;
use crate::error::{ApiError, Code};
use crate::history::project::{project, version};
use crate::history::{CurrentState, HistoryWriter, Projection, RowKey, RowState};
use crate::ids::{CallId, UserId};
use crate::store::StoreError;
use crate::table_stream::{Change, FailedRecord, RecordHandler, StreamRecord};

/// The number of calls whose rows are written at a time.
const CONCURRENCY: usize = 16;
/// The number of rounds of writing rows and comparing them with the table.
const MAX_ROUNDS: usize = 4;

/// Projects changed calls into history rows.
#[derive(Clone)]
pub struct HistoryProjector {
    /// The rows, and the calls that they show.
    pub store: Arc<dyn HistoryWriter>,
}

/// The newest change of a call in a batch.
struct ChangedCall {
    call: Call,
    /// Whether the call was open before the batch.
    was_open: bool,
    /// The sequence number of the first record of the call.
    sequence_number: String,
}

impl RecordHandler for HistoryProjector {
    async fn handle(&'static self, records: Vec<StreamRecord>, _: Deadline) -> Vec<FailedRecord> {
        self.project_records(records).await
    }
}

impl HistoryProjector {
    /// Writes the rows of the changed calls. Returns the records that failed, in the order of the
    /// stream.
    pub async fn project_records(&self, records: Vec<StreamRecord>) -> Vec<FailedRecord> {
        let order: Vec<String> =
            records.iter().map(|record| record.sequence_number().to_owned()).collect();
        let (calls, mut failed) = newest_changes(records);
        let calls: Vec<ChangedCall> = calls.into_values().collect();
        let writes = calls.iter().map(|changed| self.write_rows(changed));
        let results: Vec<_> = stream::iter(writes).buffered(CONCURRENCY).collect().await;
        for (changed, result) in calls.iter().zip(results) {
            if let Err(error) = result {
                let (id, error) = (&changed.call.call_id, ApiError::from(error));
                error.log("writing history rows failed", id);
                failed.insert(changed.sequence_number.clone(), error.code());
            }
        }
        let failed_record = |sequence_number: String| {
            let code = failed.get(&sequence_number).copied()?;
            Some(FailedRecord { sequence_number, code })
        };
        order.into_iter().filter_map(failed_record).collect()
    }

    /// Writes the rows of a call, and then compares them with the table. A later change of the call
    /// may have been projected meanwhile, and a member may have been deleted: then the rows of this
    /// change must not stay.
    async fn write_rows(&self, changed: &ChangedCall) -> Result<(), StoreError> {
        let mut call = changed.call.clone();
        // The settlement repairs the rows of a change that failed.
        let mut was_open = changed.was_open || call.settlement.is_some();
        let ids = BTreeSet::from([call.call_id.clone()]);
        for _ in 0..MAX_ROUNDS {
            let projection = project(&call, was_open);
            if projection == Projection::default() {
                return Ok(());
            }
            self.apply(&projection).await?;
            let members: BTreeSet<UserId> = call.members.iter().cloned().collect();
            let CurrentState { mut calls, deleted_users } =
                self.store.load_current(&ids, &members).await?;
            self.delete_rows_of(&deleted_users, &call).await?;
            match calls.remove(&call.call_id) {
                Some(current) if version(&current) > version(&call) => {
                    (call, was_open) = (current, true);
                }
                Some(_) | None => return Ok(()),
            }
        }
        Err(StoreError::Unavailable("the call keeps changing".into()))
    }

    async fn apply(&self, projection: &Projection) -> Result<(), StoreError> {
        // The new row exists before the old one is deleted, so that a list has the call.
        let puts = projection.put.iter().map(|row| self.store.put(row));
        stream::iter(puts).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        let deletes = projection.delete.iter().map(|(user, key)| self.store.delete(user, key));
        stream::iter(deletes).buffer_unordered(CONCURRENCY).try_collect::<()>().await
    }

    async fn delete_rows_of(
        &self,
        users: &BTreeSet<UserId>,
        call: &Call,
    ) -> Result<(), StoreError> {
        for user in users {
            for state in [RowState::Open, RowState::Ended] {
                let (created_at, call_id) = (call.created_at, call.call_id.clone());
                self.store.delete(user, &RowKey { state, created_at, call_id }).await?;
            }
        }
        Ok(())
    }
}

/// The newest change of each call, and the errors of invalid records by sequence number.
fn newest_changes(
    records: Vec<StreamRecord>,
) -> (BTreeMap<CallId, ChangedCall>, BTreeMap<String, Code>) {
    let (mut calls, mut failed) = (BTreeMap::<CallId, ChangedCall>::new(), BTreeMap::new());
    for record in records {
        let sequence_number = record.sequence_number().to_owned();
        match record.change() {
            Ok(Change::Call(images)) => {
                let [old, call] = *images;
                let was_open = old.state < CallState::Ending;
                // Most changes of an extended call change no row.
                let is_same_view = version(&old) == version(&call) && old.reemits == call.reemits;
                if is_same_view && !calls.contains_key(&call.call_id) {
                    continue;
                }
                let changed = calls.entry(call.call_id.clone()).or_insert_with(|| ChangedCall {
                    call: old,
                    was_open,
                    sequence_number,
                });
                changed.call = call;
            }
            Ok(Change::Profile(_) | Change::Other) => {}
            Err(error) => {
                let error = ApiError::from(error);
                error.log("reading a stream record failed", &sequence_number);
                failed.insert(sequence_number, error.code());
            }
        }
    }
    (calls, failed)
}
