//! What Stream tells us: only if Stream says it, and the same in any order and any number.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use e2e::App;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join;
use local::{Options, StreamChoice, dynamo};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use stream_emulator::{Fault, Gzip, Operation, Rule, WebhookScript};

/// An end of `c1`, as Stream tells of it.
const ENDED: &str =
    r#"{"type":"call.ended","created_at":"2026-01-01T00:00:00Z","call_cid":"default:c1"}"#;
/// What `another-secret` makes of it, from Python's hmac module.
const ANOTHERS: &str = "08094770f599b1605bc43f7c94d659e3e7a12b28a30e8055f2a0287c088aecc4";

/// Everything that Stream tells of a call and that is handled.
const OF_CALLS: [&str; 10] = [
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

fn now(app: &App) -> Timestamp {
    Timestamp::from_millis(app.now_millis())
}

fn later(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus(Duration::from_secs(seconds))
}

/// An event of a call with everything that one of its type may need.
fn event(kind: &str, id: &str, at: Timestamp) -> Value {
    json!({
        "type": kind,
        "created_at": at.to_string(),
        "call_cid": format!("default:{id}"),
        "session_id": "s1",
        "rating": 3,
        "user": {"id": "alice"},
    })
}

/// The first one joined a little before this is told.
fn started(id: &str, at: Timestamp, told: Timestamp) -> Value {
    let mut event = event("call.session_started", id, told);
    event["call"] = json!({"session": {"id": "s1", "started_at": at.to_string()}});
    event
}

fn joined(id: &str, at: Timestamp) -> Value {
    let mut event = event("call.session_participant_joined", id, later(at, 1));
    event["participant"] = json!({"user": {"id": "alice"}, "joined_at": at.to_string()});
    event
}

fn ended(id: &str, at: Timestamp) -> Value {
    let mut event = event("call.ended", id, later(at, 1));
    event["call"] = json!({"ended_at": at.to_string()});
    event
}

fn channel_deleted(cid: &str, at: Timestamp) -> Value {
    json!({"type": "channel.deleted", "created_at": at.to_string(), "cid": cid})
}

fn report(id: &str, at: Timestamp, participants: u64) -> Value {
    let mut event = event("call.stats_report_ready", id, at);
    event["counts"] = json!({"participants": participants});
    event
}

fn rating(id: &str, at: Timestamp, user: &str, rating: u64) -> Value {
    let mut event = event("call.user_feedback_submitted", id, at);
    event["user"] = json!({"id": user});
    event["rating"] = json!(rating);
    event["reason"] = json!(format!("{rating} stars"));
    event
}

fn of_user(kind: &str, id: &str, at: Timestamp) -> Value {
    json!({"type": kind, "created_at": at.to_string(), "user": {"id": id}})
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn number(item: &Value, name: &str) -> i64 {
    item[name]["N"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_stream_has_not_signed_changes_nothing() {
    let app = App::with_call("c1").await;
    let before = (app.stream().snapshot(), app.table().await);
    let sign = |body: &[u8]| app.stack().sign_webhook(body);
    let plain = ENDED.as_bytes();
    let zipped = gzip(plain);
    let good = sign(plain);
    let other_body = sign(ENDED.replace("c1", "c2").as_bytes());
    let over_gzip = sign(&zipped);
    let (upper, twice) = (good.to_uppercase(), format!("{good},{good}"));
    let cases: [(&[u8], Option<&str>); 12] = [
        (plain, None),
        (plain, Some("")),
        (plain, Some(&good[..62])),
        (plain, Some(upper.as_str())),
        (plain, Some(twice.as_str())),
        (plain, Some(other_body.as_str())),
        (plain, Some(ANOTHERS)),
        (&plain[1..], Some(good.as_str())),
        (b"", Some(good.as_str())),
        (b"{", Some(good.as_str())),
        // The uncompressed body is what counts.
        (&zipped, Some(over_gzip.as_str())),
        (&zipped[..20], Some(good.as_str())),
    ];
    let mut answers = BTreeSet::new();
    app.reset_counts();
    for (body, signature) in cases {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(signature.map(|signature| ("x-signature", signature)));
        let answer = app.deliver_raw(body, &headers).await;
        assert_eq!(answer.outcome(), (401, "bad_signature"), "{body:?} {signature:?}");
        assert_eq!(answer.headers["www-authenticate"], "Stream-Signature");
        answers.insert(answer.timeless().to_string());
    }
    // A session's token is no signature either.
    let answer = app.post("/webhook", "alice", json!({"type": "call.ended"})).await;
    assert_eq!(answer.outcome(), (401, "bad_signature"));
    assert_eq!(app.counts(), (0, 0));
    assert_eq!(answers.len(), 1);
    assert_eq!((app.stream().snapshot(), app.table().await), before);
}

#[tokio::test]
async fn a_signed_body_is_heard_plain_and_gzipped() {
    let app = App::start().await;
    app.calls(&["c0", "c1", "c2", "c3"]).await;
    let at = now(&app);
    for (n, (content_type, encoding, zipped)) in [
        ("application/json", None, false),
        // API Gateway hands these over in base64.
        ("application/octet-stream", None, false),
        ("application/json", Some("gzip"), true),
        // A proxy has lost the header.
        ("application/json", None, true),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("c{n}");
        let body = joined(&id, at).to_string().into_bytes();
        let signature = app.stack().sign_webhook(&body);
        let mut headers = vec![("content-type", content_type), ("x-signature", signature.as_str())];
        headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
        let sent = if zipped { gzip(&body) } else { body };
        let _ = app.deliver_raw(&sent, &headers).await.good();
        assert_eq!(number(&app.call_item(&id).await, "startedAt"), at.as_millis(), "{id}");
    }
}

#[tokio::test]
async fn a_body_has_a_largest_size_as_it_is_sent_and_as_it_is_inflated() {
    const KB: usize = 1024;
    let app = App::start().await;
    let padded = |length: usize| {
        let mut body = br#"{"type":"call.sneezed"}"#.to_vec();
        body.resize(length, b' ');
        body
    };
    for (length, zipped, outcome) in [
        (256 * KB, false, (200, "")),
        (256 * KB + 1, false, (413, "body_too_large")),
        (KB * KB, true, (200, "")),
        (KB * KB + 1, true, (401, "bad_signature")),
    ] {
        let body = padded(length);
        let signature = app.stack().sign_webhook(&body);
        let sent = if zipped { gzip(&body) } else { body };
        for content_type in ["application/json", "application/octet-stream"] {
            let headers = [("content-type", content_type), ("x-signature", signature.as_str())];
            let answer = app.deliver_raw(&sent, &headers).await;
            assert_eq!(answer.outcome(), outcome, "{length} {content_type}");
        }
    }
    // None of them has ended the function.
    assert_eq!(app.stack().instances().len(), 1);
}

#[tokio::test]
async fn both_secrets_are_accepted_while_one_is_being_changed() {
    let new = ("STREAM_API_SECRET", "the-secret-that-comes-after-the-other");
    let previous = ("STREAM_API_SECRET_PREVIOUS", local::STREAM_API_SECRET);
    let (accepted, refused) = ((200, ""), (401, "bad_signature"));
    for (app, of_previous) in
        [(App::with_env([new, previous]).await, accepted), (App::with_env([new]).await, refused)]
    {
        let signed_with = [
            (app.stack().sign_webhook(ENDED.as_bytes()), accepted),
            // The emulator goes on with the secret that it was started with.
            (app.stream().sign(ENDED.as_bytes()), of_previous),
            (ANOTHERS.to_owned(), refused),
        ];
        for (signature, outcome) in signed_with {
            let answer =
                app.deliver_raw(ENDED.as_bytes(), &[("x-signature", signature.as_str())]).await;
            assert_eq!(answer.outcome(), outcome);
        }
    }
}

#[tokio::test]
async fn what_is_none_of_ours_is_heard_and_not_written() {
    let app = App::with_call("c1").await;
    let at = now(&app);
    let mut events = vec![
        event("call.sneezed", "c1", at),
        json!({"type": "message.new"}),
        channel_deleted("messaging:call-nobodys", at),
        channel_deleted("messaging:c1", at),
        channel_deleted("team:call-c1", at),
        of_user("user.deactivated", "nobody", at),
        of_user("user.deleted", "no body", at),
    ];
    for kind in OF_CALLS {
        events.push(event(kind, "nobodys", at));
        for cid in ["livestream:c1", "default:a/b", "c1"] {
            let mut event = event(kind, "c1", at);
            event["call_cid"] = json!(cid);
            events.push(event);
        }
    }
    let before = app.table().await;
    for event in events {
        let _ = app.tell(&event).await.good();
        assert_eq!(app.table().await, before, "{event}");
    }
    // What lacks what it is about would lack it a second time, too.
    for kind in OF_CALLS {
        for field in ["call_cid", "created_at"] {
            let mut event = event(kind, "c1", at);
            event.as_object_mut().unwrap().remove(field);
            assert_eq!(app.tell(&event).await.outcome(), (400, "invalid_json"), "{event}");
        }
    }
    for odd in [json!({}), json!([]), json!("call.ended"), json!({"type": "user.deleted"})] {
        assert_eq!(app.tell(&odd).await.outcome(), (400, "invalid_json"), "{odd}");
    }
    assert_eq!(app.table().await, before);
}

#[tokio::test]
async fn without_credentials_nobody_can_be_verified() {
    let app = App::with(Options { stream: StreamChoice::Unconfigured, ..Options::default() }).await;
    for signature in ["", ANOTHERS] {
        let answer = app.deliver_raw(ENDED.as_bytes(), &[("x-signature", signature)]).await;
        assert_eq!(answer.outcome(), (503, "stream_not_configured"));
    }
    assert_eq!(app.counts(), (0, 0));
}

#[tokio::test]
async fn a_call_has_started_when_the_first_one_joined_in_whatever_order_that_is_told() {
    let app = App::start().await;
    app.calls(&["c0", "c1", "c2"]).await;
    let first = now(&app);
    for (id, order) in [("c0", [0, 1, 2]), ("c1", [2, 1, 0]), ("c2", [1, 2, 0])] {
        let events = [
            started(id, first, later(first, 1)),
            joined(id, later(first, 10)),
            joined(id, later(first, 20)),
        ];
        for n in order {
            let _ = app.tell(&events[n]).await.good();
        }
        let seen = app.get(&format!("/call/{id}"), "bob").await.good().body;
        assert_eq!(
            (&seen["status"], &seen["startedAt"]),
            (&json!("active"), &json!(first.to_string()))
        );
        assert_eq!(number(&app.call_item(id).await, "startedAt"), first.as_millis());
    }
}

#[tokio::test]
async fn what_may_be_the_end_of_an_active_call_has_it_looked_at_at_once() {
    let app = App::start().await;
    app.calls(&["c0", "c1", "c2"]).await;
    let kinds = ["call.session_ended", "call.missed", "call.rejected"];
    for (n, kind) in kinds.into_iter().enumerate() {
        let id = format!("c{n}");
        let before = app.call_item(&id).await;
        assert!(number(&before, "dueAt") > app.now_millis() + 60_000);
        let _ = app.tell(&event(kind, &id, now(&app))).await.good();
        let mut after = app.call_item(&id).await;
        assert!(number(&after, "dueAt") <= app.now_millis(), "{kind}");
        // It is looked at sooner, and that is all.
        after["dueAt"] = before["dueAt"].clone();
        assert_eq!(after, before, "{kind}");
    }
    // The look finds that none of it is so.
    let sweep = app.sweep().await;
    assert_eq!((&sweep["due"], &sweep["kept"], &sweep["over"]), (&json!(3), &json!(3), &json!({})));
    assert_eq!(app.stream().live_calls().len(), 3);
}

#[tokio::test]
async fn a_leave_has_the_call_looked_at_when_its_session_is_over_if_nobody_comes_back() {
    let app = App::with_env([("CALL_INACTIVITY_TIMEOUT_SECONDS", "30")]).await;
    app.calls(&["c1"]).await;
    let at = now(&app);
    for _ in 0..2 {
        let left = event("call.session_participant_left", "c1", at);
        let _ = app.tell(&left).await.good();
        let item = app.call_item("c1").await;
        assert_eq!(number(&item, "dueAt"), later(at, 40).as_millis());
        assert_eq!(item["state"]["S"], "active");
    }
}

#[tokio::test]
async fn only_active_calls_are_looked_at_sooner() {
    let app = App::start().await;
    app.calls(&["ending", "ended"]).await;
    let call = |id: &str| json!({"receiverId": "bob", "callId": id, "allowParallel": true});
    app.stream().script(Rule::on(Operation::GetOrCreateCall, Fault::Status(503)));
    app.stream().script(Rule::on(Operation::EndCall, Fault::Status(503)));
    let created = app.post("/call/create", "alice", call("creating")).await;
    assert_eq!(created.status, 503);
    let ending = app.post("/call/end", "alice", json!({"callId": "ending"})).await;
    assert_eq!(ending.status, 202);
    app.stream().clear_faults();
    let _ = app.post("/call/end", "alice", json!({"callId": "ended"})).await.good();
    let before = app.table().await;
    for id in ["creating", "ending", "ended"] {
        assert_eq!(app.call_item(id).await["state"]["S"], id);
        for kind in &OF_CALLS[2..6] {
            let _ = app.tell(&event(kind, id, now(&app))).await.good();
        }
    }
    assert_eq!(app.table().await, before);
}

#[tokio::test]
async fn what_ended_at_stream_is_ending_and_the_sweep_ends_it() {
    let app = App::start().await;
    app.calls(&["c0", "c1", "c2"]).await;
    let at = now(&app);
    let events = [
        ended("c0", at),
        event("call.deleted", "c1", at),
        channel_deleted("messaging:call-c2", at),
    ];
    for (n, event) in events.iter().enumerate() {
        let _ = app.tell(event).await.good();
        let item = app.call_item(&format!("c{n}")).await;
        assert!(number(&item, "dueAt") <= app.now_millis());
        let seen = app.get(&format!("/call/c{n}"), "bob").await.good().body;
        assert_eq!(
            [&seen["status"], &seen["endReason"], &seen["endedAt"]],
            [&json!("ending"), &json!("ended_at_stream"), &json!(at.to_string())],
            "{event}"
        );
    }
    let sweep = app.sweep().await;
    assert_eq!((&sweep["cleared"], &sweep["failed"]), (&json!(3), &json!(0)));
    for id in ["c0", "c1", "c2"] {
        assert_eq!(app.call_item(id).await["state"]["S"], "ended");
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn the_end_of_an_earlier_session_does_not_end_the_call() {
    let app = App::with_call("c1").await;
    let cid = "default:c1";
    let silence = Duration::from_secs(301);
    app.stream().join(cid, "alice").unwrap();
    app.stream().leave_all(cid);
    app.pass(silence).await;
    let mut told = app.stream().events_sent().into_iter();
    let over = told.rfind(|event| event["type"] == "call.session_ended").unwrap();
    app.stream().join(cid, "bob").unwrap();
    for _ in 0..2 {
        let _ = app.tell(&over).await.good();
        assert_eq!(app.sweep().await["kept"], 1);
    }
    assert_eq!(app.call_item("c1").await["state"]["S"], "active");
    assert_eq!(app.stream().live_calls(), [cid]);
    // The later one's does.
    app.stream().leave_all(cid);
    app.pass(silence).await;
    assert_eq!(app.sweep().await["over"], json!({"left": 1}));
}

#[tokio::test]
async fn nothing_brings_an_ended_call_back() {
    let app = App::with_call("c1").await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.good();
    let before = app.call_item("c1").await;
    for seconds in [0, 60] {
        let at = later(now(&app), seconds);
        for kind in OF_CALLS {
            let _ = app.tell(&event(kind, "c1", at)).await.good();
        }
        let _ = app.tell(&channel_deleted("messaging:call-c1", at)).await.good();
    }
    let mut after = app.call_item("c1").await;
    after.as_object_mut().unwrap().remove("startedAt");
    assert_eq!(after, before);
    app.minutes(4).await;
    let item = app.call_item("c1").await;
    assert_eq!((&item["state"]["S"], &item["dueAt"]), (&json!("ended"), &Value::Null));
    let again = json!({"receiverId": "bob", "callId": "c1"});
    let again = app.post("/call/create", "alice", again).await;
    assert_eq!(again.outcome(), (409, "call_ended"));
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn reports_and_ratings_are_kept_beside_their_call() {
    let app = App::with_call("c1").await;
    let at = now(&app);
    // The newest stands, whichever comes last.
    for (seconds, n) in [(10, 1), (30, 3), (20, 2)] {
        let at = later(at, seconds);
        let _ = app.tell(&report("c1", at, n)).await.good();
        let _ = app.tell(&rating("c1", at, "bob", n)).await.good();
    }
    let kept = app.item("CALL#c1", "REPORT#s1").await;
    let figures: Value = serde_json::from_str(kept["figures"]["S"].as_str().unwrap()).unwrap();
    assert_eq!(figures["counts"], json!({"participants": 3}));
    assert_eq!(number(&kept, "at"), later(at, 30).as_millis());
    let kept = app.item("CALL#c1", "RATING#s1#bob").await;
    assert_eq!((number(&kept, "rating"), &kept["reason"]["S"]), (3, &json!("3 stars")));

    // Somebody else's, and of no call.
    let before = app.table().await;
    for event in [
        rating("c1", at, "mallory", 1),
        rating("c1", at, "alice", 6),
        rating("nobodys", at, "bob", 1),
        report("nobodys", at, 1),
    ] {
        let _ = app.tell(&event).await.good();
        assert_eq!(app.table().await, before, "{event}");
    }
}

#[tokio::test]
async fn who_is_shut_out_at_stream_gets_no_token_here() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    let at = now(&app);
    let deactivated = (403, "user_deactivated");
    let deleted = (409, "user_deleted");
    for (kind, seconds, outcome) in [
        ("user.deactivated", 20, deactivated),
        // An older one comes late.
        ("user.reactivated", 10, deactivated),
        ("user.reactivated", 30, (200, "")),
        ("user.deactivated", 20, (200, "")),
        ("user.deleted", 50, deleted),
        ("user.reactivated", 40, deleted),
    ] {
        let _ = app.tell(&of_user(kind, "bob", later(at, seconds))).await.good();
        let token = app.post("/token", "bob", json!({})).await;
        assert_eq!(token.outcome(), outcome, "{kind} {seconds}");
    }
    let created = app.post("/call/create", "alice", json!({"receiverId": "bob"})).await;
    assert_eq!(created.outcome(), (404, "user_not_found"));
    assert_eq!(created.body["detail"], "not known: bob");
    // Nobody else is concerned.
    app.known(&["alice"]).await;
}

#[tokio::test]
async fn while_the_table_is_away_stream_is_asked_to_come_again() {
    let app = App::with_call("c1").await;
    let at = now(&app);
    app.stack().dynamo().script(dynamo::Rule::always(dynamo::Fault::Refused));
    let events = [
        joined("c1", at),
        report("c1", at, 2),
        rating("c1", at, "bob", 4),
        of_user("user.deactivated", "bob", at),
        ended("c1", at),
    ];
    for event in &events {
        assert_eq!(app.tell(event).await.outcome(), (503, "store_unavailable"), "{event}");
    }
    app.stack().dynamo().clear_faults();
    assert_eq!(app.call_item("c1").await["state"]["S"], "active");
    for event in &events {
        let _ = app.tell(event).await.good();
    }
    let item = app.call_item("c1").await;
    assert_eq!(
        (&item["state"]["S"], number(&item, "startedAt")),
        (&json!("ending"), at.as_millis())
    );
}

#[tokio::test]
async fn stream_repeats_what_could_not_be_written_down() {
    let app = App::with(Options { webhooks: true, ..Options::default() }).await;
    app.calls(&["c1"]).await;
    app.stream().webhooks_idle().await;
    app.stream().clear_deliveries();
    // As often as one invocation asks the table.
    let rule =
        dynamo::Rule { times: 3, ..dynamo::Rule::next("UpdateItem", dynamo::Fault::InternalError) };
    app.stack().dynamo().script(rule);
    let at = now(&app);
    app.stream().deliver(joined("c1", at));
    app.stream().webhooks_idle().await;
    let deliveries = app.stream().deliveries();
    let attempts: Vec<_> = deliveries.iter().map(|one| (one.attempt, one.status)).collect();
    assert_eq!(attempts, [(1, Some(503)), (2, Some(200))]);
    assert_eq!(number(&app.call_item("c1").await, "startedAt"), at.as_millis());
}

/// What becomes of a call at Stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    GoesOn,
    Left,
    Ended,
    Declined,
    ChannelDeleted,
    CallDeleted,
    BegunAgain,
    NeverJoined,
}

impl Fate {
    const ALL: [Self; 8] = [
        Self::GoesOn,
        Self::Left,
        Self::Ended,
        Self::Declined,
        Self::ChannelDeleted,
        Self::CallDeleted,
        Self::BegunAgain,
        Self::NeverJoined,
    ];

    /// Why the call is over in the end.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::GoesOn | Self::BegunAgain => None,
            Self::Left => Some("left"),
            Self::Declined => Some("declined"),
            Self::NeverJoined => Some("not_joined"),
            Self::Ended | Self::ChannelDeleted | Self::CallDeleted => Some("ended_at_stream"),
        }
    }

    /// What Stream tells of it, in order. A second passes before each event.
    fn told(self, id: &str, since: Timestamp) -> Vec<Value> {
        let at = |second: u64| later(since, second);
        let plain = |kind: &str, second: u64| event(kind, id, at(second));
        let begun = [started(id, at(1), at(2)), joined(id, at(1)), joined(id, at(3))];
        let more = match self {
            Self::GoesOn => vec![
                plain("call.session_participant_left", 5),
                joined(id, at(6)),
                report(id, at(8), 2),
                rating(id, at(9), "bob", 2),
                rating(id, at(10), "bob", 5),
                report(id, at(11), 3),
            ],
            Self::Left => vec![
                plain("call.session_participant_left", 5),
                plain("call.session_participant_left", 6),
                plain("call.session_ended", 7),
                report(id, at(8), 2),
                rating(id, at(9), "alice", 4),
                rating(id, at(10), "bob", 3),
            ],
            Self::Ended => vec![
                ended(id, at(5)),
                plain("call.session_ended", 7),
                report(id, at(8), 2),
                rating(id, at(9), "alice", 1),
            ],
            Self::ChannelDeleted => vec![
                channel_deleted(&format!("messaging:call-{id}"), at(5)),
                plain("call.session_participant_left", 6),
                plain("call.session_ended", 7),
            ],
            Self::CallDeleted => vec![
                plain("call.deleted", 5),
                plain("call.session_ended", 6),
                report(id, at(7), 2),
                rating(id, at(8), "bob", 3),
            ],
            Self::BegunAgain => {
                let second = |mut event: Value| {
                    event["session_id"] = json!("s2");
                    event
                };
                vec![
                    plain("call.session_participant_left", 5),
                    plain("call.session_ended", 6),
                    second(started(id, at(7), at(8))),
                    second(joined(id, at(7))),
                    second(rating(id, at(9), "bob", 4)),
                ]
            }
            Self::Declined | Self::NeverJoined => {
                let last = if self == Self::Declined { "call.rejected" } else { "call.missed" };
                let kinds =
                    ["call.created", "call.ring", "call.notification", last, "call.updated"];
                return kinds.iter().zip(1..).map(|(kind, second)| plain(kind, second)).collect();
            }
        };
        begun.into_iter().chain(more).collect()
    }
}

/// So many calls have each fate.
const EACH: usize = 6;
/// The order in which everything arrives.
const SEED: u64 = 20_260_101;

fn cast() -> Vec<(String, Fate)> {
    (0..EACH).flat_map(|n| Fate::ALL.map(|fate| (format!("{fate:?}-{n}"), fate))).collect()
}

/// Everything that Stream tells, in order.
fn all_told(since: Timestamp) -> Vec<Value> {
    let mut events: Vec<_> = cast().iter().flat_map(|(id, fate)| fate.told(id, since)).collect();
    for (second, kind) in
        [(1, "user.deactivated"), (2, "user.reactivated"), (3, "user.deactivated")]
    {
        events.push(of_user(kind, "dave", later(since, second)));
        events.push(of_user(kind, "erin", later(since, 4 - second)));
    }
    events
}

/// A stack in which all of it has happened at Stream, and nobody was told.
async fn stage() -> App {
    let options = Options { webhooks: true, max_instances: 6, ..Options::default() };
    let app = App::with(options).await;
    let stream = app.stream();
    stream.set_webhook_script(WebhookScript { drop_all: true, ..WebhookScript::default() });
    let cast = cast();
    let ids: Vec<&str> = cast.iter().map(|(id, _)| id.as_str()).collect();
    app.calls(&ids).await;
    app.known(&["dave", "erin"]).await;
    for (id, fate) in &cast {
        let cid = format!("default:{id}");
        if matches!(fate, Fate::GoesOn | Fate::Left | Fate::BegunAgain) {
            stream.join(&cid, "alice").unwrap();
            stream.join(&cid, "bob").unwrap();
        }
        match fate {
            Fate::Left | Fate::BegunAgain => stream.leave_all(&cid),
            Fate::Declined => stream.reject(&cid, "bob"),
            Fate::ChannelDeleted => stream.delete_channel(&format!("messaging:call-{id}")),
            Fate::CallDeleted => stream.delete_call(&cid),
            Fate::GoesOn | Fate::Ended | Fate::NeverJoined => {}
        }
    }
    // Sessions that everybody left end.
    app.pass(Duration::from_secs(301)).await;
    for (id, _) in cast.iter().filter(|(_, fate)| *fate == Fate::BegunAgain) {
        stream.join(&format!("default:{id}"), "bob").unwrap();
    }
    app
}

fn send_all(app: &App, events: &[Value], script: WebhookScript) {
    app.stream().set_webhook_script(script);
    for event in events {
        app.stream().deliver(event.clone());
    }
    app.stream().release_webhooks();
}

/// Ends calls that go on, with fifty signatures that are not Stream's.
async fn forge(app: &App) {
    for n in 0..50 {
        let kind = ["call.ended", "call.deleted"][n % 2];
        let id = format!("GoesOn-{}", n % EACH);
        let body = event(kind, &id, now(app)).to_string().into_bytes();
        let good = app.stack().sign_webhook(&body);
        let forged = match n % 5 {
            0 => String::new(),
            1 => good.to_uppercase(),
            2 => good.chars().rev().collect(),
            3 => app.stack().sign_webhook(b"something else"),
            _ => "0".repeat(64),
        };
        let sent = if n % 4 < 2 { gzip(&body) } else { body };
        let answer = app.deliver_raw(&sent, &[("x-signature", forged.as_str())]).await;
        assert_eq!(answer.outcome(), (401, "bad_signature"), "{n}");
    }
}

/// What is left of everything, without the times that the machine's clock has made.
async fn picture(app: &App) -> BTreeMap<String, Value> {
    let mut picture = BTreeMap::new();
    for item in app.table().await {
        let (pk, sk) = (item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        let shown = if sk == "CALL" {
            let id = pk.trim_start_matches("CALL#");
            let told = item["endReason"]["S"] == "ended_at_stream";
            let live = app.stream().call(&format!("default:{id}"));
            json!({
                "state": item["state"]["S"],
                "reason": item["endReason"]["S"],
                "startedAt": item["startedAt"],
                "endingAt": told.then(|| item["endingAt"].clone()),
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
        picture.insert(format!("{pk} {sk}"), shown);
    }
    picture
}

/// More than a thousand deliveries: every event three times, half of them gzipped, in an order
/// that a seed decides, with forged ones in between; and once each in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_to_the_same_in_any_order_and_number() {
    let app = stage().await;
    let events = all_told(Timestamp::from_millis(app.now_millis() - 60_000));
    let script = WebhookScript {
        copies: 3,
        gzip: Gzip::EveryOther,
        shuffle: Some(SEED),
        concurrency: 4,
        ..WebhookScript::default()
    };
    send_all(&app, &events, script);
    join(app.stream().webhooks_idle(), forge(&app)).await;
    let deliveries = app.stream().deliveries();
    assert!(deliveries.len() >= 1_000, "{}", deliveries.len());
    assert_eq!(deliveries.len(), events.len() * 3);
    let failed: Vec<_> = deliveries.iter().filter(|one| one.status != Some(200)).collect();
    assert!(failed.is_empty(), "seed {SEED}: {failed:?}");
    let mut millis: Vec<u64> = deliveries.iter().map(|one| one.millis).collect();
    millis.sort_unstable();
    let p99 = millis[millis.len() * 99 / 100];
    println!("{} deliveries with seed {SEED}: p99 {p99} ms", deliveries.len());
    assert!(p99 < 1_000, "p99 {p99} ms");
    app.stream().set_webhook_script(WebhookScript::default());
    app.minutes(5).await;
    let shuffled = picture(&app).await;
    app.stop().await;

    let app = stage().await;
    send_all(&app, &events, WebhookScript { concurrency: 1, ..WebhookScript::default() });
    app.stream().webhooks_idle().await;
    assert_eq!(app.stream().deliveries().len(), events.len());
    app.stream().set_webhook_script(WebhookScript::default());
    app.minutes(5).await;
    let in_order = picture(&app).await;

    for (id, fate) in cast() {
        let seen = &in_order[&format!("CALL#{id} CALL")];
        let reason = fate.reason();
        let state = if reason.is_some() { "ended" } else { "active" };
        assert_eq!((&seen["state"], &seen["reason"]), (&json!(state), &json!(reason)), "{id}");
        for what in ["due", "channel", "live"] {
            assert_eq!(seen[what], reason.is_none(), "{id} {what}");
        }
    }
    assert_eq!(in_order["USER#dave PROFILE"][0]["S"], "deactivated");
    for (name, expected) in &in_order {
        assert_eq!(shuffled.get(name), Some(expected), "{name}, seed {SEED}");
    }
    assert_eq!(shuffled.len(), in_order.len(), "seed {SEED}");
}
