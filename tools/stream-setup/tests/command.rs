//! Runs the command against the Stream emulator: it preserves foreign hooks, a second run changes
//! nothing, and no secret is printed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::{Value, json};
use stream_emulator::{APP_OBJECT_SECRET, Emulator, Fault, FaultRule, Operation, Settings};
use tokio::net::TcpListener;

const KEY: &str = "key-of-the-emulated-app";
const SECRET: &str = "secret-of-the-emulated-app-never-deploy-this-one";
const FOREIGN_SECRET: &str = "secret-of-a-foreign-queue";
const URL: &str = "https://api.example.com/api/stream/webhook";

async fn emulator() -> Emulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Emulator::serve(listener, Settings::new(KEY, SECRET)).await.unwrap()
}

/// Hooks of other services, with unknown members.
fn foreign_hooks() -> Vec<Value> {
    let times = 1_767_225_600_123_456_789_i64;
    vec![
        json!({
            "id": "9d2f4c1e-0000-4000-8000-000000000001",
            "hook_type": "sqs",
            "enabled": true,
            "sqs_queue_url": "https://sqs.example.com/queue",
            "sqs_secret": FOREIGN_SECRET,
            "event_types": ["message.new"],
            "product": "chat",
            "unheard_of": {"z": [1.5, null, "\u{e9}"], "a": 7},
            "created_at": times,
            "updated_at": times,
        }),
        json!({
            "id": "9d2f4c1e-0000-4000-8000-000000000002",
            "hook_type": "webhook",
            "enabled": false,
            "webhook_url": format!("https://elsewhere.example.com/?key={FOREIGN_SECRET}"),
            "event_types": [],
            "product": "video",
            "created_at": times,
            "updated_at": times,
        }),
    ]
}

/// The emulator's hooks without `updated_at`.
fn hooks(emulator: &Emulator) -> Vec<Value> {
    let mut hooks = emulator.snapshot()["app"]["event_hooks"].as_array().unwrap().clone();
    for hook in &mut hooks {
        hook.as_object_mut().unwrap().remove("updated_at");
    }
    hooks
}

/// Runs the command. Returns its exit code and its output.
async fn run(emulator: &Emulator, secret: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-setup"));
    command
        .args(arguments)
        .env_clear()
        .env("STREAM_API_KEY", KEY)
        .env("STREAM_API_SECRET", secret)
        .env("STREAM_BASE_URL", emulator.base_url());
    // On another thread, because the emulator responds on this one.
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    for secret in [SECRET, secret, FOREIGN_SECRET, APP_OBJECT_SECRET, "eyJhbGciOi"] {
        assert!(!text.contains(secret), "a secret or a token was printed");
    }
    (output.status.code(), text)
}

#[tokio::test]
async fn apply_is_idempotent_and_preserves_foreign_hooks() {
    let emulator = emulator().await;
    emulator.set_event_hooks(foreign_hooks());
    let before = hooks(&emulator);
    let writes = || emulator.counts().get(Operation::UpdateApp);
    let check = ["check", "--webhook-url", URL];
    let apply = ["apply", "--webhook-url", URL];
    let apply_yes = ["apply", "--webhook-url", URL, "--yes"];

    let (code, text) = run(&emulator, SECRET, &check).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("fail no hook sends events to {URL}\n")), "{text}");

    let (code, text) = run(&emulator, SECRET, &apply).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.starts_with("keep   hook 1: sqs\nkeep   hook 2: webhook\nadd    hook 3:"),
        "{text}"
    );
    assert!(text.ends_with("Nothing was changed. Add --yes to write the changes.\n"), "{text}");
    assert_eq!((writes(), hooks(&emulator)), (0, before.clone()));

    let (code, text) = run(&emulator, SECRET, &apply_yes).await;
    assert_eq!((code, writes()), (Some(0), 1), "{text}");
    let after = hooks(&emulator);
    assert_eq!(after[..2], before[..]);
    assert_eq!(after.len(), 3);
    assert_eq!((&after[2]["webhook_url"], &after[2]["enabled"]), (&json!(URL), &json!(true)));

    let (code, text) = run(&emulator, SECRET, &apply_yes).await;
    assert_eq!((code, writes()), (Some(0), 1), "{text}");
    assert!(text.contains("nothing to change"), "{text}");
    assert_eq!(hooks(&emulator), after);

    let (code, text) = run(&emulator, SECRET, &check).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.lines().all(|line| line.starts_with("ok   ")), "{text}");
    assert_eq!(writes(), 1);
}

#[tokio::test]
async fn disabled_hook_is_enabled() {
    let emulator = emulator().await;
    let ours = json!({
        "id": "9d2f4c1e-0000-4000-8000-000000000003",
        "hook_type": "webhook",
        "enabled": false,
        "webhook_url": URL,
        "event_types": ["message.new"],
        "product": "chat",
        "timeout_ms": 1_500,
    });
    emulator.set_event_hooks(foreign_hooks().into_iter().chain([ours]).collect());
    let before = hooks(&emulator);
    let (code, text) = run(&emulator, SECRET, &["apply", "--yes", "--webhook-url", URL]).await;
    assert_eq!(code, Some(0), "{text}");
    let after = hooks(&emulator);
    assert_eq!(after[..2], before[..2]);
    let ours = &after[2];
    assert_eq!((&ours["id"], &ours["timeout_ms"]), (&before[2]["id"], &before[2]["timeout_ms"]));
    assert_eq!((&ours["enabled"], &ours["product"]), (&json!(true), &json!("all")));
    assert_eq!(ours["event_types"][0], "message.new");
    let (code, text) = run(&emulator, SECRET, &["check", "--webhook-url", URL]).await;
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test]
async fn each_app_problem_is_printed_on_one_line() {
    let emulator = emulator().await;
    let (_, text) = run(&emulator, SECRET, &["apply", "--yes", "--webhook-url", URL]).await;
    assert!(text.contains("Done:"), "{text}");
    emulator.add_fault(FaultRule::for_operation(Operation::ListRoles, Fault::Status(403)));
    let (code, text) = run(&emulator, SECRET, &["check", "--webhook-url", URL]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("warn the role admin cannot be checked"), "{text}");
    emulator.set_disable_auth_checks(true);
    let (code, text) = run(&emulator, SECRET, &["check", "--webhook-url", URL]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("fail authentication checks are off"), "{text}");
}

#[tokio::test]
async fn command_failure_is_printed_on_one_line() {
    let emulator = emulator().await;
    let wrong = "another-secret-than-the-one-that-stream-has";
    let (code, text) = run(&emulator, wrong, &["check", "--webhook-url", URL]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.starts_with("stream-setup: Stream rejected our credentials: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");

    let (code, text) = run(&emulator, SECRET, &["apply"]).await;
    assert_eq!((code, text.as_str()), (Some(2), "stream-setup: --webhook-url is missing\n"));

    // The outcome of the update is unknown, so the command does not repeat it.
    emulator.add_fault(FaultRule::for_operation(Operation::UpdateApp, Fault::AppliedThenLost));
    let (code, text) = run(&emulator, SECRET, &["apply", "--yes", "--webhook-url", URL]).await;
    assert_eq!(code, Some(2), "{text}");
    assert_eq!(emulator.counts().get(Operation::UpdateApp), 1);
}
