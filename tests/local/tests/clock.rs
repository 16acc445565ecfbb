//! The clock of a stack: a process uses the offset of its start, and is not reused after a change.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed setup must fail the test")]

use std::time::{Duration, SystemTime};

use local::{Options, Stack};
use serde_json::{Value, json};
use stream_emulator::{Fault, FaultRule, Operation};
use tokio::time::sleep;

/// An event for `config`. With `deep`, the function sends requests to Stream.
fn config_event(deep: bool) -> Value {
    let path = local::workspace_root().join("events/config.json");
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    if deep {
        event["rawQueryString"] = json!("deep=true");
        event["queryStringParameters"] = json!({"deep": "true"});
    }
    event
}

/// The running processes, each with the clock offset in its environment.
fn clock_offsets(stack: &Stack) -> Vec<(u32, Option<String>)> {
    let clock_offset = |pid: u32| {
        let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        let mut variables = environment.split('\0');
        variables
            .find_map(|variable| variable.strip_prefix("CLOCK_AHEAD_SECONDS=").map(str::to_owned))
    };
    stack.process_ids().into_iter().map(|pid| (pid, clock_offset(pid))).collect()
}

#[tokio::test]
async fn process_uses_the_clock_offset_of_its_start() {
    let stack = Stack::start(Options::default()).await.unwrap();
    stack.invoke("config", config_event(false)).await.unwrap();
    let before = clock_offsets(&stack);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].1, None);

    stack.advance(Duration::from_mins(90)).await;
    assert!(stack.process_ids().is_empty());
    assert!(stack.now() > SystemTime::now() + Duration::from_mins(89));

    // The new process must accept a session that was issued at the advanced time.
    let mut event = config_event(false);
    event["headers"]["authorization"] = json!(format!("Bearer {}", stack.token_for("alice")));
    let response = stack.invoke("config", event).await.unwrap();
    assert_eq!(response["statusCode"], 200, "{response}");
    let after = clock_offsets(&stack);
    assert_eq!(after.len(), 1);
    assert_ne!(after[0].0, before[0].0);
    assert_eq!(after[0].1.as_deref(), Some("5400"));

    stack.advance(Duration::from_millis(1)).await;
    stack.invoke("config", config_event(false)).await.unwrap();
    assert_eq!(clock_offsets(&stack)[0].1.as_deref(), Some("5401"));
    stack.stop().await;
}

#[tokio::test]
async fn busy_process_finishes_and_is_not_reused() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let slow = Fault::Slow(Duration::from_millis(500));
    stack.stream().unwrap().add_fault(FaultRule::for_operation(Operation::GetApp, slow).once());

    let advance = async {
        while stack.process_ids().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        stack.advance(Duration::from_hours(1)).await;
        assert_eq!(stack.process_ids().len(), 1);
    };
    let (response, ()) = tokio::join!(stack.invoke("config", config_event(true)), advance);
    assert_eq!(response.unwrap()["statusCode"], 200);
    assert!(stack.process_ids().is_empty());
    stack.stop().await;
}

#[tokio::test]
async fn another_process_advances_the_clock() {
    let stack = Stack::start(Options::default()).await.unwrap();
    stack.invoke("config", config_event(false)).await.unwrap();
    let url = format!("{}/_local/clock", stack.api_url());
    let curl = async |arguments: &[&str]| {
        let output = tokio::process::Command::new("curl")
            .args(["-sS", "--noproxy", "*", &url])
            .args(arguments)
            .output()
            .await
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let instant =
        |clock: &Value| clock["now"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();

    let before = instant(&curl(&[]).await);
    let after = instant(&curl(&["-d", r#"{"advanceSeconds": 90}"#]).await);
    assert!(after.duration_since(before).as_secs() >= 90);
    assert!(stack.process_ids().is_empty());
    let rejected = curl(&["-d", r#"{"advanceSeconds": -1}"#]).await;
    assert!(rejected["message"].is_string(), "{rejected}");
    assert!(stack.now() < SystemTime::now() + Duration::from_mins(2));
    stack.stop().await;
}
