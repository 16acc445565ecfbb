//! A load test: concurrent users create and end calls. No request may fail, and no call may be left
//! behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use local::{BuildMode, Options, Stack, StreamLimits};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::BenchError;
use crate::build;
use crate::client::Client;
use crate::stats::{millis, percentile};

/// The options of the load test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoadOptions {
    pub(crate) users: u32,
    pub(crate) seconds: u64,
}

/// The latencies by route, in milliseconds.
type LatenciesByRoute = BTreeMap<&'static str, Vec<f64>>;

/// The number of users that are provisioned in a simulated minute. The profiles of more users would
/// be queued, and a user without a profile at Stream cannot be called.
const NEW_USERS_PER_MINUTE: u32 = 200;

/// The maximum time for the cleanup after the load, in simulated minutes.
const MAX_CLEANUP_MINUTES: u32 = 30;

/// Runs the load test and prints the results.
pub(crate) async fn run(options: LoadOptions) -> Result<(), BenchError> {
    let stack = Stack::start(Options {
        build_mode: BuildMode::Prebuilt(build::release_dir()),
        max_instances: 8,
        stream_limits: StreamLimits::ReportOnly,
        // The embedded DynamoDB slows down with each record of the table's stream.
        ..Options::default()
    });
    let stack = stack.await.map_err(|error| BenchError::new(error.to_string()))?;
    let client = Client::new(stack.api_url());
    let token = |user: u32| stack.token_for(&user_id(user));
    for user in 0..options.users {
        if user > 0 && user.is_multiple_of(NEW_USERS_PER_MINUTE) {
            stack.advance(Duration::from_mins(1)).await;
        }
        client.send("POST", "/token", &token(user), &json!({})).await?;
    }
    let started = Instant::now();
    let end = started + Duration::from_secs(options.seconds);
    let mut users = JoinSet::new();
    for user in 0..options.users {
        let receiver = user_id((user + 1) % options.users);
        users.spawn(run_user(client.clone(), token(user), receiver, end));
    }
    let (mut times, mut calls) = (LatenciesByRoute::new(), 0);
    while let Some(user) = users.join_next().await {
        let (user_times, user_calls) = user??;
        calls += user_calls;
        for (route, mut latencies) in user_times {
            times.entry(route).or_default().append(&mut latencies);
        }
    }
    let elapsed_seconds = started.elapsed().as_secs_f64();
    let requests: usize = times.values().map(Vec::len).sum();
    #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
    let rate = requests as f64 / elapsed_seconds;
    println!(
        "{} users, {elapsed_seconds:.1} s: {calls} calls, {requests} requests, {rate:.0} per second",
        options.users
    );
    println!("\n| | requests | p50 ms | p99 ms |\n|---|---|---|---|");
    for (route, times) in &times {
        let at = |share| percentile(times.clone(), share);
        println!("| {route} | {} | {:.1} | {:.1} |", times.len(), at(0.5), at(0.99));
    }
    wait_for_cleanup(&stack).await?;
    stack.stop().await;
    Ok(())
}

fn user_id(user: u32) -> String {
    format!("user-{user}")
}

/// Runs calls of a user, one after the other, until the end time.
async fn run_user(
    client: Client,
    token: String,
    receiver: String,
    end: Instant,
) -> Result<(LatenciesByRoute, u32), BenchError> {
    let (mut times, mut calls) = (LatenciesByRoute::new(), 0);
    while Instant::now() < end {
        let mut send = async |route: &'static str, path: &str, body: Value| {
            let started = Instant::now();
            let method = route.split(' ').next().unwrap_or_default();
            let response = client.send(method, path, &token, &body).await?;
            times.entry(route).or_default().push(millis(started.elapsed()));
            Ok::<_, BenchError>(response)
        };
        send("POST /token", "/token", json!({})).await?;
        let create = json!({"receiverId": receiver, "allowParallel": true});
        let call = send("POST /call/create", "/call/create", create).await?;
        let id = call["callId"].as_str().unwrap_or_default().to_owned();
        let message = json!({"channelId": call["channelId"], "message": "Hello"});
        send("POST /message/send", "/message/send", message).await?;
        send("GET /message/{channelId}", &format!("/message/call-{id}"), Value::Null).await?;
        send("GET /call/{callId}", &format!("/call/{id}"), Value::Null).await?;
        send("GET /call/quality/{callId}", &format!("/call/quality/{id}"), Value::Null).await?;
        send("POST /call/end", "/call/end", json!({"callId": id})).await?;
        calls += 1;
    }
    Ok((times, calls))
}

/// Runs a sweep every simulated minute until no call or channel is left.
async fn wait_for_cleanup(stack: &Stack) -> Result<(), BenchError> {
    let stream =
        stack.stream().ok_or_else(|| BenchError::new("the stack has no Stream emulator"))?;
    let leftovers = || (stream.live_calls().len(), stream.live_channels().len());
    let (calls, channels) = leftovers();
    println!("\nafter the load: {calls} live calls, {channels} channels");
    for minute in 1..=MAX_CLEANUP_MINUTES {
        stack.advance(Duration::from_mins(1)).await;
        let swept = stack.invoke("sweeper", json!({"task": "sweep"})).await;
        let summary = swept.map_err(|error| BenchError::new(error.to_string()))?;
        if leftovers() == (0, 0) && summary["open"] == 0 {
            println!("{minute} minutes later: no call and no channel");
            return Ok(());
        }
    }
    let (calls, channels) = leftovers();
    Err(BenchError::new(format!("{calls} live calls and {channels} channels were not removed")))
}
