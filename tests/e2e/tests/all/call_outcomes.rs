//! The end of calls: the reason, the time and the actor, decided at once by webhooks or later by
//! sweeps.

use std::time::Duration;

use e2e::TestApp;
use local::Options;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use stream_emulator::{Fault, FaultRule, Operation, WebhookScript};

/// The default of `CALL_RING_TIMEOUT_SECONDS`, in milliseconds.
const RING_TIMEOUT_MILLIS: i64 = 120_000;
/// The maximum duration of each call of the table.
const MAX_DURATION_SECONDS: u64 = 900;
/// The longest time until a call of the table ends, in minutes.
const MAX_MINUTES: usize = 12;

/// What happens to a call of Alice and Bob at Stream.
#[derive(Clone, Copy, Debug)]
enum Step {
    Join(&'static str),
    LeaveAll,
    Accept(&'static str),
    Reject(&'static str, Option<&'static str>),
    EndAtStream(Option<&'static str>),
    /// Seconds without a sweep.
    Wait(u64),
    /// Minutes with a sweep after each.
    Sweeps(usize),
}

impl Step {
    async fn run(self, app: &TestApp, cid: &str) {
        match self {
            Self::Join(user) => {
                app.stream().join(cid, user).unwrap();
            }
            Self::LeaveAll => app.stream().leave_all(cid),
            Self::Accept(user) => app.stream().accept(cid, user),
            Self::Reject(user, reason) => app.stream().reject_with(cid, user, reason),
            Self::EndAtStream(user) => app.stream().end_call(cid, user, None),
            Self::Wait(seconds) => app.advance_time(Duration::from_secs(seconds)).await,
            Self::Sweeps(minutes) => {
                app.advance_minutes(minutes).await;
            }
        }
        app.stream().webhooks_idle().await;
    }
}

#[derive(Clone, Copy, Debug)]
enum EndTime {
    /// The time of this step.
    Step(usize),
    RingTimeout,
    /// The time of the end at Stream.
    AtStream,
}

#[derive(Clone, Copy, Debug)]
enum Actor {
    User(&'static str),
    System,
    Stream,
}

impl Actor {
    fn to_json(self) -> Value {
        match self {
            Self::User(id) => json!({"kind": "user", "userId": id}),
            Self::System => json!({"kind": "system"}),
            Self::Stream => json!({"kind": "stream"}),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct End {
    reason: &'static str,
    time: EndTime,
    actor: Actor,
}

#[derive(Clone, Debug)]
struct Case {
    steps: Vec<Step>,
    end: End,
    /// Whether the last event ends the call without a sweep.
    is_at_once: bool,
    is_answered: bool,
    /// The end if every webhook is lost, and the end differs.
    end_without_webhooks: Option<End>,
}

impl Case {
    fn new(steps: &[Step], reason: &'static str, time: EndTime, actor: Actor) -> Self {
        Self {
            steps: steps.to_vec(),
            end: End { reason, time, actor },
            is_at_once: false,
            is_answered: false,
            end_without_webhooks: None,
        }
    }

    fn at_once(self) -> Self {
        Self { is_at_once: true, ..self }
    }

    fn answered(self) -> Self {
        Self { is_answered: true, ..self }
    }

    fn without_webhooks(self, reason: &'static str, time: EndTime, actor: Actor) -> Self {
        Self { end_without_webhooks: Some(End { reason, time, actor }), ..self }
    }

    /// Runs the case with a new call, and checks its end.
    async fn check(&self, app: &TestApp, id: &str, webhooks: bool) {
        let cid = format!("default:{id}");
        let create = json!({
            "receiverId": "bob",
            "callId": id,
            "ring": true,
            "allowParallel": true,
            "maxDurationSeconds": MAX_DURATION_SECONDS,
        });
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        let mut times = Vec::new();
        for step in &self.steps {
            step.run(app, &cid).await;
            times.push(last_event_millis(app));
        }
        let item = app.get_call_item(id).await;
        let state = if webhooks && self.is_at_once { "ending" } else { "active" };
        assert_eq!(item["state"]["S"], state, "{self:?}");

        let end = self.end_without_webhooks.filter(|_| !webhooks).unwrap_or(self.end);
        let check_end = async || {
            let ended_at = match end.time {
                EndTime::Step(n) => times[n],
                EndTime::RingTimeout => {
                    let active_at: i64 = item["activeAt"]["N"].as_str().unwrap().parse().unwrap();
                    active_at + RING_TIMEOUT_MILLIS
                }
                EndTime::AtStream => app.stream().call(&cid).unwrap().ended_at.unwrap() / 1_000_000,
            };
            let call = app.get(&format!("/call/{id}"), "bob").await.expect_success().body;
            assert_eq!(
                (&call["endReason"], &call["endedBy"], &call["answered"]),
                (&json!(end.reason), &end.actor.to_json(), &json!(self.is_answered)),
                "{self:?}"
            );
            assert_eq!(millis(&call["endedAt"]), ended_at, "{self:?}: {call}");
        };
        if state == "ending" {
            check_end().await;
        }
        wait_until_ended(app, id).await;
        check_end().await;
    }
}

/// A text of RFC 3339 as milliseconds since 1970.
fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond()
}

/// The time of Stream's last event.
fn last_event_millis(app: &TestApp) -> i64 {
    millis(&app.stream().emitted_events().last().unwrap()["created_at"])
}

async fn state_of(app: &TestApp, id: &str) -> Value {
    app.get_call_item(id).await["state"]["S"].clone()
}

/// Advances minutes, with sweeps, until a call has ended.
async fn wait_until_ended(app: &TestApp, id: &str) {
    for _ in 0..MAX_MINUTES {
        if state_of(app, id).await == "ended" {
            return;
        }
        app.advance_minutes(1).await;
    }
    assert_eq!(state_of(app, id).await, "ended", "{id}");
}

/// A stack with users. Webhooks arrive in the order of the events.
async fn app_with_users(webhooks: bool) -> TestApp {
    let app = TestApp::with_options(Options { webhooks, ..Options::default() }).await;
    app.stream().set_webhook_script(WebhookScript { concurrency: 1, ..WebhookScript::default() });
    app.provision_users(&["alice", "bob", "carol"]).await;
    app
}

/// The cases in which Bob does not answer. The phone of Bob rings for 15 s.
fn unanswered_cases() -> Vec<Case> {
    use Actor::{System, User};
    use EndTime::RingTimeout;
    use Step::{Accept, Join, Reject, Wait};

    let time = EndTime::Step;
    let (alice_in, bob_declines) = (Join("alice"), Reject("bob", Some("decline")));
    let alice_cancels = Reject("alice", Some("cancel"));
    vec![
        Case::new(&[], "not_joined", RingTimeout, System),
        Case::new(&[alice_in], "not_answered", RingTimeout, System),
        Case::new(&[alice_in, Reject("bob", None)], "declined", time(1), User("bob")).at_once(),
        Case::new(&[Reject("bob", Some("not now"))], "declined", time(0), User("bob")).at_once(),
        // The second reject is that of the caller's own client.
        Case::new(&[bob_declines, Wait(1), alice_cancels], "declined", time(0), User("bob"))
            .at_once(),
        // A lost reason counts as explicit.
        Case::new(&[alice_in, Reject("bob", Some("busy"))], "not_answered", RingTimeout, System)
            .without_webhooks("declined", time(1), User("bob")),
        Case::new(
            &[Reject("bob", Some("busy")), Wait(1), alice_cancels],
            "not_answered",
            time(2),
            System,
        )
        .at_once()
        .without_webhooks("declined", time(0), User("bob")),
        Case::new(
            &[Reject("bob", Some("timeout")), Wait(1), alice_cancels],
            "not_answered",
            time(2),
            System,
        )
        .at_once()
        .without_webhooks("declined", time(0), User("bob")),
        // Bob misses the call.
        Case::new(&[alice_in, Wait(16)], "not_answered", RingTimeout, System),
        Case::new(&[Wait(16), alice_cancels], "not_answered", time(1), System).at_once(),
        Case::new(&[alice_cancels], "cancelled", time(0), User("alice")).at_once(),
        Case::new(&[alice_in, alice_cancels], "cancelled", time(1), User("alice")).at_once(),
        Case::new(&[alice_cancels, Wait(1), bob_declines], "cancelled", time(0), User("alice"))
            .at_once(),
        Case::new(&[Reject("alice", Some("timeout"))], "not_answered", time(0), System)
            .at_once()
            .without_webhooks("cancelled", time(0), User("alice")),
        // Another device of Bob accepted the call.
        Case::new(
            &[alice_in, Accept("bob"), Wait(1), bob_declines],
            "not_answered",
            RingTimeout,
            System,
        ),
    ]
}

/// The cases in which Bob answers, or the call ends at Stream. A sweep sees the participants.
fn other_cases() -> Vec<Case> {
    use Actor::{Stream, System, User};
    use EndTime::AtStream;
    use Step::{EndAtStream, Join, LeaveAll, Sweeps, Wait};

    let answered = |last: Step| [Join("alice"), Join("bob"), Sweeps(3), last];
    let ended = "ended_at_stream";
    vec![
        Case::new(&answered(LeaveAll), "left", EndTime::Step(3), System).answered(),
        Case::new(&answered(Wait(MAX_DURATION_SECONDS - 170)), "too_long", AtStream, System)
            .at_once()
            .answered(),
        Case::new(&answered(EndAtStream(Some("bob"))), ended, AtStream, User("bob"))
            .at_once()
            .answered()
            .without_webhooks(ended, AtStream, Stream),
        Case::new(&answered(EndAtStream(None)), ended, AtStream, Stream).at_once().answered(),
        Case::new(&[EndAtStream(None)], ended, AtStream, Stream).at_once(),
    ]
}

async fn check_cases(cases: &[Case], webhooks: bool, early_misses: bool) {
    let app = app_with_users(webhooks).await;
    app.stream().set_early_misses(early_misses);
    for (n, case) in cases.iter().enumerate() {
        case.check(&app, &format!("c{n}"), webhooks).await;
    }
    assert!(app.stream().live_calls().is_empty() && app.stream().live_channels().is_empty());
}

#[tokio::test]
async fn unanswered_calls_end_with_webhooks() {
    check_cases(&unanswered_cases(), true, true).await;
}

#[tokio::test]
async fn unanswered_calls_end_without_webhooks() {
    check_cases(&unanswered_cases(), false, true).await;
}

/// Stream may report a busy member as missed only at the ring's end.
#[tokio::test]
async fn unanswered_calls_end_without_early_misses() {
    for webhooks in [true, false] {
        check_cases(&unanswered_cases(), webhooks, false).await;
    }
}

#[tokio::test]
async fn answered_calls_end_with_webhooks() {
    check_cases(&other_cases(), true, true).await;
}

#[tokio::test]
async fn answered_calls_end_without_webhooks() {
    check_cases(&other_cases(), false, true).await;
}

/// A phone that does not ring has the same ring timeout.
#[tokio::test]
async fn call_without_a_ring_ends_at_the_ring_timeout() {
    for (webhooks, ring) in [(false, false), (false, true), (true, false), (true, true)] {
        let app = app_with_users(webhooks).await;
        let create = json!({"receiverId": "bob", "callId": "c1", "ring": ring});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        app.stream().join("default:c1", "alice").unwrap();
        app.advance_minutes(1).await;
        assert_eq!(state_of(&app, "c1").await, "active", "{webhooks} {ring}");
        app.advance_minutes(1).await;
        let call = app.get("/call/c1", "alice").await.expect_success().body;
        assert_eq!(
            (&call["status"], &call["endReason"], &call["durationSeconds"]),
            (&json!("ended"), &json!("not_answered"), &json!(0)),
            "{webhooks} {ring}"
        );
    }
}

/// Alice's call of Bob and Carol.
async fn group_call(app: &TestApp) {
    let create = json!({"memberIds": ["bob", "carol"], "callId": "c1", "ring": true});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
}

#[tokio::test]
async fn group_call_ends_by_the_reject_of_the_last_callee() {
    for (bobs_reason, end) in [
        ("decline", Some(("declined", Actor::User("carol")))),
        // Until the ring timeout, Bob may still join.
        ("busy", None),
    ] {
        let app = app_with_users(true).await;
        group_call(&app).await;
        Step::Reject("bob", Some(bobs_reason)).run(&app, "default:c1").await;
        assert_eq!(state_of(&app, "c1").await, "active", "{bobs_reason}");
        Step::Reject("carol", Some("decline")).run(&app, "default:c1").await;
        let rejected_at = last_event_millis(&app);
        let call = app.get("/call/c1", "alice").await.expect_success().body;
        let Some((reason, actor)) = end else {
            assert_eq!(call["status"], "active", "{bobs_reason}");
            let created_at = millis(&call["createdAt"]);
            app.advance_minutes(3).await;
            let call = app.get("/call/c1", "alice").await.expect_success().body;
            assert_eq!(call["endReason"], "not_joined", "{bobs_reason}");
            let rang_for = millis(&call["endedAt"]) - created_at;
            assert!((120_000..125_000).contains(&rang_for), "{rang_for}");
            continue;
        };
        assert_eq!(
            [&call["status"], &call["endReason"], &call["endedBy"]],
            [&json!("ending"), &json!(reason), &actor.to_json()]
        );
        assert_eq!(millis(&call["endedAt"]), rejected_at);
    }
}

/// A call `c1` of Alice and Bob, in which both are. Returns their sessions.
async fn answered_call(app: &TestApp) -> [String; 2] {
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let _ = app.post("/call/create", "alice", create).await.expect_success();
    let sessions = ["alice", "bob"].map(|user| app.stream().join("default:c1", user).unwrap());
    app.stream().webhooks_idle().await;
    sessions
}

/// A participant leaves the call `c1`. Returns the time.
async fn leave(app: &TestApp, session: &str) -> i64 {
    app.stream().leave("default:c1", session);
    app.stream().webhooks_idle().await;
    last_event_millis(app)
}

/// Checks that the call `c1` has ended, because a user left at this time.
async fn assert_left_at(app: &TestApp, left_at: i64) {
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!(
        [&call["status"], &call["endReason"], &call["endedBy"], &call["answered"]],
        [&json!("ended"), &json!("left"), &Actor::System.to_json(), &json!(true)]
    );
    assert_eq!(millis(&call["endedAt"]), left_at);
}

#[tokio::test]
async fn return_restarts_the_alone_timeout() {
    let app = app_with_users(true).await;
    let [_, bob] = answered_call(&app).await;
    app.advance_time(Duration::from_secs(10)).await;
    leave(&app, &bob).await;
    app.advance_time(Duration::from_secs(40)).await;
    app.stream().join_as("default:c1", "bob", &bob).unwrap();
    app.stream().webhooks_idle().await;
    app.advance_time(Duration::from_secs(5)).await;
    let left_at = leave(&app, &bob).await;
    // Bob's first leave was 95 s ago.
    app.advance_time(Duration::from_secs(50)).await;
    app.sweep().await;
    assert_eq!(state_of(&app, "c1").await, "active");
    app.advance_time(Duration::from_secs(15)).await;
    assert_eq!(app.sweep().await["ended"], json!({"left": 1}));
    assert_left_at(&app, left_at).await;
}

#[tokio::test]
async fn user_on_two_devices_is_one_user() {
    let app = app_with_users(true).await;
    let [_, bobs_phone] = answered_call(&app).await;
    for user in ["alice", "bob"] {
        app.stream().join_as("default:c1", user, &format!("tablet-of-{user}")).unwrap();
    }
    app.advance_time(Duration::from_secs(10)).await;
    leave(&app, &bobs_phone).await;
    app.advance_minutes(2).await;
    assert_eq!(state_of(&app, "c1").await, "active");
    // Alice remains alone, with two devices.
    let left_at = leave(&app, "tablet-of-bob").await;
    app.advance_minutes(2).await;
    assert_left_at(&app, left_at).await;
}

/// The event of a leave is wrong: `GetCall` shows the participant.
#[tokio::test]
async fn call_continues_if_get_call_shows_two_users() {
    let app = app_with_users(true).await;
    answered_call(&app).await;
    app.advance_time(Duration::from_secs(10)).await;
    let joined = app.stream().emitted_events().into_iter().rfind(|event| {
        event["type"] == "call.session_participant_joined"
            && event["participant"]["user"]["id"] == "bob"
    });
    let mut left = joined.unwrap();
    left["type"] = json!("call.session_participant_left");
    left["created_at"] = json!(Timestamp::from_millis(app.now_millis()).to_string());
    let _ = app.send_webhook(&left).await.expect_success();
    app.advance_minutes(3).await;
    assert_eq!(state_of(&app, "c1").await, "active");
    assert_eq!(app.stream().live_calls(), ["default:c1"]);
}

#[tokio::test]
async fn last_user_of_a_group_call_may_wait() {
    let app = app_with_users(true).await;
    group_call(&app).await;
    for user in ["alice", "bob", "carol"] {
        app.stream().join_as("default:c1", user, &format!("phone-of-{user}")).unwrap();
    }
    app.stream().webhooks_idle().await;
    app.advance_time(Duration::from_secs(10)).await;
    for user in ["bob", "carol"] {
        leave(&app, &format!("phone-of-{user}")).await;
    }
    app.advance_minutes(7).await;
    assert_eq!(state_of(&app, "c1").await, "active");
    let left_at = leave(&app, "phone-of-alice").await;
    app.advance_minutes(6).await;
    assert_left_at(&app, left_at).await;
}

/// Without the event, the leave is the last time at which a sweep has seen the other user.
#[tokio::test]
async fn user_who_remains_alone_is_released_without_webhooks() {
    let app = app_with_users(false).await;
    let [_, bob] = answered_call(&app).await;
    app.advance_time(Duration::from_mins(2)).await;
    let seen_at = app.now_millis();
    app.sweep().await;
    app.advance_minutes(1).await;
    let left_at = leave(&app, &bob).await;
    wait_until_ended(&app, "c1").await;
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!((&call["endReason"], &call["answered"]), (&json!("left"), &json!(true)));
    let ended_at = millis(&call["endedAt"]);
    assert!((seen_at..=left_at).contains(&ended_at), "{seen_at} {ended_at} {left_at}");
}

#[tokio::test]
async fn zero_disables_the_alone_timeout() {
    let env = [("CALL_ALONE_TIMEOUT_SECONDS".to_owned(), "0".to_owned())].into();
    let app = TestApp::with_options(Options { webhooks: true, env, ..Options::default() }).await;
    app.provision_users(&["alice", "bob"]).await;
    let [alice, bob] = answered_call(&app).await;
    app.advance_time(Duration::from_secs(10)).await;
    leave(&app, &bob).await;
    app.advance_minutes(7).await;
    assert_eq!(state_of(&app, "c1").await, "active");
    let left_at = leave(&app, &alice).await;
    app.advance_minutes(6).await;
    assert_left_at(&app, left_at).await;
}

#[tokio::test]
async fn call_that_is_not_created_is_ended_by_the_sweeper() {
    let app = app_with_users(true).await;
    app.stream()
        .add_fault(FaultRule::for_operation(Operation::GetOrCreateCall, Fault::Status(503)));
    let create = json!({"receiverId": "bob", "callId": "c1"});
    let failed = app.post("/call/create", "alice", create).await;
    assert_eq!(failed.outcome(), (503, "stream_unavailable"));
    app.stream().clear_faults();
    wait_until_ended(&app, "c1").await;
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!(
        [&call["endReason"], &call["endedBy"], &call["answered"]],
        [&json!("not_created"), &Actor::System.to_json(), &json!(false)]
    );
}

#[tokio::test]
async fn call_of_two_ends_with_the_deletion_of_a_member() {
    let app = app_with_users(true).await;
    answered_call(&app).await;
    app.advance_time(Duration::from_secs(10)).await;
    let before = app.now_millis();
    let _ = app.delete("/user/bob", "bob").await.expect_success();
    wait_until_ended(&app, "c1").await;
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!(
        [&call["endReason"], &call["endedBy"], &call["answered"]],
        [&json!("user_deleted"), &Actor::System.to_json(), &json!(true)]
    );
    assert!((before..=before + 60_000).contains(&millis(&call["endedAt"])), "{call}");
}

#[tokio::test]
async fn reason_of_an_end_request_is_not_one_of_the_service() {
    let app = app_with_users(true).await;
    answered_call(&app).await;
    for reason in ["declined", "left", "too_long"] {
        let end = json!({"callId": "c1", "reason": reason});
        let rejected = app.post("/call/end", "alice", end).await;
        assert_eq!(rejected.outcome(), (400, "invalid_body"), "{reason}");
    }
    assert_eq!(state_of(&app, "c1").await, "active");
    let end = json!({"callId": "c1", "reason": "out of money"});
    let ended = app.post_as_service("/call/end", end).await.expect_success().body;
    assert_eq!(ended["status"], "ended");
    let call = app.get("/call/c1", "alice").await.expect_success().body;
    assert_eq!(
        [&call["endReason"], &call["endedBy"]],
        [&json!("out of money"), &json!({"kind": "service"})]
    );
}
