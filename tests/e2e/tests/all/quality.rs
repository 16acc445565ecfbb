//! The quality of calls, from samples of the apps, statistics of Stream and ratings of users.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{TestApp, TestResponse};
use http::Method;
use local::dynamo;
use quick_xml::events::Event as Xml;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use stream_emulator::{CallReport, Fault, FaultRule, Operation, ParticipantStats, SessionStats};

/// A sample of a good connection.
fn good_sample() -> Value {
    json!({
        "roundTripTime": 0.1, "jitter": 0.005, "packetsLost": 0, "packetsReceived": 250,
        "freezeCount": 0, "totalFreezesDuration": 0, "frameWidth": 1280, "frameHeight": 720,
        "framesPerSecond": 24, "bitrate": 1_200_000, "audioLevel": 0.2,
    })
}

/// The batches of a user from `start`, in milliseconds: a batch every 30 s with a sample every 5 s.
/// `change` modifies the sample of each second.
fn sample_batches(start: i64, seconds: i64, change: impl Fn(i64, &mut Value)) -> Vec<Value> {
    let sample = |second: i64| {
        let mut sample = good_sample();
        sample["timestamp"] = json!(start + second * 1000);
        change(second, &mut sample);
        sample
    };
    let batch = |number: i64| {
        let samples: Vec<Value> = (1..=6).map(|n| sample(number * 30 + n * 5)).collect();
        json!({"batchId": format!("b-{number}"), "platform": "ios", "samples": samples})
    };
    (0..seconds / 30).map(batch).collect()
}

async fn send_batches(app: &TestApp, user: &str, batches: &[Value]) {
    for batch in batches {
        let response = app.post("/call/quality/c1", user, batch.clone()).await.expect_success();
        assert_eq!(response.body["accepted"], 6);
    }
}

async fn get_quality(app: &TestApp, user: &str) -> Value {
    app.get("/call/quality/c1", user).await.expect_success().body["quality"].clone()
}

/// A stack with a call of 20 minutes. For 10 minutes, Bob loses 5 % of the packets.
async fn app_with_twenty_minute_call() -> (TestApp, i64) {
    app_with_lossy_call(20).await
}

/// A stack with a call of these minutes. Bob loses 5 % of the packets from minute 5 to 15.
async fn app_with_lossy_call(minutes: u32) -> (TestApp, i64) {
    let app = TestApp::with_call("c1").await;
    let start = app.now_millis();
    let seconds = i64::from(minutes) * 60;
    app.advance_time(Duration::from_mins(minutes.into())).await;
    send_batches(&app, "alice", &sample_batches(start, seconds, |_, _| {})).await;
    let lossy = |second: i64, sample: &mut Value| {
        if (301..=900).contains(&second) {
            sample["packetsLost"] = json!(25);
            sample["packetsReceived"] = json!(475);
        }
        if second == 600 {
            sample["freezeCount"] = json!(1);
            sample["totalFreezesDuration"] = json!(0.4);
        }
    };
    send_batches(&app, "bob", &sample_batches(start, seconds, lossy)).await;
    (app, start)
}

/// The last batch of a phone whose clock is ahead by these milliseconds.
fn batch_of_phone(app: &TestApp, clock_lead: i64) -> Value {
    let start = app.now_millis() - 30_000 + clock_lead;
    sample_batches(start, 30, |_, _| {}).remove(0)
}

fn timestamp_millis(time: &Value) -> i64 {
    time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[tokio::test]
async fn worst_participant_cause_and_interval_are_reported() {
    let (app, start) = app_with_twenty_minute_call().await;
    let mut results = Vec::new();
    for ended in [false, true] {
        if ended {
            let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
            // Only the item of the call is left.
            app.advance_minutes(5).await;
            assert!(app.stream().channel("messaging:call-c1").is_none());
            app.stream().add_fault(FaultRule::for_any_operation(Fault::Status(503)));
        }
        let mut quality = get_quality(&app, "alice").await;
        assert_eq!(quality["quality"], "good");
        assert_eq!(quality["worstParticipant"], "bob");
        let bob = &quality["participants"][0];
        assert_eq!((&bob["userId"], &bob["direction"]), (&json!("bob"), &json!("inbound")));
        assert_eq!(bob["reasons"][0], json!({"cause": "loss", "cost": 8.605}));
        assert_eq!(bob["metrics"]["packetLoss"], 2.5);
        assert_eq!(bob["metrics"]["videoQuality"], "720p");
        assert_eq!(bob["freezes"][0]["duration"], 400.0);
        let alice = &quality["participants"][1];
        assert_eq!((&alice["score"], &alice["r"]), (&json!(4.37), &json!(91.3)));
        let worst_interval = &quality["worstInterval"];
        assert_eq!(
            (&worst_interval["userId"], &worst_interval["cause"]),
            (&json!("bob"), &json!("loss"))
        );
        // The server's clock determines the times. They are off by at most the duration of the
        // requests.
        for (time, second) in [(&worst_interval["from"], 300), (&worst_interval["to"], 900)] {
            let offset = timestamp_millis(time) - start - second * 1000;
            assert!((-1_000..60_000).contains(&offset), "{offset} ms off");
        }
        // The length is exact to one bucket of the timeline.
        let length =
            timestamp_millis(&worst_interval["to"]) - timestamp_millis(&worst_interval["from"]);
        assert!((600_000..=612_000).contains(&length), "{length}");
        let points = quality["timeline"]["points"].as_array().unwrap();
        assert!((200..=240).contains(&points.len()), "{}", points.len());
        assert_eq!(quality["samples"], json!({"count": 480, "dropped": 0, "complete": true}));
        assert_eq!(quality["stream"]["reachable"], !ended);
        // Only an active call has a last minute.
        assert_eq!(quality["recent"].is_null(), ended);
        for participant in quality["participants"].as_array_mut().unwrap() {
            assert_eq!(participant["recent"].take().is_null(), ended);
        }
        results.push(quality);
    }
    // The rest of the result does not change after the end of the call.
    for key in ["score", "r", "participants", "timeline", "worstInterval"] {
        assert_eq!(results[0][key], results[1][key], "{key}");
    }
}

#[tokio::test]
async fn closed_call_emits_one_metrics_line() {
    let (app, start) = app_with_twenty_minute_call().await;
    let joined_at = Timestamp::from_millis(start).to_string();
    for user in ["alice", "bob"] {
        let participant = json!({
            "user": {"id": user},
            "user_session_id": format!("session-of-{user}"),
            "joined_at": joined_at,
        });
        let joined = json!({
            "type": "call.session_participant_joined",
            "created_at": joined_at,
            "call_cid": "default:c1",
            "participant": participant,
        });
        let _ = app.send_webhook(&joined).await.expect_success();
    }
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    // Samples are accepted after the end of the call.
    let late_batch = json!({"batchId": "late", "samples": [{"timestamp": app.now_millis()}]});
    assert_eq!(
        app.post("/call/quality/c1", "bob", late_batch).await.expect_success().body["accepted"],
        1
    );
    app.advance_minutes(12).await;
    let output = app.stop().await;
    let lines: Vec<Value> = output
        .lines()
        .filter(|line| line.contains("\"CallId\""))
        .filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok())
        .collect();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "StreamFunctions");
    assert_eq!((&line["CallType"], &line["Platform"]), (&json!("video"), &json!("ios")));
    assert_eq!((&line["LossPercent"], &line["RttMs"]), (&json!(1.25), &json!(100)));
    assert_eq!((&line["JitterMs"], &line["FreezeSeconds"]), (&json!(5), &json!(0.4)));
    let mos = line["CallMOS"].as_f64().unwrap();
    assert!((4.24..4.26).contains(&mos), "{mos}");
    let duration = line["CallDuration"].as_f64().unwrap();
    assert!((1_200.0..1_320.0).contains(&duration), "{duration}");
}

#[tokio::test]
async fn stream_report_and_statistics_are_returned() {
    let app = TestApp::with_call("c1").await;
    let participant = |user: &str, latency, jitter, score| ParticipantStats {
        user_id: user.to_owned(),
        sessions: vec![SessionStats {
            latency_ms: Some(latency),
            jitter_ms: Some(jitter),
            freezes_duration_ms: Some(250),
            cq_score: Some(score),
            ..SessionStats::default()
        }],
        ..ParticipantStats::default()
    };
    app.stream().set_report(
        "default:c1",
        CallReport {
            score: Some(87),
            duration_seconds: 60,
            ratings: vec![4, 5],
            participants: vec![participant("alice", 100, 5, 93), participant("bob", 600, 50, 41)],
            ..CallReport::default()
        },
    );
    for ended in [false, true] {
        if ended {
            let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
        }
        let quality = get_quality(&app, "bob").await;
        assert_eq!(quality["stream"]["score"], 87.0);
        assert_eq!(quality["stream"]["userRating"], 4.5);
        assert_eq!(quality["metrics"]["roundTripTime"], 350.0);
        assert_eq!(quality["metrics"]["jitter"], 27.5);
        assert_eq!(quality["metrics"]["freezes"], 500.0);
        assert_eq!(quality["metrics"]["packetLoss"], json!(null));
        assert_eq!(quality["worstParticipant"], "bob");
        assert_eq!(quality["participants"][0]["streamScore"], 41.0);
        // Without packet loss there is no score.
        assert_eq!((&quality["quality"], &quality["score"]), (&json!("unknown"), &json!(null)));
        assert_eq!(quality["reason"], "no_packet_loss");
        assert_eq!(quality["sources"], json!(["stream"]));
    }
    // Stream does not report packet loss. A single sample with it is enough for a score.
    let lost = json!({"timestamp": app.now_millis(), "fractionLost": 0.02});
    let _ =
        app.post("/call/quality/c1", "alice", json!({"samples": [lost]})).await.expect_success();
    let quality = get_quality(&app, "alice").await;
    assert_eq!(quality["participants"][0]["userId"], "alice");
    assert_eq!((&quality["r"], &quality["quality"]), (&json!(84.289), &json!("good")));
    assert_eq!(quality["sources"], json!(["samples", "stream"]));
}

#[tokio::test]
async fn stored_stream_report_is_returned_during_an_outage() {
    let app = TestApp::with_call("c1").await;
    for user in ["alice", "bob"] {
        app.stream().join("default:c1", user).unwrap();
    }
    app.advance_time(Duration::from_mins(2)).await;
    app.stream().leave_all("default:c1");
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.stream().webhooks_idle().await;
    let events = |session: &str| {
        let presence = json!({
            "latency_ms": 100, "jitter_ms": 5, "cq_score": 93,
            "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:02:00Z",
        });
        let report = json!({
            "type": "call.stats_report_ready", "call_cid": "default:c1", "session_id": session,
            "counts": {"cq_score": 71, "avg_user_rating": 3.5},
            "participants_overview": [{"user_id": "alice", "name": "Alice", "sessions": [presence]}],
        });
        let older = json!({
            "type": "call.stats_report_ready", "call_cid": "default:c1", "session_id": session,
        });
        let rating = json!({
            "type": "call.user_feedback_submitted", "call_cid": "default:c1",
            "session_id": session, "rating": 2, "reason": "It broke up", "user": {"id": "bob"},
        });
        [report, older, rating]
    };
    for (n, mut event) in events("s1").into_iter().chain(events("s1")).enumerate() {
        // Each event arrives twice, and the older format arrives last.
        let at = app.now_millis() + i64::try_from(n).unwrap();
        event["created_at"] = json!(jiff::Timestamp::from_millisecond(at).unwrap().to_string());
        if event.get("counts").is_none() && event["type"] == "call.stats_report_ready" {
            event["session_id"] = json!("s0");
        }
        assert_eq!(app.send_webhook(&event).await.status, 200);
    }
    app.stream().add_fault(FaultRule::for_any_operation(Fault::Status(503)));
    let result = get_quality(&app, "alice").await;
    assert_eq!(
        (&result["stream"]["score"], &result["stream"]["source"]),
        (&json!(71.0), &json!("stored"))
    );
    assert_eq!(result["stream"]["reachable"], false);
    assert_eq!(result["participants"][0]["streamScore"], 93.0);
    assert_eq!(result["participants"][0]["presence"][0]["leftAt"], "2026-01-01T00:02:00.000Z");
    // Only the user and a service can read the text of a rating.
    assert_eq!(result["ratings"], json!({"average": 2.0, "count": 1, "each": []}));
    let bobs_rating = json!([{"userId": "bob", "rating": 2, "reason": "It broke up"}]);
    assert_eq!(get_quality(&app, "bob").await["ratings"]["each"], bobs_rating);
    let service = app.service_authorization();
    let headers = [("authorization", service.as_str())];
    let all = app.send(Method::GET, "/call/quality/c1", &headers, "").await.expect_success();
    assert_eq!(all.body["quality"]["ratings"]["each"], bobs_rating);
}

#[tokio::test]
async fn batch_is_counted_once() {
    let app = TestApp::with_call("c1").await;
    let at = app.now_millis();
    let batch = |id: Option<&str>, jitter: f64| {
        let mut batch = json!({"samples": [{"timestamp": at, "jitter": jitter}]});
        if let Some(id) = id {
            batch["batchId"] = json!(id);
        }
        batch
    };
    for (user, batch, accepted) in [
        ("alice", batch(Some("b1"), 0.01), 1),
        ("alice", batch(Some("b1"), 0.01), 0),
        // The first batch with an id is kept.
        ("alice", batch(Some("b1"), 0.09), 0),
        ("alice", batch(None, 0.02), 1),
        ("alice", batch(None, 0.02), 0),
        ("alice", batch(None, 0.03), 1),
        ("bob", batch(Some("b1"), 0.05), 1),
    ] {
        let response = app.post("/call/quality/c1", user, batch).await.expect_success();
        assert_eq!(response.body["accepted"], accepted);
    }
    let samples = app.scan_table().await;
    let samples =
        samples.iter().filter(|item| item["sk"]["S"].as_str().unwrap().starts_with("SAMPLES#"));
    assert_eq!(samples.count(), 4);
    assert_eq!(get_quality(&app, "alice").await["samples"]["count"], 4);
}

#[tokio::test]
async fn phone_ten_minutes_ahead_has_quality() {
    let app = TestApp::with_call("c1").await;
    let before = app.now_millis();
    send_batches(&app, "alice", &[batch_of_phone(&app, 600_000)]).await;
    let quality = get_quality(&app, "alice").await;
    assert_eq!((&quality["quality"], &quality["r"]), (&json!("excellent"), &json!(91.3)));
    assert_eq!(quality["samples"], json!({"count": 6, "dropped": 0, "complete": true}));
    // The samples are placed in the half minute before their receipt.
    let offset = timestamp_millis(&quality["timeline"]["from"]) - before;
    assert!((-30_000..30_000).contains(&offset), "{offset}");
}

#[tokio::test]
async fn devices_of_a_user_with_different_clocks_all_count() {
    let app = TestApp::start().await;
    app.create_calls(&["c1", "c2", "c3"]).await;
    // The second device is two minutes behind.
    for (id, field, values) in [
        ("c1", "deviceId", ["phone", "tablet"]),
        ("c2", "platform", ["ios", "android"]),
        // Only the clocks differ.
        ("c3", "platform", ["ios", "ios"]),
    ] {
        for (value, clock_lead) in values.into_iter().zip([0, -120_000]) {
            let mut batch = batch_of_phone(&app, clock_lead);
            batch["batchId"] = json!(format!("of-{clock_lead}"));
            batch[field] = json!(value);
            let path = format!("/call/quality/{id}");
            let response = app.post(&path, "alice", batch).await.expect_success();
            assert_eq!(response.body["accepted"], 6, "{id}");
        }
        let response = app.get(&format!("/call/quality/{id}"), "bob").await.expect_success();
        let quality = &response.body["quality"];
        let samples = json!({"count": 12, "dropped": 0, "complete": true});
        assert_eq!(quality["samples"], samples, "{id}");
        // Both devices measured in the same half minute.
        let points = quality["timeline"]["points"].as_array().unwrap();
        assert!(points.len() <= 12, "{id}: {}", points.len());
    }
}

#[tokio::test]
async fn dropped_samples_are_counted() {
    let app = TestApp::with_call("c1").await;
    // The clock of the phone is set ten minutes ahead between the two batches.
    for clock_lead in [-600_000, 0] {
        let mut batch = batch_of_phone(&app, clock_lead);
        batch["batchId"] = json!(format!("of-{clock_lead}"));
        batch["deviceId"] = json!("phone");
        send_batches(&app, "alice", &[batch]).await;
    }
    let quality = get_quality(&app, "alice").await;
    assert_eq!(quality["samples"], json!({"count": 12, "dropped": 6, "complete": true}));
    assert_eq!(quality["quality"], "excellent");
}

#[tokio::test]
async fn invalid_samples_are_rejected_without_changes() {
    let app = TestApp::with_call("c1").await;
    app.provision_users(&["carol", "dave"]).await;
    let other_call = json!({"receiverId": "dave", "callId": "c2"});
    let _ = app.post("/call/create", "carol", other_call).await.expect_success();
    let now = app.now_millis();
    let before = app.scan_table().await;
    app.reset_counts();
    let sample_with = |name: &str, value: Value| {
        let mut sample = good_sample();
        sample["timestamp"] = json!(now);
        sample[name] = value;
        sample.to_string()
    };
    let plain = r#"{"timestamp":1767225600000}"#;
    let batch = |sample: &str| format!(r#"{{"samples":[{sample}]}}"#);
    let batch_of = |sample: &str, count: usize| {
        format!(r#"{{"samples":[{}]}}"#, vec![sample; count].join(","))
    };
    let invalid = [
        (batch(&sample_with("jitter", json!(-0.001))), 400, "invalid_body"),
        (batch(&sample_with("packetsLost", json!(-1))), 400, "invalid_body"),
        (batch(&sample_with("jitter", json!(1e308))), 400, "invalid_body"),
        (batch(&sample_with("fractionLost", json!(1.5))), 400, "invalid_body"),
        (batch(&sample_with("timestamp", json!(-1))), 400, "invalid_body"),
        (batch(&sample_with("timestamp", json!(now / 1_000))), 400, "invalid_body"),
        (batch(&sample_with("timestamp", json!(946_684_799_999_i64))), 400, "invalid_body"),
        (batch(&sample_with("timestamp", json!(4_102_444_800_001_i64))), 400, "invalid_body"),
        (batch(&sample_with("timestamp", json!("now"))), 400, "invalid_body"),
        (batch(&sample_with("userId", json!("bob"))), 400, "invalid_body"),
        (batch(r#"{"timestamp":1767225600000,"jitter":NaN}"#), 400, "invalid_json"),
        (batch(r#"{"timestamp":1767225600000,"jitter":1e999}"#), 400, "invalid_json"),
        (batch(r#"{"timestamp":1767225600000,"jitter":Infinity}"#), 400, "invalid_json"),
        (batch(r#"{"timestamp":1767225600000,"timestamp":2}"#), 400, "invalid_json"),
        (batch_of(plain, 0), 400, "invalid_body"),
        (batch_of(plain, 61), 400, "invalid_body"),
        (batch_of(plain, 10_000), 413, "body_too_large"),
        (batch(&format!(r#"{plain},{{"timestamp":1767229200001}}"#)), 400, "invalid_body"),
        (format!(r#"{{"samples":[{plain}],"userId":"bob"}}"#), 400, "invalid_body"),
        (format!(r#"{{"samples":[{plain}],"batchId":"a/b"}}"#), 400, "invalid_body"),
        (format!(r#"{{"samples":[{plain}],"platform":"toaster"}}"#), 400, "invalid_body"),
        (format!(r#"{{"samples":[{plain}],"deviceId":"a/b"}}"#), 400, "invalid_body"),
        ("{}".to_owned(), 400, "invalid_body"),
    ];
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    for (body, status, code) in invalid {
        let headers = [("authorization", token.as_str())];
        let response = app.post_with_headers("/call/quality/c1", &headers, &body).await;
        assert_eq!(
            response.outcome(),
            (status, code),
            "{}",
            body.chars().take(200).collect::<String>()
        );
    }
    // Users who are not members cannot send samples, and neither can a service.
    let report = batch(&sample_with("jitter", json!(0.01)));
    let service = app.service_authorization();
    for (path, header) in [("/call/quality/c2", &token), ("/call/quality/c1", &service)] {
        let headers = [("authorization", header.as_str())];
        let response = app.post_with_headers(path, &headers, &report).await;
        assert_eq!(response.outcome(), (404, "call_not_found"), "{path}");
    }
    assert_eq!(app.counts().1, 0);
    assert_eq!(app.scan_table().await, before);
}

#[tokio::test]
async fn samples_for_a_pending_call_are_rejected() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app.stream().add_fault(
        FaultRule::for_operation(Operation::GetOrCreateChannel, Fault::Status(503)).times(20),
    );
    let create = json!({"receiverId": "bob", "callId": "c1"});
    assert_eq!(app.post("/call/create", "alice", create).await.status, 503);
    let report = json!({"samples": [{"timestamp": app.now_millis()}]});
    let response = app.post("/call/quality/c1", "alice", report).await;
    assert_eq!(response.outcome(), (409, "call_not_active"));
}

/// A stack with an ended call of 20 minutes, whose data has not changed for a minute.
async fn app_with_settled_call() -> TestApp {
    let (app, _) = app_with_twenty_minute_call().await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.advance_time(Duration::from_mins(1)).await;
    app
}

/// Reads the quality. Also returns the numbers of requests to DynamoDB and Stream.
async fn get_quality_counted(app: &TestApp, user: &str) -> (Value, (u64, u64)) {
    app.reset_counts();
    let quality = get_quality(app, user).await;
    (quality, app.counts())
}

/// The requests of a computed response whose summary is stored: the call, the summary, all data,
/// the names that Stream does not have, and the new summary; at Stream the report.
const COMPUTED: (u64, u64) = (6, 1);
/// The requests of a response from the final summary: the account and the summary.
const REUSED: (u64, u64) = (2, 0);

#[tokio::test]
async fn repeated_read_of_an_ended_call_reads_no_samples() {
    let app = app_with_settled_call().await;
    let (computed, requests) = get_quality_counted(&app, "alice").await;
    assert_eq!(requests, COMPUTED);
    app.advance_time(Duration::from_mins(50)).await;
    let (reused, requests) = get_quality_counted(&app, "bob").await;
    assert_eq!(requests, REUSED);
    assert_eq!(app.stack().dynamo().counts(), BTreeMap::from([("GetItem".to_owned(), 2)]));
    assert_eq!(reused, computed);
    // The members in the summary decide on the access.
    app.provision_users(&["carol"]).await;
    let response = app.get("/call/quality/c1", "carol").await;
    assert_eq!(response.outcome(), (404, "call_not_found"));
    app.reset_counts();
    let chart = get_chart(&app, "/call/quality/c1?format=svg", &[]).await;
    assert_eq!((chart.status, app.counts()), (200, REUSED));
    assert!(svg_text(&chart.text).contains("samples"));
    // A webhook with newer data of Stream may be lost, so a summary is reused for an hour.
    app.advance_time(Duration::from_mins(11)).await;
    assert_eq!(get_quality_counted(&app, "alice").await.1, COMPUTED);
}

#[tokio::test]
async fn late_data_of_an_ended_call_is_returned_at_once() {
    let app = app_with_settled_call().await;
    assert_eq!(get_quality(&app, "alice").await["ratings"]["count"], 0);
    let rating = json!({
        "type": "call.user_feedback_submitted", "call_cid": "default:c1", "session_id": "s1",
        "rating": 2, "reason": "It broke up", "user": {"id": "bob"},
        "created_at": jiff::Timestamp::from_millisecond(app.now_millis()).unwrap().to_string(),
    });
    let _ = app.send_webhook(&rating).await.expect_success();
    assert_eq!(get_quality(&app, "alice").await["ratings"]["count"], 1);
    let late = json!({"batchId": "late", "samples": [{"timestamp": app.now_millis()}]});
    let _ = app.post("/call/quality/c1", "bob", late.clone()).await.expect_success();
    assert_eq!(get_quality(&app, "alice").await["samples"]["count"], 481);
    // Once no write can be in progress, a summary is stored again.
    app.advance_time(Duration::from_secs(20)).await;
    let (alices, requests) = get_quality_counted(&app, "alice").await;
    assert_eq!((requests, &alices["ratings"]["each"]), (COMPUTED, &json!([])));
    // A response from the summary has only the own rating, too.
    let (bobs, requests) = get_quality_counted(&app, "bob").await;
    let each = json!([{"userId": "bob", "rating": 2, "reason": "It broke up"}]);
    assert_eq!((requests, &bobs["ratings"]["each"]), (REUSED, &each));
    // A repeated batch changes nothing.
    let _ = app.post("/call/quality/c1", "bob", late).await.expect_success();
    assert_eq!(get_quality_counted(&app, "bob").await.1, REUSED);
    assert_eq!(get_quality(&app, "alice").await, alices);
}

#[tokio::test]
async fn quality_of_an_open_call_is_at_most_five_seconds_old() {
    // Long enough that a write of the summary costs less than another read of the data.
    let (app, _) = app_with_lossy_call(60).await;
    assert_eq!(get_quality(&app, "alice").await["samples"]["count"], 1_440);
    assert!(app.get_item("CALL#c1", "QUALITY#SUMMARY").await["quality"].is_object());
    // The call is read too, since its state decides on the reuse.
    assert_eq!(get_quality_counted(&app, "bob").await.1, (3, 0));
    let batch = json!({"batchId": "new", "samples": [{"timestamp": app.now_millis()}]});
    let _ = app.post("/call/quality/c1", "bob", batch).await.expect_success();
    app.advance_time(Duration::from_secs(5)).await;
    assert_eq!(get_quality(&app, "alice").await["samples"]["count"], 1_441);
}

/// During a short call, a write of the summary costs more than another read of the data.
#[tokio::test]
async fn summary_of_a_short_call_is_stored_after_its_end() {
    let app = TestApp::with_call("c1").await;
    send_batches(&app, "alice", &[batch_of_phone(&app, 0)]).await;
    let _ = get_quality(&app, "alice").await;
    assert_eq!(app.get_item("CALL#c1", "QUALITY#SUMMARY").await, Value::Null);
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.advance_time(Duration::from_mins(1)).await;
    for requests in [COMPUTED, REUSED] {
        assert_eq!(get_quality_counted(&app, "alice").await.1, requests);
    }
}

async fn get_chart(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let headers = [headers, &[("authorization", token.as_str())]].concat();
    app.send(Method::GET, path, &headers, "").await
}

/// The text of an SVG. It must be well-formed, without scripts and links.
fn svg_text(svg: &str) -> String {
    let mut reader = quick_xml::Reader::from_str(svg);
    let mut texts = String::new();
    let mut depth = 0;
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) => {
                depth += 1;
                assert!(!matches!(tag.name().as_ref(), "script" | "foreignObject" | "image"));
                for attribute in tag.attributes() {
                    let key = attribute.unwrap().key;
                    let key = key.as_ref();
                    assert!(!key.starts_with("on") && !key.ends_with("href"), "{key:?}");
                }
            }
            Xml::End(_) => depth -= 1,
            Xml::Text(text) => texts.push_str(&text),
            Xml::GeneralRef(name) => texts.extend(["&", &name, ";"]),
            Xml::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    texts
}

#[tokio::test]
async fn chart_is_returned_on_request() {
    let (app, _) = app_with_twenty_minute_call().await;
    app.stream().set_report(
        "default:c1",
        CallReport {
            participants: vec![ParticipantStats {
                user_id: "bob".to_owned(),
                name: Some("Bob <script>alert(1)</script> & Söhne".to_owned()),
                sessions: vec![SessionStats::default()],
            }],
            ..CallReport::default()
        },
    );
    let accept = [("accept", "image/svg+xml")];
    for (path, headers) in [
        ("/call/quality/c1?format=svg", &[][..]),
        ("/call/quality/c1", &accept),
        ("/call/quality/c1?format=svg&width=360&theme=auto", &[]),
    ] {
        let response = get_chart(&app, path, headers).await;
        assert_eq!(response.status, 200, "{}", response.text);
        assert_eq!(response.headers["content-type"], "image/svg+xml");
        assert_eq!(response.headers["x-content-type-options"], "nosniff");
        let policy = response.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"));
        let texts = svg_text(&response.text);
        for word in ["c1", "good", "excellent", "loss", "alice", "Bob"] {
            assert!(texts.contains(word), "{word} is missing in {texts}");
        }
        assert!(response.text.contains("@media (prefers-color-scheme:dark)"));
    }
    for (theme, page) in [("light", "#FFFFFF"), ("dark", "#0D1117")] {
        let path = format!("/call/quality/c1?format=svg&theme={theme}");
        let chart = get_chart(&app, &path, &[]).await.text;
        assert!(chart.contains(page) && !chart.contains("@media"), "{theme}");
    }
    // The parameter takes precedence over the header.
    assert!(
        get_chart(&app, "/call/quality/c1?format=json", &accept).await.body["quality"].is_object()
    );
    for query in [
        "format=png",
        "width=319",
        "width=1601",
        "width=wide",
        "theme=sepia",
        "theme=",
        "height=9",
        "format=svg&format=svg",
    ] {
        let response = get_chart(&app, &format!("/call/quality/c1?{query}"), &[]).await;
        assert_eq!(response.outcome(), (400, "invalid_query"), "{query}");
    }
}

#[tokio::test]
async fn chart_of_an_unmeasured_call_is_unknown() {
    let app = TestApp::with_call("c1").await;
    let response = get_chart(&app, "/call/quality/c1?format=svg", &[]).await;
    assert!(svg_text(&response.text).contains("Unknown quality"));
}

#[tokio::test]
async fn name_comes_from_the_profile_if_stream_has_none() {
    let (app, _) = app_with_twenty_minute_call().await;
    let profile = json!({"userData": {"name": "Bob of the table"}});
    let _ = app.post("/user/upsert", "bob", profile).await.expect_success();
    let quality = get_quality(&app, "alice").await;
    let names = |quality: &Value| {
        let participants = quality["participants"].as_array().unwrap().iter();
        participants.map(|participant| participant["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&quality), [json!("Bob of the table"), json!(null)]);
    let chart = get_chart(&app, "/call/quality/c1?format=svg", &[]).await;
    assert!(svg_text(&chart.text).contains("Bob of the table"));
    let stats = |name: &str| ParticipantStats {
        user_id: name.to_owned(),
        name: Some(format!("{name} at Stream")),
        sessions: vec![SessionStats::default()],
    };
    let participants = vec![stats("alice"), stats("bob")];
    app.stream().set_report("default:c1", CallReport { participants, ..CallReport::default() });
    app.advance_time(Duration::from_secs(6)).await;
    let quality = get_quality(&app, "alice").await;
    assert_eq!(names(&quality), [json!("bob at Stream"), json!("alice at Stream")]);
}

#[tokio::test]
async fn quality_is_returned_without_names_if_reading_them_fails() {
    let app = app_with_settled_call().await;
    let profile = json!({"userData": {"name": "Bob of the table"}});
    let _ = app.post("/user/upsert", "bob", profile).await.expect_success();
    let fault = dynamo::Rule::next("BatchGetItem", dynamo::Fault::InternalError);
    app.stack().dynamo().inject_fault(dynamo::Rule { times: u32::MAX, ..fault });
    let quality = get_quality(&app, "alice").await;
    let bob = &quality["participants"][0];
    assert_eq!((&bob["userId"], &bob["name"]), (&json!("bob"), &json!(null)));
    assert_eq!(quality["quality"], "good");
    // A stored summary would be returned for an hour.
    assert!(app.get_item("CALL#c1", "QUALITY#SUMMARY").await["quality"].is_null());
    app.stack().dynamo().clear_faults();
    let quality = get_quality(&app, "alice").await;
    assert_eq!(quality["participants"][0]["name"], "Bob of the table");
    assert!(app.get_item("CALL#c1", "QUALITY#SUMMARY").await["quality"].is_object());
}
