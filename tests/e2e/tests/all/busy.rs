//! Busy: a call of two is rejected while its callee is in an answered call of other members.

use std::time::Duration;

use e2e::{TestApp, TestResponse};
use futures_util::future::join;
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

async fn app_with_users() -> TestApp {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.provision_users(&["alice", "bob", "carol", "dave"]).await;
    app
}

async fn dial(app: &TestApp, from: &str, body: Value) -> TestResponse {
    app.post("/call/create", from, body).await
}

fn to(user: &str) -> Value {
    json!({"receiverId": user, "ring": true})
}

fn call_id(response: TestResponse) -> String {
    response.expect_success().body["callId"].as_str().unwrap().to_owned()
}

/// Bob and Carol are in the call `c1`. Returns their sessions.
async fn answered_call(app: &TestApp) -> [String; 2] {
    let body = json!({"receiverId": "carol", "callId": "c1", "ring": true});
    let _ = dial(app, "bob", body).await.expect_success();
    let sessions = ["bob", "carol"].map(|user| app.stream().join("default:c1", user).unwrap());
    app.stream().webhooks_idle().await;
    sessions
}

#[tokio::test]
async fn members_of_an_answered_call_are_busy() {
    let app = app_with_users().await;
    answered_call(&app).await;
    let before = app.stream().snapshot();
    let items = app.scan_table().await.len();
    for user in ["bob", "carol"] {
        let mut body = to(user);
        body["callId"] = json!("c2");
        app.reset_counts();
        assert_eq!(dial(&app, "alice", body).await.outcome(), (409, "user_busy"), "{user}");
        // Reserve, members, pointer; read the call; release, clear the pointer. `GetCall`.
        assert_eq!(app.counts(), (6, 1), "{user}");
    }
    // Nothing rings, and nothing is left.
    assert!(app.stream().snapshot() == before);
    assert_eq!(app.scan_table().await.len(), items);
    // The caller's own other call does not matter.
    assert_ne!(call_id(dial(&app, "bob", to("alice")).await), "c1");
    // Alice's phone rings, and she has not answered.
    let _ = dial(&app, "dave", to("alice")).await.expect_success();
}

#[tokio::test]
async fn busy_callee_is_called_with_when_busy_ring() {
    let app = app_with_users().await;
    answered_call(&app).await;
    let mut body = to("bob");
    body["whenBusy"] = json!("ring");
    app.reset_counts();
    let created = dial(&app, "alice", body.clone()).await.expect_success();
    assert_eq!((&created.body["created"], &created.body["rung"]), (&json!(true), &json!(true)));
    assert_eq!(app.counts(), (4, 2));
    let id = created.body["callId"].as_str().unwrap();
    let rings = app.stream().rings(&format!("default:{id}")).into_iter();
    assert_eq!(rings.map(|ring| ring.user_id).collect::<Vec<_>>(), ["bob"]);
    // `whenBusy` is not in the fingerprint.
    let create = json!({"receiverId": "bob", "callId": "c5", "allowParallel": true});
    let mut ring = create.clone();
    ring["whenBusy"] = json!("ring");
    let _ = dial(&app, "alice", ring).await.expect_success();
    let repeated = dial(&app, "alice", create).await.expect_success();
    assert_eq!(repeated.body["created"], json!(false));
    body["whenBusy"] = json!("wait");
    assert_eq!(dial(&app, "alice", body).await.outcome(), (400, "invalid_body"));
}

#[tokio::test]
async fn callee_is_free_after_the_call() {
    let app = app_with_users().await;
    let [bob, carol] = answered_call(&app).await;
    // Bob has left, and Carol remains.
    app.stream().leave("default:c1", &bob);
    app.stream().webhooks_idle().await;
    let first = call_id(dial(&app, "alice", to("bob")).await);
    assert_eq!(dial(&app, "dave", to("carol")).await.outcome(), (409, "user_busy"));
    app.stream().leave("default:c1", &carol);
    app.stream().webhooks_idle().await;
    let _ = dial(&app, "dave", to("carol")).await.expect_success();
    assert_ne!(first, "c1");
}

#[tokio::test]
async fn callee_is_free_after_the_end() {
    let app = app_with_users().await;
    answered_call(&app).await;
    let _ = app.post("/call/end", "bob", json!({"callId": "c1"})).await.expect_success();
    app.stream().webhooks_idle().await;
    app.reset_counts();
    let _ = dial(&app, "alice", to("bob")).await.expect_success();
    // One read more: the item shows the end.
    assert_eq!(app.counts(), (5, 2));
}

#[tokio::test]
async fn callee_of_a_ringing_call_is_not_busy() {
    let app = app_with_users().await;
    let body = json!({"receiverId": "carol", "callId": "c1", "ring": true});
    let _ = dial(&app, "bob", body).await.expect_success();
    app.stream().join("default:c1", "bob").unwrap();
    app.stream().webhooks_idle().await;
    // Bob waits in a call that Carol has not answered.
    let _ = dial(&app, "alice", to("bob")).await.expect_success();
    let _ = dial(&app, "dave", to("carol")).await.expect_success();
}

#[tokio::test]
async fn stale_pointer_does_not_make_busy() {
    let app = app_with_users().await;
    let pointer = |id: &str| {
        json!({
            "pk": {"S": "USER#bob"},
            "sk": {"S": "IN_CALL"},
            "callId": {"S": id},
            "joinedAt": {"N": app.now_millis().to_string()},
        })
    };
    app.put_item(pointer("gone")).await;
    let first = call_id(dial(&app, "alice", to("bob")).await);
    let _ = app.post("/call/end", "alice", json!({"callId": first})).await.expect_success();
    // A call that Bob is not in, or not a member of.
    let others = json!({"receiverId": "dave", "callId": "c2"});
    let _ = dial(&app, "carol", others).await.expect_success();
    app.put_item(pointer("c2")).await;
    let _ = dial(&app, "alice", to("bob")).await.expect_success();
}

#[tokio::test]
async fn item_decides_while_stream_is_unreachable() {
    let app = app_with_users().await;
    answered_call(&app).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    assert_eq!(dial(&app, "alice", to("bob")).await.outcome(), (409, "user_busy"));
    app.stream().clear_faults();
    app.stream().delete_call("default:c1");
    let _ = dial(&app, "alice", to("bob")).await.expect_success();
}

#[tokio::test]
async fn open_call_of_the_same_members_is_not_busy() {
    let app = app_with_users().await;
    answered_call(&app).await;
    let again = dial(&app, "bob", to("carol")).await.expect_success();
    assert_eq!(
        (&again.body["callId"], &again.body["created"], &again.body["rung"]),
        (&json!("c1"), &json!(false), &json!(false))
    );
    // A parallel call of the same members, too.
    let parallel = json!({"receiverId": "carol", "allowParallel": true});
    let _ = dial(&app, "bob", parallel).await.expect_success();
}

#[tokio::test]
async fn calls_of_three_are_never_busy() {
    let app = app_with_users().await;
    answered_call(&app).await;
    let group = json!({"memberIds": ["bob", "dave"], "ring": true});
    let _ = dial(&app, "alice", group).await.expect_success();
}

/// Two callers call the same user at once: both ring, until one call is answered.
#[tokio::test]
async fn two_callers_ring_one_callee() {
    let app = app_with_users().await;
    let (alices, daves) = join(dial(&app, "alice", to("bob")), dial(&app, "dave", to("bob"))).await;
    let (first, second) = (call_id(alices), call_id(daves));
    assert_ne!(first, second);
    for user in ["alice", "bob"] {
        app.stream().join(&format!("default:{first}"), user).unwrap();
    }
    app.stream().webhooks_idle().await;
    assert_eq!(dial(&app, "carol", to("bob")).await.outcome(), (409, "user_busy"));
}

#[tokio::test]
async fn unknown_callee_is_not_busy() {
    let app = app_with_users().await;
    answered_call(&app).await;
    app.reset_counts();
    let unknown = dial(&app, "alice", to("erin")).await;
    assert_eq!(unknown.outcome(), (404, "user_not_found"));
    assert_eq!(app.counts().1, 0);
}

#[tokio::test]
async fn erasure_deletes_the_pointer() {
    let app = app_with_users().await;
    answered_call(&app).await;
    assert_eq!(app.get_item("USER#bob", "IN_CALL").await["callId"]["S"], "c1");
    let _ = app.delete("/user/bob", "bob").await.expect_success();
    app.advance_time(Duration::from_mins(1)).await;
    app.sweep().await;
    assert!(app.get_item("USER#bob", "IN_CALL").await.is_null());
}
