//! Faults of Stream and of the table: each has an error code and leaves a consistent state.

use std::time::Duration;

use e2e::TestApp;
use http::Method;
use local::dynamo;
use serde_json::json;
use stream_emulator::{Fault, FaultRule, Operation};

/// The faults of Stream, with the expected status and error code.
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

async fn app_with_users() -> TestApp {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app
}

#[tokio::test]
async fn create_recovers_from_stream_faults() {
    let app = app_with_users().await;
    for (n, (fault, status, code)) in stream_faults().into_iter().enumerate() {
        for operation in [Operation::GetOrCreateChannel, Operation::GetOrCreateCall] {
            let id = format!("c{n}-{operation}");
            let body = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
            app.stream().add_fault(FaultRule::for_operation(operation, fault.clone()));
            let failed = app.post("/call/create", "alice", body.clone()).await;
            assert_eq!(failed.outcome(), (status, code), "{fault:?} {operation}");
            assert_eq!(failed.headers.contains_key("retry-after"), code == "stream_busy");
            // The call is not active, even if Stream has applied the request.
            let message = json!({"channelId": format!("call-{id}"), "message": "Hi"});
            let sent = app.post("/message/send", "alice", message).await;
            assert_eq!(sent.outcome(), (409, "call_not_active"), "{fault:?} {operation}");
            app.stream().clear_faults();
            let resumed = app.post("/call/create", "alice", body).await.expect_success();
            assert_eq!(resumed.body["status"], "active");
        }
    }
    let live = stream_faults().len() * 2;
    assert_eq!(app.stream().live_channels().len(), live);
    assert_eq!((app.stream().channels_created(), app.stream().calls_created()), (live, live));
}

#[tokio::test]
async fn token_and_upsert_recover_from_stream_faults() {
    let app = TestApp::start().await;
    for (n, (fault, status, code)) in stream_faults().into_iter().enumerate() {
        for operation in [Operation::QueryUsers, Operation::UpdateUsers] {
            let user = format!("user-{n}-{operation}");
            app.stream().add_fault(FaultRule::for_operation(operation, fault.clone()));
            for (path, body) in
                [("/token", json!({})), ("/user/upsert", json!({"userData": {"name": "A"}}))]
            {
                let failed = app.post(path, &user, body).await;
                // A token does not need the profile at Stream.
                let is_issued =
                    path == "/token" && matches!(code, "stream_busy" | "stream_refused");
                let expected = if is_issued { (200, "") } else { (status, code) };
                assert_eq!(failed.outcome(), expected, "{fault:?} {operation} {path}");
            }
            app.stream().clear_faults();
            // A user who may be missing at Stream is unknown.
            let create = json!({"receiverId": user});
            let rejected = app.post("/call/create", "alice", create).await;
            assert_eq!(rejected.outcome(), (404, "user_not_found"), "{fault:?} {operation}");
            let _ = app.post("/token", &user, json!({})).await.expect_success();
            // Delayed requests may still take effect, the older one first.
            let is_renamed = || app.stream().user(&user).unwrap().name.as_deref() == Some("A");
            for _ in 0..1_000 {
                if is_renamed() {
                    break;
                }
                let _ = app.get("/config", "alice").await.expect_success();
            }
            assert!(is_renamed(), "{fault:?} {operation}");
        }
    }
}

#[tokio::test]
async fn chat_and_quality_report_stream_faults() {
    let app = app_with_users().await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    for (n, (fault, status, code)) in stream_faults().into_iter().enumerate() {
        let message =
            json!({"channelId": "call-c1", "message": "Hi", "messageId": format!("m{n}")});
        app.stream().add_fault(FaultRule::for_any_operation(fault.clone()));
        for response in [
            app.post("/message/send", "alice", message.clone()).await,
            app.get("/message/call-c1", "alice").await,
        ] {
            assert_eq!(response.outcome(), (status, code), "{fault:?}");
        }
        // The quality is computed from stored data.
        let quality = app.get("/call/quality/c1", "alice").await.expect_success();
        assert_eq!(quality.body["quality"]["stream"]["reachable"], false, "{fault:?}");
        app.stream().clear_faults();
        let _ = app.post("/message/send", "alice", message).await.expect_success();
        assert_eq!(app.stream().messages("messaging:call-c1").len(), n + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn end_recovers_from_stream_faults() {
    let app = app_with_users().await;
    for (n, (fault, ..)) in stream_faults().into_iter().enumerate() {
        let id = format!("c{n}");
        let create = json!({"receiverId": "bob", "callId": id});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        app.stream().add_fault(FaultRule::for_any_operation(fault.clone()));
        let ending = app.post("/call/end", "alice", json!({"callId": id})).await;
        assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")), "{fault:?}");
        app.stream().clear_faults();
        // The quota of channel deletions per minute must not be exhausted.
        app.stack().advance(Duration::from_mins(1)).await;
        let ended = app.post("/call/end", "alice", json!({"callId": id})).await;
        assert_eq!((ended.status, &ended.body["status"]), (200, &json!("ended")), "{fault:?}");
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

/// The response takes longer than the function's timeout.
#[tokio::test]
async fn slow_stream_response_returns_stream_unavailable() {
    let app = app_with_users().await;
    app.stream().add_fault(FaultRule::for_operation(
        Operation::GetOrCreateChannel,
        Fault::Slow(Duration::from_secs(20)),
    ));
    let body = json!({"receiverId": "bob", "callId": "c1"});
    let timed_out = app.post("/call/create", "alice", body.clone()).await;
    assert_eq!(timed_out.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    let _ = app.post("/call/create", "alice", body).await.expect_success();
    assert_eq!(app.stream().calls_created(), 1);
}

#[tokio::test]
async fn transient_fault_is_retried() {
    let app = app_with_users().await;
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
        app.stream().add_fault(
            FaultRule::for_operation(Operation::GetOrCreateChannel, fault.clone()).once(),
        );
        let create = json!({"receiverId": "bob", "callId": format!("c{n}")});
        let response = app.post("/call/create", "alice", create).await;
        assert_eq!(response.outcome(), (200, ""), "{fault:?}");
        app.stream().clear_faults();
    }
}

#[tokio::test]
async fn ringing_call_is_not_rung_again_on_retry() {
    let app = app_with_users().await;
    app.stream().add_fault(
        FaultRule::for_operation(Operation::GetOrCreateCall, Fault::AppliedThenLost).once(),
    );
    let create = json!({"receiverId": "bob", "callId": "c1", "ring": true});
    let response = app.post("/call/create", "alice", create.clone()).await;
    assert_eq!(response.outcome(), (503, "stream_unavailable"));
    assert_eq!(app.stream().call("default:c1").unwrap().rings, 1);
}

#[tokio::test]
async fn create_recovers_from_table_faults() {
    use dynamo::Fault;
    let app = app_with_users().await;
    let mut calls = 0;
    for operation in ["PutItem", "BatchGetItem", "UpdateItem"] {
        for fault in [
            Fault::ConnectionClosed,
            Fault::AppliedThenLost,
            Fault::Throttled,
            Fault::InternalError,
        ] {
            for times in [1, u32::MAX] {
                calls += 1;
                let id = format!("c{calls}");
                let body = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
                let rule = dynamo::Rule { times, ..dynamo::Rule::next(operation, fault) };
                app.stack().dynamo().inject_fault(rule);
                let response = app.post("/call/create", "alice", body.clone()).await;
                let expected = if times == 1 { (200, "") } else { (503, "store_unavailable") };
                assert_eq!(response.outcome(), expected, "{operation} {fault:?} {times}");
                app.stack().dynamo().clear_faults();
                let resumed = app.post("/call/create", "alice", body).await.expect_success();
                assert_eq!(resumed.body["status"], "active");
            }
        }
    }
    assert_eq!((app.stream().channels_created(), app.stream().calls_created()), (calls, calls));
}

#[tokio::test]
async fn table_outage_returns_store_unavailable() {
    let app = app_with_users().await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create.clone()).await.expect_success();
    let before = app.stream().snapshot();
    app.stack().dynamo().inject_fault(dynamo::Rule::always(dynamo::Fault::ConnectionClosed));
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
        let response = match method {
            Method::GET => app.get(path, "alice").await,
            _ => app.post(path, "alice", body).await,
        };
        assert_eq!(response.outcome(), (503, "store_unavailable"), "{path}");
        for word in ["dynamo", "stream-local", "http://", "ConnectError"] {
            assert!(!response.body.to_string().to_lowercase().contains(word), "{}", response.body);
        }
    }
    assert_eq!(app.stream().snapshot(), before);
    app.stack().dynamo().clear_faults();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
}

#[tokio::test]
async fn unstored_end_completes_on_retry() {
    let app = app_with_users().await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    // The first update sets `ending`, and the second one sets `ended`.
    let failing_updates = dynamo::Rule {
        skip: 1,
        times: u32::MAX,
        ..dynamo::Rule::next("UpdateItem", dynamo::Fault::ConnectionClosed)
    };
    app.stack().dynamo().inject_fault(failing_updates);
    let ending = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!((ending.status, &ending.body["status"]), (202, &json!("ending")));
    app.stack().dynamo().clear_faults();
    let ended = app.post("/call/end", "alice", json!({"callId": "c1"})).await;
    assert_eq!((ended.status, &ended.body["status"]), (200, &json!("ended")));
}
