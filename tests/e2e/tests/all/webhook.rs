//! Webhooks: only signed events are accepted, and the order and number of events do not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use e2e::TestApp;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join;
use local::{Options, StreamChoice, dynamo};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use stream_emulator::{
    Fault, FaultRule, GzipMode, Operation, ParticipantSessionFaults, WebhookScript,
};

/// An event for the end of `c1`.
const CALL_ENDED_BODY: &str =
    r#"{"type":"call.ended","created_at":"2026-01-01T00:00:00Z","call_cid":"default:c1"}"#;
/// Its signature with the secret `another-secret`, from Python's hmac module.
const OTHER_SECRET_SIGNATURE: &str =
    "08094770f599b1605bc43f7c94d659e3e7a12b28a30e8055f2a0287c088aecc4";

/// The handled events of a call.
const CALL_EVENT_TYPES: [&str; 10] = [
    "call.session_started",
    "call.session_participant_joined",
    "call.session_participant_left",
    "call.session_ended",
    "call.missed",
    "call.rejected",
    "call.ended",
    "call.deleted",
    "call.stats_report_ready",
    "call.user_feedback_submitted",
];

fn now(app: &TestApp) -> Timestamp {
    Timestamp::from_millis(app.now_millis())
}

fn later(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus(Duration::from_secs(seconds))
}

/// An event of a call, with the fields of all types.
fn call_event(kind: &str, id: &str, at: Timestamp) -> Value {
    json!({
        "type": kind,
        "created_at": at.to_string(),
        "call_cid": format!("default:{id}"),
        "session_id": "s1",
        "rating": 3,
        "user": {"id": "alice"},
    })
}

/// The first participant joined shortly before the event.
fn session_started_event(id: &str, at: Timestamp, reported_at: Timestamp) -> Value {
    let mut event = call_event("call.session_started", id, reported_at);
    event["call"] = json!({"session": {"id": "s1", "started_at": at.to_string()}});
    event
}

/// An event of an interval that is named by its participant.
fn participant_event(kind: &str, id: &str, user: &str, joined: Timestamp, at: Timestamp) -> Value {
    let mut event = call_event(kind, id, at);
    event["participant"] = json!({
        "user": {"id": user},
        "user_session_id": format!("session-of-{user}"),
        "joined_at": joined.to_string(),
    });
    event["duration_seconds"] = json!(at.since(joined).as_secs());
    event
}

fn rejected_event(id: &str, user: &str, reason: Option<&str>, at: Timestamp) -> Value {
    let mut event = call_event("call.rejected", id, at);
    event["user"] = json!({"id": user});
    event["reason"] = json!(reason);
    event
}

fn participant_joined_event(id: &str, at: Timestamp) -> Value {
    let mut event = call_event("call.session_participant_joined", id, later(at, 1));
    event["participant"] = json!({"user": {"id": "alice"}, "joined_at": at.to_string()});
    event
}

fn call_ended_event(id: &str, at: Timestamp) -> Value {
    let mut event = call_event("call.ended", id, later(at, 1));
    event["call"] = json!({"ended_at": at.to_string()});
    event
}

fn channel_deleted_event(cid: &str, at: Timestamp) -> Value {
    json!({"type": "channel.deleted", "created_at": at.to_string(), "cid": cid})
}

fn stats_report_event(id: &str, at: Timestamp, participants: u64) -> Value {
    let mut event = call_event("call.stats_report_ready", id, at);
    event["counts"] = json!({"participants": participants});
    event
}

fn rating_event(id: &str, at: Timestamp, user: &str, rating: u64) -> Value {
    let mut event = call_event("call.user_feedback_submitted", id, at);
    event["user"] = json!({"id": user});
    event["rating"] = json!(rating);
    event["reason"] = json!(format!("{rating} stars"));
    event
}

fn user_event(kind: &str, id: &str, at: Timestamp) -> Value {
    json!({"type": kind, "created_at": at.to_string(), "user": {"id": id}})
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn number_attribute(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn invalid_signature_is_rejected_without_changes() {
    let app = TestApp::with_call("c1").await;
    let before = (app.stream().snapshot(), app.scan_table().await);
    let sign = |body: &[u8]| app.stack().sign_webhook(body);
    let plain = CALL_ENDED_BODY.as_bytes();
    let gzipped = gzip(plain);
    let valid_signature = sign(plain);
    let other_body = sign(CALL_ENDED_BODY.replace("c1", "c2").as_bytes());
    let signature_of_gzip = sign(&gzipped);
    let (upper, twice) =
        (valid_signature.to_uppercase(), format!("{valid_signature},{valid_signature}"));
    let cases: [(&[u8], Option<&str>); 12] = [
        (plain, None),
        (plain, Some("")),
        (plain, Some(&valid_signature[..62])),
        (plain, Some(upper.as_str())),
        (plain, Some(twice.as_str())),
        (plain, Some(other_body.as_str())),
        (plain, Some(OTHER_SECRET_SIGNATURE)),
        (&plain[1..], Some(valid_signature.as_str())),
        (b"", Some(valid_signature.as_str())),
        (b"{", Some(valid_signature.as_str())),
        // The signature must be that of the uncompressed body.
        (&gzipped, Some(signature_of_gzip.as_str())),
        (&gzipped[..20], Some(valid_signature.as_str())),
    ];
    let mut responses = BTreeSet::new();
    app.reset_counts();
    for (body, signature) in cases {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(signature.map(|signature| ("x-signature", signature)));
        let response = app.send_raw_webhook(body, &headers).await;
        assert_eq!(response.outcome(), (401, "bad_signature"), "{body:?} {signature:?}");
        assert_eq!(response.headers["www-authenticate"], "Stream-Signature");
        responses.insert(response.body_without_instance().to_string());
    }
    // A session token does not replace the signature.
    let response = app.post("/webhook", "alice", json!({"type": "call.ended"})).await;
    assert_eq!(response.outcome(), (401, "bad_signature"));
    assert_eq!(app.counts(), (0, 0));
    assert_eq!(responses.len(), 1);
    assert_eq!((app.stream().snapshot(), app.scan_table().await), before);
}

#[tokio::test]
async fn signed_body_is_accepted_plain_and_gzipped() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1", "c2", "c3"]).await;
    let at = now(&app);
    for (n, (content_type, encoding, is_gzipped)) in [
        ("application/json", None, false),
        // API Gateway encodes these bodies in base64.
        ("application/octet-stream", None, false),
        ("application/json", Some("gzip"), true),
        // A proxy removed the `content-encoding` header.
        ("application/json", None, true),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("c{n}");
        let body = participant_joined_event(&id, at).to_string().into_bytes();
        let signature = app.stack().sign_webhook(&body);
        let mut headers = vec![("content-type", content_type), ("x-signature", signature.as_str())];
        headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
        let sent = if is_gzipped { gzip(&body) } else { body };
        let _ = app.send_raw_webhook(&sent, &headers).await.expect_success();
        assert_eq!(
            number_attribute(&app.get_call_item(&id).await, "startedAt"),
            at.as_millis(),
            "{id}"
        );
    }
}

#[tokio::test]
async fn body_size_is_limited_before_and_after_decompression() {
    const KB: usize = 1024;
    let app = TestApp::start().await;
    let padded = |length: usize| {
        let mut body = br#"{"type":"call.sneezed"}"#.to_vec();
        body.resize(length, b' ');
        body
    };
    for (length, is_gzipped, outcome) in [
        (256 * KB, false, (200, "")),
        (256 * KB + 1, false, (413, "body_too_large")),
        (KB * KB, true, (200, "")),
        (KB * KB + 1, true, (401, "bad_signature")),
    ] {
        let body = padded(length);
        let signature = app.stack().sign_webhook(&body);
        let sent = if is_gzipped { gzip(&body) } else { body };
        for content_type in ["application/json", "application/octet-stream"] {
            let headers = [("content-type", content_type), ("x-signature", signature.as_str())];
            let response = app.send_raw_webhook(&sent, &headers).await;
            assert_eq!(response.outcome(), outcome, "{length} {content_type}");
        }
    }
    // The function still has its first process.
    assert_eq!(app.stack().process_ids().len(), 1);
}

#[tokio::test]
async fn current_and_previous_secret_are_accepted() {
    let new = ("STREAM_API_SECRET", "the-secret-that-comes-after-the-other");
    let previous = ("STREAM_API_SECRET_PREVIOUS", local::STREAM_API_SECRET);
    let (accepted, rejected) = ((200, ""), (401, "bad_signature"));
    for (app, previous_outcome) in [
        (TestApp::with_env([new, previous]).await, accepted),
        (TestApp::with_env([new]).await, rejected),
    ] {
        let signed_with = [
            (app.stack().sign_webhook(CALL_ENDED_BODY.as_bytes()), accepted),
            // The emulator still uses its first secret.
            (app.stream().sign_webhook(CALL_ENDED_BODY.as_bytes()), previous_outcome),
            (OTHER_SECRET_SIGNATURE.to_owned(), rejected),
        ];
        for (signature, outcome) in signed_with {
            let response = app
                .send_raw_webhook(
                    CALL_ENDED_BODY.as_bytes(),
                    &[("x-signature", signature.as_str())],
                )
                .await;
            assert_eq!(response.outcome(), outcome);
        }
    }
}

#[tokio::test]
async fn unrelated_events_are_acknowledged_without_writes() {
    let app = TestApp::with_call("c1").await;
    let at = now(&app);
    let mut events = vec![
        call_event("call.sneezed", "c1", at),
        json!({"type": "message.new"}),
        channel_deleted_event("messaging:call-unknown-call", at),
        channel_deleted_event("messaging:c1", at),
        channel_deleted_event("team:call-c1", at),
        user_event("user.deactivated", "unknown-user", at),
        user_event("user.deleted", "no body", at),
    ];
    for kind in CALL_EVENT_TYPES {
        events.push(call_event(kind, "unknown-call", at));
        for cid in ["livestream:c1", "default:a/b", "c1"] {
            let mut event = call_event(kind, "c1", at);
            event["call_cid"] = json!(cid);
            events.push(event);
        }
    }
    let before = app.scan_table().await;
    for event in events {
        let _ = app.send_webhook(&event).await.expect_success();
        assert_eq!(app.scan_table().await, before, "{event}");
    }
    // An event without a required field is rejected with 400, since a retry cannot succeed.
    for kind in CALL_EVENT_TYPES {
        for field in ["call_cid", "created_at"] {
            let mut event = call_event(kind, "c1", at);
            event.as_object_mut().unwrap().remove(field);
            assert_eq!(app.send_webhook(&event).await.outcome(), (400, "invalid_json"), "{event}");
        }
    }
    for event in [json!({}), json!([]), json!("call.ended"), json!({"type": "user.deleted"})] {
        assert_eq!(app.send_webhook(&event).await.outcome(), (400, "invalid_json"), "{event}");
    }
    assert_eq!(app.scan_table().await, before);
}

#[tokio::test]
async fn missing_credentials_return_stream_not_configured() {
    let app =
        TestApp::with_options(Options { stream: StreamChoice::Unconfigured, ..Options::default() })
            .await;
    for signature in ["", OTHER_SECRET_SIGNATURE] {
        let response =
            app.send_raw_webhook(CALL_ENDED_BODY.as_bytes(), &[("x-signature", signature)]).await;
        assert_eq!(response.outcome(), (503, "stream_not_configured"));
    }
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn started_at_is_the_first_join_in_any_event_order() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1", "c2"]).await;
    let first = now(&app);
    for (id, order) in [("c0", [0, 1, 2]), ("c1", [2, 1, 0]), ("c2", [1, 2, 0])] {
        let events = [
            session_started_event(id, first, later(first, 1)),
            participant_joined_event(id, later(first, 10)),
            participant_joined_event(id, later(first, 20)),
        ];
        for n in order {
            let _ = app.send_webhook(&events[n]).await.expect_success();
        }
        let call = app.get(&format!("/call/{id}"), "bob").await.expect_success().body;
        assert_eq!(
            (&call["status"], &call["startedAt"]),
            (&json!("active"), &json!(first.to_string()))
        );
        assert_eq!(number_attribute(&app.get_call_item(id).await, "startedAt"), first.as_millis());
    }
}

#[tokio::test]
async fn possible_end_events_schedule_an_immediate_check() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1", "c2"]).await;
    // Without Stream, an event cannot be decided at once.
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    let kinds = ["call.session_ended", "call.missed", "call.session_ended"];
    for (n, kind) in kinds.into_iter().enumerate() {
        let id = format!("c{n}");
        let before = app.get_call_item(&id).await;
        assert!(number_attribute(&before, "dueAt") > app.now_millis() + 60_000);
        let _ = app.send_webhook(&call_event(kind, &id, now(&app))).await.expect_success();
        let mut after = app.get_call_item(&id).await;
        assert!(number_attribute(&after, "dueAt") <= app.now_millis(), "{kind}");
        // Only the due time changed.
        after["dueAt"] = before["dueAt"].clone();
        assert_eq!(after, before, "{kind}");
    }
    app.stream().clear_faults();
    // The check at Stream finds that the call is ongoing.
    let sweep = app.sweep().await;
    assert_eq!(
        (&sweep["due"], &sweep["active"], &sweep["ended"]),
        (&json!(3), &json!(3), &json!({}))
    );
    assert_eq!(app.stream().live_calls().len(), 3);
}

#[tokio::test]
async fn participant_left_schedules_a_check_after_the_inactivity_timeout() {
    let app = TestApp::with_env([("CALL_INACTIVITY_TIMEOUT_SECONDS", "30")]).await;
    app.create_calls(&["c1"]).await;
    let at = now(&app);
    for _ in 0..2 {
        let left = call_event("call.session_participant_left", "c1", at);
        let _ = app.send_webhook(&left).await.expect_success();
        let item = app.get_call_item("c1").await;
        assert_eq!(number_attribute(&item, "dueAt"), later(at, 40).as_millis());
        assert_eq!(item["state"]["S"], "active");
    }
}

#[tokio::test]
async fn events_reschedule_only_active_calls() {
    let app = TestApp::start().await;
    app.create_calls(&["ending", "ended"]).await;
    let call = |id: &str| json!({"receiverId": "bob", "callId": id, "allowParallel": true});
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::GetOrCreateCall, Fault::Status(503)));
    app.stream().add_fault(FaultRule::for_operation(Operation::EndCall, Fault::Status(503)));
    let created = app.post("/call/create", "alice", call("creating")).await;
    assert_eq!(created.status, 503);
    let ending = app.post("/call/end", "alice", json!({"callId": "ending"})).await;
    assert_eq!(ending.status, 202);
    app.stream().clear_faults();
    let _ = app.post("/call/end", "alice", json!({"callId": "ended"})).await.expect_success();
    let before = app.scan_table().await;
    for id in ["creating", "ending", "ended"] {
        assert_eq!(app.get_call_item(id).await["state"]["S"], id);
        for kind in &CALL_EVENT_TYPES[2..5] {
            let _ = app.send_webhook(&call_event(kind, id, now(&app))).await.expect_success();
        }
    }
    assert_eq!(app.scan_table().await, before);
}

#[tokio::test]
async fn call_ended_at_stream_is_ending_until_the_sweep() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1", "c2"]).await;
    let at = now(&app);
    let events = [
        call_ended_event("c0", at),
        call_event("call.deleted", "c1", at),
        channel_deleted_event("messaging:call-c2", at),
    ];
    for (n, event) in events.iter().enumerate() {
        let _ = app.send_webhook(event).await.expect_success();
        let item = app.get_call_item(&format!("c{n}")).await;
        assert!(number_attribute(&item, "dueAt") <= app.now_millis());
        let call = app.get(&format!("/call/c{n}"), "bob").await.expect_success().body;
        assert_eq!(
            [&call["status"], &call["endReason"], &call["endedAt"]],
            [&json!("ending"), &json!("ended_at_stream"), &json!(at.to_string())],
            "{event}"
        );
    }
    let sweep = app.sweep().await;
    assert_eq!((&sweep["cleaned"], &sweep["failed"]), (&json!(3), &json!(0)));
    for id in ["c0", "c1", "c2"] {
        assert_eq!(app.get_call_item(id).await["state"]["S"], "ended");
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn end_of_an_earlier_session_does_not_end_the_call() {
    let app = TestApp::with_call("c1").await;
    let cid = "default:c1";
    let inactivity = Duration::from_secs(301);
    app.stream().join(cid, "alice").unwrap();
    app.stream().leave_all(cid);
    app.advance_time(inactivity).await;
    let mut events = app.stream().emitted_events().into_iter();
    let session_ended = events.rfind(|event| event["type"] == "call.session_ended").unwrap();
    app.stream().join(cid, "bob").unwrap();
    for _ in 0..2 {
        let _ = app.send_webhook(&session_ended).await.expect_success();
        assert_eq!(app.sweep().await["active"], 1);
    }
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "active");
    assert_eq!(app.stream().live_calls(), [cid]);
    // The end of the later session ends the call.
    app.stream().leave_all(cid);
    app.advance_time(inactivity).await;
    assert_eq!(app.sweep().await["ended"], json!({"left": 1}));
}

#[tokio::test]
async fn late_events_do_not_reopen_an_ended_call() {
    let app = TestApp::with_call("c1").await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    let mut before = app.get_call_item("c1").await;
    for seconds in [0, 60] {
        let at = later(now(&app), seconds);
        for kind in CALL_EVENT_TYPES {
            let _ = app.send_webhook(&call_event(kind, "c1", at)).await.expect_success();
        }
        let _ = app
            .send_webhook(&channel_deleted_event("messaging:call-c1", at))
            .await
            .expect_success();
    }
    let mut after = app.get_call_item("c1").await;
    // Facts about the participants are stored for an ended call, too.
    for attribute in ["startedAt", "presence", "rejects"] {
        after.as_object_mut().unwrap().remove(attribute);
    }
    // The report makes the settlement due.
    for item in [&mut after, &mut before] {
        item.as_object_mut().unwrap().remove("dueAt");
    }
    assert_eq!(after, before);
    app.advance_minutes(12).await;
    let item = app.get_call_item("c1").await;
    assert_eq!((&item["state"]["S"], &item["dueAt"]), (&json!("ended"), &Value::Null));
    let again = json!({"receiverId": "bob", "callId": "c1"});
    let again = app.post("/call/create", "alice", again).await;
    assert_eq!(again.outcome(), (409, "call_ended"));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn reports_and_ratings_are_stored_with_their_call() {
    let app = TestApp::with_call("c1").await;
    let at = now(&app);
    // The newest event is kept, in any order of arrival.
    for (seconds, n) in [(10, 1), (30, 3), (20, 2)] {
        let at = later(at, seconds);
        let _ = app.send_webhook(&stats_report_event("c1", at, n)).await.expect_success();
        let _ = app.send_webhook(&rating_event("c1", at, "bob", n)).await.expect_success();
    }
    let item = app.get_item("CALL#c1", "REPORT#s1").await;
    let figures: Value = serde_json::from_str(item["figures"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(figures["counts"], json!({"participants": 3}));
    assert_eq!(number_attribute(&item, "at"), later(at, 30).as_millis());
    let item = app.get_item("CALL#c1", "RATING#s1#bob").await;
    assert_eq!((number_attribute(&item, "rating"), &item["reason"]["S"]), (3, &json!("3 stars")));

    // Events of other users and of unknown calls.
    let before = app.scan_table().await;
    for event in [
        rating_event("c1", at, "mallory", 1),
        rating_event("c1", at, "alice", 6),
        rating_event("unknown-call", at, "bob", 1),
        stats_report_event("unknown-call", at, 1),
    ] {
        let _ = app.send_webhook(&event).await.expect_success();
        assert_eq!(app.scan_table().await, before, "{event}");
    }
}

#[tokio::test]
async fn user_deactivated_or_deleted_at_stream_gets_no_token() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    let at = now(&app);
    let deactivated = (403, "user_deactivated");
    let deleted = (409, "user_deleted");
    for (kind, seconds, outcome) in [
        ("user.deactivated", 20, deactivated),
        // An older event arrives late.
        ("user.reactivated", 10, deactivated),
        ("user.reactivated", 30, (200, "")),
        ("user.deactivated", 20, (200, "")),
        ("user.deleted", 50, deleted),
        ("user.reactivated", 40, deleted),
    ] {
        let _ =
            app.send_webhook(&user_event(kind, "bob", later(at, seconds))).await.expect_success();
        let token = app.post("/token", "bob", json!({})).await;
        assert_eq!(token.outcome(), outcome, "{kind} {seconds}");
    }
    let created = app.post("/call/create", "alice", json!({"receiverId": "bob"})).await;
    assert_eq!(created.outcome(), (404, "user_not_found"));
    assert_eq!(created.body["detail"], "upsert these users first: bob");
    // Other users are not affected.
    app.provision_users(&["alice"]).await;
}

#[tokio::test]
async fn table_outage_returns_503_so_that_stream_retries() {
    let app = TestApp::with_call("c1").await;
    let at = now(&app);
    app.stack().dynamo().inject_fault(dynamo::Rule::always(dynamo::Fault::ConnectionClosed));
    let events = [
        participant_joined_event("c1", at),
        stats_report_event("c1", at, 2),
        rating_event("c1", at, "bob", 4),
        user_event("user.deactivated", "bob", at),
        call_ended_event("c1", at),
    ];
    for event in &events {
        assert_eq!(app.send_webhook(event).await.outcome(), (503, "store_unavailable"), "{event}");
    }
    app.stack().dynamo().clear_faults();
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "active");
    for event in &events {
        let _ = app.send_webhook(event).await.expect_success();
    }
    let item = app.get_call_item("c1").await;
    assert_eq!(
        (&item["state"]["S"], number_attribute(&item, "startedAt")),
        (&json!("ending"), at.as_millis())
    );
}

#[tokio::test]
async fn stream_retries_events_that_could_not_be_stored() {
    let app = TestApp::with_options(Options { webhooks: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    app.stream().webhooks_idle().await;
    app.stream().clear_delivery_attempts();
    // The number of attempts that one invocation makes.
    let rule =
        dynamo::Rule { times: 3, ..dynamo::Rule::next("UpdateItem", dynamo::Fault::InternalError) };
    app.stack().dynamo().inject_fault(rule);
    let at = now(&app);
    app.stream().emit_event(participant_joined_event("c1", at));
    app.stream().webhooks_idle().await;
    let deliveries = app.stream().delivery_attempts();
    let attempts: Vec<_> =
        deliveries.iter().map(|delivery| (delivery.attempt, delivery.status)).collect();
    assert_eq!(attempts, [(1, Some(503)), (2, Some(200))]);
    assert_eq!(number_attribute(&app.get_call_item("c1").await, "startedAt"), at.as_millis());
}

#[tokio::test]
async fn declined_call_is_over_at_once() {
    let app = TestApp::start().await;
    app.create_calls(&["c1"]).await;
    app.stream().join("default:c1", "alice").unwrap();
    app.stream().reject("default:c1", "bob");
    let at = now(&app);
    app.reset_counts();
    let _ = app.send_webhook(&rejected_event("c1", "bob", None, at)).await.expect_success();
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!(
        [&call["status"], &call["endReason"], &call["endedBy"]],
        [&json!("ending"), &json!("declined"), &json!({"kind": "user", "userId": "bob"})]
    );
    // Only the sweeper clears Stream.
    assert_eq!(app.stream().counts().total(), 1);
    assert_eq!(app.stream().live_calls(), ["default:c1"]);
    assert_eq!(app.sweep().await["cleaned"], 1);
    assert!(app.stream().live_calls().is_empty());
}

#[tokio::test]
async fn reject_without_stream_is_decided_by_the_next_sweep() {
    let app = TestApp::with_call("c1").await;
    app.stream().reject("default:c1", "bob");
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    app.reset_counts();
    let rejected = rejected_event("c1", "bob", Some("decline"), now(&app));
    let _ = app.send_webhook(&rejected).await.expect_success();
    // One attempt only.
    assert_eq!(app.stream().counts().get(Operation::GetCall), 1);
    assert_eq!(app.get_call_item("c1").await["state"]["S"], "active");
    app.stream().clear_faults();
    assert_eq!(app.sweep().await["ended"], json!({"declined": 1}));
}

#[tokio::test]
async fn reasons_and_order_of_rejects_decide() {
    let app = TestApp::start().await;
    for (n, (rejects, reason)) in [
        (&[("alice", Some("cancel"), 1)][..], Some("cancelled")),
        (&[("alice", Some("timeout"), 1)], Some("not_answered")),
        (&[("bob", Some("busy"), 1)], None),
        (&[("bob", Some("busy"), 1), ("alice", Some("cancel"), 2)], Some("not_answered")),
        // The second reject is that of the caller's own client.
        (&[("alice", Some("cancel"), 2), ("bob", None, 1)], Some("cancelled")),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("c{n}");
        app.create_calls(&[id.as_str()]).await;
        let at = now(&app);
        for (user, reject_reason, second) in rejects {
            let event = rejected_event(&id, user, *reject_reason, later(at, *second));
            let _ = app.send_webhook(&event).await.expect_success();
        }
        let item = app.get_call_item(&id).await;
        assert_eq!(item["endReason"]["S"].as_str(), reason, "{rejects:?}");
    }
}

#[tokio::test]
async fn talk_time_is_that_of_the_events_in_any_order() {
    let app = TestApp::start().await;
    app.create_calls(&["c0", "c1"]).await;
    app.advance_time(Duration::from_mins(1)).await;
    // Only the events tell who is in.
    app.stream().add_fault(FaultRule::for_operation(Operation::GetCall, Fault::Status(503)));
    let start = Timestamp::from_millis(app.now_millis() - 50_000);
    let (joined, left) = ("call.session_participant_joined", "call.session_participant_left");
    for (id, order) in [("c0", [0, 1, 2, 3]), ("c1", [3, 1, 2, 0])] {
        let events = [
            participant_event(joined, id, "alice", start, later(start, 1)),
            participant_event(joined, id, "bob", later(start, 3), later(start, 4)),
            // Bob comes back under the same session.
            participant_event(left, id, "bob", later(start, 3), later(start, 10)),
            participant_event(joined, id, "bob", later(start, 20), later(start, 21)),
        ];
        for n in order {
            let _ = app.send_webhook(&events[n]).await.expect_success();
        }
        let ended = call_ended_event(id, later(start, 25));
        let _ = app.send_webhook(&ended).await.expect_success();
        let call = app.get(&format!("/call/{id}"), "bob").await.expect_success().body;
        assert_eq!(
            [&call["startedAt"], &call["answeredAt"], &call["endedAt"]],
            [start, later(start, 3), later(start, 25)].map(|at| json!(at.to_string())).each_ref(),
            "{id}"
        );
        assert_eq!(
            (&call["answered"], &call["durationSeconds"], &call["talkSeconds"]),
            (&json!(true), &json!(22), &json!(12)),
            "{id}"
        );
    }
}

/// The fate of a call at Stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    Ongoing,
    Left,
    Ended,
    Declined,
    ChannelDeleted,
    CallDeleted,
    Restarted,
    NeverJoined,
}

impl Scenario {
    const ALL: [Self; 8] = [
        Self::Ongoing,
        Self::Left,
        Self::Ended,
        Self::Declined,
        Self::ChannelDeleted,
        Self::CallDeleted,
        Self::Restarted,
        Self::NeverJoined,
    ];

    /// The expected end reason.
    fn end_reason(self) -> Option<&'static str> {
        match self {
            Self::Ongoing | Self::Restarted => None,
            Self::Left => Some("left"),
            Self::Declined => Some("declined"),
            Self::NeverJoined => Some("not_joined"),
            Self::Ended | Self::ChannelDeleted | Self::CallDeleted => Some("ended_at_stream"),
        }
    }

    /// Stream's events for the call, in order. Each one is a second after the previous one.
    fn events(self, id: &str, since: Timestamp) -> Vec<Value> {
        let at = |second: u64| later(since, second);
        let simple_event = |kind: &str, second: u64| call_event(kind, id, at(second));
        let start_events = [
            session_started_event(id, at(1), at(2)),
            participant_event("call.session_participant_joined", id, "alice", at(1), at(2)),
            participant_event("call.session_participant_joined", id, "bob", at(3), at(4)),
        ];
        let scenario_events = match self {
            Self::Ongoing => vec![
                simple_event("call.session_participant_left", 5),
                participant_joined_event(id, at(6)),
                stats_report_event(id, at(8), 2),
                rating_event(id, at(9), "bob", 2),
                rating_event(id, at(10), "bob", 5),
                stats_report_event(id, at(11), 3),
            ],
            Self::Left => vec![
                simple_event("call.session_participant_left", 5),
                simple_event("call.session_participant_left", 6),
                simple_event("call.session_ended", 7),
                stats_report_event(id, at(8), 2),
                rating_event(id, at(9), "alice", 4),
                rating_event(id, at(10), "bob", 3),
            ],
            Self::Ended => vec![
                call_ended_event(id, at(5)),
                simple_event("call.session_ended", 7),
                stats_report_event(id, at(8), 2),
                rating_event(id, at(9), "alice", 1),
            ],
            Self::ChannelDeleted => vec![
                channel_deleted_event(&format!("messaging:call-{id}"), at(5)),
                simple_event("call.session_participant_left", 6),
                simple_event("call.session_ended", 7),
            ],
            Self::CallDeleted => vec![
                simple_event("call.deleted", 5),
                simple_event("call.session_ended", 6),
                stats_report_event(id, at(7), 2),
                rating_event(id, at(8), "bob", 3),
            ],
            Self::Restarted => {
                let second_session = |mut event: Value| {
                    event["session_id"] = json!("s2");
                    event
                };
                vec![
                    simple_event("call.session_participant_left", 5),
                    simple_event("call.session_ended", 6),
                    second_session(session_started_event(id, at(7), at(8))),
                    second_session(participant_joined_event(id, at(7))),
                    second_session(rating_event(id, at(9), "bob", 4)),
                ]
            }
            Self::Declined | Self::NeverJoined => {
                let last = if self == Self::Declined {
                    rejected_event(id, "bob", None, at(4))
                } else {
                    simple_event("call.missed", 4)
                };
                let kinds = ["call.created", "call.ring", "call.notification", "call.updated"];
                let others = kinds.iter().zip(1..).map(|(kind, second)| simple_event(kind, second));
                return others.chain([last]).collect();
            }
        };
        start_events.into_iter().chain(scenario_events).collect()
    }
}

/// The number of calls for each scenario.
const CALLS_PER_SCENARIO: usize = 6;
/// The seed of the delivery order.
const SHUFFLE_SEED: u64 = 20_260_101;

fn scenario_calls() -> Vec<(String, Scenario)> {
    (0..CALLS_PER_SCENARIO)
        .flat_map(|n| Scenario::ALL.map(|scenario| (format!("{scenario:?}-{n}"), scenario)))
        .collect()
}

/// All events of Stream, in order.
fn all_events(since: Timestamp) -> Vec<Value> {
    let mut events: Vec<_> =
        scenario_calls().iter().flat_map(|(id, scenario)| scenario.events(id, since)).collect();
    for (second, kind) in
        [(1, "user.deactivated"), (2, "user.reactivated"), (3, "user.deactivated")]
    {
        events.push(user_event(kind, "dave", later(since, second)));
        events.push(user_event(kind, "erin", later(since, 4 - second)));
    }
    events
}

/// A stack after all scenarios at Stream, without any delivered webhook.
async fn app_after_scenarios() -> TestApp {
    let options = Options { webhooks: true, max_instances: 6, ..Options::default() };
    let app = TestApp::with_options(options).await;
    let stream = app.stream();
    stream.set_webhook_script(WebhookScript { drop_all: true, ..WebhookScript::default() });
    // The events have other times than the joins, so Stream's list must not settle the calls.
    let omit_rows = ParticipantSessionFaults { omit_rows: true, ..Default::default() };
    stream.set_participant_session_faults(omit_rows);
    let calls = scenario_calls();
    let ids: Vec<&str> = calls.iter().map(|(id, _)| id.as_str()).collect();
    app.create_calls(&ids).await;
    app.provision_users(&["dave", "erin"]).await;
    for (id, scenario) in &calls {
        let cid = format!("default:{id}");
        if matches!(scenario, Scenario::Ongoing | Scenario::Left | Scenario::Restarted) {
            stream.join(&cid, "alice").unwrap();
            stream.join(&cid, "bob").unwrap();
        }
        match scenario {
            Scenario::Left | Scenario::Restarted => stream.leave_all(&cid),
            Scenario::Declined => stream.reject(&cid, "bob"),
            Scenario::ChannelDeleted => stream.delete_channel(&format!("messaging:call-{id}")),
            Scenario::CallDeleted => stream.delete_call(&cid),
            Scenario::Ongoing | Scenario::Ended | Scenario::NeverJoined => {}
        }
    }
    // Sessions without participants end.
    app.advance_time(Duration::from_secs(301)).await;
    for (id, _) in calls.iter().filter(|(_, scenario)| *scenario == Scenario::Restarted) {
        for user in ["alice", "bob"] {
            stream.join(&format!("default:{id}"), user).unwrap();
        }
    }
    app
}

fn deliver_all(app: &TestApp, events: &[Value], script: WebhookScript) {
    app.stream().set_webhook_script(script);
    for event in events {
        app.stream().emit_event(event.clone());
    }
    app.stream().release_webhooks();
}

/// Sends 50 events with invalid signatures, which would end ongoing calls.
async fn send_forged_webhooks(app: &TestApp) {
    for n in 0..50 {
        let kind = ["call.ended", "call.deleted"][n % 2];
        let id = format!("Ongoing-{}", n % CALLS_PER_SCENARIO);
        let body = call_event(kind, &id, now(app)).to_string().into_bytes();
        let valid_signature = app.stack().sign_webhook(&body);
        let forged = match n % 5 {
            0 => String::new(),
            1 => valid_signature.to_uppercase(),
            2 => valid_signature.chars().rev().collect(),
            3 => app.stack().sign_webhook(b"something else"),
            _ => "0".repeat(64),
        };
        let sent = if n % 4 < 2 { gzip(&body) } else { body };
        let response = app.send_raw_webhook(&sent, &[("x-signature", forged.as_str())]).await;
        assert_eq!(response.outcome(), (401, "bad_signature"), "{n}");
    }
}

/// The final state of the items, without times of the machine's clock.
async fn final_state(app: &TestApp) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    for item in app.scan_table().await {
        let (pk, sk) = (item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        let entry = if sk == "CALL" {
            let id = pk.trim_start_matches("CALL#");
            let ended_at_stream = item["endReason"]["S"] == "ended_at_stream";
            // A look at an open call finds the joins of this run.
            let is_ended = item["state"]["S"] == "ended";
            let live = app.stream().call(&format!("default:{id}"));
            json!({
                "state": item["state"]["S"],
                "reason": item["endReason"]["S"],
                "startedAt": is_ended.then(|| item["startedAt"].clone()),
                "endingAt": ended_at_stream.then(|| item["endingAt"].clone()),
                "due": !item["dueAt"].is_null(),
                "channel": app.stream().channel(&format!("messaging:call-{id}")).is_some(),
                "live": live.is_some_and(|call| call.ended_at.is_none()),
            })
        } else if sk.starts_with("REPORT#") || sk.starts_with("RATING#") {
            item.clone()
        } else if sk == "PROFILE" {
            json!([item["status"], item["statusAt"]])
        } else {
            continue;
        };
        state.insert(format!("{pk} {sk}"), entry);
    }
    state
}

/// Delivers every event three times in a random order, half of them gzipped and with forged events
/// in between: more than 1,000 deliveries. Then delivers each event once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_order_and_duplicates_do_not_change_the_result() {
    let app = app_after_scenarios().await;
    let events = all_events(Timestamp::from_millis(app.now_millis() - 60_000));
    let script = WebhookScript {
        copies: 3,
        gzip: GzipMode::EveryOther,
        shuffle: Some(SHUFFLE_SEED),
        concurrency: 4,
        ..WebhookScript::default()
    };
    deliver_all(&app, &events, script);
    join(app.stream().webhooks_idle(), send_forged_webhooks(&app)).await;
    let deliveries = app.stream().delivery_attempts();
    assert!(deliveries.len() >= 1_000, "{}", deliveries.len());
    assert_eq!(deliveries.len(), events.len() * 3);
    let failed: Vec<_> =
        deliveries.iter().filter(|delivery| delivery.status != Some(200)).collect();
    assert!(failed.is_empty(), "seed {SHUFFLE_SEED}: {failed:?}");
    let mut millis: Vec<u64> = deliveries.iter().map(|delivery| delivery.millis).collect();
    millis.sort_unstable();
    let p99 = millis[millis.len() * 99 / 100];
    println!("{} deliveries with seed {SHUFFLE_SEED}: p99 {p99} ms", deliveries.len());
    assert!(p99 < 1_000, "p99 {p99} ms");
    app.stream().set_webhook_script(WebhookScript::default());
    app.advance_minutes(12).await;
    let shuffled = final_state(&app).await;
    app.stop().await;

    let app = app_after_scenarios().await;
    deliver_all(&app, &events, WebhookScript { concurrency: 1, ..WebhookScript::default() });
    app.stream().webhooks_idle().await;
    assert_eq!(app.stream().delivery_attempts().len(), events.len());
    app.stream().set_webhook_script(WebhookScript::default());
    app.advance_minutes(12).await;
    let in_order = final_state(&app).await;

    for (id, scenario) in scenario_calls() {
        let state_of_call = &in_order[&format!("CALL#{id} CALL")];
        let reason = scenario.end_reason();
        let state = if reason.is_some() { "ended" } else { "active" };
        assert_eq!(
            (&state_of_call["state"], &state_of_call["reason"]),
            (&json!(state), &json!(reason)),
            "{id}"
        );
        for field in ["due", "channel", "live"] {
            assert_eq!(state_of_call[field], reason.is_none(), "{id} {field}");
        }
    }
    assert_eq!(in_order["USER#dave PROFILE"][0]["S"], "deactivated");
    for (name, expected) in &in_order {
        assert_eq!(shuffled.get(name), Some(expected), "{name}, seed {SHUFFLE_SEED}");
    }
    assert_eq!(shuffled.len(), in_order.len(), "seed {SHUFFLE_SEED}");
}
