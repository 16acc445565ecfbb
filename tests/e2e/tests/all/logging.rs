//! The functions' log: one line for each request, with its outcome and its metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::TestApp;
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};

use crate::outages::metric_lines;

/// The names of the metrics that a line reports for these dimensions.
fn metrics_by_dimension(line: &Value, dimensions: &Value) -> BTreeSet<String> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let directive =
        directives.iter().find(|directive| directive["Dimensions"] == *dimensions).unwrap();
    let metrics = directive["Metrics"].as_array().unwrap().iter();
    let names = metrics.map(|metric| metric["Name"].as_str().unwrap());
    names.filter(|name| line.get(*name).is_some()).map(str::to_owned).collect()
}

fn name_set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn every_request_emits_one_line_at_any_log_level() {
    let app = TestApp::with_env([("LOG_LEVEL", "error"), ("METRICS_NAMESPACE", "Ours/dev")]).await;
    for user in ["alice", "alice", "bob"] {
        let _ = app.post("/token", user, json!({})).await.expect_success();
    }
    app.stream().add_fault(FaultRule::for_operation(Operation::UpdateUsers, Fault::Status(503)));
    let rejected = app.post("/token", "carol", json!({})).await;
    assert_eq!(rejected.outcome(), (503, "stream_unavailable"));
    let unauthenticated = app.send(http::Method::POST, "/token", &[], "{}").await;
    assert_eq!(unauthenticated.status, 401);
    let lines = metric_lines(&app.stop().await);
    let values_of = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(values_of("code"), ["ok", "ok", "ok", "stream_unavailable", "unauthenticated"]);
    assert_eq!(values_of("level"), ["INFO", "INFO", "INFO", "ERROR", "INFO"]);
    assert_eq!(values_of("status"), [200, 200, 200, 503, 401]);
    for line in &lines {
        assert_eq!(line["function"], "token");
        assert_eq!(line["route"], "POST /api/stream/token");
        assert_eq!(line["message"], "request completed");
        assert!(line["requestId"].as_str().is_some_and(|id| !id.is_empty()));
        assert!(line["durationMs"].is_u64());
        assert_eq!((&line["Function"], &line["Code"]), (&json!("token"), &line["code"]));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Ours/dev");
        assert_eq!(metrics_by_dimension(line, &json!([["Code"]])), name_set(&["Responses"]));
    }
    let ids: BTreeSet<_> = lines.iter().map(|line| line["requestId"].to_string()).collect();
    assert_eq!(ids.len(), lines.len(), "request ids must be unique");
    // A line has the hash of the user, not the user id.
    let user_hashes = values_of("user");
    assert_eq!(user_hashes[0], user_hashes[1]);
    assert_ne!(user_hashes[0], user_hashes[2]);
    assert!(user_hashes[0].as_str().is_some_and(|tag| tag.len() == 16));
    assert_eq!(user_hashes[4], Value::Null);
    // Only the first request of a process is a cold start. Only a new user causes requests to
    // Stream.
    let by_function = json!([["Function"]]);
    let metrics: Vec<_> =
        lines.iter().map(|line| metrics_by_dimension(line, &by_function)).collect();
    assert_eq!(metrics[0], name_set(&["Responses", "ColdStarts", "StreamLatency"]));
    assert_eq!(metrics[1], name_set(&["Responses"]));
    assert_eq!(metrics[2], name_set(&["Responses", "StreamLatency"]));
    let failed = name_set(&["Responses", "StreamLatency", "StreamFailures"]);
    assert!(metrics[3].is_superset(&failed), "{:?}", metrics[3]);
}

#[tokio::test]
async fn forged_webhook_is_counted() {
    let app = TestApp::start().await;
    let forged = app.send_raw_webhook(b"{}", &[("x-signature", &"0".repeat(64))]).await;
    assert_eq!(forged.status, 401);
    let lines = metric_lines(&app.stop().await);
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["function"], &lines[0]["Code"]),
        (&json!("webhook"), &json!("bad_signature"))
    );
}

#[tokio::test]
async fn reconciliation_emits_its_success_and_the_orphans() {
    let app = TestApp::start().await;
    app.create_calls(&["lost"]).await;
    app.delete_item("CALL#lost", "CALL").await;
    app.advance_time(Duration::from_mins(11)).await;
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::QueryChannels, Fault::Status(403)).once());
    assert_eq!(app.reconcile().await["failed"], 1);
    assert_eq!(app.reconcile().await["failed"], 0);
    assert_eq!(app.reconcile().await["failed"], 0);
    let lines = metric_lines(&app.stop().await);
    let runs: Vec<_> = lines.iter().filter(|line| line["function"] == "sweeper").collect();
    for run in &runs {
        let names = name_set(&["Reconciliations", "OrphansRemoved"]);
        assert_eq!(metrics_by_dimension(run, &json!([[]])), names);
    }
    let values =
        |name: &str| -> Vec<u64> { runs.iter().map(|run| run[name].as_u64().unwrap()).collect() };
    assert_eq!(values("Reconciliations"), [0, 1, 1]);
    // The failed run has ended the call, and the next one has deleted the channel.
    assert_eq!(values("OrphansRemoved"), [1, 1, 0]);
}

#[tokio::test]
async fn sweep_emits_deployment_metrics() {
    let app = TestApp::start().await;
    app.provision_users(&["alice", "bob"]).await;
    app.create_calls(&["c1", "c2"]).await;
    app.stream().add_fault(FaultRule::for_operation(Operation::DeleteUsers, Fault::Status(503)));
    let deleting = app.delete("/user/bob", "bob").await;
    assert_eq!(deleting.status, 202);
    let summary_response = app.sweep().await;
    assert_eq!(summary_response["open"], 2);
    let lines = metric_lines(&app.stop().await);
    let sweep = lines.iter().find(|line| line["function"] == "sweeper").unwrap();
    assert_eq!((&sweep["message"], &sweep["code"]), (&json!("run completed"), &json!("ok")));
    assert_eq!(
        metrics_by_dimension(sweep, &json!([[]])),
        name_set(&[
            "Sweeps",
            "OpenCalls",
            "OverdueCalls",
            "OldestDueSeconds",
            "ErasuresPending",
            "ProfilesQueued",
            "SettledCalls",
            "SettledFromWebhooks",
            "PresenceDifferences",
        ])
    );
    assert_eq!((&sweep["Sweeps"], &sweep["OpenCalls"]), (&json!(1), &json!(2)));
    assert_eq!(sweep["ErasuresPending"], 1);
    let summary: Value = serde_json::from_str(sweep["summary"].as_str().unwrap()).unwrap();
    assert_eq!(summary, summary_response);
}

#[tokio::test]
async fn failed_sweep_emits_no_sweep_metric() {
    let app = TestApp::start().await;
    let response = app.stack().invoke("sweeper", json!({"task": "sleep"})).await;
    assert_eq!(response.ok(), Some(json!({"error": true, "code": "invalid_json"})));
    let lines = metric_lines(&app.stop().await);
    assert_eq!((&lines[0]["message"], &lines[0]["level"]), (&json!("run failed"), &json!("ERROR")));
    assert_eq!(metrics_by_dimension(&lines[0], &json!([[]])), name_set(&[]));
}
