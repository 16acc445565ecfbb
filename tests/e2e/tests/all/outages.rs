//! Outages, and the metrics that the functions write meanwhile.
//!
//! Each test causes an outage, or a normal state that resembles it. It appends the functions' lines
//! to the file of `OUTAGES`, with the alarm and whether the alarm must fire. Then
//! `tests/template/outages.py` evaluates the alarm of the template on these lines. So an
//! alarm on a metric that no function writes fails.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use e2e::{TestApp, sample_event};
use http::Method;
use local::{Options, Queue, SecretSource, dynamo};
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

const CLIENT_PERIOD: Duration = Duration::from_mins(5);
const HOUR: Duration = Duration::from_hours(1);

/// The state of an alarm, and the situation that causes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Fires,
    Quiet,
}

/// The beginning of an outage, from which the periods of its alarms count.
pub(crate) struct Outage {
    start: i64,
    aws_metrics: Vec<Value>,
}

impl Outage {
    pub(crate) fn start(app: &TestApp) -> Self {
        Self { start: app.now_millis(), aws_metrics: Vec::new() }
    }

    /// Adds a value of a metric that AWS writes.
    fn add_aws_metric(
        &mut self,
        app: &TestApp,
        metric: [&str; 2],
        dimension: [&str; 2],
        value: usize,
    ) {
        let [namespace, name] = metric;
        let [dimension, resource] = dimension;
        self.aws_metrics.push(json!({
            "at": app.now_millis(), "namespace": namespace, "name": name,
            "dimensions": {dimension: resource}, "value": value,
        }));
    }

    /// Stops the app, and records its metrics for the alarms.
    pub(crate) async fn record(self, app: TestApp, situation: &str, alarms: &[(&str, Expected)]) {
        let output = app.stop().await;
        let lines: Vec<_> = metric_lines(&output)
            .into_iter()
            .filter(|line| line["_aws"]["Timestamp"].as_i64().is_some_and(|at| at >= self.start))
            .collect();
        let Some(path) = std::env::var_os("OUTAGES") else { return };
        let record = |(alarm, expected): &(&str, Expected)| {
            let record = json!({
                "alarm": alarm, "situation": situation, "fires": *expected == Expected::Fires,
                "start": self.start, "lines": lines, "awsMetrics": self.aws_metrics,
            });
            format!("{record}\n")
        };
        let records: Vec<_> = alarms.iter().map(record).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(records.concat().as_bytes()).unwrap();
    }
}

/// The printed lines with metrics.
pub(crate) fn metric_lines(output: &str) -> Vec<Value> {
    let lines = output.lines().map(|line| &line[line.find('{').unwrap_or(line.len())..]);
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

async fn app_with(options: Options) -> TestApp {
    TestApp::with_options(options).await
}

/// Sends token requests with a token in two periods of five minutes, and some without one.
async fn request_tokens(app: &TestApp, token: &str, count: usize, without_token: usize) {
    let authorization = format!("Bearer {token}");
    for _ in 0..2 {
        for _ in 0..count {
            let headers = [("authorization", authorization.as_str())];
            let _ = app.post_with_headers("/token", &headers, "{}").await;
        }
        for _ in 0..without_token {
            assert_eq!(app.send(Method::POST, "/token", &[], "{}").await.status, 401);
        }
        app.advance_time(CLIENT_PERIOD).await;
    }
}

#[tokio::test]
async fn wrong_audience_refuses_all_callers() {
    let app = TestApp::with_env([("JWT_AUDIENCE", "another-api")]).await;
    let outage = Outage::start(&app);
    let claims = json!({"sub": "alice", "aud": "apps", "exp": 4_102_444_800_i64});
    request_tokens(&app, &app.stack().sign_token(claims), 20, 0).await;
    outage.record(app, "a wrong audience", &[("RefusedCallersAlarm", Expected::Fires)]).await;

    let app = TestApp::start().await;
    let normal = Outage::start(&app);
    request_tokens(&app, &app.stack().token_for("alice"), 25, 20).await;
    let alarms = [("RefusedCallersAlarm", Expected::Quiet), ("ServerErrorsAlarm", Expected::Quiet)];
    normal.record(app, "callers beside a scanner", &alarms).await;
}

/// A call in each of two hours, until it is settled.
async fn settle_calls(app: &TestApp, drains: bool) {
    app.provision_users(&["alice", "bob"]).await;
    for id in ["c1", "c2"] {
        let create = json!({"receiverId": "bob", "callId": id});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        let cid = format!("default:{id}");
        let sessions = ["alice", "bob"].map(|user| app.stream().join(&cid, user).unwrap());
        app.advance_time(Duration::from_secs(30)).await;
        for session in sessions {
            app.stream().leave(&cid, &session);
        }
        app.stream().webhooks_idle().await;
        let sweeps = app.advance_minutes(20).await;
        let settled = sweeps.iter().filter_map(|sweep| sweep["settled"].as_u64()).sum::<u64>();
        assert_eq!(settled, 1, "{sweeps:?}");
        if drains {
            app.drain_streams().await;
        }
        app.advance_time(HOUR).await;
    }
}

#[tokio::test]
async fn calls_are_settled_without_webhooks_and_events() {
    let app = app_with(Options { streams: true, ..Options::default() }).await;
    let outage = Outage::start(&app);
    settle_calls(&app, false).await;
    let alarms =
        [("SilentWebhookAlarm", Expected::Fires), ("EventPipeStoppedAlarm", Expected::Fires)];
    outage.record(app, "a deleted hook, and a stopped pipe", &alarms).await;

    let app = app_with(Options { streams: true, webhooks: true, ..Options::default() }).await;
    let normal = Outage::start(&app);
    settle_calls(&app, true).await;
    let alarms =
        [("SilentWebhookAlarm", Expected::Quiet), ("EventPipeStoppedAlarm", Expected::Quiet)];
    normal.record(app, "settled calls", &alarms).await;
}

#[tokio::test]
async fn reconciliation_fails_for_hours() {
    for (failures, expected) in [(4, Expected::Fires), (3, Expected::Quiet)] {
        let app = TestApp::start().await;
        let outage = Outage::start(&app);
        for hour in 0..4 {
            if hour < failures {
                let fault = FaultRule::for_operation(Operation::QueryChannels, Fault::Status(403));
                app.stream().add_fault(fault.once());
            }
            assert_eq!(app.reconcile().await["failed"], u64::from(hour < failures));
            app.advance_time(HOUR).await;
        }
        let situation = format!("{failures} failed reconciliations");
        let alarms = [("MissingReconciliationsAlarm", expected), ("OrphansAlarm", Expected::Quiet)];
        outage.record(app, &situation, &alarms).await;
    }
}

#[tokio::test]
async fn lost_item_leaves_an_orphan() {
    let app = TestApp::start().await;
    app.create_calls(&["lost"]).await;
    app.delete_item("CALL#lost", "CALL").await;
    app.advance_time(Duration::from_mins(11)).await;
    let outage = Outage::start(&app);
    let _ = app.reconcile().await;
    outage.record(app, "a lost item of a call", &[("OrphansAlarm", Expected::Fires)]).await;
}

/// Invokes `call-events` with changes of this age, as a pipe that is behind the stream does.
async fn process_changes(app: &TestApp, age: Duration) {
    let created_at = app.now_millis() / 1_000 - i64::try_from(age.as_secs()).unwrap();
    let mut records = sample_event("call-events");
    for record in records.as_array_mut().unwrap() {
        record["dynamodb"]["ApproximateCreationDateTime"] = json!(created_at);
    }
    let events = app.stack().invoke("call-events", records).await.unwrap();
    assert!(!events.as_array().unwrap().is_empty());
}

#[tokio::test]
async fn pipe_is_late() {
    for (minutes, expected) in [(16, Expected::Fires), (14, Expected::Quiet)] {
        let app = TestApp::start().await;
        let outage = Outage::start(&app);
        for _ in 0..2 {
            process_changes(&app, Duration::from_mins(minutes)).await;
            app.advance_time(CLIENT_PERIOD).await;
        }
        let situation = format!("a pipe that is {minutes} minutes behind the stream");
        outage.record(app, &situation, &[("EventDelayAlarm", expected)]).await;
    }
}

#[tokio::test]
async fn table_outage_stops_the_sweeps() {
    for (failures, expected) in [(5, Expected::Fires), (4, Expected::Quiet)] {
        let app = TestApp::start().await;
        let outage = Outage::start(&app);
        for minute in 0..5 {
            if minute < failures {
                let fault = dynamo::Rule::always(dynamo::Fault::ConnectionClosed);
                app.stack().dynamo().inject_fault(fault);
            } else {
                app.stack().dynamo().clear_faults();
            }
            let _ = app.sweep().await;
            app.advance_time(Duration::from_mins(1)).await;
        }
        let situation = format!("{failures} sweeps without the table");
        outage.record(app, &situation, &[("MissingSweepsAlarm", expected)]).await;
    }
}

#[tokio::test]
async fn call_that_cannot_be_rescheduled_is_overdue() {
    let app = TestApp::with_call("c1").await;
    // Past the first check and its time of five minutes.
    app.advance_time(Duration::from_mins(8)).await;
    let outage = Outage::start(&app);
    for operation in ["UpdateItem", "PutItem", "TransactWriteItems", "BatchWriteItem"] {
        let rule = dynamo::Rule {
            times: u32::MAX,
            ..dynamo::Rule::next(operation, dynamo::Fault::InternalError)
        };
        app.stack().dynamo().inject_fault(rule);
    }
    for _ in 0..3 {
        let _ = app.sweep().await;
        app.advance_time(Duration::from_mins(1)).await;
    }
    outage.record(app, "a call that stays due", &[("OverdueCallsAlarm", Expected::Fires)]).await;

    let app = TestApp::with_call("c1").await;
    app.advance_time(Duration::from_mins(8)).await;
    let normal = Outage::start(&app);
    let _ = app.advance_minutes(3).await;
    normal.record(app, "sweeps after a pause", &[("OverdueCallsAlarm", Expected::Quiet)]).await;
}

#[tokio::test]
async fn erasure_stalls_at_stream() {
    for (failures, expected) in [(24, Expected::Fires), (12, Expected::Quiet)] {
        let app = TestApp::start().await;
        app.provision_users(&["bob"]).await;
        let outage = Outage::start(&app);
        app.stream()
            .add_fault(FaultRule::for_operation(Operation::DeleteUsers, Fault::Status(503)));
        assert_eq!(app.delete("/user/bob", "bob").await.status, 202);
        for hour in 0..24 {
            if hour == failures {
                app.stream().clear_faults();
            }
            let _ = app.sweep().await;
            app.advance_time(HOUR).await;
        }
        let situation = format!("an erasure that fails for {failures} hours");
        outage.record(app, &situation, &[("StalledErasuresAlarm", expected)]).await;
    }
}

#[tokio::test]
async fn forged_webhooks_are_rejected() {
    for (count, expected) in [(11, Expected::Fires), (10, Expected::Quiet)] {
        let app = TestApp::start().await;
        let outage = Outage::start(&app);
        for _ in 0..count {
            let forged = app.send_raw_webhook(b"{}", &[("x-signature", &"0".repeat(64))]).await;
            assert_eq!(forged.status, 401);
        }
        let situation = format!("{count} forged webhooks");
        outage.record(app, &situation, &[("ForgedWebhooksAlarm", expected)]).await;
    }
}

#[tokio::test]
async fn stream_rejects_the_credentials() {
    let app = TestApp::start().await;
    let outage = Outage::start(&app);
    app.stream().add_fault(FaultRule::for_any_operation(Fault::Status(401)));
    let rejected = app.post("/token", "alice", json!({})).await;
    assert_eq!(rejected.error_code(), "stream_rejected_credentials");
    outage.record(app, "a changed secret", &[("StreamCredentialsAlarm", Expected::Fires)]).await;
}

#[tokio::test]
async fn secrets_manager_is_unavailable() {
    let stored = || Options { secrets: SecretSource::SecretsManager, ..Options::default() };
    let app = app_with(stored()).await;
    app.stack().secrets().unwrap().set_unavailable(true);
    let outage = Outage::start(&app);
    let rejected = app.post("/token", "alice", json!({})).await;
    assert_eq!(rejected.outcome(), (503, "secrets_unavailable"));
    let alarms = [("SecretsUnavailableAlarm", Expected::Fires)];
    outage.record(app, "secrets that cannot be fetched", &alarms).await;

    let app = app_with(stored()).await;
    app.provision_users(&["alice"]).await;
    app.stack().secrets().unwrap().set_unavailable(true);
    let outage = Outage::start(&app);
    // The process has its secrets.
    app.provision_users(&["alice"]).await;
    let alarms =
        [("SecretsUnavailableAlarm", Expected::Quiet), ("StreamCredentialsAlarm", Expected::Quiet)];
    outage.record(app, "secrets that cannot be fetched again", &alarms).await;
}

/// Requests the tokens of new users, whose profiles must be pushed to Stream.
async fn request_tokens_of_new_users(app: &TestApp, count: usize, fault: Fault, code: &str) {
    app.stream().clear_faults();
    app.stream().add_fault(FaultRule::for_operation(Operation::UpdateUsers, fault));
    for number in 0..count {
        let rejected = app.post("/token", &format!("{code}-{number}"), json!({})).await;
        assert_eq!(rejected.error_code(), code);
    }
}

#[tokio::test]
async fn stream_is_unavailable() {
    for (count, expected) in [(6, Expected::Fires), (5, Expected::Quiet)] {
        let app = TestApp::start().await;
        let outage = Outage::start(&app);
        request_tokens_of_new_users(&app, 5, Fault::NonJson(404), "stream_bad_answer").await;
        request_tokens_of_new_users(&app, count, Fault::Status(503), "stream_unavailable").await;
        let alarms = [("StreamUnavailableAlarm", expected), ("ServerErrorsAlarm", Expected::Fires)];
        outage.record(app, &format!("{} failed requests", count + 5), &alarms).await;
    }
}

#[tokio::test]
async fn limits_of_stream_are_exhausted() {
    for (count, expected) in [(11, Expected::Fires), (10, Expected::Quiet)] {
        let app = TestApp::start().await;
        let outage = Outage::start(&app);
        app.provision_users(&["alice", "bob"]).await;
        let fault = Fault::TooManyRequests { retry_after: None };
        app.stream().add_fault(FaultRule::for_any_operation(fault));
        for _ in 0..count {
            let create = json!({"receiverId": "bob", "callId": "c1"});
            let rejected = app.post("/call/create", "alice", create).await;
            assert_eq!(rejected.outcome(), (503, "stream_busy"));
        }
        let situation = format!("{count} requests over Stream's limit");
        outage.record(app, &situation, &[("StreamLimitsAlarm", expected)]).await;
    }
}

#[tokio::test]
async fn invalid_item_is_an_internal_error() {
    let app = TestApp::start().await;
    app.provision_users(&["alice"]).await;
    let outage = Outage::start(&app);
    app.update_item("USER#alice", "PROFILE", "SET version = :it", json!({":it": {"BOOL": true}}))
        .await;
    let rejected = app.post("/token", "alice", json!({})).await;
    assert_eq!(rejected.outcome(), (500, "internal"));
    outage.record(app, "an invalid item", &[("InternalErrorsAlarm", Expected::Fires)]).await;

    let app = TestApp::start().await;
    let outage = Outage::start(&app);
    app.stack().dynamo().inject_fault(dynamo::Rule::always(dynamo::Fault::ConnectionClosed));
    for _ in 0..6 {
        let rejected = app.post("/token", "alice", json!({})).await;
        assert_eq!(rejected.outcome(), (503, "store_unavailable"));
    }
    let alarms = [("TableErrorsAlarm", Expected::Fires), ("InternalErrorsAlarm", Expected::Quiet)];
    outage.record(app, "a table that does not respond", &alarms).await;
}

#[tokio::test]
async fn few_failures_of_the_table_raise_no_alarm() {
    let app = TestApp::start().await;
    let outage = Outage::start(&app);
    app.stack().dynamo().inject_fault(dynamo::Rule::always(dynamo::Fault::ConnectionClosed));
    for _ in 0..4 {
        let rejected = app.post("/token", "alice", json!({})).await;
        assert_eq!(rejected.outcome(), (503, "store_unavailable"));
    }
    let alarms = [("TableErrorsAlarm", Expected::Quiet), ("ServerErrorsAlarm", Expected::Quiet)];
    outage.record(app, "four failures of the table", &alarms).await;
}

#[tokio::test]
async fn function_with_an_invalid_variable_does_not_start() {
    let app = TestApp::with_env([("JWT_SECRET", "short")]).await;
    let mut outage = Outage::start(&app);
    for _ in 0..3 {
        // API Gateway's response to a function error.
        assert_eq!(app.get("/config", "alice").await.status, 500);
        let metric = ["AWS/Lambda", "Errors"];
        outage.add_aws_metric(&app, metric, ["FunctionName", "ConfigFunction"], 1);
    }
    let alarms = [
        ("UserFunctionErrorsAlarm", Expected::Fires),
        ("CallFunctionErrorsAlarm", Expected::Quiet),
    ];
    outage.record(app, "an invalid variable", &alarms).await;
}

#[tokio::test]
async fn discarded_records_are_dead_letters() {
    let app = app_with(Options { streams: true, ..Options::default() }).await;
    app.create_calls(&["c1"]).await;
    let alarms = [
        (Queue::HistoryDeadLetters, "HistoryDeadLettersAlarm"),
        (Queue::EventDeadLetters, "EventDeadLettersAlarm"),
    ];
    // Older than the 12 hours of both consumers.
    app.advance_time(13 * HOUR).await;
    let mut outage = Outage::start(&app);
    app.drain_streams().await;
    for (queue, _) in alarms {
        let depth = app.stack().queue_depth(queue);
        assert!(depth > 0, "{queue:?}");
        let metric = ["AWS/SQS", "ApproximateNumberOfMessagesVisible"];
        outage.add_aws_metric(&app, metric, ["QueueName", queue.logical_id()], depth);
    }
    let alarms = alarms.map(|(_, alarm)| (alarm, Expected::Fires));
    outage.record(app, "records that are too old", &alarms).await;
}
