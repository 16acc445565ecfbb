//! What requests cost while the table grows: on the embedded DynamoDB, from ten calls to a
//! million.

use std::time::{Duration, Instant};

use local::{Build, Options, Stack, StreamLimits, dynamo};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::Failure;
use crate::build;
use crate::client::Client;
use crate::stats::{median, millis};

/// How many calls there are at each step.
const STEPS: [u32; 4] = [10, 1_000, 100_000, 1_000_000];
/// How often each thing is asked at a step.
const TIMES: u32 = 30;
/// As many as one request may write.
const BATCH: u32 = 25;
/// How many requests that write are under way at once.
const WRITERS: usize = 16;

/// Fills the table step by step, and prints what each thing costs there.
pub(crate) async fn run(most: u32) -> Result<(), Failure> {
    let stack = Stack::start(Options {
        build: Build::Done(build::folder()),
        stream_limits: StreamLimits::Told,
        ..Options::default()
    });
    let stack = stack.await.map_err(|error| Failure::new(error.to_string()))?;
    let client = Client::new(stack.api_url());
    for user in ["alice", "bob"] {
        client.send("POST", "/token", &stack.token_for(user), &json!({})).await?;
    }
    println!("Each: requests to the table, median milliseconds.\n");
    println!(
        "| calls in the table | token | call/create | call/{{callId}} | call/end | sweep, nothing due | sweep, {TIMES} due |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut there = 0;
    for step in STEPS.into_iter().filter(|step| *step <= most) {
        fill(&stack, there, step).await?;
        there = step;
        let costs = costs(&stack, &client, step).await?;
        println!("| {step} | {} |", costs.join(" | "));
    }
    stack.stop().await;
    Ok(())
}

/// Puts calls into the table that have ended and rest, as nearly all that there ever were.
async fn fill(stack: &Stack, from: u32, to: u32) -> Result<(), Failure> {
    let (url, table) = (stack.dynamo().url().to_owned(), stack.dynamo().table().to_owned());
    let mut writers = JoinSet::new();
    let mut next = from;
    while next < to {
        let end = (next + BATCH).min(to);
        let puts: Vec<Value> =
            (next..end).map(|number| json!({"PutRequest": {"Item": item(number)}})).collect();
        let request = json!({"RequestItems": {&table: puts}});
        let url = url.clone();
        writers.spawn(async move { dynamo::call(&url, "BatchWriteItem", &request).await });
        if writers.len() >= WRITERS {
            wait(&mut writers).await?;
        }
        next = end;
    }
    while !writers.is_empty() {
        wait(&mut writers).await?;
    }
    Ok(())
}

async fn wait<E: std::fmt::Display + Send + 'static>(
    writers: &mut JoinSet<Result<Value, E>>,
) -> Result<(), Failure> {
    match writers.join_next().await {
        Some(written) => written?.map(|_| ()).map_err(|error| Failure::new(error.to_string())),
        None => Ok(()),
    }
}

/// A call as it is stored once it rests.
fn item(number: u32) -> Value {
    let id = format!("old-{number}");
    let text = |text: &str| json!({"S": text});
    let time = json!({"N": "1767225600000"});
    json!({
        "pk": text(&format!("CALL#{id}")), "sk": text("CALL"), "callId": text(&id),
        "owner": text("carol"), "members": {"L": [text("carol"), text("dave")]},
        "callType": text("video"), "state": text("ended"), "fingerprint": text(&"0".repeat(64)),
        "attempt": text("018f0000-0000-7000-8000-000000000000"), "createdAt": time,
        "activeAt": time, "startedAt": time, "endingAt": time, "endReason": text("hangup"),
        "endedAt": time, "ttl": {"N": "1769817600"},
    })
}

async fn costs(stack: &Stack, client: &Client, step: u32) -> Result<Vec<String>, Failure> {
    let token = stack.token_for("alice");
    let mut found = Vec::new();
    let id = |number: u32| format!("new-{step}-{number}");
    let mut ask = async |method: &str, path: &dyn Fn(u32) -> (String, Value)| {
        // The first one may start a process.
        let (first, body) = path(0);
        client.send(method, &first, &token, &body).await?;
        stack.dynamo().reset_counts();
        let mut times = Vec::new();
        for number in 1..=TIMES {
            let (path, body) = path(number);
            let began = Instant::now();
            client.send(method, &path, &token, &body).await?;
            times.push(millis(began.elapsed()));
        }
        found.push(cost(stack, times));
        Ok::<_, Failure>(())
    };
    ask("POST", &|_| ("/token".to_owned(), json!({}))).await?;
    let create = |number| {
        let body = json!({"receiverId": "bob", "callId": id(number), "allowParallel": true});
        ("/call/create".to_owned(), body)
    };
    ask("POST", &create).await?;
    ask("GET", &|number| (format!("/call/{}", id(number)), Value::Null)).await?;
    ask("POST", &|number| ("/call/end".to_owned(), json!({"callId": id(number)}))).await?;
    // Whatever is due of that is done, until nothing is.
    for _ in 0..10 {
        stack.advance(Duration::from_mins(4)).await;
        sweep(stack).await?;
    }
    let mut times = Vec::new();
    stack.dynamo().reset_counts();
    for _ in 0..TIMES {
        times.push(sweep(stack).await?);
    }
    found.push(cost(stack, times));
    let create = |number: u32| {
        let body = json!({"receiverId": "bob", "allowParallel": true, "callId": format!("due-{step}-{number}")});
        ("/call/create".to_owned(), body)
    };
    for number in 1..=TIMES {
        let (path, body) = create(number);
        client.send("POST", &path, &token, &body).await?;
    }
    stack.advance(Duration::from_mins(3)).await;
    stack.dynamo().reset_counts();
    let took = sweep(stack).await?;
    let requests: u64 = stack.dynamo().counts().values().sum();
    found.push(format!("{requests}; {took:.0}"));
    for _ in 0..5 {
        stack.advance(Duration::from_mins(4)).await;
        sweep(stack).await?;
    }
    Ok(found)
}

/// Requests to the table for each of them, and the time that they took.
fn cost(stack: &Stack, times: Vec<f64>) -> String {
    let requests: u64 = stack.dynamo().counts().values().sum();
    #[expect(clippy::cast_precision_loss, reason = "some hundreds at most")]
    let each = requests as f64 / times.len().max(1) as f64;
    format!("{each:.1}; {:.1}", median(times))
}

/// One sweep; how long it took, in milliseconds.
async fn sweep(stack: &Stack) -> Result<f64, Failure> {
    let began = Instant::now();
    let swept = stack.invoke("sweeper", json!({"task": "sweep"})).await;
    swept.map_err(|error| Failure::new(error.to_string()))?;
    Ok(millis(began.elapsed()))
}
