//! Responses of Stream with a success status and a body that does not answer the request. A write
//! then fails, and the same request succeeds afterwards.

use std::time::Duration;

use e2e::{TestApp, TestResponse};
use http::Method;
use serde_json::json;
use stream_emulator::{Fault, FaultRule, Operation};

/// Bodies that answer no request.
const WRONG_BODIES: [&str; 11] = [
    "{}",
    "[]",
    "[{}]",
    r#"{"hello":["world"]}"#,
    "null",
    "true",
    "7",
    r#""x""#,
    "",
    "{",
    "<html><body>Please sign in</body></html>",
];

/// Bodies that answer no request of any operation, then those of one operation.
fn wrong_bodies(of_operation: &[&'static str]) -> Vec<&'static str> {
    [&WRONG_BODIES[..], of_operation].concat()
}

/// Makes Stream respond to an operation with this body, in which `@` stands for the id.
fn respond(app: &TestApp, operation: Operation, body: &str, id: &str) {
    let fault = Fault::body(200, body.replace('@', id));
    app.stream().add_fault(FaultRule::for_operation(operation, fault));
}

const BAD_RESPONSE: (u16, &str) = (502, "stream_bad_answer");

const WRONG_USER_LISTS: &[&str] = &[
    r#"{"users":{}}"#,
    r#"{"users":"@"}"#,
    r#"{"users":[7]}"#,
    r#"{"users":[null]}"#,
    r#"{"users":[{}]}"#,
    r#"{"users":[{"id":7}]}"#,
    r#"{"users":[{"id":"@","custom":[]}]}"#,
    r#"{"users":[{"id":"@","banned":"no"}]}"#,
];

const WRONG_UPDATED_USERS: &[&str] = &[
    r#"{"users":[]}"#,
    r#"{"users":{}}"#,
    r#"{"users":null}"#,
    r#"{"users":{"bob":{"id":"bob"}}}"#,
    r#"{"users":{"@":{}}}"#,
    r#"{"users":{"@":null}}"#,
    r#"{"users":{"@":{"id":7}}}"#,
];

#[tokio::test]
async fn profile_is_sent_again_after_a_wrong_response() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    for (operation, of_operation) in
        [(Operation::QueryUsers, WRONG_USER_LISTS), (Operation::UpdateUsers, WRONG_UPDATED_USERS)]
    {
        for (n, body) in wrong_bodies(of_operation).into_iter().enumerate() {
            let user = format!("user-{n}-{operation}");
            respond(&app, operation, body, &user);
            for (path, request) in
                [("/token", json!({})), ("/user/upsert", json!({"userData": {"name": "A"}}))]
            {
                let response = app.post(path, &user, request).await;
                assert_eq!(response.outcome(), BAD_RESPONSE, "{operation} {path} {body}");
            }
            assert!(app.stream().user(&user).is_none(), "{operation} {body}");
            // A user who may be missing at Stream is unknown.
            let call = app.post("/call/create", "alice", json!({"receiverId": user})).await;
            assert_eq!(call.outcome(), (404, "user_not_found"), "{operation} {body}");
            app.stream().clear_faults();
            let _ = app.post("/token", &user, json!({})).await.expect_success();
            let name = app.stream().user(&user).unwrap().name;
            assert_eq!(name.as_deref(), Some("A"), "{operation} {body}");
        }
    }
}

const WRONG_REVOCATIONS: &[&str] = &[
    r#"{"users":[]}"#,
    r#"{"users":{}}"#,
    r#"{"users":null}"#,
    r#"{"users":{"bob":{"id":"bob"}}}"#,
    r#"{"users":{"@":{}}}"#,
    r#"{"users":{"@":{"id":"@","revoke_tokens_issued_before":"2020-01-01T00:00:00Z"}}}"#,
    r#"{"users":{"@":{"id":"@","revoke_tokens_issued_before":0}}}"#,
    r#"{"users":{"@":{"id":"@","revoke_tokens_issued_before":"soon"}}}"#,
];

#[tokio::test]
async fn revocation_fails_with_a_wrong_response() {
    let app = TestApp::start().await;
    for (n, body) in wrong_bodies(WRONG_REVOCATIONS).into_iter().enumerate() {
        let user = format!("user-{n}");
        let issued = app.post("/token", &user, json!({})).await.expect_success();
        let token = issued.body["token"].as_str().unwrap();
        respond(&app, Operation::UpdateUsersPartial, body, &user);
        let failed = app.post("/token/revoke", &user, json!({})).await;
        assert_eq!(failed.outcome(), BAD_RESPONSE, "{body}");
        assert!(app.stream().check_user_token(token).is_ok(), "{body}");
        app.stream().clear_faults();
        let _ = app.post("/token/revoke", &user, json!({})).await.expect_success();
        let code = app.stream().check_user_token(token).map_err(|error| error.code);
        assert_eq!(code.err(), Some(40), "{body}");
    }
}

const WRONG_DEVICE_LISTS: &[&str] = &[
    r#"{"devices":{}}"#,
    r#"{"devices":"@"}"#,
    r#"{"devices":[7]}"#,
    r#"{"devices":[null]}"#,
    r#"{"devices":[{}]}"#,
    r#"{"devices":[{"id":"phone"}]}"#,
    r#"{"devices":[{"id":7,"user_id":"@"}]}"#,
    r#"{"devices":[{"id":"phone","user_id":"bob"}]}"#,
    r#"{"devices":[{"id":"phone","user_id":"@"},7]}"#,
];

/// A removed device has no further fields in its response.
const WRONG_REMOVALS: &[&str] = &[r#"{"duration":7}"#, r#"{"devices":[]}"#];

#[tokio::test]
async fn devices_are_removed_by_a_retry_after_a_wrong_response() {
    let app = TestApp::start().await;
    for (operation, of_operation) in
        [(Operation::ListDevices, WRONG_DEVICE_LISTS), (Operation::DeleteDevice, WRONG_REMOVALS)]
    {
        for (n, body) in wrong_bodies(of_operation).into_iter().enumerate() {
            let user = format!("user-{n}-{operation}");
            let device = json!({"id": "phone", "push_provider": "firebase"});
            let created = app.send_to_stream_as(&user, Method::POST, "/devices", &device).await;
            assert_eq!(created.status, 201, "{}", created.body);
            respond(&app, operation, body, &user);
            let failed = app.post("/token/revoke", &user, json!({})).await;
            assert_eq!(failed.outcome(), BAD_RESPONSE, "{operation} {body}");
            app.stream().clear_faults();
            let _ = app.post("/token/revoke", &user, json!({})).await.expect_success();
            assert!(app.stream().devices(&user).is_empty(), "{operation} {body}");
        }
    }
}

const WRONG_CHANNELS: &[&str] = &[
    r#"{"channel":null}"#,
    r#"{"channel":{}}"#,
    r#"{"channel":[]}"#,
    r#"{"channel":{"id":"call-@"}}"#,
    r#"{"channel":{"id":"@","created_by":{"id":"alice"}}}"#,
    r#"{"channel":{"id":"call-other","created_by":{"id":"alice"}}}"#,
];

const WRONG_CALLS: &[&str] = &[
    r#"{"call":null}"#,
    r#"{"call":{}}"#,
    r#"{"call":[]}"#,
    r#"{"call":{"id":"@","type":"default"}}"#,
    r#"{"call":{"id":"@","created_by":{"id":"alice"}}}"#,
    r#"{"call":{"id":"@","type":"other","created_by":{"id":"alice"}}}"#,
    r#"{"call":{"id":"other","type":"default","created_by":{"id":"alice"}}}"#,
];

#[tokio::test]
async fn call_is_not_active_after_a_wrong_response() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    for (operation, of_operation) in
        [(Operation::GetOrCreateChannel, WRONG_CHANNELS), (Operation::GetOrCreateCall, WRONG_CALLS)]
    {
        for (n, body) in wrong_bodies(of_operation).into_iter().enumerate() {
            let id = format!("c{n}-{operation}");
            let create = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
            respond(&app, operation, body, &id);
            let failed = app.post("/call/create", "alice", create.clone()).await;
            assert_eq!(failed.outcome(), BAD_RESPONSE, "{operation} {body}");
            let message = json!({"channelId": format!("call-{id}"), "message": "Hi"});
            let sent = app.post("/message/send", "alice", message).await;
            assert_eq!(sent.outcome(), (409, "call_not_active"), "{operation} {body}");
            assert!(app.stream().call(&format!("default:{id}")).is_none(), "{operation} {body}");
            app.stream().clear_faults();
            let created = app.post("/call/create", "alice", create).await.expect_success();
            assert_eq!(created.body["status"], "active", "{operation} {body}");
            assert!(app.stream().call(&format!("default:{id}")).is_some(), "{operation} {body}");
        }
    }
}

const WRONG_MESSAGES: &[&str] = &[
    r#"{"message":null}"#,
    r#"{"message":{}}"#,
    r#"{"message":[]}"#,
    r#"{"message":{"id":"@"}}"#,
    r#"{"message":{"id":"other","cid":"messaging:call-c1","created_at":1}}"#,
];

/// Messages that Stream answers and does not deliver.
const UNDELIVERED_MESSAGES: &[&str] = &[
    r#"{"message":{"id":"@","cid":"messaging:call-c1","type":"error","created_at":1}}"#,
    r#"{"message":{"id":"@","cid":"messaging:call-c1","type":"ephemeral","created_at":1}}"#,
];

#[tokio::test]
async fn message_is_sent_again_after_a_wrong_response() {
    let app = TestApp::with_call("c1").await;
    let wrong = wrong_bodies(WRONG_MESSAGES).into_iter().map(|body| (body, BAD_RESPONSE));
    let undelivered = UNDELIVERED_MESSAGES.iter().map(|body| (*body, (422, "message_blocked")));
    for (n, (body, outcome)) in wrong.chain(undelivered).enumerate() {
        let id = format!("m{n}");
        let message = json!({"channelId": "call-c1", "message": "Hi", "messageId": id});
        respond(&app, Operation::SendMessage, body, &id);
        let failed = app.post("/message/send", "alice", message.clone()).await;
        assert_eq!(failed.outcome(), outcome, "{body}");
        assert_eq!(app.stream().messages("messaging:call-c1").len(), n, "{body}");
        app.stream().clear_faults();
        let _ = app.post("/message/send", "alice", message).await.expect_success();
        assert_eq!(app.stream().messages("messaging:call-c1").len(), n + 1, "{body}");
    }
}

#[tokio::test]
async fn reads_report_a_wrong_response() {
    let app = TestApp::with_call("c1").await;
    for body in wrong_bodies(&[r#"{"messages":{}}"#, r#"{"messages":"x"}"#]) {
        respond(&app, Operation::GetChannel, body, "");
        let listed = app.get("/message/call-c1", "alice").await;
        assert_eq!(listed.outcome(), BAD_RESPONSE, "{body}");
        respond(&app, Operation::GetCallReport, body, "");
        let quality = app.get("/call/quality/c1", "alice").await.expect_success();
        assert_eq!(quality.body["quality"]["stream"]["reachable"], false, "{body}");
        respond(&app, Operation::GetApp, body, "");
        respond(&app, Operation::GetCallType, body, "");
        let config = app.get("/config?deep=true", "alice").await.expect_success();
        for name in ["stream", "webhook", "callType"] {
            let check = &config.body["config"]["checks"][name];
            let outcome = (&check["ok"], &check["code"]);
            assert_eq!(outcome, (&json!(false), &json!("stream_bad_answer")), "{name} {body}");
        }
        app.stream().clear_faults();
        let listed = app.get("/message/call-c1", "alice").await.expect_success();
        assert_eq!(listed.body["messages"], json!([]));
    }
}

#[tokio::test]
async fn ended_call_is_cleaned_up_after_a_wrong_response() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    for operation in [Operation::EndCall, Operation::DeleteChannel] {
        let bodies = wrong_bodies(&[r#"{"duration":null}"#, r#"{"duration":7}"#]);
        for (n, body) in bodies.into_iter().enumerate() {
            let id = format!("c{n}-{operation}");
            let create = json!({"receiverId": "bob", "callId": id});
            let _ = app.post("/call/create", "alice", create).await.expect_success();
            respond(&app, operation, body, &id);
            let end = async || app.post("/call/end", "alice", json!({"callId": id})).await;
            let ending = end().await;
            let outcome = (ending.status, &ending.body["status"]);
            assert_eq!(outcome, (202, &json!("ending")), "{operation} {body}");
            let call = app.stream().call(&format!("default:{id}")).unwrap();
            let channel = app.stream().channel(&format!("messaging:call-{id}"));
            let is_left = (call.ended_at.is_none(), channel.is_some());
            let is_end = operation == Operation::EndCall;
            assert_eq!(is_left, (is_end, !is_end), "{operation} {body}");
            app.stream().clear_faults();
            // The quota of channel deletions per minute must not be exhausted.
            app.stack().advance(Duration::from_mins(1)).await;
            let ended = end().await;
            let outcome = (ended.status, &ended.body["status"]);
            assert_eq!(outcome, (200, &json!("ended")), "{operation} {body}");
        }
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

const WRONG_CALL_LISTS: &[&str] = &[r#"{"calls":{}}"#, r#"{"calls":"x"}"#];
const WRONG_DELETIONS: &[&str] = &[r#"{"task_id":""}"#, r#"{"task_id":7}"#];
const WRONG_TASKS: &[&str] = &[r#"{"status":null}"#, r#"{"status":7}"#];

#[tokio::test]
async fn erasure_continues_after_a_wrong_response() {
    let app = TestApp::start().await;
    for (operation, of_operation) in [
        (Operation::QueryCalls, WRONG_CALL_LISTS),
        (Operation::DeleteUsers, WRONG_DELETIONS),
        (Operation::GetTask, WRONG_TASKS),
    ] {
        for (n, body) in wrong_bodies(of_operation).into_iter().enumerate() {
            let user = format!("user-{n}-{operation}");
            app.provision_users(&[user.as_str()]).await;
            respond(&app, operation, body, &user);
            let erase = async || app.delete(&format!("/user/{user}"), &user).await;
            let erasing = erase().await;
            let outcome = (erasing.status, &erasing.body["status"]);
            assert_eq!(outcome, (202, &json!("deleting")), "{operation} {body}");
            let is_deleted = || app.stream().user(&user).unwrap().deleted_at.is_some();
            assert_eq!(is_deleted(), operation == Operation::GetTask, "{operation} {body}");
            app.stream().clear_faults();
            let erased = erase().await;
            let outcome = (erased.status, &erased.body["status"]);
            assert_eq!(outcome, (200, &json!("deleted")), "{operation} {body}");
            assert!(is_deleted(), "{operation} {body}");
        }
    }
}

const WRONG_REACTIVATIONS: &[&str] = &[
    r#"{"duration":7}"#,
    r#"{"duration":"1ms","user":7}"#,
    r#"{"user":{"id":"@"}}"#,
    r#"{"duration":"1ms","user":{"id":"other"}}"#,
    r#"{"duration":"1ms","user":{"id":"@","deactivated_at":1767225600000000000}}"#,
];

/// Upserts a user as a service.
async fn upsert_as_service(app: &TestApp, user: &str) -> TestResponse {
    let service = app.service_authorization();
    let body = json!({"userId": user, "userData": {"name": "A"}}).to_string();
    app.post_with_headers("/user/upsert", &[("authorization", &service)], &body).await
}

#[tokio::test]
async fn reactivation_fails_with_a_wrong_response() {
    let app = TestApp::start().await;
    for (n, body) in wrong_bodies(WRONG_REACTIVATIONS).into_iter().enumerate() {
        let user = format!("user-{n}");
        app.provision_users(&[user.as_str()]).await;
        app.stream().deactivate_user(&user);
        let is_deactivated = || app.stream().user(&user).unwrap().deactivated_at.is_some();
        respond(&app, Operation::ReactivateUser, body, &user);
        // The response to the push shows the deactivation, later the table has it.
        assert_eq!(upsert_as_service(&app, &user).await.outcome(), BAD_RESPONSE, "{body}");
        let token = app.post("/token", &user, json!({})).await;
        assert_eq!(token.outcome(), (403, "user_deactivated"), "{body}");
        assert_eq!(upsert_as_service(&app, &user).await.outcome(), BAD_RESPONSE, "{body}");
        assert!(is_deactivated(), "{body}");
        app.stream().clear_faults();
        let _ = upsert_as_service(&app, &user).await.expect_success();
        assert!(!is_deactivated(), "{body}");
        let _ = app.post("/token", &user, json!({})).await.expect_success();
    }
}

#[tokio::test]
async fn sweep_is_completed_after_a_wrong_response() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let state = async |id: &str| app.get_call_item(id).await["state"]["S"].clone();
    for operation in [Operation::EndCall, Operation::QueryChannels, Operation::DeleteChannels] {
        for (n, body) in ["{}", "[]", r#"{"hello":["world"]}"#, "null", ""].into_iter().enumerate()
        {
            let id = format!("c{n}-{operation}");
            let create = json!({"receiverId": "bob", "callId": id});
            let _ = app.post("/call/create", "alice", create).await.expect_success();
            app.advance_time(Duration::from_mins(2)).await;
            respond(&app, operation, body, &id);
            assert_ne!(app.sweep().await["failed"], 0, "{operation} {body}");
            // The call is over for its members, and not yet cleaned up.
            assert_eq!(state(&id).await, "ending", "{operation} {body}");
            app.stream().clear_faults();
            app.advance_minutes(2).await;
            assert_eq!(state(&id).await, "ended", "{operation} {body}");
        }
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

/// The wrong body of a profile request does not reach the caller.
#[tokio::test]
async fn wrong_response_is_not_repeated_to_the_caller() {
    let app = TestApp::start().await;
    for body in wrong_bodies(&[r#"{"confidential":"text of a proxy"}"#]) {
        respond(&app, Operation::QueryUsers, body, "");
        let response = app.post("/token", "alice", json!({})).await;
        let title = "Stream returned an invalid response";
        let expected = json!({
            "error": true,
            "message": title,
            "type": "urn:stream-functions:stream_bad_answer",
            "title": title,
            "status": 502,
            "detail": title,
            "code": "stream_bad_answer",
        });
        assert_eq!(response.body_without_instance(), expected, "{body}");
        app.stream().clear_faults();
    }
    assert!(!app.stop().await.contains("text of a proxy"));
}
