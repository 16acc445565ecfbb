//! Tests of the projection, and of the projector with a store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use serde_json::json;

use super::project::version;
use super::{CurrentState, HistoryProjector, HistoryRow, HistoryWriter, RowKey, RowState, project};
use crate::calls::{Call, CallState, CallView, EndReason, SettledFrom, Settlement};
use crate::clock::Timestamp;
use crate::ids::{CallId, UserId};
use crate::store::StoreError;
use crate::sync::lock;
use crate::table_stream::StreamRecord;
use crate::test_support::{active_call, call_id, user_id};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + seconds)
}

/// A call at each stage of its life.
fn stages() -> Vec<Call> {
    let active = active_call(&["alice", "bob"], at(0));
    let creating = Call { state: CallState::Creating, active_at: None, ..active.clone() };
    let answered = Call { first_answered_at: Some(at(5)), ..active.clone() };
    let extended = Call { limit_version: 1, max_duration_seconds: Some(600), ..answered.clone() };
    let ending = Call {
        state: CallState::Ending,
        ending_at: Some(at(70)),
        end_reason: Some(EndReason::LEFT.into()),
        ..extended.clone()
    };
    let ended = Call { state: CallState::Ended, ended_at: Some(at(75)), ..ending.clone() };
    let settlement = Settlement {
        settled_at: at(200),
        settled_from: SettledFrom::Stream,
        answered_at: Some(at(5)),
        duration: Duration::from_mins(1),
        talk_time: Duration::from_secs(50),
    };
    let settled = Call { settlement: Some(settlement), ..ended.clone() };
    vec![creating, active, answered, extended, ending, ended, settled]
}

/// A call that is settled while its cleanup fails.
fn settled_before_cleanup() -> Call {
    let stages = stages();
    Call { settlement: stages[6].settlement.clone(), ..stages[4].clone() }
}

#[test]
fn version_increases_with_each_stage() {
    let versions: Vec<u64> = stages().iter().map(version).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    let [.., ending, ended, settled] = &stages()[..] else { panic!() };
    let early = settled_before_cleanup();
    assert!([ending, &early, settled].map(version).is_sorted_by(|a, b| a < b));
    assert!(version(ended) < version(&early));
    let mut smaller = active_call(&["alice", "bob", "carol"], at(0));
    let before = version(&smaller);
    smaller.members.pop();
    assert!(before < version(&smaller));
    // An extension does not overtake the next stage.
    let [_, active, answered, ..] = &stages()[..] else { panic!() };
    let extended = Call { limit_version: u64::MAX, ..active.clone() };
    assert!(version(&extended) < version(answered));
}

#[test]
fn each_member_has_a_row_by_state() {
    for call in stages() {
        let projection = project(&call, true);
        let (expected, deleted) = match call.state {
            CallState::Creating => (None, 0),
            CallState::Active => (Some(RowState::Open), 0),
            CallState::Ending | CallState::Ended => (Some(RowState::Ended), 2),
        };
        let users: Vec<&str> = projection.put.iter().map(|row| row.user.as_str()).collect();
        assert_eq!(users, if expected.is_some() { vec!["alice", "bob"] } else { vec![] });
        assert_eq!(projection.delete.len(), deleted);
        for row in projection.put {
            assert_eq!(Some(row.key.state), expected);
            assert_eq!(row.view, CallView::new(&call));
            assert!(row.expires_at > at(70));
        }
    }
}

/// A table of calls and rows. `after_put` changes it after the first write of a row, as another
/// process would.
#[derive(Default)]
struct FakeTable {
    rows: BTreeMap<(UserId, RowKey), HistoryRow>,
    calls: BTreeMap<CallId, Call>,
    deleted_users: BTreeSet<UserId>,
    after_put: Option<fn(&mut FakeTable)>,
    is_unavailable: bool,
}

impl FakeTable {
    fn put(&mut self, row: &HistoryRow) {
        let stored = self.rows.entry((row.user.clone(), row.key.clone()));
        let stored = stored.or_insert_with(|| row.clone());
        if stored.version <= row.version {
            *stored = row.clone();
        }
    }

    /// Projects the call as another process does.
    fn project(&mut self, call: &Call) {
        let projection = project(call, true);
        projection.put.iter().for_each(|row| self.put(row));
        projection.delete.iter().for_each(|key| {
            self.rows.remove(key);
        });
    }
}

struct FakeStore(Mutex<FakeTable>);

#[async_trait]
impl HistoryWriter for FakeStore {
    async fn put(&self, row: &HistoryRow) -> Result<(), StoreError> {
        let mut table = lock(&self.0);
        if table.is_unavailable {
            return Err(StoreError::Unavailable("no response".into()));
        }
        table.put(row);
        if let Some(change) = table.after_put.take() {
            change(&mut table);
        }
        Ok(())
    }

    async fn delete(&self, user: &UserId, key: &RowKey) -> Result<(), StoreError> {
        lock(&self.0).rows.remove(&(user.clone(), key.clone()));
        Ok(())
    }

    async fn load_current(
        &self,
        calls: &BTreeSet<CallId>,
        users: &BTreeSet<UserId>,
    ) -> Result<CurrentState, StoreError> {
        let table = lock(&self.0);
        Ok(CurrentState {
            calls: calls
                .iter()
                .filter_map(|id| Some((id.clone(), table.calls.get(id)?.clone())))
                .collect(),
            deleted_users: table.deleted_users.intersection(users).cloned().collect(),
        })
    }
}

fn record(sequence_number: &str, old: &Call, new: &Call) -> StreamRecord {
    let image = |call: &Call| -> serde_dynamo::Item { serde_dynamo::to_item(call).unwrap() };
    let record = json!({"dynamodb": {
        "Keys": {"pk": {"S": "CALL#c1"}, "sk": {"S": "CALL"}},
        "SequenceNumber": sequence_number,
        "OldImage": image(old),
        "NewImage": image(new),
    }});
    serde_json::from_value(record).unwrap()
}

/// The records of a whole life.
fn records(calls: &[Call]) -> Vec<StreamRecord> {
    let pairs = calls.windows(2).enumerate();
    pairs.map(|(n, pair)| record(&n.to_string(), &pair[0], &pair[1])).collect()
}

fn project_records(table: FakeTable, records: Vec<StreamRecord>) -> (FakeTable, Vec<String>) {
    let store = Arc::new(FakeStore(Mutex::new(table)));
    let projector = HistoryProjector { store: store.clone() };
    let failed = projector.project_records(records).now_or_never().unwrap();
    drop(projector);
    let failed = failed.into_iter().map(|record| record.sequence_number).collect();
    (Arc::into_inner(store).unwrap().0.into_inner().unwrap(), failed)
}

fn table_with(call: &Call) -> FakeTable {
    let calls = BTreeMap::from([(call_id("c1"), call.clone())]);
    FakeTable { calls, ..FakeTable::default() }
}

/// The rows of the table by user and state.
fn rows(table: &FakeTable) -> Vec<(&str, RowState, CallView)> {
    let rows = table.rows.values();
    rows.map(|row| (row.user.as_str(), row.key.state, row.view.clone())).collect()
}

fn expected_rows(call: &Call, state: RowState) -> Vec<(&'static str, RowState, CallView)> {
    ["alice", "bob"].map(|user| (user, state, CallView::new(call))).to_vec()
}

#[test]
fn rows_equal_the_item_after_any_prefix_of_a_life() {
    let stages = stages();
    for length in 2..=stages.len() {
        let newest = &stages[length - 1];
        let (table, failed) = project_records(table_with(newest), records(&stages[..length]));
        let state =
            if newest.state == CallState::Active { RowState::Open } else { RowState::Ended };
        assert_eq!((rows(&table), failed), (expected_rows(newest, state), vec![]));
    }
}

#[test]
fn repeated_and_late_records_do_not_bring_back_older_rows() {
    let stages = stages();
    let (settled, expected) = (&stages[6], expected_rows(&stages[6], RowState::Ended));
    let (mut table, _) = project_records(table_with(settled), records(&stages));
    for n in 0..6 {
        let (next, failed) = project_records(table, records(&stages[n..n + 2]));
        assert_eq!((rows(&next), failed), (expected.clone(), vec![]), "{n}");
        table = next;
    }
}

#[test]
fn end_between_write_and_check_removes_the_open_row() {
    let stages = stages();
    let end = |table: &mut FakeTable| {
        let stages = self::stages();
        table.calls.insert(call_id("c1"), stages[5].clone());
        table.project(&stages[5]);
    };
    let table = FakeTable { after_put: Some(end), ..table_with(&stages[1]) };
    let (table, failed) = project_records(table, records(&stages[..2]));
    assert_eq!((rows(&table), failed), (expected_rows(&stages[5], RowState::Ended), vec![]));
}

#[test]
fn deleted_member_has_no_row() {
    let stages = stages();
    for is_deleted_before in [true, false] {
        let delete = |table: &mut FakeTable| {
            table.deleted_users.insert(user_id("bob"));
            table.rows.retain(|(user, _), _| *user != user_id("bob"));
        };
        let mut table = table_with(&stages[4]);
        if is_deleted_before {
            delete(&mut table);
        } else {
            table.after_put = Some(delete);
        }
        let (table, failed) = project_records(table, records(&stages[..5]));
        let mut expected = expected_rows(&stages[4], RowState::Ended);
        expected.pop();
        assert_eq!((rows(&table), failed), (expected, vec![]));
    }
}

#[test]
fn invalid_record_fails_alone() {
    let stages = stages();
    let mut records = records(&stages[..3]);
    let poison = json!({"dynamodb": {
        "Keys": {"pk": {"S": "CALL#c2"}, "sk": {"S": "CALL"}},
        "SequenceNumber": "poison", "OldImage": {}, "NewImage": {},
    }});
    records.insert(1, serde_json::from_value(poison).unwrap());
    let (table, failed) = project_records(table_with(&stages[2]), records);
    assert_eq!(failed, ["poison"]);
    assert_eq!(rows(&table), expected_rows(&stages[2], RowState::Open));
}

#[test]
fn change_without_another_view_writes_no_row() {
    let stages = stages();
    let extended = &stages[3];
    let rung = Call { last_rung_at: Some(at(9)), ..extended.clone() };
    let (table, failed) = project_records(table_with(&rung), vec![record("1", extended, &rung)]);
    assert_eq!((rows(&table), failed), (vec![], vec![]));
    let reemitted = Call { reemits: 1, ..rung.clone() };
    let (table, _) = project_records(table_with(&reemitted), vec![record("2", &rung, &reemitted)]);
    assert_eq!(rows(&table).len(), 2);
}

#[test]
fn unavailable_table_fails_the_first_record_of_the_call() {
    let stages = stages();
    let table = FakeTable { is_unavailable: true, ..table_with(&stages[2]) };
    let (_, failed) = project_records(table, records(&stages[..3]));
    // The first record is of the same call, so Lambda repeats both.
    assert_eq!(failed, ["0"]);
}
