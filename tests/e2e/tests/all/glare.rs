//! Glare: concurrent creates from several members of a set result in one open call.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{TestApp, TestResponse};
use futures_util::future::{join, join_all};
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

async fn app_with_users() -> TestApp {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    app
}

async fn create_call(app: &TestApp, from: &str, body: Value) -> TestResponse {
    app.post("/call/create", from, body).await
}

/// Retries while the response is `call_not_active`, like a client.
async fn create_call_with_retries(app: &TestApp, from: &str, body: Value) -> TestResponse {
    let mut response = create_call(app, from, body.clone()).await;
    for _ in 0..20 {
        if response.outcome() != (409, "call_not_active") {
            break;
        }
        response = create_call(app, from, body.clone()).await;
    }
    response
}

/// The id of the call, and whether this request created it.
fn call_id_and_created(response: TestResponse) -> (String, bool) {
    let body = response.expect_success().body;
    assert_eq!(body["status"], "active");
    (body["callId"].as_str().unwrap().to_owned(), body["created"] == true)
}

fn receiver_body(user: &str) -> Value {
    json!({"receiverId": user})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_concurrent_creates_from_both_sides_make_one_call() {
    let app = TestApp::with_options(Options { max_instances: 8, ..Options::default() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let creates = (0..50).map(|n| {
        let (from, receiver) = if n % 2 == 0 { ("alice", "bob") } else { ("bob", "alice") };
        create_call_with_retries(&app, from, receiver_body(receiver))
    });
    let responses: Vec<_> = join_all(creates).await.into_iter().map(call_id_and_created).collect();
    let ids: BTreeSet<&String> = responses.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(responses.iter().filter(|(_, created)| *created).count(), 1);
    let id = &responses[0].0;
    assert_eq!(app.stream().live_calls(), [format!("default:{id}")]);
    assert_eq!(app.stream().live_channels(), [format!("messaging:call-{id}")]);
    // No second call was ever created.
    assert_eq!((app.stream().channels_created(), app.stream().calls_created()), (1, 1));
}

#[tokio::test]
async fn second_create_returns_the_open_call() {
    let app = app_with_users().await;
    let mut first = create_call(&app, "alice", json!({"receiverId": "bob", "callId": "c1"}))
        .await
        .expect_success()
        .body;
    first["created"] = json!(false);
    first["message"] = json!("Call exists");
    let before = app.stream().snapshot();
    for (from, body) in [
        ("alice", receiver_body("bob")),
        ("alice", json!({"receiverId": "bob", "callId": "c2"})),
        ("bob", receiver_body("alice")),
        ("bob", json!({"memberIds": ["alice", "bob"]})),
        // The open call is returned even if the other fields differ.
        ("bob", json!({"receiverId": "alice", "callId": "c2", "callType": "voice"})),
        ("bob", json!({"receiverId": "alice", "custom": {"price": 3}})),
    ] {
        let later = create_call(&app, from, body.clone()).await.expect_success();
        assert_eq!(later.body, first, "{from} {body}");
    }
    assert!(app.get_call_item("c2").await.is_null());
    assert_eq!(app.stream().snapshot(), before);
}

#[tokio::test]
async fn second_call_requires_allow_parallel() {
    let app = app_with_users().await;
    let (first, _) = call_id_and_created(create_call(&app, "alice", receiver_body("bob")).await);
    let parallel = json!({"receiverId": "alice", "allowParallel": true});
    let (second, created) = call_id_and_created(create_call(&app, "bob", parallel.clone()).await);
    assert!(created && second != first);
    let (third, created) = call_id_and_created(create_call(&app, "bob", parallel).await);
    assert!(created && third != first && third != second);
    // The parallel call is never the open call of the members.
    assert_eq!(
        call_id_and_created(create_call(&app, "bob", receiver_body("alice")).await),
        (first.clone(), false)
    );
    let _ = app.post("/call/end", "bob", json!({"callId": second})).await.expect_success();
    assert_eq!(
        call_id_and_created(create_call(&app, "bob", receiver_body("alice")).await),
        (first.clone(), false)
    );
    let _ = app.post("/call/end", "bob", json!({"callId": first})).await.expect_success();
    let (fourth, created) =
        call_id_and_created(create_call(&app, "alice", receiver_body("bob")).await);
    assert!(created && fourth != third);
    assert_eq!(app.stream().live_calls().len(), 2);
}

#[tokio::test]
async fn create_after_end_makes_a_new_call() {
    let app = app_with_users().await;
    let mut ids = BTreeSet::new();
    for (from, receiver) in [("alice", "bob"), ("bob", "alice"), ("alice", "bob")] {
        let (id, created) =
            call_id_and_created(create_call(&app, from, receiver_body(receiver)).await);
        assert!(created);
        let _ = app.post("/call/end", "bob", json!({"callId": id})).await.expect_success();
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
    // A call whose end has failed at Stream is over too.
    let (id, _) = call_id_and_created(create_call(&app, "alice", receiver_body("bob")).await);
    app.stream().add_fault(FaultRule::for_operation(Operation::EndCall, Fault::Status(503)));
    app.stream().add_fault(FaultRule::for_operation(Operation::DeleteChannel, Fault::Status(503)));
    let ending = app.post("/call/end", "alice", json!({"callId": id})).await;
    assert_eq!(ending.status, 202);
    let (next, created) =
        call_id_and_created(create_call(&app, "bob", receiver_body("alice")).await);
    assert!(created && next != id);
}

#[tokio::test]
async fn call_ended_at_stream_without_webhook_does_not_block_creates() {
    let app = app_with_users().await;
    for action in ["mark_ended", "delete"] {
        let (ended_id, created) =
            call_id_and_created(create_call(&app, "alice", receiver_body("bob")).await);
        assert!(created, "{action}");
        app.post_to_stream(&format!("video/call/default/{ended_id}/{action}"), &json!({})).await;
        assert_eq!(app.get_call_item(&ended_id).await["state"]["S"], "active");
        let (next, created) =
            call_id_and_created(create_call(&app, "bob", receiver_body("alice")).await);
        assert!(created && next != ended_id, "{action}");
        let item = app.get_call_item(&ended_id).await;
        assert_eq!(
            (&item["state"]["S"], &item["endReason"]["S"]),
            (&json!("ending"), &json!("ended_at_stream")),
            "{action}"
        );
        // The sweeper cleans up the old call only.
        assert_eq!(app.sweep().await["cleaned"], 1);
        assert_eq!(app.stream().live_channels(), [format!("messaging:call-{next}")]);
        assert_eq!(
            call_id_and_created(create_call(&app, "alice", receiver_body("bob")).await),
            (next.clone(), false)
        );
        let _ = app.post("/call/end", "bob", json!({"callId": next})).await.expect_success();
    }
}

/// Makes a create of Alice's fail between its channel and its call.
async fn abandon_create(app: &TestApp, id: &str) {
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::GetOrCreateCall, Fault::Status(503)));
    let body = json!({"receiverId": "bob", "callId": id});
    assert_eq!(create_call(app, "alice", body).await.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    assert_eq!(app.stream().live_channels(), [format!("messaging:call-{id}")]);
}

#[tokio::test]
async fn abandoned_create_blocks_only_until_its_lease_expires() {
    let app = app_with_users().await;
    abandon_create(&app, "c1").await;
    let busy = create_call(&app, "bob", json!({"receiverId": "alice", "callId": "c2"})).await;
    assert_eq!(busy.outcome(), (409, "call_not_active"));
    assert!(busy.headers.contains_key("retry-after"));
    assert!(app.get_call_item("c2").await.is_null());
    app.advance_time(Duration::from_secs(31)).await;
    let (next, created) =
        call_id_and_created(create_call(&app, "bob", receiver_body("alice")).await);
    assert!(created && next != "c1");
    let item = app.get_call_item("c1").await;
    assert_eq!(
        (&item["state"]["S"], &item["endReason"]["S"]),
        (&json!("ending"), &json!("not_created"))
    );
    app.sweep().await;
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "ended");
    assert_eq!(app.stream().live_channels(), [format!("messaging:call-{next}")]);
    assert_eq!(app.stream().live_calls(), [format!("default:{next}")]);
}

#[tokio::test]
async fn retry_resumes_an_abandoned_create() {
    let app = app_with_users().await;
    abandon_create(&app, "c1").await;
    // The request has no call id, but is otherwise equal.
    assert_eq!(
        call_id_and_created(create_call(&app, "alice", receiver_body("bob")).await),
        ("c1".to_owned(), true)
    );
    assert_eq!(
        call_id_and_created(create_call(&app, "bob", receiver_body("alice")).await),
        ("c1".to_owned(), false)
    );
    assert_eq!((app.stream().channels_created(), app.stream().calls_created()), (1, 1));
}

#[tokio::test]
async fn same_call_id_from_both_sides_makes_one_call() {
    let app = app_with_users().await;
    let body = |receiver: &str, id: &str| json!({"receiverId": receiver, "callId": id});
    for n in 0..5 {
        let id = format!("c{n}");
        let (alices, bobs) = join(
            create_call_with_retries(&app, "alice", body("bob", &id)),
            create_call_with_retries(&app, "bob", body("alice", &id)),
        )
        .await;
        let (alices, bobs) = (call_id_and_created(alices), call_id_and_created(bobs));
        assert_eq!((&alices.0, &bobs.0), (&id, &id));
        assert!(alices.1 != bobs.1, "{alices:?} {bobs:?}");
        assert_eq!(app.stream().live_calls(), [format!("default:{id}")]);
        // Repeats return the call.
        for (from, receiver) in [("alice", "bob"), ("bob", "alice")] {
            let again = call_id_and_created(create_call(&app, from, body(receiver, &id)).await);
            assert_eq!(again, (id.clone(), false));
        }
        let _ = app.post("/call/end", "alice", json!({"callId": id})).await.expect_success();
        let after_end = create_call(&app, "bob", body("alice", &id)).await;
        assert_eq!(after_end.outcome(), (409, "call_ended"));
    }
    assert_eq!(app.stream().calls_created(), 5);
}

#[tokio::test]
async fn different_members_get_different_calls() {
    let app = app_with_users().await;
    let (pair, _) = call_id_and_created(create_call(&app, "alice", receiver_body("bob")).await);
    let (three, created) = call_id_and_created(
        create_call(&app, "alice", json!({"memberIds": ["bob", "carol"]})).await,
    );
    assert!(created && three != pair);
    let (other_pair, created) =
        call_id_and_created(create_call(&app, "alice", receiver_body("carol")).await);
    assert!(created && other_pair != pair && other_pair != three);
    // The caller and the order of the members do not matter.
    for (from, members) in [("carol", ["bob", "alice"]), ("bob", ["carol", "alice"])] {
        let again =
            call_id_and_created(create_call(&app, from, json!({"memberIds": members})).await);
        assert_eq!(again, (three.clone(), false));
    }
    assert_eq!(
        call_id_and_created(create_call(&app, "bob", receiver_body("alice")).await),
        (pair, false)
    );
    assert_eq!(app.stream().live_calls().len(), 3);
}
