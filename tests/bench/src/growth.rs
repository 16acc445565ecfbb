//! Measures requests while the table grows from ten calls to a million, on the embedded DynamoDB.

use std::time::{Duration, Instant};

use local::{BuildMode, Options, Stack, StreamLimits, dynamo};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::BenchError;
use crate::build;
use crate::client::Client;
use crate::stats::{median, millis};

/// The numbers of stored calls.
const CALL_COUNTS: [u32; 4] = [10, 1_000, 100_000, 1_000_000];
/// The number of repetitions of each request at each number of calls.
const REQUESTS_PER_STEP: u32 = 30;
/// The maximum number of items in a `BatchWriteItem` request.
const BATCH_SIZE: u32 = 25;
/// The number of concurrent write requests.
const WRITE_CONCURRENCY: usize = 16;

/// Fills the table step by step, and prints the measurements of each step.
pub(crate) async fn run(max_calls: u32) -> Result<(), BenchError> {
    let stack = Stack::start(Options {
        build_mode: BuildMode::Prebuilt(build::release_dir()),
        stream_limits: StreamLimits::ReportOnly,
        // The embedded DynamoDB slows down with each record of the table's stream.
        ..Options::default()
    });
    let stack = stack.await.map_err(|error| BenchError::new(error.to_string()))?;
    let client = Client::new(stack.api_url());
    for user in ["alice", "bob"] {
        client.send("POST", "/token", &stack.token_for(user), &json!({})).await?;
    }
    println!("Each cell: requests to the table; median time in milliseconds.\n");
    println!(
        "| calls in the table | token | call/create | call/{{callId}} | call/end | sweep, nothing due | sweep, {REQUESTS_PER_STEP} due |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut stored_calls = 0;
    for step in CALL_COUNTS.into_iter().filter(|step| *step <= max_calls) {
        fill_table(&stack, stored_calls, step).await?;
        stored_calls = step;
        let cells = measure_step(&stack, &client, step).await?;
        println!("| {step} | {} |", cells.join(" | "));
    }
    stack.stop().await;
    Ok(())
}

/// Writes ended calls that are no longer in the due index, like most calls of a table.
async fn fill_table(stack: &Stack, from: u32, to: u32) -> Result<(), BenchError> {
    let (url, table) = (stack.dynamo().url().to_owned(), stack.dynamo().table_name().to_owned());
    let mut writers = JoinSet::new();
    let mut next = from;
    while next < to {
        let end = (next + BATCH_SIZE).min(to);
        let puts: Vec<Value> = (next..end)
            .map(|number| json!({"PutRequest": {"Item": ended_call_item(number)}}))
            .collect();
        let request = json!({"RequestItems": {&table: puts}});
        let url = url.clone();
        writers.spawn(async move { dynamo::call(&url, "BatchWriteItem", &request).await });
        if writers.len() >= WRITE_CONCURRENCY {
            join_next_write(&mut writers).await?;
        }
        next = end;
    }
    while !writers.is_empty() {
        join_next_write(&mut writers).await?;
    }
    Ok(())
}

async fn join_next_write<E: std::fmt::Display + Send + 'static>(
    writers: &mut JoinSet<Result<Value, E>>,
) -> Result<(), BenchError> {
    match writers.join_next().await {
        Some(written) => written?.map(|_| ()).map_err(|error| BenchError::new(error.to_string())),
        None => Ok(()),
    }
}

/// The item of an ended call after its cleanup recheck.
fn ended_call_item(number: u32) -> Value {
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

async fn measure_step(
    stack: &Stack,
    client: &Client,
    step: u32,
) -> Result<Vec<String>, BenchError> {
    let token = stack.token_for("alice");
    let mut cells = Vec::new();
    let id = |number: u32| format!("new-{step}-{number}");
    let mut measure = async |method: &str, path: &dyn Fn(u32) -> (String, Value)| {
        // The first request may start a process.
        let (first, body) = path(0);
        client.send(method, &first, &token, &body).await?;
        stack.dynamo().reset_counts();
        let mut times = Vec::new();
        for number in 1..=REQUESTS_PER_STEP {
            let (path, body) = path(number);
            let started = Instant::now();
            client.send(method, &path, &token, &body).await?;
            times.push(millis(started.elapsed()));
        }
        cells.push(format_cost(stack, times));
        Ok::<_, BenchError>(())
    };
    measure("POST", &|_| ("/token".to_owned(), json!({}))).await?;
    let create = |number| {
        let body = json!({"receiverId": "bob", "callId": id(number), "allowParallel": true});
        ("/call/create".to_owned(), body)
    };
    measure("POST", &create).await?;
    measure("GET", &|number| (format!("/call/{}", id(number)), Value::Null)).await?;
    measure("POST", &|number| ("/call/end".to_owned(), json!({"callId": id(number)}))).await?;
    // Completes all work of the ended calls.
    for _ in 0..10 {
        stack.advance(Duration::from_mins(4)).await;
        timed_sweep(stack).await?;
    }
    let mut times = Vec::new();
    stack.dynamo().reset_counts();
    for _ in 0..REQUESTS_PER_STEP {
        times.push(timed_sweep(stack).await?);
    }
    cells.push(format_cost(stack, times));
    let create = |number: u32| {
        let body = json!({"receiverId": "bob", "allowParallel": true, "callId": format!("due-{step}-{number}")});
        ("/call/create".to_owned(), body)
    };
    for number in 1..=REQUESTS_PER_STEP {
        let (path, body) = create(number);
        client.send("POST", &path, &token, &body).await?;
    }
    stack.advance(Duration::from_mins(3)).await;
    stack.dynamo().reset_counts();
    let elapsed_millis = timed_sweep(stack).await?;
    let requests: u64 = stack.dynamo().counts().values().sum();
    cells.push(format!("{requests}; {elapsed_millis:.0}"));
    for _ in 0..5 {
        stack.advance(Duration::from_mins(4)).await;
        timed_sweep(stack).await?;
    }
    Ok(cells)
}

/// The number of table requests for each repetition, and the median time.
fn format_cost(stack: &Stack, times: Vec<f64>) -> String {
    let requests: u64 = stack.dynamo().counts().values().sum();
    #[expect(clippy::cast_precision_loss, reason = "the counts are small")]
    let requests_each = requests as f64 / times.len().max(1) as f64;
    format!("{requests_each:.1}; {:.1}", median(times))
}

/// Runs a sweep. Returns the time in milliseconds.
async fn timed_sweep(stack: &Stack) -> Result<f64, BenchError> {
    let started = Instant::now();
    let result = stack.invoke("sweeper", json!({"task": "sweep"})).await;
    result.map_err(|error| BenchError::new(error.to_string()))?;
    Ok(millis(started.elapsed()))
}
