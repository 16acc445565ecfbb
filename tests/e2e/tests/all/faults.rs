//! What goes wrong at Stream or at the table has a clear code and leaves no wrong state.

use std::time::Duration;

use e2e::App;
use http::Method;
use local::dynamo;
use serde_json::json;
use stream_emulator::{Fault, Operation, Rule};

/// Every way in which Stream fails, and what callers hear of it.
fn stream_faults() -> Vec<(Fault, u16, &'static str)> {
    vec![
        (Fault::RefuseConnection, 503, "stream_unavailable"),
        (Fault::AppliedThenLost, 503, "stream_unavailable"),
        (Fault::AppliedLate(Duration::from_millis(50)), 503, "stream_unavailable"),
        (Fault::TooManyRequests { retry_after: Some(30) }, 503, "stream_busy"),
        (Fault::TooManyRequests { retry_after: None }, 503, "stream_busy"),
        (Fault::Status(500), 503, "stream_unavailable"),
        (Fault::Status(503), 503, "stream_unavailable"),
        (Fault::Status(408), 503, "stream_unavailable"),
        (Fault::StatusUnrecoverable(500), 503, "stream_unavailable"),
        (Fault::Status(401), 502, "stream_rejected_credentials"),
        (Fault::Status(403), 502, "stream_refused"),
        (Fault::NonJson(502), 503, "stream_unavailable"),
        (Fault::NonJson(429), 503, "stream_busy"),
        (Fault::NonJson(404), 502, "stream_bad_answer"),
        (Fault::Truncated, 503, "stream_unavailable"),
        (Fault::Redirect("http://127.0.0.1:1/".to_owned()), 502, "stream_bad_answer"),
        (Fault::Huge(7 * 1024 * 1024), 502, "stream_bad_answer"),
    ]
}

async fn app() -> App {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    app
}

#[tokio::test]
async fn stream_fails_during_create() {
    let app = app().await;
    for (n, (fault, status, code)) in stream_faults().into_iter().enumerate() {
        for operation in [Operation::GetOrCreateChannel, Operation::GetOrCreateCall] {
            let id = format!("c{n}-{operation}");
            let body = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
            app.stream().script(Rule::on(operation, fault.clone()));
            let failed = app.post("/call/create", "alice", body.clone()).await;
            assert_eq!(failed.outcome(), (status, code), "{fault:?} {operation}");
            assert_eq!(failed.headers.contains_key("retry-after"), code == "stream_busy");
            // It is no active call, whatever Stream has made of it.
            let message = json!({"channelId": format!("call-{id}"), "message": "Hi"});
            let sent = app.post("/message/send", "alice", message).await;
            assert_eq!(sent.outcome(), (409, "call_not_active"), "{fault:?} {operation}");
            app.stream().clear_faults();
            let helped = app.post("/call/create", "alice", body).await.good();
            assert_eq!(helped.body["status"], "active");
        }
    }
    let live = stream_faults().len() * 2;
    assert_eq!(app.stream().live_channels().len(), live);
    assert_eq!((app.stream().channels_ever(), app.stream().calls_ever()), (live, live));
}

#[tokio::test]
async fn stream_fails_during_token_and_upsert() {
    let app = App::start().await;
    for (n, (fault, status, code)) in stream_faults().into_iter().enumerate() {
        for operation in [Operation::QueryUsers, Operation::UpdateUsers] {
            let user = format!("user-{n}-{operation}");
            app.stream().script(Rule::on(operation, fault.clone()));
            for (path, body) in
                [("/token", json!({})), ("/user/upsert", json!({"userData": {"name": "A"}}))]
            {
                let failed = app.post(path, &user, body).await;
                assert_eq!(failed.outcome(), (status, code), "{fault:?} {operation} {path}");
            }
            app.stream().clear_faults();
            // A user whom Stream may not know is not known here either.
            let create = json!({"receiverId": user});
            let refused = app.post("/call/create", "alice", create).await;
            assert_eq!(refused.outcome(), (404, "user_not_found"), "{fault:?} {operation}");
            let _ = app.post("/token", &user, json!({})).await.good();
            // What is applied late may still be on its way, the older one first.
            let named = || app.stream().user(&user).unwrap().name.as_deref() == Some("A");
            for _ in 0..1_000 {
                if named() {
                    break;
                }
                let _ = app.get("/config", "alice").await.good();
            }
            assert!(named(), "{fault:?} {operation}");
        }
    }
}

#[tokio::test]
async fn stream_fails_during_chat_and_quality() {
    let app = app().await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.good();
    for (n, (fault, status, code)) in stream_faults().into_iter().enumerate() {
        let message =
            json!({"channelId": "call-c1", "message": "Hi", "messageId": format!("m{n}")});
        app.stream().script(Rule::any(fault.clone()));
        for answer in [
            app.post("/message/send", "alice", message.clone()).await,
            app.get("/message/call-c1", "alice").await,
        ] {
            assert_eq!(answer.outcome(), (status, code), "{fault:?}");
        }
        // What is kept is told without Stream.
        let quality = app.get("/call/quality/c1", "alice").await.good();
        assert_eq!(quality.body["quality"]["stream"]["reachable"], false, "{fault:?}");
        app.stream().clear_faults();
        let _ = app.post("/message/send", "alice", message).await.good();
        assert_eq!(app.stream().messages("messaging:call-c1").len(), n + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn stream_fails_during_end() {
    let app = app().await;
    for (n, (fault, ..)) in stream_faults().into_iter().enumerate() {
        let id = format!("c{n}");
        let create = json!({"receiverId": "bob", "callId": id});
        let _ = app.post("/call/create", "alice", create).await.good();
        app.stream().script(Rule::any(fault.clone()));
        let ending = app.post("/call/end", "alice", json!({"callId": id})).await;
        assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")), "{fault:?}");
        app.stream().clear_faults();
        // A minute has only so many single deletions.
        app.stack().advance(Duration::from_mins(1)).await;
        let ended = app.post("/call/end", "alice", json!({"callId": id})).await;
        assert_eq!((ended.status, &ended.body["status"]), (200, &json!("ended")), "{fault:?}");
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

/// Stream is so slow that the invocation runs out of time before it does.
#[tokio::test]
async fn stream_answers_too_late() {
    let app = app().await;
    app.stream()
        .script(Rule::on(Operation::GetOrCreateChannel, Fault::Slow(Duration::from_secs(20))));
    let body = json!({"receiverId": "bob", "callId": "c1"});
    let late = app.post("/call/create", "alice", body.clone()).await;
    assert_eq!(late.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    let _ = app.post("/call/create", "alice", body).await.good();
    assert_eq!(app.stream().calls_ever(), 1);
}

#[tokio::test]
async fn a_failure_that_passes_is_not_noticed() {
    let app = app().await;
    for (n, fault) in [
        Fault::RefuseConnection,
        Fault::AppliedThenLost,
        Fault::TooManyRequests { retry_after: Some(0) },
        Fault::Status(503),
        Fault::Truncated,
        Fault::Slow(Duration::from_millis(3_300)),
    ]
    .into_iter()
    .enumerate()
    {
        app.stream().script(Rule::on(Operation::GetOrCreateChannel, fault.clone()).once());
        let create = json!({"receiverId": "bob", "callId": format!("c{n}")});
        let answer = app.post("/call/create", "alice", create).await;
        assert_eq!(answer.outcome(), (200, ""), "{fault:?}");
        app.stream().clear_faults();
    }
}

#[tokio::test]
async fn a_call_that_rings_is_not_rung_again_by_us() {
    let app = app().await;
    app.stream().script(Rule::on(Operation::GetOrCreateCall, Fault::AppliedThenLost).once());
    let create = json!({"receiverId": "bob", "callId": "c1", "ring": true});
    let answer = app.post("/call/create", "alice", create.clone()).await;
    assert_eq!(answer.outcome(), (503, "stream_unavailable"));
    assert_eq!(app.stream().call("default:c1").unwrap().rings, 1);
}

#[tokio::test]
async fn the_table_fails_during_create() {
    use dynamo::Fault;
    let app = app().await;
    let mut calls = 0;
    for operation in ["PutItem", "BatchGetItem", "UpdateItem"] {
        for fault in
            [Fault::Refused, Fault::AppliedThenLost, Fault::Throttled, Fault::InternalError]
        {
            for times in [1, u32::MAX] {
                calls += 1;
                let id = format!("c{calls}");
                let body = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
                let rule = dynamo::Rule { times, ..dynamo::Rule::next(operation, fault) };
                app.stack().dynamo().script(rule);
                let answer = app.post("/call/create", "alice", body.clone()).await;
                let expected = if times == 1 { (200, "") } else { (503, "store_unavailable") };
                assert_eq!(answer.outcome(), expected, "{operation} {fault:?} {times}");
                app.stack().dynamo().clear_faults();
                let helped = app.post("/call/create", "alice", body).await.good();
                assert_eq!(helped.body["status"], "active");
            }
        }
    }
    assert_eq!((app.stream().channels_ever(), app.stream().calls_ever()), (calls, calls));
}

#[tokio::test]
async fn the_table_fails_everywhere() {
    let app = app().await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create.clone()).await.good();
    let before = app.stream().snapshot();
    app.stack().dynamo().script(dynamo::Rule::always(dynamo::Fault::Refused));
    let message = json!({"channelId": "call-c1", "message": "Hi"});
    for (method, path, body) in [
        (Method::POST, "/token", json!({})),
        (Method::POST, "/user/upsert", json!({"userData": {"name": "A"}})),
        (Method::POST, "/call/create", create),
        (Method::POST, "/call/end", json!({"callId": "c1"})),
        (Method::GET, "/call/c1", json!({})),
        (Method::GET, "/call/quality/c1", json!({})),
        (Method::POST, "/message/send", message),
        (Method::GET, "/message/call-c1", json!({})),
    ] {
        let answer = match method {
            Method::GET => app.get(path, "alice").await,
            _ => app.post(path, "alice", body).await,
        };
        assert_eq!(answer.outcome(), (503, "store_unavailable"), "{path}");
        for word in ["dynamo", "stream-local", "http://", "ConnectError"] {
            assert!(!answer.body.to_string().to_lowercase().contains(word), "{}", answer.body);
        }
    }
    assert_eq!(app.stream().snapshot(), before);
    app.stack().dynamo().clear_faults();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
}

#[tokio::test]
async fn the_end_of_an_end_that_the_table_loses_comes_later() {
    let app = app().await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.good();
    // The first update says `ending`, the second `ended`.
    let lost = dynamo::Rule {
        skip: 1,
        times: u32::MAX,
        ..dynamo::Rule::next("UpdateItem", dynamo::Fault::Refused)
    };
    app.stack().dynamo().script(lost);
    let ending = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")));
    app.stack().dynamo().clear_faults();
    let ended = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!((ended.status, &ended.body["status"]), (200, &json!("ended")));
}
