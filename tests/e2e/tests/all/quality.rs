//! How good a call was: from what the apps measure, what Stream knows, and what people think.

use std::time::Duration;

use e2e::{Answer, App};
use http::Method;
use quick_xml::events::Event as Xml;
use serde_json::{Value, json};
use stream_emulator::{CallReport, Fault, Operation, ParticipantStats, Rule, SessionStats};

/// What is measured every five seconds of a good connection.
fn good() -> Value {
    json!({
        "roundTripTime": 0.1, "jitter": 0.005, "packetsLost": 0, "packetsReceived": 250,
        "freezeCount": 0, "totalFreezesDuration": 0, "frameWidth": 1280, "frameHeight": 720,
        "framesPerSecond": 24, "bitrate": 1_200_000, "audioLevel": 0.2,
    })
}

/// The batches of a user from `start` on, in milliseconds: one in thirty seconds, of a sample in
/// five. `change` makes of a good sample what it was so many seconds after the start.
fn batches(start: i64, seconds: i64, change: impl Fn(i64, &mut Value)) -> Vec<Value> {
    let sample = |second: i64| {
        let mut sample = good();
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

async fn send(app: &App, user: &str, batches: &[Value]) {
    for batch in batches {
        let answer = app.post("/call/quality/c1", user, batch.clone()).await.good();
        assert_eq!(answer.body["accepted"], 6);
    }
}

async fn quality(app: &App, user: &str) -> Value {
    app.get("/call/quality/c1", user).await.good().body["quality"].clone()
}

/// Twenty minutes of a call, in ten of which Bob loses five per cent.
async fn twenty_minutes() -> (App, i64) {
    let app = App::with_call("c1").await;
    let start = app.now_millis();
    app.pass(Duration::from_mins(20)).await;
    send(&app, "alice", &batches(start, 1_200, |_, _| {})).await;
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
    send(&app, "bob", &batches(start, 1_200, lossy)).await;
    (app, start)
}

fn millis(time: &Value) -> i64 {
    time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[tokio::test]
async fn who_suffered_why_and_when() {
    let (app, start) = twenty_minutes().await;
    let mut seen = Vec::new();
    for ended in [false, true] {
        if ended {
            let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
            // Nothing is left of the call but its record.
            app.minutes(5).await;
            assert!(app.stream().channel("messaging:call-c1").is_none());
            app.stream().script(Rule::any(Fault::Status(503)));
        }
        let quality = quality(&app, "alice").await;
        assert_eq!(quality["quality"], "good");
        assert_eq!(quality["worstParticipant"], "bob");
        let bob = &quality["participants"][0];
        assert_eq!((&bob["userId"], &bob["direction"]), (&json!("bob"), &json!("inbound")));
        assert_eq!(bob["reasons"][0], json!({"cause": "loss", "cost": 6.25}));
        assert_eq!(bob["metrics"]["packetLoss"], 2.5);
        assert_eq!(bob["metrics"]["videoQuality"], "720p");
        assert_eq!(bob["freezes"][0]["duration"], 400.0);
        let alice = &quality["participants"][1];
        assert_eq!((&alice["score"], &alice["r"]), (&json!(4.373), &json!(91.45)));
        let stretch = &quality["worstStretch"];
        assert_eq!((&stretch["userId"], &stretch["cause"]), (&json!("bob"), &json!("loss")));
        // Placed by our clock: no earlier than it was, and no later than the requests took.
        for (time, second) in [(&stretch["from"], 300), (&stretch["to"], 900)] {
            let off = millis(time) - start - second * 1000;
            assert!((-1_000..60_000).contains(&off), "{off} ms off");
        }
        // To the span.
        let length = millis(&stretch["to"]) - millis(&stretch["from"]);
        assert!((600_000..=612_000).contains(&length), "{length}");
        let points = quality["timeline"]["points"].as_array().unwrap();
        assert!((200..=240).contains(&points.len()), "{}", points.len());
        assert_eq!(quality["samples"], json!({"count": 480, "complete": true}));
        assert_eq!(quality["stream"]["reachable"], !ended);
        seen.push(quality);
    }
    // The same call, the same answer.
    for key in ["score", "r", "participants", "timeline", "worstStretch"] {
        assert_eq!(seen[0][key], seen[1][key], "{key}");
    }
}

#[tokio::test]
async fn a_closed_call_leaves_one_line_of_metrics() {
    let (app, _) = twenty_minutes().await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    // What arrives after the end still counts.
    let late = json!({"batchId": "late", "samples": [{"timestamp": app.now_millis()}]});
    assert_eq!(app.post("/call/quality/c1", "bob", late).await.good().body["accepted"], 1);
    app.minutes(6).await;
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
    assert!((4.28..4.30).contains(&mos), "{mos}");
    let duration = line["CallDuration"].as_f64().unwrap();
    assert!((1_200.0..1_320.0).contains(&duration), "{duration}");
}

#[tokio::test]
async fn streams_report_and_statistics_are_shown() {
    let app = App::with_call("c1").await;
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
            let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
        }
        let quality = quality(&app, "bob").await;
        assert_eq!(quality["stream"]["score"], 87.0);
        assert_eq!(quality["stream"]["userRating"], 4.5);
        assert_eq!(quality["metrics"]["roundTripTime"], 350.0);
        assert_eq!(quality["metrics"]["jitter"], 27.5);
        assert_eq!(quality["metrics"]["freezes"], 500.0);
        assert_eq!(quality["metrics"]["packetLoss"], json!(null));
        assert_eq!(quality["worstParticipant"], "bob");
        assert_eq!(quality["participants"][0]["streamScore"], 41.0);
        // Without the packets that were lost there is no score of ours.
        assert_eq!((&quality["quality"], &quality["score"]), (&json!("unknown"), &json!(null)));
        assert_eq!(quality["reason"], "no_packet_loss");
        assert_eq!(quality["sources"], json!(["stream"]));
    }
    // With one sample of what Stream does not know there is one.
    let lost = json!({"timestamp": app.now_millis(), "fractionLost": 0.02});
    let _ = app.post("/call/quality/c1", "alice", json!({"samples": [lost]})).await.good();
    let quality = quality(&app, "alice").await;
    assert_eq!(quality["participants"][0]["userId"], "alice");
    assert_eq!((&quality["r"], &quality["quality"]), (&json!(86.45), &json!("good")));
    assert_eq!(quality["sources"], json!(["samples", "stream"]));
}

#[tokio::test]
async fn what_stream_once_told_is_told_when_it_is_away() {
    let app = App::with_call("c1").await;
    for user in ["alice", "bob"] {
        app.stream().join("default:c1", user).unwrap();
    }
    app.pass(Duration::from_mins(2)).await;
    app.stream().leave_all("default:c1");
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    app.stream().webhooks_idle().await;
    let events = |session: &str| {
        let stay = json!({
            "latency_ms": 100, "jitter_ms": 5, "cq_score": 93,
            "started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:02:00Z",
        });
        let report = json!({
            "type": "call.stats_report_ready", "call_cid": "default:c1", "session_id": session,
            "counts": {"cq_score": 71, "avg_user_rating": 3.5},
            "participants_overview": [{"user_id": "alice", "name": "Alice", "sessions": [stay]}],
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
        // Stream tells of everything twice, and of the older form last.
        event["created_at"] = json!(format!("2026-01-01T00:03:0{n}Z"));
        if event.get("counts").is_none() && event["type"] == "call.stats_report_ready" {
            event["session_id"] = json!("s0");
        }
        assert_eq!(app.tell(&event).await.status, 200);
    }
    app.stream().script(Rule::any(Fault::Status(503)));
    let seen = quality(&app, "alice").await;
    assert_eq!(
        (&seen["stream"]["score"], &seen["stream"]["from"]),
        (&json!(71.0), &json!("stored"))
    );
    assert_eq!(seen["stream"]["reachable"], false);
    assert_eq!(seen["participants"][0]["streamScore"], 93.0);
    assert_eq!(seen["participants"][0]["stays"][0]["leftAt"], "2026-01-01T00:02:00.000Z");
    // Bob's words are Bob's own, and a service's to read.
    assert_eq!(seen["ratings"], json!({"average": 2.0, "count": 1, "each": []}));
    let own = json!([{"userId": "bob", "rating": 2, "reason": "It broke up"}]);
    assert_eq!(quality(&app, "bob").await["ratings"]["each"], own);
    let service = app.service();
    let headers = [("authorization", service.as_str())];
    let all = app.send(Method::GET, "/call/quality/c1", &headers, "").await.good();
    assert_eq!(all.body["quality"]["ratings"]["each"], own);
}

#[tokio::test]
async fn a_batch_counts_once() {
    let app = App::with_call("c1").await;
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
        // What was first under an id stands.
        ("alice", batch(Some("b1"), 0.09), 0),
        ("alice", batch(None, 0.02), 1),
        ("alice", batch(None, 0.02), 0),
        ("alice", batch(None, 0.03), 1),
        ("bob", batch(Some("b1"), 0.05), 1),
    ] {
        let answer = app.post("/call/quality/c1", user, batch).await.good();
        assert_eq!(answer.body["accepted"], accepted);
    }
    let samples = app.table().await;
    let samples =
        samples.iter().filter(|item| item["sk"]["S"].as_str().unwrap().starts_with("SAMPLES#"));
    assert_eq!(samples.count(), 4);
    assert_eq!(quality(&app, "alice").await["samples"]["count"], 4);
}

#[tokio::test]
async fn hostile_samples_change_nothing() {
    let app = App::with_call("c1").await;
    app.known(&["carol", "dave"]).await;
    let others = json!({"receiverId": "dave", "callId": "c2"});
    let _ = app.post("/call/create", "carol", others).await.good();
    let now = app.now_millis();
    let before = app.table().await;
    app.reset_counts();
    let with = |name: &str, value: Value| {
        let mut sample = good();
        sample["timestamp"] = json!(now);
        sample[name] = value;
        sample.to_string()
    };
    let batch = |sample: &str| format!(r#"{{"samples":[{sample}]}}"#);
    let of = |sample: &str, count: usize| {
        format!(r#"{{"samples":[{}]}}"#, vec![sample; count].join(","))
    };
    let refused = [
        (batch(&with("jitter", json!(-0.001))), 400, "invalid_body"),
        (batch(&with("packetsLost", json!(-1))), 400, "invalid_body"),
        (batch(&with("jitter", json!(1e308))), 400, "invalid_body"),
        (batch(&with("fractionLost", json!(1.5))), 400, "invalid_body"),
        (batch(&with("timestamp", json!(now + 3_600_000))), 400, "invalid_body"),
        (batch(&with("timestamp", json!(-1))), 400, "invalid_body"),
        (batch(&with("timestamp", json!("now"))), 400, "invalid_body"),
        (batch(&with("userId", json!("bob"))), 400, "invalid_body"),
        (batch(r#"{"timestamp":1,"jitter":NaN}"#), 400, "invalid_json"),
        (batch(r#"{"timestamp":1,"jitter":1e999}"#), 400, "invalid_json"),
        (batch(r#"{"timestamp":1,"jitter":Infinity}"#), 400, "invalid_json"),
        (batch(r#"{"timestamp":1,"timestamp":2}"#), 400, "invalid_json"),
        (of(r#"{"timestamp":1}"#, 0), 400, "invalid_body"),
        (of(r#"{"timestamp":1}"#, 61), 400, "invalid_body"),
        (of(r#"{"timestamp":1}"#, 10_000), 413, "body_too_large"),
        (of(r#"{"timestamp":1},{"timestamp":9000000}"#, 1), 400, "invalid_body"),
        (r#"{"samples":[{"timestamp":1}],"userId":"bob"}"#.to_owned(), 400, "invalid_body"),
        (r#"{"samples":[{"timestamp":1}],"batchId":"a/b"}"#.to_owned(), 400, "invalid_body"),
        (r#"{"samples":[{"timestamp":1}],"platform":"toaster"}"#.to_owned(), 400, "invalid_body"),
        ("{}".to_owned(), 400, "invalid_body"),
    ];
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    for (body, status, code) in refused {
        let headers = [("authorization", token.as_str())];
        let answer = app.post_with("/call/quality/c1", &headers, &body).await;
        assert_eq!(
            answer.outcome(),
            (status, code),
            "{}",
            body.chars().take(200).collect::<String>()
        );
    }
    // Whoever is not in the call has measured nothing of it, a service neither.
    let measured = batch(&with("jitter", json!(0.01)));
    let service = app.service();
    for (path, header) in [("/call/quality/c2", &token), ("/call/quality/c1", &service)] {
        let headers = [("authorization", header.as_str())];
        let answer = app.post_with(path, &headers, &measured).await;
        assert_eq!(answer.outcome(), (404, "call_not_found"), "{path}");
    }
    assert_eq!(app.counts().1, 0);
    assert_eq!(app.table().await, before);
}

#[tokio::test]
async fn a_call_that_nobody_can_be_in_yet_is_not_measured() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    app.stream().script(Rule::on(Operation::GetOrCreateChannel, Fault::Status(503)).times(20));
    let create = json!({"receiverId": "bob", "callId": "c1"});
    assert_eq!(app.post("/call/create", "alice", create).await.status, 503);
    let measured = json!({"samples": [{"timestamp": 1}]});
    let answer = app.post("/call/quality/c1", "alice", measured).await;
    assert_eq!(answer.outcome(), (409, "call_not_active"));
}

async fn picture(app: &App, path: &str, headers: &[(&str, &str)]) -> Answer {
    let token = format!("Bearer {}", app.stack().token_for("alice"));
    let headers = [headers, &[("authorization", token.as_str())]].concat();
    app.send(Method::GET, path, &headers, "").await
}

/// The texts of an SVG, which must be well-formed and do nothing.
fn texts(svg: &str) -> String {
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
async fn a_picture_for_whoever_asks_for_one() {
    let (app, _) = twenty_minutes().await;
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
        ("/call/quality/c1?format=svg&width=360", &[]),
    ] {
        let answer = picture(&app, path, headers).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["content-type"], "image/svg+xml");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"));
        let texts = texts(&answer.text);
        for word in ["c1", "good", "excellent", "loss", "alice", "Bob"] {
            assert!(texts.contains(word), "{word} is not in {texts}");
        }
        assert!(answer.text.contains("@media (prefers-color-scheme:dark)"));
    }
    // What is asked for by name goes first.
    assert!(
        picture(&app, "/call/quality/c1?format=json", &accept).await.body["quality"].is_object()
    );
    for query in
        ["format=png", "width=319", "width=1601", "width=wide", "height=9", "format=svg&format=svg"]
    {
        let answer = picture(&app, &format!("/call/quality/c1?{query}"), &[]).await;
        assert_eq!(answer.outcome(), (400, "invalid_query"), "{query}");
    }
}

#[tokio::test]
async fn a_picture_of_a_call_that_nobody_measured() {
    let app = App::with_call("c1").await;
    let answer = picture(&app, "/call/quality/c1?format=svg", &[]).await;
    assert!(texts(&answer.text).contains("unknown"));
}
