//! Glare: whoever of them calls, and however often, a set of members has one call open.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{Answer, App};
use futures_util::future::{join, join_all};
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

async fn app() -> App {
    let app = App::start().await;
    app.known(&["alice", "bob", "carol"]).await;
    app
}

async fn create(app: &App, from: &str, body: Value) -> Answer {
    app.post("/call/create", from, body).await
}

/// Asks again where the answer is to come back later, as a client does.
async fn patiently(app: &App, from: &str, body: Value) -> Answer {
    let mut answer = create(app, from, body.clone()).await;
    for _ in 0..20 {
        if answer.outcome() != (409, "call_not_active") {
            break;
        }
        answer = create(app, from, body.clone()).await;
    }
    answer
}

/// The call's id, and whether this request made it.
fn made(answer: Answer) -> (String, bool) {
    let body = answer.good().body;
    assert_eq!(body["status"], "active");
    (body["callId"].as_str().unwrap().to_owned(), body["created"] == true)
}

fn to(user: &str) -> Value {
    json!({"receiverId": user})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_by_both_sides_make_one_call() {
    let app = App::with(Options { max_instances: 8, ..Options::default() }).await;
    app.known(&["alice", "bob"]).await;
    let creates = (0..50).map(|n| {
        let (from, receiver) = if n % 2 == 0 { ("alice", "bob") } else { ("bob", "alice") };
        patiently(&app, from, to(receiver))
    });
    let answers: Vec<_> = join_all(creates).await.into_iter().map(made).collect();
    let ids: BTreeSet<&String> = answers.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
    let id = &answers[0].0;
    assert_eq!(app.stream().live_calls(), [format!("default:{id}")]);
    assert_eq!(app.stream().live_channels(), [format!("messaging:call-{id}")]);
    // Nor was there ever another one.
    assert_eq!((app.stream().channels_ever(), app.stream().calls_ever()), (1, 1));
}

#[tokio::test]
async fn the_later_create_gets_the_call_that_is_open() {
    let app = app().await;
    let mut first =
        create(&app, "alice", json!({"receiverId": "bob", "callId": "c1"})).await.good().body;
    first["created"] = json!(false);
    first["message"] = json!("Call exists");
    let before = app.stream().snapshot();
    for (from, body) in [
        ("alice", to("bob")),
        ("alice", json!({"receiverId": "bob", "callId": "c2"})),
        ("bob", to("alice")),
        ("bob", json!({"memberIds": ["alice", "bob"]})),
        // What else it says is not what the open call is.
        ("bob", json!({"receiverId": "alice", "callId": "c2", "callType": "voice", "ring": true})),
        ("bob", json!({"receiverId": "alice", "custom": {"price": 3}})),
    ] {
        let later = create(&app, from, body.clone()).await.good();
        assert_eq!(later.body, first, "{from} {body}");
    }
    assert!(app.call_item("c2").await.is_null());
    assert_eq!(app.stream().snapshot(), before);
}

#[tokio::test]
async fn a_call_beside_the_open_one_has_to_be_asked_for() {
    let app = app().await;
    let (first, _) = made(create(&app, "alice", to("bob")).await);
    let parallel = json!({"receiverId": "alice", "allowParallel": true});
    let (second, created) = made(create(&app, "bob", parallel.clone()).await);
    assert!(created && second != first);
    let (third, created) = made(create(&app, "bob", parallel).await);
    assert!(created && third != first && third != second);
    // It is not the open one, neither now nor when that is over.
    assert_eq!(made(create(&app, "bob", to("alice")).await), (first.clone(), false));
    let _ = app.post("/call/end", "bob", json!({"callId": second})).await.good();
    assert_eq!(made(create(&app, "bob", to("alice")).await), (first.clone(), false));
    let _ = app.post("/call/end", "bob", json!({"callId": first})).await.good();
    let (fourth, created) = made(create(&app, "alice", to("bob")).await);
    assert!(created && fourth != third);
    assert_eq!(app.stream().live_calls().len(), 2);
}

#[tokio::test]
async fn after_the_end_there_is_another_call() {
    let app = app().await;
    let mut ids = BTreeSet::new();
    for (from, receiver) in [("alice", "bob"), ("bob", "alice"), ("alice", "bob")] {
        let (id, created) = made(create(&app, from, to(receiver)).await);
        assert!(created);
        let _ = app.post("/call/end", "bob", json!({"callId": id})).await.good();
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
    // One whose end Stream has not taken yet is over, too.
    let (id, _) = made(create(&app, "alice", to("bob")).await);
    app.stream().script(Rule::on(Operation::EndCall, Fault::Status(503)));
    app.stream().script(Rule::on(Operation::DeleteChannel, Fault::Status(503)));
    let ending = app.post("/call/end", "alice", json!({"callId": id})).await;
    assert_eq!(ending.status, 202);
    let (next, created) = made(create(&app, "bob", to("alice")).await);
    assert!(created && next != id);
}

#[tokio::test]
async fn a_call_that_is_over_at_stream_blocks_nobody_although_nobody_told_us() {
    let app = app().await;
    for done in ["mark_ended", "delete"] {
        let (over, created) = made(create(&app, "alice", to("bob")).await);
        assert!(created, "{done}");
        app.post_to_stream(&format!("video/call/default/{over}/{done}"), &json!({})).await;
        assert_eq!(app.call_item(&over).await["state"]["S"], "active");
        let (next, created) = made(create(&app, "bob", to("alice")).await);
        assert!(created && next != over, "{done}");
        let item = app.call_item(&over).await;
        assert_eq!(
            (&item["state"]["S"], &item["endReason"]["S"]),
            (&json!("ending"), &json!("ended_at_stream")),
            "{done}"
        );
        // The sweeper clears away what is left of it, and nothing else.
        assert_eq!(app.sweep().await["cleared"], 1);
        assert_eq!(app.stream().live_channels(), [format!("messaging:call-{next}")]);
        assert_eq!(made(create(&app, "alice", to("bob")).await), (next.clone(), false));
        let _ = app.post("/call/end", "bob", json!({"callId": next})).await.good();
    }
}

/// Makes a create of Alice's die between its channel and its call.
async fn die(app: &App, id: &str) {
    app.stream().script(Rule::on(Operation::GetOrCreateCall, Fault::Status(503)));
    let body = json!({"receiverId": "bob", "callId": id});
    assert_eq!(create(app, "alice", body).await.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    assert_eq!(app.stream().live_channels(), [format!("messaging:call-{id}")]);
}

#[tokio::test]
async fn a_create_that_died_blocks_nobody_for_longer_than_its_lease() {
    let app = app().await;
    die(&app, "c1").await;
    let busy = create(&app, "bob", json!({"receiverId": "alice", "callId": "c2"})).await;
    assert_eq!(busy.outcome(), (409, "call_not_active"));
    assert!(busy.headers.contains_key("retry-after"));
    assert!(app.call_item("c2").await.is_null());
    app.pass(Duration::from_secs(31)).await;
    let (next, created) = made(create(&app, "bob", to("alice")).await);
    assert!(created && next != "c1");
    let item = app.call_item("c1").await;
    assert_eq!(
        (&item["state"]["S"], &item["endReason"]["S"]),
        (&json!("ending"), &json!("not_created"))
    );
    app.sweep().await;
    assert_eq!(app.call_item("c1").await["state"]["S"], "ended");
    assert_eq!(app.stream().live_channels(), [format!("messaging:call-{next}")]);
    assert_eq!(app.stream().live_calls(), [format!("default:{next}")]);
}

#[tokio::test]
async fn the_same_tap_again_helps_a_create_that_died() {
    let app = app().await;
    die(&app, "c1").await;
    // It does not name the call, but it asks for the same.
    assert_eq!(made(create(&app, "alice", to("bob")).await), ("c1".to_owned(), true));
    assert_eq!(made(create(&app, "bob", to("alice")).await), ("c1".to_owned(), false));
    assert_eq!((app.stream().channels_ever(), app.stream().calls_ever()), (1, 1));
}

#[tokio::test]
async fn both_sides_may_choose_the_same_id() {
    let app = app().await;
    let body = |receiver: &str, id: &str| json!({"receiverId": receiver, "callId": id});
    for n in 0..5 {
        let id = format!("c{n}");
        let (one, other) = join(
            patiently(&app, "alice", body("bob", &id)),
            patiently(&app, "bob", body("alice", &id)),
        )
        .await;
        let (one, other) = (made(one), made(other));
        assert_eq!((&one.0, &other.0), (&id, &id));
        assert!(one.1 != other.1, "{one:?} {other:?}");
        assert_eq!(app.stream().live_calls(), [format!("default:{id}")]);
        // And once more when it is there.
        for (from, receiver) in [("alice", "bob"), ("bob", "alice")] {
            let again = made(create(&app, from, body(receiver, &id)).await);
            assert_eq!(again, (id.clone(), false));
        }
        let _ = app.post("/call/end", "alice", json!({"callId": id})).await.good();
        let over = create(&app, "bob", body("alice", &id)).await;
        assert_eq!(over.outcome(), (409, "call_ended"));
    }
    assert_eq!(app.stream().calls_ever(), 5);
}

#[tokio::test]
async fn other_members_have_another_call() {
    let app = app().await;
    let (pair, _) = made(create(&app, "alice", to("bob")).await);
    let (three, created) =
        made(create(&app, "alice", json!({"memberIds": ["bob", "carol"]})).await);
    assert!(created && three != pair);
    let (other_pair, created) = made(create(&app, "alice", to("carol")).await);
    assert!(created && other_pair != pair && other_pair != three);
    // Whoever of them asks, and in whatever order they are named.
    for (from, members) in [("carol", ["bob", "alice"]), ("bob", ["carol", "alice"])] {
        let again = made(create(&app, from, json!({"memberIds": members})).await);
        assert_eq!(again, (three.clone(), false));
    }
    assert_eq!(made(create(&app, "bob", to("alice")).await), (pair, false));
    assert_eq!(app.stream().live_calls().len(), 3);
}
