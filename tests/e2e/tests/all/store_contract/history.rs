//! The contract of the history's store.

use std::collections::BTreeSet;

use shared::calls::{Call, CallState, CallView};
use shared::history::dynamo::DynamoHistoryStore;
use shared::history::{
    CurrentState, HistoryReader as _, HistoryRow, HistoryWriter as _, RowKey, RowPage, RowState,
};

use super::*;

fn row(user: &str, state: RowState, second: i64, version: u64) -> HistoryRow {
    let created_at = at_second(second);
    let call_id = call_id(&format!("c{second}"));
    let call = Call { call_id: call_id.clone(), created_at, ..Call::new(&new_call("a")) };
    HistoryRow {
        user: user_id(user),
        key: RowKey { state, created_at, call_id },
        view: CallView { duration_millis: Some(version), ..CallView::new(&call) },
        version,
        expires_at: at_second(9_999),
    }
}

async fn list_all(history: &DynamoHistoryStore, user: &str) -> Vec<HistoryRow> {
    history.list(&user_id(user), None, None, 50).await.unwrap().rows
}

#[tokio::test]
async fn row_is_replaced_only_by_its_version_or_a_higher_one() {
    let StoreFixture { table, _backends, .. } = start_fixture().await;
    let history = DynamoHistoryStore::new(table);
    for (version, expected) in [(5, 5), (4, 5), (5, 5), (6, 6)] {
        history.put(&row("alice", RowState::Open, 1, version)).await.unwrap();
        let stored = list_all(&history, "alice").await;
        assert_eq!(stored, [row("alice", RowState::Open, 1, expected)], "{version}");
    }
    // A row of the same version replaces the view.
    let mut changed = row("alice", RowState::Open, 1, 6);
    changed.view.talk_millis = Some(1);
    history.put(&changed).await.unwrap();
    assert_eq!(list_all(&history, "alice").await, [changed.clone()]);
    history.delete(&user_id("alice"), &changed.key).await.unwrap();
    history.delete(&user_id("alice"), &changed.key).await.unwrap();
    assert_eq!(list_all(&history, "alice").await, []);
}

#[tokio::test]
async fn rows_are_listed_by_state_and_the_newest_first() {
    let StoreFixture { table, _backends, .. } = start_fixture().await;
    let history = DynamoHistoryStore::new(table);
    for (user, state, second) in [
        ("alice", RowState::Ended, 1),
        ("alice", RowState::Ended, 30),
        ("alice", RowState::Open, 20),
        ("alice", RowState::Ended, 10),
        ("alice2", RowState::Ended, 40),
        ("bob", RowState::Ended, 50),
    ] {
        history.put(&row(user, state, second, 1)).await.unwrap();
    }
    let pages = async |state: Option<RowState>, limit: u8| {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let RowPage { rows, next } =
                history.list(&user_id("alice"), state, after.as_ref(), limit).await.unwrap();
            let ids = rows.iter().map(|row| row.key.call_id.to_string());
            pages.push(ids.collect::<Vec<_>>().join(" "));
            after = next;
            if after.is_none() {
                return pages;
            }
        }
    };
    assert_eq!(pages(None, 50).await, ["c20 c30 c10 c1"]);
    assert_eq!(pages(Some(RowState::Open), 50).await, ["c20"]);
    assert_eq!(pages(None, 3).await, ["c20 c30 c10", "c1"]);
    assert_eq!(pages(Some(RowState::Ended), 2).await, ["c30 c10", "c1"]);
}

#[tokio::test]
async fn current_state_has_calls_and_deleted_users() {
    let StoreFixture { calls, users, table, _backends, .. } = start_fixture().await;
    let history = DynamoHistoryStore::new(table.clone());
    calls.begin(&new_call("a")).await.unwrap();
    activate_call(&calls, "a").await;
    for name in ["alice", "bob"] {
        let change = ProfileChange::default();
        users.merge(&user_id(name), &change, ProfileWriter::User, at_second(0)).await.unwrap();
    }
    DynamoErasureStore::new(table).begin(&user_id("bob"), at_second(5)).await.unwrap();
    let ids = BTreeSet::from([default_call_id(), call_id("missing")]);
    let members = BTreeSet::from(["alice", "bob", "carol"].map(user_id));
    let CurrentState { calls, deleted_users } = history.load_current(&ids, &members).await.unwrap();
    let states: Vec<_> = calls.values().map(|call| (call.call_id.clone(), call.state)).collect();
    assert_eq!(states, [(default_call_id(), CallState::Active)]);
    assert_eq!(deleted_users, BTreeSet::from([user_id("bob")]));
}

#[tokio::test]
async fn erasure_deletes_the_rows_of_the_user_only() {
    let StoreFixture { table, _backends, .. } = start_fixture().await;
    let history = DynamoHistoryStore::new(table.clone());
    // More rows than one request can delete.
    let rows: Vec<HistoryRow> =
        (0..60).map(|second| row("alice", RowState::Ended, second, 1)).collect();
    for result in join_all(rows.iter().map(|row| history.put(row))).await {
        result.unwrap();
    }
    history.put(&row("bob", RowState::Open, 1, 1)).await.unwrap();
    let erasures = DynamoErasureStore::new(table);
    erasures.finish(&user_id("alice"), at_second(40)).await.unwrap();
    assert_eq!(list_all(&history, "alice").await, []);
    assert_eq!(list_all(&history, "bob").await.len(), 1);
    erasures.finish(&user_id("alice"), at_second(41)).await.unwrap();
}
