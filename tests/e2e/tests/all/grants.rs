//! What users can do at Stream with their own tokens, in a call of a hardened call type.

use std::time::Duration;

use e2e::TestApp;
use http::Method;
use serde_json::{Value, json};

/// The call type of these tests.
const CALL_TYPE: &str = "private_call";

/// Creates the call type with the grants of `stream-setup apply`.
async fn create_call_type(app: &TestApp) {
    let member = [
        "create-call-reaction",
        "end-call",
        "join-call",
        "read-call",
        "screenshare",
        "send-audio",
        "send-video",
    ];
    let mut grants: serde_json::Map<String, Value> = ["user", "guest", "anonymous"]
        .map(|role| (role.to_owned(), json!([])))
        .into_iter()
        .collect();
    grants.insert("call_member".to_owned(), json!(member));
    app.post_to_stream("video/calltypes", &json!({"name": CALL_TYPE, "grants": grants})).await;
}

/// A stack with a call `c1` of Alice and Bob, and the stranger Mallory.
async fn app_with_private_call() -> TestApp {
    let app = TestApp::with_env([("STREAM_CALL_TYPE", CALL_TYPE)]).await;
    create_call_type(&app).await;
    app.create_calls(&["c1"]).await;
    app.provision_users(&["mallory"]).await;
    app
}

/// A request to Stream with the body, and the status for the creator, the other member and a
/// stranger.
type Row = (Method, &'static str, Value, [u16; 3]);

fn rows() -> Vec<Row> {
    let call = "/video/call/private_call/c1";
    let channel = "/channels/messaging/call-c1";
    let path =
        |base: &str, rest: &str| -> &'static str { Box::leak(format!("{base}{rest}").into()) };
    let limit = json!({"settings_override": {"limits": {"max_duration_seconds": 86_400}}});
    let add = json!({"update_members": [{"user_id": "mallory", "role": "call_member"}]});
    let remove = json!({"remove_members": ["bob"]});
    let text = json!({"message": {"text": "Hi"}});
    vec![
        (Method::GET, path(call, ""), json!({}), [200, 200, 403]),
        // The stack pretends joins.
        (Method::POST, path(call, "/join"), json!({"location": "AMS"}), [201, 201, 403]),
        (Method::PATCH, path(call, ""), limit, [403, 403, 403]),
        (Method::PATCH, path(call, ""), json!({"custom": {"a": 1}}), [403, 403, 403]),
        (Method::POST, path(call, "/members"), add, [403, 403, 403]),
        (Method::POST, path(call, "/members"), remove, [403, 403, 403]),
        (Method::POST, path(call, "/start_recording"), json!({}), [403, 403, 403]),
        (Method::POST, path(channel, "/query"), json!({}), [201, 201, 403]),
        (Method::POST, path(channel, "/message"), text, [201, 201, 403]),
        (Method::POST, path(channel, ""), json!({"add_members": ["mallory"]}), [403, 403, 403]),
        (Method::POST, path(channel, ""), json!({"data": {"name": "x"}}), [403, 403, 403]),
        (Method::PATCH, path(channel, ""), json!({"set": {"frozen": true}}), [403, 403, 403]),
        (Method::POST, path(channel, "/truncate"), json!({}), [403, 403, 403]),
        (Method::DELETE, path(channel, ""), json!({}), [403, 403, 403]),
        // Ending the call is the last row, since it also succeeds.
        (Method::POST, path(call, "/mark_ended"), json!({}), [201, 201, 403]),
    ]
}

#[tokio::test]
async fn own_tokens_permit_only_what_members_need() {
    for (n, user) in ["alice", "bob", "mallory"].into_iter().enumerate() {
        let app = app_with_private_call().await;
        for (method, path, body, statuses) in rows() {
            let response = app.send_to_stream_as(user, method.clone(), path, &body).await;
            assert_eq!(response.status, statuses[n], "{user} {method} {path} {}", response.body);
            if response.status == 403 {
                assert_eq!(response.body["code"], 17, "{user} {method} {path}");
            }
        }
        let is_ended = app.stream().call("private_call:c1").unwrap().ended_at.is_some();
        assert_eq!(is_ended, user != "mallory", "{user}");
    }
}

/// Stream's built-in call type is open, which the checks report.
#[tokio::test]
async fn stranger_can_end_a_call_of_the_default_type() {
    let app = TestApp::with_call("c1").await;
    app.provision_users(&["mallory"]).await;
    let path = "/video/call/default/c1/mark_ended";
    let ended = app.send_to_stream_as("mallory", Method::POST, path, &json!({})).await;
    assert_eq!(ended.status, 201);
}

#[tokio::test]
async fn creator_cannot_lengthen_the_call() {
    let app = app_with_private_call().await;
    let path = "/video/call/private_call/c1";
    let limit = |seconds: u64| json!({"limits": {"max_duration_seconds": seconds}});
    for settings in [limit(86_400), limit(0)] {
        for (method, body) in [
            (Method::PATCH, json!({"settings_override": settings})),
            (Method::POST, json!({"data": {"settings_override": settings}})),
        ] {
            let _ = app.send_to_stream_as("alice", method, path, &body).await;
        }
    }
    let call = app.stream().call("private_call:c1").unwrap();
    assert_eq!(call.max_duration_seconds, Some(14_400));
}

#[tokio::test]
async fn call_token_permits_its_call_only() {
    let app = app_with_private_call().await;
    app.create_calls(&["c2"]).await;
    let token = app.post("/token", "alice", json!({"callId": "c1"})).await.expect_success();
    let claims = app.stream().check_user_token(token.body["token"].as_str().unwrap()).unwrap();
    assert_eq!(claims.call_cids, ["private_call:c1"]);
}

#[tokio::test]
async fn response_has_the_cid_of_the_call_type() {
    let app = app_with_private_call().await;
    let call = app.get("/call/c1", "bob").await.expect_success();
    assert_eq!(call.body["callCid"], "private_call:c1");
    assert_eq!(call.body["channelCid"], "messaging:call-c1");
    assert_eq!(app.get_call_item("c1").await["streamCallType"]["S"], CALL_TYPE);
    let stream_call = app.stream().call("private_call:c1").unwrap();
    assert_eq!(stream_call.created_by, "alice");
    let roles: Vec<_> = stream_call.member_roles.values().map(String::as_str).collect();
    assert_eq!(roles, ["call_member", "call_member"]);
    let channel = app.stream().channel("messaging:call-c1").unwrap();
    assert_eq!((channel.created_by.as_str(), channel.members.len()), ("stream-functions", 2));
}

/// Open calls keep their type, whatever type new calls get.
#[tokio::test]
async fn open_calls_survive_a_change_of_the_call_type() {
    let app = TestApp::start().await;
    create_call_type(&app).await;
    app.create_calls(&["ended", "swept", "hooked"]).await;
    app.stack().deploy_variable("STREAM_CALL_TYPE", CALL_TYPE).await;
    app.create_calls(&["new"]).await;
    assert!(app.stream().call("private_call:new").is_some());
    assert_eq!(app.get_call_item("ended").await["streamCallType"], Value::Null);

    let old = app.get("/call/ended", "alice").await.expect_success();
    assert_eq!(old.body["callCid"], "default:ended");
    let _ = app.get("/call/quality/ended", "alice").await.expect_success();
    let repeated = app.post(
        "/call/create",
        "alice",
        json!({
            "receiverId": "bob", "callId": "ended", "allowParallel": true,
        }),
    );
    assert_eq!(repeated.await.expect_success().body["callCid"], "default:ended");
    let _ = app.post("/call/end", "alice", json!({"callId": "ended"})).await.expect_success();
    assert!(app.stream().call("default:ended").unwrap().ended_at.is_some());

    // An event of another type with the same id does not concern the call.
    for (cid, state) in [("private_call:hooked", "active"), ("default:hooked", "ending")] {
        let created_at = jiff::Timestamp::from_millisecond(app.now_millis()).unwrap().to_string();
        let event = json!({"type": "call.ended", "call_cid": cid, "created_at": created_at});
        assert_eq!(app.send_webhook(&event).await.status, 200);
        assert_eq!(app.get_call_item("hooked").await["state"]["S"], state, "{cid}");
    }
    // No participant joined the others.
    app.advance_minutes(8).await;
    for (id, call_type) in [("swept", "default"), ("hooked", "default"), ("new", CALL_TYPE)] {
        assert_eq!(app.get_call_item(id).await["state"]["S"], "ended", "{id}");
        let call = app.stream().call(&format!("{call_type}:{id}")).unwrap();
        assert!(call.ended_at.is_some(), "{id}");
    }
    // The reconciliation uses the type that Stream returns.
    app.create_calls(&["lost"]).await;
    app.delete_item("CALL#lost", "CALL").await;
    app.advance_time(Duration::from_mins(11)).await;
    assert_eq!(app.reconcile().await["ended"], 1);
    assert!(app.stream().call("private_call:lost").unwrap().ended_at.is_some());
}

/// The id of the service user is reserved.
#[tokio::test]
async fn service_user_cannot_be_used() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    let reserved = "stream-functions";
    let session = app.post("/token", reserved, json!({})).await;
    assert_eq!(session.outcome(), (401, "unauthenticated"));
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    for (method, path, body, outcome) in [
        (Method::POST, "/token", json!({"userId": reserved}), (400, "invalid_body")),
        (
            Method::POST,
            "/user/upsert",
            json!({"userId": reserved, "userData": {}}),
            (400, "invalid_body"),
        ),
        (Method::POST, "/token/revoke", json!({"userId": reserved}), (404, "user_not_found")),
        (Method::DELETE, "/user/stream-functions", json!({}), (404, "user_not_found")),
    ] {
        let headers = [headers[0], ("content-type", "application/json")];
        let response = app.send(method, path, &headers, &body.to_string()).await;
        assert_eq!(response.outcome(), outcome, "{path}");
    }
    let create = json!({"receiverId": reserved});
    let response = app.post("/call/create", "alice", create).await;
    assert_eq!(response.outcome(), (404, "user_not_found"));
    let create = json!({"ownerId": reserved, "receiverId": "alice"});
    let response = app.post_as_service("/call/create", create).await;
    assert_eq!(response.outcome(), (404, "user_not_found"));
    assert_eq!(app.stream().user(reserved).unwrap().deleted_at, None);
}

/// The configured service user was a user of the apps before.
#[tokio::test]
async fn former_user_cannot_be_used_as_service_user() {
    let app = TestApp::with_env([("STREAM_SERVICE_USER", "bot")]).await;
    app.provision_users(&["alice"]).await;
    let mut item = app.get_item("USER#alice", "PROFILE").await;
    item["pk"] = json!({"S": "USER#bot"});
    item["userId"] = json!({"S": "bot"});
    app.put_item(item).await;
    app.post_to_stream("users", &json!({"users": {"bot": {"id": "bot"}}})).await;
    for create in [
        json!({"ownerId": "alice", "receiverId": "bot"}),
        json!({"ownerId": "bot", "receiverId": "alice"}),
    ] {
        let response = app.post_as_service("/call/create", create).await;
        assert_eq!(response.outcome(), (404, "user_not_found"));
    }
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str()), ("content-type", "application/json")];
    for (method, path, body) in [
        (Method::POST, "/token/revoke", json!({"userId": "bot"})),
        (Method::DELETE, "/user/bot", json!({})),
    ] {
        let response = app.send(method, path, &headers, &body.to_string()).await;
        assert_eq!(response.outcome(), (404, "user_not_found"), "{path}");
    }
    assert_eq!(app.stream().user("bot").unwrap().deleted_at, None);
}

/// The first call of an app at Stream creates the service user, and blames no member.
#[tokio::test]
async fn missing_service_user_is_created_once() {
    let app = TestApp::with_env([("STREAM_SERVICE_USER", "new-service")]).await;
    assert!(app.stream().user("new-service").is_none());
    app.create_calls(&["c1", "c2"]).await;
    assert!(app.stream().user("new-service").is_some());
    let channel = app.stream().channel("messaging:call-c2").unwrap();
    assert_eq!(channel.created_by, "new-service");

    app.stream().delete_user("new-service");
    let create = json!({"receiverId": "bob", "callId": "c3", "allowParallel": true});
    let response = app.post("/call/create", "alice", create).await;
    assert_eq!(response.outcome(), (502, "stream_refused"));
}
