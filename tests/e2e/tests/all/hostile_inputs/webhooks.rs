//! Webhooks: unusual but valid gzip bodies, events from before the record that they name, and
//! ratings in any form.

use std::io::Write as _;
use std::time::Duration;

use e2e::TestApp;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use shared::clock::Timestamp;

fn gzip_with(body: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    gzip_with(body, Compression::default())
}

/// A gzip member with all optional fields of its header.
fn gzip_with_header_fields(body: &[u8]) -> Vec<u8> {
    let builder = GzBuilder::new().filename("event.json").comment("event").extra(vec![0xff_u8; 64]);
    let mut encoder = builder.write(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// The same body in unusual but valid forms, each with its `Content-Encoding`.
fn valid_forms(body: &[u8]) -> Vec<(&'static str, Option<&'static str>, Vec<u8>)> {
    let (start, end) = body.split_at(body.len() / 2);
    let empty = gzip(b"");
    vec![
        ("one member", Some("gzip"), gzip(body)),
        ("two members", Some("gzip"), [gzip(start), gzip(end)].concat()),
        ("a member for each byte", Some("gzip"), body.chunks(1).flat_map(gzip).collect()),
        ("an empty member first", Some("gzip"), [empty.clone(), gzip(body)].concat()),
        ("an empty member last", Some("gzip"), [gzip(body), empty.clone()].concat()),
        ("1,000 empty members", Some("gzip"), [empty.repeat(1_000), gzip(body)].concat()),
        ("header fields", Some("gzip"), gzip_with_header_fields(body)),
        ("stored blocks", Some("gzip"), gzip_with(body, Compression::none())),
        ("best compression", Some("gzip"), gzip_with(body, Compression::best())),
        ("gzip without a header", None, gzip(body)),
        ("gzip as identity", Some("identity"), gzip(body)),
        ("gzip as br", Some("br"), gzip(body)),
        ("plain as gzip", Some("gzip"), body.to_vec()),
        ("plain as deflate", Some("deflate"), body.to_vec()),
    ]
}

#[tokio::test]
async fn valid_gzip_forms_are_accepted() {
    let app = TestApp::start().await;
    let count = valid_forms(b"{}").len();
    let ids: Vec<String> = (0..count).map(|n| format!("c{n}")).collect();
    app.create_calls(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let at = Timestamp::from_millis(app.now_millis());
    let event = |id: &str| {
        let (kind, cid) = ("call.session_participant_joined", format!("default:{id}"));
        json!({"type": kind, "created_at": at.to_string(), "call_cid": cid}).to_string()
    };
    for (n, id) in ids.iter().enumerate() {
        let body = event(id).into_bytes();
        let (label, encoding, sent) = valid_forms(&body).swap_remove(n);
        let signature = app.stack().sign_webhook(&body);
        let mut headers =
            vec![("content-type", "application/json"), ("x-signature", signature.as_str())];
        headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
        let response = app.send_raw_webhook(&sent, &headers).await;
        assert_eq!(response.outcome(), (200, ""), "{label}");
        let started_at = app.get_call_item(id).await["startedAt"]["N"].clone();
        assert_eq!(started_at, at.as_millis().to_string(), "{label}");
    }
}

/// Times long before the records of the tests, as JSON.
const OLD_TIMES: &[&str] = &[
    r#""2020-01-01T00:00:00Z""#,
    r#""2020-01-01T00:00:00.123456789Z""#,
    r#""2020-01-01T01:30:00+01:30""#,
    r#""1970-01-01T00:00:00Z""#,
    r#""0001-01-01T00:00:00Z""#,
    "1577836800000000000",
    "1577836800000",
    "1",
    "0",
    "-1",
    "-9223372036854775808",
];

/// Events that happened at this time.
fn events_at(at: &Value) -> Vec<Value> {
    let call_event = |kind: &str| {
        json!({
            "type": kind,
            "created_at": at,
            "call_cid": "default:c1",
            "session_id": "s1",
            "counts": {"participants": 2},
            "rating": 1,
            "user": {"id": "alice"},
        })
    };
    let user_event = |kind: &str| {
        let user = json!({"id": "bob"});
        json!({"type": kind, "created_at": at, "user": user, "shadow": false})
    };
    let call_kinds = [
        "call.session_started",
        "call.session_participant_joined",
        "call.ended",
        "call.deleted",
        "call.stats_report_ready",
        "call.user_feedback_submitted",
    ];
    let user_kinds =
        ["user.deactivated", "user.reactivated", "user.deleted", "user.banned", "user.unbanned"];
    let channel_deleted =
        json!({"type": "channel.deleted", "created_at": at, "cid": "messaging:call-c1"});
    let events = call_kinds.map(call_event).into_iter().chain(user_kinds.map(user_event));
    events.chain([channel_deleted]).collect()
}

/// Events that arrive now and report an old time.
fn late_reports_of(at: &Value, now: Timestamp) -> Vec<Value> {
    let now = now.to_string();
    let event = |kind: &str, name: &str, value: Value| {
        let mut event = json!({"type": kind, "created_at": now, "call_cid": "default:c1"});
        event[name] = value;
        event
    };
    vec![
        event("call.ended", "call", json!({"ended_at": at})),
        event("call.session_started", "call", json!({"session": {"started_at": at}})),
        event("call.session_participant_joined", "participant", json!({"joined_at": at})),
    ]
}

#[tokio::test]
async fn events_from_before_the_record_are_ignored() {
    let app = TestApp::with_call("c1").await;
    let now = Timestamp::from_millis(app.now_millis());
    let before = (app.scan_table().await, app.stream().snapshot());
    for time in OLD_TIMES {
        let at: Value = serde_json::from_str(time).unwrap();
        for event in events_at(&at).into_iter().chain(late_reports_of(&at, now)) {
            let response = app.send_webhook(&event).await;
            assert_eq!(response.outcome(), (200, ""), "{event}");
            assert_eq!(app.scan_table().await, before.0, "{event}");
        }
    }
    assert_eq!(app.stream().snapshot(), before.1);
    for user in ["alice", "bob"] {
        let _ = app.post("/token", user, json!({})).await.expect_success();
    }
    let call = app.get("/call/c1", "bob").await.expect_success();
    assert_eq!(call.body["status"], "active");
}

/// The start of an item, in milliseconds.
fn created_at(item: &Value) -> i64 {
    item["createdAt"]["N"].as_str().unwrap().parse().unwrap()
}

/// The clocks of Stream and the functions may differ by five seconds.
#[tokio::test]
async fn events_within_the_clock_difference_are_applied() {
    let app = TestApp::with_call("c1").await;
    let call = created_at(&app.get_call_item("c1").await);
    let user = created_at(&app.get_item("USER#bob", "PROFILE").await);
    let started = |at: i64| {
        let at = Timestamp::from_millis(at).to_string();
        json!({"type": "call.session_started", "created_at": at, "call_cid": "default:c1"})
    };
    let banned = |at: i64| {
        let at = Timestamp::from_millis(at).to_string();
        json!({"type": "user.banned", "created_at": at, "user": {"id": "bob"}})
    };
    let before = app.scan_table().await;
    for event in [started(call - 5_001), banned(user - 5_001)] {
        let _ = app.send_webhook(&event).await.expect_success();
    }
    assert_eq!(app.scan_table().await, before);
    for event in [started(call - 5_000), banned(user - 5_000)] {
        let _ = app.send_webhook(&event).await.expect_success();
    }
    let started_at = app.get_call_item("c1").await["startedAt"]["N"].clone();
    assert_eq!(started_at, (call - 5_000).to_string());
    let token = app.post("/token", "bob", json!({})).await;
    assert_eq!(token.outcome(), (403, "user_banned"));
}

/// An old hint causes a check of the call, and Stream decides.
#[tokio::test]
async fn old_hints_do_not_end_the_call() {
    let app = TestApp::with_call("c1").await;
    for kind in
        ["call.session_participant_left", "call.session_ended", "call.missed", "call.rejected"]
    {
        for time in OLD_TIMES {
            let at: Value = serde_json::from_str(time).unwrap();
            let event = json!({"type": kind, "created_at": at, "call_cid": "default:c1"});
            let _ = app.send_webhook(&event).await.expect_success();
        }
        let sweep = app.sweep().await;
        assert_eq!((&sweep["failed"], &sweep["ended"]), (&json!(0), &json!({})), "{kind}");
        assert_eq!(app.get_call_item("c1").await["state"]["S"], "active", "{kind}");
    }
    assert_eq!(app.stream().live_calls(), ["default:c1"]);
    // The call still ends in time.
    app.advance_time(Duration::from_mins(2)).await;
    assert_eq!(app.sweep().await["ended"], json!({"not_joined": 1}));
}

/// Ratings as JSON, and as they are stored.
const RATINGS: &[(&str, Option<&str>)] = &[
    ("1", Some("1")),
    ("5", Some("5")),
    ("3.0", Some("3")),
    ("3e0", Some("3")),
    ("0.3e1", Some("3")),
    ("30e-1", Some("3")),
    ("0", None),
    ("6", None),
    ("0.0", None),
    ("6.0", None),
    ("-3", None),
    ("-3.0", None),
    ("3.5", None),
    ("2.9999", None),
    ("259", None),
    ("1e300", None),
    ("18446744073709551619", None),
    ("null", None),
    ("true", None),
    ("\"3\"", None),
    ("[3]", None),
    ("{\"rating\":3}", None),
];

#[tokio::test]
async fn ratings_are_read_by_value() {
    let app = TestApp::with_call("c1").await;
    let at = Timestamp::from_millis(app.now_millis());
    for (n, (rating, stored)) in RATINGS.iter().enumerate() {
        let start = format!(
            r#"{{"type":"call.user_feedback_submitted","created_at":"{at}","session_id":"s{n}","#
        );
        let end = r#""call_cid":"default:c1","user":{"id":"alice"}}"#;
        let body = format!(r#"{start}"rating":{rating},{end}"#);
        let signature = app.stack().sign_webhook(body.as_bytes());
        let response =
            app.send_raw_webhook(body.as_bytes(), &[("x-signature", signature.as_str())]).await;
        assert_eq!(response.outcome(), (200, ""), "{rating}");
        let item = app.get_item("CALL#c1", &format!("RATING#s{n}#alice")).await;
        assert_eq!(item["rating"]["N"].as_str(), *stored, "{rating}");
    }
}

/// An old hint makes the call due now, not since the time of the hint. The gauge has an alarm.
#[tokio::test]
async fn old_hints_do_not_make_a_call_overdue() {
    let app = TestApp::with_call("c1").await;
    let old = "2020-01-01T00:00:00Z";
    let kind = "call.session_participant_left";
    let event = json!({"type": kind, "created_at": old, "call_cid": "default:c1"});
    let _ = app.send_webhook(&event).await.expect_success();
    let oldest_due_seconds = app.sweep().await["oldestDueSeconds"].as_u64().unwrap();
    assert!(oldest_due_seconds <= 60, "{oldest_due_seconds}");
}
