//! `cargo run -p local`: runs the whole project on this machine, until Ctrl-C.
//!
//! This binary reads the command line and the environment, starts a stack of the library, and
//! prints how to use it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its results")]

mod args;
mod env_file;
mod sample_requests;

use std::env;
use std::error::Error;
use std::future::pending;
use std::pin::pin;
use std::process::ExitCode;

use args::{Args, Command};
use local::dynamo::LocalDynamo;
use local::{BuildMode, Options, Schedule, Stack, StreamChoice, TemplateError, UserLimits};
use stream_emulator::Emulator;

/// Only one of the two credentials of a Stream app is set.
#[derive(Debug, thiserror::Error)]
#[error(
    "{present} is set but {missing} is not: set both to use Stream, or neither for the emulator"
)]
struct IncompleteStreamCredentials {
    present: &'static str,
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
    let stream = stream_choice(variable("STREAM_API_KEY"), variable("STREAM_API_SECRET"))?;
    let options = Options {
        api_port: args.port,
        dynamo_port: args.dynamodb_port,
        stream_port: args.stream_port,
        data_dir: args.data_dir.clone(),
        webhooks: true,
        streams: true,
        // The local table has no items for the calls of other deployments, so a reconciliation
        // would remove those calls from a real Stream app.
        schedules: matches!(stream, StreamChoice::Emulated),
        stream,
        user_limits: UserLimits::Default,
        echo: true,
        build_mode: BuildMode::Verbose,
        ..Options::default()
    };
    if args.backends_only { run_backends(options, &args).await } else { run_stack(options).await }
}

fn stream_choice(
    key: Option<String>,
    secret: Option<String>,
) -> Result<StreamChoice, IncompleteStreamCredentials> {
    const KEY: &str = "STREAM_API_KEY";
    const SECRET: &str = "STREAM_API_SECRET";
    match (key, secret) {
        (Some(key), Some(secret)) => Ok(StreamChoice::Real { key, secret }),
        (None, None) => Ok(StreamChoice::Emulated),
        (Some(_), None) => Err(IncompleteStreamCredentials { present: KEY, missing: SECRET }),
        (None, Some(_)) => Err(IncompleteStreamCredentials { present: SECRET, missing: KEY }),
    }
}

async fn run_stack(options: Options) -> Result<(), Box<dyn Error>> {
    let mut shutdown_requested = pin!(shutdown_requested());
    let stack = tokio::select! {
        started = Stack::start(options) => started?,
        () = &mut shutdown_requested => return Ok(()),
    };
    let result = tokio::select! {
        failed = provision_and_serve(&stack) => failed,
        () = &mut shutdown_requested => Ok(()),
    };
    stack.stop().await;
    result
}

/// Provisions the sample users, prints the usage, and waits forever.
async fn provision_and_serve(stack: &Stack) -> Result<(), Box<dyn Error>> {
    sample_requests::provision_users(stack).await?;
    print_stack(stack)?;
    pending().await
}

async fn run_backends(options: Options, args: &Args) -> Result<(), Box<dyn Error>> {
    let mut shutdown_requested = pin!(shutdown_requested());
    let backends = tokio::select! {
        started = Stack::start_backends(options) => started?,
        () = &mut shutdown_requested => return Ok(()),
    };
    let written = env_file::write(backends.variables());
    if let Ok(path) = &written {
        println!("{} is ready. To start the API, run:", path.display());
        println!(
            "cargo lambda watch -A ::1 -P {} --ignore-changes --concurrency 8 --env-file {}",
            args.port,
            env_file::FILE_NAME
        );
        println!();
        print_backends(backends.dynamo(), backends.stream());
        print_tokens(|user| backends.token_for(user));
        println!("Ctrl-C stops DynamoDB and Stream.");
        shutdown_requested.await;
    }
    backends.stop().await;
    written.map_err(|error| format!("writing {} failed: {error}", env_file::FILE_NAME))?;
    Ok(())
}

fn print_stack(stack: &Stack) -> Result<(), TemplateError> {
    println!();
    println!("API        {}", stack.api_url());
    match stack.stream() {
        Some(_) => println!("Schedules  {}", format_schedules(&local::schedules()?)),
        None => println!("Schedules  none: they would remove the calls of other deployments"),
    }
    println!("Events     {}/_local/events", stack.api_url());
    print_backends(stack.dynamo(), stack.stream());
    print_tokens(|user| stack.token_for(user));
    println!("{}", sample_requests::USAGE);
    println!();
    for sample in sample_requests::all() {
        // A user id that was deleted in a real Stream app can never be used again.
        if sample.is_irreversible() && stack.stream().is_none() {
            continue;
        }
        println!("# {}", sample.route);
        let line = sample.curl_command(
            stack.api_url(),
            |user| user.map_or_else(|| stack.service_token(), |user| stack.token_for(user)),
            |body| stack.sign_webhook(body),
        );
        println!("{line}");
    }
    println!();
    println!("Ctrl-C stops everything.");
    Ok(())
}

/// The schedules on one line, such as `sweeper every 1 min with {}`.
fn format_schedules(schedules: &[(String, Schedule)]) -> String {
    let entry = |(function, Schedule { interval, input }): &(String, Schedule)| {
        format!("{function} every {} min with {input}", interval.as_secs() / 60)
    };
    schedules.iter().map(entry).collect::<Vec<_>>().join(", ")
}

fn print_backends(dynamo: &LocalDynamo, stream: Option<&Emulator>) {
    println!("DynamoDB   {} (table {})", dynamo.url(), dynamo.table_name());
    match stream {
        Some(emulator) => println!("Stream     {} (emulator)", emulator.base_url()),
        None => println!("Stream     the real Stream app of STREAM_API_KEY"),
    }
    println!();
}

fn print_tokens(token_for: impl Fn(&str) -> String) {
    println!("Session tokens, valid for 12 hours:");
    for (user, _) in sample_requests::USERS {
        println!("{user:<10} {}", token_for(user));
    }
    println!();
}

/// Waits for Ctrl-C or for SIGTERM, which a supervisor sends.
async fn shutdown_requested() {
    tokio::select! {
        // Without a signal handler, the process could not stop cleanly, so it stops now.
        _ = tokio::signal::ctrl_c() => {}
        () = sigterm() => {}
    }
}

#[cfg(unix)]
async fn sigterm() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => pending().await,
    }
}

#[cfg(not(unix))]
async fn sigterm() {
    pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn schedules_are_formatted_on_one_line() {
        let entry = |minutes, input| {
            ("sweeper".to_owned(), Schedule { interval: Duration::from_mins(minutes), input })
        };
        let schedules = [entry(60, json!({"task": "reconcile"})), entry(1, json!({}))];
        assert_eq!(
            format_schedules(&schedules),
            "sweeper every 60 min with {\"task\":\"reconcile\"}, sweeper every 1 min with {}"
        );
    }

    #[test]
    fn stream_requires_key_and_secret() {
        let owned = |text: &str| Some(text.to_owned());
        assert!(matches!(stream_choice(None, None), Ok(StreamChoice::Emulated)));
        assert!(matches!(stream_choice(owned("k"), owned("s")), Ok(StreamChoice::Real { .. })));
        for (key, secret, missing) in [
            (owned("k"), None, "STREAM_API_SECRET is not"),
            (None, owned("s"), "STREAM_API_KEY is not"),
        ] {
            let Err(error) = stream_choice(key, secret) else { panic!("must be rejected") };
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
