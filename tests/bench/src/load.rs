//! Many users at once, through whole lives of calls: nothing fails, and nothing is left behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use local::{Build, Options, Stack, StreamLimits};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Failure;
use crate::build;
use crate::client::Client;
use crate::stats::{millis, percentile};

/// What is asked for on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) users: u32,
    pub(crate) seconds: u64,
}

/// How long each request took, by its route.
type Times = BTreeMap<&'static str, Vec<f64>>;

/// How many minutes a sweeper has for what is left at the end.
const MINUTES: u32 = 30;

/// Drives the users, and prints what came of it.
pub(crate) async fn run(load: Load) -> Result<(), Failure> {
    let stack = Stack::start(Options {
        build: Build::Done(build::folder()),
        max_instances: 8,
        stream_limits: StreamLimits::Told,
        ..Options::default()
    });
    let stack = stack.await.map_err(|error| Failure::new(error.to_string()))?;
    let client = Client::new(stack.api_url());
    let token = |user: u32| stack.token_for(&name(user));
    for user in 0..load.users {
        client.send("POST", "/token", &token(user), &json!({})).await?;
    }
    let began = Instant::now();
    let end = began + Duration::from_secs(load.seconds);
    let mut users = JoinSet::new();
    for user in 0..load.users {
        let peer = name((user + 1) % load.users);
        users.spawn(lives(client.clone(), token(user), peer, end));
    }
    let (mut times, mut calls) = (Times::new(), 0);
    while let Some(user) = users.join_next().await {
        let (of_user, of_calls) = user??;
        calls += of_calls;
        for (route, mut some) in of_user {
            times.entry(route).or_default().append(&mut some);
        }
    }
    let took = began.elapsed().as_secs_f64();
    let requests: usize = times.values().map(Vec::len).sum();
    #[expect(clippy::cast_precision_loss, reason = "a rate with one digit")]
    let rate = requests as f64 / took;
    println!(
        "{} users, {took:.1} s: {calls} calls, {requests} requests, {rate:.0} a second",
        load.users
    );
    println!("\n| | requests | p50 ms | p99 ms |\n|---|---|---|---|");
    for (route, times) in &times {
        let at = |share| percentile(times.clone(), share);
        println!("| {route} | {} | {:.1} | {:.1} |", times.len(), at(0.5), at(0.99));
    }
    clear(&stack).await?;
    stack.stop().await;
    Ok(())
}

fn name(user: u32) -> String {
    format!("user-{user}")
}

/// One call after the other, until the end.
async fn lives(
    client: Client,
    token: String,
    peer: String,
    end: Instant,
) -> Result<(Times, u32), Failure> {
    let (mut times, mut calls) = (Times::new(), 0);
    while Instant::now() < end {
        let mut send = async |route: &'static str, path: &str, body: Value| {
            let began = Instant::now();
            let method = route.split(' ').next().unwrap_or_default();
            let answer = client.send(method, path, &token, &body).await?;
            times.entry(route).or_default().push(millis(began.elapsed()));
            Ok::<_, Failure>(answer)
        };
        send("POST /token", "/token", json!({})).await?;
        let create = json!({"receiverId": peer, "allowParallel": true});
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

/// Lets the sweeper do what is left, a minute after the other; nothing may be there in the end.
async fn clear(stack: &Stack) -> Result<(), Failure> {
    let stream = stack.stream().ok_or_else(|| Failure::new("no Stream"))?;
    let left = || (stream.live_calls().len(), stream.live_channels().len());
    let (calls, channels) = left();
    println!("\nright after: {calls} live calls, {channels} channels");
    for minute in 1..=MINUTES {
        stack.advance(Duration::from_mins(1)).await;
        let swept = stack.invoke("sweeper", json!({"task": "sweep"})).await;
        let swept = swept.map_err(|error| Failure::new(error.to_string()))?;
        if left() == (0, 0) && swept["open"] == 0 {
            println!("{minute} minutes later: nothing");
            return Ok(());
        }
    }
    let (calls, channels) = left();
    Err(Failure::new(format!("{calls} live calls and {channels} channels are left behind")))
}
