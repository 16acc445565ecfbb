//! Runs the command against a table with settled and other calls.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use local::{Backends, Options, REGION, Stack, StreamChoice};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z.
const BASE_MILLIS: i64 = 1_767_225_600_000;

async fn backends() -> Backends {
    let options = Options { stream: StreamChoice::Unconfigured, ..Options::default() };
    Stack::start_backends(options).await.unwrap()
}

async fn request(backends: &Backends, operation: &str, body: Value) -> Value {
    let mut body = body;
    body["TableName"] = json!(backends.dynamo().table_name());
    local::dynamo::call(backends.dynamo().url(), operation, &body).await.unwrap()
}

fn key(id: &str) -> Value {
    json!({"pk": {"S": format!("CALL#{id}")}, "sk": {"S": "CALL"}})
}

/// Stores a call that was settled these seconds after [`BASE_MILLIS`].
async fn put_call(backends: &Backends, id: &str, settled_after: Option<i64>) {
    let mut item = key(id);
    if let Some(seconds) = settled_after {
        let settled_at = (BASE_MILLIS + seconds * 1_000).to_string();
        item["settlement"] = json!({"M": {"settledAt": {"N": settled_at}}});
    }
    request(backends, "PutItem", json!({"Item": item})).await;
}

/// The attribute that the command increments, or `null`.
async fn reemits(backends: &Backends, id: &str) -> Value {
    request(backends, "GetItem", json!({"Key": key(id)})).await["Item"]["reemits"]["N"].clone()
}

/// Runs the command. Returns its output, or that of its error.
async fn run(backends: &Backends, arguments: &str) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reemit"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        .env("TABLE_NAME", backends.dynamo().table_name())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("DYNAMODB_ENDPOINT", backends.dynamo().url());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn only_settled_calls_since_the_time_are_changed() {
    let backends = backends().await;
    put_call(&backends, "old", Some(-1)).await;
    put_call(&backends, "first", Some(0)).await;
    put_call(&backends, "later", Some(60)).await;
    put_call(&backends, "unsettled", None).await;
    let since = "--since 2026-01-01T00:00:00Z";
    let planned = run(&backends, &format!("{since} --dry-run")).await.unwrap();
    assert_eq!(
        planned,
        "2 calls were settled since 2026-01-01T00:00:00.000Z; nothing was written\n"
    );
    assert_eq!(reemits(&backends, "first").await, Value::Null);
    let done = run(&backends, since).await.unwrap();
    assert_eq!(
        done,
        "requested the events of 2 calls that were settled since 2026-01-01T00:00:00.000Z\n"
    );
    let _ = run(&backends, since).await.unwrap();
    for (id, expected) in [
        ("old", Value::Null),
        ("first", json!("2")),
        ("later", json!("2")),
        ("unsettled", Value::Null),
    ] {
        assert_eq!(reemits(&backends, id).await, expected, "{id}");
    }
    backends.stop().await;
}

#[tokio::test]
async fn missing_table_is_an_error() {
    let backends = backends().await;
    let error = run(&backends, "--since 2026-01-01T00:00:00Z --table none").await.unwrap_err();
    assert!(error.starts_with("reemit: the table rejected the request"), "{error}");
    let error = run(&backends, "--since never").await.unwrap_err();
    assert!(error.starts_with("reemit: --since must be a time in RFC 3339"), "{error}");
    backends.stop().await;
}
