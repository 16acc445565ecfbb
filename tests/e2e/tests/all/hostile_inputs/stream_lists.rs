//! Unreadable entries in the lists of Stream, and entries without a creator. They are skipped, and
//! do not stop the work on the others.

use std::time::Duration;

use e2e::TestApp;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

/// Entries that are no call, channel, message or user.
fn unreadable_entries() -> Vec<Value> {
    vec![
        json!(null),
        json!(7),
        json!("x"),
        json!([]),
        json!({"call": {}, "channel": {}}),
        json!({"call": {"id": 7, "type": "default"}, "channel": {"id": 7}}),
        json!({"call": null, "channel": []}),
        json!({"id": ["x"], "created_at": "yesterday"}),
    ]
}

/// An entry of a call, without its creator and without a time.
fn call_entry(id: &str) -> Value {
    let channel_cid = format!("messaging:call-{id}");
    json!({"call": {"id": id, "type": "default", "created_by": null, "channel_cid": channel_cid}})
}

/// An entry of a channel, without its creator and without a time.
fn channel_entry(id: &str) -> Value {
    json!({"channel": {"id": format!("call-{id}"), "custom": {"call_id": id}}})
}

/// Makes Stream respond once to this operation with a list of these entries among unreadable ones.
fn respond_once(app: &TestApp, operation: Operation, name: &str, entries: Vec<Value>) {
    let mut list = unreadable_entries();
    list.extend(entries);
    list.extend(unreadable_entries());
    let fault = Fault::body(201, json!({name: list}).to_string());
    app.stream().add_fault(FaultRule::for_operation(operation, fault).once());
}

async fn assert_closed(app: &TestApp, id: &str) {
    assert_eq!(app.get_call_item(id).await["state"]["S"], "ended", "{id}");
    let call = app.stream().call(&format!("default:{id}")).unwrap();
    assert!(call.ended_at.is_some(), "{id}");
    assert!(app.stream().channel(&format!("messaging:call-{id}")).is_none(), "{id}");
}

#[tokio::test]
async fn unreadable_entries_do_not_stop_a_sweep() {
    let app = TestApp::start().await;
    let ids = ["c0", "c1", "c2"];
    app.create_calls(&ids).await;
    app.advance_time(Duration::from_mins(2)).await;
    // The list has one of the calls. Those that it lacks are read one by one.
    respond_once(&app, Operation::QueryCalls, "calls", vec![call_entry("c0")]);
    let channels = ids.map(channel_entry).into();
    respond_once(&app, Operation::QueryChannels, "channels", channels);
    let sweep = app.sweep().await;
    assert_eq!((&sweep["due"], &sweep["failed"]), (&json!(3), &json!(0)));
    assert_eq!(sweep["ended"], json!({"not_joined": 3}));
    assert_eq!(sweep["cleaned"], 3);
    for id in ids {
        assert_closed(&app, id).await;
    }
}

#[tokio::test]
async fn channel_missing_in_the_list_is_deleted_by_the_recheck() {
    let app = TestApp::with_call("c1").await;
    app.advance_time(Duration::from_mins(2)).await;
    respond_once(&app, Operation::QueryChannels, "channels", Vec::new());
    assert_eq!(app.sweep().await["failed"], 0);
    app.advance_minutes(4).await;
    assert_closed(&app, "c1").await;
    // The recheck found a channel, so another one follows.
    app.advance_minutes(12).await;
    assert!(app.get_call_item("c1").await["dueAt"].is_null());
}

/// Without a readable list, every call is read by itself.
#[tokio::test]
async fn unreadable_list_does_not_stop_a_sweep() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    for (n, body) in
        ["{}", "[]", r#"{"calls":{}}"#, r#"{"calls":"x"}"#, "<html></html>"].iter().enumerate()
    {
        let id = format!("c{n}");
        let create = json!({"receiverId": "bob", "callId": id});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        app.advance_time(Duration::from_mins(2)).await;
        let fault = FaultRule::for_operation(Operation::QueryCalls, Fault::body(200, *body));
        app.stream().add_fault(fault);
        let sweep = app.sweep().await;
        let summary = (&sweep["failed"], &sweep["ended"]);
        assert_eq!(summary, (&json!(0), &json!({"not_joined": 1})), "{body}");
        assert_closed(&app, &id).await;
        app.stream().clear_faults();
    }
}

/// A stack with a call and two orphans, which are old enough for a reconciliation.
async fn app_with_orphans() -> TestApp {
    let app = TestApp::start().await;
    app.create_calls(&["kept", "lost1", "lost2"]).await;
    for id in ["lost1", "lost2"] {
        app.delete_item(&format!("CALL#{id}"), "CALL").await;
    }
    app.advance_time(Duration::from_mins(11)).await;
    app
}

fn assert_only_orphans_removed(app: &TestApp) {
    assert_eq!(app.stream().live_calls(), ["default:kept"]);
    assert_eq!(app.stream().live_channels(), ["messaging:call-kept"]);
}

#[tokio::test]
async fn unreadable_entries_do_not_stop_a_reconciliation() {
    let app = app_with_orphans().await;
    let ids = ["lost1", "kept", "lost2"];
    respond_once(&app, Operation::QueryChannels, "channels", ids.map(channel_entry).into());
    respond_once(&app, Operation::QueryCalls, "calls", ids.map(call_entry).into());
    let expected = json!({
        "channels": 3,
        "calls": 3,
        "deleted": 2,
        "ended": 2,
        "failed": 0,
        "truncated": false,
    });
    assert_eq!(app.reconcile().await, expected);
    assert_only_orphans_removed(&app);
}

/// A page that cannot be read is skipped, and the pages after it are reconciled.
#[tokio::test]
async fn unreadable_page_does_not_stop_a_reconciliation() {
    let app = app_with_orphans().await;
    for operation in [Operation::QueryChannels, Operation::QueryCalls] {
        let fault = FaultRule::for_operation(operation, Fault::body(200, "{}"));
        app.stream().add_fault(fault.times(2));
    }
    let summary = app.reconcile().await;
    assert_eq!((&summary["deleted"], &summary["ended"]), (&json!(2), &json!(2)));
    assert_eq!((&summary["failed"], &summary["truncated"]), (&json!(4), &json!(false)));
    assert_only_orphans_removed(&app);
}

/// If all pages are unreadable, the reconciliation ends without a change.
#[tokio::test]
async fn reconciliation_of_unreadable_pages_ends() {
    let app = app_with_orphans().await;
    for operation in [Operation::QueryChannels, Operation::QueryCalls] {
        app.stream().add_fault(FaultRule::for_operation(operation, Fault::body(200, "[]")));
    }
    let summary = app.reconcile().await;
    assert_eq!((&summary["deleted"], &summary["ended"]), (&json!(0), &json!(0)));
    assert_eq!(summary["truncated"], false);
    assert_eq!((app.stream().live_calls().len(), app.stream().live_channels().len()), (3, 3));
    app.stream().clear_faults();
    assert_eq!(app.reconcile().await["deleted"], 2);
    assert_only_orphans_removed(&app);
}

/// Deletions without a readable result count as not done.
#[tokio::test]
async fn unreadable_deletions_are_not_counted() {
    let app = app_with_orphans().await;
    for body in [
        r#"{"result":null}"#,
        r#"{"result":{}}"#,
        r#"{"result":{"messaging:call-lost1":7,"messaging:call-lost2":{"status":7}}}"#,
        r#"{"result":{"messaging:call-lost1":{"status":"error","error":"x"}}}"#,
    ] {
        let fault = FaultRule::for_operation(Operation::DeleteChannels, Fault::body(200, body));
        app.stream().add_fault(fault.once());
        assert_eq!(app.reconcile().await["deleted"], 0, "{body}");
    }
    assert_eq!(app.reconcile().await["deleted"], 2);
    assert_only_orphans_removed(&app);
}

#[tokio::test]
async fn unreadable_messages_are_left_out() {
    let app = TestApp::with_call("c1").await;
    let message = json!({
        "id": "m1",
        "cid": "messaging:call-c1",
        "text": null,
        "type": "regular",
        "user": null,
        "attachments": null,
        "created_at": "2026-01-01T00:00:00Z",
    });
    respond_once(&app, Operation::GetChannel, "messages", vec![message]);
    let page = app.get("/message/call-c1", "alice").await.expect_success();
    let ids: Vec<_> =
        page.body["messages"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!((ids, &page.body["hasMore"]), (vec![&json!("m1")], &json!(false)));
    let empty =
        FaultRule::for_operation(Operation::GetChannel, Fault::body(200, r#"{"messages":null}"#));
    app.stream().add_fault(empty.once());
    let page = app.get("/message/call-c1", "alice").await.expect_success();
    assert_eq!(page.body["messages"], json!([]));
}

/// The erasure of a user ends the user's calls that the list has.
#[tokio::test]
async fn unreadable_calls_do_not_stop_an_erasure() {
    let app = TestApp::with_call("c1").await;
    respond_once(&app, Operation::QueryCalls, "calls", vec![call_entry("c1")]);
    let erased = app.delete("/user/alice", "alice").await.expect_success();
    assert_eq!(erased.body["status"], "deleted");
    let call = app.get("/call/c1", "bob").await.expect_success();
    assert_eq!(call.body["endReason"], "user_deleted");
}

/// The page before unreadable messages can still be requested.
#[tokio::test]
async fn page_of_unreadable_messages_has_a_cursor_or_is_the_last() {
    let app = TestApp::with_call("c1").await;
    respond_once(&app, Operation::GetChannel, "messages", Vec::new());
    // The response must conform to the OpenAPI document: with `hasMore`, there is a `next`.
    let page = app.get("/message/call-c1?limit=2", "alice").await.expect_success();
    assert_eq!(page.body["messages"], json!([]));
}
