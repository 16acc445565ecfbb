//! `cargo run -p local`: the whole project on this machine, until Ctrl-C.
//!
//! A thin shell over the library: it reads the command line and the environment, starts a stack
//! and says what to do with it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to a person")]

mod args;
mod env_file;
mod samples;

use std::env;
use std::error::Error;
use std::future::pending;
use std::pin::pin;
use std::process::ExitCode;

use args::{Args, Command};
use local::dynamo::DynamoFront;
use local::{Build, Options, Schedule, Stack, StreamChoice, TemplateError, UserLimits};
use stream_emulator::Emulator;

/// Only half of what a Stream app is reached with.
#[derive(Debug, thiserror::Error)]
#[error("{given} is set but {missing} is not: set both to use Stream, or neither for the emulator")]
struct HalfOfStream {
    given: &'static str,
    missing: &'static str,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let args = match args::parse(env::args_os().skip(1))? {
        Command::Help => {
            print!("{}", args::HELP);
            return Ok(());
        }
        Command::Run(args) => args,
    };
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let stream = stream(variable("STREAM_API_KEY"), variable("STREAM_API_SECRET"))?;
    let options = Options {
        api_port: args.port,
        dynamo_port: args.dynamodb_port,
        stream_port: args.stream_port,
        data_dir: args.data.clone(),
        webhooks: true,
        // With a table of its own, a reconciliation would end the calls that others have in a
        // real app.
        schedules: matches!(stream, StreamChoice::Emulated),
        stream,
        user_limits: UserLimits::Default,
        echo: true,
        build: Build::Shown,
        ..Options::default()
    };
    if args.backends { run_backends(options, &args).await } else { run_stack(options).await }
}

fn stream(key: Option<String>, secret: Option<String>) -> Result<StreamChoice, HalfOfStream> {
    const KEY: &str = "STREAM_API_KEY";
    const SECRET: &str = "STREAM_API_SECRET";
    match (key, secret) {
        (Some(key), Some(secret)) => Ok(StreamChoice::Real { key, secret }),
        (None, None) => Ok(StreamChoice::Emulated),
        (Some(_), None) => Err(HalfOfStream { given: KEY, missing: SECRET }),
        (None, Some(_)) => Err(HalfOfStream { given: SECRET, missing: KEY }),
    }
}

async fn run_stack(options: Options) -> Result<(), Box<dyn Error>> {
    let mut interrupted = pin!(interrupted());
    let stack = tokio::select! {
        started = Stack::start(options) => started?,
        () = &mut interrupted => return Ok(()),
    };
    let ended = tokio::select! {
        failed = offer(&stack) => failed,
        () = &mut interrupted => Ok(()),
    };
    stack.stop().await;
    ended
}

/// Makes the stack ready for a person, and leaves it to them.
async fn offer(stack: &Stack) -> Result<(), Box<dyn Error>> {
    samples::provision(stack).await?;
    introduce_stack(stack)?;
    pending().await
}

async fn run_backends(options: Options, args: &Args) -> Result<(), Box<dyn Error>> {
    let mut interrupted = pin!(interrupted());
    let backends = tokio::select! {
        started = Stack::backends(options) => started?,
        () = &mut interrupted => return Ok(()),
    };
    let written = env_file::write(backends.variables());
    if let Ok(path) = &written {
        println!("{} is ready for", path.display());
        println!(
            "cargo lambda watch -A ::1 -P {} --ignore-changes --concurrency 8 --env-file {}",
            args.port,
            env_file::NAME
        );
        println!();
        introduce_backends(backends.dynamo(), backends.stream());
        introduce_users(|user| backends.token_for(user));
        println!("Ctrl-C stops both.");
        interrupted.await;
    }
    backends.stop().await;
    written.map_err(|error| format!("{} cannot be written: {error}", env_file::NAME))?;
    Ok(())
}

fn introduce_stack(stack: &Stack) -> Result<(), TemplateError> {
    println!();
    println!("API        {}", stack.api_url());
    match stack.stream() {
        Some(_) => println!("Schedules  {}", timetable(&local::schedules()?)),
        None => println!("Schedules  none: they would end what others have in this Stream app"),
    }
    introduce_backends(stack.dynamo(), stack.stream());
    introduce_users(|user| stack.token_for(user));
    println!("Each line works as it is, in this order:");
    println!();
    let (user, _) = samples::USERS[0];
    let token = stack.token_for(user);
    for sample in samples::all(&samples::fresh_call_id()) {
        // A real app would lose the user's id for ever.
        if sample.is_for_good() && stack.stream().is_none() {
            continue;
        }
        println!("# {}", sample.route);
        println!("{}", sample.curl(stack.api_url(), &token, |body| stack.sign_webhook(body)));
    }
    println!();
    println!("Ctrl-C stops everything.");
    Ok(())
}

/// Which function is invoked how often and with what, such as `sweeper every 1 min with {}`.
fn timetable(schedules: &[(String, Schedule)]) -> String {
    let entry = |(function, Schedule { every, input }): &(String, Schedule)| {
        format!("{function} every {} min with {input}", every.as_secs() / 60)
    };
    schedules.iter().map(entry).collect::<Vec<_>>().join(", ")
}

fn introduce_backends(dynamo: &DynamoFront, stream: Option<&Emulator>) {
    println!("DynamoDB   {} (table {})", dynamo.url(), dynamo.table());
    match stream {
        Some(emulator) => println!("Stream     {} (emulator)", emulator.base_url()),
        None => println!("Stream     Stream itself, with the key from the environment"),
    }
    println!();
}

fn introduce_users(token_for: impl Fn(&str) -> String) {
    println!("Bearer tokens, good for 12 hours:");
    for (user, _) in samples::USERS {
        println!("{user:<10} {}", token_for(user));
    }
    println!();
}

/// Waits for Ctrl-C or, as a supervisor sends it, SIGTERM.
async fn interrupted() {
    tokio::select! {
        // An error says that there is no way to be told; then it is best not to run at all.
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn schedules_are_one_line() {
        let entry = |minutes, input| {
            ("sweeper".to_owned(), Schedule { every: Duration::from_mins(minutes), input })
        };
        let schedules = [entry(60, json!({"task": "reconcile"})), entry(1, json!({}))];
        assert_eq!(
            timetable(&schedules),
            "sweeper every 60 min with {\"task\":\"reconcile\"}, sweeper every 1 min with {}"
        );
    }

    #[test]
    fn stream_is_used_with_both_halves_only() {
        let some = |text: &str| Some(text.to_owned());
        assert!(matches!(stream(None, None), Ok(StreamChoice::Emulated)));
        assert!(matches!(stream(some("k"), some("s")), Ok(StreamChoice::Real { .. })));
        for (key, secret, missing) in [
            (some("k"), None, "STREAM_API_SECRET is not"),
            (None, some("s"), "STREAM_API_KEY is not"),
        ] {
            let Err(error) = stream(key, secret) else { panic!("half was accepted") };
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
