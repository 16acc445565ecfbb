//! The log as `CloudWatch` reads it: one line a request, which says who, what and how it went, and
//! holds the metrics.

use std::collections::BTreeSet;

use e2e::App;
use serde_json::{Value, json};
use stream_emulator::{Fault, Operation, Rule};

/// The lines that hold metrics, of those that were printed.
fn lines(output: &str) -> Vec<Value> {
    let lines = output.lines().map(|line| &line[line.find('{').unwrap_or(line.len())..]);
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("_aws").is_some()).collect()
}

/// The names of the metrics that a line counts by this dimension.
fn counted(line: &Value, by: &Value) -> BTreeSet<String> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    let found = directives.iter().find(|it| it["Dimensions"] == *by).unwrap();
    let names = found["Metrics"].as_array().unwrap().iter().map(|it| it["Name"].as_str().unwrap());
    names.filter(|name| line.get(*name).is_some()).map(str::to_owned).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn every_request_leaves_one_line_whatever_the_level() {
    let app = App::with_env([("LOG_LEVEL", "error"), ("METRICS_NAMESPACE", "Ours/dev")]).await;
    for user in ["alice", "alice", "bob"] {
        let _ = app.post("/token", user, json!({})).await.good();
    }
    app.stream()
        .script(Rule::on(Operation::UpdateUsers, Fault::TooManyRequests { retry_after: None }));
    let refused = app.post("/token", "carol", json!({})).await;
    assert_eq!(refused.outcome(), (503, "stream_busy"));
    let nobody = app.send(http::Method::POST, "/token", &[], "{}").await;
    assert_eq!(nobody.status, 401);
    let lines = lines(&app.stop().await);
    let said = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(said("code"), ["ok", "ok", "ok", "stream_busy", "unauthenticated"]);
    assert_eq!(said("level"), ["INFO", "INFO", "INFO", "ERROR", "INFO"]);
    assert_eq!(said("status"), [200, 200, 200, 503, 401]);
    for line in &lines {
        assert_eq!(line["function"], "token");
        assert_eq!(line["route"], "POST /api/stream/token");
        assert_eq!(line["message"], "answered");
        assert!(line["requestId"].as_str().is_some_and(|id| !id.is_empty()));
        assert!(line["millis"].is_u64());
        assert_eq!((&line["Function"], &line["Code"]), (&json!("token"), &line["code"]));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Ours/dev");
        assert_eq!(counted(line, &json!([["Code"]])), names(&["Answers"]));
    }
    let ids: BTreeSet<_> = lines.iter().map(|line| line["requestId"].to_string()).collect();
    assert_eq!(ids.len(), lines.len(), "no id stands twice");
    // Users have tags and no names.
    let user = said("user");
    assert_eq!(user[0], user[1]);
    assert_ne!(user[0], user[2]);
    assert!(user[0].as_str().is_some_and(|tag| tag.len() == 16));
    assert_eq!(user[4], Value::Null);
    // A process is cold once; Stream is asked for who is new.
    let by_function = json!([["Function"]]);
    let counted: Vec<_> = lines.iter().map(|line| counted(line, &by_function)).collect();
    assert_eq!(counted[0], names(&["Answers", "ColdStarts", "StreamLatency"]));
    assert_eq!(counted[1], names(&["Answers"]));
    assert_eq!(counted[2], names(&["Answers", "StreamLatency"]));
    let busy = names(&["Answers", "StreamLatency", "StreamRateLimited"]);
    assert!(counted[3].is_superset(&busy), "{:?}", counted[3]);
}

#[tokio::test]
async fn a_forged_webhook_is_counted() {
    let app = App::start().await;
    let forged = app.deliver_raw(b"{}", &[("x-signature", &"0".repeat(64))]).await;
    assert_eq!(forged.status, 401);
    let lines = lines(&app.stop().await);
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["function"], &lines[0]["Code"]),
        (&json!("webhook"), &json!("bad_signature"))
    );
}

#[tokio::test]
async fn a_sweep_tells_of_the_whole_deployment() {
    let app = App::start().await;
    app.known(&["alice", "bob"]).await;
    app.calls(&["c1", "c2"]).await;
    app.stream().script(Rule::on(Operation::DeleteUsers, Fault::Status(503)));
    let deleting = app.delete("/user/bob", "bob").await;
    assert_eq!(deleting.status, 202);
    let swept = app.sweep().await;
    assert_eq!(swept["open"], 2);
    let lines = lines(&app.stop().await);
    let sweep = lines.iter().find(|line| line["function"] == "sweeper").unwrap();
    assert_eq!((&sweep["message"], &sweep["code"]), (&json!("done"), &json!("ok")));
    assert_eq!(
        counted(sweep, &json!([[]])),
        names(&["Sweeps", "OpenCalls", "OverdueCalls", "OldestDueSeconds", "ErasuresPending"])
    );
    assert_eq!((&sweep["Sweeps"], &sweep["OpenCalls"]), (&json!(1), &json!(2)));
    assert_eq!(sweep["ErasuresPending"], 1);
    let summary: Value = serde_json::from_str(sweep["summary"].as_str().unwrap()).unwrap();
    assert_eq!(summary, swept);
}

#[tokio::test]
async fn a_sweep_that_fails_does_not_count() {
    let app = App::start().await;
    let answer = app.stack().invoke("sweeper", json!({"task": "sleep"})).await;
    assert_eq!(answer.ok(), Some(json!({"error": true, "code": "invalid_json"})));
    let lines = lines(&app.stop().await);
    assert_eq!((&lines[0]["message"], &lines[0]["level"]), (&json!("not done"), &json!("ERROR")));
    assert_eq!(counted(&lines[0], &json!([[]])), names(&[]));
}
