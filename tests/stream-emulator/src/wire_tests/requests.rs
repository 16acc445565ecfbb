//! Requests and what goes wrong with them.

use tokio::time::sleep;

use super::*;
use crate::{Fault, Operation, Rule};

#[tokio::test]
async fn an_answer_has_its_body_and_its_headers() {
    let emulator = emulator().await;
    let answer = get_app(&emulator).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(header(&answer, "x-ratelimit-limit"), Some("10000"));
    assert_eq!(header(&answer, "x-ratelimit-remaining"), Some("9999"));
    assert_eq!(header(&answer, "x-ratelimit-reset"), Some("1767225660"));
    assert_eq!(header(&answer, "date"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    let app: Value = serde_json::from_str(body(&answer)).expect("JSON");
    assert_eq!(app["duration"], json!("0.42ms"));
    assert_eq!(app["app"]["sqs_secret"], json!(crate::APP_OBJECT_SECRET));
    assert_eq!(status(&upsert_alice(&emulator).await), 201);
    assert!(emulator.user("alice").is_some());
    assert_eq!(emulator.counts().get(Operation::UpdateUsers), 1);
    assert_eq!(emulator.counts().total(), 2);
}

#[tokio::test]
async fn who_may_not_ask_is_told_why_and_counted() {
    let emulator = emulator().await;
    let before = emulator.snapshot();
    let (app, users) = (format!("GET {APP}"), format!("POST {USERS}"));
    for (start, headers, expected) in [
        ("GET /api/v2/app?api_key=other", format!("{AUTHORIZED}{SERVER}"), (401, 2)),
        (app.as_str(), format!("authorization: {SERVER}"), (401, 5)),
        (app.as_str(), "stream-auth-type: jwt".to_owned(), (401, 5)),
        (app.as_str(), format!("{AUTHORIZED}Bearer {SERVER}"), (401, 5)),
        (app.as_str(), format!("{AUTHORIZED}{SERVER}x"), (401, 43)),
        (app.as_str(), format!("{AUTHORIZED}{ALICE}"), (403, 17)),
        ("GET /api/v2/nothing?api_key=testkey123", format!("{AUTHORIZED}{SERVER}"), (404, 16)),
    ] {
        let answer = exchange(&emulator, start, &headers, "").await;
        assert_eq!((status(&answer), code(&answer)), (expected.0, json!(expected.1)), "{start}");
    }
    let nonsense = exchange(&emulator, &users, &format!("{AUTHORIZED}{SERVER}"), "{").await;
    assert_eq!((status(&nonsense), code(&nonsense)), (400, json!(4)));
    assert_eq!(emulator.counts().get(Operation::GetApp), 6);
    assert_eq!(emulator.counts().total(), 8);
    assert_eq!(emulator.snapshot(), before);
}

#[tokio::test]
async fn a_suspended_app_answers_nothing_else() {
    let emulator = emulator().await;
    emulator.suspend_app(true);
    let answer = get_app(&emulator).await;
    assert_eq!((status(&answer), code(&answer)), (403, json!(99)));
    assert_eq!(emulator.check_user_token(ALICE).map_err(|error| error.code), Err(99));
    emulator.suspend_app(false);
    assert_eq!(status(&get_app(&emulator).await), 200);
}

#[tokio::test]
async fn a_users_token_is_checked_as_connecting_would() {
    let emulator = emulator().await;
    let check = || emulator.check_user_token(ALICE).map(|it| it.user_id).map_err(|it| it.code);
    assert_eq!(check(), Ok("alice".to_owned()));
    assert_eq!(emulator.check_user_token(SERVER).map_err(|error| error.code), Err(5));
    upsert_alice(&emulator).await;
    for (instant, outcome) in [
        (json!("2026-01-01T00:00:01Z"), Err(40)),
        (json!("2026-01-01T00:00:00Z"), Ok("alice".to_owned())),
        (json!(null), Ok("alice".to_owned())),
    ] {
        let set = json!({ "revoke_tokens_issued_before": instant });
        let patch = json!({ "users": [{ "id": "alice", "set": set }] });
        assert_eq!(status(&ask(&emulator, &format!("PATCH {USERS}"), &patch).await), 200);
        assert_eq!(check(), outcome, "{instant}");
    }
    emulator.deactivate_user("alice");
    assert_eq!(check(), Err(17));
    emulator.delete_user("alice");
    assert_eq!(check(), Err(16));
}

#[tokio::test]
async fn a_refused_connection_has_no_effect() {
    let emulator = emulator().await;
    emulator.script(Rule::on(Operation::UpdateUsers, Fault::RefuseConnection).once());
    assert_eq!(upsert_alice(&emulator).await, "");
    assert!(emulator.user("alice").is_none());
    assert_eq!(status(&upsert_alice(&emulator).await), 201);
    assert_eq!(emulator.counts().get(Operation::UpdateUsers), 2);
}

#[tokio::test]
async fn a_lost_answer_has_its_effect() {
    let emulator = emulator().await;
    emulator.script(Rule::any(Fault::AppliedThenLost).once());
    assert_eq!(upsert_alice(&emulator).await, "");
    assert!(emulator.user("alice").is_some());
}

#[tokio::test]
async fn a_late_effect_comes_after_the_connection_is_gone() {
    let emulator = emulator().await;
    emulator.script(Rule::any(Fault::AppliedLate(Duration::from_millis(1_500))).once());
    assert_eq!(upsert_alice(&emulator).await, "");
    assert!(emulator.user("alice").is_none());
    for _ in 0..100 {
        sleep(Duration::from_millis(50)).await;
        if emulator.user("alice").is_some() {
            return;
        }
    }
    panic!("the effect never came");
}

#[tokio::test]
async fn a_slow_answer_comes() {
    let emulator = emulator().await;
    emulator.script(Rule::any(Fault::Slow(Duration::from_millis(20))).once());
    assert_eq!(status(&upsert_alice(&emulator).await), 201);
    assert!(emulator.user("alice").is_some());
}

#[tokio::test]
async fn a_truncated_answer_breaks_off_after_its_effect() {
    let emulator = emulator().await;
    emulator.script(Rule::any(Fault::Truncated).once());
    let answer = upsert_alice(&emulator).await;
    assert_eq!(status(&answer), 201);
    let announced: usize =
        header(&answer, "content-length").unwrap_or("0").parse().expect("a size");
    assert!((1..announced).contains(&body(&answer).len()), "{answer}");
    assert!(emulator.user("alice").is_some());
}

#[tokio::test]
async fn scripted_answers() {
    let emulator = emulator().await;
    for fault in [
        Fault::TooManyRequests { retry_after: Some(7) },
        Fault::Status(503),
        Fault::StatusUnrecoverable(500),
        Fault::NonJson(502),
        Fault::Redirect("http://127.0.0.1:9/".to_owned()),
        Fault::Huge(100_000),
    ] {
        emulator.script(Rule::on(Operation::GetApp, fault).once());
    }
    let limited = get_app(&emulator).await;
    assert_eq!((status(&limited), code(&limited)), (429, json!(9)));
    assert_eq!(header(&limited, "retry-after"), Some("7"));
    assert_eq!(header(&limited, "x-ratelimit-remaining"), Some("0"));
    let away = get_app(&emulator).await;
    assert_eq!((status(&away), code(&away)), (503, json!(-1)));
    assert!(!away.contains("unrecoverable"));
    let broken = get_app(&emulator).await;
    assert_eq!(status(&broken), 500);
    assert!(broken.contains("\"unrecoverable\":true"));
    let proxy = get_app(&emulator).await;
    assert_eq!((status(&proxy), header(&proxy, "content-type")), (502, Some("text/html")));
    let moved = get_app(&emulator).await;
    assert_eq!((status(&moved), header(&moved, "location")), (302, Some("http://127.0.0.1:9/")));
    let huge = get_app(&emulator).await;
    assert_eq!((status(&huge), body(&huge).len()), (200, 100_000));
    assert_eq!(status(&get_app(&emulator).await), 200);
}

#[tokio::test]
async fn a_body_that_is_too_big_is_refused() {
    let emulator = emulator().await;
    let big = json!({ "users": { "alice": { "id": "alice", "name": "x".repeat(2_000_000) } } });
    let answer = ask(&emulator, &format!("POST {USERS}"), &big).await;
    // The answer may be lost with the connection, the request must be.
    assert!(answer.is_empty() || status(&answer) == 413, "{}", status(&answer));
    assert!(emulator.user("alice").is_none());
}

#[tokio::test]
async fn people_outside_can_look_and_meddle() {
    let emulator = emulator().await;
    let rule = json!({ "operation": "GetApp", "times": 1, "fault": { "status": 503 } });
    let control =
        |start: &'static str, body: &'static str| exchange(&emulator, start, "x: y", body);
    assert_eq!(status(&ask(&emulator, "POST /_emulator/faults", &rule).await), 200);
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
async fn stopping_stops_and_can_be_repeated() {
    let emulator = emulator().await;
    upsert_alice(&emulator).await;
    emulator.script(Rule::any(Fault::AppliedLate(Duration::from_mins(10))).once());
    assert_eq!(get_app(&emulator).await, "");
    emulator.clone().stop().await;
    emulator.stop().await;
    let address = emulator.base_url().replace("http://", "");
    let refused = tokio::task::spawn_blocking(move || TcpStream::connect(address).is_err()).await;
    assert!(refused.expect("an attempt"));
    assert!(emulator.user("alice").is_some());
}
