//! Requests, authentication and faults.

use tokio::time::sleep;

use super::*;
use crate::{FAULT_HEADER, Fault, FaultRule, Operation};

#[tokio::test]
async fn response_has_body_and_headers() {
    let emulator = emulator().await;
    let response = get_app(&emulator).await;
    assert_eq!(status(&response), 200);
    assert_eq!(header(&response, "x-ratelimit-limit"), Some("10000"));
    assert_eq!(header(&response, "x-ratelimit-remaining"), Some("9999"));
    assert_eq!(header(&response, "x-ratelimit-reset"), Some("1767225660"));
    assert_eq!(header(&response, "date"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    let app: Value = serde_json::from_str(body(&response)).expect("JSON");
    assert_eq!(app["duration"], json!("0.42ms"));
    assert_eq!(app["app"]["sqs_secret"], json!(crate::APP_OBJECT_SECRET));
    assert_eq!(status(&upsert_alice(&emulator).await), 201);
    assert!(emulator.user("alice").is_some());
    assert_eq!(emulator.counts().get(Operation::UpdateUsers), 1);
    assert_eq!(emulator.counts().total(), 2);
}

#[tokio::test]
async fn unauthorized_requests_are_rejected_and_counted() {
    let emulator = emulator().await;
    let before = emulator.snapshot();
    let (app, users) = (format!("GET {APP_PATH}"), format!("POST {USERS_PATH}"));
    for (start, headers, expected) in [
        ("GET /api/v2/app?api_key=other", format!("{AUTH_HEADERS}{SERVER_TOKEN}"), (401, 2)),
        (app.as_str(), format!("authorization: {SERVER_TOKEN}"), (401, 5)),
        (app.as_str(), "stream-auth-type: jwt".to_owned(), (401, 5)),
        (app.as_str(), format!("{AUTH_HEADERS}Bearer {SERVER_TOKEN}"), (401, 5)),
        (app.as_str(), format!("{AUTH_HEADERS}{SERVER_TOKEN}x"), (401, 43)),
        (
            "GET /api/v2/rate_limits?api_key=testkey123",
            format!("{AUTH_HEADERS}{ALICE_TOKEN}"),
            (403, 17),
        ),
        (
            "GET /api/v2/nothing?api_key=testkey123",
            format!("{AUTH_HEADERS}{SERVER_TOKEN}"),
            (404, 16),
        ),
    ] {
        let response = send_raw(&emulator, start, &headers, "").await;
        assert_eq!(
            (status(&response), error_code(&response)),
            (expected.0, json!(expected.1)),
            "{start}"
        );
    }
    let malformed =
        send_raw(&emulator, &users, &format!("{AUTH_HEADERS}{SERVER_TOKEN}"), "{").await;
    assert_eq!((status(&malformed), error_code(&malformed)), (400, json!(4)));
    assert_eq!(emulator.counts().get(Operation::GetApp), 5);
    assert_eq!(emulator.counts().total(), 8);
    assert_eq!(emulator.snapshot(), before);
}

#[tokio::test]
async fn request_for_the_root_is_no_operation() {
    let emulator = emulator().await;
    emulator.add_fault(FaultRule::for_any_operation(Fault::RefuseConnection).once());
    assert!((400..500).contains(&status(&send_raw(&emulator, "GET /", "", "").await)));
    assert_eq!(emulator.counts().total(), 0);
}

#[tokio::test]
async fn suspended_app_rejects_every_request() {
    let emulator = emulator().await;
    emulator.set_app_suspended(true);
    let response = get_app(&emulator).await;
    assert_eq!((status(&response), error_code(&response)), (403, json!(99)));
    assert_eq!(emulator.check_user_token(ALICE_TOKEN).map_err(|error| error.code), Err(99));
    emulator.set_app_suspended(false);
    assert_eq!(status(&get_app(&emulator).await), 200);
}

#[tokio::test]
async fn user_token_check_applies_the_connect_rules() {
    let emulator = emulator().await;
    let check = || {
        emulator
            .check_user_token(ALICE_TOKEN)
            .map(|token| token.user_id)
            .map_err(|error| error.code)
    };
    assert_eq!(check(), Ok("alice".to_owned()));
    assert_eq!(emulator.check_user_token(SERVER_TOKEN).map_err(|error| error.code), Err(5));
    upsert_alice(&emulator).await;
    for (instant, outcome) in [
        (json!("2026-01-01T00:00:01Z"), Err(40)),
        (json!("2026-01-01T00:00:00Z"), Ok("alice".to_owned())),
        (json!(null), Ok("alice".to_owned())),
    ] {
        let set = json!({ "revoke_tokens_issued_before": instant });
        let patch = json!({ "users": [{ "id": "alice", "set": set }] });
        assert_eq!(
            status(&send_request(&emulator, &format!("PATCH {USERS_PATH}"), &patch).await),
            200
        );
        assert_eq!(check(), outcome, "{instant}");
    }
    emulator.deactivate_user("alice");
    assert_eq!(check(), Err(17));
    emulator.delete_user("alice");
    assert_eq!(check(), Err(16));
}

#[tokio::test]
async fn refused_connection_has_no_effect() {
    let emulator = emulator().await;
    emulator.add_fault(
        FaultRule::for_operation(Operation::UpdateUsers, Fault::RefuseConnection).once(),
    );
    assert_eq!(upsert_alice(&emulator).await, "");
    assert!(emulator.user("alice").is_none());
    assert_eq!(status(&upsert_alice(&emulator).await), 201);
    assert_eq!(emulator.counts().get(Operation::UpdateUsers), 2);
}

#[tokio::test]
async fn applied_then_lost_takes_effect() {
    let emulator = emulator().await;
    emulator.add_fault(FaultRule::for_any_operation(Fault::AppliedThenLost).once());
    assert_eq!(upsert_alice(&emulator).await, "");
    assert!(emulator.user("alice").is_some());
}

#[tokio::test]
async fn applied_late_takes_effect_after_the_connection_closes() {
    let emulator = emulator().await;
    emulator.add_fault(
        FaultRule::for_any_operation(Fault::AppliedLate(Duration::from_millis(1_500))).once(),
    );
    assert_eq!(upsert_alice(&emulator).await, "");
    assert!(emulator.user("alice").is_none());
    for _ in 0..100 {
        sleep(Duration::from_millis(50)).await;
        if emulator.user("alice").is_some() {
            return;
        }
    }
    panic!("the delayed request never took effect");
}

#[tokio::test]
async fn response_of_a_fault_rule_is_marked() {
    let emulator = emulator().await;
    let fault = FaultRule::for_operation(Operation::UpdateUsers, Fault::Status(503)).once();
    emulator.add_fault(fault.clone());
    assert_eq!(emulator.faults(), [fault]);
    let mark = |response: &str| header(response, FAULT_HEADER).is_some();
    assert!(mark(&upsert_alice(&emulator).await));
    assert!(!mark(&upsert_alice(&emulator).await));
    assert!(emulator.faults().is_empty());
}

#[tokio::test]
async fn slow_response_arrives() {
    let emulator = emulator().await;
    emulator.add_fault(FaultRule::for_any_operation(Fault::Slow(Duration::from_millis(20))).once());
    assert_eq!(status(&upsert_alice(&emulator).await), 201);
    assert!(emulator.user("alice").is_some());
}

#[tokio::test]
async fn truncated_response_takes_effect() {
    let emulator = emulator().await;
    emulator.add_fault(FaultRule::for_any_operation(Fault::Truncated).once());
    let response = upsert_alice(&emulator).await;
    assert_eq!(status(&response), 201);
    let announced: usize =
        header(&response, "content-length").unwrap_or("0").parse().expect("a number");
    assert!((1..announced).contains(&body(&response).len()), "{response}");
    assert!(emulator.user("alice").is_some());
}

#[tokio::test]
async fn scripted_faults_produce_their_responses() {
    let emulator = emulator().await;
    for fault in [
        Fault::TooManyRequests { retry_after: Some(7) },
        Fault::Status(503),
        Fault::StatusUnrecoverable(500),
        Fault::NonJson(502),
        Fault::Redirect("http://127.0.0.1:9/".to_owned()),
        Fault::Huge(100_000),
    ] {
        emulator.add_fault(FaultRule::for_operation(Operation::GetApp, fault).once());
    }
    let limited = get_app(&emulator).await;
    assert_eq!((status(&limited), error_code(&limited)), (429, json!(9)));
    assert_eq!(header(&limited, "retry-after"), Some("7"));
    assert_eq!(header(&limited, "x-ratelimit-remaining"), Some("0"));
    let unavailable = get_app(&emulator).await;
    assert_eq!((status(&unavailable), error_code(&unavailable)), (503, json!(-1)));
    assert!(!unavailable.contains("unrecoverable"));
    let unrecoverable = get_app(&emulator).await;
    assert_eq!(status(&unrecoverable), 500);
    assert!(unrecoverable.contains("\"unrecoverable\":true"));
    let proxy = get_app(&emulator).await;
    assert_eq!((status(&proxy), header(&proxy, "content-type")), (502, Some("text/html")));
    let moved = get_app(&emulator).await;
    assert_eq!((status(&moved), header(&moved, "location")), (302, Some("http://127.0.0.1:9/")));
    let huge = get_app(&emulator).await;
    assert_eq!((status(&huge), body(&huge).len()), (200, 100_000));
    assert_eq!(status(&get_app(&emulator).await), 200);
}

#[tokio::test]
async fn scripted_body_is_returned_without_effect() {
    let emulator = emulator().await;
    let echo = format!("you sent {0} and {0}", Fault::AUTHORIZATION);
    let echoed = format!("you sent {SERVER_TOKEN} and {SERVER_TOKEN}");
    for (code, scripted, received) in
        [(200, "[]", "[]"), (201, "", ""), (502, echo.as_str(), echoed.as_str())]
    {
        let rule = FaultRule::for_operation(Operation::UpdateUsers, Fault::body(code, scripted));
        emulator.add_fault(rule.once());
        let response = upsert_alice(&emulator).await;
        assert_eq!((status(&response), body(&response)), (code, received));
    }
    assert!(emulator.user("alice").is_none());
    assert_eq!(status(&upsert_alice(&emulator).await), 201);
}

#[tokio::test]
async fn oversized_body_is_rejected() {
    let emulator = emulator().await;
    let big = json!({ "users": { "alice": { "id": "alice", "name": "x".repeat(2_000_000) } } });
    let response = send_request(&emulator, &format!("POST {USERS_PATH}"), &big).await;
    // The response can be lost with the connection, but the request must have no effect.
    assert!(response.is_empty() || status(&response) == 413, "{}", status(&response));
    assert!(emulator.user("alice").is_none());
}

#[tokio::test]
async fn control_api_reads_state_and_adds_faults() {
    let emulator = emulator().await;
    let rule = json!({ "operation": "GetApp", "times": 1, "fault": { "status": 503 } });
    let control =
        |start: &'static str, body: &'static str| send_raw(&emulator, start, "x: y", body);
    assert_eq!(status(&send_request(&emulator, "POST /_emulator/faults", &rule).await), 200);
    assert_eq!(status(&get_app(&emulator).await), 503);
    upsert_alice(&emulator).await;
    let counts = control("GET /_emulator/counts", "").await;
    assert_eq!(body(&counts), "{\"GetApp\":1,\"UpdateUsers\":1}");
    let state: Value =
        serde_json::from_str(body(&control("GET /_emulator/state", "").await)).expect("JSON");
    assert_eq!(state, emulator.snapshot());
    assert_eq!(state["users"]["alice"]["role"], json!("user"));
    control("DELETE /_emulator/counts", "").await;
    assert_eq!(emulator.counts().total(), 0);
    assert_eq!(status(&control("POST /_emulator/faults", "{}").await), 400);
    assert_eq!(status(&control("GET /_emulator/nothing", "").await), 404);
}

#[tokio::test]
async fn stop_is_idempotent() {
    let emulator = emulator().await;
    upsert_alice(&emulator).await;
    emulator.add_fault(
        FaultRule::for_any_operation(Fault::AppliedLate(Duration::from_mins(10))).once(),
    );
    assert_eq!(get_app(&emulator).await, "");
    emulator.clone().stop().await;
    emulator.stop().await;
    let address = emulator.base_url().replace("http://", "");
    let is_refused =
        tokio::task::spawn_blocking(move || TcpStream::connect(address).is_err()).await;
    assert!(is_refused.expect("the connection attempt"));
    assert!(emulator.user("alice").is_some());
}
