//! The history of a user's calls: `GET /call`.

use std::time::Duration;

use e2e::TestApp;
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

const CID: &str = "default:c1";

async fn start() -> TestApp {
    TestApp::with_options(Options { webhooks: true, streams: true, ..Options::default() }).await
}

async fn join(app: &TestApp, user: &str) -> String {
    let session = app.stream().join(CID, user).unwrap();
    app.stream().webhooks_idle().await;
    session
}

/// The page of a user, once all changes are processed.
async fn list(app: &TestApp, user: &str, query: &str) -> Value {
    app.drain_streams().await;
    app.get(&format!("/call{query}"), user).await.expect_success().body
}

async fn call_ids(app: &TestApp, user: &str, query: &str) -> Vec<String> {
    let page = list(app, user, query).await;
    let calls = page["calls"].as_array().unwrap();
    calls.iter().map(|call| call["callId"].as_str().unwrap().to_owned()).collect()
}

/// Checks that each member's history has exactly the call, as `GET /call/{callId}` returns it.
async fn assert_rows_equal_item(app: &TestApp, status: &str) -> Value {
    let mut call = app.get("/call/c1", "alice").await.expect_success().body;
    for envelope in ["error", "message"] {
        call.as_object_mut().unwrap().remove(envelope);
    }
    assert_eq!(call["status"], status);
    for user in ["alice", "bob"] {
        let page = list(app, user, "").await;
        assert_eq!(page["calls"], json!([call]), "{user} {status}");
    }
    call
}

#[tokio::test]
async fn row_equals_the_item_at_each_stage() {
    let app = start().await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1", "maxDurationSeconds": 600});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    // The phone of an app that restarts finds the call that rings.
    assert_rows_equal_item(&app, "active").await;
    let alice = join(&app, "alice").await;
    app.advance_time(Duration::from_secs(3)).await;
    let bob = join(&app, "bob").await;
    let call = assert_rows_equal_item(&app, "active").await;
    assert_eq!(call["answered"], true);
    let extend = json!({"maxDurationSeconds": 1_200});
    let extended = app.post_as_service("/call/c1/extend", extend).await.expect_success();
    let call = assert_rows_equal_item(&app, "active").await;
    assert_eq!(call["endsAt"], extended.body["endsAt"]);
    app.advance_time(Duration::from_secs(30)).await;
    for session in [alice, bob] {
        app.stream().leave(CID, &session);
        app.stream().webhooks_idle().await;
    }
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.advance_minutes(1).await;
    assert_rows_equal_item(&app, "ended").await;
    app.advance_minutes(12).await;
    let call = assert_rows_equal_item(&app, "ended").await;
    assert_eq!(call["settled"], true);
    // The clock of the stack also runs between the advances.
    assert!((30..35).contains(&call["talkSeconds"].as_i64().unwrap()), "{call}");
}

#[tokio::test]
async fn pages_have_the_open_calls_first_and_the_newest_first() {
    let app = start().await;
    app.provision_users(&["alice", "bob"]).await;
    for n in 1..=7 {
        let create = json!({"receiverId": "bob", "callId": format!("c{n}"), "allowParallel": true});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        app.advance_time(Duration::from_secs(1)).await;
    }
    for n in [1, 3, 4, 7] {
        let end = json!({"callId": format!("c{n}")});
        let _ = app.post("/call/end", "bob", end).await.expect_success();
    }
    let all = ["c6", "c5", "c2", "c7", "c4", "c3", "c1"];
    assert_eq!(call_ids(&app, "bob", "").await, all);
    assert_eq!(call_ids(&app, "bob", "?state=open").await, all[..3]);
    assert_eq!(call_ids(&app, "bob", "?state=ended&limit=50").await, all[3..]);
    assert_eq!(call_ids(&app, "carol", "").await, [""; 0]);
    for limit in [1, 2, 3, 7, 8] {
        let (mut ids, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = list(&app, "alice", &format!("?limit={limit}{cursor}")).await;
            let calls = page["calls"].as_array().unwrap();
            ids.extend(calls.iter().map(|call| call["callId"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(ids, all, "{limit}");
        assert!(pages <= 7 / limit + 1, "{limit}: {pages}");
    }
}

#[tokio::test]
async fn page_costs_one_query() {
    let app = start().await;
    app.create_calls(&["c1"]).await;
    app.drain_streams().await;
    let _ = app.get("/call", "alice").await.expect_success();
    app.reset_counts();
    let _ = app.get("/call", "alice").await.expect_success();
    let counts = app.stack().dynamo().counts();
    let expected = [("GetItem".to_owned(), 1), ("Query".to_owned(), 1)].into();
    assert_eq!((counts, app.counts().1), (expected, 0));
}

#[tokio::test]
async fn invalid_queries_are_rejected() {
    let app = start().await;
    app.create_calls(&["c1", "c2"]).await;
    let page = list(&app, "alice", "?limit=1").await;
    let open = page["next"].as_str().unwrap();
    for query in [
        "?limit=0",
        "?limit=51",
        "?state=ringing",
        "?cursor=x",
        "?cursor=T1BFTiMxI2Mx",
        "?page=2",
        &format!("?state=ended&cursor={open}"),
    ] {
        let response = app.get(&format!("/call{query}"), "alice").await;
        assert_eq!(response.outcome(), (400, "invalid_query"), "{query}");
    }
    let response = app.send(http::Method::GET, "/call", &[], "").await;
    assert_eq!(response.outcome(), (401, "unauthenticated"));
}

#[tokio::test]
async fn history_is_erased_with_the_user() {
    let app = start().await;
    app.create_calls(&["c1", "c2"]).await;
    let _ = app.post("/call/end", "bob", json!({"callId": "c2"})).await.expect_success();
    assert_eq!(call_ids(&app, "alice", "").await.len(), 2);
    let _ = app.delete("/user/alice", "alice").await.expect_success();
    app.advance_minutes(1).await;
    // The end of the open call makes further changes, also after the rows are deleted.
    app.advance_minutes(13).await;
    app.drain_streams().await;
    let rows = app.scan_table().await.into_iter().filter(|item| {
        let sort = item["sk"]["S"].as_str().unwrap();
        item["pk"]["S"] == "USER#alice" && sort.starts_with("HISTORY#")
    });
    assert_eq!(rows.count(), 0);
    assert_eq!(call_ids(&app, "bob", "?state=ended").await, ["c2", "c1"]);
}

#[tokio::test]
async fn withdrawn_creation_has_no_row() {
    let app = start().await;
    app.provision_users(&["alice", "bob"]).await;
    let first = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", first).await.expect_success();
    let second = json!({"receiverId": "bob", "callId": "c2"});
    let existing = app.post("/call/create", "alice", second).await.expect_success();
    assert_eq!(existing.body["callId"], "c1");
    assert_eq!(call_ids(&app, "alice", "").await, ["c1"]);
}

#[tokio::test]
async fn sweeper_erases_the_history_of_a_user() {
    let app = start().await;
    app.create_calls(&["c1"]).await;
    assert_eq!(call_ids(&app, "alice", "").await, ["c1"]);
    app.stream().add_fault(FaultRule::for_operation(Operation::GetTask, Fault::Status(503)));
    assert_eq!(app.delete("/user/alice", "alice").await.status, 202);
    app.stream().clear_faults();
    let sweeps = app.advance_minutes(3).await;
    assert!(sweeps.iter().any(|sweep| sweep["erased"] == 1), "{sweeps:?}");
    let items = app.scan_table().await;
    let is_row = |item: &&Value| {
        let sort = item["sk"]["S"].as_str().unwrap();
        item["pk"]["S"] == "USER#alice" && sort.starts_with("HISTORY#")
    };
    assert_eq!(items.iter().filter(is_row).count(), 0);
}
