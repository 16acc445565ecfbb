//! Runs the command against the Stream emulator: it preserves foreign hooks and built-in call
//! types, a second run changes nothing, and no secret is printed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use shared::stream::call_type::MEMBER_GRANTS;
use stream_emulator::{APP_OBJECT_SECRET, Emulator, Fault, FaultRule, Operation, Settings};
use tokio::net::TcpListener;

const KEY: &str = "key-of-the-emulated-app";
const SECRET: &str = "secret-of-the-emulated-app-never-deploy-this-one";
const FOREIGN_SECRET: &str = "secret-of-a-foreign-queue";
const URL: &str = "https://api.example.com/api/stream/webhook";
const SERVICE_USER: &str = "stream-functions";

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

/// Runs the command for the call type `private`. Returns its exit code and its output.
async fn run(emulator: &Emulator, secret: &str, arguments: &[&str]) -> (Option<i32>, String) {
    run_with(emulator, secret, &[("STREAM_CALL_TYPE", "private")], arguments).await
}

async fn run_with(
    emulator: &Emulator,
    secret: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-setup"));
    command
        .args(arguments)
        .env_clear()
        .env("STREAM_API_KEY", KEY)
        .env("STREAM_API_SECRET", secret)
        .env("STREAM_BASE_URL", emulator.base_url())
        .envs(variables.iter().copied());
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
    assert!(text.ends_with("Nothing to change.\n"), "{text}");
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

    let (code, text) = run(&emulator, SECRET, &["apply", "--webhook-url"]).await;
    let expected = "stream-setup: --webhook-url requires a value\n";
    assert_eq!((code, text.as_str()), (Some(2), expected));

    // The outcome of the update is unknown, so the command does not repeat it.
    emulator.add_fault(FaultRule::for_operation(Operation::UpdateApp, Fault::AppliedThenLost));
    let (code, text) = run(&emulator, SECRET, &["apply", "--yes", "--webhook-url", URL]).await;
    assert_eq!(code, Some(2), "{text}");
    assert_eq!(emulator.counts().get(Operation::UpdateApp), 1);
}

#[tokio::test]
async fn created_call_type_is_for_members_only() {
    let emulator = emulator().await;
    let (code, text) = run(&emulator, SECRET, &["apply"]).await;
    assert_eq!(code, Some(0), "{text}");
    let planned = "add    call type private: only members have access to its calls\n\
                   add    user stream-functions\n";
    assert!(text.starts_with(planned), "{text}");
    assert!(emulator.call_type("private").is_none() && emulator.user(SERVICE_USER).is_none());

    let (code, text) = run(&emulator, SECRET, &["apply", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    let call_type = emulator.call_type("private").unwrap();
    let members: BTreeSet<String> = MEMBER_GRANTS.map(str::to_owned).into();
    for (role, ids) in &call_type.grants {
        match role.as_str() {
            "call_member" => assert_eq!(*ids, members),
            "global_admin" | "global_read_only" => assert!(!ids.is_empty(), "{role}"),
            _ => assert!(ids.is_empty(), "{role}: {ids:?}"),
        }
    }
    for role in ["admin", "anonymous", "guest", "user"] {
        assert!(call_type.grants.contains_key(role), "{role}");
    }
    let ring = json!({
        "auto_cancel_timeout_ms": 120_000,
        "incoming_call_timeout_ms": 120_000,
        "missed_call_timeout_ms": 120_000,
    });
    assert_eq!(call_type.settings["ring"], ring);
    assert!(emulator.user(SERVICE_USER).is_some());

    let (code, text) = run(&emulator, SECRET, &["apply", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("Nothing to change.\n"), "{text}");
    let counts = emulator.counts();
    let writes = [Operation::CreateCallType, Operation::UpdateCallType, Operation::UpdateUsers]
        .map(|operation| counts.get(operation));
    assert_eq!(writes, [1, 0, 1]);

    let (code, text) = run(&emulator, SECRET, &["check"]).await;
    assert_eq!(code, Some(0), "{text}");
    let problems: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok   ")).collect();
    assert_eq!(problems, ["warn the webhook is not checked without --webhook-url"]);
}

#[tokio::test]
async fn existing_call_type_is_restricted_and_keeps_other_settings() {
    let emulator = emulator().await;
    let (code, text) = run(&emulator, SECRET, &["apply", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    let before = emulator.call_type("private").unwrap();
    let variables = [
        ("STREAM_CALL_TYPE", "private"),
        ("STREAM_ROLE_MAP", "streamer=host,staff=global_admin"),
        ("CALL_RING_TIMEOUT_SECONDS", "3600"),
    ];
    let (code, text) = run_with(&emulator, SECRET, &variables, &["check"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("fail call type private: the role global_admin may join, "), "{text}");
    assert!(text.contains("fail call type private: the ring timeouts are not 180000 ms"), "{text}");
    let (code, text) = run_with(&emulator, SECRET, &variables, &["apply", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    let planned = "change call type private: the grants of global_admin, and the ring timeouts\n";
    assert!(text.starts_with(planned), "{text}");
    let after = emulator.call_type("private").unwrap();
    assert!(after.grants["global_admin"].is_empty() && after.grants["host"].is_empty());
    assert_eq!(after.settings["ring"]["auto_cancel_timeout_ms"], json!(180_000));
    assert_eq!(after.settings["video"], before.settings["video"]);
    assert_eq!(after.notification_settings, before.notification_settings);
}

#[tokio::test]
async fn built_in_call_type_changes_only_on_request() {
    let emulator = emulator().await;
    let variables = [("STREAM_CALL_TYPE", "default")];
    let before = emulator.call_type("default");
    let (code, text) = run_with(&emulator, SECRET, &variables, &["apply", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    let kept = "keep   call type default: built-in, changed only with --call-type default\n";
    assert!(text.starts_with(kept), "{text}");
    assert_eq!(emulator.call_type("default"), before);

    let (code, text) = run_with(&emulator, SECRET, &variables, &["check"]).await;
    assert_eq!(code, Some(1), "{text}");
    for line in [
        "warn calls have the built-in call type default",
        "fail call type default: the role user may join, create, end, record, lengthen, \
         change the members of, moderate, read calls\n",
        "fail call type default: the role call_member may join, create, record, ",
        "fail call type default: the role guest may join, read calls\n",
        "fail call type default: the ring timeouts are not 120000 ms",
        "ok   the user stream-functions exists\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }

    let arguments = ["apply", "--call-type", "default", "--yes"];
    let (code, text) = run(&emulator, SECRET, &arguments).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(emulator.call_type("default").unwrap().grants["user"].is_empty());
    assert!(emulator.call_type("private").is_none());
    let (code, text) = run_with(&emulator, SECRET, &variables, &["check"]).await;
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test]
async fn missing_type_and_deactivated_user_fail_the_check() {
    let emulator = emulator().await;
    let (code, text) = run(&emulator, SECRET, &["check"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("fail the call type private does not exist"), "{text}");
    assert!(text.contains("fail the user stream-functions does not exist"), "{text}");

    emulator.create_user(SERVICE_USER);
    emulator.deactivate_user(SERVICE_USER);
    let (code, text) = run(&emulator, SECRET, &["apply", "--yes"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("keep   user stream-functions: deactivated"), "{text}");
    assert_eq!(emulator.counts().get(Operation::UpdateUsers), 0);
    let (code, text) = run(&emulator, SECRET, &["check"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("fail the user stream-functions is deactivated"), "{text}");
}

#[tokio::test]
async fn new_call_type_may_be_visible_late() {
    let emulator = emulator().await;
    // The first request is that of the plan.
    let late = FaultRule::for_operation(Operation::GetCallType, Fault::Status(404));
    emulator.add_fault(late.skip_first(1).once());
    let (code, text) = run(&emulator, SECRET, &["apply", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("Done: only members have access to calls of the type private."),
        "{text}"
    );
    assert_eq!(emulator.counts().get(Operation::GetCallType), 3);
}
