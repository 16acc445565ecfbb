//! Events: from the table's change stream over the pipe to the bus.

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use e2e::{Biller, TestApp, event_types, send_raw};
use local::{
    Filters, Options, Queue, StreamConsumer, StreamFault, StreamFaultKind, StreamReader,
    stream_filters, workspace_root,
};
use serde_json::{Value, json};
use shared::config::Env;
use shared::events::{EventSource, derive};
use shared::table_stream::StreamRecord;

use crate::settlement::{talk, true_talk_millis};

async fn start(webhooks: bool) -> TestApp {
    let app =
        TestApp::with_options(Options { webhooks, streams: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    app
}

/// A whole life of the call, until it is closed. Returns the talk time in milliseconds, by Stream.
async fn live(app: &TestApp) -> i64 {
    talk(app).await;
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    app.advance_minutes(13).await;
    true_talk_millis(app)
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn ids(events: &[Value]) -> BTreeSet<&str> {
    events.iter().map(|event| event["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn life_of_a_call_has_each_event_once() {
    let app = start(true).await;
    assert_eq!(types(&app.events().await), ["call.created"]);
    let batch = json!({"samples": [
        {"timestamp": app.now_millis(), "roundTripTime": 0.1, "jitter": 0.005, "fractionLost": 0.0},
    ]});
    let _ = app.post("/call/quality/c1", "bob", batch).await.expect_success();
    let talk_millis = live(&app).await;
    let events = app.events().await;
    let expected = ["call.created", "call.answered", "call.ended", "call.settled", "call.quality"];
    assert_eq!(types(&events), expected);
    let expected_ids = expected.map(|kind| format!("c1.{kind}"));
    assert_eq!(ids(&events), expected_ids.iter().map(String::as_str).collect());
    let settled = &events[3]["data"];
    assert_eq!(settled["talkMillis"], talk_millis);
    assert_eq!(settled["participants"][1]["intervals"].as_array().unwrap().len(), 2);
    let quality = app.get("/call/quality/c1", "bob").await.expect_success();
    let data = &events[4]["data"];
    assert_eq!(
        (&data["mos"], &data["label"]),
        (&quality.body["quality"]["score"], &quality.body["quality"]["quality"])
    );
    assert_eq!(app.stack().queue_depth(Queue::EventDeadLetters), 0);
    assert_eq!(app.stack().queue_depth(Queue::HistoryDeadLetters), 0);
}

#[tokio::test]
async fn settled_event_comes_within_fifteen_minutes_without_webhooks() {
    let app = start(false).await;
    let left_at = talk(&app).await;
    let talk_millis = true_talk_millis(&app);
    let mut settled = None;
    for _ in 0..15 {
        app.advance_minutes(1).await;
        let events = app.events().await;
        settled = events.into_iter().find(|event| event["type"] == "call.settled");
        if settled.is_some() {
            break;
        }
    }
    let settled = settled.unwrap();
    assert!(app.now_millis() <= left_at + 15 * 60_000);
    let data = &settled["data"];
    assert_eq!(
        (&data["talkMillis"], &data["settledFrom"], &data["answered"]),
        (&json!(talk_millis), &json!("stream"), &json!(true))
    );
    let time: jiff::Timestamp = settled["time"].as_str().unwrap().parse().unwrap();
    assert!(time.as_millisecond() <= left_at + 15 * 60_000);
    app.advance_minutes(10).await;
    let count = app.events().await.iter().filter(|event| event["type"] == "call.settled").count();
    assert_eq!(count, 1);
}

/// Puts an item with the key of a call that passes the filters, and is not a call.
async fn put_poison(app: &TestApp) {
    app.put_item(json!({"pk": {"S": "CALL#poison"}, "sk": {"S": "CALL"}})).await;
    let values = json!({":s": {"M": {"settledAt": {"N": "1"}}}});
    app.update_item("CALL#poison", "CALL", "SET settlement = :s", values).await;
}

#[tokio::test]
async fn poison_record_goes_to_the_dead_letters_and_blocks_no_other() {
    let app = start(true).await;
    app.create_calls(&["c2"]).await;
    put_poison(&app).await;
    app.create_calls(&["c3"]).await;
    let events = app.events().await;
    let expected = ["c1.call.created", "c2.call.created", "c3.call.created"];
    assert_eq!(ids(&events), expected.into());
    let page = app.get("/call", "bob").await.expect_success();
    assert_eq!(page.body["calls"].as_array().unwrap().len(), 3);
    for queue in [Queue::EventDeadLetters, Queue::HistoryDeadLetters] {
        // The alarm's metric is the number of visible messages.
        assert_eq!(app.stack().queue_depth(queue), 1, "{queue:?}");
        let letter = &app.stack().dead_letters(queue)[0];
        let batch = &letter["DDBStreamBatchInfo"];
        assert_eq!(batch["batchSize"], 1, "{letter}");
        assert_eq!(batch["startSequenceNumber"], batch["endSequenceNumber"], "{letter}");
    }
}

#[tokio::test]
async fn failing_consumers_deliver_every_event() {
    let (pipe, mapping) = (StreamConsumer::Pipe, StreamConsumer::Mapping);
    for (kind, consumers) in [
        (StreamFaultKind::FailInvocations(2), &[pipe, mapping][..]),
        (StreamFaultKind::RepeatBatch, &[pipe, mapping]),
        (StreamFaultKind::FailEntry(0), &[pipe]),
    ] {
        let app = start(true).await;
        for &consumer in consumers {
            app.stack().inject_stream_fault(StreamFault { consumer, kind: kind.clone() });
        }
        let events = app.events().await;
        assert!(!app.stack().has_pending_stream_faults(), "{kind:?}");
        assert_eq!(ids(&events), ["c1.call.created"].into(), "{kind:?}");
        let page = app.get("/call", "bob").await.expect_success();
        assert_eq!(page.body["calls"].as_array().unwrap().len(), 1, "{kind:?}");
        // A repeat is the same event.
        let bodies: BTreeSet<String> = events.iter().map(ToString::to_string).collect();
        assert_eq!(bodies.len(), 1, "{kind:?}");
    }
}

/// Without webhooks, one record has the answer and the settlement. The bus rejects the second event.
#[tokio::test]
async fn rejected_event_of_a_record_is_sent_again() {
    let app = start(false).await;
    talk(&app).await;
    let end = json!({"callId": "c1"});
    let _ = app.post("/call/end", "alice", end).await.expect_success();
    app.drain_streams().await;
    let kind = StreamFaultKind::FailEntry(1);
    app.stack().inject_stream_fault(StreamFault { consumer: StreamConsumer::Pipe, kind });
    app.advance_minutes(13).await;
    let events = app.events().await;
    assert!(!app.stack().has_pending_stream_faults());
    let expected = ["call.created", "call.ended", "call.answered", "call.answered", "call.settled"];
    assert_eq!(types(&events), expected);
    assert_eq!(events[2], events[3]);
}

#[tokio::test]
async fn replays_and_requested_events_bill_nobody_twice() {
    let app = start(true).await;
    let rule = app.stack().add_rule(&json!({"detail-type": ["call.settled"]})).unwrap();
    app.stack().inject_stream_fault(StreamFault {
        consumer: StreamConsumer::Pipe,
        kind: StreamFaultKind::RepeatBatch,
    });
    let talk_millis = u64::try_from(live(&app).await).unwrap();
    let first = app.events().await;
    let expected = BTreeMap::from([("c1.call.settled".to_owned(), talk_millis)]);
    let bill = |messages: &[Value]| {
        let mut biller = Biller::default();
        for message in messages {
            biller.bill(&message.to_string()).unwrap();
        }
        biller.0.into_iter().collect::<BTreeMap<_, _>>()
    };
    assert_eq!(bill(&app.stack().rule_queue(rule)), expected);
    assert!(app.stack().replay(UNIX_EPOCH, app.stack().now()) > 0);
    app.update_item("CALL#c1", "CALL", "ADD reemits :one", json!({":one": {"N": "1"}})).await;
    let events = app.events().await;
    assert_eq!(ids(&events), ids(&first));
    let settled: Vec<&Value> =
        events.iter().filter(|event| event["type"] == "call.settled").collect();
    assert!(settled.len() >= 3, "{}", settled.len());
    assert!(settled.iter().all(|event| *event == settled[0]));
    let messages = app.stack().rule_queue(rule);
    assert_eq!((messages.len(), bill(&messages)), (settled.len(), expected));
}

#[tokio::test]
async fn without_call_events_the_history_remains() {
    let options =
        Options { webhooks: true, streams: true, call_events: false, ..Options::default() };
    let app = TestApp::with_options(options).await;
    app.create_calls(&["c1"]).await;
    assert_eq!(app.events().await, [Value::Null; 0]);
    let page = app.get("/call", "bob").await.expect_success();
    assert_eq!(page.body["calls"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn deletion_of_a_user_is_an_event() {
    let app = start(true).await;
    let _ = app.delete("/user/alice", "alice").await.expect_success();
    app.advance_minutes(1).await;
    let events = app.events().await;
    let deletions: Vec<_> = events.iter().filter(|event| event["type"] == "user.deleted").collect();
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0]["id"], "alice.user.deleted");
    assert_eq!(deletions[0]["data"]["userId"], "alice");
}

#[tokio::test]
async fn events_name_users_by_id_only() {
    let app =
        TestApp::with_options(Options { webhooks: true, streams: true, ..Options::default() })
            .await;
    app.provision_users(&["alice", "bob"]).await;
    let profile = json!({"userData": {"name": "Alice Liddell", "custom": {"rabbit": "white"}}});
    let _ = app.post("/user/upsert", "alice", profile).await.expect_success();
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    talk(&app).await;
    let end = json!({"callId": "c1", "reason": "the card of Alice was declined"});
    let _ = app.post("/call/end", "alice", end).await.expect_success();
    app.advance_minutes(13).await;
    let _ = app.delete("/user/alice", "alice").await.expect_success();
    let events = app.events().await;
    assert_eq!(types(&events).len(), 5);
    let text = Value::from(events).to_string();
    for hidden in ["Liddell", "rabbit", "card", "eyJ"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    assert!(text.contains(r#""endReason":"custom""#), "{text}");
}

#[tokio::test]
async fn events_are_shown_by_the_local_stack() {
    let app = start(true).await;
    let sent = app.events().await;
    let get = async |query: &str| -> Value {
        let request =
            format!("GET /_local/events{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let response = send_raw(app.stack().api_url(), request.as_bytes()).await.unwrap();
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    };
    let shown = get("").await;
    assert_eq!(shown["events"][0]["detail"], sent[0]);
    assert_eq!(shown["deadLetters"]["EventDeadLetters"], json!([]));
    let id = shown["events"][0]["id"].as_str().unwrap();
    assert_eq!(get(&format!("?after={id}")).await["events"], json!([]));
    assert_eq!(get("?type=call.ended").await["events"], json!([]));
    assert_eq!(get("?type=call.created").await["events"], shown["events"]);
}

/// The template's filter of the pipe, which decides what a change costs, must let all events pass.
#[tokio::test]
async fn filters_pass_each_record_with_events_and_few_others() {
    let app = start(true).await;
    live(&app).await;
    app.update_item("CALL#c1", "CALL", "ADD reemits :one", json!({":one": {"N": "1"}})).await;
    let _ = app.delete("/user/alice", "alice").await.expect_success();
    app.drain_streams().await;
    let filters: Filters = stream_filters(StreamConsumer::Pipe).unwrap().unwrap();
    let source = EventSource::from_env(&Env::default()).unwrap();
    let dynamo = app.stack().dynamo();
    let mut reader = StreamReader::open(dynamo.url(), dynamo.table_name()).await.unwrap();
    let (mut with_events, mut matched, mut total) = (0, 0, 0);
    loop {
        let records = reader.next_records().await.unwrap();
        if records.is_empty() {
            break;
        }
        for record in records {
            let change: StreamRecord = serde_json::from_value(record.event().clone()).unwrap();
            let has_events = !derive(&change.change().unwrap(), &source).is_empty();
            let is_match = filters.matches(record.event());
            assert!(is_match || !has_events, "{}", record.event());
            with_events += usize::from(has_events);
            matched += usize::from(is_match);
            total += 1;
        }
    }
    assert_eq!(with_events, 6, "created, answered, ended, settled, reemitted, deleted");
    assert!(matched <= with_events + 2 && total > 2 * matched, "{matched} of {total}");
}

#[test]
fn each_type_has_a_schema_and_each_example_is_in_the_guide() {
    let expected = [
        "call.answered",
        "call.created",
        "call.ended",
        "call.quality",
        "call.settled",
        "user.deleted",
    ];
    assert_eq!(event_types(), expected);
}

#[test]
fn billing_consumer_of_the_guide_is_the_tested_one() {
    let read = |path: &str| std::fs::read_to_string(workspace_root().join(path)).unwrap();
    let source = read("tests/e2e/src/billing.rs");
    let code = source.split_once("\n\n").unwrap().1.trim_end();
    assert!(code.lines().filter(|line| !line.trim().is_empty()).count() <= 20, "{code}");
    assert!(read("docs/EVENTS.md").contains(&format!("```rust\n{code}\n```")), "{code}");
}
