//! The console of the local stack: its endpoints, and who may use them.

use std::time::Duration;

use e2e::{TestApp, send_raw};
use local::{ClientAccess, ConsoleOptions, ConsoleUser, Options};
use serde_json::{Value, json};
use tokio::time::timeout;

/// The longest time until a change is visible on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The header of the console's own page.
const OWN_PAGE: &str = "host: localhost:9000\r\norigin: http://localhost:9000\r\n";

fn options() -> Options {
    let user = |id: &str, name: &str| ConsoleUser { id: id.to_owned(), name: name.to_owned() };
    Options {
        console: Some(ConsoleOptions { users: vec![user("alice", "Alice"), user("bob", "Bob")] }),
        clients: Some(ClientAccess { host: [127, 0, 0, 1].into(), tls_dir: None }),
        webhooks: true,
        streams: true,
        ..Options::default()
    }
}

async fn start() -> TestApp {
    let app = TestApp::with_options(options()).await;
    app.provision_users(&["alice", "bob", "carol"]).await;
    app
}

/// Sends a request with these header lines. Returns the status, the head and the body.
async fn send(app: &TestApp, line: &str, headers: &str, body: &str) -> (u16, String, String) {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let response = send_raw(app.stack().api_url(), request.as_bytes()).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// Sends a request of the console's page that must succeed.
async fn console(app: &TestApp, line: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let line = line.replacen(" /", " /_local/console/", 1);
    let (status, _, text) = send(app, &line, OWN_PAGE, &body).await;
    assert!(status < 300, "{line}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

async fn get(app: &TestApp, path: &str) -> Value {
    console(app, &format!("GET /{path}"), &Value::Null).await
}

/// Reads the requests until the condition holds. A changed request replaces its earlier state.
async fn wait_for(app: &TestApp, condition: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut requests: Vec<Value> = Vec::new();
    let mut after = 0;
    let read = async {
        loop {
            let page = get(app, &format!("requests?after={after}&waitMs=5000")).await;
            after = page["next"].as_u64().unwrap();
            for request in page["requests"].as_array().unwrap() {
                requests.retain(|earlier| earlier["id"] != request["id"]);
                requests.push(request.clone());
            }
            if condition(&requests) {
                return;
            }
        }
    };
    let has_held = timeout(PATIENCE, read).await.is_ok();
    assert!(has_held, "{requests:#?}");
    requests
}

/// The requests of a function whose request line has arrived.
fn of<'a>(requests: &'a [Value], function: &str) -> Vec<&'a Value> {
    let is_complete =
        |request: &&Value| request["logs"].as_array().is_some_and(|it| !it.is_empty());
    requests.iter().filter(|it| it["function"] == function).filter(is_complete).collect()
}

fn names(request: &Value, member: &str) -> Vec<String> {
    let steps = request["steps"].as_array().unwrap().iter();
    steps.filter_map(|step| step[member].as_str().map(str::to_owned)).collect()
}

/// Sends a request of a user's phone to Stream, through the proxy of the stack.
async fn phone(app: &TestApp, user: &str, path: &str) {
    let token = app.post("/token", user, json!({})).await.expect_success().body["token"].clone();
    let token = token.as_str().unwrap();
    let address = app.stack().stream_address().unwrap();
    let key = local::STREAM_API_KEY;
    let request = format!(
        "POST {path}?api_key={key} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         stream-auth-type: jwt\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let response = send_raw(&address.to_string(), request.as_bytes()).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
}

#[tokio::test]
async fn life_of_a_call_is_in_the_trace() {
    let app = start().await;
    let create = json!({"receiverId": "bob", "callId": "c1", "ring": true});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    phone(&app, "alice", "/video/call/default/c1/join").await;
    phone(&app, "bob", "/video/call/default/c1/join").await;
    app.stream().webhooks_idle().await;
    let open = get(&app, "calls").await["calls"][0].clone();
    assert_eq!((&open["callId"], &open["status"]), (&json!("c1"), &json!("active")));
    assert_eq!(open["presence"].as_array().unwrap().len(), 2);
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.stream().webhooks_idle().await;
    app.drain_streams().await;
    let _ = console(&app, "POST /sweep", &Value::Null).await;

    let requests = wait_for(&app, |requests| {
        let functions = ["call-create", "call-end", "webhook", "call-events", "sweeper"];
        functions.iter().all(|function| !of(requests, function).is_empty())
    })
    .await;
    let create = of(&requests, "call-create")[0];
    assert_eq!((&create["kind"], &create["status"]), (&json!("http"), &json!(200)));
    assert_eq!((&create["user"], &create["callId"]), (&json!("alice"), &json!("c1")));
    let purposes = names(create, "purpose");
    for purpose in ["reserve", "open call", "ring", "activate"] {
        assert!(purposes.iter().any(|it| it == purpose), "{purpose}: {create:#}");
    }
    let operations = names(create, "operation");
    assert!(operations.iter().any(|it| it == "GetOrCreateChannel"), "{operations:?}");
    assert_eq!(create["decision"], "New call: alice and bob had no open call. The phones ring.");
    assert!(create["isColdStart"] == true && create["initMs"].as_f64().unwrap() > 0.0);
    for step in create["steps"].as_array().unwrap() {
        let end = step["startMs"].as_f64().unwrap() + step["durationMs"].as_f64().unwrap();
        assert!(end <= create["durationMs"].as_f64().unwrap(), "{create:#}");
    }

    let join = requests.iter().find(|it| it["kind"] == "client").unwrap();
    assert_eq!(join["path"], "/video/call/default/c1/join");
    assert_eq!((&join["function"], &join["callId"]), (&Value::Null, &json!("c1")));
    assert_eq!(names(join, "operation"), ["JoinCall"]);
    assert_eq!(join["decision"], "alice joined the call.");

    let webhook = requests.iter().find(|it| it["caller"] == "call.session_participant_joined");
    let webhook = webhook.unwrap();
    assert_eq!((&webhook["kind"], &webhook["user"]), (&json!("webhook"), &Value::Null));
    assert_eq!(webhook["callId"], "c1");
    let decision = webhook["decision"].as_str().unwrap();
    assert!(decision.ends_with(" joined."), "{decision}");

    let end = of(&requests, "call-end")[0];
    let decision = end["decision"].as_str().unwrap();
    assert!(decision.starts_with("alice ended the call; "), "{decision}");
    let events = of(&requests, "call-events");
    assert!(events.iter().all(|it| it["kind"] == "tableStream" && it["method"] == "RUN"));
    assert_eq!(events[0]["callId"], "c1");
    let sweep = of(&requests, "sweeper")[0];
    assert_eq!((&sweep["kind"], &sweep["path"]), (&json!("schedule"), &json!("sweeper")));
    assert_eq!(sweep["canResend"], false);

    let webhooks = get(&app, "webhooks").await;
    let is_delivered = |delivery: &Value| {
        delivery["attempts"][0]["outcome"] == "delivered" && delivery["callId"] == "c1"
    };
    let deliveries = webhooks["deliveries"].as_array().unwrap();
    assert!(deliveries.iter().any(is_delivered), "{webhooks:#}");
    let types: Vec<&Value> =
        webhooks["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert!(types.contains(&&json!("call.created")) && types.contains(&&json!("call.ended")));
    app.stop().await;
}

/// Several processes of a function run at the same time, and each runs several requests.
#[tokio::test]
async fn steps_and_lines_belong_to_their_request() {
    let app = start().await;
    let create = |user: &'static str, id: &'static str, receiver: &'static str, ring: bool| {
        let body = json!({
            "receiverId": receiver, "callId": id, "ring": ring, "allowParallel": true,
        });
        app.post("/call/create", user, body)
    };
    let (r1, r2, r3, r4, r5, r6, r7, r8) = tokio::join!(
        create("alice", "ring-1", "bob", true),
        create("bob", "ring-2", "alice", true),
        create("alice", "silent-1", "bob", false),
        create("bob", "silent-2", "alice", false),
        create("alice", "unknown-1", "stranger", false),
        create("bob", "unknown-2", "stranger", true),
        create("alice", "ring-3", "carol", true),
        create("bob", "silent-3", "carol", false),
    );
    let statuses = [r1, r2, r3, r4, r5, r6, r7, r8].map(|response| response.status);
    assert_eq!(statuses, [200, 200, 200, 200, 404, 404, 200, 200]);
    let requests = wait_for(&app, |requests| of(requests, "call-create").len() == 8).await;
    for request in of(&requests, "call-create") {
        let body: Value =
            serde_json::from_str(request["request"]["body"].as_str().unwrap()).unwrap();
        let id = body["callId"].as_str().unwrap();
        let count = |member: &str, name: &str| {
            names(request, member).iter().filter(|found| *found == name).count()
        };
        let is_unknown = id.starts_with("unknown");
        let rings = usize::from(id.starts_with("ring"));
        assert_eq!(count("purpose", "reserve"), 1, "{id}: {request:#}");
        assert_eq!(count("purpose", "ring"), rings, "{id}: {request:#}");
        assert_eq!(count("operation", "GetOrCreateCall"), usize::from(!is_unknown), "{id}");
        assert_eq!(count("purpose", "activate"), usize::from(!is_unknown), "{id}");
        assert_eq!(count("purpose", "release"), usize::from(is_unknown), "{id}: {request:#}");
        let codes: Vec<&Value> =
            request["logs"].as_array().unwrap().iter().map(|line| &line["code"]).collect();
        assert_eq!(codes, [if is_unknown { "user_not_found" } else { "ok" }], "{id}");
    }
    app.stop().await;
}

#[tokio::test]
async fn request_is_sent_again() {
    let app = start().await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    phone(&app, "alice", "/video/call/default/c1/join").await;
    let requests = wait_for(&app, |requests| {
        !of(requests, "call-create").is_empty() && requests.iter().any(|it| it["kind"] == "client")
    })
    .await;
    let id_of = |request: &Value| request["id"].as_str().unwrap().to_owned();
    let create = id_of(of(&requests, "call-create")[0]);
    let client = id_of(requests.iter().find(|it| it["kind"] == "client").unwrap());
    for id in [&create, &client] {
        let sent = console(&app, &format!("POST /requests/{id}/resend"), &Value::Null).await;
        let new_id = sent["id"].clone();
        assert_ne!(new_id, json!(id));
        let requests =
            wait_for(&app, |requests| requests.iter().any(|it| it["id"] == new_id)).await;
        let again = requests.iter().find(|it| it["id"] == new_id).unwrap();
        assert_eq!(again["resentFrom"], json!(id));
        // The session of alice is still valid, so the request has its original token.
        let expected = if *id == create { 200 } else { 201 };
        assert_eq!(again["status"], expected, "{again:#}");
        assert!(again["request"]["headers"].get("x-local-resend").is_none(), "{again:#}");
    }
    let _ = console(&app, "POST /sweep", &Value::Null).await;
    let requests = wait_for(&app, |requests| !of(requests, "sweeper").is_empty()).await;
    let sweep = id_of(of(&requests, "sweeper")[0]);
    for (id, expected) in [(sweep.as_str(), 409), ("unknown", 404)] {
        let line = format!("POST /_local/console/requests/{id}/resend");
        let (status, _, body) = send(&app, &line, OWN_PAGE, "").await;
        assert_eq!(status, expected, "{body}");
    }
    app.stop().await;
}

#[tokio::test]
async fn only_the_users_of_the_state_have_tokens() {
    let app = start().await;
    let _ = app.post("/token", "alice", json!({})).await.expect_success();
    let create = json!({"receiverId": "bob", "callId": "c2"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    phone(&app, "alice", "/video/call/default/c2/join").await;
    // A token in a text that goes to Stream and comes back as a webhook.
    let message = json!({"channelId": "call-c2", "message": app.stack().token_for("alice")});
    let _ = app.post("/message/send", "alice", message).await.expect_success();
    app.stream().webhooks_idle().await;
    wait_for(&app, |requests| requests.iter().any(|it| it["kind"] == "client")).await;
    for path in ["requests?after=0", "calls", "webhooks"] {
        let text = get(&app, path).await.to_string();
        assert!(text.len() > 100, "{path}: {text}");
        assert!(!text.contains("eyJ"), "{path}");
    }
    let mut state = get(&app, "state").await;
    for (user, expected) in
        state["users"].as_array_mut().unwrap().iter_mut().zip(["alice", "bob", "demo-service"])
    {
        assert_eq!(user["id"], expected);
        let token = user["token"].take();
        let authorization = format!("Bearer {}", token.as_str().unwrap());
        let config =
            app.send(http::Method::GET, "/config", &[("authorization", &authorization)], "").await;
        assert_eq!(config.status, 200, "{expected}");
    }
    assert!(!state.to_string().contains("eyJ"), "{state:#}");
    assert_eq!(state["addresses"]["api"], "http://localhost:9000");
    let stream = format!("http://localhost:{}", app.stack().stream_address().unwrap().port());
    assert_eq!(state["addresses"]["stream"], stream.as_str());
    assert_eq!((&state["isRunning"], &state["streamIsEmulated"]), (&json!(true), &json!(true)));
    app.stop().await;
}

#[tokio::test]
async fn other_pages_and_names_are_rejected() {
    let app = TestApp::with_options(options()).await;
    let lines = ["GET /_local/console/state", "POST /_local/console/sweep", "GET /_local/events"];
    for line in lines {
        for (headers, expected) in [
            ("host: localhost:9000\r\n", 200),
            (OWN_PAGE, 200),
            ("host: 127.0.0.1:9000\r\nsec-fetch-site: same-origin\r\n", 200),
            ("host: localhost:9000\r\norigin: http://localhost:8081\r\n", 403),
            ("host: localhost:9000\r\norigin: null\r\n", 403),
            ("host: localhost:9000\r\nsec-fetch-site: cross-site\r\n", 403),
            ("host: evil.example:9000\r\norigin: http://evil.example:9000\r\n", 403),
            ("host: evil.example\r\n", 403),
        ] {
            let (status, _, body) = send(&app, line, headers, "").await;
            assert_eq!(status, expected, "{line} {headers}: {body}");
        }
    }
    let (status, _, _) = send(&app, "GET /", "host: evil.example\r\n", "").await;
    assert_eq!(status, 403);
    let (_, head, _) = send(&app, "GET /", "host: 192.168.1.5:9000\r\n", "").await;
    let port = app.stack().stream_address().unwrap().port();
    let connect = format!("connect-src 'self' http://192.168.1.5:{port} ws://192.168.1.5:{port};");
    assert!(head.contains(&connect), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    app.stop().await;

    let app = TestApp::start().await;
    for line in ["GET /_local/console/state", "GET /"] {
        let (status, _, _) = send(&app, line, "host: localhost\r\n", "").await;
        assert_eq!(status, 404, "{line}");
    }
    app.stop().await;
}

#[tokio::test]
async fn lost_webhooks_and_a_moved_clock_close_a_call() {
    let app = TestApp::with_options(Options { schedules: true, ..options() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    phone(&app, "alice", "/video/call/default/c1/join").await;
    phone(&app, "bob", "/video/call/default/c1/join").await;
    app.stream().webhooks_idle().await;
    let _ = console(&app, "POST /webhooks", &json!({"dropAll": true})).await;
    assert_eq!(get(&app, "state").await["webhooks"]["dropAll"], true);
    app.stream().leave_all("default:c1");
    let _ = send(&app, "POST /_local/clock", OWN_PAGE, r#"{"advanceSeconds":600}"#).await;

    let sweep = |requests: &[Value]| {
        let sweeps = of(requests, "sweeper").into_iter();
        let ended =
            |it: &Value| it["decision"].as_str().is_some_and(|it| it.starts_with("Ended 1 call"));
        sweeps.filter(|it| ended(it)).count()
    };
    // Without the move of the clock, the first sweep comes a minute after the start.
    let swept = wait_for(&app, |requests| sweep(requests) == 1);
    let requests = timeout(Duration::from_secs(30), swept).await.unwrap();
    let ended = get(&app, "calls").await["calls"][0].clone();
    assert_eq!((&ended["status"], &ended["endReason"]), (&json!("ended"), &json!("left")));
    assert!(ended["due"]["reason"].is_string(), "{ended:#}");
    let lost = get(&app, "webhooks").await["deliveries"][0].clone();
    assert_eq!(lost["attempts"][0]["outcome"], "dropped", "{lost:#}");
    let has_lost = |it: &Value| it["caller"] == "call.session_participant_left";
    assert!(!requests.iter().any(has_lost));
    app.stop().await;
}

#[tokio::test]
async fn calls_are_those_of_the_api() {
    let app = start().await;
    app.create_calls(&["open", "ended"]).await;
    phone(&app, "alice", "/video/call/default/ended/join").await;
    phone(&app, "bob", "/video/call/default/ended/join").await;
    app.stream().webhooks_idle().await;
    app.advance_time(Duration::from_secs(30)).await;
    let _ = app.post("/call/end", "bob", json!({"callId": "ended"})).await.expect_success();
    app.stream().webhooks_idle().await;
    for is_settled in [false, true] {
        if is_settled {
            app.advance_minutes(13).await;
        }
        let calls = get(&app, "calls").await;
        for call in calls["calls"].as_array().unwrap() {
            let id = call["callId"].as_str().unwrap();
            let api = app.get(&format!("/call/{id}"), "alice").await.expect_success().body;
            for member in [
                "channelId",
                "status",
                "callType",
                "members",
                "createdAt",
                "startedAt",
                "answeredAt",
                "endedAt",
                "endReason",
                "durationSeconds",
                "settled",
            ] {
                let time = |value: &Value| {
                    let time = value.as_str().and_then(|it| it.parse::<jiff::Timestamp>().ok());
                    time.map_or_else(|| value.clone(), |it| json!(it.as_millisecond()))
                };
                assert_eq!(time(&call[member]), time(&api[member]), "{id} {member}");
            }
            if id == "ended" {
                assert_eq!(call["talkSeconds"], api["talkSeconds"]);
                assert_eq!(call["talkSeconds"].as_u64().unwrap() / 10, 3, "{call:#}");
            }
        }
        assert_eq!(calls["calls"].as_array().unwrap().len(), 2);
    }
    app.stop().await;
}

#[tokio::test]
async fn faults_are_added_shown_and_removed() {
    let app = start().await;
    for (service, operation, kind) in
        [("stream", "GetOrCreateCall", "status 503"), ("dynamodb", "*", "slow 5")]
    {
        let fault = json!({"service": service, "operation": operation, "kind": kind, "times": 9});
        let _ = console(&app, "POST /faults", &fault).await;
        let shown = get(&app, "state").await["faults"].clone();
        assert!(shown.as_array().unwrap().contains(&fault), "{shown:#}");
    }
    let create = app.post("/call/create", "alice", json!({"receiverId": "bob"})).await;
    assert_eq!(create.status, 503);
    let requests = wait_for(&app, |requests| !of(requests, "call-create").is_empty()).await;
    let create = of(&requests, "call-create")[0];
    let expected = "Failed: Stream answered GetOrCreateCall with 503, by an injected fault.";
    assert_eq!(create["decision"], expected);
    let is_fault = |step: &Value| step["isFault"] == true && step["service"] == "stream";
    assert!(create["steps"].as_array().unwrap().iter().any(is_fault), "{create:#}");
    let _ = console(&app, "DELETE /faults", &Value::Null).await;
    assert_eq!(get(&app, "state").await["faults"], json!([]));
    for (service, operation, kind, times) in [
        ("stream", "GetCall", "explode", 1),
        ("stream", "NoOperation", "status 503", 1),
        ("dynamodb", "", "status 503", 1),
        ("dynamodb", "", "slow 5", 0),
    ] {
        let fault =
            json!({"service": service, "operation": operation, "kind": kind, "times": times});
        let (status, _, body) =
            send(&app, "POST /_local/console/faults", OWN_PAGE, &fault.to_string()).await;
        assert_eq!(status, 400, "{fault}: {body}");
    }
    app.stop().await;
}
