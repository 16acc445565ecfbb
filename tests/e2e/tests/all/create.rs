//! Creating calls: once, whatever happens at the same time.

use std::time::Duration;

use e2e::{Answer, App};
use futures_util::future::{join, join_all};
use local::Options;
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

fn to_bob(id: &str) -> Value {
    json!({"receiverId": "bob", "callId": id})
}

/// What is the same in every answer for one call.
fn call(answer: &Answer) -> Value {
    let mut body = answer.timeless();
    for key in ["created", "message"] {
        body.as_object_mut().unwrap().remove(key);
    }
    body
}

#[tokio::test]
async fn twenty_at_once_make_one_call() {
    let app = App::with(Options { max_instances: 8, ..Options::default() }).await;
    app.known(&["alice", "bob"]).await;
    let answers = join_all((0..20).map(|_| app.post("/call/create", "alice", to_bob("c1")))).await;
    let answers: Vec<_> = answers.into_iter().map(Answer::good).collect();
    for answer in &answers {
        assert_eq!(call(answer), call(&answers[0]));
    }
    let created = answers.iter().filter(|answer| answer.body["created"] == true).count();
    assert_eq!(created, 1);
    assert_eq!((app.stream().channels_ever(), app.stream().calls_ever()), (1, 1));
    assert_eq!(app.stream().live_channels(), ["messaging:call-c1"]);
    assert_eq!(app.stream().live_calls(), ["default:c1"]);
}

#[tokio::test]
async fn the_same_request_again_is_the_same_call() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let first = app.post("/call/create", "alice", to_bob("c1")).await.good();
    app.reset_counts();
    let again = app.post("/call/create", "alice", to_bob("c1")).await.good();
    assert_eq!(call(&again), call(&first));
    assert_eq!((&first.body["created"], &again.body["created"]), (&json!(true), &json!(false)));
    assert_eq!(app.counts().1, 0);
}

#[tokio::test]
async fn an_id_names_one_request_of_one_user() {
    let app = App::start().await;
    app.known(&["alice", "bob", "carol"]).await;
    let _ = app.post("/call/create", "alice", to_bob("c1")).await.good();
    let before = (app.stream().snapshot(), app.item("CALL#c1", "CALL").await);
    for body in [
        json!({"receiverId": "carol", "callId": "c1"}),
        json!({"receiverId": "bob", "callId": "c1", "callType": "voice"}),
        json!({"receiverId": "bob", "callId": "c1", "custom": {"price": 3}}),
        json!({"memberIds": ["bob", "carol"], "callId": "c1"}),
    ] {
        let answer = app.post("/call/create", "alice", body).await;
        assert_eq!(answer.outcome(), (409, "call_id_reused"));
    }
    let other = json!({"receiverId": "carol", "callId": "c1"});
    let answer = app.post("/call/create", "bob", other).await;
    assert_eq!(answer.outcome(), (404, "call_not_found"));
    assert_eq!((app.stream().snapshot(), app.item("CALL#c1", "CALL").await), before);
}

#[tokio::test]
async fn a_call_that_ended_does_not_come_back() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let _ = app.post("/call/create", "alice", to_bob("c1")).await.good();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    let answer = app.post("/call/create", "alice", to_bob("c1")).await;
    assert_eq!(answer.outcome(), (409, "call_ended"));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn a_call_that_is_over_at_stream_does_not_come_back_either() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let _ = app.post("/call/create", "alice", to_bob("c1")).await.good();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    app.forget("CALL#c1", "CALL").await;
    let answer = app.post("/call/create", "alice", to_bob("c1")).await;
    assert_eq!(answer.outcome(), (409, "call_ended"));
    assert!(app.stream().live_channels().is_empty());
    app.reset_counts();
    let ended = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    assert_eq!((&ended.body["status"], app.counts()), (&json!("ended"), (1, 0)));
}

/// What somebody else made at Stream under an id is not taken over, and not cleared away either.
#[tokio::test]
async fn what_is_not_ours_at_stream_is_left_alone() {
    let app = App::start().await;
    app.known(&["alice", "bob", "mallory"]).await;
    let hers = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "mallory", hers).await.good();
    app.forget("CALL#c1", "CALL").await;
    let before = app.stream().snapshot();
    let answer = app.post("/call/create", "alice", to_bob("c1")).await;
    assert_eq!(answer.outcome(), (409, "call_id_reused"));
    assert_eq!(app.stream().snapshot(), before);
    assert!(app.item("CALL#c1", "CALL").await.is_null());

    // The same where only the call is another's: our own channel goes again.
    app.stream().script(Rule::on(Operation::EndCall, Fault::Status(503)));
    let parallel = json!({"receiverId": "bob", "callId": "c2", "allowParallel": true});
    let _ = app.post("/call/create", "mallory", parallel.clone()).await.good();
    let _ = app.post("/call/end", "mallory", json!({"callId": "c2"})).await;
    app.stream().clear_faults();
    app.forget("CALL#c2", "CALL").await;
    let answer = app.post("/call/create", "alice", parallel).await;
    assert_eq!(answer.outcome(), (409, "call_id_reused"));
    assert!(app.stream().channel("messaging:call-c2").is_none());
    assert_eq!(app.stream().call("default:c2").unwrap().ended_at, None);
    assert!(app.item("CALL#c2", "CALL").await.is_null());
}

#[tokio::test]
async fn unknown_members_are_named_and_nothing_is_left() {
    let app = App::start().await;
    app.known(&["alice"]).await;
    app.reset_counts();
    let ask = json!({"memberIds": ["bob", "carol"], "callId": "c1"});
    let answer = app.post("/call/create", "alice", ask.clone()).await;
    assert_eq!(answer.outcome(), (404, "user_not_found"));
    assert_eq!(answer.body["detail"], "not known: bob, carol");
    assert_eq!(app.counts().1, 0);
    let end = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!(end.outcome(), (404, "call_not_found"));
    // The id is not used up: the same request works once they are known.
    app.known(&["bob", "carol"]).await;
    let _ = app.post("/call/create", "alice", ask).await.good();
}

#[tokio::test]
async fn a_user_deleted_at_stream_is_not_known() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    app.stream().delete_user("bob");
    let answer = app.post("/call/create", "alice", to_bob("c1")).await;
    assert_eq!(answer.outcome(), (404, "user_not_found"));
    assert!(app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn a_key_names_the_call_of_its_user() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let create = async |user: &str, key: &str, body: Value| {
        let token = format!("Bearer {}", app.stack().token_for(user));
        let headers = [("authorization", token.as_str()), ("idempotency-key", key)];
        app.post_with("/call/create", &headers, &body.to_string()).await
    };
    let to = |user: &str| json!({"receiverId": user, "allowParallel": true});
    let first = create("alice", "tap-1", to("bob")).await.good();
    let again = create("alice", "tap-1", to("bob")).await.good();
    assert_eq!(call(&again), call(&first));
    let other = create("alice", "tap-2", to("bob")).await.good();
    assert_ne!(other.body["callId"], first.body["callId"]);
    let bobs = create("bob", "tap-1", to("alice")).await.good();
    assert_ne!(bobs.body["callId"], first.body["callId"]);
    let ringing = json!({"receiverId": "bob", "allowParallel": true, "ring": true});
    let changed = create("alice", "tap-1", ringing).await;
    assert_eq!(changed.outcome(), (409, "call_id_reused"));
    let empty = create("alice", "", to("bob")).await;
    assert_eq!(empty.outcome(), (400, "invalid_header"));
}

#[tokio::test]
async fn without_an_id_every_call_is_another() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let body =
        json!({"memberIds": ["bob"], "callType": "audio", "ring": true, "allowParallel": true});
    let first = app.post("/call/create", "alice", body.clone()).await.good().body;
    let second = app.post("/call/create", "alice", body).await.good().body;
    assert_ne!(first["callId"], second["callId"]);
    assert_eq!(first["callType"], "voice");
    assert_eq!(first["callSettings"]["video"], false);
    assert_eq!(app.stream().call(first["callCid"].as_str().unwrap()).unwrap().rings, 1);
}

#[tokio::test]
async fn a_create_that_failed_half_way_is_helped_along() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    app.stream().script(Rule::on(Operation::GetOrCreateCall, Fault::Status(503)));
    let failed = app.post("/call/create", "alice", to_bob("c1")).await;
    assert_eq!(failed.outcome(), (503, "stream_unavailable"));
    let early = json!({"channelId": "call-c1", "message": "Hi"});
    let answer = app.post("/message/send", "alice", early).await;
    assert_eq!(answer.outcome(), (409, "call_not_active"));
    app.stream().clear_faults();
    let helped = app.post("/call/create", "alice", to_bob("c1")).await.good();
    assert_eq!((&helped.body["created"], &helped.body["status"]), (&json!(true), &json!("active")));
    assert_eq!(app.stream().live_channels().len(), 1);
}

#[tokio::test]
async fn an_end_that_overtakes_a_create_wins() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    app.stream().script(Rule::on(Operation::GetOrCreateCall, Fault::Slow(Duration::from_secs(1))));
    let create = app.post("/call/create", "alice", to_bob("c1"));
    let end = async {
        // As soon as the channel is there, the call is remembered and may be ended.
        while app.stream().live_channels().is_empty() {
            tokio::task::yield_now().await;
        }
        app.post("/call/end", "bob", json!({"callId": "c1"})).await
    };
    let (created, ended) = join(create, end).await;
    assert_eq!(ended.outcome(), (200, ""));
    assert_eq!(created.outcome(), (409, "call_ended"));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}
