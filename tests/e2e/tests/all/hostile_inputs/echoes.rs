//! Errors of Stream that repeat credentials. The credentials reach neither the log nor a caller.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{TestApp, TestResponse};
use local::STREAM_API_SECRET;
use ring::hmac;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule};

/// The token that the functions send to Stream.
fn server_token() -> String {
    let [header, claims] = [r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"server":true}"#]
        .map(|part| URL_SAFE_NO_PAD.encode(part));
    let signing_input = format!("{header}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, STREAM_API_SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signing_input.as_bytes()));
    format!("{signing_input}.{signature}")
}

/// The signature of a token, without which the token is worthless.
fn signature(token: &str) -> &str {
    token.rsplit('.').next().unwrap()
}

/// Bodies of errors that repeat the server token, the secret or a session.
fn echoes(session: &str) -> Vec<String> {
    const TOKEN: &str = Fault::AUTHORIZATION;
    let error = |message: String| json!({"code": 4, "message": message}).to_string();
    vec![
        TOKEN.to_owned(),
        format!("<html><pre>authorization: {TOKEN}\ncookie: {session}</pre></html>"),
        format!("cannot verify {TOKEN} with {STREAM_API_SECRET}"),
        error(format!("the header Authorization ({TOKEN}) is not valid")),
        error(format!("api_key=x&authorization={TOKEN}&secret={STREAM_API_SECRET}")),
        error(format!("{{\"headers\":{{\"authorization\":\"Bearer {TOKEN}\"}}}}")),
        // The log contains the first 500 characters of a message.
        error(format!("{}{TOKEN}", "x".repeat(480))),
        error(format!("{} {TOKEN}", "x".repeat(470))),
        error(format!("{} {STREAM_API_SECRET}", "x".repeat(490))),
        error(format!("{} {session}", "x".repeat(495))),
    ]
}

/// Sends a request to each function that sends requests to Stream. `n` selects new users and calls.
async fn send_all(app: &TestApp, n: usize) -> Vec<TestResponse> {
    let (new, leaving, call) = (format!("new-{n}"), format!("leaving-{n}"), format!("c{n}"));
    let profile = json!({"userData": {"name": format!("Alice {n}")}});
    let create = json!({"receiverId": "bob", "callId": new, "allowParallel": true});
    let message = json!({"channelId": "call-kept", "message": "Hi"});
    vec![
        app.post("/token", &new, json!({})).await,
        app.post("/token", "alice", profile.clone()).await,
        app.post("/user/upsert", "alice", profile).await,
        app.post("/token/revoke", &leaving, json!({})).await,
        app.post("/call/create", "alice", create).await,
        app.post("/call/end", "alice", json!({"callId": call})).await,
        app.post("/message/send", "alice", message).await,
        app.get("/message/call-kept", "alice").await,
        app.get("/call/quality/kept", "alice").await,
        app.get("/config?deep=true", "alice").await,
        app.delete(&format!("/user/{leaving}"), &leaving).await,
    ]
}

#[tokio::test]
async fn credentials_in_errors_of_stream_are_not_revealed() {
    const STATUSES: [u16; 5] = [400, 401, 403, 404, 502];
    let app = TestApp::with_env([("LOG_LEVEL", "debug")]).await;
    let (server, session) = (server_token(), app.stack().token_for("alice"));
    // The signature is valid, but the token has no user.
    assert_eq!(app.stream().check_user_token(&server).unwrap_err().code, 5);
    let secrets = [signature(&server).to_owned(), signature(&session).to_owned()];
    let secrets = [&secrets[..], &[STREAM_API_SECRET.to_owned()]].concat();
    let echoes = echoes(&session);
    let rounds: Vec<(u16, &String)> =
        STATUSES.iter().flat_map(|status| echoes.iter().map(move |echo| (*status, echo))).collect();
    let mut ids: Vec<String> = (0..rounds.len()).map(|n| format!("c{n}")).collect();
    ids.push("kept".to_owned());
    app.create_calls(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let leaving: Vec<String> = (0..rounds.len()).map(|n| format!("leaving-{n}")).collect();
    app.provision_users(&leaving.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (n, (status, echo)) in rounds.into_iter().enumerate() {
        let fault = Fault::body(status, echo.as_str());
        app.stream().add_fault(FaultRule::for_any_operation(fault));
        for (request, response) in send_all(&app, n).await.into_iter().enumerate() {
            for secret in &secrets {
                assert!(!response.text.contains(secret), "request {request} of round {n}");
            }
        }
        app.stream().clear_faults();
    }
    // The sweeper processes due calls, queued pushes and erasures.
    for (status, echo) in STATUSES.into_iter().zip(&echoes) {
        app.advance_time(Duration::from_mins(11)).await;
        let fault = Fault::body(status, echo.as_str());
        app.stream().add_fault(FaultRule::for_any_operation(fault));
        let summaries: [Value; 2] = [app.sweep().await, app.reconcile().await];
        for summary in &summaries {
            assert_ne!(summary["failed"], 0, "{summary}");
        }
        app.stream().clear_faults();
    }
    // `stop` checks that the output has no token at all.
    let output = app.stop().await;
    for secret in &secrets {
        assert!(!output.contains(secret));
    }
    for logged in [
        "[redacted]",
        "stream_refused",
        "stream_rejected_credentials",
        "stream_bad_answer",
        "stream_unavailable",
    ] {
        assert!(output.contains(logged), "the output lacks {logged}");
    }
}
